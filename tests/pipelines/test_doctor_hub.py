"""The doctor, pinning and fetching against a hub on this machine: real tiny models, real downloads, real refusals."""

from __future__ import annotations

import json
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from generators.weights import weights_folder
from pipelines.doctor import main
from schemas.config import load_config
from schemas.profile import ConfigError
from tests import checkpoints
from tests.generators.conftest import stable_diffusion_folder
from tests.pipelines.doctors import NOBODY, Checked, run
from tests.servers import TOKEN, Repository, hub, served

pytestmark = pytest.mark.timeout(600)
PROFILE = """
# A comment that stays.
[build]
name = "hubs"

[images]
source = "{folder}/photos"

[images.diffusion]
path = "tiny/sd"

[texts]
source = "{folder}/texts.txt"

[scenarios]
source = "seeds"

[embed.model]
path = "tiny/clip"

[screen]
image_labels = ["nsfw"]
text_labels = ["nsfw"]
image_classifier = {{ path = "tiny/vit" }}
text_classifier = {{ path = "tiny/bert" }}

[judge]
policy = "everyday"

[judge.model]
path = "tiny/qwen"
"""


class Hub(NamedTuple):
    """A hub, a profile that names its models, and where the profile's pinned copy belongs."""

    url: str
    folder: Path
    asked: list[str]
    repositories: dict[str, Repository]

    def doctor(self, *arguments: str, home: str = "home", **environment: str) -> Checked:
        places = [f"--out={self.folder}/out", f"--work-dir={self.folder}/work"]
        command = ("pipelines.doctor", *arguments, *places)
        return run(*command, hub=self.url, home=self.folder / home, **environment)

    @property
    def profile(self) -> str:
        return str(self.folder / "profile.toml")

    @property
    def pinned(self) -> str:
        return str(self.folder / "pinned.toml")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    folder = tmp_path_factory.mktemp("hub")
    shutil.copytree(weights_folder("builtin:tinyworld/clip", ""), folder / "clip")
    checkpoints.vit_classifier(folder / "vit")
    checkpoints.bert_classifier(folder / "bert")
    checkpoints.qwen_vl(folder / "qwen")
    (folder / "vit" / "optimizer.pt").write_bytes(b"pickled")
    (folder / "pickled").mkdir()
    (folder / "pickled" / "pytorch_model.bin").write_bytes(b"pickled")
    sources = {name: folder / name for name in ("clip", "vit", "bert", "qwen", "pickled")}
    repositories = {f"tiny/{name}": Repository(path) for name, path in sources.items()}
    repositories["tiny/sd"] = Repository(stable_diffusion_folder(folder / "sd"))
    repositories["tiny/gated"] = Repository(folder / "clip", gated=True)
    repositories["tiny/private"] = Repository(folder / "bert", private=True)
    (folder / "photos").mkdir()
    (folder / "texts.txt").write_text("hello there\n")
    (folder / "profile.toml").write_text(PROFILE.format(folder=folder))
    asked: list[str] = []
    with served(hub(repositories, asked)) as url:
        yield Hub(url, folder, asked, repositories)


@pytest.fixture(scope="module")
def pinned(site: Hub) -> Checked:
    return site.doctor(site.profile, "--pin", site.pinned)


def test_a_profile_that_is_not_pinned_is_refused_with_the_command_that_pins_it(site: Hub) -> None:
    with pytest.raises(ConfigError, match=r"python -m pipelines\.doctor .*profile\.toml --pin pinned\.toml"):
        load_config(Path(site.profile))


def test_pinning_writes_the_commits_that_the_hub_names_and_keeps_the_comments(
    site: Hub, pinned: Checked
) -> None:
    assert pinned.status == 0, pinned.stderr
    assert "# A comment that stays." in Path(site.pinned).read_text()
    config = load_config(Path(site.pinned))
    assert config.judge.model.revision == site.repositories["tiny/qwen"].commit
    assert config.images.diffusion and config.images.diffusion.revision == site.repositories["tiny/sd"].commit
    before = tomllib.loads(Path(site.profile).read_text())
    assert load_config(Path(site.profile), unpinned=True).images.source == config.images.source
    assert before["judge"]["model"] == {"path": "tiny/qwen"}


def test_a_pinned_profile_is_pinned_again_without_asking(site: Hub, pinned: Checked) -> None:
    assert main([site.pinned, "--pin", str(site.folder / "again.toml")]) == pinned.status == 0
    assert (site.folder / "again.toml").read_text() == Path(site.pinned).read_text()


def test_models_that_the_hub_has_are_found_with_their_sizes_and_nothing_is_fetched(
    site: Hub, pinned: Checked
) -> None:
    checked = site.doctor(site.pinned, "--json", home="untouched")
    assert checked.status == pinned.status == 0, checked.stdout
    ((status, said),) = checked.of("judge.model")
    assert status == "ok" and "GB to fetch of 0.0 GB" in said
    assert not list((site.folder / "untouched").rglob("*.safetensors"))


