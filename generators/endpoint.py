"""Chat with an OpenAI-compatible server: one client, bounded retries, and a key that is kept nowhere."""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import parse_qsl, urlsplit

from generators.chat import DeclinedError, EndpointError, Request, printed
from schemas.config import Endpoint, Language

if TYPE_CHECKING:
    import openai

FIRST_WAIT = 1.0
"""Seconds before the second try of a request; every further wait doubles."""
LONGEST_WAIT = 120.0
"""Seconds; a server that asks for more is given up on."""
logger = logging.getLogger(__name__)


class EndpointChat:
    """A model on any server that speaks OpenAI's chat completions.

    The key is read from the environment for every batch and kept nowhere. The seed is sent along; whether the server
    heeds it is the server's matter. A request is tried again after lost connections and the statuses 408, 409, 429 and
    5xx. Once a server refuses the key or the model, or cannot be reached, the rest of a batch is not sent.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._settings = endpoint

    @property
    def name(self) -> str:
        """The model's name on the server; of a path its last part."""
        return (
            self._settings.model.rstrip("/").rpartition("/")[2] if self._is_path() else self._settings.model
        )

    def fingerprint(self) -> str:
        """Over the server's address (without credentials and query) and the model's name."""
        return _digest("endpoint", _shown(self._settings.url), self._settings.model)

    def load(self) -> None:
        """Check address and key, without a request.

        Raises:
            EndpointError: The address holds credentials, or the environment's key cannot be one.
        """
        _key(self._settings)

    def complete_many(self, requests: Sequence[Request], settings: Language) -> list[str | Exception]:
        """Send the requests, `concurrency` at a time.

        Raises:
            EndpointError: As `load` does.
        """
        sampling = {
            "temperature": settings.temperature,
            "top_p": settings.top_p,
            "max_tokens": settings.max_tokens,
        }
        asked = [{"messages": request.messages, "seed": request.seed, **sampling} for request in requests]
        answers: list[str | Exception] = ask_many(self._settings, asked, _content)
        return answers

    def _is_path(self) -> bool:
        return self._settings.model.startswith(("/", ".", "~"))


def ask_many(endpoint: Endpoint, asked: Sequence[Mapping[str, Any]], read: Callable[[Any], Any]) -> list[Any]:
    """Send chat completions, `concurrency` at a time, and return what `read` makes of each, or its exception.

    Args:
        endpoint: The server.
        asked: The arguments of each request, with its `seed`; the model is the endpoint's.
        read: Reads a completion; what it returns as `Trouble` is tried again.

    Raises:
        EndpointError: The address holds credentials, or the environment's key cannot be one.
    """
    key = _key(endpoint)
    with _client(endpoint, key) as client:
        caller = _Caller(client, key, endpoint, read)
        with ThreadPoolExecutor(endpoint.concurrency) as executor:
            return list(executor.map(caller.answer, asked))


def served_models(endpoint: Endpoint) -> list[str]:
    """The names of the models that a server offers; asked once.

    Raises:
        EndpointError: The server cannot be reached, refuses the key, or answers something else.
    """
    import openai

    key = _key(endpoint)
    with _client(endpoint, key) as client:
        try:
            return [str(model.id) for model in client.models.list()]
        except openai.APITimeoutError:
            trouble = Trouble("did not answer in time", -1)
        except openai.APIConnectionError as error:
            trouble = Trouble(f"cannot be reached ({type(error.__cause__).__name__})")
        except openai.APIStatusError as error:
            trouble = Trouble(f"answered {error.status_code}", error.status_code)
        except (openai.OpenAIError, ValueError, TypeError, AttributeError) as error:
            trouble = Trouble(f"sent no list of models ({type(error).__name__})", 200)
    raise EndpointError(f"{_shown(endpoint.url)} {trouble.said}: {_advice(trouble, endpoint)}")


def _client(endpoint: Endpoint, key: str) -> openai.OpenAI:
    import openai

    url = urlsplit(endpoint.url)
    options: dict[str, Any] = {"timeout": endpoint.timeout, "max_retries": 0}
    options["default_query"] = dict(parse_qsl(url.query))
    return openai.OpenAI(base_url=url._replace(query="", fragment="").geturl(), api_key=key, **options)


