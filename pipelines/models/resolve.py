"""From a profile's model reference to a local folder and a fingerprint."""

from __future__ import annotations

import hashlib
from pathlib import Path

from generators.weights import weights_folder, weights_identity
from schemas.config import Model


def model_folder(model: Model) -> Path:
    """The local folder of a model; a hub id is downloaded at its pinned revision (safetensors only).

    Raises:
        ModelMissingError: There is no such folder, or it holds no safetensors.
    """
    return weights_folder(model.path, model.revision)


def fingerprint(kind: str, model: Model, *settings: str) -> str:
    """sha256 (hex) over the kind of handler, the weights, the batch shape and whatever else decides a result.

    A local model counts by the content of its files and a hub model by its pinned revision; neither where a
    copy lies nor the number of threads makes a difference.
    """
    weights = weights_identity(model.path, model.revision)
    precision = () if model.dtype == "float32" else (model.dtype,)
    parts = (kind, weights, str(model.batch_size), *precision, *settings)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