def test_without_a_hub_models_are_not_checked_and_a_warning_says_so(site: Hub, pinned: Checked) -> None:
    checked = run("pipelines.doctor", site.pinned, "--json", hub=NOBODY, home=site.folder / "none")
    assert checked.status == pinned.status == 0, checked.stdout
    (first,) = checked.of("embed.model")
    assert first[0] == "warning" and f"the hub {NOBODY} was not reached" in first[1]
    assert checked.of("judge.model")[0][1].endswith("not checked: no network -> ")


def test_every_refusal_of_the_hub_is_told_apart(site: Hub, pinned: Checked) -> None:
    commit = "0" * 40
    checked = site.doctor(
        site.pinned,
        "--json",
        "--set=embed.model.path=tiny/gated",
        f"--set=judge.model.revision={commit}",
        "--set=screen.text_classifier.path=tiny/private",
        "--set=screen.image_labels=['gore']",
        "--set=images.diffusion.path=tiny/pickled",
        "--set=images.source='diffusion'",
        *(
            f"--set={key}.revision=main"
            for key in ("embed.model", "screen.text_classifier", "images.diffusion")
        ),
    )
    assert checked.status == 1 and pinned.status == 0
    ok, *rest = checked.of("embed.model")
    assert ok[0] == "ok" and "gated" in ok[1]
    assert [status for status, _ in rest] == ["missing", "warning"]
    assert f"accept the terms on {site.url}/tiny/gated" in rest[0][1] and "hf auth login" in rest[0][1]
    assert "may change" in rest[1][1]
    assert f"no revision {commit}" in checked.of("judge.model")[0][1]
    assert "shows no such model" in checked.of("screen.text_classifier")[0][1]
    assert "no label 'gore'; its labels are normal, nsfw" in checked.of("screen.image_classifier")[1][1]
    assert "no model_index.json and no safetensors" in checked.of("images.diffusion")[0][1]


def test_a_token_that_has_access_opens_gated_and_private_models_and_is_never_shown(
    site: Hub, pinned: Checked
) -> None:
    checked = site.doctor(
        site.profile,
        "--json",
        "--set=embed.model.path=tiny/gated",
        "--set=screen.text_classifier.path=tiny/private",
        HF_TOKEN=TOKEN,
    )
    assert pinned.status == 0
    assert [status for status, _ in checked.of("embed.model")] == ["ok"]
    assert [status for status, _ in checked.of("screen.text_classifier")] == ["ok"]
    assert checked.status == 1 and "--pin" in checked.of(site.profile)[0][1]
    assert TOKEN not in checked.stdout + checked.stderr


FETCH = """
import sys
from pathlib import Path
from rich.console import Console
from pipelines.fetch import fetch_models
from schemas.config import load_config
fetch_models(load_config(Path(sys.argv[1]), ['images.source="diffusion"']), Console(stderr=True))
"""


def test_what_was_fetched_once_is_whole_without_pickles_and_needs_no_hub_again(
    site: Hub, pinned: Checked
) -> None:
    script = site.folder / "fetch.py"
    script.write_text(FETCH)
    home = site.folder / "fetched"
    first = run(str(script), site.pinned, hub=site.url, home=home)
    assert (first.status, pinned.status) == (0, 0), first.stderr
    assert not list(home.rglob("*.pt"))
    second = run(str(script), site.pinned, hub=NOBODY, home=home)
    assert second.status == 0, second.stderr
    checked = run("pipelines.doctor", site.pinned, "--json", hub=NOBODY, home=home)
    kept = [one["said"] for one in json.loads(checked.stdout) if one["area"] == "models"]
    assert len(kept) == 4 and all(said.endswith("in the cache") for said in kept)


def test_a_build_whose_models_cannot_be_fetched_ends_with_one_line_and_leaves_nothing(
    site: Hub, pinned: Checked
) -> None:
    out = site.folder / "dataset"
    places = [f"--profile={site.pinned}", f"--out={out}", f"--work-dir={site.folder}/new-work"]
    built = run("pipelines.build", *places, hub=NOBODY, home=site.folder / "none")
    assert (built.status, pinned.status) == (2, 0)
    assert built.stderr.startswith(f"crossharm: tiny/clip: the hub {NOBODY} was not reached")
    assert "hf download tiny/clip" in built.stderr and len(built.stderr.splitlines()) == 1
    assert not out.exists()


def test_pinning_without_a_hub_says_so_in_one_line_and_writes_nothing(site: Hub) -> None:
    out = site.folder / "never.toml"
    failed = run("pipelines.doctor", "laptop", "--pin", str(out), hub=NOBODY, home=site.folder / "none")
    assert failed.status == 1 and not out.exists()
    assert failed.stderr.startswith("crossharm: laion/CLIP") and len(failed.stderr.splitlines()) == 1
