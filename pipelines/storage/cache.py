"""The inference cache under every model: what a model said about an input is computed once and kept.

It is what makes a killed build go on where it stopped, and a changed threshold cost no model call.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar
from weakref import WeakValueDictionary

import numpy as np
import numpy.typing as npt

from pipelines.storage.database import open_database, transaction

if TYPE_CHECKING:
    from pipelines.storage.workspace import Workspace

SCHEMA = "CREATE TABLE IF NOT EXISTS results (key TEXT PRIMARY KEY, value BLOB NOT NULL)"
KEYS_PER_QUERY = 500
"""SQLite caps the variables of a statement; this also bounds what one query holds in memory."""

ExampleT = TypeVar("ExampleT")
AskedT_contra = TypeVar("AskedT_contra", contravariant=True)


class InferenceCache:
    """Keys to bytes in one SQLite file; the first value stored under a key stays.

    Safe for several processes and threads, and for `kill -9` at any moment: a `put_many` is there in full or
    not at all. Pickles to its path. The file must be on a disk whose locks work (write-ahead logging does not
    work across machines on network file systems).

    Args:
        path: The database's file, made at first use along with its directory.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._connection: sqlite3.Connection | None = None
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[InferenceCache], tuple[str]]:
        return InferenceCache, (str(self.path),)

    def get_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        """Look up keys; those that are not stored are absent from the result."""
        found: dict[str, bytes] = {}
        with self._connected() as connection:
            for chunk in _chunks(keys, KEYS_PER_QUERY):
                marks = ",".join("?" * len(chunk))
                found.update(
                    connection.execute(f"SELECT key, value FROM results WHERE key IN ({marks})", chunk)
                )
        return found

    def put_many(self, results: Mapping[str, bytes]) -> None:
        """Store results in one transaction; keys that are stored already keep their value."""
        if not results:
            return
        with self._connected() as connection, transaction(connection):
            # Not INSERT OR IGNORE, which would also drop a row whose value is None without a word.
            statement = "INSERT INTO results VALUES (?, ?) ON CONFLICT (key) DO NOTHING"
            connection.executemany(statement, results.items())

    def __len__(self) -> int:
        with self._connected() as connection:
            (count,) = connection.execute("SELECT count(*) FROM results").fetchone()
        return int(count)

    def close(self) -> None:
        """Close the database; a later call opens it again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            if self._connection is None:
                self._connection = open_database(self.path, SCHEMA)
            yield self._connection


def _chunks(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def encode_floats(values: Sequence[float] | npt.NDArray[Any]) -> bytes:
    """Numbers as little-endian float32, the same bytes on every machine."""
    return np.asarray(values, dtype="<f4").tobytes()


def decode_floats(data: bytes) -> npt.NDArray[np.float32]:
    """The numbers of `encode_floats`, as a float32 vector of its own memory."""
    return np.frombuffer(data, dtype="<f4").astype(np.float32)


def encode_json(value: Any) -> bytes:
    """A JSON value as UTF-8 with sorted keys, so that equal values give equal bytes."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False).encode()


def decode_json(data: bytes) -> Any:
    """The value of `encode_json`."""
    return json.loads(data)


class InferenceError(NamedTuple):
    """In a result's place when the model raised on that input alone; not stored, so asked again next time."""

    key: str
    cause: Exception


class Handler(Protocol[AskedT_contra]):
    """What is asked of a model: the part of a Beam `ModelHandler` that is used here, and a fingerprint."""

    def fingerprint(self) -> str:
        """A sha256 in hex that changes with weights, preprocessing or question."""
        ...

    def load_model(self) -> Any:
        """Load the model."""
        ...

    def run_inference(self, batch: Sequence[AskedT_contra], model: Any) -> Iterable[bytes | Exception]:
        """One result an example, in order; an exception in its place fails that example alone."""
        ...


class Counter(Protocol):
    """What counts hits and model calls, such as a `Tally`."""

    def count(self, name: str, n: int = 1) -> None:
        """Add to a named count."""
        ...


