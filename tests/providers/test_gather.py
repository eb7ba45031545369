"""An unstreamed call that is streamed underneath, over sockets and by every provider."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from broken_streams import STREAMS, TEXT, WORDS, broken_streams, named
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pilotlight import AllTargetsFailed, Answer, Fault, receipts
from pilotlight.app import Pilotlight
from pilotlight.config.schema import parse
from pilotlight.records.lines import encode
from pilotlight.registry import Registry
from pilotlight.routes.route import Route
from tests.anyjson import ANY, places, put, written
from tests.providers.loopback import Loopback, reply, said

ASK = [{"role": "user", "content": "hi"}]
WIRES = {
    "direct": "openai", "responses": "responses", "litellm": "openai", "anthropic": "anthropic", "gemini": "gemini",
    "claude-litellm": "anthropic", "gemini-litellm": "gemini", "ollama": "ollama",
}  # fmt: skip
TARGETS: dict[str, dict[str, Any]] = {
    "direct": {"model": "openai/m", "api_base": "{}/v1"},
    "responses": {"model": "openai/responses/m", "api_base": "{}/v1"},
    "litellm": {"model": "openai/m", "api_base": "{}/v1", "via": "litellm"},
    "anthropic": {"model": "anthropic/m", "api_base": "{}"},
    "gemini": {"model": "gemini/m", "api_base": "{}/v1beta"},
    "claude-litellm": {"model": "anthropic/m", "api_base": "{}", "via": "litellm"},
    "gemini-litellm": {"model": "gemini/m", "api_base": "{}/v1beta", "via": "litellm"},
    "ollama": {"model": "ollama/m", "api_base": "{}", "health": "off"},
}
# Of litellm's own making; raised as an error it costs litellm its usage chunk.
pytestmark = pytest.mark.filterwarnings("ignore:.*attribute on the instance is deprecated")

WAYS = pytest.mark.parametrize("way", TARGETS)
COLOURS = pytest.mark.parametrize("colour", ["sync", "async"])
PATIENT = {"first_token": 20.0, "between_tokens": 20.0, "total": 20.0}
MUCH = 8.0  # seconds: whoever waited for `total` took longer

OPENAI = {
    "id": "c", "object": "chat.completion", "created": 1, "model": "m",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 3, "total_tokens": 4},
}  # fmt: skip
ANTHROPIC = {
    "id": "m", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn",
    "content": [{"type": "text", "text": TEXT}], "usage": {"input_tokens": 1, "output_tokens": 3},
}  # fmt: skip
GEMINI = {
    "candidates": [
        {"content": {"parts": [{"text": TEXT}], "role": "model"}, "index": 0,
         "finishReason": "STOP"}
    ],
    "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 3, "totalTokenCount": 4},
}  # fmt: skip
OLLAMA = {
    "model": "m", "message": {"role": "assistant", "content": TEXT}, "done": True,
    "done_reason": "stop", "prompt_eval_count": 1, "eval_count": 3,
}  # fmt: skip
RESPONSES = {
    "id": "r", "object": "response", "created_at": 1, "model": "m", "status": "completed",
    "output": [{
        "id": "i", "type": "message", "role": "assistant", "status": "completed",
        "content": [{"type": "output_text", "text": TEXT, "annotations": []}],
    }],
    "usage": {"input_tokens": 1, "output_tokens": 3, "total_tokens": 4},
}  # fmt: skip
WHOLE = {
    "openai": OPENAI,
    "responses": RESPONSES,
    "anthropic": ANTHROPIC,
    "gemini": GEMINI,
    "ollama": OLLAMA,
}
FROM_SPARE = {
    **OPENAI,
    "choices": [{"index": 0, "message": {"content": "spare"}, "finish_reason": "stop"}],
}

Say = Callable[[str, bytes], bytes]


def events(wire: str) -> list[bytes]:
    """A stream as it should be, its tokens counted."""
    made = STREAMS[wire](WORDS)
    if wire == "openai":
        usage = {**OPENAI, "object": "chat.completion.chunk", "choices": []}
        made.insert(-1, b"data: " + json.dumps(usage).encode() + b"\n\n")
    if wire == "responses":
        made[-1] = named("response.completed", response=RESPONSES)
    if wire == "ollama":
        made[-1] = json.dumps({**OLLAMA, "message": {"content": ""}}).encode() + b"\n"
    return made


def kind(wire: str) -> str:
    return "application/x-ndjson" if wire == "ollama" else "text/event-stream"


def open_end(wire: str, pieces: list[bytes]) -> bytes:
    """The beginning of a stream that goes on."""
    head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind(wire)}\r\ntransfer-encoding: chunked\r\n\r\n"
    return head.encode() + b"".join(b"%x\r\n%s\r\n" % (len(one), one) for one in pieces)


def wants_stream(path: str, body: bytes) -> bool:
    return "streamGenerateContent" in path or json.loads(body or b"{}").get("stream") is True


@dataclass
class Primary:
    """The first target's server: what it says to a stream's request, and to a plain one."""

    wire: str
    to_stream: Say
    over: threading.Event = field(default_factory=threading.Event)
    asked: list[bool] = field(default_factory=list)
    to_plain: bytes | None = None  # None: a whole answer

    def __call__(self, path: str, body: bytes) -> bytes:
        if "/spare/" in path:
            return said(FROM_SPARE)
        self.asked.append(wants_stream(path, body))
        if self.asked[-1]:
            return self.to_stream(path, body)
        return said(WHOLE[self.wire]) if self.to_plain is None else self.to_plain

    def silent(self, *_: object) -> bytes:
        self.over.wait(30)
        return b""

    def well(self, *_: object) -> bytes:
        return reply(b"".join(events(self.wire)), kind=kind(self.wire))


@contextmanager
def route(way: str, to_stream: str | Say, **timeout: float) -> Iterator[tuple[Route, Primary]]:
    """A route of a target that answers streams so, and a spare that is well."""
    primary = Primary(WIRES[way], lambda *_: b"")
    primary.to_stream = getattr(primary, to_stream) if isinstance(to_stream, str) else to_stream
    with Loopback(primary) as server:
        target = {**TARGETS[way], "retry": {"max_retries": 0}, "timeout": PATIENT | timeout}
        target["api_base"] = target["api_base"].format(server.url)
        if way != "ollama":
            target["api_key"] = "k"
        spare = {"model": "openai/spare", "api_base": f"{server.url}/spare/v1", "api_key": "s"}
        data = {
            "targets": {"first": target, "spare": spare},
            "routes": {"r": {"targets": ["first", "spare"]}},
        }
        with Pilotlight(parse(data, "test"), registry=Registry()) as app:
            try:
                yield app.route("r"), primary
            finally:
                primary.over.set()


def ask(route: Route, colour: str, **options: Any) -> Answer:
    if colour == "async":
        return asyncio.run(route.acomplete(ASK, **options))
    return route.complete(ASK, **options)


# A target that is well.


@WAYS
@COLOURS
def test_the_answer_is_the_one_that_would_have_come_whole(way, colour):
    with route(way, "well") as (asked, primary):
        gathered = ask(asked, colour)
        plain = ask(asked, colour)
    assert primary.asked == [True, False]
    assert gathered.text == plain.text == TEXT
    usual = asked.targets[0].health.usual
    assert usual.first_token.far is not None and usual.answer.far is not None
    one, other = gathered.response, plain.response
    assert one.choices[0].message.content == TEXT
    assert one.choices[0].finish_reason == other.choices[0].finish_reason == "stop"
    for name in ("prompt_tokens", "completion_tokens", "total_tokens"):
        assert getattr(one.usage, name) == getattr(other.usage, name)
    (first,), (second,) = gathered.receipt.attempts, plain.receipt.attempts
    for name in ("finish_reason", "prompt_tokens", "completion_tokens", "status"):
        assert getattr(first, name) == getattr(second, name)


@WAYS
def test_who_has_just_answered_is_asked_for_no_stream(way):
    with route(way, "well") as (asked, primary):
        for _ in range(10):
            assert ask(asked, "sync").text == TEXT
    assert primary.asked == [True] + [False] * 9


# A target that is not.


@WAYS
@COLOURS
def test_silence_costs_the_clock_of_the_first_token(way, colour):
    with route(way, "silent", first_token=0.3) as (asked, primary):
        began = time.monotonic()
        answer = ask(asked, colour)
        assert time.monotonic() - began < MUCH
    assert answer.text == "spare" and primary.asked == [True]
    first, _ = answer.receipt.attempts
    assert first.fault == Fault.TIMEOUT and "gather" in first.evidence


@WAYS
@COLOURS
@pytest.mark.parametrize("end", ["silent", "broken", "cut"])
def test_an_answer_that_breaks_off_is_failed_over(way, colour, end):
    wire = WIRES[way]
    half = events(wire)[:5]

    def begins(*_: object) -> bytes:
        if end == "cut":
            return reply(b"".join(half), kind=kind(wire))
        return open_end(wire, half) + (b"no length\r\n" if end == "broken" else b"")

    with route(way, begins, between_tokens=0.3) as (asked, _):
        began = time.monotonic()
        answer = ask(asked, colour)
        assert time.monotonic() - began < MUCH
    assert answer.text == "spare"
    first, _ = answer.receipt.attempts
    wanted = {
        "silent": {Fault.STREAM_STALLED},
        "broken": {Fault.STREAM_INTERRUPTED},
        "cut": {Fault.STREAM_TRUNCATED, Fault.STREAM_INTERRUPTED},
    }
    assert first.fault in wanted[end]


@WAYS
def test_an_empty_stream_is_no_answer(way):
    wire = WIRES[way]
    empty = STREAMS[wire](("", "")) if wire != "ollama" else events(wire)[-1:]
    with route(way, lambda *_: reply(b"".join(empty), kind=kind(wire))) as (asked, _):
        answer = ask(asked, "sync")
    assert answer.text == "spare"
    assert answer.receipt.attempts[0].fault == Fault.EMPTY_RESPONSE


# A target that gives no stream.


@WAYS
@COLOURS
@pytest.mark.parametrize("indent", [None, 1])
def test_a_whole_answer_to_a_stream_s_request_is_taken(way, colour, indent):
    if way == "ollama" and indent:
        pytest.skip("Ollama writes no line ends into its JSON")
    whole = json.dumps(WHOLE[WIRES[way]], indent=indent).encode()
    with route(way, lambda *_: reply(whole)) as (asked, primary):
        answer = ask(asked, colour)
        assert answer.text == TEXT and answer.receipt.served_by == "first"
        assert answer.receipt.attempts[0].completion_tokens == 3


ENDS = ("stop", "length", "tool_calls", "content_filter", None)


@pytest.mark.parametrize("way", ["direct", "litellm"])
@pytest.mark.parametrize("text", [TEXT, "", None])
@pytest.mark.parametrize("thought", [0, 386])
@pytest.mark.parametrize("end", ENDS)
def test_a_whole_body_means_the_same_in_the_place_of_a_stream(way, text, thought, end):
    """Whoever reads events finds one in it, with an end and a count, and no words."""
    message = {"role": "assistant", "content": text}
    counts = {**OPENAI["usage"], "completion_tokens_details": {"reasoning_tokens": thought}}
    choice = {"index": 0, "message": message, "finish_reason": end}
    body = said({**OPENAI, "choices": [choice], "usage": counts})
    told = []
    for gather in ("auto", "never"):
        with route(way, lambda *_: body) as (asked, primary):
            primary.to_plain = body
            asked = replace(asked, policy=replace(asked.policy, gather=gather))
            told.append(outcome(asked))
            assert primary.asked[0] is (gather == "auto")
    assert told[0] == told[1]


def outcome(asked: Route) -> tuple[object, ...]:
    """What came of it: the answer, or why there is none."""
    with receipts() as log:
        try:
            answer = ask(asked, "sync").text
        except Exception as error:
            answer = str(error)
    first = log[0].attempts[0]
    # litellm makes up an end that was not told.
    return answer, log[0].served_by, first.fault, first.finish_reason or "stop"


@COLOURS
@pytest.mark.parametrize("form", ["a stream", "one line", "lines"])
def test_a_private_answer_from_elsewhere_is_none_in_whatever_form(colour, form):
    away = {**OLLAMA, "remote_host": "https://ollama.com"}
    whole = json.dumps(away, indent=1 if form == "lines" else None).encode()
    kind = "application/x-ndjson" if form == "a stream" else "application/json"

    def shown_or_said(path: str, _: bytes) -> bytes:
        return said({}) if path == "/api/show" else reply(whole + b"\n", kind=kind)

    with Loopback(shown_or_said) as server:
        target = {"model": "ollama/m", "api_base": server.url, "health": "off"}
        data = {
            "targets": {"here": target},
            "routes": {"r": {"targets": ["here"], "gather": "always"}},
        }
        with Pilotlight(parse(data, "test"), registry=Registry()) as app:
            with pytest.raises(AllTargetsFailed) as raised:
                ask(app.route("r"), colour, private=True)
    fault = Fault.PRIVACY_BOUNDARY if form != "lines" else Fault.MALFORMED_RESPONSE
    assert {each.fault for each in raised.value.receipt.attempts} == {fault}


NO_STREAMS = {
    "unverified": (400, "Your organization must be verified to stream this model."),
    "unknown": (400, "Unrecognized request argument supplied: stream_options"),
    "forbidden": (403, "not authorized to perform: InvokeModelWithResponseStream"),
    "none": (501, "streaming is not implemented"),
    "extra": (422, "Extra inputs are not permitted"),
}


@WAYS
@COLOURS
@pytest.mark.parametrize("why", NO_STREAMS)
def test_who_gives_no_streams_is_asked_plainly_at_once(way, colour, why):
    status, words = NO_STREAMS[why]
    error = {"type": "invalid_request_error", "message": words}
    with route(way, lambda *_: said({"error": error}, status)) as (asked, primary):
        answer = ask(asked, colour)
        assert answer.text == TEXT
        (attempt,) = answer.receipt.attempts
        assert attempt.fault is None and attempt.completion_tokens == 3
        assert primary.asked == [True, False]


@pytest.mark.parametrize("way", ["direct", "litellm", "anthropic", "gemini"])
def test_a_kind_of_call_that_is_never_streamed_is_not_tried_again(way):
    error = {"message": "streaming is not supported with this"}
    with route(way, lambda *_: said({"error": error}, 400)) as (asked, primary):
        always = Route("r", asked.targets, policy=_always())
        for temperature in (0.1, 0.2):
            assert ask(always, "sync", temperature=temperature).text == TEXT
        assert primary.asked == [True, False, False]
        ask(always, "sync", top_p=0.5)
        assert primary.asked == [True, False, False, True, False]


@WAYS
def test_a_refusal_of_the_call_is_one_whatever_its_form(way):
    error = {"type": "invalid_request_error", "message": "temperature must be below 2"}
    with route(way, lambda *_: said({"error": error}, 400)) as (asked, primary):
        with pytest.raises(Exception, match="temperature"):
            ask(asked, "sync")
        assert primary.asked == [True]


@pytest.mark.parametrize("way", ["direct", "litellm"])
def test_a_stream_that_counts_no_tokens_is_the_last(way):
    made = STREAMS["openai"](WORDS)
    with route(way, lambda *_: reply(b"".join(made), kind="text/event-stream")) as (asked, primary):
        always = Route("r", asked.targets, policy=_always())
        answer = ask(always, "sync")
        assert answer.text == TEXT
        assert answer.receipt.attempts[0].completion_tokens is None  # and none is made up
        assert ask(always, "sync").receipt.attempts[0].completion_tokens == 3
    assert primary.asked == [True, False]


@pytest.mark.parametrize(
    ("target", "options", "gathered"),
    [
        ({"model": "openai/gpt-4o"}, {}, True),
        ({"model": "openai/gpt-4o"}, {"modalities": ["text", "audio"], "audio": {}}, False),
        ({"model": "openai/gpt-5"}, {}, False),  # it thinks unheard
        ({"model": "openai/gpt-5"}, {"reasoning_effort": "low"}, True),
        ({"model": "openai/gpt-5", "timeout": {"first_token": 60}}, {}, True),
        ({"model": "openai/gpt-5", "timeout": {"total": 60}}, {}, False),
        ({"model": "gemini/gemini-2.5-pro"}, {}, False),
        ({"model": "anthropic/claude-sonnet-4-5"}, {}, True),  # its thoughts are heard
        ({"model": "deepseek/deepseek-reasoner"}, {}, True),
        ({"model": "groq/llama-3.3-70b-versatile"}, {}, False),
        ({"model": "cohere_chat/command-r"}, {}, False),  # nobody sees its stream
        ({"model": "ollama/llama3.2"}, {"think": True}, True),
    ],
)
def test_what_can_be_streamed_with_nothing_lost(target, options, gathered):
    from pilotlight.core.provider import Call

    config = {"targets": {"t": {"api_key": "k", **target}}, "routes": {"r": {"targets": ["t"]}}}
    with Pilotlight(parse(config, "test"), registry=Registry()) as app:
        (made,) = app.route("r").targets
        assert made.gathers(Call("r", ASK, options), False) is gathered
        thinks = target["model"] in ("openai/gpt-5", "gemini/gemini-2.5-pro")
        assert made.gathers(Call("r", ASK, options), True) is (gathered or thinks)


def _always() -> Any:
    from pilotlight.core.flow.failover import Policy

    return Policy(gather="always")


# A stream in which something is odd.


class Stage:
    """A target whose streams are odd, always gathered, and a spare that is well."""

    def __init__(self, way: str) -> None:
        self.wire = WIRES[way]
        self.body = b""
        self.server = Loopback(self.say).__enter__()
        quick = {"retry": {"max_retries": 0}, "breaker": {"consecutive_failures": 10**6}}
        quick["breaker"] |= {"minimum_calls": 10**6, "suspicion": False}
        first = {**TARGETS[way], **quick, "timeout": PATIENT}
        first["api_base"] = first["api_base"].format(self.server.url)
        if way != "ollama":
            first["api_key"] = "k"
        spare = {"model": "openai/m", "api_base": f"{self.server.url}/spare/v1", "api_key": "s"}
        data = {
            "targets": {"first": first, "spare": spare},
            "routes": {"r": {"targets": ["first", "spare"], "gather": "always"}},
        }
        self.app = Pilotlight(parse(data, "test"), registry=Registry())

    def say(self, path: str, _: bytes) -> bytes:
        return said(FROM_SPARE) if "/spare/" in path else reply(self.body, kind=kind(self.wire))

    def ask(self, body: bytes, colour: str) -> Answer:
        self.body = body
        route = self.app.route("r")
        streamable = route.targets[0].provider.connection.streamable
        streamable.lossy = False
        streamable._refused.clear()
        return ask(route, colour)


@pytest.fixture(scope="module")
def stages() -> Iterator[dict[str, Stage]]:
    made = {way: Stage(way) for way in TARGETS}
    yield made
    for stage in made.values():
        stage.app.close()
        stage.server.__exit__()


@WAYS
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_with_a_broken_event_it_is_whole_or_another_answers(stages, way, data):
    sent = data.draw(broken_streams(WIRES[way]))
    answer = stages[way].ask(sent.body, data.draw(st.sampled_from(["sync", "async"])))
    assert answer.text in (TEXT, "spare")


@WAYS
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_json_in_a_stream_is_an_answer_or_a_fault(stages, way, data):
    wire = WIRES[way]
    made = events(wire)
    able = [n for n, one in enumerate(made) if b"{" in one]
    place = data.draw(st.sampled_from(able))
    head, brace, rest = made[place].partition(b"{")
    event = json.loads(brace + rest)
    odd = put(event, data.draw(st.sampled_from(list(places(event)))), data.draw(ANY))
    end = b"\n" if wire == "ollama" else b"\n\n"
    made[place] = head + written(odd).encode("utf-8", "surrogatepass") + end
    try:
        answer = stages[way].ask(b"".join(made), data.draw(st.sampled_from(["sync", "async"])))
    except Exception as error:
        assert "content_blocked" in repr(error)
        return
    assert isinstance(answer.text, str)
    answer.text.encode()
    json.dumps(answer.response.model_dump()).encode()
    encode(answer.receipt, "p")
