"""Retrieved material on disk: images in a folder, tar or Parquet file; texts in txt, csv, jsonl or Parquet.

A source lists its rows without reading pixels; each row is exactly one `RawAsset`, `Excluded` or `Failed`.
Nothing is ever fetched: an address in a source column is only carried along.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from urllib.parse import quote_from_bytes, unquote_to_bytes

from schemas.records import Excluded, Failed, Modality, Provenance, RawAsset, said_by
from schemas.references import PREFIX

STAGE = "ingest"
LINE_BYTES = 1_000_000
"""Longer lines and sidecars are never held in memory."""
LICENCE, ORIGIN, CAPTION = ("licence", "license"), ("source", "url"), ("caption", "text")
CARRIED = (*LICENCE, *ORIGIN, *CAPTION)

Row = RawAsset | Excluded | Failed


class SourceError(ValueError):
    """A source that is missing, of an unsupported kind, or without the column asked for."""


class TooLarge(ValueError):
    """An image of more bytes than the cap; it was not read.

    Args:
        size: Its bytes.
    """

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size


class Source(Protocol):
    """A pool of texts, whose locators are the texts themselves, or of images. Pickles to little."""

    def rows(self) -> Iterator[Row]:
        """List every row, always in the same order, without reading pixels."""
        ...


class ImageSource(Source, Protocol):
    """A pool of images."""

    def read(self, locator: str, max_bytes: int) -> bytes:
        """Read (or draw) one image.

        Raises:
            OSError: It cannot be read.
            TooLarge: It has more than `max_bytes`.
            Unusable: There are no bytes of an image; the reason says what there is instead.
        """
        ...

    def identity(self, locator: str) -> str:
        """A string that changes whenever the bytes behind the locator may have changed."""
        ...


def open_images(source: str) -> ImageSource:
    """Open a folder, a WebDataset `.tar`, a `.parquet` file or a dataset (`hf:...`) of images; else SourceError."""
    if source.startswith(PREFIX):
        from generators.streamed import StreamedImages

        return StreamedImages(source)
    path = Path(source).expanduser()
    if path.is_dir():
        return Folder(path)
    from generators.archives import ParquetImages, WebDataset

    kinds = {".tar": WebDataset, ".parquet": ParquetImages}
    image_source: ImageSource = _of_suffix(path, kinds, "a folder, .tar or .parquet")(path)
    return image_source


def open_texts(source: str, column: str = "") -> Source:
    """Open a `.txt` (a text a line), `.csv`, `.jsonl` or `.parquet` file, or a dataset (`hf:...`), of texts.

    Args:
        source: The file, or the dataset's spelling.
        column: Column of the text; empty means `text`, `caption` or the only column.

    Raises:
        SourceError: There is no such file, its kind is not supported, or it has no such column.
    """
    if source.startswith(PREFIX):
        from generators.streamed import StreamedTexts

        return StreamedTexts(source, column)
    from generators.textfiles import CsvTexts, Jsonl, Lines, ParquetTexts

    path = Path(source).expanduser()
    kinds = {".txt": Lines, ".csv": CsvTexts, ".jsonl": Jsonl, ".parquet": ParquetTexts}
    text_source: Source = _of_suffix(path, kinds, ".txt, .csv, .jsonl or .parquet")(path, column)
    return text_source


def _of_suffix(path: Path, kinds: Mapping[str, Any], supported: str) -> Any:
    if not path.exists():
        raise SourceError(f"there is no {path}")
    if not path.is_file() or path.suffix.lower() not in kinds:
        raise SourceError(f"{path} is not supported: give {supported}")
    return kinds[path.suffix.lower()]


def printable(text: str) -> str:
    """The text with lone surrogates escaped, so that it can be written as UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()


def row_id(modality: Modality, source: str, name: str) -> str:
    """The id of a row that never became an asset."""
    return hashlib.sha256(f"{modality}\0{source}\0{name}".encode()).hexdigest()


class Pool(NamedTuple):
    """Makes the rows of one source.

    Args:
        modality: Of its rows.
        source: Its name, without directories.
    """

    modality: Modality
    source: str

    def asset(self, locator: str, name: str, carried: Mapping[str, Any]) -> RawAsset:
        """A row; licence, source and caption are taken from its columns where they are strings."""
        licence, origin, caption = (_first(carried, keys) for keys in (LICENCE, ORIGIN, CAPTION))
        provenance = Provenance(origin or self.source, printable(name), "retrieved", licence, caption)
        return RawAsset(locator, provenance)

    def excluded(self, name: str, reason: str, detail: str = "") -> Excluded:
        """A row that cannot be used."""
        name = printable(name)
        id = row_id(self.modality, self.source, name)
        return Excluded(self.modality, id, name, STAGE, reason, detail=printable(detail))

    def failed(self, name: str, error: Exception) -> Failed:
        """A row that could not be read."""
        name = printable(name)
        id = row_id(self.modality, self.source, name)
        return Failed(self.modality, id, name, STAGE, type(error).__name__, printable(said_by(error)))


