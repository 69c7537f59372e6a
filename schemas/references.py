"""How a dataset of the Hugging Face hub, or a local one of the same layout, is spelled as a source."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import parse_qsl

PREFIX = "hf:"
OPTIONS = ("config", "split")
_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")


class DatasetReference(NamedTuple):
    """Which rows of which dataset; `config` and `split` are empty where the dataset's default is meant."""

    path: str
    """A hub id, or a local folder or file."""
    revision: str = ""
    """Commit or tag of a hub dataset; empty for a local one."""
    config: str = ""
    split: str = ""

    @classmethod
    def parse(cls, source: str) -> DatasetReference:
        """Read `hf:OWNER/NAME@REVISION?config=NAME&split=NAME` or `hf:./FOLDER?...`; both options may be absent.

        Raises:
            ValueError: An unknown option, no hub id, or a hub id without a revision; the message says which.
        """
        path, _, query = source.removeprefix(PREFIX).partition("?")
        options = dict(parse_qsl(query, keep_blank_values=True))
        unknown = [name for name in options if name not in OPTIONS]
        if unknown or (query and not options):
            raise ValueError(f"{source!r} may end in ?config=NAME&split=NAME, but in nothing else")
        if is_local(path):
            return cls(path, "", **options)
        path, _, revision = path.partition("@")
        if not _HUB_ID.fullmatch(path):
            raise ValueError(f"{source!r} names no dataset: write hf:OWNER/NAME@REVISION or hf:./FOLDER")
        if not revision:
            raise ValueError(
                f"the hub dataset {path!r} needs a pinned revision, as in hf:{path}@COMMIT; "
                f"a local folder is spelled hf:./{path}"
            )
        return cls(path, revision, **options)

    @property
    def local(self) -> bool:
        """Whether it lies on this machine."""
        return is_local(self.path)


def is_local(path: str) -> bool:
    """Whether a path is spelled as one of this machine, and not as a hub id."""
    return path.startswith(("/", "./", "../", "~")) or path in (".", "..")


def check_sources(sources: tuple[str, ...]) -> tuple[str, ...]:
    """The sources as they are, once those with the prefix `hf:` have been parsed; ValueError names a wrong one."""
    for source in sources:
        if source.startswith(PREFIX):
            DatasetReference.parse(source)
    return sources
