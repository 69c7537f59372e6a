import logging

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import DirectOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to

from pipelines.engine import EngineError, choose_engine

THREADS = "--direct_running_mode=multi_threading"
PROCESSES = "--direct_running_mode=multi_processing"


@pytest.mark.parametrize("runner", ["DirectRunner", "directrunner", "FnApiRunner", "SwitchingDirectRunner"])
def test_the_direct_runner_is_the_in_process_engine(runner: str) -> None:
    engine = choose_engine(runner, [])
    assert engine.in_process
    assert isinstance(engine.pipeline().runner, FnApiRunner)
    assert engine.name == "FnApiRunner (in_memory, 1 worker)"


def test_the_engine_that_runs_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "pipelines.engine"):
        choose_engine("DirectRunner", []).pipeline()
    assert "engine: FnApiRunner (in_memory, 1 worker)" in caplog.text


def test_a_pipeline_of_the_engine_runs() -> None:
    with choose_engine("DirectRunner", []).pipeline() as pipeline:
        assert_that(pipeline | beam.Create([1, 2]) | beam.Map(lambda n: n + 1), equal_to([2, 3]))


@pytest.mark.parametrize(
    "flags",
    [
        [PROCESSES, "--direct_num_workers=2"],
        ["--direct_running_mode", "multi_processing", "--direct_num_workers", "2"],
    ],
)
def test_worker_processes_are_taken_from_beams_flags(flags: list[str]) -> None:
    engine = choose_engine("DirectRunner", flags)
    assert engine.name == "FnApiRunner (multi_processing, 2 workers)"
    options = engine.pipeline().options.view_as(DirectOptions)
    assert (options.direct_running_mode, options.direct_num_workers) == ("multi_processing", 2)


def test_other_runners_keep_their_name_and_flags() -> None:
    engine = choose_engine("PortableRunner", ["--job_endpoint=localhost:1"])
    assert not engine.in_process
    assert engine.name == "PortableRunner"
    assert engine.flags == ("--job_endpoint=localhost:1",)


@pytest.mark.parametrize("runner", ["DaskRunner", "dask", "apache_beam.runners.dask.dask_runner.DaskRunner"])
def test_dask_is_refused_with_the_reason(runner: str) -> None:
    with pytest.raises(EngineError, match=r"rows would be lost.*multi_processing"):
        choose_engine(runner, [])


@pytest.mark.parametrize(
    "flags",
    [[THREADS], ["--direct_running_mode", "multi_threading"], ["--direct_running_mode=in_memory", THREADS]],
)
def test_threads_are_refused_with_the_reason(flags: list[str]) -> None:
    with pytest.raises(EngineError, match=r"loses rows.*multi_processing"):
        choose_engine("DirectRunner", flags)


def test_an_unknown_mode_is_refused_by_name() -> None:
    with pytest.raises(EngineError, match="direct_running_mode=turbo"):
        choose_engine("DirectRunner", ["--direct_running_mode=turbo"])


@pytest.mark.parametrize("workers", ["0", "-1", "two", "1.5", ""])
def test_an_impossible_number_of_workers_is_refused(workers: str) -> None:
    with pytest.raises(EngineError, match="direct_num_workers"):
        choose_engine("DirectRunner", [PROCESSES, f"--direct_num_workers={workers}"])