def _first(carried: Mapping[str, Any], keys: tuple[str, ...]) -> str:
    values = (carried.get(key) for key in keys)
    return next((printable(value) for value in values if isinstance(value, str) and value), "")


class Folder:
    """Every file below a folder, in sorted order, whatever its suffix.

    A `metadata.csv` or `metadata.jsonl` directly in it (as in Hugging Face's ImageFolder: `file_name` and
    other columns) gives licence, source and caption. Locators are percent-encoded relative paths.

    Raises:
        SourceError: The metadata cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._root = path.resolve()
        self._pool = Pool("image", printable(self._root.name))
        _folder_metadata(self._root)

    def rows(self) -> Iterator[Row]:
        """List the files; links that lead outside, and what is no file, are excluded."""
        metadata = _folder_metadata(self._root)
        errors: list[OSError] = []
        for directory, folders, files in os.walk(self._root, onerror=errors.append):
            folders.sort()
            links = [name for name in folders if os.path.islink(os.path.join(directory, name))]
            for name in sorted(files + links):
                relative = os.path.relpath(os.path.join(directory, name), self._root)
                if relative not in ("metadata.csv", "metadata.jsonl"):
                    yield self._row(relative, metadata.get(relative, {}))
            while errors:
                yield self._unreadable(errors.pop())
        for error in errors:
            yield self._unreadable(error)

    def _unreadable(self, error: OSError) -> Failed:
        return self._pool.failed(os.path.relpath(error.filename, self._root), error)

    def _row(self, relative: str, carried: Mapping[str, Any]) -> Row:
        path = self._root / relative
        try:
            target = path.resolve(strict=True)
        except RuntimeError:  # What pathlib raises says where the folder is.
            return self._pool.failed(relative, RuntimeError("symbolic links that go round in a circle"))
        except OSError as error:
            return self._pool.failed(relative, error)
        if not target.is_relative_to(self._root):
            return self._pool.excluded(relative, "outside_folder")
        if not target.is_file():
            return self._pool.excluded(relative, "not_a_file")
        return self._pool.asset(quote_from_bytes(os.fsencode(relative)), relative, carried)

    def read(self, locator: str, max_bytes: int) -> bytes:
        """Read one file."""
        path = self._path(locator).resolve(strict=True)
        if not path.is_relative_to(self._root) or not stat.S_ISREG(path.stat().st_mode):
            raise OSError("it is no longer a file inside the folder")
        with path.open("rb") as file:
            return read_capped(file, os.fstat(file.fileno()).st_size, max_bytes)

    def identity(self, locator: str) -> str:
        """Path, size and modification time."""
        return file_identity(self._path(locator))

    def _path(self, locator: str) -> Path:
        return self._root / os.fsdecode(unquote_to_bytes(locator))


def read_capped(file: Any, size: int, max_bytes: int) -> bytes:
    """Read the next `size` bytes, or raise TooLarge before reading any."""
    if size > max_bytes:
        raise TooLarge(size)
    data: bytes = file.read(size)
    return data


def file_identity(path: Path) -> str:
    """Path, size and modification time of a file."""
    status = path.stat()
    return f"{printable(str(path))}\0{status.st_size}\0{status.st_mtime_ns}"


def _folder_metadata(root: Path) -> dict[str, dict[str, str]]:
    """The carried columns of each file that the metadata names."""
    path = root / "metadata.jsonl"
    try:
        if path.is_file():
            lines = path.read_text(encoding="utf-8").splitlines()
            records = [json.loads(line) for line in lines if line.strip()]
        elif (path := root / "metadata.csv").is_file():
            with path.open(encoding="utf-8-sig", newline="") as file:
                records = list(csv.DictReader(file))
        else:
            return {}
        return {os.path.normpath(r["file_name"]): {k: r[k] for k in CARRIED if r.get(k)} for r in records}
    except (ValueError, KeyError, TypeError, AttributeError, csv.Error, OSError) as error:
        raise SourceError(
            f"{path} cannot be read as rows with a `file_name`: {type(error).__name__}: {error}"
        ) from None
