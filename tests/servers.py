"""Servers on this machine that speak what the doctor asks: a model hub, and an OpenAI-compatible one."""

from __future__ import annotations

import hashlib
import math
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse, JSONResponse

TOKEN = "hf_the_one_that_may"


class Repository(NamedTuple):
    """A model on the hub."""

    folder: Path
    gated: bool = False
    """Its files are given to `TOKEN` alone."""
    private: bool = False
    """So is everything."""

    @property
    def commit(self) -> str:
        """A commit hash of its own."""
        return hashlib.sha1(self.folder.as_posix().encode()).hexdigest()

    def files(self) -> dict[str, Path]:
        """By their path in the repository."""
        found = sorted(path for path in self.folder.rglob("*") if path.is_file())
        return {path.relative_to(self.folder).as_posix(): path for path in found}


def _refused(status: int, code: str) -> Response:
    return JSONResponse({"error": code}, status, {"X-Error-Code": code, "X-Error-Message": code})


def hub(repositories: Mapping[str, Repository], asked: list[str] | None = None) -> FastAPI:
    """A hub with the models given; the paths that it was asked for are noted."""
    app = FastAPI()

    def found(request: Request, name: str, revision: str) -> Repository | Response:
        if asked is not None:
            asked.append(request.url.path)
        one = repositories.get(name)
        if one is None or (one.private and TOKEN not in request.headers.get("authorization", "")):
            return _refused(401, "RepoNotFound")
        return one if revision in ("", "main", one.commit) else _refused(404, "RevisionNotFound")

    def barred(request: Request, one: Repository) -> bool:
        return one.gated and TOKEN not in request.headers.get("authorization", "")

    def described(one: Repository, name: str) -> Response:
        files = [{"rfilename": file, "size": path.stat().st_size} for file, path in one.files().items()]
        gated = "manual" if one.gated else False
        return JSONResponse({"id": name, "sha": one.commit, "gated": gated, "siblings": files})

    @app.get("/api/models/{owner}/{model}/auth-check")
    def access(request: Request, owner: str, model: str) -> Response:
        one = found(request, f"{owner}/{model}", "")
        if isinstance(one, Response):
            return one
        return _refused(403, "GatedRepo") if barred(request, one) else JSONResponse({})

    @app.get("/api/models/{owner}/{model}/tree/{revision}")
    def tree(request: Request, owner: str, model: str, revision: str) -> Response:
        one = found(request, f"{owner}/{model}", revision)
        if isinstance(one, Response):
            return one
        entries = [
            {"type": "file", "path": file, "size": path.stat().st_size, "oid": _tag(path)}
            for file, path in one.files().items()
        ]
        return JSONResponse(entries)

    @app.get("/api/models/{owner}/{model}")
    @app.get("/api/models/{owner}/{model}/revision/{revision}")
    def info(request: Request, owner: str, model: str, revision: str = "") -> Response:
        one = found(request, f"{owner}/{model}", revision)
        return one if isinstance(one, Response) else described(one, f"{owner}/{model}")

    @app.api_route("/{owner}/{model}/resolve/{revision}/{file:path}", methods=["GET", "HEAD"])
    def content(request: Request, owner: str, model: str, revision: str, file: str) -> Response:
        one = found(request, f"{owner}/{model}", revision)
        if isinstance(one, Response):
            return one
        if barred(request, one):
            return _refused(403, "GatedRepo")
        if file not in one.files():
            return _refused(404, "EntryNotFound")
        path = one.files()[file]
        return FileResponse(path, headers={"ETag": f'"{_tag(path)}"', "X-Repo-Commit": one.commit})

    return app


def _tag(path: Path) -> str:
    return hashlib.sha1(path.read_bytes()).hexdigest()


def chat(models: list[str], key: str = "", logprobs: bool = True) -> FastAPI:
    """A server with the models given; its answer is always A, and it may keep the logprobs to itself."""
    app = FastAPI()

    def refused(request: Request) -> bool:
        return bool(key) and request.headers.get("authorization") != f"Bearer {key}"

    @app.get("/v1/models")
    def listed(request: Request) -> Response:
        if refused(request):
            return JSONResponse({"error": {"message": f"wrong key {key}"}}, 401)
        rows = [{"id": name, "object": "model", "created": 1, "owned_by": "me"} for name in models]
        return JSONResponse({"object": "list", "data": rows})

    @app.post("/v1/chat/completions")
    async def completed(request: Request) -> Response:
        asked: dict[str, Any] = await request.json()
        choice: dict[str, Any] = {"index": 0, "finish_reason": "stop"}
        choice["message"] = {"role": "assistant", "content": "A"}
        if logprobs and asked.get("logprobs"):
            top = [{"token": t, "logprob": math.log(p), "bytes": None} for t, p in (("A", 0.9), ("B", 0.1))]
            choice["logprobs"] = {"content": [{**top[0], "top_logprobs": top}]}
        whole = {"id": "1", "object": "chat.completion", "created": 1, "model": asked["model"]}
        return JSONResponse(whole | {"choices": [choice]})

    return app


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """The address of an app that runs in a thread while the body does."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started:
                time.sleep(0.01)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
