"""The doctor on what lies on this machine: profiles, folders, inputs, devices, disks, packages and servers."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from generators.weights import weights_folder
from pipelines.checkup import machine
from pipelines.doctor import main
from tests import checkpoints
from tests.generators.conftest import stable_diffusion_folder
from tests.pipelines.doctors import ROOT
from tests.servers import chat, served

KEY = "sk-not-to-be-shown"
Found = dict[str, list[tuple[str, str]]]
Doctor = Callable[..., tuple[int, Found]]


@pytest.fixture
def doctor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Doctor:
    """Run the command on a profile; its exit status, and how each matter stands."""

    def doctor(*settings: str, profile: str = "tinyworld") -> tuple[int, Found]:
        places = [f"--out={tmp_path}/out", f"--work-dir={tmp_path}/work"]
        status = main([profile, "--json", *places, *(f"--set={setting}" for setting in settings)])
        printed = capsys.readouterr().out
        assert KEY not in printed
        found: Found = {}
        for one in json.loads(printed):
            found.setdefault(one["name"], []).append((one["status"], f"{one['said']} -> {one['todo']}"))
        return status, found

    return doctor


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    shutil.copytree(weights_folder("builtin:tinyworld/clip", ""), folder / "clip")
    checkpoints.vit_classifier(folder / "vit")
    checkpoints.bert_classifier(folder / "bert")
    checkpoints.qwen_vl(folder / "qwen")
    stable_diffusion_folder(folder / "sd")
    return folder


@pytest.fixture
def copied(models: Path, tmp_path: Path) -> Path:
    """A copy that may be damaged."""
    return shutil.copytree(models, tmp_path / "models")


def _local(folder: Path) -> list[str]:
    paths = {
        "embed.model": "clip",
        "screen.image_classifier": "vit",
        "screen.text_classifier": "bert",
        "judge.model": "qwen",
        "images.diffusion": "sd/pipeline",
    }
    labels = ["screen.image_labels=['nsfw']", "screen.text_labels=['nsfw']", "images.source='diffusion'"]
    return [*labels, *(f"{key}.path={folder / name}" for key, name in paths.items())]


def test_the_default_profile_lacks_nothing(doctor: Doctor) -> None:
    status, found = doctor()
    assert status == 0
    assert {state for rows in found.values() for state, _ in rows} == {"ok"}


def test_the_table_says_the_same_as_the_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["tinyworld", f"--images={tmp_path}/none", f"--work-dir={tmp_path}/work"])
    printed = capsys.readouterr().out
    assert status == 1
    assert "images.source" in printed and "1 missing" in printed
    assert "correct `images.source`, or give the build --images" in printed


@pytest.mark.parametrize("setting", ["screen.treshold=1", "select.min_joint=7"])
def test_a_profile_that_is_wrong_is_all_that_is_said(doctor: Doctor, setting: str) -> None:
    status, found = doctor(setting)
    ((rows),) = found.values()
    assert status == 1 and setting.partition("=")[0] in rows[0][1]


def test_whole_folders_of_every_kind_pass(doctor: Doctor, models: Path) -> None:
    status, found = doctor(*_local(models))
    assert status == 0
    said = found["judge.model"][0][1]
    assert "million parameters" in said and not said.startswith("0.0")


def _without_shard(models: Path) -> None:
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    shutil.move(models / "qwen/model.safetensors", models / "qwen/model-00001-of-00002.safetensors")
    (models / "qwen/model.safetensors.index.json").write_text(json.dumps(index))


def _cut_off(models: Path) -> None:
    weights = models / "sd/pipeline/unet/diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])


def _pickled(models: Path) -> None:
    shutil.move(models / "bert/model.safetensors", models / "bert/pytorch_model.bin")


def _without_template(models: Path) -> None:
    (models / "qwen/chat_template.jinja").unlink()


def _without_config(models: Path) -> None:
    (models / "clip/open_clip_config.json").unlink()


@pytest.mark.parametrize(
    ("damage", "key", "said"),
    [
        (_without_shard, "judge.model", "model-00002-of-00002.safetensors missing"),
        (_without_template, "judge.model", "no chat template"),
        (_cut_off, "images.diffusion", "is cut off"),
        (_pickled, "screen.text_classifier", "holds no .safetensors"),
        (_without_config, "embed.model", "holds no open_clip_config.json"),
    ],
)
def test_a_folder_that_is_not_whole_is_told(
    doctor: Doctor, copied: Path, damage: Callable[[Path], None], key: str, said: str
) -> None:
    damage(copied)
    status, found = doctor(*_local(copied))
    assert status == 1
    assert [name for name, rows in found.items() for state, _ in rows if state == "missing"] == [key]
    assert said in found[key][0][1]


def test_pickles_beside_safetensors_and_unknown_labels_are_told(
    doctor: Doctor, models: Path, tmp_path: Path
) -> None:
    shutil.copytree(models / "vit", tmp_path / "vit")
    (tmp_path / "vit/optimizer.pt").write_bytes(b"pickled")
    labels = "screen.image_labels=['nsfw']"
    status, found = doctor(labels, f"screen.image_classifier.path={tmp_path / 'vit'}")
    assert (status, found["screen.image_classifier"][0][0]) == (0, "warning")
    status, found = doctor(f"screen.image_classifier.path={tmp_path / 'vit'}")
    assert status == 1 and "no label 'harmful'; its labels are normal, nsfw" in str(found)


def test_every_input_that_is_not_there_or_not_readable_is_told(doctor: Doctor, tmp_path: Path) -> None:
    (tmp_path / "hashes.txt").write_text("no hash\n")
    (tmp_path / "concepts.toml").write_text("harmful = []\n")
    (tmp_path / "texts.csv").write_text("a,b\n1,2\n")
    status, found = doctor(
        f"images.source=['tinyworld', '{tmp_path}/photos']",
        f"texts.source='{tmp_path}/texts.csv'",
        f"screen.hash_list='{tmp_path}/hashes.txt'",
        f"screen.concepts='{tmp_path}/concepts.toml'",
        f"scenarios.source='{tmp_path}/none.toml'",
        "judge.policy='no/such.toml'",
    )
    assert status == 1
    assert [state for state, _ in found["images.source"]] == ["ok", "missing"]
    for key in ("texts.source", "screen.hash_list", "screen.concepts", "scenarios.source", "judge.policy"):
        assert [state for state, _ in found[key]] == ["missing"], key


def test_a_gpu_that_is_asked_for_and_not_there_is_told(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "gpu_memory", list)
    status, found = doctor("judge.model.device='cuda'")
    assert (status, found["GPU"][0][0]) == (1, "missing")


@pytest.mark.parametrize(("size", "state"), [(10**9, "ok"), (25 * 10**6, "warning"), (10**6, "missing")])
def test_models_are_held_against_the_memory_that_is_there(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch, size: int, state: str
) -> None:
    monkeypatch.setattr(machine, "gpu_memory", lambda: [size])
    status, found = doctor()
    assert found["GPU memory"][0][0] == state
    assert status == (state == "missing")


def test_disks_are_held_against_what_is_to_be_written(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage("/")._replace(free=10**8)
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda path: usage)
    status, found = doctor()
    assert (status, found["work directory"][0][0]) == (0, "warning")
    hub = "Qwen/Qwen3-VL-2B-Instruct"
    status, found = doctor(f"judge.model.path={hub}", f"judge.model.revision={'0' * 40}")
    assert (status, found["hub cache"][0][0]) == (1, "missing")
    assert "4.3 GB to fetch" in found["hub cache"][0][1]


def test_packages_that_do_not_fit_are_told(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    real = metadata.requires
    more = ["no-such-package>=1", "pillow<1", 'never-mind>=1; extra == "dev"']
    monkeypatch.setattr(metadata, "requires", lambda name: [*(real(name) or []), *more])
    status, found = doctor()
    assert status == 1
    said = found["crossharm"][0][1]
    assert "no-such-package>=1 is not installed" in said and "pillow" in said and "never-mind" not in said


SERVER = "{{url='{url}/v1', model='judge', key='DOCTORS_KEY'}}"


@pytest.fixture(scope="module")
def urls() -> Iterator[dict[str, str]]:
    with (
        served(chat(["judge", "writer"], KEY)) as whole,
        served(chat(["judge"], logprobs=False)) as mute,
        served(chat(["other"])) as other,
    ):
        yield {"whole": whole, "mute": mute, "other": other, "nobody": "http://127.0.0.1:9"}


def _asked(doctor: Doctor, url: str) -> tuple[int, Found]:
    endpoint = SERVER.format(url=url)
    return doctor(
        f"judge.endpoint={endpoint}", f"texts.language={{endpoint={endpoint}}}", "texts.source='language'",
        "judge.policy='everyday'",
    )  # fmt: skip


def test_a_server_that_offers_the_model_and_logprobs_passes(
    doctor: Doctor, urls: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCTORS_KEY", KEY)
    status, found = _asked(doctor, urls["whole"])
    assert status == 0
    for name in ("judge.endpoint", "judge.endpoint logprobs", "texts.language.endpoint"):
        assert [state for state, _ in found[name]] == ["ok"]


@pytest.mark.parametrize(
    ("which", "name", "said"),
    [
        ("whole", "judge.endpoint", "answered 401 (no key in DOCTORS_KEY)"),
        ("mute", "judge.endpoint logprobs", "sends no logprobs"),
        ("other", "judge.endpoint", "judge is not among its models: other"),
        ("nobody", "judge.endpoint", "cannot be reached"),
    ],
)
def test_a_server_that_cannot_be_used_is_told(
    doctor: Doctor, urls: dict[str, str], which: str, name: str, said: str
) -> None:
    status, found = _asked(doctor, urls[which])
    assert status == 1
    assert found[name][0][0] == "missing" and said in found[name][0][1]


def test_the_command_line_imports_no_heavy_library() -> None:
    heavy = "{'torch', 'apache_beam', 'transformers', 'open_clip', 'pyarrow', 'huggingface_hub', 'openai'}"
    script = f"import sys, pipelines.doctor; print(*({heavy} & sys.modules.keys()))"
    command: list[Any] = [sys.executable, "-c", script]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout
    assert shown == "\n"


def test_models_that_know_another_world_are_warned_of(doctor: Doctor, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    status, found = doctor(f"images.source={tmp_path / 'photos'}")
    ((how, said),) = found["models"]
    assert (status, how) == (0, "warning") and "know the pictograms" in said and "--pin laptop.toml" in said
    assert "models" not in doctor()[1]
