import shutil
from pathlib import Path

import pytest

from generators.hub import FETCHED
from generators.weights import ModelMissingError
from pipelines.models.resolve import fingerprint, model_folder
from pipelines.models.screening import ImageScreener
from pipelines.storage.workspace import Workspace
from schemas.config import Model


@pytest.fixture
def copied(image_classifier_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(image_classifier_folder, tmp_path / "copy"))


def _print(folder: Path, *settings: str, **model: object) -> str:
    return fingerprint("screen-image", Model.model_validate({"path": str(folder), **model}), *settings)


def test_a_copied_folder_has_the_same_fingerprint(image_classifier_folder: Path, copied: Path) -> None:
    assert _print(copied) == _print(image_classifier_folder)


def test_threads_and_notes_beside_the_weights_change_no_fingerprint(
    image_classifier_folder: Path, copied: Path
) -> None:
    (copied / "README.md").write_text("a note")
    (copied / ".cache").mkdir()
    (copied / ".cache" / "model.safetensors.metadata").write_text("when it was fetched")
    assert _print(copied, threads=3) == _print(image_classifier_folder)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "preprocessor_config.json"])
def test_other_weights_or_settings_in_a_file_change_the_fingerprint(
    image_classifier_folder: Path, copied: Path, name: str
) -> None:
    content = (copied / name).read_bytes()
    (copied / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert _print(copied) != _print(image_classifier_folder)


def test_a_renamed_file_changes_the_fingerprint(image_classifier_folder: Path, copied: Path) -> None:
    (copied / "config.json").rename(copied / "configuration.json")
    assert _print(copied) != _print(image_classifier_folder)


def test_batch_size_labels_and_kind_change_the_fingerprint(image_classifier_folder: Path) -> None:
    model = Model(path=str(image_classifier_folder))
    prints = [
        _print(image_classifier_folder),
        _print(image_classifier_folder, batch_size=8),
        _print(image_classifier_folder, "harmful"),
        _print(image_classifier_folder, "benign"),
        fingerprint("clip-image", model),
    ]
    assert len(set(prints)) == len(prints)
    assert all(len(p) == 64 for p in prints)


def test_the_weights_of_a_local_folder_count_even_if_a_revision_is_given(
    image_classifier_folder: Path, copied: Path
) -> None:
    (copied / "model.safetensors").write_bytes(b"other weights")
    assert _print(copied, revision="v1") != _print(image_classifier_folder, revision="v1")


def test_a_hub_models_fingerprint_is_its_revisions_and_needs_no_download() -> None:
    prints = {fingerprint("judge", Model(path="a/b", revision=r)) for r in ("v1", "v2")}
    prints |= {fingerprint("judge", Model(path="a/c", revision="v1"))}
    assert len(prints) == 3


def test_nothing_that_holds_code_or_pickles_is_fetched() -> None:
    assert not any(pattern.endswith((".bin", ".pt", ".pkl", ".py", "*")) for pattern in FETCHED)


def test_a_folder_without_safetensors_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickled")
    with pytest.raises(ModelMissingError, match=rf"{tmp_path} holds no \.safetensors"):
        model_folder(Model(path=str(tmp_path)))


@pytest.mark.parametrize("path", ["/nowhere/model", "./nowhere", "~/nowhere-at-all"])
def test_a_missing_folder_is_refused_by_name(path: str) -> None:
    with pytest.raises(ModelMissingError, match=r"nowhere.* holds no \.safetensors"):
        model_folder(Model(path=path))


def test_a_handler_of_a_missing_model_fails_at_its_fingerprint(tmp_path: Path) -> None:
    handler = ImageScreener(Model(path=str(tmp_path / "none")), ("harmful",), Workspace(str(tmp_path)))
    with pytest.raises(ModelMissingError, match="none"):
        handler.fingerprint()


def test_a_folder_under_home_is_found(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(copied.parent))
    assert model_folder(Model(path="~/copy")) == copied


def test_a_builtin_model_lies_in_its_worlds_weights(monkeypatch: pytest.MonkeyPatch, copied: Path) -> None:
    (copied.parent / "weights").mkdir()
    copied.rename(copied.parent / "weights" / "judge")
    monkeypatch.setattr("generators.weights.files", lambda name: {"generators.tiny": copied.parent}[name])
    assert model_folder(Model(path="builtin:tiny/judge")) == copied.parent / "weights" / "judge"


@pytest.mark.parametrize("path", ["builtin:tinyworld/none", "builtin:nowhere/judge", "builtin:judge"])
def test_a_builtin_model_that_does_not_ship_is_refused_by_name(path: str) -> None:
    with pytest.raises(ModelMissingError, match=path):
        model_folder(Model(path=path))
