"""A server process's worth of the Hugging Face Hub: real HTTP, repositories in a folder, and faults on demand.

It speaks what `huggingface_hub` 2.4 says when it creates, sets, uploads (LFS), commits, lists and reads back a
dataset repository; a request can be cut off before or after it took effect.
"""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
import yaml
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

TOKEN = "hf_" + "s3cret" * 5
Scope = dict[str, Any]
Call = Callable[..., Awaitable[Any]]


@dataclass
class Repo:
    """A dataset repository: branches of path to digest; its objects are files."""

    private: bool
    gated: str | bool = False
    branches: dict[str, dict[str, tuple[str, int, bool]]] = field(default_factory=dict)
    """Branch to path to (sha256, size, whether it is in LFS)."""
    commits: list[str] = field(default_factory=lambda: [hashlib.sha1(b"first").hexdigest()])

    @property
    def files(self) -> dict[str, tuple[str, int, bool]]:
        return self.branches["main"]


class FakeHub:
    """The server; `with FakeHub(folder) as hub` runs it on a free port.

    Args:
        folder: Where the objects are kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.repos: dict[str, Repo] = {}
        self.requests: list[str] = []
        self.exposed: list[str] = []
        """Requests after which a repository was public without a gate."""
        self.cut: tuple[int, str] | None = None
        """Number of the request that is cut off, and `before` or `after` it took effect."""
        self.dead_from: int | None = None
        """Number of the request from which on all are cut off."""
        self.gate_sticks = True
        self.gate_survives_publishing = True
        self.creates_public = False
        self.spoils = ""
        """Path that is kept with other bytes."""
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(self._counted(_application(self)), log_level="critical", lifespan="off")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), daemon=True)

    def __enter__(self) -> FakeHub:
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join()

    def restore(self) -> None:
        """No faults, and counting from nought."""
        self.requests.clear()
        self.exposed.clear()
        self.cut = self.dead_from = None
        self.gate_sticks = self.gate_survives_publishing = True
        self.creates_public = False
        self.spoils = ""

    def object(self, digest: str) -> Path:
        """Where the bytes of that sha256 are."""
        return self.folder / digest

    def add(self, name: str, private: bool, files: dict[str, bytes]) -> Repo:
        """A repository that exists already."""
        repo = self.repos[name] = Repo(private)
        repo.branches["main"] = {path: self.keep(content, lfs=False) for path, content in files.items()}
        return repo

    def keep(self, content: bytes, *, lfs: bool) -> tuple[str, int, bool]:
        """Store bytes and return their entry."""
        digest = hashlib.sha256(content).hexdigest()
        self.object(digest).write_bytes(content)
        return digest, len(content), lfs

    def _counted(self, application: Call) -> Call:
        async def counting(scope: Scope, receive: Call, send: Call) -> None:
            number = len(self.requests)
            self.requests.append(f"{scope['method']} {scope['path']}")
            when = self.cut[1] if self.cut and self.cut[0] == number else ""
            if self.dead_from is not None and number >= self.dead_from:
                when = "before"
            answer: list[Any] = []
            if not when:
                await application(scope, receive, _kept(answer))
            else:
                if when == "after":
                    await application(scope, receive, _ignore)
                # A response that is begun and not ended makes the server close the connection.
                await send(
                    {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]}
                )
                await send({"type": "http.response.body", "body": b"", "more_body": True})
            if any(not repo.private and repo.gated != "manual" for repo in self.repos.values()):
                self.exposed.append(self.requests[number])
            # Sent last, so that whoever has the answer finds what it exposed.
            for message in answer:
                await send(message)

        return counting


def _kept(answer: list[Any]) -> Any:
    """What the application sends goes into a list."""

    async def keep(message: Any) -> None:
        answer.append(message)

    return keep


async def _ignore(message: object) -> None:
    """Takes what the application answers."""


def _application(hub: FakeHub) -> FastAPI:  # noqa: PLR0915
    """The endpoints."""
    app = FastAPI()
    repo_path = "/api/datasets/{owner}/{name}"

    def find(owner: str, name: str) -> Repo:
        return hub.repos[f"{owner}/{name}"]

    @app.middleware("http")
    async def only_with_the_token(request: Request, call: Call) -> Any:
        signed = request.url.path.startswith(("/lfs/", "/api/validate-yaml"))
        if not signed and request.headers.get("authorization") != f"Bearer {TOKEN}":
            message = "Invalid credentials in Authorization header"
            return JSONResponse({"error": message}, 401, headers={"X-Error-Message": message})
        try:
            return await call(request)
        except KeyError:
            return JSONResponse({"error": "not found"}, 404, headers={"X-Error-Code": "RepoNotFound"})

    @app.post("/api/repos/create")
    async def create(request: Request) -> Any:
        asked = await request.json()
        name = f"{asked['organization']}/{asked['name']}"
        if name in hub.repos:
            return JSONResponse({"error": "You already created this dataset repo"}, 409)
        repo = hub.add(name, asked.get("visibility") == "private", {".gitattributes": b"*.parquet lfs\n"})
        repo.private = repo.private and not hub.creates_public
        return {"url": f"{hub.url}/datasets/{name}", "name": name, "id": name}

    @app.get(repo_path)
    async def info(owner: str, name: str) -> Any:
        repo = find(owner, name)
        return {
            "id": f"{owner}/{name}",
            "private": repo.private,
            "gated": repo.gated,
            "sha": repo.commits[-1],
            "siblings": [],
            "tags": [],
        }

    @app.get(repo_path + "/revision/{revision}")
    async def at(owner: str, name: str, revision: str) -> Any:
        return await info(owner, name)

    @app.put(repo_path + "/settings")
    async def settings(owner: str, name: str, request: Request) -> Any:
        repo, asked = find(owner, name), await request.json()
        if "gated" in asked and hub.gate_sticks:
            repo.gated = asked["gated"]
        if "visibility" in asked:
            repo.private = asked["visibility"] == "private"
            if not repo.private and not hub.gate_survives_publishing:
                repo.gated = False
        return {}

    @app.post("/api/validate-yaml")
    async def validate(request: Request) -> Any:
        errors = list(card_errors((await request.json())["content"]))
        return JSONResponse(
            {"errors": [{"message": e} for e in errors], "warnings": []}, 400 if errors else 200
        )

    @app.get(repo_path + "/tree/{revision}")
    async def tree(owner: str, name: str, revision: str) -> Any:
        branches = find(owner, name).branches
        if revision not in branches:
            return JSONResponse({"error": "no revision"}, 404, headers={"X-Error-Code": "RevisionNotFound"})
        return [_entry(path, *of) for path, of in branches[revision].items()]

    @app.get(repo_path + "/commits/{revision}")
    async def commits(owner: str, name: str, revision: str) -> Any:
        found = [
            {"id": c, "authors": [], "date": "2024-01-01T00:00:00.000Z", "title": "", "message": ""}
            for c in find(owner, name).commits
        ]
        return found[::-1]

    @app.post(repo_path + "/branch/{revision}")
    async def branch(owner: str, name: str, revision: str, request: Request) -> Any:
        repo = find(owner, name)
        assert (await request.json())["startingPoint"] == repo.commits[0]
        empty = {path: of for path, of in repo.files.items() if path == ".gitattributes"}
        repo.branches.setdefault(revision, empty)
        return {}

    @app.post(repo_path + "/preupload/{revision}")
    async def preupload(owner: str, name: str, revision: str, request: Request) -> Any:
        files = find(owner, name).branches[revision]
        asked = (await request.json())["files"]
        return {"files": [_planned(hub, file["path"], files) for file in asked]}

    @app.post("/datasets/{owner}/{name}.git/info/lfs/objects/batch")
    async def batch(owner: str, name: str, request: Request) -> Any:
        find(owner, name)
        return {
            "transfer": "basic",
            "objects": [_action(hub, thing) for thing in (await request.json())["objects"]],
        }

    @app.put("/lfs/{digest}")
    async def put(digest: str, request: Request) -> Any:
        content = await request.body()
        if hashlib.sha256(content).hexdigest() != digest:
            return Response(status_code=400)
        hub.object(digest).write_bytes(content)
        return {}

    @app.post("/verify")
    async def verify(request: Request) -> Any:
        asked = await request.json()
        return Response(status_code=200 if hub.object(asked["oid"]).stat().st_size == asked["size"] else 400)

    @app.post(repo_path + "/commit/{revision}")
    async def commit(owner: str, name: str, revision: str, request: Request) -> Any:
        repo = find(owner, name)
        lines = [json.loads(line) for line in (await request.body()).splitlines()]
        repo.branches[revision] |= dict(_committed(hub, line) for line in lines if line["key"] != "header")
        repo.commits.append(hashlib.sha1(repr(repo.branches).encode()).hexdigest())
        return {
            "commitUrl": f"{hub.url}/datasets/{owner}/{name}/commit/{repo.commits[-1]}",
            "commitOid": repo.commits[-1],
        }

    @app.api_route("/datasets/{owner}/{name}/resolve/{revision}/{path:path}", methods=["GET", "HEAD"])
    async def resolve(owner: str, name: str, revision: str, path: str) -> Response:
        repo = find(owner, name)
        digest, _, _ = repo.branches[revision][path]
        headers = {"ETag": f'"{digest}"', "X-Repo-Commit": repo.commits[-1], "Accept-Ranges": "none"}
        return Response(hub.object(digest).read_bytes(), headers=headers)

    return app


def card_errors(content: str) -> list[str]:
    """What the Hub's check of a card's metadata would complain about, of what the tests rely on."""
    data = yaml.safe_load(content.split("---\n")[1])
    errors = [
        f"{key} is missing" for key in ("license", "language", "configs", "dataset_info") if not data.get(key)
    ]
    if data.get("license") == "other" and not data.get("license_name"):
        errors.append("license_name is missing")
    types = {"text", "checkbox", "country", "date_picker", "select", "ip_location"}
    for name, kind in data.get("extra_gated_fields", {}).items():
        if (kind["type"] if isinstance(kind, dict) else kind) not in types:
            errors.append(f"extra_gated_fields.{name} is of no known type")
    if [c["config_name"] for c in data["configs"] if c.get("default")] != ["pairs"]:
        errors.append("one configuration must be the default")
    return errors


def _entry(path: str, digest: str, size: int, lfs: bool) -> dict[str, Any]:
    entry = {"type": "file", "path": path, "size": size, "oid": digest[:40]}
    return entry | ({"lfs": {"oid": digest, "size": size, "pointerSize": 130}} if lfs else {})


def _planned(hub: FakeHub, path: str, files: dict[str, tuple[str, int, bool]]) -> dict[str, Any]:
    mode = "lfs" if path.endswith(".parquet") else "regular"
    return {"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": _oid(hub, files.get(path))}


def _oid(hub: FakeHub, of: tuple[str, int, bool] | None) -> str | None:
    """As the Hub names it: sha256 in LFS, git's sha1 otherwise."""
    if of is None or of[2]:
        return of[0] if of else None
    content = hub.object(of[0]).read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _action(hub: FakeHub, thing: dict[str, Any]) -> dict[str, Any]:
    if hub.object(thing["oid"]).exists():
        return thing
    upload = {"href": f"{hub.url}/lfs/{thing['oid']}?X-Amz-Signature=signed"}
    return thing | {"actions": {"upload": upload, "verify": {"href": f"{hub.url}/verify"}}}


def _committed(hub: FakeHub, line: dict[str, Any]) -> tuple[str, tuple[str, int, bool]]:
    value = line["value"]
    path = value["path"]
    if line["key"] == "lfsFile":
        size = hub.object(value["oid"]).stat().st_size
        return path, ("0" * 64 if path == hub.spoils else value["oid"], size, True)
    content = base64.b64decode(value["content"])
    return path, hub.keep(content[::-1] if path == hub.spoils else content, lfs=False)
