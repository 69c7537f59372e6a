"""The typed configuration of a build: a TOML profile, `--set stage.key=value` overrides, one class a stage."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, model_validator
from pydantic_core import PydanticCustomError

from schemas.profile import UNPINNED, Section, read_profile
from schemas.references import check_sources

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Count = Annotated[int, Field(ge=1)]
Sources = Annotated[
    tuple[Annotated[str, Field(min_length=1)], ...],
    BeforeValidator(lambda value: (value,) if isinstance(value, str) else value),
    Field(min_length=1),
    AfterValidator(check_sources),
]
"""One source, or a list of several."""

Device = Literal["auto", "cpu", "cuda"]
"""`auto` is the GPU if there is one."""
DType = Literal["float32", "bfloat16", "float16"]
TINYWORLD = "tinyworld"
"""The source that draws and writes the closed world which ships with the package."""
BUILTIN = "builtin:"
"""Prefix of a model that ships with the package, as in `builtin:tinyworld/judge`."""


class Model(Section):
    """Where a model's weights come from: `builtin:...`, a local folder, or a hub id with a pinned revision."""

    path: str = Field(min_length=1)
    revision: str = ""
    batch_size: Count = 32
    threads: int = Field(
        default=0, ge=0, description="CPU threads of the model; 0 means all cores of the process"
    )
    device: Device = "auto"
    dtype: DType = "float32"

    @model_validator(mode="after")
    def _hub_ids_are_pinned(self, info: ValidationInfo) -> Model:
        _check_pinned(self.path, self.revision, info)
        return self


def _check_pinned(path: str, revision: str, info: ValidationInfo) -> None:
    local = path.startswith((BUILTIN, "/", "./", "../", "~")) or Path(path).is_dir()
    if not (local or revision or (info.context or {}).get(UNPINNED)):
        raise PydanticCustomError(
            UNPINNED, "the hub model '{path}' needs a pinned `revision`", {"path": path}
        )


class Endpoint(Section):
    """An OpenAI-compatible server: vLLM, llama.cpp, `transformers serve`, or a hosted one."""

    url: str = Field(pattern=r"^https?://", description="up to and with `/v1`, without credentials")
    model: str = Field(min_length=1, description="the model's name on that server")
    key: str = Field(
        default="OPENAI_API_KEY",
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="name of the environment variable that holds the key; unset means no key",
    )
    concurrency: Count = Field(default=8, description="requests under way at once")
    attempts: Count = Field(default=6, description="tries of one request, with growing waits between them")
    timeout: float = Field(default=120.0, gt=0, description="seconds that one try may take")


class Diffusion(Section):
    """A diffusers text-to-image pipeline that draws the image queries of the scenarios."""

    path: str = Field(min_length=1)
    revision: str = ""
    device: Device = "auto"
    dtype: DType = "float32"
    steps: Count = 30
    guidance: float = Field(default=5.0, ge=0)
    width: int = Field(default=512, ge=64, multiple_of=8)
    height: int = Field(default=512, ge=64, multiple_of=8)
    negative_prompt: str = ""
    batch_size: Count = 4
    per_query: Count = Field(default=8, description="images drawn for every image query")
    offload: Literal["none", "model", "sequential"] = "none"
    attention_slicing: bool = False
    vae_slicing: bool = False
    compile: bool = False

    @model_validator(mode="after")
    def _hub_ids_are_pinned(self, info: ValidationInfo) -> Diffusion:
        _check_pinned(self.path, self.revision, info)
        return self


class Language(Section):
    """A chat model that writes what people say: a transformers model, or a server."""

    model: Model | None = None
    endpoint: Endpoint | None = None
    temperature: float = Field(default=0.9, ge=0, le=2)
    top_p: float = Field(default=0.95, gt=0, le=1)
    max_tokens: Count = 200
    attempts: Count = Field(default=3, description="tries at an answer of the form asked for")
    per_query: Count = Field(default=8, description="texts written for every text query")

    @model_validator(mode="after")
    def _one_back_end(self) -> Language:
        if (self.model is None) == (self.endpoint is None):
            raise ValueError("give either `model` or `endpoint`")
        return self


