"""Whatever fails, a private call reaches nobody else, and nothing written down quotes it."""

from __future__ import annotations

import asyncio
import itertools
import socket
from contextlib import nullcontext
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pilotlight
from pilotlight import load, testing
from pilotlight.errors import ConfigError, PilotlightError
from pilotlight.privacy import classification
from pilotlight_chaos import ChaosServer
from tests.residency.calls import WAYS, call
from tests.residency.guard import (
    ANSWER,
    KEY,
    MESSAGES,
    PROMPT,
    QUOTES,
    Parrot,
    Written,
    watched,
    writing,
)

CLOCKS = {"connect": 0.4, "first_token": 0.15, "between_tokens": 0.15, "total": 0.4}
FAULTS: list[tuple[str, dict[str, Any]]] = [
    *[(kind, {}) for kind in (
        "server_error", "bad_gateway", "overloaded", "unavailable", "gateway_timeout",
        "http_error", "rate_limit", "quota", "auth", "permission", "retired", "not_found",
        "context", "bad_request", "hang", "stall", "cut", "reset", "eof", "error_event",
        "garbage", "truncated_json", "empty", "error_body", "substituted", "missing",
        "cloud_stub", "busy", "oom", "crash", "done_false",
    )],
    ("server_error", {"times": 1}), ("cut", {"after": 0}), ("error_event", {"after": 0}),
    ("hang", {"everywhere": True}), ("garbage", {"everywhere": True}),
    ("server_error", {"everywhere": True}), ("truncated_json", {"everywhere": True}),
]  # fmt: skip


@pytest.fixture(scope="module")
def server():
    reply = f"{ANSWER} is what {PROMPT} needs, says {ANSWER} again"
    with ChaosServer(models=["llama3.2:3b"], reply=reply) as running:
        yield running


@pytest.fixture(scope="module")
def parrot():
    running = Parrot()
    yield running
    running.close()


def piloted(
    server: ChaosServer, base: str, hook: Any = None, **changes: Any
) -> pilotlight.Pilotlight:
    """A closed target before and behind the local one, all on this machine."""
    closed = {"model": "openai/gpt-4o", "api_base": f"{server.base('closed')}/v1", "api_key": KEY}
    local = {"model": "ollama/llama3.2:3b", "api_base": base, "timeout": CLOCKS, "api_key": KEY}
    return load(
        {
            "targets": {"gpt": closed, "local": {**local, **changes}, "late": closed},
            "routes": {"chat": {"targets": ["gpt", "local", "late"], "sensitive": hook}},
            "retry": {"max_retries": 2, "wait_initial": 0.001, "wait_max": 0.002},
        }
    )


def refuse_it(answer: Any) -> bool:
    raise ValueError(f"I do not like {answer.text}")


def record(written: Written, pilot: pilotlight.Pilotlight) -> None:
    """Take down how everything shows itself."""
    specs = [target.provider.connection.spec for target in pilot.targets.values()]
    written.lines += [repr(pilot.config), repr(pilot.targets), repr(pilot.routes), repr(specs)]


def says_so(messages: Any) -> bool:
    return True


def breaks(messages: Any) -> bool:
    raise ValueError(f"I can't read {messages}")


def babbles(messages: Any) -> Any:
    return f"I have read {messages}"


HOOKS = {"hook says so": says_so, "hook breaks": breaks, "hook babbles": babbles}
SAID = ["argument", "block", *HOOKS]  # how a call comes to be private


def calls_at_home(pilot: Any, ways: Any, written: Written, said: str = "argument") -> None:
    for door, shape in ways:
        how: dict[str, Any] = {"private": True} if said == "argument" else {}
        try:
            with pilotlight.private() if said == "block" else nullcontext():
                call(door, shape, pilot, **how)
        except Exception as error:
            assert isinstance(error, PilotlightError), error
            written.error(error)
    record(written, pilot)


