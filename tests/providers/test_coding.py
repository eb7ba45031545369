"""Bodies that a server compressed unasked, or that are larger than can be kept."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotlight import AllTargetsFailed, Pilotlight, Route
from pilotlight.config.schema import parse
from pilotlight.core.provider import Timeouts
from pilotlight.registry import Registry
from pilotlight.vocabulary.faults import Fault
from pilotlight.wire import transport
from pilotlight.wire.content_coding import Inflater, UnfitBody, coding_of
from pilotlight.wire.garbage import ERROR_BODY
from pilotlight.wire.pool import Pool
from pilotlight.wire.tap import Tap
from tests.providers.loopback import Loopback, reply, said

CHAT: Final = [{"role": "user", "content": "hello"}]


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


PACKERS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "deflate, without its header": raw_deflate,
}


def inflated(coding: str, pieces: list[bytes]) -> tuple[bytes, bool]:
    inflater = Inflater(coding)
    found = []
    for piece in pieces:
        inflater.put(piece)
        while step := inflater.step():
            assert len(step) <= 64 * 1024
            found.append(step)
    return b"".join(found), inflater.cut


@settings(deadline=None)
@given(
    st.sampled_from(sorted(PACKERS)),
    st.binary(max_size=300).map(lambda data: data * 1000) | st.binary(max_size=300),
    st.lists(st.integers(1, 400), max_size=20),
    st.booleans(),
)
def test_a_body_is_the_same_however_it_is_packed_and_cut(name, data, sizes, broken_off) -> None:
    packed = PACKERS[name](data)
    if broken_off:
        packed = packed[:-1]
    pieces, rest = [], packed
    for size in sizes:
        pieces.append(rest[:size])
        rest = rest[size:]
    found, cut = inflated(name.partition(",")[0], [*pieces, rest])
    assert cut == (broken_off and bool(packed))
    assert data.startswith(found) if broken_off else found == data


@given(st.sampled_from(["gzip", "deflate"]), st.lists(st.binary(max_size=200), max_size=5))
def test_nothing_else_is_raised_over_any_bytes(coding: str, pieces: list[bytes]) -> None:
    with suppress(UnfitBody):
        inflated(coding, pieces)


@pytest.mark.parametrize("coding", ["br", "zstd", "compress", "gzip, gzip", "gzip, br", "x" * 900])
def test_a_coding_that_nobody_asked_for_is_refused(coding: str) -> None:
    with pytest.raises(UnfitBody):
        Inflater(coding_of(coding))


@pytest.mark.parametrize("coding", ["", "identity", "Identity", "none", "UTF-8", "identity, none"])
def test_what_names_no_coding_is_none(coding: str) -> None:
    assert coding_of(coding) == ""


# Over a route, in each shape.

GZIP: Final = "content-encoding: gzip\r\n"
WAYS: Final[dict[str, dict[str, Any]]] = {"direct": {}, "litellm": {"via": "litellm"}}


@contextmanager
def route_to(server: Loopback, way: str) -> Iterator[Route]:
    target = {"model": "openai/gpt-4o", "api_base": server.url, "api_key": "k", **WAYS[way]}
    given = {"targets": {"a": {**target, "retry": {"max_retries": 0}}}}
    config = parse({**given, "routes": {"r": {"targets": ["a"]}}}, "test")
    with Pilotlight(config, registry=Registry()) as app:
        yield app.route("r")


def ask(route: Route, shape: str) -> Any:
    return route.complete(CHAT) if shape == "sync" else asyncio.run(route.acomplete(CHAT))


def bomb(megabytes: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    return b"".join(packer.compress(b" " * 2**20) for _ in range(megabytes)) + packer.flush()


@pytest.mark.parametrize("shape", ["sync", "async"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize("packed", [True, False])
def test_a_body_that_is_too_large_is_told_and_not_kept(shape, way, status, packed, monkeypatch):
    monkeypatch.setattr(transport, "MAX_BODY", 2**20)
    body = bomb(30) if packed else b" " * 30 * 2**20
    answer = reply(body, status, more=GZIP if packed else "")
    good = said({"choices": [{"message": {"role": "assistant", "content": "hi"}}]})
    with Loopback(lambda *_: good) as server, route_to(server, way) as route:
        ask(route, shape)  # what is imported once is not the body's memory
        server.say = lambda *_: answer
        tracemalloc.start()
        try:
            with pytest.raises(AllTargetsFailed) as raised:
                ask(route, shape)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    (attempt,) = raised.value.receipt.attempts
    assert attempt.fault == (Fault.MALFORMED_RESPONSE if status == 200 else Fault.SERVER_ERROR)
    assert status == 500 or "a body of more than 64 MB" in attempt.evidence
    assert peak < 12 * 2**20


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", PACKERS)
def test_a_packed_answer_is_an_answer(way: str, name: str) -> None:
    answer = {"choices": [{"message": {"role": "assistant", "content": "hi"}}]}
    more = f"content-encoding: {name.partition(',')[0]}\r\n"
    packed = reply(PACKERS[name](json.dumps(answer).encode()), more=more)
    with Loopback(lambda *_: packed) as server, route_to(server, way) as route:
        assert ask(route, "sync").text == "hi"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip"])
def test_an_answer_in_another_coding_is_told(way: str, coding: str) -> None:
    packed = reply(b"{}", more=f"content-encoding: {coding}\r\n")
    with (
        Loopback(lambda *_: packed) as server,
        route_to(server, way) as route,
        pytest.raises(AllTargetsFailed) as raised,
    ):
        ask(route, "sync")
    (attempt,) = raised.value.receipt.attempts
    assert attempt.fault == Fault.MALFORMED_RESPONSE
    assert coding.replace(", ", "+") in attempt.evidence


def test_the_clocks_hold_while_a_body_is_inflated() -> None:
    """Time passes with each look at the clock, and the server has said all at once."""
    ticks = itertools.count()
    tap = Tap("openai", Timeouts(connect=None, total=30.0), clock=lambda: float(next(ticks)))
    with Loopback(lambda *_: reply(bomb(30), more=GZIP)) as server:
        pool = Pool(server.url, wire="openai")
        with pytest.raises(httpx.ReadTimeout):
            pool.bound(tap).post(server.url)
        pool.close()
    assert tap.expired == "total"
    assert tap.received < 2**20


# What litellm is given of what it can't read.

GARBAGE: Final = {
    "words": (b"word " * 60_000, "application/json"),
    "cut JSON": (b'{"a": "' + b"word " * 60_000, "application/json"),
    "broken JSON": (b'{"a": ' + b"word " * 60_000 + b"}", "application/json; charset=utf-8"),
    "a stream": (b"data: " + b"word " * 60_000, "text/event-stream"),
    "a page": (b"<html>" + b"<p>hello</p>" * 30_000, "text/html"),
}


@pytest.mark.parametrize("colour", ["sync", "async"])
@pytest.mark.parametrize("status", [200, 400, 500])
@pytest.mark.parametrize("garbage", GARBAGE)
def test_others_are_takenlittle_of_what_they_can_not_read(
    garbage: str, status: int, colour: str
) -> None:
    """A reader gets a bounded piece of an error, and nothing at all for a good answer."""
    body, kind = GARBAGE[garbage]
    tap = Tap("openai", Timeouts(), json_only=True)

    async def run(pool: Pool) -> bytes:
        answer = await pool.abound(tap).post(f"{server.url}/v1/chat/completions", json={})
        return answer.content

    taken = b""
    with Loopback(lambda *_: reply(body, status, kind)) as server:
        pool = Pool(server.url, wire="openai")
        with suppress(UnfitBody):
            if colour == "async":
                taken = asyncio.run(run(pool))
            else:
                taken = pool.bound(tap).post(f"{server.url}/v1/chat/completions", json={}).content
        pool.close()
    refused = status == 200 and "stream" not in kind
    assert taken == (b"" if refused else body[:ERROR_BODY])
    assert (tap.unfit != "") == refused


@pytest.mark.parametrize("json_only", [False, True])
@pytest.mark.parametrize("kind", ["application/json", "text/plain", "audio/mpeg"])
def test_a_large_answer_is_handed_on_whole(json_only: bool, kind: str) -> None:
    body = json.dumps({"choices": [], "text": "word " * 60_000}).encode()
    body = body if kind == "application/json" else body[:-2]
    tap = Tap("openai", Timeouts(), json_only=json_only)
    with Loopback(lambda *_: reply(body, kind=kind)) as server:
        pool = Pool(server.url, wire="openai")
        assert pool.bound(tap).post(f"{server.url}/x", json={}).content == body
        pool.close()
