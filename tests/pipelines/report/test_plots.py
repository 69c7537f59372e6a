from pathlib import Path
from xml.etree import ElementTree

from pipelines.report import plots
from pipelines.report.figures import Figures, Flow, Yield

YIELDS = [Yield("scenario", 100, 40), Yield("random", 100, 5)]


def test_a_chart_is_one_svg_element_that_scales() -> None:
    root = ElementTree.fromstring(plots.yield_bars(YIELDS))
    assert root.tag.endswith("svg")
    assert "viewBox" in root.attrib and "width" not in root.attrib


def test_colours_follow_the_page() -> None:
    svg = plots.yield_bars(YIELDS)
    assert "var(--accent)" in svg
    assert "#01" not in svg


def test_a_chart_is_the_same_twice(small_dataset: Path) -> None:
    figures = Figures(small_dataset)
    assert plots.joint_histograms(figures) == plots.joint_histograms(figures)
    assert plots.emergence_histograms(figures) == plots.emergence_histograms(figures)


def test_no_yield_at_all_can_be_drawn() -> None:
    assert "0.0%" in plots.yield_bars([Yield("random", 10, 0)])


def test_a_stage_says_what_it_kept_and_dropped() -> None:
    assert "7 of 10 kept, 2 excluded, 1 failed" in plots.flow_bars([Flow("screen", 10, 7, 2, 1)])


def test_names_with_markup_are_escaped() -> None:
    svg = plots.flow_bars([Flow("<b>$x$", 1, 1, 0, 0)])
    assert "&lt;b&gt;$x$" in svg
