"""The mechanisms as a profile switches them on."""

import pytest
from pydantic import ValidationError

from pipelines.training.mechanisms.settings import Mechanisms
from schemas.profile import ConfigError, Section, read_profile


class Profile(Section):
    mechanisms: Mechanisms = Mechanisms()


def test_all_are_off_by_default():
    assert set(Mechanisms().model_dump().values()) == {None}


def test_a_section_in_a_profile_switches_its_mechanism_on(tmp_path):
    profile = tmp_path / "profile.toml"
    profile.write_text(
        '[mechanisms.perception]\ngamma = 0.02\n[mechanisms.mixture]\nweights = {"benign" = 1.0}\n'
    )
    found = read_profile(Profile, profile).mechanisms
    assert found.perception is not None and found.perception.gamma == 0.02
    assert found.perception.masked == 0.6
    assert found.mixture is not None and found.clipping is None


def test_an_override_switches_a_mechanism_on(tmp_path):
    profile = tmp_path / "profile.toml"
    profile.write_text("")
    found = read_profile(Profile, profile, ["mechanisms.dependence={}"]).mechanisms
    assert found.dependence is not None and found.dependence.tokens == 0.4


def test_an_override_switches_a_mechanism_of_the_profile_off(tmp_path):
    profile = tmp_path / "profile.toml"
    profile.write_text("[mechanisms.emphasis]\nverdict_weight = 2.0\n")
    assert read_profile(Profile, profile).mechanisms.emphasis is not None
    assert read_profile(Profile, profile, ["mechanisms.emphasis=off"]).mechanisms.emphasis is None


def test_an_unknown_mechanism_is_refused_by_name(tmp_path):
    profile = tmp_path / "profile.toml"
    profile.write_text("[mechanisms.telepathy]\n")
    with pytest.raises(ConfigError, match="telepathy"):
        read_profile(Profile, profile)


@pytest.mark.parametrize(
    "wrong",
    [
        {"perception": {"masked": 1.5}},
        {"dependence": {"tokens": 0.0}},
        {"uncertainty": {"noise": 0.0}},
        {"clipping": {"schedule": "cosine"}},
        {"mixture": {"weights": {"a": -1.0}}},
    ],
)
def test_values_out_of_range_are_refused(wrong):
    with pytest.raises(ValidationError):
        Mechanisms.model_validate(wrong)
