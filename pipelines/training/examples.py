"""The pairs of a dataset folder as training and evaluation see them, from builds and from finalized datasets alike."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pipelines.models.special_tokens import broken_up, pattern_of
from schemas.reasoning import BENIGN, HARMFUL, PROMPT, TAGS

if TYPE_CHECKING:
    from datasets import Dataset

COLUMNS = (
    *(
        "id",
        "text",
        "label",
        "role",
        "hazard",
        "mechanism",
        "contrast_group",
        "rationale",
        "p_image",
        "p_text",
    ),
    *("image_caption", "image_prompt", "image_origin", "text_prompt", "text_origin"),
)
"""What is read of every pair, beside the picture; `rationales` too, where people wrote some."""
SAID = ("references", "image_says", "text_says")
"""Fields of an example that are several strings."""


class Example(NamedTuple):
    """A pair without its picture."""

    id: str
    text: str
    verdict: str
    """`harmful` or `benign`, of `schemas.reasoning`."""
    role: str
    """`emergent`, `contrast_image`, `contrast_text` or `benign`."""
    hazard: str
    """Empty unless the verdict is harmful."""
    mechanism: str
    """Empty unless the verdict is harmful."""
    contrast_group: str
    """Shared by an emergent pair and its contrast partners; empty where there is none."""
    references: tuple[str, ...]
    """Rationales, the preferred one first: people's, else the machine's; empty for benign pairs."""
    image_says: tuple[str, ...]
    """What is known to be in the picture: alt text, and what it was generated from."""
    text_says: tuple[str, ...]
    """The text."""
    p_image: float
    """The screening judge's probability that the image alone is harmful."""
    p_text: float
    provenance: str
    """Origin of image and of text, such as `generated+retrieved`."""


def load_examples(dataset: Path, split: str) -> Dataset:
    """A split as `datasets.Dataset`: column `image` (decoded on access) and the fields of `Example`.

    Rows keep the order of the shards.

    Raises:
        ValueError: The folder has no such split, or lacks a column.
    """
    import datasets

    files = sorted(map(str, (dataset / "data").glob(f"{split}-*.parquet")))
    if not files:
        raise ValueError(f"{dataset} has no split {split!r}: there is no data/{split}-*.parquet")
    table = datasets.Dataset.from_parquet(files)
    missing = [name for name in ("image", *COLUMNS) if name not in table.column_names]
    if missing:
        raise ValueError(f"{dataset} lacks the columns {', '.join(missing)}: is it a dataset of crossharm?")
    known = [name for name in (*COLUMNS, "rationales") if name in table.column_names]
    examples = [example_of(row)._asdict() for row in table.select_columns(known)]
    fields = datasets.Dataset.from_list(examples, features=_features())
    return datasets.concatenate_datasets([table.select_columns("image"), fields], axis=1)


def spelled_out(examples: Dataset, tokenizer: Any) -> Dataset:
    """The same rows, whose words hold no special token of a tokenizer and no tag of an answer.

    A text that says `<image>` would else take the place of a picture, and a rationale that says `</think>` end the
    reasoning.
    """
    import datasets

    pattern = pattern_of(tokenizer, TAGS)
    fields = examples.remove_columns("image").to_list()
    for row in fields:
        row["text"] = broken_up(row["text"], pattern)
        row |= {name: [broken_up(words, pattern) for words in row[name]] for name in SAID}
    rows = datasets.Dataset.from_list(fields, features=_features())
    return datasets.concatenate_datasets([examples.select_columns("image"), rows], axis=1)


def _features() -> Any:
    from datasets import Features, List, Value

    kinds = dict.fromkeys(Example._fields, Value("string"))
    kinds |= dict.fromkeys(SAID, List(Value("string")))
    return Features(kinds | dict.fromkeys(("p_image", "p_text"), Value("float64")))


def example_of(row: dict[str, Any]) -> Example:
    """One row of `data/`; nulls become empty strings."""
    said = {name: row[name] or "" for name in COLUMNS if name not in ("label", "p_image", "p_text")}
    harmful = bool(row["label"])
    rationales = [said["rationale"], *(row.get("rationales") or [])] if harmful else []
    return Example(
        id=said["id"],
        text=said["text"],
        verdict=HARMFUL if harmful else BENIGN,
        role=said["role"],
        hazard=said["hazard"] if harmful else "",
        mechanism=said["mechanism"] if harmful else "",
        contrast_group=said["contrast_group"],
        references=tuple(dict.fromkeys(filter(None, rationales))),
        image_says=tuple(filter(None, (said["image_caption"], said["image_prompt"]))),
        text_says=(said["text"],),
        p_image=float(row["p_image"]),
        p_text=float(row["p_text"]),
        provenance=f"{said['image_origin']}+{said['text_origin']}",
    )


def prompt_of(text: str) -> list[dict[str, Any]]:
    """The conversation that asks about a pair; the image goes beside it."""
    content = [{"type": "image"}, {"type": "text", "text": PROMPT.format(text=text)}]
    return [{"role": "user", "content": content}]
