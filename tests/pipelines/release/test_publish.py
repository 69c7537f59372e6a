"""The order of steps on the Hub: whatever fails, nothing is public that should not be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hub import TOKEN, FakeHub

Export = Callable[..., Any]
REPO = "owner/little"
SKIP = ("--skip-audit", "a test of the export")
API = "/api/datasets/owner/little"
CHANGING = ("POST /api/repos/create", f"PUT {API}/settings", f"POST {API}/commit")
RELEASED = {
    "README.md",
    "croissant.json",
    "data/test-00000-of-00001.parquet",
    "data/train-00000-of-00001.parquet",
    "excluded/excluded-00000-of-00001.parquet",
    "manifest.json",
    "report.html",
}


@pytest.fixture(autouse=True)
def nothing_is_exposed(hub: FakeHub) -> Iterator[None]:
    """At no moment of any test was a repository of ours public without its gate."""
    yield
    assert hub.exposed == []


def _held(hub: FakeHub) -> set[str]:
    return set(hub.repos[REPO].files) - {".gitattributes"}


def _stands(hub: FakeHub) -> tuple[bool, Any]:
    return hub.repos[REPO].private, hub.repos[REPO].gated


def test_a_first_export_is_private_gated_and_complete(dataset: Path, hub: FakeHub, export: Export) -> None:
    done = export(dataset, "--repo", REPO, *SKIP)
    assert done.status == 0, done.stderr
    assert _stands(hub) == (True, "manual")
    assert _held(hub) == RELEASED


def test_nothing_goes_up_before_the_gate_was_read_back(dataset: Path, hub: FakeHub, export: Export) -> None:
    export(dataset, "--repo", REPO, *SKIP)
    settings = hub.requests.index(f"PUT {API}/settings")
    first = next(n for n, request in enumerate(hub.requests) if "preupload" in request)
    assert f"GET {API}" in hub.requests[settings:first]


def test_public_is_the_last_thing_it_becomes(dataset: Path, hub: FakeHub, export: Export) -> None:
    assert export(dataset, "--repo", REPO, "--public", *SKIP).status == 0
    assert _stands(hub) == (False, "manual")
    assert hub.requests[-2:] == [f"PUT {API}/settings", f"GET {API}"]


def _start_over(hub: FakeHub) -> None:
    hub.repos.clear()
    hub.restore()
    for path in hub.folder.iterdir():
        path.unlink()


@pytest.fixture
def requests(dataset: Path, hub: FakeHub, export: Export) -> list[str]:
    """The requests of a good run that ends public."""
    export(dataset, "--repo", REPO, *SKIP)  # so that what the library asks once a process is not among them
    _start_over(hub)
    assert export(dataset, "--repo", REPO, "--public", *SKIP).status == 0
    return list(hub.requests)


def _is_finished_after(hub: FakeHub, export: Export, dataset: Path) -> None:
    """A cut run left nothing public but what is finished, and the next run finishes it."""
    cut = hub.cut
    if REPO in hub.repos and not hub.repos[REPO].private:
        assert _held(hub) == RELEASED, f"public and incomplete after {cut}"
    hub.cut = None
    again = export(dataset, "--repo", REPO, "--public", *SKIP)
    assert again.status == 0, f"after {cut}: {again.stderr}"
    assert (_stands(hub), _held(hub)) == ((False, "manual"), RELEASED)


def test_cut_off_at_any_request_it_is_not_public_and_goes_on(
    requests: list[str], dataset: Path, hub: FakeHub, export: Export
) -> None:
    for number in range(len(requests)):
        _start_over(hub)
        hub.cut = (number, "before")
        done = export(dataset, "--repo", REPO, "--public", *SKIP)
        assert done.status == 0 or REPO not in hub.repos or hub.repos[REPO].private, requests[number]
        if number % 3 == 0:
            _is_finished_after(hub, export, dataset)


def test_cut_off_after_a_change_took_effect_it_is_not_public_and_goes_on(
    requests: list[str], dataset: Path, hub: FakeHub, export: Export
) -> None:
    changes = [number for number, request in enumerate(requests) if request.startswith(CHANGING)]
    assert len(changes) == 4
    for number in changes:
        _start_over(hub)
        hub.cut = (number, "after")
        done = export(dataset, "--repo", REPO, "--public", *SKIP)
        assert done.status == 1 and hub.repos[REPO].private, requests[number]
        _is_finished_after(hub, export, dataset)


def test_what_is_there_already_is_not_sent_again(dataset: Path, hub: FakeHub, export: Export) -> None:
    export(dataset, "--repo", REPO, *SKIP)
    hub.requests.clear()
    again = export(dataset, "--repo", REPO, *SKIP)
    assert again.status == 0 and "3 of 7 files are there already" in again.stdout
    assert not [request for request in hub.requests if "/lfs/" in request or "/commit/" in request]


def test_if_it_cannot_be_hidden_again_that_is_said_loudly(
    requests: list[str], dataset: Path, hub: FakeHub, export: Export
) -> None:
    _start_over(hub)
    hub.dead_from = len(requests) - 1
    done = export(dataset, "--repo", REPO, "--public", *SKIP)
    assert done.status == 1 and "MAY BE PUBLIC" in done.stderr
    assert _stands(hub) == (False, "manual")


def test_a_gate_that_does_not_stick_leaves_an_empty_private_repository(
    dataset: Path, hub: FakeHub, export: Export
) -> None:
    hub.gate_sticks = False
    done = export(dataset, "--repo", REPO, "--public", *SKIP)
    assert done.status == 1 and "its gate was read back as none" in done.stderr
    assert hub.repos[REPO].private and not _held(hub)


def test_a_repository_that_is_made_public_is_hidden_and_left_empty(
    dataset: Path, hub: FakeHub, export: Export
) -> None:
    hub.creates_public = True
    done = export(dataset, "--repo", REPO, *SKIP)
    assert done.status == 1 and "was not private" in done.stderr
    assert hub.repos[REPO].private and not _held(hub)
    hub.exposed.clear()  # it was empty


def test_a_gate_that_falls_on_publishing_hides_the_repository_again(
    dataset: Path, hub: FakeHub, export: Export
) -> None:
    hub.gate_survives_publishing = False
    done = export(dataset, "--repo", REPO, "--public", *SKIP)
    assert done.status == 1 and "made private again" in done.stderr
    assert hub.repos[REPO].private
    hub.exposed.clear()  # the Hub itself dropped it, for two requests


@pytest.mark.parametrize("path", ["data/test-00000-of-00001.parquet", "manifest.json"])
def test_other_bytes_on_the_far_side_keep_it_private(
    path: str, dataset: Path, hub: FakeHub, export: Export
) -> None:
    hub.spoils = path
    done = export(dataset, "--repo", REPO, "--public", *SKIP)
    assert done.status == 1 and f"1 files differ there, the first: {path}" in done.stderr
    assert hub.repos[REPO].private


@pytest.mark.parametrize("files", [{"data/other.parquet": b"x"}, {"README.md": b"mine"}])
def test_a_repository_with_other_content_is_left_as_it_is(
    files: dict[str, bytes], dataset: Path, hub: FakeHub, export: Export
) -> None:
    hub.add(REPO, True, files)
    done = export(dataset, "--repo", REPO, *SKIP)
    assert done.status == 1 and "holds other content" in done.stderr
    assert (_held(hub), hub.repos[REPO].gated) == (set(files), False)


def test_another_version_of_the_dataset_is_other_content(dataset: Path, hub: FakeHub, export: Export) -> None:
    export(dataset, "--repo", REPO, *SKIP)
    hub.repos[REPO].files["data/test-00000-of-00001.parquet"] = hub.keep(b"older", lfs=True)
    assert "holds other content" in export(dataset, "--repo", REPO, *SKIP).stderr


def test_another_branch_may_hold_another_version(dataset: Path, hub: FakeHub, export: Export) -> None:
    export(dataset, "--repo", REPO, *SKIP)
    hub.repos[REPO].files["data/test-00000-of-00001.parquet"] = hub.keep(b"older", lfs=True)
    done = export(dataset, "--repo", REPO, "--revision", "v2", *SKIP)
    assert done.status == 0, done.stderr
    assert set(hub.repos[REPO].branches["v2"]) == {*RELEASED, ".gitattributes"}


@pytest.mark.parametrize("public", [[], ["--public"]])
def test_a_public_repository_is_refused(
    public: list[str], dataset: Path, hub: FakeHub, export: Export
) -> None:
    hub.add(REPO, False, {})
    done = export(dataset, "--repo", REPO, *public, *SKIP)
    assert done.status == 1 and "exists and is public, not gated" in done.stderr
    assert not _held(hub)
    hub.exposed.clear()  # it is not ours


def test_a_card_of_before_is_brought_up_to_date(dataset: Path, hub: FakeHub, export: Export) -> None:
    export(dataset, "--repo", REPO, *SKIP)
    assert export(dataset, "--repo", REPO, "--contact", "someone@example.org", *SKIP).status == 0
    card = hub.object(hub.repos[REPO].files["README.md"][0]).read_text()
    assert "someone@example.org" in card


def test_no_request_carries_the_token_in_its_address(dataset: Path, hub: FakeHub, export: Export) -> None:
    done = export(dataset, "--repo", REPO, *SKIP)
    assert not [request for request in hub.requests if TOKEN in request]
    assert TOKEN not in done.stdout + done.stderr
