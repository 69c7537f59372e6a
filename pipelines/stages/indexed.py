"""Indexed search: queries and assets of a split in, the nearest assets of every query out, by way of files.

For each split: the vectors of every shard are written to a file, an index is chosen by their number, its lists are
learned, every shard is indexed, the search is widened until its recall is enough, and the queries are searched in
pieces. Between the steps travel only the names of files.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import apache_beam as beam

from pipelines.stages.embed import Vectors, load_vectors
from pipelines.stages.indexes import BLOCK, LEARNERS, IndexSettings, Kind, build, choose, join, learn
from pipelines.stages.parts import Pool, open_pool, read_index, sample, smallest, write_index, write_vectors
from pipelines.stages.queries import Grouped, Queries, read_ids, split_of_group
from pipelines.stages.search import Tuned, nearest, tune
from pipelines.stages.spill import Spill
from pipelines.storage.spill import Group, SpillFile
from pipelines.storage.workspace import Workspace

QUERIES = 1024
"""Queries searched at once."""
QUERY_GROUPS = 8
"""Pieces in which the queries of a split are searched; not the shards, so that these have no say in the outcome."""
TUNED_ON = 400
"""Queries that recall is measured on; a search of all vectors for each is a small part of building an index."""
_log = logging.getLogger(__name__)


class Choice(NamedTuple):
    """What an index is chosen for."""

    hits: int
    """Wanted for a query."""
    target: float = 0.95
    """Share of the true nearest that must be found."""
    kind: Kind = "auto"


class Stored(NamedTuple):
    """A part that is on disk."""

    path: str
    size: int
    """Vectors in it."""
    dimensions: int


class Indexed(beam.PTransform[Any, Any]):
    """`{"assets": (split, id), "queries": (split, key)}` -> `((split, key), [Hit, ...])`, best first.

    Writes `recall-*.json` to the run's folder, one for each split: what was chosen, and the recall measured.

    Args:
        fingerprint: Of the embedder of the assets.
        queries: What is searched for.
        workspace: Where the vectors of the assets are.
        choice: What an index is chosen for.
        shards: Parts of each split, built independently.
        run_dir: The run's folder.
    """

    def __init__(
        self,
        fingerprint: str,
        queries: Queries,
        workspace: Workspace,
        choice: Choice,
        *,
        shards: int,
        run_dir: str,
    ) -> None:
        super().__init__()
        # Several of these may run at once over the same assets.
        self._folder = Path(run_dir) / f"index-{uuid.uuid4().hex[:12]}"
        self._shards = 1 if choice.kind == "hnsw" else shards
        self._assets = SpillFile(self._folder / "assets.sqlite")
        self._store = _Store(fingerprint, workspace, self._assets, self._folder)
        self._steps = _Steps(self._folder, SpillFile(self._folder / "queries.sqlite"), queries, choice)

    def expand(self, inputs: dict[str, Any]) -> Any:
        """Store, learn, build, tune, search."""
        steps = self._steps
        shards = inputs["assets"] | "Assets" >> Spill(self._assets, Grouped(self._shards))
        groups = inputs["queries"] | "Queries" >> Spill(steps.asked, Grouped(QUERY_GROUPS))
        parts = shards | "Store" >> beam.ParDo(self._store)
        asked = groups | "BySplit" >> beam.Map(lambda group: (split_of_group(group), group))
        learned = {"parts": parts, "queries": asked} | "Stored" >> beam.CoGroupByKey()
        plans = beam.pvalue.AsDict(learned | "Learn" >> beam.FlatMap(steps.learn))
        built = parts | "Build" >> beam.Map(steps.build, plans)
        tuned = {"parts": built, "queries": asked} | "Built" >> beam.CoGroupByKey()
        ready = beam.pvalue.AsDict(tuned | "Tune" >> beam.FlatMap(steps.tune, plans))
        return groups | "Search" >> beam.ParDo(_Search(steps), ready)


class _Store(beam.DoFn):
    """Group of a shard's ids -> (split, `Stored`) once ids and vectors are in files."""

    def __init__(self, fingerprint: str, workspace: Workspace, file: SpillFile, folder: Path) -> None:
        self._fingerprint, self._workspace, self._file, self._folder = fingerprint, workspace, file, folder

    def process(self, group: Group) -> Iterator[tuple[str, Stored]]:
        ids = list(read_ids(self._file, group))
        dimensions = self._load(ids[:1]).shape[1]
        path = self._folder / group.key.replace("/", "-")
        blocks = (self._load(ids[start : start + BLOCK]) for start in range(0, len(ids), BLOCK))
        write_vectors(path, ids, blocks, dimensions)
        yield split_of_group(group), Stored(str(path), len(ids), dimensions)

    def _load(self, ids: list[str]) -> Vectors:
        return load_vectors(self._fingerprint, self._workspace, ids)


