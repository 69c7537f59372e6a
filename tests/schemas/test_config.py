import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from schemas.config import BUILTIN, BuildConfig, Dedupe, Model, load_config
from schemas.profile import ConfigError, Section
from schemas.records import SPLITS

Load = Callable[..., BuildConfig]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Load a profile given as TOML, with overrides."""

    def load(*overrides: str, profile: str = "") -> BuildConfig:
        path = tmp_path / "profile.toml"
        path.write_text(profile, encoding="utf-8")
        return load_config(path, list(overrides))

    return load


def _sections(section: type[Section]) -> list[type[Section]]:
    inner = [f.annotation for f in section.model_fields.values()]
    found = [a for a in inner if isinstance(a, type) and issubclass(a, Section)]
    return [section, *(s for f in found for s in _sections(f))]


def test_the_defaults_are_a_valid_configuration(load: Load) -> None:
    assert load() == BuildConfig()
    assert BuildConfig.model_validate(BuildConfig().model_dump()) == BuildConfig()


def test_every_key_but_a_models_path_has_a_default() -> None:
    required = [
        f"{section.__name__}.{name}"
        for section in dict.fromkeys(_sections(BuildConfig))
        for name, field in section.model_fields.items()
        if field.is_required()
    ]
    assert required == ["Model.path"]


def test_every_default_passes_its_own_limits() -> None:
    for section in dict.fromkeys(_sections(BuildConfig)):
        if section is not Model:
            section()


def test_every_default_model_ships_with_the_package() -> None:
    config = BuildConfig()
    models = (
        config.screen.image_classifier,
        config.screen.text_classifier,
        config.embed.model,
        config.judge.model,
    )
    assert all(m.path.startswith(f"{BUILTIN}tinyworld/") for m in models)


def test_the_default_shares_cover_all_splits() -> None:
    assert tuple(Dedupe().split) == SPLITS


def test_a_configuration_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        BuildConfig().build.seed = 3


@pytest.mark.parametrize(
    ("profile", "named"),
    [
        ("[select]\nmin_joimt = 0.9", "unknown key `select.min_joimt`"),
        ("[selct]\nmin_joint = 0.9", "unknown key `selct`"),
        ("seed = 1", "unknown key `seed`"),
        ("[judge.model]\npath = '/m'\nbatchsize = 3", "unknown key `judge.model.batchsize`"),
        ("[dedupe.split]\ntrian = 0.64", "dedupe.split.trian"),
    ],
)
def test_unknown_keys_are_refused_by_name(load: Load, profile: str, named: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load(profile=profile)
    assert named in str(refused.value)


@pytest.mark.parametrize(
    "override",
    [
        "select.min_joint=1.5",
        "select.min_joint=-0.1",
        "select.min_joint=nan",
        "select.min_emergence=nan",
        "select.min_emergence=inf",
        "select.benign_share=11",
        "select.max_uses=0",
        "images.count=0",
        "images.count=2.5",
        "images.count=many",
        "images.source=''",
        "images.limit=-1",
        "ingest.quality=30",
        "dedupe.image_distance=300",
        "compose.style=poster",
        "compose.width=10",
        "build.name='../up'",
        "build.name=7",
        "build.seed=-1",
        "screen.image_labels=[]",
        "embed.model.batch_size=0",
        "embed.model.threads=-2",
    ],
)
def test_impossible_values_are_refused_by_name(load: Load, override: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load(override)
    assert f"`{override.split('=', maxsplit=1)[0]}" in str(refused.value)


def test_every_wrong_key_is_named_at_once(load: Load) -> None:
    with pytest.raises(ConfigError, match=r"(?s)min_joint.*unknown key `write.shards`"):
        load("select.min_joint=2", "write.shards=3")


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("images.count=50", 50),
        ("images.count=1_000", 1000),
        ("images.plainly_harmful=0.25", 0.25),
        ("select.min_emergence=-1.5e0", -1.5),
        ("select.min_emergence=3", 3.0),
        ('images.source="/data/my photos"', ("/data/my photos",)),
        ("images.source='single quotes'", ("single quotes",)),
        ("images.source=/data/photos", ("/data/photos",)),
        ("images.source=a=b.parquet", ("a=b.parquet",)),
        ("images.source=./it's here", ("./it's here",)),
        (" build.name = spaced ", "spaced"),
        ("compose.style=meme", "meme"),
        ('images.source=["tinyworld", "photos/"]', ("tinyworld", "photos/")),
        ("texts.column=", ""),
        ('screen.image_labels=["nsfw", "gore"]', ("nsfw", "gore")),
        ("judge.model={path='hub/judge', revision='abc'}", Model(path="hub/judge", revision="abc")),
        (
            "dedupe.split={train=0.7, validation=0.1, test=0.1, test_ood=0.1}",
            {"train": 0.7, "validation": 0.1, "test": 0.1, "test_ood": 0.1},
        ),
    ],
)
def test_overrides_take_toml_and_bare_strings(load: Load, override: str, value: Any) -> None:
    section, key = override.split("=", maxsplit=1)[0].strip().split(".")
    assert getattr(getattr(load(override), section), key) == value


def test_a_date_is_no_name(load: Load) -> None:
    with pytest.raises(ConfigError, match=r"build\.name"):
        load(f"build.name={datetime.date(2020, 1, 2)}")


def test_overrides_win_over_the_profile_and_the_last_one_wins(load: Load) -> None:
    config = load("images.count=8", "images.count=9", profile="[images]\ncount = 7\nlimit = 5")
    assert (config.images.count, config.images.limit) == (9, 5)


def test_one_key_of_a_default_model_can_be_overridden(load: Load) -> None:
    config = load("judge.model.threads=2", "dedupe.split.train=0.54", "dedupe.split.test=0.23")
    assert config.judge.model == BuildConfig().judge.model.model_copy(update={"threads": 2})
    assert config.dedupe.split == BuildConfig().dedupe.split | {"train": 0.54, "test": 0.23}


def test_a_section_that_is_absent_by_default_can_be_made_by_overrides(load: Load) -> None:
    config = load("images.diffusion.path=./sd", "images.diffusion.steps=3")
    assert config.images.diffusion and config.images.diffusion.steps == 3


@pytest.mark.parametrize(
    "override", ["select.min_joint", "min_joint=0.9", "=0.9", ".min_joint=1", "select.=1", "select..a=1", ""]
)
def test_an_override_of_another_form_is_refused_with_an_example(load: Load, override: str) -> None:
    with pytest.raises(ConfigError, match=r"stage\.key=value"):
        load(override)


def test_an_override_inside_a_value_is_refused(load: Load) -> None:
    with pytest.raises(ConfigError, match="'count' is a value, not a section"):
        load("images.count.x=1")


def test_shares_that_do_not_sum_to_one_are_refused(load: Load) -> None:
    with pytest.raises(ConfigError, match=r"dedupe.*sum to 1"):
        load("dedupe.split.train=0.9")


@pytest.mark.parametrize("path", ["someone/model", "model"])
def test_a_hub_model_needs_a_revision(load: Load, path: str) -> None:
    with pytest.raises(ConfigError, match=rf"judge\.model.*'{path}' needs a pinned `revision`"):
        load(f"judge.model.path={path}")
    assert load(f"judge.model.path={path}", "judge.model.revision=abc").judge.model.revision == "abc"


def test_only_what_pins_a_profile_may_load_it_unpinned(tmp_path: Path) -> None:
    profile = tmp_path / "mine.toml"
    profile.write_text('[judge.model]\npath = "someone/model"')
    with pytest.raises(ConfigError, match=r"python -m pipelines\.doctor .*mine\.toml --pin pinned\.toml"):
        load_config(profile)
    assert load_config(profile, unpinned=True).judge.model.path == "someone/model"


def test_a_local_model_needs_no_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models" / "judge").mkdir(parents=True)
    for path in (str(tmp_path), "./x", "../x", "~/x", "models/judge"):
        assert Model(path=path).path == path


def test_a_missing_profile_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no profile .*nowhere\.toml"):
        load_config(tmp_path / "nowhere.toml")


@pytest.mark.parametrize("content", [b"[images\ncount = 1", b"\xff\xfe[images]", b"count = 1\ncount = 2"])
def test_a_profile_that_is_not_toml_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"broken\.toml is not TOML"):
        load_config(path)


def test_a_section_given_as_a_value_is_refused(load: Load) -> None:
    with pytest.raises(ConfigError, match="`images`"):
        load(profile="images = 3")
