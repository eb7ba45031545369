"""An SDK that is built with httpx2 is given a client of that family, with the same tap beneath."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import anthropic
import httpx
import httpx2
import pytest

import pilotlight
from pilotlight import failover
from pilotlight.providers.attempt_target import family_of
from pilotlight_chaos import ChaosServer

ASK = [{"role": "user", "content": "hi"}]


@pytest.fixture
def server() -> Iterator[ChaosServer]:
    with ChaosServer(reply="one two three") as running:
        yield running


@pytest.fixture
def route(server: ChaosServer) -> Iterator[pilotlight.Route]:
    names = ("first", "second")
    targets = {
        name: {"model": "anthropic/claude-x", "api_base": server.base(name), "api_key": "k"}
        for name in names
    }
    chat = {"chat": {"targets": list(names)}}
    with pilotlight.load({"targets": targets, "routes": chat, "retry": {"max_retries": 0}}) as app:
        yield app.route("chat")


def claude(target, kind=anthropic.Anthropic):
    asynchronous = kind is anthropic.AsyncAnthropic
    made = target.ahttp_client("httpx2") if asynchronous else target.http_client("httpx2")
    return kind(base_url=target.api_base, api_key="k", max_retries=0, http_client=made)


ASKED = {"model": "claude-x", "max_tokens": 9, "messages": ASK}


def asked(shape, route):
    """Return what Claude says to a decorated function of this shape."""

    @failover(route)
    def whole(target):
        return claude(target).messages.create(**ASKED).content[0].text

    @failover(route)
    async def awaited(target):
        said = await claude(target, anthropic.AsyncAnthropic).messages.create(**ASKED)
        return said.content[0].text

    @failover(route)
    def streamed(target):
        with claude(target).messages.stream(**ASKED) as stream:
            yield from stream.text_stream

    @failover(route)
    async def astreamed(target):
        async with claude(target, anthropic.AsyncAnthropic).messages.stream(**ASKED) as stream:
            async for text in stream.text_stream:
                yield text

    async def joined():
        return "".join([text async for text in astreamed()])

    return {
        "sync": whole,
        "async": lambda: asyncio.run(awaited()),
        "stream": lambda: "".join(streamed()),
        "astream": lambda: asyncio.run(joined()),
    }[shape]()


@pytest.mark.parametrize("shape", ["sync", "async", "stream", "astream"])
@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        (None, None),
        ("overloaded", "overloaded"),
        ("reset", "stream_broken"),
        ("cut", "stream_broken"),
        ("rate_limit", "rate_limited"),
    ],
)
def test_the_wire_is_seen_whatever_the_family(route, server, shape, kind, fault):
    if kind:
        server.fault("first", kind, **({"after": 0} if kind in ("cut", "reset") else {}))
    with pilotlight.receipts() as kept:
        assert asked(shape, route) == "one two three"
    attempts = kept[-1].attempts
    assert kept[-1].served_by == ("second" if kind else "first")
    if fault == "stream_broken":
        assert attempts[0].fault not in (None, "internal_error", "unknown")
    elif fault:
        assert attempts[0].fault == fault


def test_no_other_host_can_be_reached(route):
    @failover(route)
    def elsewhere(target):
        return target.http_client("httpx2").get("http://example.com/")

    with pytest.raises((httpx2.ConnectError, pilotlight.PilotlightError)):
        elsewhere()


def test_a_class_of_client_tells_its_family():
    assert family_of(httpx.Client) == "httpx"
    assert family_of(anthropic.DefaultHttpxClient) == "httpx2"
