"""The model hub: what is in its cache here, what it says of a model, and its errors in one line each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from huggingface_hub import ModelInfo

FETCHED = ["*.safetensors", "*.safetensors.index.json", "*.json", "*.txt", "*.model", "*.jinja"]
"""The files of a model that are fetched and read; weights are safetensors only."""
TIMEOUT = 10.0
"""Seconds that the hub may take to say what it knows of a model."""


class HubError(OSError):
    """A model that the hub did not give; the message says why, and what to do."""


class Trouble(NamedTuple):
    """Why the hub did not give a model."""

    said: str
    todo: str
    unknown: bool
    """Whether nothing was learned of the model, as without a network."""


def cached_snapshot(path: str, revision: str) -> Path | None:
    """The folder of a model whose files are all in the cache; asks nobody."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    with hub_errors(path, revision):
        try:
            wanted = revision or None
            held = snapshot_download(path, revision=wanted, allow_patterns=FETCHED, local_files_only=True)
        except LocalEntryNotFoundError:
            return None
    return Path(held) if any(Path(held).glob("*.safetensors")) else None


def fetched_snapshot(path: str, revision: str) -> Path:
    """The folder of a model, from the cache or downloaded.

    Raises:
        HubError: It is not in the cache and cannot be fetched.
    """
    from huggingface_hub import snapshot_download

    cached = cached_snapshot(path, revision)
    if cached:
        return cached
    # Asked first, since a download would try again for most of a minute where there is no network.
    described(path, revision)
    with hub_errors(path, revision):
        return Path(snapshot_download(path, revision=revision, allow_patterns=FETCHED))


def described(path: str, revision: str) -> ModelInfo:
    """What the hub says of a model at a revision (of its default branch if that is empty), sizes included.

    Raises:
        HubError: It cannot be reached, or knows no such model.
    """
    from huggingface_hub import HfApi

    with hub_errors(path, revision):
        return HfApi().model_info(path, revision=revision or None, files_metadata=True, timeout=TIMEOUT)


@contextmanager
def hub_errors(path: str, revision: str) -> Iterator[None]:
    """Raise what the hub's library raises in the body as `HubError`."""
    import httpx2
    from huggingface_hub.errors import HFValidationError

    try:
        yield
    except (httpx2.HTTPError, OSError, HFValidationError) as error:
        trouble = explain(error, path, revision)
        raise HubError(f"{path}: {trouble.said}; {trouble.todo}") from error


def explain(error: BaseException, path: str, revision: str) -> Trouble:
    """What an error of the hub's library means; the token is never part of it."""
    from huggingface_hub import constants, errors

    page = f"{constants.ENDPOINT}/{path}"
    at = f" --revision {revision}" if revision else ""
    elsewhere = (
        f"`hf download {path}{at} --local-dir FOLDER` where there is a network, and give FOLDER as `path`"
    )
    if isinstance(error, errors.OfflineModeIsEnabled):
        todo = f"unset HF_HUB_OFFLINE, or run {elsewhere}"
        return Trouble("not in the cache, and HF_HUB_OFFLINE forbids to ask the hub", todo, True)
    if isinstance(error, errors.GatedRepoError):
        return Trouble("gated, and no access is granted", _access(page), False)
    if isinstance(error, errors.RevisionNotFoundError):
        return Trouble(f"the hub has no revision {revision}", "pin it again", False)
    if isinstance(error, errors.RepositoryNotFoundError):
        return Trouble(
            "the hub shows no such model", f"check its name; if it is private, {_access(page)}", False
        )
    if isinstance(error, errors.HfHubHTTPError):
        return Trouble(f"the hub answered {error.response.status_code}", "try again later", True)
    if isinstance(error, errors.HFValidationError):
        return Trouble("neither a folder nor the id of a hub model", "correct `path`", False)
    lost = (ConnectionError, TimeoutError, errors.LocalEntryNotFoundError)
    if isinstance(error, OSError) and not isinstance(error, lost):
        return Trouble(f"the hub's cache cannot be used ({error})", "check its disk, or set HF_HOME", False)
    said = f"the hub {constants.ENDPOINT} was not reached ({type(error).__name__})"
    return Trouble(said, f"check the network and HTTPS_PROXY, or run {elsewhere}", True)


def _access(page: str) -> str:
    from huggingface_hub import get_token

    held = "the account of your token" if get_token() else "an account, log in with `hf auth login`,"
    return f"take {held} and accept the terms on {page}"
