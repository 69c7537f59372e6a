"""Labelled pairs of tinyworld, to calibrate a judge by: `python -m generators.tinyworld.labelled --help`.

Half of the pairs is harmful by the rules. Scenes and utterances are drawn from seeds of their own, so that no build
and no training has them.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from generators.tinyworld.grammar import utter
from generators.tinyworld.renderer import describe, objects_of, render, sample_scene
from generators.tinyworld.rules import harm_of
from generators.tinyworld.source import seed_of


def labelled_pairs(count: int, seed: int) -> Iterator[dict[str, Any]]:
    """`count` rows of `image` (PNG bytes), `text`, `label` (1 is harmful), `hazard` and `rationale`, in turn.

    No part is harmful by itself.
    """
    wanted = {0: (count + 1) // 2, 1: count // 2}
    number = 0
    while any(wanted.values()):
        scene = sample_scene(seed_of(seed, "labelled scene", number))
        said = utter(seed_of(seed, "labelled utterance", number))
        harm = harm_of(objects_of(describe(scene)), said.intent)
        label, number = int(harm is not None), number + 1
        if wanted[label]:
            wanted[label] -= 1
            out = io.BytesIO()
            render(scene).save(out, "PNG", compress_level=1)
            yield {
                "image": out.getvalue(),
                "text": said.text,
                "label": label,
                "hazard": harm.hazard if harm else "",
                "rationale": harm.rationale if harm else "",
            }


def main(argv: Sequence[str] | None = None) -> int:
    """Write a Parquet file of labelled pairs."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    parser = argparse.ArgumentParser(prog="python -m generators.tinyworld.labelled", description=__doc__)
    parser.add_argument("--count", type=int, default=2000, help="pairs (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument("--out", type=Path, default=Path("labelled.parquet"), help="default: %(default)s")
    arguments = parser.parse_args(argv)
    pq.write_table(pa.Table.from_pylist(list(labelled_pairs(arguments.count, arguments.seed))), arguments.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
