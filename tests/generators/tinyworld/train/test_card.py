from pathlib import Path

from generators.tinyworld.train.card import write_card
from generators.tinyworld.train.measure import Figures
from generators.tinyworld.train.run import STEPS


def test_the_card_holds_every_figure_and_every_number_of_steps(tmp_path: Path) -> None:
    figures = Figures(*(0.0811 * n for n in range(1, 13)))
    write_card(tmp_path, figures, steps=STEPS, scenes=12_345, minutes=67.2)
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert all(f"{figure:.3f}" in card for figure in figures)
    assert all(f"{count:,}" in card for count in STEPS.values())
    assert "12,345 scenes, 67 minutes" in card
    assert "means nothing" in card
