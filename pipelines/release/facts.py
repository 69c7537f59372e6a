"""What the card and the Croissant description say about a dataset, all of it counted in its own folder."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path, PurePath
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.report.figures import Figures
from schemas.canary import KEY, canary_sentence
from schemas.tables import adjudication_schema, annotation_schema

LICENCES = (
    "apache-2.0",
    "cc-by-2.0",
    "cc-by-2.5",
    "cc-by-3.0",
    "cc-by-4.0",
    "cc-by-nc-2.0",
    "cc-by-nc-3.0",
    "cc-by-nc-4.0",
    "cc-by-nc-nd-4.0",
    "cc-by-nc-sa-4.0",
    "cc-by-nd-4.0",
    "cc-by-sa-3.0",
    "cc-by-sa-4.0",
    "cc0-1.0",
    "mit",
    "pddl",
)
"""Identifiers that both the Hub and (in other letter cases) SPDX know."""
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_PLACE = ("id", "source", "licence", "origin", "generator")


class Terms(NamedTuple):
    """What the publisher decides and the data cannot tell."""

    repo: str = ""
    """`owner/name` on the Hub."""
    contact: str = ""
    """Where people ask for removal."""
    unaudited: str = ""
    """Why it is published without having passed the audit."""


NO_TERMS = Terms()


class Split(NamedTuple):
    """The shards of one split."""

    name: str
    files: tuple[Path, ...]
    pairs: int
    images: int
    """Different ones."""
    texts: int


class Place(NamedTuple):
    """How many different images or texts one source gave."""

    modality: str
    source: str
    licence: str
    origin: str
    generator: str
    assets: int


class Annotated(NamedTuple):
    """What people said about the pairs."""

    annotations: int
    annotators: int
    skipped: int
    pairs: int
    statuses: dict[str, int]
    """Adjudicated pairs by status; empty if nothing was adjudicated."""
    agreement: dict[str, dict[str, Any]]
    """Question to Krippendorff's `alpha`, its interval (`low`, `high`) and the number of `pairs`."""


class Facts:
    """Everything that a reader of the dataset is told.

    Args:
        dataset: A folder written by a build.
        terms: Of the publisher.

    Raises:
        FileNotFoundError: There is no manifest, so the build did not come to its end.
    """

    def __init__(self, dataset: Path, terms: Terms = NO_TERMS) -> None:
        self.path = dataset
        self.terms = terms
        self.figures = Figures(dataset)
        self.name = self.figures.name
        self.digest: str = self.figures.manifest.get("dataset_digest", "")
        self.manifest = public_manifest(self.figures.manifest)
        self.configuration: dict[str, Any] = self.manifest.get("configuration", {})
        self.language: str = self.configuration.get("build", {}).get("language", "en")

    @cached_property
    def splits(self) -> list[Split]:
        """The splits that have pairs, in their order."""
        shards: dict[str, list[Path]] = {}
        for split, path in self.figures.data_files():
            shards.setdefault(split, []).append(path)
        parts = self.figures.read_pairs(("image_id", "text_id"))
        found = []
        for name, files in shards.items():
            own = parts.filter(pc.equal(parts["split"], name))
            different = (len(own[column].unique()) for column in ("image_id", "text_id"))
            found.append(Split(name, tuple(files), len(own), *different))
        return [split for split in found if split.pairs]

    @cached_property
    def schema(self) -> pa.Schema | None:
        """The schema of the shards; None if there are none."""
        return pq.read_schema(self.splits[0].files[0]) if self.splits else None

    @property
    def pairs(self) -> int:
        """How many rows `data/` has."""
        return sum(split.pairs for split in self.splits)

    @property
    def size_category(self) -> str:
        """The Hub's name for the number of pairs."""
        return next((name for limit, name in SIZES if self.pairs < limit), "n>1M")

    @property
    def canary(self) -> str:
        """The words by which the dataset is found: those in its shards, or those of its name."""
        stored = (self.schema.metadata or {}).get(KEY) if self.schema else None
        return stored.decode() if stored else canary_sentence(self.name)

    @cached_property
    def places(self) -> list[Place]:
        """Where the images and texts that are in pairs came from, those that gave most first."""
        found = [place for modality in ("image", "text") for place in self._places(modality)]
        return sorted(found, key=lambda x: (x.modality, -x.assets, x))

    def _places(self, modality: str) -> Iterator[Place]:
        columns = [f"{modality}_{name}" for name in _PLACE]
        table = self.figures.read_pairs(columns).select(columns)
        rows = zip(*(column.to_pylist() for column in table.columns), strict=True)
        distinct = {row[0]: row[1:] for row in rows}
        for values, assets in Counter(distinct.values()).items():
            source, licence, origin, generator = (value or "" for value in values)
            yield Place(modality, source, licence, origin, generator, assets)

    @cached_property
    def licences(self) -> dict[str, dict[str, int]]:
        """Licence (`unknown` where a row has none) to modality to number of images or texts."""
        counts: dict[str, dict[str, int]] = {}
        for place in self.places:
            of = counts.setdefault(place.licence or "unknown", {"image": 0, "text": 0})
            of[place.modality] += place.assets
        return dict(sorted(counts.items()))

    @property
    def licence(self) -> str:
        """The Hub's identifier of the one licence of all rows; `other` if there are several or it is unknown."""
        names = {name.strip().lower().replace(" ", "-") for name in self.licences}
        return next(iter(names)) if len(names) == 1 and names <= set(LICENCES) else "other"

    @cached_property
    def audit(self) -> dict[str, Any] | None:
        """What `audit.json` says, if there is one of these very shards."""
        found = _read_json(self.path / "audit.json")
        return found if found and found.get("dataset_digest", self.digest) == self.digest else None

    @cached_property
    def annotated(self) -> Annotated | None:
        """What `annotations/` holds, if anybody annotated."""
        folder = self.path / "annotations"
        rows = _rows(folder / "annotations.parquet", annotation_schema())
        if not rows:
            return None
        adjudicated = _rows(folder / "adjudicated.parquet", adjudication_schema())
        return Annotated(
            annotations=len(rows),
            annotators=len({row["annotator"] for row in rows}),
            skipped=sum(row["skipped"] for row in rows),
            pairs=len({row["pair_id"] for row in rows}),
            statuses=dict(sorted(Counter(row["status"] for row in adjudicated).items())),
            agreement=(_read_json(folder / "agreement.json") or {}).get("questions", {}),
        )


def public_manifest(manifest: dict[str, Any]) -> dict[str, Any]:
    """The manifest without what tells about the machine: times, folders, addresses of servers.

    Of an absolute path the last part is kept, of a served model its name.
    """
    public = {key: value for key, value in manifest.items() if key != "run"}
    public["configuration"] = _without_places(manifest.get("configuration", {}))
    return public


def _without_places(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_places(item) for key, item in value.items() if key != "url"}
    if isinstance(value, list):
        return [_without_places(item) for item in value]
    if isinstance(value, str) and re.match(r"[/~\\]|[A-Za-z]:[/\\]|\.\.?[/\\]|file:", value):
        return PurePath(value.replace("\\", "/")).name
    return value


def _rows(path: Path, schema: pa.Schema) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    known = [name for name in ("annotator", "skipped", "pair_id", "status") if name in schema.names]
    rows: list[dict[str, Any]] = pq.read_table(path, columns=known).to_pylist()
    return rows


def _read_json(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content
