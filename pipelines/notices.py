"""What a reader of a dataset must know first: what its models are worth, and what its pictures lack."""

from __future__ import annotations

from schemas.config import BUILTIN, TINYWORLD, BuildConfig

FOREIGN = (
    "The models of this profile know the pictograms and sentences of tinyworld and nothing else. "
    "On other images and texts their judgements, scores and rationales mean nothing: "
    "this build shows that the pipeline runs on your data, not what is in it."
)
CLOSED_WORLD = (
    "Tinyworld is a closed world of pictograms and sentences, made to demonstrate and to test the "
    "pipeline. It is no training data for moderation of real content."
)


def notices(config: BuildConfig, boxes: int = 0) -> list[str]:
    """All that there are.

    Args:
        config: Of the build.
        boxes: How many composed pictures have a character that no font has.
    """
    return [*_of_models(config), *([_of_boxes(boxes)] if boxes else [])]


def _of_models(config: BuildConfig) -> list[str]:
    models = (
        config.embed.model,
        config.screen.image_classifier,
        config.screen.text_classifier,
        *(() if config.judge.endpoint else (config.judge.model,)),
    )
    foreign = {*config.images.source, *config.texts.source} != {TINYWORLD}
    if foreign and any(model.path.startswith(f"{BUILTIN}{TINYWORLD}") for model in models):
        return [FOREIGN]
    return [] if foreign else [CLOSED_WORLD]


def _of_boxes(boxes: int) -> str:
    some = "1 composed picture has" if boxes == 1 else f"{boxes:,} composed pictures have"
    return (
        f"{some} a box where no font has the character. Name a font file that has it, "
        """such as --set 'compose.fonts=["NotoSansCJK-Regular.ttc"]', and build again."""
    )
