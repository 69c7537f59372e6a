"""The canary of a dataset: a GUID by which models that trained on it can be told, and texts that hold it filtered.

It is made from the dataset's name, not from its content: it is written into the shards, whose digest is the
content's. It stands in the metadata of shards and in the card, never in a text or a rationale that is trained on.
"""

from __future__ import annotations

import uuid

import pyarrow as pa

NAMESPACE = uuid.UUID("ec893ba4-e5a6-4b34-9595-6196631ae1a5")
"""Drawn once at random, so that no other program's GUIDs are these."""
KEY = b"canary"
"""Key of the sentence in the metadata of a schema."""


def canary_of(name: str) -> str:
    """The GUID of a dataset of that name: equal for equal names (UUID version 5)."""
    return str(uuid.uuid5(NAMESPACE, name))


def canary_sentence(name: str) -> str:
    """The words that carry the GUID, to be found by whoever filters training texts."""
    return f"Benchmark data must never be part of training corpora. crossharm canary GUID {canary_of(name)}"


def with_canary(schema: pa.Schema, name: str) -> pa.Schema:
    """The schema with the canary of a dataset of that name in its metadata."""
    return schema.with_metadata({**(schema.metadata or {}), KEY: canary_sentence(name)})
