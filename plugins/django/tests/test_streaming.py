"""`stream_response` in one process: the kind of body, its text, its events, its end."""

from __future__ import annotations

import asyncio
import json

import pytest
from django.test import AsyncClient, Client
from django.test.utils import override_settings

from django_pilotlight.current_app import app
from django_pilotlight.testing import override_llm
from pilotlight import AllTargetsFailed, StreamInterrupted

from .conftest import config


def read(path: str, interface: str) -> tuple[str, object]:
    """Read a streamed reply to its end, as the interface's server does."""
    if interface == "wsgi":
        reply = Client().get(path)
        assert not reply.is_async
        return b"".join(reply.streaming_content).decode(), reply

    async def run():
        reply = await AsyncClient().get(path)
        assert reply.is_async
        return b"".join([part async for part in reply.streaming_content]).decode(), reply

    return asyncio.run(run())


def events(text: str) -> list[tuple[str, dict[str, object]]]:
    blocks = [block.split("\n") for block in text.strip().split("\n\n")]
    return [(a.removeprefix("event: "), json.loads(b.removeprefix("data: "))) for a, b in blocks]


INTERFACES = pytest.mark.parametrize("interface", ["wsgi", "asgi"])
VIEWS = pytest.mark.parametrize("path", ["/stream", "/astream"])


@INTERFACES
@VIEWS
def test_the_body_is_of_the_servers_kind(interface, path):
    with override_llm("one two three"):
        text, reply = read(path, interface)
    assert text == "one two three"
    assert reply["X-Accel-Buffering"] == "no"
    assert reply["Cache-Control"] == "no-cache"
    assert reply["Content-Type"] == "text/plain; charset=utf-8"


@INTERFACES
def test_server_sent_events(interface):
    with override_llm("one\ntwo", fail="gpt"):
        text, reply = read("/events", interface)
    assert reply["Content-Type"] == "text/event-stream"
    assert events(text) == [
        ("message", {"text": "one\n"}),
        ("message", {"text": "two"}),
        ("done", {"served_by": "local", "failed_over": True}),
    ]


@INTERFACES
def test_nobody_answers(interface):
    with override_llm(fail=["gpt", "local"]):
        text, _ = read("/events", interface)
        assert events(text) == [("error", {"error": "AllTargetsFailed", "retry_after": None})]
        with pytest.raises(AllTargetsFailed):
            read("/stream", interface)


@INTERFACES
def test_a_stream_cut_off_is_cut_off_for_the_browser_too(interface, site, chaos):
    chaos.fault("cloud", "cut", after=2)
    with pytest.raises(StreamInterrupted):
        read("/stream", interface)
    text, _ = read("/events", interface)
    assert [name for name, _ in events(text)][-1] == "error"
    assert app().target("gpt").health.bulkhead.inside == 0


@INTERFACES
def test_a_restart_is_told(interface, site, chaos):
    routes = {"default": {"targets": ["gpt", "local"], "on_interrupt": "restart"}}
    with override_settings(PILOTLIGHT=config(chaos, ROUTES=routes)):
        chaos.fault("cloud", "cut", after=2)
        assert "\n\n[the answer was cut off; here it is anew]\n\n" in read("/stream", interface)[0]
        names = [name for name, _ in events(read("/events", interface)[0])]
    assert names.index("restart") > 0
    assert names[-1] == "done"


def test_a_body_left_half_way_gives_its_place_back_and_counts_for_nothing(site, chaos, db):
    reply = Client().get("/stream")
    body = iter(reply)
    next(body)
    health = app().target("gpt").health
    assert health.bulkhead.inside == 1
    reply.close()
    assert (health.bulkhead.inside, health.breaker.strain) == (0, 0.0)
