"""Chat with a causal language model of transformers in this process, reproducibly request by request."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from itertools import takewhile
from typing import Any, NamedTuple

from generators.chat import Message, Request
from generators.weights import weights_folder, weights_identity, weights_name
from schemas.config import Language, Model


class TransformersChat:
    """Any causal language model of transformers with a chat template, from safetensors; remote code is never run.

    A request's answer depends on its messages, seed, settings and the weights alone. No generator of random numbers is
    shared: every request draws by its own numbers, made from its seed. On a CPU and on a GPU alike, a batch holds
    exactly `batch_size` prompts of one length (filled up with copies), so that the kernels add up in the same order
    whatever the neighbours. Mixtures of experts group tokens by content, so they need `batch_size` 1 for that.
    """

    def __init__(self, model: Model) -> None:
        self._settings = model

    def __reduce__(self) -> tuple[type[TransformersChat], tuple[Model]]:
        """Pickle the settings, never the weights."""
        return TransformersChat, (self._settings,)

    @property
    def name(self) -> str:
        """Hub id and revision; for a local folder its name and the start of the weights' digest."""
        return weights_name(self._settings.path, self._settings.revision)

    def fingerprint(self) -> str:
        """Over the weights (their files, or the pinned revision), their precision and the shape of a batch."""
        weights = weights_identity(self._settings.path, self._settings.revision)
        parts = ("transformers", weights, self._settings.dtype, str(self._settings.batch_size))
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    def load(self) -> None:
        """Load the model.

        Raises:
            FileNotFoundError: There is no such folder, or it holds no safetensors.
            ValueError: The model has no chat template.
        """
        _ = self._loaded

    def complete_many(self, requests: Sequence[Request], settings: Language) -> list[str | Exception]:
        """Sample an answer to every request; a prompt that is too long is answered with a ValueError."""
        loaded, answers = self._loaded, dict[int, str | Exception]()
        groups: dict[int, list[int]] = {}
        tokens = [loaded.encode(request.messages) for request in requests]
        for number, ids in enumerate(tokens):
            if loaded.longest and len(ids) + settings.max_tokens > loaded.longest:
                answers[number] = ValueError(
                    f"a prompt of {len(ids)} tokens and `max_tokens` {settings.max_tokens} are more than the"
                    f" {loaded.longest} that {self.name} takes"
                )
            else:
                groups.setdefault(len(ids), []).append(number)
        size = self._settings.batch_size
        batches = [group[s : s + size] for group in groups.values() for s in range(0, len(group), size)]

        def write(batch: list[int]) -> list[list[int]] | Exception:
            full = batch + [batch[-1]] * (size - len(batch))
            try:
                return loaded.write([tokens[n] for n in full], [requests[n].seed for n in full], settings)
            except (RuntimeError, ValueError, IndexError) as error:
                return error

        for batch, written in zip(batches, self._each(write, batches), strict=True):
            if isinstance(written, Exception):
                answers.update(dict.fromkeys(batch, written))
            else:
                answers.update((n, loaded.decode(ids)) for n, ids in zip(batch, written, strict=False))
        return [answers[number] for number in range(len(requests))]

    def _each(self, write: Any, batches: list[list[int]]) -> list[Any]:
        """Several batches at a time on single-threaded workers: the number of threads alters sums too."""
        cpu = self._loaded.device == "cpu"
        workers = min(self._settings.threads or os.cpu_count() or 1, len(batches)) if cpu else 1
        with ThreadPoolExecutor(max(1, workers), initializer=_one_thread if cpu else None) as executor:
            return list(executor.map(write, batches))

    @cached_property
    def _loaded(self) -> _Loaded:
        return _load(self._settings)


