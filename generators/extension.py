"""Extend scenarios by a language model: seeds in; new ones without near-duplicates out, and what became of each cell.

A cell is a hazard with a mechanism. What a model proposes is a draft: let a person read it before it is used.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

from pydantic import ValidationError

from generators.proposals import SIMILARITY, Cell, Proposal, messages_for, proposals_in, shingles, similarity
from generators.scenarios import load_scenarios, scenario_id, write_scenarios
from schemas.records import Scenario
from schemas.taxonomy import load_taxonomy

if TYPE_CHECKING:
    from rich.table import Table

EXAMPLES = 3
logger = logging.getLogger(__name__)


class Completer(Protocol):
    """What answers conversations: messages with `role` and `content`, and a seed of 0 to 2**31 - 1."""

    def complete_many(self, requests: Sequence[tuple[list[dict[str, str]], int]]) -> list[str | Exception]:
        """Answer every request, in order; what fails is returned as its exception."""
        ...


class Coverage(NamedTuple):
    """What became of one cell."""

    asked: int
    """Scenarios wanted."""
    kept: int
    """New scenarios."""
    duplicate: int
    """Proposals too similar to a seed or to a scenario kept before."""
    malformed: int
    """Answers without a list, and proposals that break a rule."""
    refused: int
    """Answers in which the model, or the server's filter, declined."""
    failed: int
    """Requests that the back end answered with an error; it has tried enough by then, so the cell is given up."""


class Extension(NamedTuple):
    """The new scenarios, none of them held out, and the coverage of every cell that was asked for."""

    scenarios: tuple[Scenario, ...]
    counts: dict[Cell, Coverage]


def extend(
    seeds: Sequence[Scenario], model: Completer, per_cell: int, attempts: int = 3, seed: int = 0
) -> Extension:
    """Ask for new scenarios of every cell that has seeds which are not held out.

    Held-out seeds are never shown to the model, and what resembles them is dropped, so their families stay unseen.

    Args:
        seeds: What to extend.
        model: What is asked.
        per_cell: New scenarios wanted for every cell.
        attempts: The most requests for one cell; each shows other examples and has a seed of its own.
        seed: Varies examples and requests.

    Raises:
        ClosedHazardError: A seed is of a closed hazard; nothing is asked then.
        ValueError: `per_cell` or `attempts` is below 1, or a hazard or mechanism is unknown.
    """
    if min(per_cell, attempts) < 1:
        raise ValueError("`per_cell` and `attempts` are at least 1")
    for scenario in seeds:
        load_taxonomy().require_open(scenario.hazard)
    growth = _Growth(seeds, per_cell)
    for attempt in range(attempts):
        asked = growth.unfinished()
        if asked:
            answers = model.complete_many([growth.request(cell, f"{seed}\0{attempt}") for cell in asked])
            for cell, answer in zip(asked, answers, strict=True):
                growth.hear(cell, answer)
    return growth.result()


class _Growth:
    """What has been found so far, cell by cell."""

    def __init__(self, seeds: Sequence[Scenario], per_cell: int) -> None:
        self._known, self._per_cell = [shingles(s) for s in seeds], per_cell
        self._kept: list[Scenario] = []
        self._seeds: dict[Cell, list[Scenario]] = {}
        for scenario in seeds:
            if not scenario.held_out:
                self._seeds.setdefault((scenario.hazard, scenario.mechanism), []).append(scenario)
        self._counts: dict[Cell, Counter[str]] = {cell: Counter() for cell in self._seeds}

    def unfinished(self) -> list[Cell]:
        """Cells that lack scenarios and may be asked for again."""
        return [c for c, n in self._counts.items() if n["kept"] < self._per_cell and not n["failed"]]

    def request(self, cell: Cell, salt: str) -> tuple[list[dict[str, str]], int]:
        """Messages and seed; which examples are shown, each with another text query, the salt decides."""
        texts = {s.text_query: s for s in sorted(self._seeds[cell], key=lambda s: _draw(salt, s.id))}
        examples = list(texts.values())[:EXAMPLES]
        messages = messages_for(cell, examples, self._per_cell - self._counts[cell]["kept"])
        return messages, _draw(salt, *cell)

    def hear(self, cell: Cell, answer: str | Exception) -> None:
        """Count an answer; take as many of its proposals as the cell lacks."""
        found = proposals_in(answer) if isinstance(answer, str) else None
        if found is None:
            self._counts[cell][_trouble(answer)] += 1
        for proposed in found or []:
            if self._counts[cell]["kept"] < self._per_cell:
                self._counts[cell][self._take(cell, proposed)] += 1

    def _take(self, cell: Cell, proposed: Any) -> str:
        """Keep a proposal, or say why not."""
        try:
            parts = Proposal.model_validate(proposed)
        except ValidationError as error:
            logger.info("%s/%s: %s", *cell, "; ".join(e["msg"] for e in error.errors()))
            return "malformed"
        queries = parts.image_query, parts.text_query
        scenario = Scenario(scenario_id(*cell, *queries), *cell, *queries, parts.why)
        pairs = shingles(scenario)
        if any(similarity(pairs, known) >= SIMILARITY for known in self._known):
            return "duplicate"
        self._known.append(pairs)
        self._kept.append(scenario)
        return "kept"

    def result(self) -> Extension:
        """All that was kept, and the counts."""
        fields = Coverage._fields[1:]
        counts = {c: Coverage(self._per_cell, *(n[f] for f in fields)) for c, n in self._counts.items()}
        return Extension(tuple(self._kept), counts)