class Build(Section):
    """What the dataset is called and written in, and the salt of every hash that samples or splits."""

    name: str = Field(default="tinyworld", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    language: str = Field(
        default="en", pattern=r"^[a-z]{2,3}$", description="ISO 639 code of the texts, for the dataset card"
    )
    seed: int = Field(default=0, ge=0)


class Images(Section):
    """The pool of images, from one source or several.

    A source is `tinyworld` or `diffusion` (generated), a folder, a WebDataset `.tar`, a `.parquet` file, or a
    dataset as `datasets` reads it: `hf:OWNER/NAME@REVISION` (or `hf:./FOLDER`), with `?config=NAME&split=NAME`.
    """

    source: Sources = ("tinyworld",)
    diffusion: Diffusion | None = Field(default=None, description="draws for the source `diffusion`")
    count: Count = Field(default=2500, description="how many to generate")
    limit: int = Field(default=0, ge=0, description="the most rows to read of a source; 0 means all")
    plainly_harmful: Fraction = Field(
        default=0.04, description="share that tinyworld makes harmful by itself"
    )

    @model_validator(mode="after")
    def _drawn_by_something(self) -> Images:
        if "diffusion" in self.source and self.diffusion is None:
            raise ValueError("the source `diffusion` needs a section [images.diffusion]")
        return self


class Texts(Section):
    """The pool of texts, from one source or several.

    A source is `tinyworld` or `language` (generated), a `.txt`, `.csv`, `.jsonl` or `.parquet` file, or a dataset
    spelled as for images.
    """

    source: Sources = ("tinyworld",)
    language: Language | None = Field(default=None, description="writes for the source `language`")
    count: Count = Field(default=2500, description="how many to generate")
    limit: int = Field(default=0, ge=0, description="the most rows to read of a source; 0 means all")
    plainly_harmful: Fraction = Field(
        default=0.04, description="share that tinyworld makes harmful by itself"
    )
    column: str = Field(default="", description="column of the text; empty: text, caption or the only column")

    @model_validator(mode="after")
    def _written_by_something(self) -> Texts:
        if "language" in self.source and self.language is None:
            raise ValueError("the source `language` needs a section [texts.language]")
        return self


class Scenarios(Section):
    """What to look for: `tinyworld`, `seeds` (for real photographs), or a TOML file of the same form."""

    source: str = Field(default="tinyworld", min_length=1)


class Ingest(Section):
    """Caps on what is decoded; everything over them is excluded with a reason."""

    max_bytes: Count = 20_000_000
    max_pixels: Count = 40_000_000
    min_side: Count = 32
    max_side: Count = Field(default=1024, description="longer images are scaled down to this many pixels")
    max_characters: Count = 1_000
    quality: int = Field(default=92, ge=50, le=100, description="JPEG quality of the stored images")
    blur_faces: bool = Field(
        default=False,
        description="blur the upright, frontal faces that OpenCV finds in retrieved images; it misses some",
    )


class Screen(Section):
    """Is an asset benign alone? Classifiers and the judge are asked; known images and personal data go first."""

    image_classifier: Model = Model(path="builtin:tinyworld/screen-image")
    text_classifier: Model = Model(path="builtin:tinyworld/screen-text")
    image_labels: tuple[str, ...] = Field(
        default=("harmful",), min_length=1, description="labels of the image classifier that count as harmful"
    )
    text_labels: tuple[str, ...] = Field(
        default=("harmful",), min_length=1, description="labels of the text classifier that count as harmful"
    )
    zero_shot: Model | None = Field(
        default=None, description="an open_clip model that compares images with concepts"
    )
    concepts: str = Field(default="", description="a TOML file of concepts; empty: those of the package")
    rule: Literal["any", "mean"] = Field(
        default="any", description="`any` member at its threshold excludes, or the `mean` of all"
    )
    classifier_threshold: Fraction = 0.5
    zero_shot_threshold: Fraction = 0.5
    judge_threshold: Fraction = 0.5
    mean_threshold: Fraction = 0.5
    hash_list: str = Field(default="", description="a file of PDQ hashes; images that match are quarantined")
    personal_data: bool = Field(
        default=True, description="exclude texts with e-mail, phone, card or bank numbers"
    )
    regions: tuple[str, ...] = Field(
        default=("US", "GB", "DE", "FR"), description="countries whose phone numbers are recognised"
    )


class Dedupe(Section):
    """When two assets are near copies."""

    image_distance: int = Field(default=31, ge=0, le=128, description="PDQ bits that may differ, of 256")
    text_similarity: Fraction = Field(
        default=0.8, description="Jaccard similarity of word 3-shingles (MinHash)"
    )
    split: dict[Literal["train", "validation", "test", "test_ood"], Fraction] = Field(
        default={"train": 0.64, "validation": 0.1, "test": 0.13, "test_ood": 0.13},
        description="shares of the assets, before pairing; what is selected of a split depends on its scenarios too",
    )

    @model_validator(mode="after")
    def _shares_sum_to_one(self) -> Dedupe:
        if abs(sum(self.split.values()) - 1) > 1e-9 or len(self.split) != 4:
            raise ValueError("`split` needs all four splits, with shares that sum to 1")
        return self


class Embed(Section):
    """The dual encoder behind retrieval."""

    model: Model = Model(path="builtin:tinyworld/clip", batch_size=64)


class Pair(Section):
    """How candidates are retrieved."""

    images_per_scenario: Count = 12
    texts_per_scenario: Count = 12
    candidates_per_scenario: Count = 8
    uses_per_scenario: Count = Field(default=2, description="in how many of them one image or text may be")
    index_shards: Count = 4
    index: Literal["flat", "auto", "ivf", "hnsw"] = Field(
        default="flat", description="exact in memory, or on disk by the size of each split, or of that kind"
    )
    index_recall: float = Field(
        default=0.95, gt=0, le=1, description="share of the true nearest that an approximate index must find"
    )
    baseline_candidates: int = Field(
        default=400, ge=0, description="pairs judged for each of the two baselines"
    )


class Judge(Section):
    """The vision-language model that gives the probability of harm: a transformers model, or a server."""

    model: Model = Model(path="builtin:tinyworld/judge", batch_size=16)
    endpoint: Endpoint | None = Field(default=None, description="if given, asked instead of `model`")
    rationale_batch: Count = Field(default=64, description="rationales written at once")
    policy: str = Field(
        default="tinyworld", min_length=1, description="`tinyworld`, `everyday`, or the path of a TOML file"
    )
    temperature: float = Field(
        default=1.0, ge=0.05, le=20, description="divides every logit; see pipelines.calibrate"
    )
    offset: float = Field(default=0.0, ge=-10, le=10, description="is added to every logit after that")


class Contrast(Section):
    """How the contrast partners of an emergent pair are looked for."""

    neighbours: Count = Field(default=6, description="how many nearest images, and texts, are tried")
    away: float = Field(
        default=1.25, ge=0, le=10, description="how strongly the search looks away from the scenario's query"
    )


class Select(Section):
    """What counts as emergent and as benign, and how many pairs are kept."""

    min_joint: Fraction = 0.85
    likely: Fraction = Field(
        default=0.8, description="p_joint from which contrasts are judged, or `min_joint` if that is lower"
    )
    max_alone: Fraction = 0.35
    min_emergence: float = 2.0
    max_benign: Fraction = Field(default=0.2, description="p_joint up to which a pair counts as benign")
    max_uses: Count = Field(default=3, description="in how many emergent pairs one asset may be")
    max_per_mechanism: Count = Field(default=60, description="emergent pairs per split, hazard and mechanism")
    benign_share: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="benign pairs for every emergent pair, beside the contrast partners",
    )


