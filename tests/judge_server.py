"""Serves a vision-language model with logprobs, as vLLM does and `transformers serve` does not.

`python -m tests.judge_server FOLDER PORT CHOICE CHOICE` answers OpenAI's chat completions. The first token of an answer
with logprobs is one of the choices, as under guided decoding; without logprobs a few words are written.
"""

from __future__ import annotations

import base64
import io
import json
import sys
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

LONGEST = 12
"""Tokens of an answer in words."""


class Judge:
    """A model, asked one conversation at a time."""

    def __init__(self, folder: str, choices: Sequence[str]) -> None:
        self._model = AutoModelForImageTextToText.from_pretrained(folder).eval()
        self._processor = AutoProcessor.from_pretrained(folder)
        self._choices = {choice: self._processor.tokenizer.encode(choice)[0] for choice in choices}
        self._lock = threading.Lock()

    def answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        """A choice of a chat completion."""
        with self._lock, torch.inference_mode():
            inputs = self._inputs(asked["messages"])
            if not asked.get("logprobs"):
                ids = self._model.generate(**inputs, max_new_tokens=LONGEST, do_sample=False)
                new = ids[0, inputs["input_ids"].shape[1] :]
                return {"content": self._processor.tokenizer.decode(new, skip_special_tokens=True)}
            logits = self._model(**inputs).logits[0, -1, list(self._choices.values())]
        logprobs = dict(zip(self._choices, logits.float().log_softmax(-1).tolist(), strict=True))
        top = [{"token": token, "logprob": value, "bytes": None} for token, value in logprobs.items()]
        best = max(top, key=lambda one: one["logprob"])
        return {"content": best["token"], "logprobs": [{**best, "top_logprobs": top}]}

    def _inputs(self, messages: list[dict[str, Any]]) -> dict[str, Any]:
        parts = messages[0]["content"]
        urls = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
        data = [base64.b64decode(url.partition(",")[2]) for url in urls]
        images = [Image.open(io.BytesIO(one)).convert("RGB") for one in data]
        content = [part if part["type"] == "text" else {"type": "image"} for part in parts]
        text = self._processor.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True
        )
        return dict(self._processor(text=[text], images=images or None, return_tensors="pt"))


def handler(judge: Judge) -> type[BaseHTTPRequestHandler]:
    """What answers a connection."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *arguments: Any) -> None:
            """Say nothing."""

        def do_GET(self) -> None:
            self._send({"status": "ok"})

        def do_POST(self) -> None:
            answer = judge.answer(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            message = {"role": "assistant", "content": answer["content"]}
            choice: dict[str, Any] = {"index": 0, "finish_reason": "stop", "message": message}
            if "logprobs" in answer:
                choice["logprobs"] = {"content": answer["logprobs"]}
            whole = {
                "id": "1",
                "object": "chat.completion",
                "created": 1,
                "model": "judge",
                "choices": [choice],
            }
            self._send(whole)

        def _send(self, content: dict[str, Any]) -> None:
            body = json.dumps(content).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler


if __name__ == "__main__":
    torch.set_num_threads(1)
    folder, port, *choices = sys.argv[1:]
    ThreadingHTTPServer(("127.0.0.1", int(port)), handler(Judge(folder, choices))).serve_forever()
