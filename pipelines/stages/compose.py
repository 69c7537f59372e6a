"""Compose: pairs in, the same pairs with `composed_id` out; a pair whose image cannot be drawn on fails.

Drawn pictures are remembered under (pair, style) and the fingerprint of the layout: a second run draws none.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apache_beam as beam
from apache_beam.pvalue import PCollection, TaggedOutput
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue
from PIL import __version__ as pillow_version
from PIL import features

from pipelines.processes import FEW, Broken, Task
from pipelines.stages.drawing import QUALITY, Drawing, store_drawing
from pipelines.stages.layout import STYLES, VERSION, Style, has_boxes
from schemas.config import Compose as ComposeConfig
from schemas.records import Failed, Pair

if TYPE_CHECKING:
    from pipelines.progress import Tally
    from pipelines.storage.workspace import Workspace

FLUSH = 256
"""Pairs drawn between two writes to the cache."""
BOXES = "with boxes"
"""The count of pictures with a character that no font has."""


def style_of(pair: Pair, config: ComposeConfig) -> Style:
    """The style of a pair: the configured one, or by hash of its text, so that it tells no role.

    Pairs that differ in the image alone look alike, and a pair looks the same in every build.
    """
    if config.style != "mixed":
        return config.style
    digest = hashlib.sha256(f"style:{pair.judgement.candidate.text_id}".encode()).digest()
    return STYLES[int.from_bytes(digest[:8], "big") % len(STYLES)]


def fingerprint(config: ComposeConfig) -> str:
    """What beside pair and style decides the bytes of a picture: width, layout, fonts, libraries (sha256, hex)."""
    versions = {"layout": VERSION, "pillow": pillow_version, "raqm": features.version("raqm")}
    parts: dict[str, Any] = {"stage": "compose", "width": config.width, "quality": QUALITY, **versions}
    if config.fonts:
        parts["fonts"] = [hashlib.sha256(Path(file).read_bytes()).hexdigest() for file in config.fonts]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def key_of(pair: Pair, config: ComposeConfig) -> str:
    """The cache key of a pair's picture."""
    return f"{pair.judgement.candidate.id}:{style_of(pair, config)}"


class _Draw(beam.DoFn):
    """Look up a batch of pairs in the cache, draw the missing, and store them before they are sent on."""

    def __init__(self, config: ComposeConfig, workspace: Workspace, processes: int, tally: Tally) -> None:
        self._config, self._workspace, self._processes, self._tally = config, workspace, processes, tally

    def setup(self) -> None:
        self._blobs = self._workspace.blobs()
        self._cache = self._workspace.cache(fingerprint(self._config))

    def start_bundle(self) -> None:
        self._pending: list[Pair] = []

    def process(self, pair: Pair) -> Iterator[Pair | TaggedOutput[str, Any]]:
        self._tally.count("in")
        self._pending.append(pair)
        if len(self._pending) >= FLUSH:
            yield from self._flush()

    def finish_bundle(self) -> Iterator[WindowedValue | TaggedOutput[str, Any]]:
        window = GlobalWindow()
        for result in self._flush():
            if isinstance(result, TaggedOutput):
                value = WindowedValue(result.value, window.max_timestamp(), (window,))
                yield TaggedOutput(result.tag, value)
            else:
                yield WindowedValue(result, window.max_timestamp(), (window,))

    def _flush(self) -> list[Pair | TaggedOutput[str, Any]]:
        pairs, self._pending = self._pending, []
        known = self._known(pairs)
        missing = [pair for pair in pairs if key_of(pair, self._config) not in known]
        drawn = dict(zip(missing, self._drawn(missing), strict=True))
        results = [self._result(pair, known, drawn.get(pair)) for pair in pairs]
        new = {key_of(pair, self._config): id for pair, id in drawn.items() if isinstance(id, str)}
        self._cache.put_many({key: id.encode() for key, id in new.items()})
        return results

    def _known(self, pairs: Sequence[Pair]) -> dict[str, str]:
        keys = [key_of(pair, self._config) for pair in pairs]
        found = {key: id.decode() for key, id in self._cache.get_many(keys).items()}
        return {key: id for key, id in found.items() if id in self._blobs}

    def _drawn(self, pairs: Sequence[Pair]) -> Iterable[str | Broken]:
        """Of each pair the id of the drawn picture, or why there is none."""
        wanted = [self._drawing(pair) for pair in pairs]
        if self._processes == 1 or len(wanted) <= FEW:
            return [store_drawing(one, self._blobs) for one in wanted]
        begun = [Task(self._processes, store_drawing, one, self._blobs) for one in wanted]
        return [task.result() for task in begun]

    def _drawing(self, pair: Pair) -> Drawing:
        candidate, config = pair.judgement.candidate, self._config
        style = style_of(pair, config)
        return Drawing(candidate.image_id, candidate.text, style, config.width, tuple(config.fonts))

    def _result(
        self, pair: Pair, known: dict[str, str], drawn: str | Broken | None
    ) -> Pair | TaggedOutput[str, Any]:
        self._tally.count("cached" if drawn is None else "inferred")
        if isinstance(drawn, Broken):
            self._tally.count("failed")
            candidate = pair.judgement.candidate
            detail = f"image {candidate.image_id}: {drawn.message}"
            return TaggedOutput(
                "failed", Failed("candidate", candidate.id, candidate.id, "compose", drawn.error, detail)
            )
        self._tally.count("kept")
        if has_boxes(pair.judgement.candidate.text, self._config.fonts):
            self._tally.count(BOXES)
        return pair._replace(composed_id=drawn or known[key_of(pair, self._config)])


class Compose(beam.PTransform[PCollection[Pair], tuple[PCollection[Pair], PCollection[Failed]]]):
    """PCollection of pairs -> (pairs with `composed_id`, failed).

    Args:
        config: Style, width and fonts.
        workspace: Where the images are read, and the pictures and the cache are kept.
        processes: Pictures drawn at once, where there are many.
        tally: Counts `in`, `kept`, `failed`, of the pictures `cached` and `inferred` (drawn), and those `with boxes`.
    """

    def __init__(
        self, config: ComposeConfig, workspace: Workspace, tally: Tally, *, processes: int = 1
    ) -> None:
        super().__init__()
        self._draw = _Draw(config, workspace, processes, tally)

    def expand(self, pairs: PCollection[Pair]) -> tuple[PCollection[Pair], PCollection[Failed]]:
        """Draw in batches."""
        results = pairs | "draw" >> beam.ParDo(self._draw).with_outputs("failed", main="composed")
        return results.composed, results.failed