def _draw(*parts: str) -> int:
    """A number of 0 to 2**31 - 1 that the parts decide."""
    return int.from_bytes(hashlib.sha256("\0".join(parts).encode()).digest()[:4]) >> 1


def _trouble(answer: str | Exception) -> str:
    """Why an answer holds no list."""
    from generators.chat import DeclinedError
    from generators.language import is_refusal

    if isinstance(answer, DeclinedError) or (isinstance(answer, str) and is_refusal(answer)):
        return "refused"
    if isinstance(answer, Exception):
        logger.warning("%s: %s", type(answer).__name__, answer)
        return "failed"
    return "malformed"


class _Chat:
    """A back end of generators.chat as a `Completer`."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        from generators.chat import open_chat
        from schemas.config import Endpoint, Language, Model

        if arguments.endpoint:
            back_end: dict[str, Any] = {"endpoint": Endpoint(url=arguments.endpoint, model=arguments.name)}
        else:
            folder = Path(arguments.model).expanduser().resolve()
            if not folder.is_dir():
                raise FileNotFoundError(f"there is no folder {arguments.model}")
            # Cells' prompts differ in length, and a batch holds prompts of one length.
            back_end = {"model": Model(path=str(folder), batch_size=1, device=arguments.device)}
        self._settings = Language(**back_end, max_tokens=200 + 150 * arguments.per_cell)
        self._chat = open_chat(self._settings)
        self._chat.load()

    def complete_many(self, requests: Sequence[tuple[list[dict[str, str]], int]]) -> list[str | Exception]:
        """Ask the back end, with the settings of the command line."""
        from generators.chat import Message, Request

        asked = [Request(tuple(cast(Message, m) for m in messages), seed) for messages, seed in requests]
        return self._chat.complete_many(asked, self._settings)


def coverage_table(counts: dict[Cell, Coverage]) -> Table:
    """The counts of every cell, and their sums; 80 columns are enough for it."""
    from rich.table import Table

    table = Table(title="Coverage", show_footer=True, box=None, padding=(0, 1, 0, 0))
    table.add_column("hazard", "all")
    table.add_column("mechanism")
    for number, field in enumerate(Coverage._fields):
        table.add_column(field, str(sum(c[number] for c in counts.values())), justify="right")
    for cell, coverage in counts.items():
        table.add_row(*cell, *map(str, coverage))
    return table


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m generators.extension", description=__doc__)
    add = parser.add_argument
    add("--seeds", default="seeds", help="`seeds` or a TOML file of the same form (default: %(default)s)")
    back_end = parser.add_mutually_exclusive_group(required=True)
    back_end.add_argument("--model", metavar="FOLDER", help="a transformers chat model in safetensors")
    back_end.add_argument("--endpoint", metavar="URL", help="an OpenAI-compatible server, up to and with /v1")
    add(
        "--name", metavar="MODEL", help="the model's name on that server; its key is read from OPENAI_API_KEY"
    )
    add("--device", default="auto", choices=["auto", "cpu", "cuda"], help="of --model (default: %(default)s)")
    add("--per-cell", type=int, default=5, help="new scenarios for a cell (default: %(default)s)")
    add("--attempts", type=int, default=3, help="the most requests for a cell (default: %(default)s)")
    add("--seed", type=int, default=0, help="varies the requests (default: %(default)s)")
    out = "file for the seeds and the new scenarios (default: %(default)s)"
    add("--out", type=Path, default=Path("scenarios.toml"), help=out)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Extend, write, print the coverage; 0 if anything is new, 1 if nothing is, 2 if it cannot be done as asked."""
    from rich.console import Console

    from generators.chat import EndpointError

    arguments = parser().parse_args(argv)
    logging.basicConfig(format="%(message)s")
    try:
        if arguments.endpoint and not arguments.name:
            raise ValueError("--endpoint needs --name, the model's name on the server")
        if not arguments.out.absolute().parent.is_dir():
            raise FileNotFoundError(f"there is no folder for {arguments.out}")
        seeds = load_scenarios(arguments.seeds)
        extension = extend(seeds, _Chat(arguments), arguments.per_cell, arguments.attempts, arguments.seed)
        if extension.scenarios:
            write_scenarios(arguments.out, [*seeds, *extension.scenarios])
    except (ValueError, OSError, EndpointError) as error:
        sys.stderr.write(f"crossharm: {error}\n")
        return 2
    Console().print(coverage_table(extension.counts))
    return 0 if extension.scenarios else 1


if __name__ == "__main__":
    sys.exit(main())
