"""The blob store keeps bytes under their hash, whatever happens to its writers."""

import hashlib
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.storage.blobs import BlobStore


def test_a_blob_comes_back_as_it_was_put_under_its_sha256(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    id = store.put(b"pixels")
    assert id == hashlib.sha256(b"pixels").hexdigest()
    assert store.get(id) == b"pixels"
    assert id in store
    assert store.path(id) == tmp_path / id[:2] / id


def test_a_missing_blob_is_named(tmp_path: Path) -> None:
    id = "0" * 64
    assert id not in BlobStore(tmp_path)
    with pytest.raises(KeyError, match=id):
        BlobStore(tmp_path).get(id)


@given(st.text(max_size=70).filter(lambda text: len(text) != 64))
def test_an_id_that_is_no_sha256_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="blob id"):
        BlobStore("/nowhere").path(text)
    assert text not in BlobStore("/nowhere")


@pytest.mark.parametrize("id", ["../" * 21 + "x", "A" * 64, "a" * 64 + "\n", "/" + "a" * 63])
def test_an_id_cannot_leave_the_store(id: str) -> None:
    with pytest.raises(ValueError, match="blob id"):
        BlobStore("/nowhere").get(id)


def test_what_is_there_is_not_written_again(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    inode = store.path(store.put(b"once")).stat().st_ino
    assert store.path(store.put(b"once")).stat().st_ino == inode


def test_a_blob_cut_short_by_a_power_failure_is_healed(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    id = store.put(b"whole")
    store.path(id).write_bytes(b"")
    store.put(b"whole")
    assert store.get(id) == b"whole"


def test_many_writers_of_one_blob_leave_one_file(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(store.put, [b"x" * 100_000] * 32))
    assert len(ids) == 1
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == list(ids)


def test_a_store_travels_by_pickle(tmp_path: Path) -> None:
    id = BlobStore(tmp_path).put(b"a")
    assert pickle.loads(pickle.dumps(BlobStore(tmp_path))).get(id) == b"a"  # noqa: S301
