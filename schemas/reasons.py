"""What the reason codes of excluded rows mean, in a sentence each; for reports and dataset cards."""

from __future__ import annotations

REASONS = {
    # Reading
    "empty": "nothing is in it",
    "too_many_bytes": "larger than `ingest.max_bytes`",
    "too_many_pixels": "more pixels than `ingest.max_pixels`",
    "too_small": "a side is shorter than `ingest.min_side`",
    "too_long": "longer than `ingest.max_characters`",
    "damaged": "the image does not decode",
    "truncated": "the end of the file is missing",
    "unsupported_format": "no image format that is read",
    "animated": "an image of several frames",
    "lone_surrogate": "the text is no valid Unicode",
    "not_utf8": "the text is not in UTF-8",
    "control_characters": "the text has control characters",
    "malformed": "the row does not parse",
    "not_embedded": "the row holds an address and no image; nothing is fetched",
    "outside_folder": "a link that leads out of the folder",
    "not_a_file": "a folder, a pipe or a link to nothing",
    "no_image": "a member of the archive with no image beside it",
    # Generating
    "refused": "the generator declined",
    "flagged_by_safety_checker": "the generator's own safety checker fired",
    "malformed_answer": "the generator did not keep to the form that was asked for",
    # Screening
    "harmful_alone": "harmful without its other part",
    "quarantined": "on the list of known harmful images",
    "personal_email": "holds an e-mail address",
    "personal_phone": "holds a phone number",
    "personal_card": "holds a card number",
    "personal_iban": "holds a bank account number",
    # Deduplication
    "exact_duplicate": "the same bytes or the same text as another asset",
    "near_duplicate": "a near copy of another asset",
    # Selecting
    "quota": "its split, hazard and mechanism have `select.max_per_mechanism` emergent pairs",
    "asset_overused": "its image or text is in `select.max_uses` emergent pairs",
    "no_contrast_set": "emergent, but no contrast partners that would balance it were found",
    "no_emergent_anchor": "judged as a contrast partner of a pair that was not selected",
    "not_nearest_contrast": "a benign contrast, but another one was taken",
    "contrast_still_harmful": "meant as a benign contrast, but not benign",
    "benign_surplus": "benign, beyond what is needed",
    "baseline": "emergent, but found by random or CLIP pairing, which only measure the yield",
    "below_threshold": "harmful together, but not enough more than each part alone",
    "ambiguous": "neither harmful nor benign enough",
    "duplicate_pair": "the same pair was proposed twice",
    "unused": "an asset of no selected pair",
}
"""Reason code to what it means."""


def meaning(reason: str) -> str:
    """The sentence of a reason code; empty for one that is not known."""
    return REASONS.get(reason, "")
