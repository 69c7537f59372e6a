import pytest

from annotation.delivery import Copy, surplus


@pytest.mark.parametrize(
    ("copies", "doomed"),
    [
        ([Copy(1, "a", False), Copy(2, "b", False)], []),
        ([Copy(3, "a", False), Copy(1, "a", False), Copy(2, "a", False)], [2, 3]),
        ([Copy(1, "a", False), Copy(2, "a", True)], [1]),
        ([Copy(1, "a", True), Copy(2, "a", True), Copy(3, "a", False)], [3]),
    ],
)
def test_of_several_tasks_of_a_pair_the_annotated_ones_stay_or_else_the_first(
    copies: list[Copy], doomed: list[int]
) -> None:
    assert surplus(copies) == doomed