@settings(
    max_examples=settings().max_examples * 3 // 5,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    fault=st.sampled_from([*FAULTS, None]),
    ways=st.lists(st.sampled_from(WAYS), min_size=1, max_size=3),
    host=st.sampled_from(["127.0.0.1", "localhost"]),
    said=st.sampled_from(SAID),
    picky=st.booleans(),
)
def test_no_fault_drives_a_private_call_out_or_into_print(server, fault, ways, host, said, picky):
    testing.reset()
    classification._complained.clear()
    server.reset()
    if fault is not None:
        server.fault("local", fault[0], **fault[1])
    base = f"http://{host}:{server.port}/p/local"
    with piloted(server, base, HOOKS.get(said)) as pilot, watched() as guard:
        if picky:
            pilot._routes["chat"] = pilot.route("chat").accepting(refuse_it)
        with writing() as written:
            calls_at_home(pilot, ways, written, said)
    assert guard.address_mismatch == []
    assert server.hits("closed") == server.counters("closed").probes == 0
    assert written.leaks(PROMPT, ANSWER, KEY) == []


@pytest.mark.parametrize("kind", QUOTES)
def test_a_server_that_quotes_is_not_quoted(server, parrot, kind):
    server.reset()
    parrot.kind = kind
    base = f"http://127.0.0.1:{parrot.port}"
    for way, said in zip(WAYS, itertools.cycle(SAID)):
        testing.reset()
        classification._complained.clear()
        with piloted(server, base, HOOKS.get(said)) as pilot, watched() as guard:
            with writing() as written:
                calls_at_home(pilot, [way], written, said)
        assert guard.address_mismatch == [], way
        assert written.leaks(PROMPT, ANSWER, KEY) == [], way
    assert server.hits("closed") == 0


@pytest.mark.parametrize(("door", "shape"), WAYS)
def test_a_healthy_model_answers_every_way(server, door, shape):
    server.reset()
    base = f"http://localhost:{server.port}/p/local"
    with piloted(server, base, timeout={}) as pilot, watched() as guard, writing() as written:
        assert call(door, shape, pilot, private=True)
    assert guard.address_mismatch == []
    assert server.hits("local") == 1
    assert server.hits("closed") == 0
    assert written.leaks(PROMPT, ANSWER, KEY) == []


@pytest.mark.parametrize("shape", ["complete", "acomplete", "stream", "astream"])
def test_a_stub_that_takes_the_models_place_between_two_calls_is_not_believed(server, shape):
    server.reset()
    with piloted(server, server.base("local"), timeout={}) as pilot:
        call("client", shape, pilot, private=True)
        server.fault("local", "cloud_stub")
        with pytest.raises(PilotlightError), writing() as written:
            call("client", shape, pilot, private=True)
    assert any("privacy_boundary" in line for line in written.lines)
    assert server.hits("local") == 1, "the second prompt went to somebody's cloud"


def test_a_function_that_quotes_in_its_own_diagnosis_is_scrubbed(server):
    server.reset()

    @pilotlight.failover(piloted(server, server.base("local")).route("chat"), private=True)
    def refuses(text: str, *, target: Any) -> str:
        raise pilotlight.ProviderFault("rejected", evidence=f"I refuse {text}")

    with writing() as written:
        try:
            refuses(PROMPT)
        except pilotlight.AllTargetsFailed as error:
            written.lines.append(repr(error.exceptions))
    assert written.leaks(PROMPT) == []


def test_a_call_that_is_not_private_keeps_its_providers_own_exception(server):
    server.reset()
    server.fault("local", "oom")
    local = {"model": "ollama/llama3.2:3b", "api_base": server.base("local")}
    with load({"targets": {"a": local}, "routes": {"chat": {"targets": ["a"]}}}) as pilot:
        with pytest.raises(pilotlight.AllTargetsFailed) as own:
            pilot.route("chat").complete(MESSAGES)
        with pytest.raises(pilotlight.AllTargetsFailed) as quiet:
            pilot.route("chat").complete(MESSAGES, private=True)
    assert type(own.value.exceptions[0]).__name__ == "ResponseError"
    assert isinstance(quiet.value.exceptions[0], pilotlight.ProviderFault)
    assert own.value.receipt.attempts[0].error_type == quiet.value.receipt.attempts[0].error_type


