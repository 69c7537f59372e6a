"""How the server is reached: its address, the access token, and every error in one line without the token."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from annotation.dataset import AnnotationError

TOKEN = "LABEL_STUDIO_API_KEY"
"""The environment variable with a personal access token or a legacy token."""


class LostAnswerError(AnnotationError):
    """The server may or may not have done what it was asked."""


class NotThereError(AnnotationError):
    """There is no such thing on the server, or the token's owner may not see it."""


def access_token() -> str:
    """The token of the environment; AnnotationError, which does not repeat it, if it cannot be one."""
    token = os.environ.get(TOKEN, "").strip()
    if not token:
        raise AnnotationError(f"set {TOKEN} to your access token (Account & Settings in Label Studio)")
    if not token.isascii() or not token.isprintable() or " " in token:
        raise AnnotationError(
            f"{TOKEN} is not a token: it has spaces or other characters that tokens have not"
        )
    return token


def address(url: str, option: str = "--url") -> str:
    """An address without a slash at its end; AnnotationError if it is none or holds secrets."""
    try:
        parts = urlsplit(url)
        port_is_good = parts.port != 0
    except ValueError:
        parts, port_is_good = urlsplit(""), False
    if not port_is_good or parts.scheme not in ("http", "https") or not parts.hostname:
        raise AnnotationError(f"{option} {url!r} is no address such as http://localhost:8080")
    if parts.username or parts.password or parts.query:
        raise AnnotationError(f"{option} must hold no secrets: put the token into {TOKEN}")
    return url.rstrip("/")


@contextmanager
def answering(url: str) -> Iterator[None]:
    """Turn whatever goes wrong in talking to the server into one line that never has the token in it."""
    import httpx
    from label_studio_sdk.core.api_error import ApiError

    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout):
        raise AnnotationError(f"nothing answers at {url}: start the server or correct --url") from None
    except httpx.TransportError as error:
        raise LostAnswerError(f"{url} stopped answering ({type(error).__name__})") from None
    except ApiError as error:
        raise refusal(url, error.status_code or 0, error.body) from None
    except (ValueError, httpx.TooManyRedirects, httpx.DecodingError):
        raise AnnotationError(f"{url} does not answer like Label Studio; correct --url") from None


def refusal(url: str, status: int, body: Any) -> AnnotationError:
    """What an answer that is an error means."""
    if status == 401:
        return AnnotationError(f"{url} refused the token in {TOKEN}; make a new one in Account & Settings")
    if status == 403:
        return AnnotationError(f"{url} does not let the owner of the token in {TOKEN} do this")
    if status >= 500 or status == 429:
        return LostAnswerError(f"{url} failed with status {status}; its log says why")
    if not isinstance(body, Mapping) or status < 400:
        return AnnotationError(f"{url} does not answer like Label Studio (status {status}); correct --url")
    if status == 404:
        return NotThereError(f"{url} has not got what was asked for, or hides it from the owner of the token")
    detail = json.dumps(body.get("validation_errors") or body.get("detail") or body, default=str)
    token = os.environ.get(TOKEN, "").strip()
    return AnnotationError(f"{url} refused with status {status}: {detail.replace(token, '...')[:300]}")
