"""What a provider says of an answer's tokens reaches the span and the receipt, over a socket."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from ways import HELLO

from pilotlight import load
from pilotlight.core.flow.recorder import receipts
from pilotlight.telemetry.leg_end import LegEnd
from pilotlight.vocabulary.receipt import AttemptRecord

USAGE = {
    "prompt_tokens": 9,
    "completion_tokens": 6,
    "total_tokens": 15,
    "prompt_tokens_details": {"cached_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 2},
}
HEAD = {"id": "resp-7", "created": 1, "model": "gpt-4o"}
CHOICE = {"index": 0, "finish_reason": "stop"}
WHOLE = HEAD | {
    "object": "chat.completion",
    "choices": [CHOICE | {"message": {"role": "assistant", "content": "well"}}],
    "usage": USAGE,
}
PIECES = [
    {"choices": [CHOICE | {"delta": {"role": "assistant", "content": "well"}}]},
    {"choices": [], "usage": USAGE},
]


class Provider(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        body, kind = json.dumps(WHOLE), "application/json"
        if asked.get("stream"):
            kind, head = "text/event-stream", HEAD | {"object": "chat.completion.chunk"}
            events = [*(json.dumps(head | piece) for piece in PIECES), "[DONE]"]
            body = "".join(f"data: {event}\n\n" for event in events)
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def provider():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("by", ["openai", "together_ai"])
def test_id_and_parts_of_the_tokens_are_told(by, stream, provider, spy):
    target = {"model": f"{by}/gpt-4o", "api_base": provider, "api_key": "sk-x"}
    with load({"targets": {"a": target}, "routes": {"chat": {"targets": ["a"]}}}) as app:
        route = app.route("chat")
        with receipts() as log:
            list(route.stream(HELLO)) if stream else route.complete(HELLO)
    told = dict(spy.legs[0].attributes)
    assert told["gen_ai.response.id"] == "resp-7"
    assert told["gen_ai.usage.input_tokens"] == 9
    assert told["gen_ai.usage.output_tokens"] == 6
    assert told["gen_ai.usage.cache_read.input_tokens"] == 4
    assert told["gen_ai.usage.reasoning.output_tokens"] == 2
    (record,) = log[0].attempts
    assert (record.response_id, record.cached_tokens, record.reasoning_tokens) == ("resp-7", 4, 2)


@pytest.mark.parametrize("lost", [(), ("logprobs", "seed")])
def test_what_the_api_could_not_be_told_is_on_the_span(lost):
    record = AttemptRecord("a", "m", 0, None, 200, 1.0, "closed", lost=lost)
    told = LegEnd(record, None, 0, None).attributes()
    assert told.get("pilotlight.attempt.lost", ()) == lost
