"""Each fault, observed at the socket."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from pilotlight_chaos import DIALECTS, KINDS, ChaosServer, FaultError

PATHS = {
    "openai": "/v1/chat/completions",
    "anthropic": "/v1/messages",
    "gemini": "/v1beta/models/gemini-2.5-flash:generateContent",
    "ollama": "/api/chat",
}
MESSAGES = [{"role": "user", "content": "hi"}]
BODIES: dict[str, dict[str, Any]] = {
    "openai": {"model": "gpt-4o", "messages": MESSAGES},
    "anthropic": {"model": "claude-x", "messages": MESSAGES, "max_tokens": 50},
    "gemini": {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
    "ollama": {"model": "llama3.2:3b", "messages": MESSAGES},
}
TERMINAL = {
    "openai": '"finish_reason":"stop"',
    "anthropic": "message_stop",
    "gemini": '"finishReason":"STOP"',
    "ollama": '"done":true',
}


def ask(server: ChaosServer, http: httpx.Client, dialect: str, name: str = "x") -> httpx.Response:
    body = BODIES[dialect] | {"stream": False}
    return http.post(server.base(name) + PATHS[dialect], json=body)


@contextmanager
def streaming(
    server: ChaosServer, http: httpx.Client, dialect: str, name: str = "x", **options: Any
) -> Iterator[httpx.Response]:
    path, body = PATHS[dialect], BODIES[dialect] | {"stream": True}
    if dialect == "gemini":
        path = path.replace(":generateContent", ":streamGenerateContent?alt=sse")
    with http.stream("POST", server.base(name) + path, json=body, **options) as response:
        yield response


def words(text: str) -> int:
    return sum(f'"{word} "' in text for word in ("one", "two", "three", "four", "five"))


STATUSES = {
    "server_error": (500, 500, 500, 500),
    "bad_gateway": (502, 502, 502, 502),
    "overloaded": (503, 529, 503, 503),
    "unavailable": (503, 503, 503, 503),
    "gateway_timeout": (504, 504, 504, 504),
    "http_error": (500, 500, 500, 500),
    "rate_limit": (429, 429, 429, 429),
    "quota": (429, 400, 429, 429),
    "auth": (401, 401, 400, 401),
    "permission": (403, 403, 403, 403),
    "retired": (404, 404, 404, 410),
    "not_found": (404, 404, 404, 404),
    "context": (400, 400, 400, 400),
    "too_large": (413, 413, 400, None),
    "bad_request": (400, 400, 400, 400),
    "content_filter": (400, 400, 200, None),
    "busy": (None, None, None, 503),
    "oom": (None, None, None, 500),
    "crash": (None, None, None, 500),
}
CASES = [
    (kind, dialect, status)
    for kind, statuses in STATUSES.items()
    for dialect, status in zip(DIALECTS, statuses, strict=True)
]


@pytest.mark.parametrize(("kind", "dialect", "status"), CASES)
def test_refusals(
    server: ChaosServer, http: httpx.Client, kind: str, dialect: str, status: int | None
) -> None:
    if status is None:
        with pytest.raises(FaultError, match="cannot have"):
            server.fault(dialect, kind)
        return
    server.fault("x", kind)
    assert ask(server, http, dialect).status_code == status
    with streaming(server, http, dialect) as response:
        assert response.status_code == status
    assert [record.fault for record in server.requests("x")] == [kind, kind]
    server.heal("x")
    assert ask(server, http, dialect).status_code == 200


@pytest.mark.parametrize(
    "kind", ["server_error", "bad_gateway", "overloaded", "unavailable", "gateway_timeout"]
)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_trouble_may_say_when_it_is_over(
    server: ChaosServer, http: httpx.Client, kind: str, dialect: str
) -> None:
    server.fault("x", kind)
    silent = ask(server, http, dialect)
    server.fault("x", kind, retry_after=7)
    told = ask(server, http, dialect)
    assert "retry-after" not in silent.headers
    assert told.headers["retry-after"] == "7"
    assert (told.status_code, told.content) == (silent.status_code, silent.content)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_context_with_a_limit_refuses_what_is_longer_and_names_it(
    server: ChaosServer, http: httpx.Client, dialect: str
) -> None:
    server.fault("x", "context", limit=1000)
    assert ask(server, http, dialect).status_code == 200
    long = json.loads(json.dumps(BODIES[dialect]).replace('"hi"', json.dumps("word " * 1000)))
    refused = http.post(server.base("x") + PATHS[dialect], json=long | {"stream": False})
    assert refused.status_code == 400
    assert "1000" in refused.text
    assert "1254" in refused.text, "and how many tokens the prompt has"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_broken_event_stands_beside_the_end_mark(
    server: ChaosServer, http: httpx.Client, dialect: str
) -> None:
    server.fault("x", "broken_event", after=3)
    with streaming(server, http, dialect) as response:
        *_, last = response.iter_raw()
    assert "one two three four five" in ask(server, http, dialect).text, "where it is no stream"
    assert last.index(b'"delta": {"content":') < last.index(TERMINAL[dialect].encode())
    with streaming(server, http, dialect) as response:
        assert words(response.read().decode()) == 3


def test_retry_after_is_where_each_provider_puts_it(
    server: ChaosServer, http: httpx.Client
) -> None:
    server.fault("*", "rate_limit", retry_after=7.5)
    assert ask(server, http, "openai").headers["retry-after-ms"] == "7500"
    assert ask(server, http, "anthropic").headers["retry-after"] == "8"
    reply = ask(server, http, "gemini")
    assert "retry-after" not in reply.headers
    assert reply.json()["error"]["details"][1]["retryDelay"] == "7.5s"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_retry_after_may_be_any_nonsense(
    server: ChaosServer, http: httpx.Client, dialect: str
) -> None:
    server.fault("x", "rate_limit", header="nan")
    reply = ask(server, http, dialect)
    assert (reply.status_code, reply.headers["retry-after"]) == (429, "nan")
    assert "retry-after-ms" not in reply.headers
    assert "20s" not in reply.text, "the body names no other time"
    with pytest.raises(FaultError, match="header is one line of ASCII, not 'a"):
        server.fault("x", "rate_limit", header="a\r\nb: c")


@pytest.mark.parametrize("dialect", ["openai", "anthropic", "gemini"])
def test_the_end_of_a_model_is_announced_with_good_answers(
    server: ChaosServer, http: httpx.Client, dialect: str
) -> None:
    server.fault("x", "sunset", days=10)
    whole = ask(server, http, dialect)
    with streaming(server, http, dialect) as streamed:
        text = streamed.read().decode()
    assert TERMINAL[dialect] in text
    for reply in (whole, streamed):
        assert reply.status_code == 200
        end = parsedate_to_datetime(reply.headers["sunset"]).timestamp()
        begun = float(reply.headers["deprecation"].removeprefix("@"))
        assert round((end - begun) / 86_400, 2) == 10
    server.heal("x")
    assert "sunset" not in ask(server, http, dialect).headers


@pytest.mark.parametrize(("status", "code"), [(400, "model_decommissioned"), (404, "model_not")])
def test_retired_forms(server: ChaosServer, http: httpx.Client, status: int, code: str) -> None:
    server.fault("x", "retired", status=status)
    reply = ask(server, http, "openai")
    assert reply.status_code == status
    assert code in reply.text


@pytest.mark.parametrize("dialect", DIALECTS)
class TestBodies:
    def test_garbage(self, server: ChaosServer, http: httpx.Client, dialect: str) -> None:
        server.fault("x", "garbage")
        reply = ask(server, http, dialect)
        assert (reply.status_code, reply.text[:9]) == (200, "<!DOCTYPE")

    def test_truncated(self, server: ChaosServer, http: httpx.Client, dialect: str) -> None:
        server.fault("x", "truncated_json")
        with pytest.raises(json.JSONDecodeError):
            ask(server, http, dialect).json()

    @pytest.mark.parametrize("what", ["content", "choices"])
    def test_empty(self, server: ChaosServer, http: httpx.Client, dialect: str, what: str) -> None:
        server.fault("x", "empty", what=what)
        assert words(ask(server, http, dialect).text.replace("one two", '"one "')) == 0
        with streaming(server, http, dialect) as response:
            assert words(response.read().decode()) == 0

    def test_error_body(self, server: ChaosServer, http: httpx.Client, dialect: str) -> None:
        server.fault("x", "error_body")
        reply = ask(server, http, dialect)
        assert reply.status_code == 200
        assert "error" in reply.json()
        with streaming(server, http, dialect) as response:
            assert "error" in response.read().decode()

    def test_substituted(self, server: ChaosServer, http: httpx.Client, dialect: str) -> None:
        server.fault("x", "substituted", model="other-9")
        assert "other-9" in ask(server, http, dialect).text


@pytest.mark.parametrize("dialect", DIALECTS)
class TestTransfers:
    def test_healthy(self, server: ChaosServer, http: httpx.Client, dialect: str) -> None:
        with streaming(server, http, dialect) as response:
            text = response.read().decode()
        assert TERMINAL[dialect] in text
        assert words(text) == 4  # "five" ends the text, without a space

    def test_eof(self, server: ChaosServer, http: httpx.Client, dialect: str) -> None:
        server.fault("x", "eof", after=3)
        with streaming(server, http, dialect) as response:
            text = response.read().decode()
        assert words(text) == 3
        assert TERMINAL[dialect] not in text
        assert TERMINAL[dialect] not in ask(server, http, dialect).text

    @pytest.mark.parametrize("kind", ["cut", "reset"])
    def test_broken(self, server: ChaosServer, http: httpx.Client, dialect: str, kind: str) -> None:
        server.fault("x", kind, after=2)
        seen = ""
        error = httpx.RemoteProtocolError if kind == "cut" else httpx.ReadError
        with pytest.raises(error), streaming(server, http, dialect) as response:
            for part in response.iter_text():
                seen += part
        assert words(seen) == 2
        with pytest.raises(error):
            ask(server, http, dialect)

    def test_error_event(self, server: ChaosServer, http: httpx.Client, dialect: str) -> None:
        server.fault("x", "error_event")
        with streaming(server, http, dialect) as response:
            text = response.read().decode()
        assert response.status_code == 200
        assert "error" in text
        assert words(text) == 2
        assert TERMINAL[dialect] not in text
        assert ask(server, http, dialect).status_code == 500

    @pytest.mark.parametrize("kind", ["stall", "hang"])
    def test_silence(
        self, server: ChaosServer, http: httpx.Client, dialect: str, kind: str
    ) -> None:
        server.fault("x", kind)
        seen = ""
        with (
            pytest.raises(httpx.ReadTimeout),
            streaming(server, http, dialect, timeout=0.05) as response,
        ):
            for part in response.iter_text():
                seen += part
        assert words(seen) == (2 if kind == "stall" else 0)
        assert server.wait_idle("x")
        assert server.counters("x").disconnected == 1

    def test_heartbeats(self, server: ChaosServer, http: httpx.Client, dialect: str) -> None:
        server.fault("x", "keepalive_stall", after=1, every=0.001)
        seen = ""
        with streaming(server, http, dialect) as response:
            for part in response.iter_text():
                seen += part
                if len(seen) > 1500:
                    break
        assert words(seen) == 1


def test_reset_before_any_byte(server: ChaosServer, http: httpx.Client) -> None:
    server.fault("x", "reset")
    with pytest.raises(httpx.ReadError):
        ask(server, http, "openai")
    with pytest.raises(httpx.ReadError), streaming(server, http, "openai"):
        pass


def test_slow_goes_with_another_fault(server: ChaosServer, http: httpx.Client) -> None:
    server.fault("x", "slow", seconds=0.03)
    server.fault("x", "server_error", add=True)
    reply = ask(server, http, "openai")
    assert reply.status_code == 500
    assert reply.elapsed.total_seconds() >= 0.03


def test_refused_and_open_again(server: ChaosServer, http: httpx.Client) -> None:
    assert ask(server, http, "openai").status_code == 200
    server.refuse()
    with pytest.raises(httpx.ConnectError), httpx.Client(trust_env=False) as other:
        other.get(server.url)
    with pytest.raises(httpx.TransportError):
        ask(server, http, "openai")  # on the pooled connection, or a new one
    server.accept_again()
    assert ask(server, http, "openai").status_code == 200


def test_times_and_keys(server: ChaosServer, http: httpx.Client) -> None:
    server.fault("x", "server_error", times=2)
    assert [ask(server, http, "openai").status_code for _ in range(3)] == [500, 500, 200]
    server.fault("openai", "auth")
    assert ask(server, http, "openai", "y").status_code == 401
    assert ask(server, http, "anthropic", "y").status_code == 200
    server.fault("y", "server_error")  # the name is more exact than the dialect
    assert ask(server, http, "openai", "y").status_code == 500


def test_side_requests_spend_nothing(server: ChaosServer, http: httpx.Client) -> None:
    server.fault("x", "server_error", times=1)
    assert http.get(f"{server.base('x')}/v1/models").status_code == 200
    assert ask(server, http, "openai").status_code == 500
    server.fault("x", "auth", everywhere=True)
    assert http.get(f"{server.base('x')}/v1/models").status_code == 401


def test_rate_is_seeded(http: httpx.Client) -> None:
    def run(seed: int) -> list[int]:
        with ChaosServer(seed=seed) as server:
            server.fault("x", "server_error", rate=0.5)
            return [ask(server, http, "openai").status_code for _ in range(20)]

    assert run(1) == run(1) != run(2)
    assert set(run(1)) == {200, 500}


def test_every_refusal_is_worded(server: ChaosServer) -> None:
    from pilotlight_chaos.faults import Refusal

    worded = {kind.name for kind in KINDS.values() if issubclass(kind.params, Refusal)}
    assert worded == set(STATUSES)


def test_close_lets_go_of_hanging_requests(http: httpx.Client) -> None:
    server = ChaosServer().start()
    server.fault("*", "hang")
    with socket.create_connection(("127.0.0.1", server.port)) as sock:
        body = json.dumps(BODIES["openai"]).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: {len(body)}\r\n\r\n"
        sock.sendall(head.encode() + body)
        assert server.wait_hits("openai", 1)
        server.close()
        with pytest.raises(ConnectionResetError):
            sock.recv(1)
    server.close()