# Hostile surroundings.


@pytest.fixture
def hostile(monkeypatch):
    import litellm

    away = "http://elsewhere.example:8080"
    for name in (
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "http_proxy",
        "https_proxy",
        "all_proxy",
    ):
        monkeypatch.setenv(name, away)
    for name in ("OLLAMA_HOST", "OLLAMA_API_BASE", "OPENAI_BASE_URL", "OPENAI_API_BASE"):
        monkeypatch.setenv(name, away)
    for name in ("OLLAMA_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, KEY)
    monkeypatch.setattr(litellm, "api_base", away)
    monkeypatch.setattr(litellm, "api_key", KEY)
    monkeypatch.setattr(litellm, "openai_key", KEY)


@pytest.mark.parametrize(("door", "shape"), WAYS)
def test_hostile_globals_change_nothing(server, hostile, door, shape):
    server.reset()
    local = {"model": "ollama/llama3.2:3b", "api_base": f"http://localhost:{server.port}/p/local"}
    data = {"targets": {"local": local}, "routes": {"chat": {"targets": ["local"]}}}
    with load(data) as pilot, watched() as guard, writing() as written:
        assert call(door, shape, pilot, private=True)
    assert guard.address_mismatch == []
    asked = server.requests("local", probes=True)
    assert asked
    assert not any(KEY in str(request.headers) for request in asked)
    assert written.leaks(PROMPT, ANSWER, KEY) == []


@pytest.mark.parametrize(("door", "shape"), WAYS)
def test_a_listed_server_is_reached_past_every_proxy(server, hostile, door, shape):
    server.reset()
    base = f"http://house.example:{server.port}/p/vllm/v1"
    target = {"model": "openai/gpt-4o", "api_base": base, "api_key": "own"}
    data = {
        "targets": {"vllm": {**target, "local_addresses": ["house.example"]}},
        "routes": {"chat": {"targets": ["vllm"]}},
    }
    with load(data) as pilot, watched() as guard:
        guard.names["house.example"] = ["127.0.0.1"]
        assert call(door, shape, pilot, private=True)
    assert guard.address_mismatch == []
    sent = {request.headers.get("authorization") for request in server.requests("vllm")}
    assert sent == ({None} if door == "http" else {"Bearer own"})  # a bare client has no key


@pytest.mark.parametrize(("door", "shape"), WAYS)
def test_a_remote_ollama_host_is_not_home(hostile, door, shape):
    data = {
        "targets": {"local": {"model": "ollama/llama3.2:3b"}},
        "routes": {"chat": {"targets": ["local"]}},
    }
    with load(data) as pilot, watched() as guard, writing() as written:
        with pytest.raises(ConfigError, match="no local target"):
            call(door, shape, pilot, private=True)
    assert guard.address_mismatch == []
    assert guard.lookups == []
    line, _arguments, event, measured = written.lines  # no span
    assert "a private prompt is kept from local (not_local)" in line
    assert "ResidencyRefused(" in event
    assert "rule=<ResidencyRule.NOT_LOCAL" in event
    assert "pilotlight.call.duration" not in measured


# The guard itself.


def test_the_guard_sees_connections_look_ups_and_datagrams():
    async def dial():
        with pytest.raises(OSError):
            await asyncio.open_connection("192.0.2.1", 9)

    with watched() as guard:
        with pytest.raises(httpx.ConnectError):
            httpx.get("http://elsewhere.example/", trust_env=False)
        asyncio.run(dial())
        with socket.socket() as sock, pytest.raises(OSError):
            sock.connect_ex(("192.0.2.1", 9))
        with socket.socket(type=socket.SOCK_DGRAM) as sock, pytest.raises(OSError):
            sock.sendto(b"x", ("192.0.2.1", 9))
    assert [what.split()[0] for what in guard.address_mismatch] == [
        "lookup",
        "connection",
        "connection",
        "connection",
    ]


def test_leaks_are_seen():
    assert Written([f"...{PROMPT[3:12].upper()}..."]).leaks(PROMPT)
    assert not Written(["nothing"]).leaks(PROMPT)