class Compose(Section):
    """How the text is laid over or under the image."""

    style: Literal["mixed", "meme", "post", "caption"] = "mixed"
    width: int = Field(default=384, ge=128, le=2048)
    fonts: Annotated[
        tuple[Annotated[str, Field(min_length=1)], ...],
        BeforeValidator(lambda value: (value,) if isinstance(value, str) else value),
    ] = Field(default=(), description="font files (ttf, otf, ttc) for texts that DejaVu Sans cannot draw")


class Write(Section):
    """How rows become Parquet shards."""

    rows_per_shard: Count = 1000
    row_group: Count = 100


class BuildConfig(Section):
    """Everything that decides what a build writes."""

    build: Build = Build()
    images: Images = Images()
    texts: Texts = Texts()
    scenarios: Scenarios = Scenarios()
    ingest: Ingest = Ingest()
    screen: Screen = Screen()
    dedupe: Dedupe = Dedupe()
    embed: Embed = Embed()
    pair: Pair = Pair()
    judge: Judge = Judge()
    contrast: Contrast = Contrast()
    select: Select = Select()
    compose: Compose = Compose()
    write: Write = Write()


def load_config(profile: Path, overrides: list[str] | None = None, *, unpinned: bool = False) -> BuildConfig:
    """The configuration of a build; see `read_profile`."""
    return read_profile(BuildConfig, profile, overrides, unpinned=unpinned)
