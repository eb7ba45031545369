"""Prompts, answers and keys: nowhere, unless they are asked for, and where they are asked for."""

from __future__ import annotations

import json
import logging
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from scenarios import SPECIAL
from ways import SHAPES, run

from pilotlight import failover, load
from pilotlight.core.flow.recorder import receipts
from pilotlight.errors import PilotlightError
from pilotlight.events import listeners
from pilotlight.records.log import Log
from pilotlight.routes.route import Route
from pilotlight.telemetry import environment
from pilotlight.telemetry.content import VARIABLE
from pilotlight.telemetry.interceptor import attached, provider_context
from pilotlight.testing import Fails, FakeClock, ScriptedTarget
from pilotlight.vocabulary.faults import Fault
from pilotlight.wire.trace_context import trace_headers
from pilotlight_chaos import ChaosServer
from tests.telemetry.spy import Spy

PROMPT, ANSWER, KEY = "planted-prompt-7f3a", "planted-answer-91bc", "sk-planted-key-55de"
PATIENCE = 30.0
ASK = [{"role": "user", "content": f"say {PROMPT}"}]


def everything(spy, lines, log, errors) -> str:
    """All that anybody could read of it afterwards."""
    formatter = logging.Formatter("%(message)s")
    told = [formatter.format(each) + repr(vars(each)) for each in lines.records]
    spans = [span.to_json() for span in spy.spans]
    given = [json.dumps(each.to_dict(), default=str) for each in log]
    details = [each.log_record.to_json() for each in spy.details.get_finished_logs()]
    return "\n".join([*spans, repr(spy.points()), *told, *given, *map(str, errors), *details])


def script(targets) -> None:
    """Every answer holds the marker, every failure quotes prompt, answer and key."""
    for one in targets:
        for place, line in enumerate(one.script):
            if isinstance(line, str):
                one.script[place] = ANSWER
            else:
                fault = line if isinstance(line, Fault) else line.fault
                after = f"{ANSWER} " if isinstance(line, Fails) and line.after else ""
                quoting = RuntimeError(f"{PROMPT} {ANSWER} {KEY}")
                one.script[place] = Fails(fault, after=after, error=quoting)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_scenarios_leave_no_marker_anywhere(shape, spy, lines):
    errors = []
    with receipts() as log:
        for scenario in SPECIAL:
            clock = FakeClock()
            targets = scenario.build(clock)
            script(targets)
            route = Route("chat", tuple(targets), scenario.policy, clock=clock)
            try:
                text = run("client", shape, route, private=scenario.private)
                assert text in (ANSWER, "")
            except PilotlightError as error:
                errors.append(error)
    read = everything(spy, lines, log, errors)
    assert len(spy.calls) == len(log) == len(SPECIAL)
    assert [mark for mark in (PROMPT, ANSWER, KEY) if mark in read] == []


@pytest.mark.parametrize("fault", ["server_error", "auth", "cut", "bad_request"])
@pytest.mark.parametrize("stream", [False, True])
def test_nor_do_real_providers_that_quote_them(fault, stream, spy, lines):
    """The whole road, over sockets, with a server that is told the key and the prompt."""
    errors = []
    with ChaosServer(models=["llama3.2"]) as server, receipts() as log:
        server.fault("cloud", fault)
        app = load(
            {
                "targets": {
                    "cloud": {
                        "model": "openai/gpt-4o",
                        "api_base": f"{server.base('cloud')}/v1",
                        "api_key": KEY,
                    },
                    "home": {"model": "ollama/llama3.2", "api_base": server.base("home")},
                },
                "routes": {"chat": {"targets": ["cloud", "home"]}},
            }
        )
        with app:
            try:
                route = app.route("chat")
                list(route.stream(ASK)) if stream else route.complete(ASK)
            except Exception as error:
                errors.append(type(error))
    read = everything(spy, lines, log, errors)
    assert spy.legs
    assert [mark for mark in (PROMPT, KEY) if mark in read] == []


class Echo(BaseHTTPRequestHandler):
    """Refuses, and quotes the key, the prompt and a code that is none; its path says how."""

    def do_POST(self) -> None:
        asked = self.rfile.read(int(self.headers["content-length"])).decode()
        said = f"failed for {self.headers['authorization']} on {asked}"
        body = json.dumps({"error": {"message": said, "code": f"about {PROMPT}"}}).encode()
        self.send_response(int(self.path.split("/")[1]))
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def echo():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503])
@pytest.mark.parametrize("stream", [False, True])
def test_nor_does_an_endpoint_that_quotes_all_of_it(status, stream, echo, spy, lines, tmp_path):
    kept = tmp_path / "receipts.jsonl"
    target = {"model": "openai/gpt-4o", "api_base": f"{echo}/{status}/v1", "api_key": KEY}
    settings = {"targets": {"cloud": target}, "routes": {"chat": {"targets": ["cloud"]}}}
    with load(settings | {"receipts": str(kept)}) as app, receipts() as log:
        route = app.route("chat")
        with pytest.raises(Exception, match=r".") as caught:
            list(route.stream(ASK)) if stream else route.complete(ASK)
        (keeper,) = [each for each in listeners if isinstance(each, Log)]
        assert keeper.flush(PATIENCE)
    own = [caught.value] if isinstance(caught.value, PilotlightError) else []
    assert bool(own) == (status != 400)  # the caller's mistake is raised as the provider said it
    read = everything(spy, lines, log, [*own, *map(repr, own)]) + kept.read_text()
    assert spy.legs[0].attributes["error.type"] == str(status)
    assert [mark for mark in (PROMPT, KEY) if mark in read] == []


