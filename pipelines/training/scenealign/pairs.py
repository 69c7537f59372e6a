"""Preference pairs of a dataset's split: a right reasoning and a perturbed one, or the reason why there is none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import datasets

from pipelines.training.examples import load_examples, prompt_of
from pipelines.training.scenealign.checks import Finding, Limits, Scorer, check, check_right
from pipelines.training.scenealign.graph import NoGraph, SceneGraph
from pipelines.training.scenealign.perturbations import KINDS, Kind, Unperturbed, perturb
from pipelines.training.scenealign.reading import Graphs, read_graphs
from schemas.reasoning import Reasoned, render

Chain = Callable[[Mapping[str, Any]], Reasoned]
"""The right reasoning about a pair, from the fields of `Example`; ValueError where there is none."""


class Pair(NamedTuple):
    """Two completions of the same prompt, of which the second is wrong about the picture."""

    id: str
    kind: Kind
    chosen: str
    rejected: str


class Dropped(NamedTuple):
    """A pair that was not made."""

    id: str
    kind: Kind
    reason: str
    detail: str = ""


class Preferences(NamedTuple):
    """The pairs of a split."""

    rows: datasets.Dataset
    """Columns `id`, `kind`, `image`, `prompt` (a conversation, as `prompt_of` makes it), `chosen` and `rejected`."""
    dropped: tuple[Dropped, ...]

    def counts(self) -> dict[str, dict[str, int]]:
        """By kind, how many pairs were `kept` and how many dropped for each reason."""
        counted: dict[str, Counter[str]] = {}
        for kind, outcome in (
            *((kind, "kept") for kind in self.rows["kind"]),
            *((one.kind, one.reason) for one in self.dropped),
        ):
            counted.setdefault(kind, Counter())[outcome] += 1
        return {kind: dict(sorted(counts.items())) for kind, counts in counted.items()}


def preferences(
    dataset: Path,
    split: str,
    reasoned: Chain,
    *,
    examples: datasets.Dataset | None = None,
    kinds: Sequence[Kind] = KINDS,
    graphs: Graphs | None = None,
    limits: Limits = Limits(),  # noqa: B008  # A tuple never changes.
    scorer: Scorer | None = None,
) -> Preferences:
    """The preference pairs of a split, up to one of each kind for an example, in the order of the shards.

    Args:
        dataset: The folder of a dataset.
        split: As in `load_examples`.
        reasoned: The right reasoning about an example.
        examples: Rows of that split as of `load_examples`; by default all.
        kinds: The perturbations.
        graphs: Scene graphs by the id of the pair; by default those of tinyworld.
        limits: Of the checks.
        scorer: Perplexity, for the check of fluency; without one it is not checked.

    Raises:
        ValueError: As `load_examples` does.
        RuntimeError: Pairs kept and dropped are not all that there could be.
    """
    examples = load_examples(dataset, split) if examples is None else examples
    graphs = read_graphs(dataset, split) if graphs is None else graphs
    kept: list[Pair] = []
    places: list[int] = []
    dropped: list[Dropped] = []
    for place, example in enumerate(examples.remove_columns("image")):
        graph = graphs.get(example["id"], NoGraph("not_asked"))
        for outcome in pairs_of(example, graph, reasoned, kinds=kinds, limits=limits, scorer=scorer):
            if isinstance(outcome, Dropped):
                dropped.append(outcome)
            else:
                kept.append(outcome)
                places.append(place)
    if len(kept) + len(dropped) != len(examples) * len(kinds):
        raise RuntimeError(f"{len(kept)} pairs and {len(dropped)} drops of {len(examples)} examples")
    return Preferences(_rows(examples, kept, places), tuple(dropped))


def pairs_of(
    example: Mapping[str, Any],
    graph: SceneGraph | NoGraph,
    reasoned: Chain,
    *,
    kinds: Sequence[Kind] = KINDS,
    limits: Limits = Limits(),  # noqa: B008  # A tuple never changes.
    scorer: Scorer | None = None,
) -> list[Pair | Dropped]:
    """One outcome for each kind of perturbation of an example."""
    right = _right(example, graph, reasoned)
    if isinstance(right, Finding) or isinstance(graph, NoGraph):
        reason, detail = right if isinstance(right, Finding) else Finding("no_graph")
        return [Dropped(example["id"], kind, reason, detail) for kind in kinds]
    return [_outcome(example["id"], kind, right, graph, limits=limits, scorer=scorer) for kind in kinds]


def _right(example: Mapping[str, Any], graph: SceneGraph | NoGraph, reasoned: Chain) -> Reasoned | Finding:
    if isinstance(graph, NoGraph):
        return Finding(graph.reason, graph.detail)
    try:
        right = reasoned(example)
    except ValueError as error:
        return Finding("no_reasoning", str(error))
    return check_right(right, graph) or right


def _outcome(
    id: str, kind: Kind, right: Reasoned, graph: SceneGraph, *, limits: Limits, scorer: Scorer | None
) -> Pair | Dropped:
    wrong = perturb(kind, right, graph, id)
    if isinstance(wrong, Unperturbed):
        return Dropped(id, kind, wrong.reason)
    finding = check(right, wrong, graph, limits, scorer)
    if finding:
        return Dropped(id, kind, *finding)
    return Pair(id, kind, render(right), render(wrong.reasoned))


def _rows(examples: datasets.Dataset, kept: list[Pair], places: list[int]) -> datasets.Dataset:
    chosen = examples.select(places)
    prompts = [prompt_of(text) for text in chosen["text"]]
    fields = {name: [getattr(one, name) for one in kept] for name in Pair._fields}
    said = datasets.Dataset.from_dict(fields | {"prompt": prompts})
    if not kept:  # Datasets without rows lose their columns when they are joined.
        return datasets.Dataset.from_dict({name: [] for name in ("image", *said.column_names)})
    return datasets.concatenate_datasets([chosen.select_columns("image"), said], axis=1)
