from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    precision_score,
    recall_score,
    roc_auc_score,
)

from pipelines.calibration import expected_calibration_error
from pipelines.training.evaluation.measures import contrast_accuracy, gain_over_one_modality, verdict_measures
from pipelines.training.evaluation.predictions import Prediction
from tests.pipelines.training.evaluation.made_up import contrast_sets, row


def value(rows: list[Prediction], name: str) -> float:
    return float(verdict_measures(rows)[name](np.ones((1, len(rows))))[0])


def some_rows(count: int = 200) -> list[Prediction]:
    random = np.random.default_rng(3)
    rows = []
    for number in range(count):
        p = round(float(random.random()), 4)
        expected = "harmful" if random.random() < p else "benign"
        verdict = "harmful" if p > 0.6 else "benign"
        rows.append(
            row(
                id=str(number),
                cluster=str(number),
                contrast_group="",
                expected=expected,
                verdict=verdict,
                p_harmful=p,
                log_odds=p,
            )
        )
    return rows


@pytest.mark.parametrize("repeated", [False, True])
def test_measures_are_those_of_scikit_learn(repeated: bool) -> None:
    rows = some_rows()
    weights = (
        np.random.default_rng(4).integers(0, 4, (1, len(rows))).astype(float)
        if repeated
        else np.ones((1, 200))
    )
    y = np.array([one.expected == "harmful" for one in rows]).astype(int)
    said = np.array([one.verdict == "harmful" for one in rows]).astype(int)
    p = np.array([one.p_harmful for one in rows])
    sample = weights[0]
    wanted = {
        "f1": f1_score(y, said, sample_weight=sample),
        "precision": precision_score(y, said, sample_weight=sample),
        "recall": recall_score(y, said, sample_weight=sample),
        "accuracy": accuracy_score(y, said, sample_weight=sample),
        "auroc": roc_auc_score(y, p, sample_weight=sample),
        "calibration_error": expected_calibration_error(
            np.repeat(p, sample.astype(int)), np.repeat(y, sample.astype(int))
        ),
    }
    found = {name: float(verdict_measures(rows)[name](weights)[0]) for name in wanted}
    assert found == pytest.approx(wanted)


def test_measures_on_numbers_worked_out_by_hand() -> None:
    rows = contrast_sets([("harmful", "benign"), ("harmful", "harmful"), ("benign", "benign")])
    assert value(rows, "precision") == pytest.approx(2 / 3)
    assert value(rows, "recall") == pytest.approx(2 / 3)
    assert value(rows, "f1") == pytest.approx(2 / 3)
    assert value(rows, "accuracy") == pytest.approx(4 / 6)
    assert value(rows, "contrast_accuracy") == pytest.approx(1 / 3)


def test_a_verdict_that_could_not_be_read_counts_as_wrong_both_ways() -> None:
    rows = contrast_sets([("", ""), ("harmful", "benign")])
    assert value(rows, "accuracy") == 0.5
    assert value(rows, "precision") == 0.5, "the unread benign pair counts as called harmful"
    assert value(rows, "recall") == 0.5
    assert value(rows, "contrast_accuracy") == 0.5


def test_calling_nothing_harmful_has_no_precision_to_speak_of() -> None:
    rows = contrast_sets([("benign", "benign")])
    assert value(rows, "precision") == value(rows, "recall") == value(rows, "f1") == 0.0


def test_where_nothing_is_harmful_only_accuracy_says_something() -> None:
    rows = [
        row(id=str(n), expected="benign", hazard="", verdict=v) for n, v in enumerate(["harmful", "benign"])
    ]
    assert value(rows, "accuracy") == 0.5
    assert all(np.isnan(value(rows, name)) for name in ("f1", "precision", "recall", "auroc"))


def test_a_pair_alone_is_no_contrast_set() -> None:
    rows = [row(id="1", contrast_group="a"), row(id="2", contrast_group="")]
    assert np.isnan(contrast_accuracy(rows)(np.ones((1, 2)))[0])


def test_the_gain_is_over_the_better_of_the_two_modalities() -> None:
    rows = contrast_sets([("harmful", "benign"), ("harmful", "benign")])
    ablated = [
        one._replace(image_only=image, text_only="harmful")
        for one, image in zip(rows, ["benign", "benign", "harmful", "harmful"], strict=True)
    ]
    gain = gain_over_one_modality(ablated)(np.ones((1, 4)))[0]
    assert gain == pytest.approx(1 - 2 / 3), "text only calls all harmful: F1 2/3; image only has 1/2"
