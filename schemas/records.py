"""The records that travel between the stages: small, flat NamedTuples that carry ids, never pixels."""

from __future__ import annotations

import os
from typing import Literal, NamedTuple

Modality = Literal["image", "text", "candidate"]
Split = Literal["train", "validation", "test", "test_ood"]
Role = Literal["emergent", "contrast_image", "contrast_text", "benign"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test", "test_ood")
NOT_SEARCHED = -1
"""In place of a number of faces: no search was made."""
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
    faces_blurred: int = NOT_SEARCHED
    """How many faces were found and blurred before it was stored."""


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
    image_origin: str = ""
    """`generated` or `retrieved`, as is the next."""
    text_origin: str = ""


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


class Region(NamedTuple):
    """A rectangle in an image; all four are shares of the image's width and height, in [0, 1]."""

    x: float
    y: float
    width: float
    height: float


class Annotation(NamedTuple):
    """One annotator's answers on one pair; a skip has no answers."""

    id: str
    """sha256 (hex) of the project and the server's number of the annotation."""
    pair_id: str
    annotator: str
    """A salted hash, never a name."""
    round: int
    """1 for the first round, 2 for an expert's second look at what the first left open."""
    gold: bool
    """Whether the pair's answers were known, to measure the annotator."""
    skipped: bool
    image_harmful: str
    """`yes`, `no` or `unsure`, as are the next two; empty for a skip."""
    text_harmful: str
    joint_harmful: str
    hazard: str
    """Empty unless `joint_harmful` is `yes`, as are mechanism, harmed and rationale."""
    mechanism: str
    severity: int
    """1 (slight) to 4 (life-threatening); 0 unless `joint_harmful` is `yes`."""
    harmed: str
    rationale: str
    region: Region | None
    """The part of the image that matters, if the annotator drew one."""
    seconds: float
    """The lead time: from opening the task to submitting it."""
    guideline: str
    """Version of the guidelines that the annotator had read."""
    updated: str
    """When it was last submitted, ISO 8601 in UTC."""


class Adjudication(NamedTuple):
    """What the annotators of one pair say together."""

    pair_id: str
    joint_harmful: str
    """`yes` or `no`; empty while `status` is not `settled`."""
    image_harmful: str
    text_harmful: str
    hazard: str
    mechanism: str
    severity: int
    confidence: float
    """Probability, in [0, 1], of `joint_harmful` by the method."""
    agreement: float
    """Share of the first round's votes on `joint_harmful`, unsure ones included, that are the commonest one."""
    votes: tuple[tuple[str, str, str, str], ...]
    """(annotator, image_harmful, text_harmful, joint_harmful) of both rounds, sorted by annotator."""
    rationale: str
    """The preferred one of `rationales`: of an annotator who agrees with the adjudicated answers."""
    rationales: tuple[str, ...]
    """All of them, sorted by annotator."""
    status: str
    """`settled`, `tie` or `low_confidence`."""
    method: str
    """`majority`, `dawid_skene` or `expert`."""


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


def said_by(error: Exception) -> str:
    """What an exception says, without the place on this machine of a file that cannot be read."""
    return os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
