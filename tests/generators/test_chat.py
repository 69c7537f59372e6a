import json
import logging
import os
import pickle
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from generators import causal
from generators import endpoint as endpoint_module
from generators.causal import TransformersChat
from generators.chat import DeclinedError, EndpointError, Message, Request, open_chat
from generators.endpoint import EndpointChat
from schemas.config import Endpoint, Language, Model

TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SECRET = "sk-very-secret-0123456789"


def save_tiny_model(folder: Path, template: str | None = TEMPLATE) -> LlamaForCausalLM:
    """A byte-level Llama with random weights, and its tokenizer."""
    torch.manual_seed(0)
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    special = ["<|end|>", "<|system|>", "<|user|>", "<|assistant|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    inner.train_from_iterator([], trainers.BpeTrainer(special_tokens=special, initial_alphabet=alphabet))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<|end|>", pad_token="<|end|>")
    tokenizer.chat_template = template
    size: Any = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    config = LlamaConfig(vocab_size=len(tokenizer), max_position_embeddings=4096, eos_token_id=0, **size)
    model = LlamaForCausalLM(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model


@pytest.fixture(scope="session")
def lm_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lm")
    save_tiny_model(folder)
    return folder


def _request(content: str, seed: int = 0, system: str = "Be brief.") -> Request:
    return Request((Message(role="system", content=system), Message(role="user", content=content)), seed)


def _language(folder: Path, batch_size: int = 4, **sampling: Any) -> Language:
    model = Model(path=str(folder), batch_size=batch_size)
    return Language(model=model, **{"max_tokens": 12, "temperature": 1.5, "top_p": 1.0, **sampling})


REQUESTS = [_request("hello" * (n % 3 + 1), seed=n) for n in range(7)]


def _complete(settings: Language, requests: list[Request]) -> list[str | Exception]:
    return open_chat(settings).complete_many(requests, settings)


# Transformers


def test_an_answer_does_not_depend_on_its_neighbours_or_their_order(lm_folder: Path) -> None:
    settings = _language(lm_folder)
    together = _complete(settings, REQUESTS)
    assert together == [_complete(settings, [request])[0] for request in REQUESTS]
    assert together == _complete(settings, REQUESTS[::-1])[::-1]


def test_an_answer_does_not_depend_on_the_number_of_threads_or_torchs_own_generator(lm_folder: Path) -> None:
    settings = _language(lm_folder)
    before = _complete(settings, REQUESTS)
    torch.manual_seed(99)
    one = settings.model and settings.model.model_copy(update={"threads": 1})
    assert before == _complete(settings.model_copy(update={"model": one}), REQUESTS)


def test_other_seeds_give_other_answers_and_the_torch_generator_stays_as_it_was(lm_folder: Path) -> None:
    state = torch.get_rng_state()
    answers = _complete(_language(lm_folder), [_request("hello", seed=n) for n in range(4)])
    assert len(set(answers)) == 4
    assert torch.equal(state, torch.get_rng_state())


def test_without_temperature_the_likeliest_tokens_are_taken(lm_folder: Path) -> None:
    settings = _language(lm_folder, temperature=0)
    loaded = TransformersChat(Model(path=str(lm_folder)))._loaded
    prompt = torch.tensor([loaded.encode(REQUESTS[0].messages)])
    model: Any = LlamaForCausalLM.from_pretrained(lm_folder)
    expected = model.generate(prompt, do_sample=False, max_new_tokens=12)
    written = loaded.decode(expected[0, prompt.shape[1] :].tolist())
    assert set(_complete(settings, [REQUESTS[0], REQUESTS[0]._replace(seed=5)])) == {written}


def test_tokens_are_drawn_as_often_as_they_are_likely() -> None:
    p = torch.tensor([0.5, 0.2, 0.2, 0.06, 0.04])
    draw = causal._Draw(list(range(4000)), 3, Language(model=Model(path="/x"), temperature=1, top_p=0.85))
    left = draw(torch.zeros(4000, 3), p.log().repeat(4000, 1)).argmax(-1)
    shares = torch.bincount(left, minlength=5) / 4000
    expected = torch.tensor([0.5, 0.2, 0.2, 0, 0]) / 0.9
    assert shares.tolist() == pytest.approx(expected.tolist(), abs=0.02)
    assert shares[3:].sum() == 0


def test_defaults_of_the_folder_do_not_alter_the_sampling(lm_folder: Path, tmp_path: Path) -> None:
    model = save_tiny_model(tmp_path)
    model.generation_config.update(do_sample=True, top_k=1, repetition_penalty=3.0, temperature=0.1)
    model.generation_config.save_pretrained(tmp_path)
    requests = [_request("hello", seed=n) for n in range(3)]
    assert _complete(_language(tmp_path), requests) == _complete(_language(lm_folder), requests)


def test_an_answer_ends_before_any_token_that_the_folder_names_as_an_end(
    lm_folder: Path, tmp_path: Path
) -> None:
    settings, request = _language(lm_folder), REQUESTS[0]
    loaded = TransformersChat(Model(path=str(lm_folder)))._loaded
    (ids,) = loaded.write([loaded.encode(request.messages)], [request.seed], settings)
    model = save_tiny_model(tmp_path)
    model.generation_config.eos_token_id = [0, ids[4]]
    model.generation_config.save_pretrained(tmp_path)
    assert _complete(settings, [request]) == [loaded.decode(ids)]
    assert _complete(_language(tmp_path), [request]) == [loaded.decode(ids[: ids.index(ids[4])])]


def test_a_model_without_a_chat_template_is_refused(tmp_path: Path) -> None:
    save_tiny_model(tmp_path, template=None)
    with pytest.raises(ValueError, match="no chat template"):
        TransformersChat(Model(path=str(tmp_path))).load()


def test_a_template_without_a_system_role_gets_it_in_the_first_turn(tmp_path: Path) -> None:
    raising = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    save_tiny_model(tmp_path, template=raising + TEMPLATE)
    loaded = TransformersChat(Model(path=str(tmp_path)))._loaded
    text = loaded.tokenizer.decode(loaded.encode(_request("Hello.").messages))
    assert text == "<|user|>Be brief.\n\nHello.<|end|><|assistant|>"


def test_a_prompt_that_is_too_long_fails_alone(lm_folder: Path) -> None:
    long, short = _complete(_language(lm_folder), [_request("a" * 4090), _request("a")])
    assert isinstance(long, ValueError) and "4096" in str(long)
    assert isinstance(short, str)


@pytest.mark.parametrize("path", ["/no/such/folder", "builtin:tinyworld/writer"])
def test_a_missing_folder_is_named(path: str) -> None:
    with pytest.raises(FileNotFoundError, match=path):
        TransformersChat(Model(path=path)).load()


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    model = save_tiny_model(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(FileNotFoundError, match="safetensors"):
        TransformersChat(Model(path=str(tmp_path))).load()


def test_a_local_models_fingerprint_and_name_follow_its_files_not_its_path(
    lm_folder: Path, tmp_path: Path
) -> None:
    for copy in ("a/lm", "b/lm"):
        save_tiny_model(tmp_path / copy)
    here, there, other = (TransformersChat(Model(path=str(p))) for p in _copies(tmp_path))
    assert here.fingerprint() == there.fingerprint() != other.fingerprint()
    assert here.name == there.name != other.name
    assert str(tmp_path) not in here.name and here.name.startswith("lm@")


def _copies(folder: Path) -> list[Path]:
    changed = folder / "c/lm"
    save_tiny_model(changed, template=TEMPLATE + " ")
    return [folder / "a/lm", folder / "b/lm", changed]


def test_a_hub_models_fingerprint_follows_its_revision() -> None:
    one, other = (TransformersChat(Model(path="someone/model", revision=r)) for r in ("aaa", "bbb"))
    assert one.fingerprint() != other.fingerprint()
    assert one.name == "someone/model@aaa"


def test_a_loaded_model_pickles_to_its_settings(lm_folder: Path) -> None:
    model = TransformersChat(Model(path=str(lm_folder)))
    model.load()
    assert len(pickle.dumps(model)) < 1000
    assert pickle.loads(pickle.dumps(model)).fingerprint() == model.fingerprint()  # noqa: S301


# Endpoint


class Server:
    """A server that plays one script a request; the last one is repeated."""

    def __init__(self) -> None:
        self.script: list[Callable[[BaseHTTPRequestHandler], None]] = [answer("Hello.")]
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.under_way = self.most_under_way = 0
        self.lock = threading.Lock()
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http.server_address[1]}/v1"

    def _handler(server) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                with server.lock:
                    server.requests.append(body)
                    server.headers.append(dict(self.headers))
                    server.paths.append(self.path)
                    server.under_way += 1
                    server.most_under_way = max(server.most_under_way, server.under_way)
                    play = server.script.pop(0) if len(server.script) > 1 else server.script[0]
                try:
                    play(self)
                finally:
                    with server.lock:
                        server.under_way -= 1

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler


def send(handler: BaseHTTPRequestHandler, status: int, body: bytes, **headers: str) -> None:
    handler.send_response(status)
    for name, value in {"content-type": "application/json", **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("content-length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def completion(content: str | None, finish: str = "stop", **message: Any) -> bytes:
    message = {"role": "assistant", "content": content, **message}
    choice = {"index": 0, "message": message, "finish_reason": finish}
    whole = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    return json.dumps(whole).encode()


def answer(content: str) -> Callable[[BaseHTTPRequestHandler], None]:
    return lambda handler: send(handler, 200, completion(content))


def fail(status: int, said: str = "", **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    body = json.dumps({"error": {"message": said, "code": headers.pop("code", None)}}).encode()
    return lambda handler: send(handler, status, body, **headers)


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(endpoint_module, "FIRST_WAIT", 0.001)
    monkeypatch.setenv("CHAT_KEY", SECRET)
    server = Server()
    thread = threading.Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.http.shutdown()
    server.http.server_close()
    thread.join()


def _ask(server: Server, count: int = 1, *, url: str = "", **settings: Any) -> list[str | Exception]:
    options = {"url": url or server.url, "model": "m", "key": "CHAT_KEY", "attempts": 3, **settings}
    language = Language(endpoint=Endpoint.model_validate(options), temperature=0.5, top_p=0.25, max_tokens=7)
    requests = [_request(f"hello {n}", seed=n) for n in range(count)]
    return open_chat(language).complete_many(requests, language)


def _error(server: Server, **settings: Any) -> str:
    (error,) = _ask(server, **settings)
    assert isinstance(error, EndpointError), error
    return str(error)


def test_a_request_carries_messages_seed_sampling_and_key(server: Server) -> None:
    assert _ask(server) == ["Hello."]
    (sent,) = server.requests
    assert sent["messages"][1] == {"role": "user", "content": "hello 0"}
    del sent["messages"]
    assert sent == {"model": "m", "seed": 0, "temperature": 0.5, "top_p": 0.25, "max_tokens": 7}
    assert server.headers[0][
        "authorization" if "authorization" in server.headers[0] else "Authorization"
    ] == (f"Bearer {SECRET}")


def test_without_a_key_none_is_sent(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CHAT_KEY")
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    assert _ask(server) == ["Hello."]
    assert "Bearer none" in server.headers[0].values()
    assert SECRET not in str(server.headers)


def test_a_query_in_the_address_is_sent_but_not_shown(server: Server) -> None:
    server.script = [fail(404)]
    said = _error(server, url=f"{server.url}?version=7")
    assert server.paths == ["/v1/chat/completions?version=7"]
    assert f"{server.url} answered" in said and "version" not in said


def test_answers_come_in_the_order_of_the_requests_and_so_many_at_a_time(server: Server) -> None:
    meet = threading.Barrier(3, timeout=20)

    def echo(handler: BaseHTTPRequestHandler) -> None:
        meet.wait()
        asked = next(r for r in server.requests if r["seed"] not in echoed)
        echoed.append(asked["seed"])
        send(handler, 200, completion("there"))

    echoed: list[int] = []
    server.script = [echo]
    assert _ask(server, 9, concurrency=3) == ["there"] * 9
    assert server.most_under_way == 3


@pytest.mark.parametrize("passing", [fail(408), fail(409), fail(429), fail(500), fail(503), hang_up])
def test_a_passing_trouble_is_tried_again(server: Server, passing: Any) -> None:
    server.script = [passing, passing, answer("Hello.")]
    assert _ask(server) == ["Hello."]
    assert [r["seed"] for r in server.requests] == [0, 0, 0]


@pytest.mark.parametrize("body", [b"{", b"[]", b"null", b'{"choices": []}', b"<html>busy</html>"])
@pytest.mark.parametrize("kind", ["application/json", "text/html"])
def test_a_body_that_is_no_completion_is_tried_again_and_then_an_error(
    server: Server, body: bytes, kind: str
) -> None:
    server.script = [lambda handler: send(handler, 200, body, content_type=kind)]
    assert "sent no chat completion" in _error(server, attempts=2)
    assert len(server.requests) == 2


@pytest.mark.parametrize("status", [429, 500])
def test_tries_are_counted_once_and_their_end_says_address_status_and_what_to_check(
    server: Server, status: int
) -> None:
    server.script = [fail(status)]
    said = _error(server, attempts=4)
    assert f"{server.url} answered {status} (4 tries)" in said and "concurrency" in said
    assert len(server.requests) == 4


def test_retry_after_is_honoured(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    date = formatdate(time.time() + 60, usegmt=True)
    server.script = [fail(429, Retry_After="7"), fail(503, Retry_After=date), answer("Hello.")]
    assert _ask(server) == ["Hello."]
    assert waits[0] == 7 and 50 < waits[1] <= 60


def test_a_server_that_asks_for_hours_is_given_up_on_at_once(server: Server) -> None:
    server.script = [fail(429, Retry_After="7200")]
    assert "asks to wait 7200 s" in _error(server)
    assert len(server.requests) == 1


def test_waits_grow_and_their_jitter_comes_from_the_seed() -> None:
    waits = [endpoint_module._backoff(1, attempt) for attempt in range(1, 20)]
    assert waits == [endpoint_module._backoff(1, attempt) for attempt in range(1, 20)]
    assert all(2 ** (n - 1) <= waits[n - 1] <= 1.5 * 2 ** (n - 1) for n in range(1, 6))
    assert waits[-1] == endpoint_module.LONGEST_WAIT
    assert endpoint_module._backoff(1, 1) != endpoint_module._backoff(2, 1)


@pytest.mark.parametrize("odd", ["", "soon", "-5", "nan", "Wed, 99 Nov", "Wed, 21 Oct 2015 07:28:00 GMT"])
def test_an_odd_retry_after_waits_no_longer(odd: str) -> None:
    assert endpoint_module._seconds(odd) == 0


@pytest.mark.parametrize(("status", "check"), [(401, "CHAT_KEY"), (403, "CHAT_KEY"), (404, "model's name")])
def test_a_refused_key_or_model_fails_at_once_and_spares_the_rest(
    server: Server, status: int, check: str
) -> None:
    server.script = [fail(status)]
    errors = _ask(server, 20, concurrency=1)
    assert all(isinstance(e, EndpointError) and check in str(e) for e in errors)
    assert len(server.requests) == 1


def test_a_refused_request_fails_at_once_with_what_the_server_says(server: Server) -> None:
    server.script = [fail(400, "max_tokens is\ntoo large"), answer("Hello.")]
    error, other = _ask(server, 2, concurrency=1)
    assert "max_tokens is" in str(error) and "\n" not in str(error)
    assert other == "Hello."


@pytest.mark.parametrize(
    "turned_down",
    [
        fail(400, "filtered", code="content_filter"),
        lambda handler: send(handler, 200, completion("", "content_filter")),
        lambda handler: send(handler, 200, completion(None, refusal="I would rather not.")),
    ],
)
def test_what_the_server_turns_down_is_declined(server: Server, turned_down: Any) -> None:
    server.script = [turned_down]
    (declined,) = _ask(server)
    assert isinstance(declined, DeclinedError)


def test_an_answer_without_content_is_an_empty_text(server: Server) -> None:
    server.script = [lambda handler: send(handler, 200, completion(None, reasoning_content="Hm."))]
    assert _ask(server) == [""]


def test_a_slow_server_is_told_from_a_dead_one(server: Server) -> None:
    done = threading.Event()

    def dawdle(handler: BaseHTTPRequestHandler) -> None:
        done.wait(20)

    server.script = [dawdle]
    try:
        said = _error(server, timeout=0.05, attempts=2)
    finally:
        done.set()
    assert "did not answer in time (2 tries)" in said and "`timeout` (0.05 s)" in said


def test_nobody_listening_is_an_error_that_spares_the_rest(server: Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    started = time.monotonic()
    errors = _ask(server, 200, url=url)
    assert {type(e) for e in errors} == {EndpointError}
    assert f"{url} cannot be reached" in str(errors[0]) and "server runs" in str(errors[0])
    assert time.monotonic() - started < 10


def test_an_address_with_credentials_is_refused_without_showing_them() -> None:
    endpoint = EndpointChat(Endpoint(url="http://me:pass@127.0.0.1:9/v1", model="m"))
    with pytest.raises(EndpointError, match=r"http://127\.0\.0\.1:9/v1") as caught:
        endpoint.load()
    assert "pass@" not in str(caught.value)


def test_a_key_of_impossible_characters_is_refused_unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAT_KEY", f"{SECRET}\nX-Evil: 1")
    with pytest.raises(EndpointError, match="CHAT_KEY") as caught:
        EndpointChat(Endpoint(url="http://127.0.0.1:9/v1", model="m", key="CHAT_KEY")).load()
    assert SECRET not in str(caught.value)


def test_a_line_break_after_the_key_does_no_harm(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAT_KEY", f" {SECRET}\n")
    assert _ask(server) == ["Hello."]
    assert f"Bearer {SECRET}" in server.headers[0].values()


def test_the_key_is_in_no_error_log_pickle_or_representation(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    echo = f"{'x' * 150} your key {SECRET} is bad"
    server.script = [fail(500, echo), hang_up, fail(400, echo), fail(422, SECRET * 20), fail(401, echo)]
    outcomes: list[Any] = _ask(server, 4, concurrency=1)
    endpoint = EndpointChat(Endpoint(url=server.url, model="m", key="CHAT_KEY"))
    endpoint.load()
    kept = [*outcomes, endpoint, *(e.__dict__ for e in outcomes), *(e.__context__ for e in outcomes)]
    assert len(server.requests) == 5
    for secret in (SECRET, SECRET[:12]):
        assert secret not in caplog.text
        assert all(secret not in repr(one) + str(one) for one in kept)
        assert all(secret.encode() not in pickle.dumps(one) for one in kept)
    assert "try 2" in caplog.text


def test_fingerprint_and_name_follow_server_and_model_alone() -> None:
    base = Endpoint(url="http://host/v1", model="m")
    same = Endpoint(
        url="http://me:pw@host/v1?key=1", model="m", key="OTHER", concurrency=1, timeout=1, attempts=1
    )
    assert EndpointChat(base).fingerprint() == EndpointChat(same).fingerprint()
    for other in ({"url": "http://host2/v1"}, {"model": "n"}):
        assert EndpointChat(base.model_copy(update=other)).fingerprint() != EndpointChat(base).fingerprint()
    assert EndpointChat(Endpoint(url="http://host/v1", model="/home/me/lm/")).name == "lm"
    assert EndpointChat(Endpoint(url="http://host/v1", model="org/lm")).name == "org/lm"


# A real server


@pytest.fixture
def real_server(lm_folder: Path, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = Path(sys.executable).with_name("transformers")
    arguments = ["serve", str(lm_folder), "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with (tmp_path / "serve.log").open("wb") as log:
        process = subprocess.Popen([command, *arguments], stdout=log, stderr=log, env=environment)
        try:
            _wait_for(f"http://127.0.0.1:{port}/health", process, tmp_path / "serve.log")
            yield process, f"http://127.0.0.1:{port}/v1"
        finally:
            process.kill()
            process.wait()


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    started = time.monotonic()
    while time.monotonic() - started < 120:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            if process.poll() is not None:
                break
            time.sleep(0.1)
    pytest.fail(f"transformers serve did not start: {log.read_text()[-2000:]}")


def test_transformers_serve_answers_and_its_death_becomes_an_error(
    real_server: tuple[subprocess.Popen[bytes], str], lm_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint_module, "FIRST_WAIT", 0.001)
    process, url = real_server
    endpoint = Endpoint(url=url, model=str(lm_folder), attempts=2, concurrency=1)
    language = Language(endpoint=endpoint, max_tokens=8, temperature=1.5)
    model = open_chat(language)
    answers = model.complete_many([*REQUESTS[:2], *REQUESTS[:2]], language)
    assert all(isinstance(a, str) for a in answers), answers
    assert answers[:2] == answers[2:]
    dying = language.model_copy(update={"max_tokens": 3000})
    threading.Timer(1.0, process.kill).start()
    errors = model.complete_many(REQUESTS[:3], dying)
    assert isinstance(errors[-1], EndpointError) and f"{url} cannot be reached" in str(errors[-1])