class _Steps:
    """The steps from stored parts to a search that is wide enough, for one split at a time."""

    def __init__(self, folder: Path, asked: SpillFile, queries: Queries, choice: Choice) -> None:
        self.asked, self.queries, self.choice = asked, queries, choice
        self._folder = folder

    def learn(self, element: Any) -> Iterator[tuple[str, IndexSettings]]:
        """Choose an index, and learn its lists from a sample."""
        split, groups = element
        parts, asked = groups["parts"], sum(group.size for group in groups["queries"])
        if not parts or not asked:
            return
        size, dimensions = sum(part.size for part in parts), parts[0].dimensions
        count, target, kind = self.choice
        settings = choose(size, dimensions, target, count=count, kind=kind, queries=asked)
        if settings.kind == "ivf":
            drawn = sample(open_pool(_paths(parts)), LEARNERS * settings.lists)
            write_index(self._learned(split), learn(drawn, settings))
        yield split, settings

    def build(self, element: tuple[str, Stored], plans: dict[str, IndexSettings]) -> tuple[str, Stored]:
        """Index a part, unless it is searched without."""
        split, stored = element
        settings = plans.get(split)
        if settings and settings.kind != "flat":
            learned = read_index(self._learned(split), mapped=False) if settings.kind == "ivf" else None
            path = Path(stored.path)
            (part,) = open_pool([path]).parts
            write_index(path, build(part.vectors, settings, learned))
        return element

    def tune(self, element: Any, plans: dict[str, IndexSettings]) -> Iterator[tuple[str, Any]]:
        """Join the parts' indexes, widen the search until recall is enough, and say how much it is."""
        split, groups = element
        if split not in plans:
            return
        parts = sorted(groups["parts"])
        tuned = Tuned(plans[split], 1.0, 0)
        if tuned.settings.kind != "flat":
            keys = chain.from_iterable(read_ids(self.asked, group) for group in sorted(groups["queries"]))
            vectors = self.queries.load(smallest(keys, TUNED_ON))
            count, target, _ = self.choice
            indexes = (read_index(path, mapped=False) for path in _paths(parts))
            write_index(self._whole(split), join(indexes))
            tuned = tune(self.open(split, parts, tuned.settings), vectors, tuned.settings, count, target)
        self._report(split, sum(part.size for part in parts), tuned)
        yield split, (tuned.settings, parts)

    def open(self, split: str, parts: Iterable[Stored], settings: IndexSettings) -> Pool:
        """The pool of a split, once it was tuned."""
        return open_pool(_paths(parts), None if settings.kind == "flat" else self._whole(split))

    def _learned(self, split: str) -> Path:
        return self._folder / f"{split}-learned"

    def _whole(self, split: str) -> Path:
        return self._folder / f"{split}-whole"

    def _report(self, split: str, size: int, tuned: Tuned) -> None:
        said = {"split": split, "vectors": size, "recall": tuned.recall, "measured_on": tuned.queries}
        said |= {**self.choice._asdict(), **tuned.settings._asdict()}
        _log.info("index: %s", said)
        path = self._folder.with_name(f"recall-{self._folder.name.partition('-')[2]}-{split}.json")
        path.write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")


def _paths(parts: Iterable[Stored]) -> list[Path]:
    return [Path(part.path) for part in sorted(parts)]


class _Search(beam.DoFn):
    """Group of a split's queries -> ((split, key), hits)."""

    def __init__(self, steps: _Steps) -> None:
        self._steps = steps

    def setup(self) -> None:
        self._pools: dict[str, Pool] = {}

    def process(self, group: Group, ready: dict[str, tuple[IndexSettings, list[Stored]]]) -> Iterator[Any]:
        split = split_of_group(group)
        if split not in ready:
            return
        settings, stored = ready[split]
        if split not in self._pools:
            self._pools[split] = self._steps.open(split, stored, settings)
        queries, count = self._steps.queries, self._steps.choice.hits
        keys = list(read_ids(self._steps.asked, group))
        for start in range(0, len(keys), QUERIES):
            some = keys[start : start + QUERIES]
            found = nearest(self._pools[split], queries.load(some), settings, count + queries.extra)
            for key, hits in zip(some, found, strict=True):
                if kept := queries.kept(key, hits)[:count]:
                    yield (split, key), kept