CAPTURES = {
    None: (False, False),
    "NO_CONTENT": (False, False),
    "SPAN_ONLY": (True, False),
    "EVENT_ONLY": (False, True),
    "SPAN_AND_EVENT": (True, True),
    "yes please": (False, False),
}


def captured(monkeypatch, value) -> Spy:
    if value is not None:
        monkeypatch.setenv(VARIABLE, value)
    spy = Spy()
    monkeypatch.setattr(environment, "signals", lambda: spy.signals)
    return spy


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("value", CAPTURES)
def test_content_goes_where_it_was_asked_for(monkeypatch, shape, value, clock, lines):
    spy = captured(monkeypatch, value)
    target = ScriptedTarget("a", ANSWER, clock=clock)
    run("client", shape, Route("chat", (target,), clock=clock))
    on_spans, on_events = CAPTURES[value]
    (leg,), events = spy.legs, spy.details.get_finished_logs()
    told = dict(leg.attributes)
    assert ("gen_ai.input.messages" in told, bool(events)) == (on_spans, on_events)
    asked = [{"role": "user", "parts": [{"type": "text", "content": "hello"}]}]
    said = {"role": "assistant", "parts": [{"type": "text", "content": ANSWER}]}
    answered = [said | {"finish_reason": "stop"}]
    if on_spans:  # as JSON strings
        assert json.loads(told["gen_ai.input.messages"]) == asked
        assert json.loads(told["gen_ai.output.messages"]) == answered
    if on_events:  # as structures
        record = events[0].log_record
        assert record.event_name == "gen_ai.client.inference.operation.details"
        assert record.span_id == leg.context.span_id
        assert plain(record.attributes["gen_ai.input.messages"]) == asked
        assert plain(record.attributes["gen_ai.output.messages"]) == answered
    assert ANSWER not in repr([vars(each) for each in lines.records])
    assert ANSWER not in repr(dict(spy.calls[0].attributes))
    spy.close()


def plain(value):
    """The SDK freezes what it is given."""
    if hasattr(value, "items"):
        return {key: plain(each) for key, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list | tuple) else value


def test_a_private_call_is_never_captured(monkeypatch, clock):
    spy = captured(monkeypatch, "SPAN_AND_EVENT")
    target = ScriptedTarget("a", ANSWER, clock=clock, local=True)
    Route("chat", (target,), clock=clock).complete(ASK, private=True, stop=[PROMPT])
    read = spy.legs[0].to_json() + repr(spy.details.get_finished_logs())
    assert (PROMPT in read, ANSWER in read) == (False, False)
    spy.close()


@pytest.mark.parametrize("value", [object(), 7, None, {"choices": {}}])
def test_capturing_never_breaks_a_function_that_returns_what_it_likes(monkeypatch, clock, value):
    spy = captured(monkeypatch, "SPAN_ONLY")
    target = ScriptedTarget("a", clock=clock)

    @failover(Route("chat", (target,), clock=clock))
    def odd(*, target):
        return value

    @failover(Route("chat", (target,), clock=clock))
    def items(*, target):
        yield value

    assert odd() is value
    if value is not None:  # which commits nothing
        assert list(items()) == [value]
    spy.close()


def test_images_are_named_not_copied(monkeypatch, clock):
    spy = captured(monkeypatch, "SPAN_ONLY")
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    ask = [{"role": "user", "content": [{"type": "text", "text": "what?"}, picture]}]
    target = ScriptedTarget("a", clock=clock)
    Route("chat", (target,), clock=clock).complete(ask)
    (message,) = json.loads(spy.legs[0].attributes["gen_ai.input.messages"])
    assert message["parts"] == [{"type": "text", "content": "what?"}, {"type": "image_url"}]
    spy.close()


# The trace goes home, and nowhere else.


@pytest.mark.parametrize("is_local", [False, True])
def test_only_a_target_at_home_gets_the_header(spy, is_local):
    """An Ollama server elsewhere is asked by the same client."""
    span = spy.tracer.start_span("leg")
    with attached(provider_context(span, is_local=is_local)):
        assert set(trace_headers()) == ({"traceparent"} if is_local else set())
    with spy.tracer.start_as_current_span("the application's own"):
        assert trace_headers() == {}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("traced", [False, True])
def test_traceparent_goes_to_the_local_model_alone(monkeypatch, stream, traced):
    from opentelemetry import baggage, context

    spy = Spy()
    monkeypatch.setattr(environment, "signals", lambda: spy.signals if traced else None)
    token = context.attach(baggage.set_baggage("user", "somebody"))
    with ChaosServer(models=["llama3.2"]) as server:
        server.fault("cloud", "server_error")
        app = load(
            {
                "targets": {
                    "cloud": {
                        "model": "openai/gpt-4o",
                        "api_base": f"{server.base('cloud')}/v1",
                        "api_key": KEY,
                        "retry": {"max_retries": 0},
                    },
                    "home": {"model": "ollama/llama3.2", "api_base": server.base("home")},
                },
                "routes": {"chat": {"targets": ["cloud", "home"]}},
            }
        )
        with app:
            route = app.route("chat")
            list(route.stream(ASK)) if stream else route.complete(ASK)
        sent = {each.name: each.headers for each in server.requests()}
    context.detach(token)
    assert set(sent) == {"cloud", "home"}
    assert all("baggage" not in headers for headers in sent.values())
    assert "traceparent" not in sent["cloud"]
    if traced:
        leg = spy.legs[1].context
        expected = f"00-{leg.trace_id:032x}-{leg.span_id:016x}-{leg.trace_flags:02x}"
        assert sent["home"]["traceparent"] == expected
        assert spy.legs[0].attributes["error.type"] == "500"
        assert spy.legs[1].attributes["gen_ai.usage.output_tokens"] > 0
    else:
        assert "traceparent" not in sent["home"]
    spy.close()
