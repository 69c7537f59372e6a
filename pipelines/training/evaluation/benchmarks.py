"""External benchmarks: a folder of images with their texts and labels in, items out, and every row that cannot be used.

The layouts are those of `layouts.py`. The kind `folder` is our own: JSON lines with `image` (a path from the folder),
`text`, `label` (`harmful` or 1, `benign` or 0), and if there are any `id`, `rationale` (a string or several), `hazard`
and `contrast_group`. Nothing is fetched, and nothing outside the folder is opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from generators.decode import Unusable, decode_image, normalise_text
from pipelines.training.evaluation.items import Item
from pipelines.training.evaluation.layouts import LABELS, LAYOUTS, Layout
from pipelines.training.evaluation.row_files import Row, rows_of
from pipelines.training.examples import Example
from schemas.config import Ingest
from schemas.reasoning import HARMFUL

if TYPE_CHECKING:
    from PIL import Image

CAPS = Ingest(max_characters=4000)
"""What an image and a text may be at most; larger images are scaled down as in a build."""


class Failure(NamedTuple):
    """A row that cannot be used."""

    place: str
    """File and number of the row, from 1."""
    reason: str
    """A snake_case code."""
    detail: str


class Benchmark(NamedTuple):
    """What was read of a folder."""

    name: str
    items: list[Item]
    failed: list[Failure]
    rows: int
    """Those of the files: items and failures together."""


def parse_benchmark(given: str) -> tuple[str, Path]:
    """Kind and folder of `KIND:FOLDER`.

    Raises:
        ValueError: There is no such kind or folder.
    """
    kind, _, folder = given.partition(":")
    if kind not in LAYOUTS or not folder:
        raise ValueError(f"{given!r} is not KIND:FOLDER with a kind of {', '.join(LAYOUTS)}")
    if not Path(folder).is_dir():
        raise ValueError(f"{given!r}: there is no folder {folder}")
    return kind, Path(folder)


def read_benchmark(kind: str, folder: Path) -> Benchmark:
    """Read a benchmark; images are decoded here once to see that they can be, and again when they are asked about.

    Raises:
        ValueError: No file of this kind's layout is there, one is not JSON as a whole, or no row can be used.
    """
    found = [(layout, file) for layout in _ways(kind, folder) for file in _files(layout, folder)]
    if not found:
        wanted = ", ".join(pattern for way in LAYOUTS[kind] for layout in way for pattern in layout.files)
        raise ValueError(f"{folder} is no {kind} benchmark: it has none of {wanted}")
    name = f"{kind}:{folder.resolve().name}"
    items: dict[str, Item] = {}
    failed = []
    rows = 0
    for layout, file in found:
        for row in rows_of(file, folder):
            rows += 1
            try:
                item = _item(name, layout, row, file.parent, folder)
                if item.example.id in items:
                    raise Unusable("repeated_id", item.example.id)
                items[item.example.id] = item
            except Unusable as why:
                failed.append(Failure(row.place, why.reason, why.detail))
    if not items:
        raise ValueError(
            f"{folder}: none of {rows} rows can be used; the first: {failed[0] if failed else 'none'}"
        )
    return Benchmark(name, list(items.values()), failed, rows)


def _ways(kind: str, folder: Path) -> tuple[Layout, ...]:
    return next((way for way in LAYOUTS[kind] if any(_files(layout, folder) for layout in way)), ())


def _files(layout: Layout, folder: Path) -> list[Path]:
    return sorted(path for pattern in layout.files for path in folder.glob(pattern) if path.is_file())


def _item(part: str, layout: Layout, row: Row, beside: Path, folder: Path) -> Item:
    if not isinstance(row.value, Mapping):
        raise Unusable("bad_json", "the row is no JSON object")
    fields = row.value
    path = _image_path(layout, _string(fields, layout.image), beside, folder)
    _decoded(path)
    example = _example(layout, row, fields)
    tie = str(fields.get(layout.tie) or "") if layout.tie else ""
    return Item(example, part, example.contrast_group or tie or example.id, partial(_decoded, path), None)


def _example(layout: Layout, row: Row, fields: Mapping[str, Any]) -> Example:
    verdict = layout.verdict or _label(fields, layout.label)
    text = normalise_text(_string(fields, layout.text), CAPS.max_characters)
    key = fields.get(layout.id)
    harmful = verdict == HARMFUL
    says = fields.get(layout.image_says) if layout.image_says else None
    return Example(
        id=f"{layout.mark}{row.place if key in (None, '') else key}",
        text=text,
        verdict=verdict,
        role="",
        hazard=str(fields.get(layout.hazard) or "") if harmful and layout.hazard else "",
        mechanism="",
        contrast_group=str(fields.get(layout.group) or "") if layout.group else "",
        references=_rationales(fields.get(layout.rationale)) if harmful and layout.rationale else (),
        image_says=(says,) if isinstance(says, str) and says.strip() else (),
        text_says=(text,),
        p_image=float("nan"),
        p_text=float("nan"),
        provenance="",
    )


def _string(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value.strip():
        raise Unusable("missing_field", name)
    return value


def _label(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if value is None or value == "":
        raise Unusable("missing_field", name)
    verdict = LABELS.get(str(value).strip().lower())
    if verdict is None:
        raise Unusable("unknown_label", repr(value)[:80])
    return verdict


def _rationales(value: Any) -> tuple[str, ...]:
    several = value if isinstance(value, list) else [value]
    return tuple(one for one in several if isinstance(one, str) and one.strip())


def _image_path(layout: Layout, name: str, beside: Path, folder: Path) -> Path:
    """The file of an image; what lies outside the benchmark's folder is refused, links included."""
    root = folder.resolve()
    bases = [
        base for base in ((beside / one).resolve() for one in layout.images) if base.is_relative_to(root)
    ]
    escaped = False
    for place in (base / f"{name}{suffix}" for base in bases for suffix in layout.suffixes):
        try:
            path = place.resolve()
            inside = path.is_relative_to(root)
            if inside and path.is_file():
                return path
        except (OSError, ValueError):
            continue
        escaped = escaped or not inside
    raise Unusable("outside_folder" if escaped else "missing_image", name[:200])


def _decoded(path: Path) -> Image.Image:
    if path.stat().st_size > CAPS.max_bytes:
        raise Unusable("too_many_bytes", path.name, path.stat().st_size, CAPS.max_bytes)
    return decode_image(path.read_bytes(), CAPS)
