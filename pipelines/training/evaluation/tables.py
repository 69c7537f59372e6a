"""The comparison as tables: one a part with a line a model, and one of the differences; as Markdown and for rich."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from pipelines.training.evaluation.bootstrap import Estimate
from pipelines.training.evaluation.summary import Figures

if TYPE_CHECKING:
    from rich.table import Table as RichTable

COLUMNS = {
    "f1": "F1",
    "precision": "precision",
    "recall": "recall",
    "accuracy": "accuracy",
    "auroc": "AUROC",
    "calibration_error": "calibration error",
    "contrast_accuracy": "contrast sets",
    "f1_image_only": "F1, image only",
    "f1_text_only": "F1, text only",
    "gain_over_one_modality": "gain over one",
    "hazard": "hazard",
    "rouge_l": "ROUGE-L",
    "similarity": "similarity",
    "entailment": "entailment",
    "judged": "judged",
    "grounding": "grounding",
    "names_image": "names image",
    "names_text": "names text",
    "masked_changes": "masked",
    "control_changes": "masked elsewhere",
    "masked_changes_image": "image masked",
    "well_formed": "well-formed",
}
"""Measure to its heading, in the order of the columns."""
TWO_CLASSES = {"f1", "precision", "f1_image_only", "f1_text_only", "gain_over_one_modality"}
"""Measures that a model maximises on harmful pairs alone by calling everything harmful."""
WITH_INTERVAL = ("f1", "auroc", "contrast_accuracy", "gain_over_one_modality", "grounding")
LEGEND = (
    "In brackets: 95 % intervals from 1,000 resamples of contrast sets. *contrast sets*: all members right. *gain over "
    "one*: F1 above the better of image only and text only. *masked*: rightly harmful verdicts that turn benign when "
    "the evidence is masked; *masked elsewhere*: when as much is masked where there is none. *grounding*: rationales "
    "that name a word of the image's description and one of the text. A verdict that cannot be read counts as wrong."
)


class Table(NamedTuple):
    """Headings and cells."""

    title: str
    head: list[str]
    lines: list[list[str]]
    beside: list[list[str]] = []  # noqa: RUF012  # A tuple's default is never changed.
    """Further lines, to hold the others against; a terminal has no room for them."""

    def markdown(self) -> str:
        """With its title as a heading."""
        rows = [self.head, ["---"] + ["---:"] * (len(self.head) - 1), *self.lines, *self.beside]
        return f"## {self.title}\n\n" + "".join(f"| {' | '.join(map(_cell, row))} |\n" for row in rows)

    def rich(self) -> RichTable:
        """For a terminal: turned round if that makes it narrower; where it is too wide, no digit is lost."""
        from rich.box import SIMPLE
        from rich.table import Table as RichTable
        from rich.text import Text

        rows = [self.head, *self.lines]
        if len(self.lines) < len(self.head):
            rows = [list(column) for column in zip(*rows, strict=True)]
        table = RichTable(
            title=self.title, title_justify="left", box=SIMPLE, collapse_padding=True, pad_edge=False
        )
        for number, heading in enumerate(rows[0]):
            table.add_column(Text(heading), justify="right" if number else "left", overflow="fold")
        for row in rows[1:]:
            table.add_row(*(Text(cell.replace(" [", "\n[")) for cell in row))
        return table


def part_table(part: str, figures: dict[str, Figures], references: Mapping[str, Estimate]) -> Table:
    """The measures of all models on a part; measures that none has are left out.

    Two more lines tell what the figures are to be held against: a model that calls everything harmful, and what of the
    rationales is measured, measured of the references.
    """
    some = next(iter(figures.values()))
    only = {some.rows: "all harmful", 0: "all benign"}.get(some.harmful, "")
    shown = [
        name
        for name in COLUMNS
        if any(_known(one.measures.get(name)) for one in figures.values())
        and not (only and name in TWO_CLASSES)
    ]
    lines = [
        [model, *(written(one.measures.get(name), name in WITH_INTERVAL) for name in shown)]
        for model, one in figures.items()
    ]
    beside = [] if only else [["everything harmful", *_trivial(shown, some.harmful / some.rows)]]
    if any(name in shown for name in references):
        beside.append(["the references", *(written(references.get(name), False) for name in shown)])
    sets = f", {some.contrast_sets} contrast sets" if some.contrast_sets else ""
    pairs = f"{some.rows} pairs{f', {only}' if only else ''}"
    return Table(f"{part} ({pairs}{sets})", ["model", *(COLUMNS[name] for name in shown)], lines, beside)


def _trivial(shown: Sequence[str], share: float) -> list[str]:
    """Of a model that calls everything harmful, where that share is."""
    known = {
        "f1": 2 * share / (1 + share),
        "precision": share,
        "recall": 1.0,
        "accuracy": share,
        "auroc": 0.5,
    }
    return [f"{known[name]:.3f}" if name in known else "-" for name in shown]


def difference_table(part: str, differences: Sequence[tuple[str, str, dict[str, Estimate]]]) -> Table:
    """How much more one model reaches than another, with the interval of the paired difference."""
    found = [(f"{one} - {other}", values) for one, other, values in differences]
    shown = [name for name in COLUMNS if any(_known(values.get(name)) for _, values in found)]
    lines = [
        [pair, *(written(values.get(name), True, sign=True) for name in shown)] for pair, values in found
    ]
    return Table(f"{part}: paired differences", ["models", *(COLUMNS[name] for name in shown)], lines)


def written(value: Estimate | None, interval: bool, *, sign: bool = False) -> str:
    """An estimate as text, such as `0.812 [0.780, 0.841]`; a dash for none."""
    if value is None or value.value is None:
        return "-"
    form = "{:+.3f}" if sign else "{:.3f}"
    text = form.format(value.value)
    if interval and value.low is not None and value.high is not None:
        text += f" [{form.format(value.low)}, {form.format(value.high)}]"
    return text


def _known(value: Estimate | None) -> bool:
    return value is not None and value.value is not None


def _cell(text: str) -> str:
    return text.replace("|", r"\|")