def _shown(url: str) -> str:
    """An address without credentials, query and fragment."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def _key(endpoint: Endpoint) -> str:
    shown = _shown(endpoint.url)
    if "@" in urlsplit(endpoint.url).netloc:
        raise EndpointError(
            f"{shown}: the address holds a user name or password, and profiles are written beside datasets;"
            " put the key into an environment variable and name that in `key`"
        )
    key = os.environ.get(endpoint.key, "").strip() or "none"
    if not (key.isascii() and key.isprintable()):
        raise EndpointError(f"{shown}: what the environment variable {endpoint.key} holds cannot be a key")
    return key


class Trouble(NamedTuple):
    """Why one try failed."""

    said: str
    status: int = 0
    """The HTTP status; 0 if there was no connection, -1 if it took too long, 200 if the body was no completion."""
    passing: bool = True
    """Whether another try may help."""
    retry_after: float = 0.0
    """Seconds that the server asks to wait."""


class _Caller:
    """Sends the requests of one batch, from several threads at once."""

    def __init__(
        self, client: openai.OpenAI, key: str, endpoint: Endpoint, read: Callable[[Any], Any]
    ) -> None:
        self._client, self._key, self._endpoint, self._read = client, key, endpoint, read
        self._hopeless: EndpointError | None = None

    def answer(self, request: Mapping[str, Any]) -> Any:
        """Try a request until it is answered, its tries are used up, or no try can help."""
        attempt = 1
        while not self._hopeless:
            outcome = self._try_once(request)
            if not isinstance(outcome, Trouble):
                return outcome
            wait = max(outcome.retry_after, _backoff(request["seed"], attempt))
            if not outcome.passing or attempt == self._endpoint.attempts or wait > LONGEST_WAIT:
                return self._given_up(outcome, attempt)
            logger.info("%s %s; try %d is in %.1f s", self._address, outcome.said, attempt + 1, wait)
            time.sleep(wait)
            attempt += 1
        return self._hopeless

    @property
    def _address(self) -> str:
        return _shown(self._endpoint.url)

    def _given_up(self, trouble: Trouble, attempts: int) -> EndpointError:
        tries = f" ({attempts} tries)" if attempts > 1 else ""
        error = EndpointError(f"{self._address} {trouble.said}{tries}: {_advice(trouble, self._endpoint)}")
        if trouble.status in (0, 401, 403, 404):
            self._hopeless = error
        return error

    def _try_once(self, request: Mapping[str, Any]) -> Any:
        import openai

        try:
            completion = self._client.chat.completions.create(
                model=self._endpoint.model, **cast(Any, request)
            )
        except openai.APITimeoutError:
            return Trouble("did not answer in time", -1)
        except openai.APIConnectionError as error:
            return Trouble(f"cannot be reached ({type(error.__cause__).__name__})")
        except openai.APIStatusError as error:
            return self._refused(error)
        except (openai.OpenAIError, ValueError) as error:
            return Trouble(f"sent no chat completion ({type(error).__name__})", 200)
        return self._read(completion)

    def _refused(self, error: openai.APIStatusError) -> DeclinedError | Trouble:
        status = error.status_code
        if status == 400 and error.code == "content_filter":
            return DeclinedError("the server's content filter turned the request down")
        passing = status in (408, 409, 429) or status >= 500
        # Servers repeat keys in what they say about keys, so only what they say about the request is quoted.
        words = printed(error.message.replace(self._key, "***"))
        quoted = f" ({words})" if status in (400, 422) else ""
        wait = _seconds(error.response.headers.get("retry-after", "")) if passing else 0.0
        return Trouble(f"answered {status}{quoted}", status, passing, wait)


def _content(completion: Any) -> str | DeclinedError | Trouble:
    """The text of a completion, which need not have the form that the client's types promise."""
    try:
        choice = completion.choices[0]
        content, refusal = choice.message.content, getattr(choice.message, "refusal", None)
    except (AttributeError, IndexError, TypeError, KeyError):
        return Trouble("sent no chat completion", 200)
    if choice.finish_reason == "content_filter" or (refusal and not content):
        return DeclinedError("the server turned the answer down")
    return content if isinstance(content, str) else ""


def _advice(trouble: Trouble, endpoint: Endpoint) -> str:
    """What to check."""
    if trouble.status == 0:
        return "check that the server runs and that `url` is its address"
    if trouble.status == -1:
        return f"raise `timeout` ({endpoint.timeout:g} s) or lower `concurrency`"
    if trouble.status == 200:
        return "check that `url` goes up to and with /v1, and the server's log"
    if trouble.status in (401, 403):
        known = "is set but refused" if os.environ.get(endpoint.key) else "is not set"
        return f"the environment variable {endpoint.key} {known}; check the key and that it may use {endpoint.model!r}"
    if trouble.status == 404:
        return f"check the model's name {endpoint.model!r}, and that `url` goes up to and with /v1"
    if trouble.retry_after > LONGEST_WAIT:
        return f"it asks to wait {trouble.retry_after:.0f} s; go on later"
    if trouble.status == 429:
        return "lower `concurrency` or check the account's limits"
    if trouble.passing:
        return "check the server's log, or lower `concurrency`"
    return f"check the model {endpoint.model!r}, `temperature`, `top_p` and `max_tokens`"


def _backoff(seed: int, attempt: int) -> float:
    """Seconds to wait after a try: doubling, with a jitter of up to a half that the seed decides."""
    jitter = int(_digest(str(seed), str(attempt))[:8], 16) / 2**32
    return float(min(FIRST_WAIT * 2 ** (attempt - 1) * (1 + jitter / 2), LONGEST_WAIT))


def _seconds(retry_after: str) -> float:
    """Seconds of a Retry-After header, a number or a date; 0 if it is neither."""
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return 0.0


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