class CachedInference(Generic[ExampleT]):
    """A model that is only asked what it was not asked before.

    The model is loaded when something is missed, and once for all instances of a process whose handlers have
    the same class and fingerprint.

    Args:
        handler: The model.
        workspace: Has `cache(fingerprint)`, the results' home.
        tally: Counts `cached` (answered from the cache) and `inferred` (given to the model).
        flush: After how many new results they are stored; what `kill -9` can cost.
    """

    def __init__(
        self, handler: Handler[ExampleT], workspace: Workspace, tally: Counter | None = None, flush: int = 512
    ) -> None:
        self._handler = handler
        self._fingerprint = handler.fingerprint()
        self._cache: InferenceCache = workspace.cache(self._fingerprint)
        self._tally = tally
        self._flush = flush
        self._loaded: _Loaded | None = None

    def __reduce__(self) -> Any:
        raise TypeError("CachedInference holds a model; make it in a DoFn's setup()")

    def __call__(self, keyed: Sequence[tuple[str, ExampleT]]) -> list[bytes | InferenceError]:
        """Answer `(key, example)` pairs in their order; a key that comes twice is run once.

        Where a batch raises, its examples are run one by one, and an `InferenceError` takes the place of each
        that raises again.
        """
        examples = dict(keyed)
        answers: dict[str, bytes | InferenceError] = {**self._cache.get_many(list(examples))}
        missed = sorted(examples.keys() - answers.keys())
        self._count("cached", len(answers))
        for keys in _chunks(missed, self._flush):
            answers.update(self._infer(keys, [examples[key] for key in keys]))
        return [answers[key] for key, _ in keyed]

    def _infer(self, keys: list[str], batch: list[ExampleT]) -> dict[str, bytes | InferenceError]:
        self._count("inferred", len(keys))
        results = self._run(batch)
        answers: dict[str, bytes | InferenceError]
        if isinstance(results, Exception):
            answers = {key: self._run_alone(key, example) for key, example in zip(keys, batch, strict=True)}
        else:
            answers = {key: _answer(key, result) for key, result in zip(keys, results, strict=True)}
        self._cache.put_many({key: result for key, result in answers.items() if isinstance(result, bytes)})
        return answers

    def _run_alone(self, key: str, example: ExampleT) -> bytes | InferenceError:
        results = self._run([example])
        return _answer(key, results if isinstance(results, Exception) else results[0])

    def _run(self, batch: list[ExampleT]) -> list[bytes | Exception] | Exception:
        """The results of a batch, or what the model raised."""
        model = self._model()
        try:
            results = list(self._handler.run_inference(batch, model))
        except Exception as error:  # noqa: BLE001 - a model may raise anything; the caller hands it on
            return error
        if len(results) != len(batch):
            raise RuntimeError(
                f"{type(self._handler).__name__} gave {len(results)} results for {len(batch)} inputs"
            )
        return results

    def _model(self) -> Any:
        if self._loaded is None:
            self._loaded = _load(self._handler, self._fingerprint)
        return self._loaded.model

    def _count(self, name: str, n: int) -> None:
        if self._tally is not None and n:
            self._tally.count(name, n)


def _answer(key: str, result: bytes | Exception) -> bytes | InferenceError:
    return InferenceError(key, result) if isinstance(result, Exception) else result


class _Loaded:
    """Holds a loaded model; unlike some models it can be referred to weakly."""

    def __init__(self, model: Any) -> None:
        self.model = model


_models: WeakValueDictionary[tuple[type, str], _Loaded] = WeakValueDictionary()
_loading = threading.Lock()


def _load(handler: Handler[Any], fingerprint: str) -> _Loaded:
    """The process's copy of a model, loaded if nobody holds it."""
    with _loading:
        key = (type(handler), fingerprint)
        loaded = _models.get(key)
        if loaded is None:
            loaded = _models[key] = _Loaded(handler.load_model())
        return loaded
