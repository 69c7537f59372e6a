"""The conversation with the Hugging Face Hub about one dataset repository: every request, and errors in words.

The token is the hub library's own affair (`HF_TOKEN`, or what `hf auth login` stored): it is never asked for here,
and is taken out of every message, as are the signed parts of addresses.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from pipelines.release.contents import ReleaseError, ReleaseFile

KIND = "dataset"
COMMIT_FILES = 1000
"""Files in a commit; the Hub refuses more than 25,000."""
GROUP_FILES = 16
"""Files uploaded before progress is told."""


class State(NamedTuple):
    """What the Hub says of a repository."""

    private: bool
    gated: str
    """`manual`, `auto` or empty for none."""
    commit: str


class Remote(NamedTuple):
    """A file on the far side."""

    sha256: str
    """Empty for small files, of which the Hub tells none."""
    bytes: int


class Hub:
    """One dataset repository on the Hub that `HF_ENDPOINT` names (by default huggingface.co).

    Args:
        repo: `owner/name`.
        revision: The branch that is written.

    Raises:
        ReleaseError: There is no token.
    """

    def __init__(self, repo: str, revision: str = "main") -> None:
        from huggingface_hub import HfApi, get_token
        from huggingface_hub.utils import logging
        from huggingface_hub.utils.tqdm import disable_progress_bars

        # At the level of warnings the library prints signed addresses of uploads that it tries again.
        logging.set_verbosity_error()
        disable_progress_bars()
        self.repo = repo
        self.revision = revision
        self._api = HfApi()
        if not get_token():
            raise ReleaseError("there is no token for the Hub: set HF_TOKEN, or run `hf auth login`")

    @property
    def url(self) -> str:
        """The repository's page."""
        return f"{self._api.endpoint}/datasets/{self.repo}"

    def state(self) -> State | None:
        """How the repository stands; None if there is none (or none that the token may see)."""
        from huggingface_hub.errors import RepositoryNotFoundError

        with _spoken(f"asking how {self.repo} stands"):
            try:
                info = self._api.dataset_info(self.repo)
            except RepositoryNotFoundError as error:
                if error.response.status_code == 401:
                    raise
                return None
        return State(info.private is True, str(info.gated or ""), str(info.sha))

    def create(self) -> None:
        """Make the repository, private; an error if it exists."""
        with _spoken(f"creating {self.repo}"):
            self._api.create_repo(self.repo, repo_type=KIND, private=True, exist_ok=False)

    def set_gate(self) -> None:
        """Ask for manual approval of every request for access."""
        with _spoken(f"setting the gate of {self.repo}"):
            self._api.update_repo_settings(self.repo, gated="manual", repo_type=KIND)

    def set_private(self, private: bool) -> None:
        """Hide the repository, or show it."""
        with _spoken(f"making {self.repo} {'private' if private else 'public'}"):
            self._api.update_repo_settings(self.repo, private=private, repo_type=KIND)

    def make_branch(self) -> None:
        """Make the revision's branch from the repository's first commit, which is empty, unless it exists."""
        if self.revision == "main":
            return
        with _spoken(f"making the branch {self.revision} of {self.repo}"):
            first = list(self._api.list_repo_commits(self.repo, repo_type=KIND))[-1].commit_id
            self._api.create_branch(
                self.repo, branch=self.revision, revision=first, repo_type=KIND, exist_ok=True
            )

    def files(self) -> dict[str, Remote]:
        """Path to what the Hub tells of it, for all files of the revision; none if there is no such branch."""
        from huggingface_hub.errors import RevisionNotFoundError
        from huggingface_hub.hf_api import RepoFile

        with _spoken(f"listing the files of {self.repo}"):
            try:
                tree = list(
                    self._api.list_repo_tree(
                        self.repo, repo_type=KIND, revision=self.revision, recursive=True
                    )
                )
            except RevisionNotFoundError:
                return {}
        found = (entry for entry in tree if isinstance(entry, RepoFile))
        return {file.path: Remote(file.lfs.sha256 if file.lfs else "", file.size) for file in found}

    def downloaded_digest(self, path: str) -> str:
        """The sha256 of a file as the Hub hands it out."""
        with tempfile.TemporaryDirectory() as folder, _spoken(f"reading back {path}"):
            copy = self._api.hf_hub_download(
                self.repo, path, repo_type=KIND, revision=self.revision, local_dir=folder
            )
            return hashlib.sha256(Path(copy).read_bytes()).hexdigest()

    def validate(self, card: str) -> None:
        """Have the Hub check the metadata of a card."""
        from huggingface_hub import DatasetCard

        with _spoken("checking the card's metadata"):
            DatasetCard(card, ignore_metadata_errors=False).validate()

    def upload(self, files: Sequence[ReleaseFile], advance: Callable[[int], object]) -> None:
        """Upload and commit files in their order; what the Hub already holds is not sent again.

        Args:
            files: What to write.
            advance: Is told how many bytes are over.
        """
        for start in range(0, len(files), COMMIT_FILES):
            some = files[start : start + COMMIT_FILES]
            with _spoken(f"uploading to {self.repo}"):
                operations = list(self._sent(some, advance))
                self._api.create_commit(
                    self.repo,
                    operations,
                    commit_message=f"{len(some)} files of the dataset",
                    repo_type=KIND,
                    revision=self.revision,
                )

    def _sent(self, files: Sequence[ReleaseFile], advance: Callable[[int], object]) -> Iterator[Any]:
        """Operations of a commit, their large files uploaded."""
        from huggingface_hub import CommitOperationAdd

        for start in range(0, len(files), GROUP_FILES):
            some = files[start : start + GROUP_FILES]
            operations = [CommitOperationAdd(file.path, file.content) for file in some]
            self._api.preupload_lfs_files(
                self.repo, operations, repo_type=KIND, revision=self.revision, free_memory=True
            )
            yield from operations
            advance(sum(file.size for file in some))


@contextmanager
def _spoken(what: str) -> Iterator[None]:
    """Turn whatever goes wrong in a conversation into a ReleaseError without secrets."""
    from huggingface_hub import errors

    # The base of its HTTP client's errors, whichever client that is.
    http_error: type[Exception] = errors.HTTPError  # type: ignore[attr-defined]
    try:
        yield
    except (http_error, OSError, RuntimeError, ValueError) as error:
        raise ReleaseError(f"{what} failed: {_harmless(error)}") from None


def _harmless(error: Exception) -> str:
    """The error's message in one line, without tokens and without what is signed in addresses."""
    from huggingface_hub import get_token

    cause = error.__cause__ if isinstance(error, RuntimeError) and error.__cause__ else error
    text = " ".join(f"{type(cause).__name__}: {cause}".split())
    text = re.sub(r"\?\S*", "", text)
    text = re.sub(r"\bhf_\w+", "***", text)
    token = get_token()
    return (text.replace(token, "***") if token else text)[:500]
