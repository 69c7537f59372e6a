"""Which files of a dataset's folder are given away, with their digests. Nothing that is not listed here ever is.

Not `failed/`, whose error messages may name folders of this machine, and of `annotations/` never the salt.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from pipelines.release.card import card_text
from pipelines.release.croissant import Listed, Publication, croissant_text
from pipelines.release.facts import Facts
from pipelines.storage.shards import KINDS

SHARDS = ("data", "excluded")
"""Folders whose shards are given away."""
SINGLE = (
    "audit.json",
    "report.html",
    "annotations/annotations.parquet",
    "annotations/adjudicated.parquet",
    "annotations/agreement.json",
    "annotations/agreement.png",
)
"""Other files that are given away as they are, if they are there."""
DESCRIPTIONS = ("README.md", "croissant.json")
"""Uploaded last: what they describe is there before them."""


class ReleaseError(Exception):
    """The dataset must not, or could not, be given away; the message says why and what to do."""


class ReleaseFile(NamedTuple):
    """A file as it is given away."""

    path: str
    """In the release, with forward slashes."""
    content: Path | bytes
    size: int
    sha256: str


def contents(
    facts: Facts, published: Publication | None, advance: Callable[[str], object] = lambda path: None
) -> list[ReleaseFile]:
    """Everything that is given away, measured anew, descriptions last.

    Args:
        facts: Of the dataset.
        published: Where it goes to.
        advance: Is told each path before it is read.

    Raises:
        ReleaseError: There are no pairs, or a shard is missing, is not what the manifest lists, or is not listed.
    """
    files = list(_shards(facts, advance))
    if not facts.splits:
        raise ReleaseError(f"{facts.path} has no pairs: there is nothing to give away")
    files += [*_single(facts), _manifest(facts)]
    files.append(_of_bytes("README.md", card_text(facts).encode()))
    listed = [Listed(file.path, file.size, file.sha256) for file in files]
    described = croissant_text(facts, listed, published)
    files.append(_of_bytes("croissant.json", described.encode()))
    return sorted(files, key=lambda file: (file.path in DESCRIPTIONS, file.path))


def _shards(facts: Facts, advance: Callable[[str], object]) -> Iterator[ReleaseFile]:
    entries = facts.figures.manifest.get("files", ())
    listed = {entry["path"]: entry["sha256"] for entry in entries}
    _refuse_unlisted(facts.path, set(listed))
    for path, digest in sorted(listed.items()):
        if path.split("/")[0] not in SHARDS:
            continue
        advance(path)
        file = _of_file(facts.path, path)
        if file is None or file.sha256 != digest:
            what = "is missing" if file is None else "has changed"
            raise ReleaseError(f"{facts.path / path} {what} since the manifest was written: build it again")
        yield file


def _refuse_unlisted(dataset: Path, listed: set[str]) -> None:
    """Patterns of the card would load any shard there is, so there must be none that the manifest lacks."""
    found = {f"{folder}/{path.name}" for folder in SHARDS for path in (dataset / folder).glob("*.parquet")}
    if unlisted := sorted(found - listed):
        raise ReleaseError(f"{dataset / unlisted[0]} is not in the manifest: move it away, or build again")
    strange = [path for path in listed if not _is_shard(path)]
    if strange:
        raise ReleaseError(
            f"the manifest of {dataset} lists {strange[0]!r}, which is not the name of a shard"
        )


def _is_shard(path: str) -> bool:
    folder, _, name = path.partition("/")
    kinds = "|".join(KINDS.get(folder, ()))
    return bool(kinds) and bool(re.fullmatch(rf"({kinds})-\d{{5}}-of-\d{{5}}\.parquet", name))


def _single(facts: Facts) -> Iterator[ReleaseFile]:
    for path in SINGLE:
        of_others = path == "audit.json" and facts.audit is None
        if not of_others and (file := _of_file(facts.path, path)):
            yield file


def _manifest(facts: Facts) -> ReleaseFile:
    """The manifest without what tells about the machine, and with the shards that are given away."""
    given = [file for file in facts.manifest["files"] if file["path"].split("/")[0] in SHARDS]
    text = json.dumps({**facts.manifest, "files": given}, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    return _of_bytes("manifest.json", text.encode())


def _of_file(dataset: Path, path: str) -> ReleaseFile | None:
    """None if there is no such regular file in the folder; links are not followed."""
    full = dataset / path
    if full.is_symlink() or full.parent.is_symlink() or not full.is_file():
        return None
    with full.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return ReleaseFile(path, full, file.tell(), digest)


def _of_bytes(path: str, content: bytes) -> ReleaseFile:
    return ReleaseFile(path, content, len(content), hashlib.sha256(content).hexdigest())
