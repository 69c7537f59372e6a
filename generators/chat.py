"""Chat models behind one protocol: a transformers model in this process, or an OpenAI-compatible server.

Both take many requests at once and answer each with a text or with the exception that it met.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol, TypedDict

from schemas.config import Language


class Message(TypedDict):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


class Request(NamedTuple):
    """A conversation to go on with, and the seed (0 to 2**31 - 1) of what is drawn."""

    messages: tuple[Message, ...]
    seed: int


class ChatModel(Protocol):
    """What writes answers. Pickles to its settings."""

    @property
    def name(self) -> str:
        """What written rows call it: no path, address or key."""
        ...

    def fingerprint(self) -> str:
        """sha256 (hex) of everything about the model that an answer depends on."""
        ...

    def load(self) -> None:
        """Make it ready, or raise what is wrong with it; `complete_many` does so by itself."""
        ...

    def complete_many(self, requests: Sequence[Request], settings: Language) -> list[str | Exception]:
        """Answer every request, in order; what fails is returned as its exception.

        Temperature, `top_p` and `max_tokens` are taken from the settings.
        """
        ...


class EndpointError(RuntimeError):
    """A server that gave no answer; the message says its address, what it said, and what to check."""


class DeclinedError(RuntimeError):
    """The server's own filter, not the model, turned a request or an answer down."""


def open_chat(settings: Language) -> ChatModel:
    """The back end that the settings name, not yet loaded."""
    from generators.causal import TransformersChat
    from generators.endpoint import EndpointChat

    if settings.endpoint is not None:
        return EndpointChat(settings.endpoint)
    if settings.model is not None:
        return TransformersChat(settings.model)
    raise ValueError("give either `model` or `endpoint`")


def printed(text: str, length: int = 200) -> str:
    """The first characters of a foreign text, with everything unprintable as a space."""
    return "".join(c if c.isprintable() else " " for c in text[:length])
