import pyarrow as pa

from schemas.canary import KEY, canary_of, with_canary
from schemas.tables import pair_schema


def test_a_name_has_one_guid_and_another_name_another() -> None:
    assert canary_of("tinyworld") == canary_of("tinyworld") != canary_of("mine")


def test_it_is_added_to_what_a_schema_says_already() -> None:
    schema = with_canary(pair_schema(), "tinyworld")
    assert canary_of("tinyworld") in schema.metadata[KEY].decode()
    assert schema.metadata[b"huggingface"] == pair_schema().metadata[b"huggingface"]
    assert schema.equals(pair_schema())


def test_a_schema_that_says_nothing_can_hold_it() -> None:
    assert set(with_canary(pa.schema([pa.field("a", pa.string())]), "x").metadata) == {KEY}
