import pytest

from schemas.config import Images
from schemas.references import DatasetReference


@pytest.mark.parametrize(
    ("source", "parts"),
    [
        ("hf:owner/name@1a2b", ("owner/name", "1a2b", "", "")),
        ("hf:name@v1.0", ("name", "v1.0", "", "")),
        ("hf:owner/name@refs/pr/1?split=test", ("owner/name", "refs/pr/1", "", "test")),
        ("hf:owner/name@1a2b?config=en&split=validation", ("owner/name", "1a2b", "en", "validation")),
        ("hf:./folder", ("./folder", "", "", "")),
        ("hf:../a@b/file.parquet?config=c", ("../a@b/file.parquet", "", "c", "")),
        ("hf:~/data", ("~/data", "", "", "")),
    ],
)
def test_a_spelling_is_read(source: str, parts: tuple[str, ...]) -> None:
    assert DatasetReference.parse(source) == parts


@pytest.mark.parametrize(
    ("source", "match"),
    [
        ("hf:owner/name", "needs a pinned revision"),
        ("hf:owner/name@", "needs a pinned revision"),
        ("hf:", "names no dataset"),
        ("hf:a/b/c@1", "names no dataset"),
        ("hf:https://x.test/a@1", "names no dataset"),
        ("hf:owner/name@1?revision=2", "config=NAME&split=NAME"),
        ("hf:owner/name@1?train", "config=NAME&split=NAME"),
    ],
)
def test_a_wrong_spelling_is_refused_with_the_right_one(source: str, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        DatasetReference.parse(source)


def test_a_profile_with_a_hub_dataset_needs_its_revision() -> None:
    assert Images(source=("tinyworld", "hf:owner/name@1a2b")).source[1] == "hf:owner/name@1a2b"
    with pytest.raises(ValueError, match="pinned revision, as in hf:owner/name@COMMIT"):
        Images(source=("tinyworld", "hf:owner/name"))
