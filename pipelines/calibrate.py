"""Fit a judge to labelled pairs: `python -m pipelines.calibrate --help`.

The judge's logits are divided by a temperature and shifted by an offset, and the thresholds of `select` are set for
a precision; all go into a new profile. Half of the pairs is fitted on, and all figures are of the other half.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pipelines.logs import quiet
from pipelines.profiles import add_profile_options, profile_path
from pipelines.storage.manifest import read_manifest

if TYPE_CHECKING:
    from pipelines.calibration import Calibration
    from schemas.config import BuildConfig

BATCH = 256
HARMFUL = {"1": 1.0, "true": 1.0, "harmful": 1.0, "0": 0.0, "false": 0.0, "benign": 0.0}


class Labelled(NamedTuple):
    """A pair whose image is in the blob store, with its label: 1 is harmful."""

    image_id: str
    text_id: str
    text: str
    label: float

    @property
    def id(self) -> str:
        """The key of its question in the inference cache, as in a build."""
        from pipelines.stages.inference import question_key

        return question_key(self.image_id, self.text_id)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.calibrate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("profile", help="a profile's name or the path of a TOML file; its judge is asked")
    add(
        "--pairs",
        type=Path,
        required=True,
        help="a Parquet file, a folder of them, or a dataset: columns image, text and label (0, 1)",
    )
    add("--out", type=Path, default=Path("calibrated.toml"), help="the new profile (default: %(default)s)")
    add(
        "--precision",
        type=float,
        default=0.9,
        help="of what is called harmful, and benign (default: %(default)s)",
    )
    add("--fit", type=float, default=0.5, help="share of the pairs that is fitted on (default: %(default)s)")
    add_profile_options(parser)
    return parser


def read_pairs(path: Path) -> Iterator[dict[str, Any]]:
    """Rows with `image` (bytes), `text` and `label`, batch by batch.

    Raises:
        ValueError: No Parquet file there, a column is missing, or the labels are a judge's own.
    """
    import pyarrow.dataset as ds

    if (path / "manifest.json").is_file() and "human" not in read_manifest(path / "manifest.json"):
        raise ValueError(
            f"the labels of {path} are a judge's, and no judge can be fitted to itself; give pairs that people "
            "labelled, such as what pipelines.finalize writes"
        )
    folder = path / "data" if (path / "data").is_dir() else path
    files = sorted(map(str, folder.glob("*.parquet"))) if folder.is_dir() else [str(folder)]
    if not files or not Path(files[0]).is_file():
        raise ValueError(f"there is no Parquet file in {path}")
    table = ds.dataset(files, format="parquet")
    missing = {"image", "text", "label"} - set(table.schema.names)
    if missing:
        raise ValueError(
            f"{path} lacks the columns {', '.join(sorted(missing))}; it has {', '.join(table.schema.names)}"
        )
    people = ds.field("labelled_by") == "people" if "labelled_by" in table.schema.names else None
    for batch in table.to_batches(columns=["image", "text", "label"], batch_size=BATCH, filter=people):
        for row in batch.to_pylist():
            image = row["image"]
            yield row | {"image": image["bytes"] if isinstance(image, dict) else image}


def main(argv: Sequence[str] | None = None) -> int:
    """Calibrate and write the profile; 0 if it was written, 2 if something cannot be used."""
    arguments = parser().parse_args(argv)
    quiet(False)
    from schemas.config import load_config

    profile = profile_path(arguments.profile)
    try:
        if not 0.5 <= arguments.precision <= 1 or not 0 < arguments.fit < 1:
            raise ValueError("--precision lies between 0.5 and 1, --fit between 0 and 1")
        found = _calibrated(load_config(profile, arguments.set), arguments)
        _write_profile(profile, arguments.out, found)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"crossharm: {error}\n")
        return 2
    _report(found, arguments)
    return 0


def _calibrated(config: BuildConfig, arguments: argparse.Namespace) -> Calibration:
    import numpy as np

    from pipelines.calibration import calibrate

    pairs, p = _judged(config, arguments)
    labels = np.array([pair.label for pair in pairs])
    return calibrate(
        [pair.id for pair in pairs], np.array(p), labels, share=arguments.fit, precision=arguments.precision
    )


def _judged(config: BuildConfig, arguments: argparse.Namespace) -> tuple[list[Labelled], list[float]]:
    """The pairs that could be judged, with the judge's own probabilities; says how many could not."""
    from rich.console import Console
    from rich.progress import track

    from pipelines.kit import make_judge
    from pipelines.models.judge import Question
    from pipelines.storage.cache import CachedInference, InferenceError, decode_floats
    from pipelines.storage.workspace import Workspace

    workspace = Workspace(str(arguments.work_dir.resolve()))
    ask = CachedInference(make_judge(config, workspace), workspace)
    pairs: list[Labelled] = []
    p: list[float] = []
    dropped: list[str] = []
    rows = list(_stored(arguments.pairs, config, workspace, dropped))
    starts = range(0, len(rows), BATCH)
    for start in track(starts, "judging", console=Console(stderr=True)):
        some = rows[start : start + BATCH]
        asked = [(pair.id, Question(pair.image_id, pair.text)) for pair in some]
        for pair, answer in zip(some, ask(asked), strict=True):
            if isinstance(answer, InferenceError):
                dropped.append(f"{pair.id[:16]}: {answer.cause}")
            else:
                pairs.append(pair)
                p.append(float(decode_floats(answer)[0]))
    if dropped:
        sys.stderr.write(
            f"{len(dropped)} of {len(rows) + len(dropped)} pairs left out, the first: {dropped[0]}\n"
        )
    return pairs, p


