import pytest

from pipelines.training.rewards.batch import Batch
from tests.pipelines.training.rewards.completions import BENIGN, HARM, batch, columns, right, wrong


def test_conversations_and_strings_are_read_alike():
    pairs = [(right(HARM), HARM)]
    said = [[{"role": "assistant", "content": right(HARM)}]]
    assert Batch.of(said, columns(pairs)).rows == batch(pairs).rows


def test_a_row_is_right_where_the_verdict_is():
    read = batch([(right(HARM), HARM), (wrong(HARM), HARM), ("", HARM)])
    assert [row.right for row in read.rows] == [True, False, False]


def test_lists_from_a_dataset_become_tuples_and_missing_columns_blanks():
    read = Batch.of([""], {"id": ["a"], "text": ["t"], "verdict": ["benign"], "image_says": [["a mug"]]})
    assert read.rows[0].example == BENIGN._replace(
        id="a",
        text="t",
        role="",
        contrast_group="",
        image_says=("a mug",),
        text_says=(),
        p_image=0.0,
        p_text=0.0,
        provenance="",
    )


def test_columns_that_are_no_field_of_an_example_are_let_through():
    read = Batch.of([""], columns([("", HARM)]) | {"image": ["picture"], "other": [1]})
    assert (read.rows[0].image, read.rows[0].example) == ("picture", HARM)


def test_a_missing_column_is_named():
    with pytest.raises(ValueError, match="need the columns text, verdict"):
        Batch.of([""], {"id": ["a"]})


def test_rows_are_grouped_by_example_and_these_by_contrast_set():
    alone = HARM._replace(id="alone", contrast_group="")
    read = batch([("", HARM), ("", BENIGN), ("", HARM), ("", alone)])
    assert read.groups == [[0, 2], [1], [3]]
    assert read.sets == {"set": [[0, 2], [1]]}
