"""A release to the Hub, in the order that keeps it safe: private until the gate and all digests were read back.

A new repository is made private; its gate is set and read back; files go up; all are compared with the far side;
and only then, if asked for, is it made public and read back once more. A run that is cut off anywhere leaves it
private, and the next run goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pipelines.release.contents import SHARDS, ReleaseError, ReleaseFile
from pipelines.release.hub import Hub, Remote, State

GATE = "manual"
NOT_OURS = frozenset({".gitattributes"})
"""Files that the Hub itself puts into a new repository."""
ATTEMPTS = 3
"""How often a repository is told to be private again."""

Say = Callable[[str], object]


def publish(
    hub: Hub,
    files: Sequence[ReleaseFile],
    *,
    public: bool,
    say: Say,
    advance: Callable[[int], object],
) -> None:
    """Bring the repository to hold exactly these files, gated, and private unless `public`.

    Args:
        hub: The repository.
        files: The release.
        public: Whether to show it in the end.
        say: Is told each step.
        advance: Is told how many bytes are over.

    Raises:
        ReleaseError: It is not ours to write, or something did not hold; it is then private if it was made here.
    """
    state = hub.state()
    if state and not state.private:
        _require_finished(hub, files, state, public)
        say("it is public, gated and complete already")
        return
    if state:
        require_ours(f"the repository {hub.repo}", files, _digests(hub.files()))
    else:
        say("creating the repository, private")
        hub.create()
    say(f"gate: {GATE} approval of every request")
    hub.set_gate()
    _require_closed(hub)
    hub.make_branch()
    hub.validate(_card(files))
    _upload(hub, files, say, advance)
    say("comparing every file with the far side")
    if wrong := differing(hub, files):
        raise ReleaseError(
            f"{hub.repo} stays private: {len(wrong)} files differ there, the first: {wrong[0]}"
        )
    _require_closed(hub)
    if public:
        say("making it public")
        _open(hub)


def require_ours(where: str, files: Sequence[ReleaseFile], found: Mapping[str, str | None]) -> None:
    """Refuse a place that holds anything but a part of this release; cards and descriptions may be older.

    Args:
        where: Its name in the message.
        files: The release.
        found: Path of what is there to its sha256; None where it is not known.
    """
    ours = {file.path: file.sha256 for file in files}
    present = {path: digest for path, digest in found.items() if path not in NOT_OURS}
    shards = [path for path in present if path.split("/")[0] in SHARDS]
    other = [path for path in present if path not in ours]
    other += [path for path in shards if path in ours and present[path] != ours[path]]
    if other or (present and not shards):
        first = min(other or present)
        raise ReleaseError(f"{where} holds other content ({first}): choose another one, or empty it yourself")


def differing(hub: Hub, files: Sequence[ReleaseFile]) -> list[str]:
    """Paths that are missing on the far side, are more there, or have another digest."""
    remote = hub.files()
    wrong = [path for path in remote if path not in NOT_OURS | {file.path for file in files}]
    for file in files:
        there = remote.get(file.path)
        if there is None or there.bytes != file.size or _digest(hub, file.path, there) != file.sha256:
            wrong.append(file.path)
    return sorted(wrong)


def _digest(hub: Hub, path: str, there: Remote) -> str:
    """Of large files the Hub tells the digest, small ones are read back."""
    return there.sha256 or hub.downloaded_digest(path)


def _digests(remote: Mapping[str, Remote]) -> dict[str, str | None]:
    return {path: there.sha256 or None for path, there in remote.items()}


def _upload(hub: Hub, files: Sequence[ReleaseFile], say: Say, advance: Callable[[int], object]) -> None:
    there = hub.files()
    complete = [file for file in files if file.path in there and there[file.path].sha256 == file.sha256]
    missing = [file for file in files if file not in complete]
    if complete:
        say(f"{len(complete)} of {len(files)} files are there already")
    advance(sum(file.size for file in complete))
    hub.upload(missing, advance)


def _card(files: Sequence[ReleaseFile]) -> str:
    content = next(file.content for file in files if file.path == "README.md")
    return content.decode() if isinstance(content, bytes) else content.read_text(encoding="utf-8")


def _require_closed(hub: Hub) -> None:
    """Read back that the repository is private and gated; make it private if it is not."""
    state = hub.state()
    if state is None or not state.private:
        _close(hub)
        raise ReleaseError(f"{hub.repo} was not private when it was read back: nothing (more) is uploaded")
    if state.gated != GATE:
        raise ReleaseError(
            f"{hub.repo} stays private: its gate was read back as {state.gated or 'none'}, not {GATE}"
        )


def _open(hub: Hub) -> None:
    """Show the repository; hide it again if anything is not as it should be."""
    try:
        hub.set_private(False)
        state = hub.state()
        if state is None or state.private or state.gated != GATE:
            raise ReleaseError(
                f"{hub.repo} was made private again: it was read back as {_shown(state)}, not as public and gated"
            )
    except BaseException:
        _close(hub)
        raise


def _close(hub: Hub) -> None:
    """Make the repository private and read it back, several times if need be."""
    for _ in range(ATTEMPTS):
        try:
            hub.set_private(True)
            state = hub.state()
        except ReleaseError as error:
            problem = str(error)
            continue
        if state and state.private:
            return
        problem = f"it was read back as {_shown(state)}"
    raise ReleaseError(f"{hub.repo} MAY BE PUBLIC, look at {hub.url}/settings now: {problem}")


def _shown(state: State | None) -> str:
    if state is None:
        return "missing"
    return f"{'private' if state.private else 'public'}, {state.gated or 'not'} gated"


def _require_finished(hub: Hub, files: Sequence[ReleaseFile], state: State, public: bool) -> None:
    """Refuse a public repository, unless it is what an earlier run with `--public` finished."""
    if not public or state.gated != GATE:
        raise ReleaseError(
            f"{hub.repo} exists and is {_shown(state)}: choose another one, or make it private"
        )
    # The description has the day of the export in it.
    if wrong := [path for path in differing(hub, files) if path != "croissant.json"]:
        raise ReleaseError(
            f"{hub.repo} is public and holds other content ({wrong[0]}): make it private first"
        )