class _Loaded(NamedTuple):
    """A model with its tokenizer."""

    model: Any
    tokenizer: Any
    device: str
    longest: int
    """Tokens of prompt and answer together that the model takes; 0 if it does not say."""
    ends: frozenset[int]
    """The tokens that end an answer."""

    def encode(self, messages: Sequence[Message]) -> list[int]:
        """The conversation in the model's template; a template without a system role gets it in the first turn."""
        from jinja2 import TemplateError

        # Models that may think aloud first are asked not to; other templates do not look at it.
        options = {"add_generation_prompt": True, "tokenize": False, "enable_thinking": False}
        try:
            text = self.tokenizer.apply_chat_template(list(messages), **options)
        except TemplateError:
            text = self.tokenizer.apply_chat_template(_without_system(messages), **options)
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def write(self, prompts: list[list[int]], seeds: list[int], settings: Language) -> list[list[int]]:
        """The new tokens of prompts of one length."""
        import torch

        draw = _Draw(seeds, len(prompts[0]), settings)
        with torch.inference_mode():
            ids = torch.tensor(prompts, device=self.device)
            out = self.model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=settings.max_tokens,
                logits_processor=[draw],
            )
        new: list[list[int]] = out[:, ids.shape[1] :].tolist()
        return new

    def decode(self, ids: list[int]) -> str:
        """The text of an answer, up to the first token that ends it."""
        own = list(takewhile(lambda id: id not in self.ends, ids))
        text: str = self.tokenizer.decode(own, skip_special_tokens=True)
        return text.strip()


class _Draw:
    """A logits processor that leaves every row one token, drawn by numbers of that row's own (top-p sampling).

    Args:
        seeds: One a row.
        start: Tokens of the prompts.
        settings: Temperature (0 takes the likeliest token), `top_p` and `max_tokens`.
    """

    def __init__(self, seeds: list[int], start: int, settings: Language) -> None:
        self._start, self._settings = start, settings
        draws = (random.Random(seed) for seed in seeds)
        self._uniform = [[draw.random() for _ in range(settings.max_tokens)] for draw in draws]

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        import torch

        if self._settings.temperature == 0:
            return scores
        step = input_ids.shape[1] - self._start
        # In double precision, so that no order of summation on a GPU can move the drawn token.
        ordered, order = (scores.double() / self._settings.temperature).sort(
            dim=-1, descending=True, stable=True
        )
        p = ordered.softmax(-1)
        kept = p.cumsum(-1) - p < self._settings.top_p
        mass = (p * kept).cumsum(-1)
        uniform = torch.tensor([row[step] for row in self._uniform], dtype=p.dtype, device=p.device)
        rank = (mass <= uniform[:, None] * mass[:, -1:]).sum(-1, keepdim=True)
        drawn = order.gather(-1, rank.minimum(kept.sum(-1, keepdim=True) - 1))
        return torch.full_like(scores, float("-inf")).scatter(-1, drawn, 0.0)


def _load(settings: Model) -> _Loaded:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

    folder = str(weights_folder(settings.path, settings.revision))
    local: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}
    tokenizer = AutoTokenizer.from_pretrained(folder, **local)
    if not tokenizer.chat_template:
        raise ValueError(
            f"{settings.path} has no chat template, so it cannot be asked anything; take an instruct model"
        )
    dtype = getattr(torch, settings.dtype)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, use_safetensors=True, **local)
    ends = _ends(model.generation_config.eos_token_id) | _ends(tokenizer.eos_token_id)
    fill = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else min(ends, default=0)
    # A folder's own defaults (temperature, penalties, beams) would alter what the profile asks for.
    model.generation_config = GenerationConfig(
        do_sample=False, eos_token_id=sorted(ends) or None, pad_token_id=fill
    )
    cuda = settings.device == "cuda" or (settings.device == "auto" and torch.cuda.is_available())
    device = "cuda" if cuda else "cpu"
    longest = getattr(model.config, "max_position_embeddings", 0) or 0
    return _Loaded(model.eval().to(device), tokenizer, device, longest, frozenset(ends))


def _ends(ids: int | list[int] | None) -> set[int]:
    return set() if ids is None else {ids} if isinstance(ids, int) else set(ids)


def _without_system(messages: Sequence[Message]) -> list[Message]:
    """The conversation with what the system says put before the first turn."""
    system = [m["content"] for m in messages if m["role"] == "system"]
    first, *rest = [m for m in messages if m["role"] != "system"]
    return [Message(role=first["role"], content="\n\n".join([*system, first["content"]])), *rest]


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)
