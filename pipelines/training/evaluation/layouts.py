"""How published benchmarks lie in their folders: which files, and which field holds what.

Read in the projects' own repositories: MSTS (arXiv 2501.10057; `data/prompts`, and `src` for the images), SIUO
(arXiv 2406.15279; `data/example_siuo_gen.json`), MOSSBench (arXiv 2406.17806; `data/images_information`,
`data_contrast`, `information.csv`) and VLSBench (arXiv 2411.19939; `data/data.json`; its fields `safety_reason` and
`image_description`, which were added later, are known from descriptions alone). The layout of Hateful Memes
(arXiv 2005.04790) is that of its README. SIUO's `images` lies beside its JSON on the hub; none was seen in the
repository.

Where a benchmark asks whether a model answers, and not what is harmful, every row has one verdict: the requests of
MSTS, SIUO and VLSBench are harmful as pairs, those of MOSSBench benign, and its contrast set's harmful.
"""

from __future__ import annotations

from typing import NamedTuple

from schemas.reasoning import BENIGN, HARMFUL

LABELS = {
    **dict.fromkeys(("1", "true", "harmful", "hateful", "unsafe"), HARMFUL),
    **dict.fromkeys(("0", "false", "benign", "not-hateful", "safe"), BENIGN),
}
"""How a label may be spelt, in any case."""


class Layout(NamedTuple):
    """One kind of file, by the names of its fields; an empty name means that there is no such field.

    A row needs image, text and label; without an id, its place in the file is its id.
    """

    files: tuple[str, ...]
    """Patterns from the benchmark's folder; all that match are read."""
    id: str
    image: str
    text: str
    images: tuple[str, ...] = (".",)
    """Folders, from that of the file, in which images may lie."""
    suffixes: tuple[str, ...] = ("",)
    """What may follow an image's name."""
    label: str = ""
    verdict: str = ""
    """That of every row, where there is no label."""
    rationale: str = ""
    """A string, or a list of strings."""
    hazard: str = ""
    image_says: str = ""
    group: str = ""
    """Rows of one value are a contrast set, in this file and the others."""
    tie: str = ""
    """Rows of one value are drawn together in resamples, though they are no contrast set."""
    mark: str = ""
    """Comes before the ids of this file, where another file has the same."""


_FOLDER = Layout(
    files=("*.jsonl",),
    id="id",
    image="image",
    text="text",
    label="label",
    rationale="rationale",
    hazard="hazard",
    group="contrast_group",
)

_HATEFUL_MEMES = Layout(files=("dev*.jsonl", "test*.jsonl"), id="id", image="img", text="text", label="label")

_MSTS = Layout(
    files=("data/prompts/english_multimodal.csv", "prompts/english_multimodal.csv", "english_multimodal.csv"),
    id="prompt_id",
    image="unsafe_image_id",
    images=("../unsafe_images", "../images", "unsafe_images", "images", "."),
    suffixes=(".jpg", ".png"),
    text="prompt_text",
    verdict=HARMFUL,
    hazard="hazard_category",
    image_says="unsafe_image_description",
    tie="case_id",
)

_SIUO = Layout(
    files=("siuo_gen.json", "data/siuo_gen.json"),
    id="question_id",
    image="image",
    images=("images", "../images"),
    text="question",
    verdict=HARMFUL,
    rationale="safety_warning",
    hazard="category",
)

_MOSSBENCH = Layout(
    files=("data/images_information/information.json", "images_information/information.json"),
    id="pid",
    image="image",
    images=("..",),
    text="question",
    verdict=BENIGN,
    image_says="short description",
    group="pid",
)

_MOSSBENCH_CONTRAST = _MOSSBENCH._replace(
    files=("data_contrast/images_information/information.json",),
    images=("..", "../../data"),
    verdict=HARMFUL,
    mark="contrast/",
)

_MOSSBENCH_TABLE = _MOSSBENCH._replace(files=("information.csv",), image="image_path", images=(".",))

_VLSBENCH = Layout(
    files=("data.json", "data/data.json"),
    id="instruction_id",
    image="image_path",
    images=(".", ".."),
    text="instruction",
    verdict=HARMFUL,
    rationale="safety_reason",
    hazard="category",
    image_says="image_description",
)

LAYOUTS: dict[str, tuple[tuple[Layout, ...], ...]] = {
    "folder": ((_FOLDER,),),
    "hateful-memes": ((_HATEFUL_MEMES,),),
    "msts": ((_MSTS,),),
    "siuo": ((_SIUO,),),
    "mossbench": ((_MOSSBENCH, _MOSSBENCH_CONTRAST), (_MOSSBENCH_TABLE,)),
    "vlsbench": ((_VLSBENCH,),),
}
"""Kind of a benchmark to the ways it may lie; all files of the first way of which there is a file are read."""