def _stored(path: Path, config: BuildConfig, workspace: Any, dropped: list[str]) -> Iterator[Labelled]:
    """The usable pairs, each once, their images in the blob store; why others are not goes to `dropped`."""
    import hashlib

    from generators.decode import Unusable, normalise_text
    from pipelines.stages.decoding import store_image

    seen = set()
    for number, row in enumerate(read_pairs(path)):
        label = HARMFUL.get(str(row["label"]).strip().lower())
        if label is None:
            raise ValueError(
                f"{path}, row {number}: the label {row['label']!r} is none of {', '.join(HARMFUL)}"
            )
        try:
            image_id = store_image(row["image"] or b"", config.ingest, workspace.blobs()).id
            text = normalise_text(row["text"] or "", config.ingest.max_characters)
        except Unusable as why:
            dropped.append(f"row {number}: {why.reason}")
            continue
        pair = Labelled(image_id, hashlib.sha256(text.encode()).hexdigest(), text, label)
        if pair.id not in seen:
            seen.add(pair.id)
            yield pair


def _write_profile(profile: Path, out: Path, found: Calibration) -> None:
    """The profile as it was, comments included, with the fitted values."""
    import tomlkit

    document = tomlkit.parse(profile.read_text(encoding="utf-8"))
    fitted = {"judge": found.scaling._asdict(), "select": found.thresholds._asdict()}
    for section, values in fitted.items():
        table = document.setdefault(section, tomlkit.table())
        table.update({key: value for key, value in values.items() if value is not None})
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(tomlkit.dumps(document), encoding="utf-8")


def _report(found: Calibration, arguments: argparse.Namespace) -> None:
    from rich.console import Console
    from rich.table import Table

    from pipelines.report.reliability import draw_reliability

    plot = arguments.out.with_suffix(".svg")
    plot.write_text(draw_reliability(found), encoding="utf-8")
    table = Table("", "before", "after", title="Calibration", title_justify="left")
    for name, (before, after) in found.errors().items():
        table.add_row(name, f"{before:.4f}", f"{after:.4f}")
    console = Console()
    console.print(table)
    temperature, offset = found.scaling
    console.print(f"temperature {temperature}, offset {offset}")
    console.print(f"{found.fitted_on} pairs were fitted on, {len(found.labels)} measured on")
    low, high = _shown(found.thresholds.max_benign), _shown(found.thresholds.min_joint)
    console.print(f"for {arguments.precision:.0%}: harmful from p_joint {high} on, benign up to {low}")
    console.print(f"Profile: {arguments.out}\nPlot:    {plot}")


def _shown(threshold: float | None) -> str:
    return "(none reaches the precision; left as it was)" if threshold is None else f"{threshold:.4f}"


if __name__ == "__main__":
    sys.exit(main())
