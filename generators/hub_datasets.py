"""Opens datasets of the Hugging Face hub, and local ones of the same layouts, for streaming with `datasets`.

No code of a dataset is run, and what may be read is its own files: a card that names others is refused. A token
comes from the environment or from the hub's own store, never from a profile.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from generators.corpora import SourceError, printable
from schemas.references import OPTIONS, DatasetReference

LAYOUTS = ("parquet", "webdataset", "json", "csv", "text")
"""Layouts whose readers of `datasets` neither run code nor unpickle anything."""
_OF_SUFFIX = {".parquet": "parquet", ".tar": "webdataset", ".jsonl": "json", ".json": "json", ".csv": "csv"}
_BUFFER = 1 << 20
IMAGE_BATCH = 8
"""Rows of a Parquet file that are held at once while images are read."""


class Opened(NamedTuple):
    """A split, ready to be streamed."""

    dataset: Any
    """An `IterableDataset` that decodes nothing."""
    layout: str
    columns: tuple[str, ...]
    images: tuple[str, ...]
    """The columns that `datasets` takes for images."""
    identity: str
    """sha256 (hex) that changes with the files of the split: their names and commit, or sizes and times."""


def open_dataset(
    reference: DatasetReference, columns: Sequence[str] = (), batch: int = IMAGE_BATCH
) -> Opened:
    """Open one split of a dataset, without reading more than its first rows.

    Args:
        reference: The dataset.
        columns: The columns that will be read; others need not be fetched. Empty means all.
        batch: Rows of a Parquet file that are held at once.

    Raises:
        SourceError: There is no such dataset, configuration or split, it is gated, the hub cannot be reached, or
            its layout is not one of `LAYOUTS`.
    """
    try:
        builder = _builder(reference)
        layout = _layout(reference, builder)
        split = _split(reference, builder.config.data_files)
        _narrow(builder, layout, columns, batch)
        dataset = builder.as_streaming_dataset(split=split)
        features = dataset.features or {}
        names = list(features) or list(next(iter(dataset), {}))
    except reading_errors() as error:
        raise SourceError(_explained(reference, error)) from None
    if not names:
        raise SourceError(f"{spelled(reference)} has no rows")
    if columns and features:
        dataset = dataset.select_columns([name for name in columns if name in features])
    images = tuple(name for name, kind in features.items() if type(kind).__name__ == "Image")
    files = builder.config.data_files[split]
    undecoded = dataset.decode(False) if features else dataset
    return Opened(undecoded, layout, tuple(names), images, _identity(reference, files))


def reading_errors() -> tuple[type[Exception], ...]:
    """What `datasets`, its readers and the hub raise on files and connections that cannot be used."""
    import tarfile

    import httpx2
    import pyarrow as pa
    from datasets.exceptions import DatasetsError

    library = (DatasetsError, pa.ArrowException, tarfile.TarError, httpx2.HTTPError)
    return (OSError, ValueError, KeyError, TypeError, RuntimeError, EOFError, *library)


def spelled(reference: DatasetReference) -> str:
    """What written rows call a dataset: no directory of this machine, but hub id and revision, or a folder's name."""
    options = [f"{name}={value}" for name, value in reference._asdict().items() if name in OPTIONS and value]
    name = Path(reference.path).expanduser().resolve().name if reference.local else reference.path
    revision = f"@{reference.revision}" if reference.revision else ""
    return printable(f"{name}{revision}" + ("?" + "&".join(options) if options else ""))


