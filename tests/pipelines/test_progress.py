import io
import pickle
import subprocess
import sys
import threading
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.metrics import MetricsFilter
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from rich.console import Console

from pipelines.progress import ProgressDisplay, Rate, StageLine, Tally, read_progress


class _Counting(beam.DoFn):
    def __init__(self, tally: Tally) -> None:
        self.tally = tally

    def process(self, element: int) -> None:
        self.tally.count("in")

    def finish_bundle(self) -> None:
        self.tally.flush()


def test_counts_of_several_stages_are_read_back(tmp_path: Path) -> None:
    Tally(str(tmp_path), "ingest").count("in", 3)
    screen = Tally(str(tmp_path), "screen")
    screen.expect(5)
    screen.count("in")
    screen.flush()
    assert read_progress(tmp_path) == {"ingest": {"in": 3}, "screen": {"expected": 5, "in": 1}}


def test_nothing_is_counted_before_the_first_file(tmp_path: Path) -> None:
    assert read_progress(tmp_path) == {}


def test_counts_of_other_processes_are_added(tmp_path: Path) -> None:
    code = f"from pipelines.progress import Tally; Tally({str(tmp_path)!r}, 'judge').count('in', 4)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
    tally = Tally(str(tmp_path), "judge")
    tally.count("in", 2)
    tally.flush()
    assert read_progress(tmp_path) == {"judge": {"in": 6}}


def test_no_count_is_lost_between_threads(tmp_path: Path) -> None:
    tally = Tally(str(tmp_path), "embed")
    threads = [threading.Thread(target=lambda: [tally.count("in") for _ in range(500)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tally.flush()
    assert read_progress(tmp_path) == {"embed": {"in": 2000}}


def test_a_tally_pickles_to_its_directory_and_stage(tmp_path: Path) -> None:
    tally = Tally(str(tmp_path), "pair")
    tally.count("in")
    copy = pickle.loads(pickle.dumps(tally))  # noqa: S301
    assert (copy.run_dir, copy.stage) == (str(tmp_path), "pair")
    assert len(pickle.dumps(tally)) < 200 + len(str(tmp_path))


def test_a_tally_without_a_directory_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tally = Tally("", "ingest")
    tally.count("in")
    tally.expect(2)
    tally.flush()
    assert list(tmp_path.iterdir()) == []


def test_counts_in_a_pipeline_reach_the_metrics_and_the_files(tmp_path: Path) -> None:
    pipeline = beam.Pipeline(runner=FnApiRunner())
    _ = pipeline | beam.Create(range(7)) | beam.ParDo(_Counting(Tally(str(tmp_path), "ingest")))
    result = pipeline.run()
    result.wait_until_finish()
    found = result.metrics().query(MetricsFilter().with_namespace("crossharm/ingest"))["counters"]
    assert [metric.committed for metric in found] == [7]
    assert read_progress(tmp_path) == {"ingest": {"in": 7}}


def test_done_counts_before_in() -> None:
    assert StageLine.of("judge", {"in": 9, "done": 4, "expected": 10}, 2.0).amount == "4/10"


@pytest.mark.parametrize(
    ("done", "expected", "rate", "left"),
    [
        (40, 100, 1.0, "1:00"),
        (0, 7265, 1.0, "2:01:05"),
        (100, 100, 5.0, "done"),
        (5, 0, 5.0, ""),
        (5, 9, 0.0, ""),
    ],
)
def test_time_left_is_told_where_it_is_known(done: int, expected: int, rate: float, left: str) -> None:
    assert StageLine("judge", done, expected, rate).left == left


def test_a_plain_line_says_everything() -> None:
    line = StageLine("screen", 1200, 6000, 80.0, excluded=12, failed=1, cached=300)
    assert line.plain() == "screen: 1,200/6,000, 80/s, 1:00 left, 12 excluded, 1 failed, 300 cached"


def test_the_rate_starts_with_the_stage_and_forgets_old_times() -> None:
    rate = Rate()
    assert rate.observe(0.0, 0) == 0.0
    assert rate.observe(100.0, 0) == 0.0
    assert rate.observe(101.0, 50) == 50.0
    assert rate.observe(130.0, 60) == pytest.approx(10 / 29)


def test_without_a_terminal_each_stage_that_moved_gets_a_line(tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), width=80)
    with ProgressDisplay(tmp_path, ["ingest", "screen"], console):
        tally = Tally(str(tmp_path), "ingest")
        tally.expect(3)
        tally.count("in", 3)
    assert console.file.getvalue().splitlines() == ["ingest: 3/3, done"]


def test_on_a_terminal_every_stage_has_a_line_in_the_order_given(tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100, color_system=None)
    with ProgressDisplay(tmp_path, ["screen", "ingest"], console):
        Tally(str(tmp_path), "ingest").count("in", 3)
    shown = console.file.getvalue().splitlines()
    names = [name for line in shown for name in ("screen", "ingest") if name in line]
    assert names[-2:] == ["screen", "ingest"]


def test_an_error_in_the_body_ends_the_display(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), ProgressDisplay(tmp_path, ["ingest"], Console(file=io.StringIO())):
        raise RuntimeError
    assert "progress" not in {thread.name for thread in threading.enumerate()}
