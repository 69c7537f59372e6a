from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from pipelines.training.evaluation.bootstrap import draw
from pipelines.training.evaluation.plots import draw_all
from pipelines.training.evaluation.predictions import Prediction
from pipelines.training.evaluation.summary import Figures, figures_of
from tests.pipelines.training.evaluation.made_up import contrast_sets, row

RIGHT, WRONG = ("harmful", "benign"), ("benign", "benign")


def figures(rows: list[Prediction]) -> Figures:
    return figures_of(rows, None, draw([one.cluster for one in rows], "seed"))


def test_every_plot_is_drawn_with_something_on_it(tmp_path: Path) -> None:
    models = {
        "sft": figures(contrast_sets([RIGHT] * 9 + [WRONG])),
        "grpo": figures(contrast_sets([RIGHT] * 10)),
    }
    drawn = draw_all({"test": models, "test_ood": models}, tmp_path)
    assert [path.name for path in drawn] == ["bars.png", "reliability.png", "by_hazard.png"]
    for path in drawn:
        with Image.open(path) as image:
            assert min(image.size) > 200 and np.asarray(image.convert("L")).std() > 10


def test_a_benchmark_where_nothing_is_harmful_is_drawn_too(tmp_path: Path) -> None:
    rows = [row(id=str(n), cluster=str(n), contrast_group="", expected="benign", hazard="") for n in range(4)]
    drawn = draw_all({"mossbench:x": {"sft": figures(rows)}}, tmp_path)
    assert [path.name for path in drawn] == ["bars.png", "reliability.png"]


def test_the_same_figures_are_drawn_alike(tmp_path: Path) -> None:
    models = {"sft": figures(contrast_sets([RIGHT, WRONG]))}
    written = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        written.append([path.read_bytes() for path in draw_all({"test": models}, tmp_path / name)])
    assert written[0] == written[1]
