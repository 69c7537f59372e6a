"""The records that travel between the stages: small, flat NamedTuples that carry ids, never pixels."""

from __future__ import annotations

from typing import Literal, NamedTuple

Modality = Literal["image", "text", "candidate"]
Split = Literal["train", "validation", "test", "test_ood"]
Role = Literal["emergent", "contrast_image", "contrast_text", "benign"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test", "test_ood")
ROLES: tuple[Role, ...] = ("emergent", "contrast_image", "contrast_text", "benign")


class Provenance(NamedTuple):
    """Where one asset came from; every field is carried to the written row unchanged."""

    source: str
    """The pool it was read from: a generator's name, or the name of a folder or file."""
    name: str
    """Its name inside the source, unique there: a relative path, or a row number."""
    origin: str
    """`generated` or `retrieved`."""
    licence: str = ""
    caption: str = ""
    generator: str = ""
    prompt: str = ""
    seed: int = -1


class RawAsset(NamedTuple):
    """A row of a source before ingest: a locator that the source's reader understands, and provenance."""

    locator: str
    provenance: Provenance


class Score(NamedTuple):
    """One screening member's probability, in [0, 1], that an asset is harmful by itself."""

    member: str
    p: float


class ImageAsset(NamedTuple):
    """An image in the blob store."""

    id: str
    """sha256 (hex) of the stored bytes, which is also the blob's address."""
    width: int
    height: int
    pdq: str
    """PDQ perceptual hash, 256 bits as 64 hex digits."""
    provenance: Provenance
    screening: tuple[Score, ...] = ()
    cluster: str = ""
    """The smallest id of its near-duplicate cluster; set by dedupe."""
    split: str = ""


class TextAsset(NamedTuple):
    """A text, NFC-normalised."""

    id: str
    """sha256 (hex) of the UTF-8 bytes."""
    text: str
    provenance: Provenance
    screening: tuple[Score, ...] = ()
    cluster: str = ""
    split: str = ""


class Scenario(NamedTuple):
    """What to look for in an image and what to say in a text so that the two together mean a hazard."""

    id: str
    hazard: str
    mechanism: str
    image_query: str
    text_query: str
    why: str
    held_out: bool = False
    """Held-out scenarios are paired only inside `test_ood`, all others never there."""


class Candidate(NamedTuple):
    """An image and a text of one split, proposed as a pair."""

    id: str
    """sha256 (hex) of image id and text id."""
    image_id: str
    text_id: str
    text: str
    split: str
    method: str
    """`scenario`, `random`, `clip`, `contrast_image` or `contrast_text`."""
    score: float
    """What the method ranked by (mean cosine for scenarios, cosine for clip), rounded to 4 decimals."""
    hazard: str = ""
    mechanism: str = ""
    scenario: str = ""
    anchor: str = ""
    """For contrast candidates the id of the emergent pair they belong to."""


class Judgement(NamedTuple):
    """A candidate with the judge's three probabilities of harm, each in [0, 1] and rounded to 4 decimals."""

    candidate: Candidate
    p_image: float
    p_text: float
    p_joint: float
    emergence: float
    """logit(p_joint) - max(logit(p_image), logit(p_text)), rounded to 4 decimals."""
    judge: str


class Pair(NamedTuple):
    """A selected pair: what one written row is made from."""

    judgement: Judgement
    role: Role
    contrast_group: str
    """The id of the emergent pair that this pair contrasts with (its own id if it is that pair)."""
    rationale: str = ""
    composed_id: str = ""
    """The blob of the composed picture; set by compose."""


class Annotation(NamedTuple):
    """One annotator's answers on one pair."""

    pair_id: str
    annotator: str
    """A salted hash, never a name."""
    image_harmful: str
    text_harmful: str
    joint_harmful: str
    hazard: str
    mechanism: str
    severity: int
    rationale: str
    seconds: float


class Excluded(NamedTuple):
    """A row that a stage dropped on purpose."""

    modality: Modality
    id: str
    name: str
    stage: str
    reason: str
    """A snake_case reason code, stable across versions."""
    score: float | None = None
    threshold: float | None = None
    detail: str = ""


class Failed(NamedTuple):
    """A row that a stage could not process."""

    modality: Modality
    id: str
    name: str
    stage: str
    error: str
    """The exception's class."""
    detail: str = ""
