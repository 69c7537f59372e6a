from pathlib import Path

from generators.tinyworld.train.card import write_card
from generators.tinyworld.train.measure import Figures
from generators.tinyworld.train.measure_base import Readings
from generators.tinyworld.train.run import STEPS


def test_the_card_holds_every_figure_and_every_number_of_steps(tmp_path: Path) -> None:
    base = Readings(*(0.0811 * n for n in range(9, 13)))
    figures = Figures(*(0.0811 * n for n in range(1, 9)), base=base)
    write_card(tmp_path, figures, steps=STEPS, scenes=12_345, minutes=67.2)
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert all(f"{figure:.3f}" in card for figure in (*figures[:-1], *base))
    assert all(f"{count:,}" in card for count in STEPS.values())
    assert "12,345 scenes, 67 minutes" in card
    assert "means nothing" in card
