"""What each shortcut probe sees of a row, and the model that is fitted on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.auditing.embeddings import Vectors
from pipelines.auditing.pictures import Pictures
from pipelines.auditing.rows import Rows


class Probe(NamedTuple):
    """A view of the rows, and how to fit on it."""

    name: str
    title: str
    sees: tuple[str, ...]
    """The modalities whose assets must not be both fitted on and held out."""
    features: npt.NDArray[Any]
    make: Callable[[], Any]
    joint: bool = False
    """Whether it sees the combination, and must succeed."""


def make_probes(rows: Rows, pictures: Pictures, vectors: Vectors) -> list[Probe]:
    """The probes, from the strongest suspicion to the weakest, and the joint one."""
    texts = rows.array("text")
    both = np.hstack([vectors.image, vectors.text])
    return [
        Probe("image", "image alone", ("image",), vectors.image, linear),
        Probe("text", "text alone", ("text",), vectors.text, linear),
        Probe("words", "words of the text", ("text",), texts, words),
        Probe("provenance", "provenance", ("image", "text"), provenance(rows, pictures), trees),
        Probe("lengths", "lengths of text and caption", ("image", "text"), lengths(rows), trees),
        Probe("joint", "image and text together", ("image", "text"), both, joint, True),
    ]


def provenance(rows: Rows, pictures: Pictures) -> npt.NDArray[np.float64]:
    """Origin, source, generator and licence of both parts; size, shape and encoding of the image file, (n, f)."""
    named = [f"{m}_{name}" for m in ("image", "text") for name in ("origin", "source", "generator")]
    columns = [_numbers(rows.array(name)) for name in named]
    columns += [rows.array(f"{m}_licence") != "" for m in ("image", "text")]
    files = [pictures.found[digest] for digest in pictures.images]
    columns += [_numbers(np.array([getattr(f, name) for f in files])) for name in ("format", "quantisation")]
    columns += [np.array([getattr(f, name) for f in files]) for name in ("bytes", "width", "height")]
    return np.stack(columns, axis=1).astype(np.float64)


def lengths(rows: Rows) -> npt.NDArray[np.float64]:
    """Characters and words of the text and of the image's caption, (n, 4)."""
    pairs = zip(rows.array("text"), rows.array("image_caption"), strict=True)
    counts = [[n for text in pair for n in (len(text), len(text.split()))] for pair in pairs]
    return np.array(counts, dtype=np.float64)


def linear() -> Any:
    """Logistic regression on standardised features."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000, class_weight="balanced"))


def words() -> Any:
    """Logistic regression on TF-IDF weights of words and pairs of words."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    weights = TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"\w+", sublinear_tf=True)
    return make_pipeline(weights, LogisticRegression(max_iter=2000, class_weight="balanced"))


def trees() -> Any:
    """Gradient-boosted trees, for features with thresholds and categories."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(max_iter=100, class_weight="balanced", random_state=0)


def joint() -> Any:
    """A support vector machine whose kernel is the product of one on images and one on texts.

    Two pairs are alike where both parts are: so it learns from combinations, and little from either part.
    """
    from pipelines.auditing.kernel import ProductKernelMachine

    return ProductKernelMachine()


def _numbers(values: npt.NDArray[np.str_]) -> npt.NDArray[np.int64]:
    return np.unique(values, return_inverse=True)[1].astype(np.int64)