def _builder(reference: DatasetReference) -> Any:
    from datasets import load_dataset_builder

    name = reference.config or None
    if not reference.local:
        if os.path.isdir(reference.path):
            raise SourceError(
                f"the folder {reference.path} hides the hub dataset of that name: write hf:./{reference.path} if "
                "you mean the folder, else rename it or work in another directory"
            )
        return load_dataset_builder(reference.path, name, revision=reference.revision)
    path = Path(reference.path).expanduser()
    if not path.exists():
        raise SourceError(f"there is no {path}")
    if path.is_dir():
        return load_dataset_builder(str(path), name)
    if path.suffix.lower() not in _OF_SUFFIX:
        raise SourceError(f"{path} is not supported: give a folder, or {', '.join(_OF_SUFFIX)}")
    return load_dataset_builder(_OF_SUFFIX[path.suffix.lower()], name, data_files=os.path.abspath(path))


def _layout(reference: DatasetReference, builder: Any) -> str:
    """The layout, if it is one of `LAYOUTS` and all files are the dataset's own; else SourceError."""
    layout = type(builder).__module__.rpartition(".")[2]
    if layout == "imagefolder":
        raise SourceError(
            f"{spelled(reference)} holds its images as single files, which cannot be streamed: give a local folder "
            "without `hf:`, or of the hub the commit of its branch refs/convert/parquet, if it has one"
        )
    if layout not in LAYOUTS:
        raise SourceError(f"{spelled(reference)} is laid out as {layout}; supported are {', '.join(LAYOUTS)}")
    for files in builder.config.data_files.values():
        for file in files:
            if not _own(reference, file):
                raise SourceError(
                    f"the card of {spelled(reference)} names a file outside of it: {printable(file)}"
                )
    return layout


def _own(reference: DatasetReference, file: str) -> bool:
    """Whether a file lies in the dataset; links in a local folder may lead outside, as in the hub's cache."""
    if not reference.local:
        return file.startswith(f"hf://datasets/{reference.path}@")
    return Path(os.path.normpath(file)).is_relative_to(os.path.abspath(os.path.expanduser(reference.path)))


def _split(reference: DatasetReference, splits: Mapping[Any, Any]) -> str:
    """The split asked for; else `train`, or the only one; SourceError names the splits there are."""
    there = [str(split) for split in splits]
    wanted = reference.split or ("train" if len(there) > 1 else there[0])
    if wanted not in there:
        raise SourceError(
            f"{spelled(reference._replace(split=''))} has no split {wanted!r}; write ?split= with one of its "
            f"splits: {', '.join(there)}"
        )
    return wanted


def _narrow(builder: Any, layout: str, columns: Sequence[str], batch: int) -> None:
    """Have a Parquet file read a few rows at a time, and without the columns that nobody asks for."""
    if layout != "parquet":
        return
    import pyarrow.dataset as ds

    builder.config.batch_size = batch
    builder.config.columns = list(columns) or None
    builder.config.fragment_scan_options = ds.ParquetFragmentScanOptions(
        use_buffered_stream=True, buffer_size=_BUFFER, pre_buffer=False
    )


def _identity(reference: DatasetReference, files: Any) -> str:
    """A hub file's name holds its commit; a local one counts with size and time."""
    digest = hashlib.sha256()
    for file in files:
        status = os.stat(file) if reference.local else None
        known = (status.st_size, status.st_mtime_ns) if status else ()
        digest.update(f"{printable(file)}\0{known}\n".encode())
    return digest.hexdigest()


def _explained(reference: DatasetReference, error: Exception) -> str:
    """One line that says what was wrong, and what to do."""
    name, said = spelled(reference), " ".join(printable(str(error)).split())[:300]
    if isinstance(error, SourceError):
        return str(error)
    if "gated" in said.lower():
        return f"{name} is gated: ask for access on its page of the hub, then `hf auth login` or set HF_TOKEN"
    if not reference.local and (isinstance(error, ConnectionError) or "LocalEntryNotFound" in said):
        return f"{name}: the hub cannot be reached (network? HF_HUB_OFFLINE?): {said}"
    if "onfig name is missing" in said or "BuilderConfig" in said:
        return f"{name}: write ?config= with one of its configurations: {said}"
    return f"{name} cannot be opened: {said}"
