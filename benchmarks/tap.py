"""What the tap on the wire costs: our transport beside the same httpx client without it.

Counted in CPU time of the calling thread, for the server runs in another process
and the wait for it is the same.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any, Final

import httpx

from benchmarks.measure import US, Figure, less, quiet_collector
from benchmarks.rows import Row
from benchmarks.serve import apart
from pilotlight.core.provider import Timeouts
from pilotlight.wire.pool import HEADERS, TIMEOUT, Pool
from pilotlight.wire.tap import Wire, listening, new_tap

ROUNDS = 60  # a multiple of the kinds, so that each begins equally often
WARM = 3
CALLS = 100  # a block of fewer is not yet warm
STREAMS = 5
ASK = [{"role": "user", "content": "hi"}]
# How a stream is asked for on the other wires: the path, and the body.
STREAMED: Final[Mapping[Wire, tuple[str, dict[str, Any]]]] = {
    "anthropic": (
        "/v1/messages",
        {"model": "m", "max_tokens": 9999, "messages": ASK, "stream": True},
    ),
    "gemini": (
        "/v1beta/models/m:streamGenerateContent?alt=sse",
        {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
    ),
    "ollama": ("/api/chat", {"model": "llama3.2:3b", "messages": ASK, "stream": True}),
}
PER_CALL, PER_CHUNK = 30e-6, 2e-6


def rows() -> list[Row]:
    """Measure."""
    with apart("wire") as base:
        url = f"{base}/v1/chat/completions"
        plain = httpx.Client(trust_env=False, timeout=TIMEOUT, headers=HEADERS)
        pool = Pool(base, wire="openai")
        with plain:
            body = {"model": "gpt-4o", "stream": True, "messages": ASK}
            calls, chunks = _calls(plain, pool, url), _streams(plain, pool, url, body)
            others = {
                wire: _other(plain, base, wire, path, asked)
                for wire, (path, asked) in STREAMED.items()
            }
        pool.close()
    return [
        _row("the tap on the wire, per call", calls, PER_CALL),
        _row("the tap on the wire, per streamed chunk", chunks, PER_CHUNK),
        *(
            _row(f"the tap on {wire}'s wire, per streamed chunk", found, PER_CHUNK)
            for wire, found in others.items()
        ),
    ]


def _other(
    plain: httpx.Client, base: str, wire: Wire, path: str, body: dict[str, Any]
) -> dict[str, list[float]]:
    pool = Pool(base, wire=wire)
    try:
        return _streams(plain, pool, base + path, body)
    finally:
        pool.close()


def _row(figure: str, found: dict[str, list[float]], limit: float) -> Row:
    # Both plain blocks of a round are the base: the one that follows the tapped one finds the
    # caches full of other code, as the tapped one does, and the other does not.
    base = [(a + b) / 2 for a, b in zip(found["plain"], found["again"], strict=True)]
    added = less({**found, "base": base}, "tapped", "base")
    noise = less(found, "again", "plain")
    low, high = _quartiles(added)
    told = (
        f"{added.median * US:.1f} us CPU (middle half {low * US:.1f} to {high * US:.1f}); "
        f"plain over plain {noise.median * US:.1f}"
    )
    ok = added.median <= limit
    return Row(figure, told, f"<= {limit * US:.0f} us", ok, values=found)


def _quartiles(found: Figure) -> tuple[float, float]:
    rounds = sorted(found.rounds)
    return rounds[len(rounds) // 4], rounds[-len(rounds) // 4]


def _tapped(pool: Pool, use: Callable[[httpx.Client], float]) -> float:
    """Use the pool's client as an attempt does."""
    with listening(new_tap(pool.wire, Timeouts())):
        return use(pool.client())


def _calls(plain: httpx.Client, pool: Pool, url: str) -> dict[str, list[float]]:
    body = {"model": "gpt-4o", "messages": ASK}

    def call(client: httpx.Client) -> float:
        began = time.thread_time_ns()
        client.post(url, json=body).raise_for_status()
        return (time.thread_time_ns() - began) / 1e9

    def tapped_call() -> float:  # the tap itself is part of the cost
        began = time.thread_time_ns()
        _tapped(pool, call)
        return (time.thread_time_ns() - began) / 1e9

    return _found(lambda: call(plain), tapped_call, CALLS)


def _streams(
    plain: httpx.Client, pool: Pool, url: str, body: dict[str, Any]
) -> dict[str, list[float]]:
    def per_chunk(client: httpx.Client) -> float:
        with client.stream("POST", url, json=body) as answer:
            pieces = answer.iter_raw()
            next(pieces)
            began = time.thread_time_ns()
            count = sum(1 for _ in pieces)
            return (time.thread_time_ns() - began) / count / 1e9

    return _found(lambda: per_chunk(plain), lambda: _tapped(pool, per_chunk), STREAMS)


def _found(
    plain: Callable[[], float], tapped: Callable[[], float], times: int
) -> dict[str, list[float]]:
    """Take the medians of blocks of calls; `again` is `plain` once more, to show the noise.

    Blocks, for single calls by turns would cool each other's code; each round begins
    with another kind, for the first of a round is slower.  The first rounds warm up.
    """
    cases = {"plain": plain, "tapped": tapped, "again": plain}
    names = list(cases)
    found: dict[str, list[float]] = {name: [] for name in names}
    with quiet_collector():
        for number in range(ROUNDS + WARM):
            first = number % len(names)
            for name in names[first:] + names[:first]:
                found[name].append(median(cases[name]() for _ in range(times)))
            gc.collect()
    return {name: spent[WARM:] for name, spent in found.items()}
