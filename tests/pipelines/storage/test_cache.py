"""The inference cache: nothing is asked twice, and nothing that was stored is lost."""

import os
import pickle
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.storage import cache as cache_module
from pipelines.storage.cache import (
    CachedInference,
    InferenceCache,
    InferenceError,
    decode_floats,
    decode_json,
    encode_floats,
    encode_json,
)
from pipelines.storage.workspace import Workspace

WRITER = """
import sys
from pipelines.storage.cache import InferenceCache
cache, name = InferenceCache(sys.argv[1]), sys.argv[2]
for batch in range(int(sys.argv[3])):
    cache.put_many({f"{name}-{batch}-{i}": b"v" * 500 for i in range(64)})
    sys.stdout.write(f"{batch}\\n")
    sys.stdout.flush()
"""


def _writer(path: Path, name: str, batches: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", WRITER, str(path), name, str(batches)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def test_results_come_back_and_the_first_value_stays(tmp_path: Path) -> None:
    cache = InferenceCache(tmp_path / "c.sqlite")
    cache.put_many({"a": b"1", "b": b"2"})
    cache.put_many({"a": b"other"})
    assert cache.get_many(["b", "a", "missing", "a"]) == {"a": b"1", "b": b"2"}
    assert len(cache) == 2


def test_a_look_up_may_have_more_keys_than_a_query(tmp_path: Path) -> None:
    cache = InferenceCache(tmp_path / "c.sqlite")
    results = {str(i): str(i).encode() for i in range(cache_module.KEYS_PER_QUERY * 3 + 1)}
    cache.put_many(results)
    assert cache.get_many(list(results)) == results


def test_a_put_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    cache = InferenceCache(tmp_path / "c.sqlite")
    broken: Any = {"a": b"1", "b": None}
    with pytest.raises(sqlite3.IntegrityError, match="NOT NULL"):
        cache.put_many(broken)
    cache.put_many({"c": b"3"})
    assert cache.get_many(["a", "b", "c"]) == {"c": b"3"}


def test_a_cache_travels_by_pickle_and_opens_again_after_close(tmp_path: Path) -> None:
    cache = InferenceCache(tmp_path / "c.sqlite")
    cache.put_many({"a": b"1"})
    cache.close()
    assert pickle.loads(pickle.dumps(cache)).get_many(["a"]) == cache.get_many(["a"]) == {"a": b"1"}  # noqa: S301


def test_two_processes_write_one_new_cache_at_once(tmp_path: Path) -> None:
    writers = [_writer(tmp_path / "c.sqlite", name, 30) for name in ("x", "y")]
    assert [writer.communicate(timeout=100) and writer.returncode for writer in writers] == [0, 0]
    assert len(InferenceCache(tmp_path / "c.sqlite")) == 2 * 30 * 64


@pytest.mark.parametrize("delay", [0.0, 0.013, 0.05])
def test_a_killed_writer_loses_at_most_the_batch_in_hand(tmp_path: Path, delay: float) -> None:
    path = tmp_path / "c.sqlite"
    writer = _writer(path, "k", 1_000_000)
    assert writer.stdout is not None
    writer.stdout.readline()
    time.sleep(delay)
    os.kill(writer.pid, signal.SIGKILL)
    # `communicate` would miss the lines that `readline` has buffered.
    acknowledged = 1 + len(writer.stdout.read().splitlines())
    writer.wait(timeout=60)
    stored = len(InferenceCache(path))
    assert stored % 64 == 0, "a batch was stored in part"
    assert acknowledged * 64 <= stored <= (acknowledged + 1) * 64
    InferenceCache(path).put_many({"after": b"1"})
    assert len(InferenceCache(path)) == stored + 1


def test_floats_and_json_survive_their_encoding() -> None:
    assert encode_floats([1.0]) == b"\x00\x00\x80?"
    assert decode_floats(encode_floats(np.array([0.25, -2]))).tolist() == [0.25, -2]
    assert decode_json(encode_json({"b": 1, "a": ["ü"]})) == {"a": ["ü"], "b": 1}
    assert encode_json({"b": 1, "a": 2}) == encode_json({"a": 2, "b": 1})


class Upper:
    """A model that shouts, chokes on "bad", and remembers what it was asked."""

    def __init__(self, fingerprint: str = "0" * 64) -> None:
        self._fingerprint = fingerprint
        self.loads = 0
        self.batches: list[list[str]] = []

    def fingerprint(self) -> str:
        return self._fingerprint

    def load_model(self) -> Any:
        self.loads += 1
        return str.upper

    def run_inference(self, batch: Sequence[str], model: Any) -> Iterable[bytes]:
        self.batches.append(list(batch))
        if "bad" in batch:
            raise ValueError("cannot read bad")
        return [model(example).encode() for example in batch]


class Counts(Counter[str]):
    def count(self, name: str, n: int = 1) -> None:
        self[name] += n


def test_only_what_is_missing_is_inferred_in_key_order_and_answers_keep_their_order(tmp_path: Path) -> None:
    workspace, model, counts = Workspace(str(tmp_path)), Upper(), Counts()
    infer = CachedInference(model, workspace, counts)
    assert infer([("2", "b"), ("1", "a"), ("2", "b")]) == [b"B", b"A", b"B"]
    assert infer([("3", "c"), ("1", "a")]) == [b"C", b"A"]
    assert model.batches == [["a", "b"], ["c"]]
    assert counts == {"inferred": 3, "cached": 1}


def test_a_model_is_not_loaded_when_everything_is_cached(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    CachedInference(Upper(), workspace)([("1", "a")])
    second = Upper()
    assert CachedInference(second, workspace)([("1", "a")]) == [b"A"]
    assert second.loads == 0


def test_instances_of_a_process_share_one_loaded_model(tmp_path: Path) -> None:
    workspace, first, second = Workspace(str(tmp_path)), Upper("1" * 64), Upper("1" * 64)
    held = CachedInference(first, workspace)
    held([("1", "a")])
    CachedInference(second, workspace)([("2", "b")])
    assert (first.loads, second.loads) == (1, 0)


def test_results_are_stored_after_every_flush(tmp_path: Path) -> None:
    class Dies(Upper):
        def run_inference(self, batch: Sequence[str], model: Any) -> Iterable[bytes]:
            if "f" in batch:
                raise KeyboardInterrupt
            return super().run_inference(batch, model)

    workspace = Workspace(str(tmp_path))
    with pytest.raises(KeyboardInterrupt):
        CachedInference(Dies(), workspace, flush=2)([(letter, letter) for letter in "abcdef"])
    assert sorted(workspace.cache("0" * 64).get_many(list("abcdef"))) == list("abcd")


def test_an_input_that_the_model_chokes_on_fails_alone_and_is_not_stored(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    good, bad, other = CachedInference(Upper(), workspace)([("1", "a"), ("2", "bad"), ("3", "c")])
    assert (good, other) == (b"A", b"C")
    assert isinstance(bad, InferenceError)
    assert (bad.key, str(bad.cause)) == ("2", "cannot read bad")
    assert len(workspace.cache("0" * 64)) == 2


def test_a_model_that_gives_too_few_results_is_refused(tmp_path: Path) -> None:
    class Short(Upper):
        def run_inference(self, batch: Sequence[str], model: Any) -> Iterable[bytes]:
            return []

    with pytest.raises(RuntimeError, match="Short gave 0 results for 1"):
        CachedInference(Short(), Workspace(str(tmp_path)))([("1", "a")])


def test_a_cached_inference_refuses_to_travel(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="setup"):
        pickle.dumps(CachedInference(Upper(), Workspace(str(tmp_path))))
