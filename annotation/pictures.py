"""Pictures of a dataset as files named by their sha256, at a place that Label Studio can show them from."""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol
from urllib.parse import quote

from annotation.dataset import AnnotationError, batches, replaced

if TYPE_CHECKING:
    from annotation.studio import Studio

MAX_BYTES = 20_000_000
MAX_PIXELS = 40_000_000
LOCAL_FILES = "/data/local-files/?d="
"""Where Label Studio shows files of its document root."""
FORMATS = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp"}
"""Pillow's formats that are accepted, and their file endings."""


class Shown(NamedTuple):
    """The addresses of a pair's two pictures."""

    image: str
    composed: str


class Place(Protocol):
    """Where pictures are put."""

    def put(self, name: str, content: bytes) -> str:
        """Store a picture unless it is there, and return its address for a task."""


class BrokenPictureError(Exception):
    """A picture that is missing, too large or no picture."""


class Folder:
    """A folder of this machine, under a root that a server shows."""

    def __init__(self, document_root: Path, name: str, address: str = LOCAL_FILES) -> None:
        """Make the folder.

        Args:
            document_root: Exists.
            name: Of the folder in it.
            address: What comes before a path under the root in the address of a file.

        Raises:
            AnnotationError: The document root does not exist.
        """
        if not document_root.is_dir():
            raise AnnotationError(f"the document root {document_root} is no folder of this machine")
        self.path = document_root.resolve() / name
        self._root, self._address = document_root.resolve(), address
        self.path.mkdir(exist_ok=True)

    def put(self, name: str, content: bytes) -> str:
        """Write the file, whole or not at all."""
        target = self.path / name[:2] / name
        if not target.exists() or target.stat().st_size != len(content):
            target.parent.mkdir(exist_ok=True)
            with replaced(target) as temporary:
                temporary.write_bytes(content)
        return self._address + quote(str(target.relative_to(self._root)))


class Bucket:
    """A folder of a bucket, written by fsspec; Label Studio signs the addresses by the project's own storage."""

    def __init__(self, address: str) -> None:
        """Open it.

        Args:
            address: Such as `s3://bucket/folder` or `gs://bucket/folder`.

        Raises:
            AnnotationError: The address is wrong, or fsspec lacks the package for it.
        """
        import fsspec

        try:
            self._files, root = fsspec.core.url_to_fs(address)
        except (ImportError, ValueError) as error:
            raise AnnotationError(f"{address} cannot be opened: {error}") from None
        self._root, self._scheme = root.rstrip("/"), address.split("://", 1)[0]

    def put(self, name: str, content: bytes) -> str:
        """Write the object unless it is there."""
        path = f"{self._root}/{name[:2]}/{name}"
        if not self._files.exists(path):
            self._files.pipe_file(path, content)
        return f"{self._scheme}://{path.lstrip('/')}"


def bucket(address: str, kind: Literal["s3", "gcs"], studio: Studio) -> Bucket:
    """Open the folder of a bucket that the project has a storage for.

    Raises:
        AnnotationError: The address does not belong to the kind, or the project has no such storage.
    """
    scheme = {"s3": "s3://", "gcs": "gs://"}[kind]
    if not address.startswith(scheme):
        raise AnnotationError(f"--document-root {address!r} does not begin with {scheme}")
    name = address.removeprefix(scheme).split("/", 1)[0]
    if name not in studio.buckets(kind):
        raise AnnotationError(
            f"project {studio.project_id} has no cloud storage for bucket {name!r}: "
            "add it in the project's settings, so that the server can show the pictures"
        )
    return Bucket(address)


def export(
    path: Path, wanted: Collection[str], place: Place, advance: Callable[[], None] = lambda: None
) -> tuple[dict[str, Shown], dict[str, str]]:
    """Put the pictures of pairs in their place.

    Args:
        path: The dataset.
        wanted: Ids of the pairs.
        place: Where they go.
        advance: Called once a pair.

    Returns:
        Pair id to addresses, and pair id to what is wrong with a picture.
    """
    shown: dict[str, Shown] = {}
    broken: dict[str, str] = {}
    for row in _rows(path, wanted):
        try:
            image, composed = (_checked(row, column) for column in Shown._fields)
            shown[row["id"]] = Shown(place.put(*image), place.put(*composed))
        except BrokenPictureError as error:
            broken[row["id"]] = str(error)
        advance()
    return shown, broken


def picture(value: Any) -> tuple[str, bytes]:
    """Check a picture of a row and name it by its sha256.

    Raises:
        BrokenPictureError: It is missing, too large, or Pillow cannot read all of it.
    """
    content = (value or {}).get("bytes")
    if not content:
        raise BrokenPictureError("missing")
    if len(content) > MAX_BYTES:
        raise BrokenPictureError(f"larger than {MAX_BYTES:,} bytes")
    return f"{hashlib.sha256(content).hexdigest()}.{FORMATS[_format(content)]}", content


def _checked(row: Mapping[str, Any], column: str) -> tuple[str, bytes]:
    try:
        return picture(row[column])
    except BrokenPictureError as error:
        raise BrokenPictureError(f"{column} is {error}") from error


def _format(content: bytes) -> str:
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=tuple(FORMATS)) as opened:
                if opened.width * opened.height > MAX_PIXELS:
                    raise BrokenPictureError(f"larger than {MAX_PIXELS:,} pixels")
                opened.load()
                return str(opened.format)
    except (
        OSError,
        ValueError,
        SyntaxError,
        Image.DecompressionBombWarning,
        Image.DecompressionBombError,
    ) as error:
        raise BrokenPictureError("not a picture that can be read") from error


def _rows(path: Path, wanted: Collection[str]) -> Iterator[dict[str, Any]]:
    for batch in batches(path, ("id", "image", "composed"), rows=50):
        mask = [value in wanted for value in batch.column("id").to_pylist()]
        if any(mask):
            import pyarrow as pa

            yield from batch.filter(pa.array(mask)).to_pylist()
