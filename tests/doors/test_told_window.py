"""A server that refuses a prompt as too long and names its limit is not sent the next such prompt."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pilotlight import load

LONG = [{"role": "user", "content": "word " * 700}]
SHORT = [{"role": "user", "content": "Hello"}]
REFUSALS = {
    "openai": {"error": {"message": "This model's maximum context length is 512 tokens. However, you requested 931 tokens.", "type": "invalid_request_error", "code": "context_length_exceeded"}},
    "anthropic": {"type": "error", "error": {"type": "invalid_request_error", "message": "prompt is too long: 931 tokens > 512 maximum"}},
}  # fmt: skip
ANSWERS = {
    "openai": {"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6}},
    "anthropic": {"id": "x", "type": "message", "role": "assistant", "model": "m", "content": [{"type": "text", "text": "hi"}], "stop_reason": "end_turn", "usage": {"input_tokens": 5, "output_tokens": 1}},
}  # fmt: skip


class Small(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_) -> None:
        pass

    def do_POST(self) -> None:
        asked = self.rfile.read(int(self.headers["content-length"]))
        body = json.loads(asked)
        self.server.asked.append(body["model"])
        wire = "anthropic" if self.path.endswith("/messages") else "openai"
        refused = body["model"] == "small" and b"word word" in asked
        said = json.dumps((REFUSALS if refused else ANSWERS)[wire]).encode()
        self.send_response(400 if refused else 200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)


@pytest.fixture
def server():
    made = ThreadingHTTPServer(("127.0.0.1", 0), Small)
    made.asked = []
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


def app_of(server, small, **more):
    base = f"http://127.0.0.1:{server.server_port}"
    big = {"model": "openai/big", "api_base": f"{base}/v1", "api_key": "k"}
    here = base if small["model"].startswith("anthropic") else f"{base}/v1"
    first = {"api_base": here, "api_key": "k", **small, **more}
    return load({
        "targets": {"small": first, "big": big},
        "routes": {"chat": {"targets": ["small", "big"]}},
    })  # fmt: skip


WIRES = [
    {"model": "openai/small"},
    {"model": "openai/small", "via": "litellm"},
    {"model": "anthropic/small"},
]


@pytest.mark.parametrize("small", WIRES, ids=["direct", "litellm", "anthropic"])
def test_the_next_prompt_that_is_too_long_is_not_sent(server, small):
    with app_of(server, small) as app:
        route = app.route("chat")
        assert route.complete(LONG).receipt.attempts[0].fault == "context_exceeded"
        assert app.target("small").window() == 512
        receipt = route.complete(LONG).receipt
        assert [(s.target, s.reason, s.detail) for s in receipt.skipped] == [
            ("small", "unsupported", "context")
        ]
        assert route.complete(SHORT).receipt.served_by == "small"
        assert server.asked == ["small", "big", "big", "small"]


def test_what_the_user_configured_stands(server):
    with app_of(server, WIRES[0], context=100_000) as app:
        for _ in range(2):
            app.route("chat").complete(LONG)
        assert app.target("small").window() == 100_000
        assert server.asked == ["small", "big"] * 2


def test_a_call_that_may_ask_for_a_larger_window_is_sent(server):
    with app_of(server, WIRES[0]) as app:
        app.route("chat").complete(LONG)
        app.route("chat").complete(LONG, extra_headers={"x-beta": "context-1m"})
        assert server.asked == ["small", "big"] * 2


def test_a_prompt_that_quotes_a_limit_teaches_nothing(server):
    quoting = [{"role": "user", "content": "maximum context length is 512 tokens. " * 99}]
    quoting[0]["content"] += "word word"
    with app_of(server, WIRES[0]) as app:
        app.route("chat").complete(quoting)
        assert app.target("small").window() is None
