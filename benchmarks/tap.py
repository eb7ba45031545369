"""What the tap on the wire costs: our transport beside the same httpx client without it.

Counted in CPU time of the calling thread, for the server runs in another process
and the wait for it is the same.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from statistics import median

import httpx

from benchmarks.measure import US, Figure, interleaved, less
from benchmarks.rows import Row
from benchmarks.serve import apart
from pilotlight.core.steps import Timeouts
from pilotlight.providers.base import listening, new_tap
from pilotlight.providers.wire import HEADERS, LIMITS, TIMEOUT, Pool

ROUNDS = 101
CALLS = 7
PER_CALL, PER_CHUNK = 30e-6, 2e-6


def rows() -> list[Row]:
    """Measure."""
    with apart("wire") as base:
        url = f"{base}/v1/chat/completions"
        plain = httpx.Client(trust_env=False, timeout=TIMEOUT, limits=LIMITS, headers=HEADERS)
        pool = Pool(base, wire="openai")
        with plain:
            call = less(_calls(plain, pool, url), "tapped", "plain")
            chunks = less(_streams(plain, pool, url), "tapped", "plain")
        pool.close()
    return [
        _row("the tap on the wire, per call", call, PER_CALL),
        _row("the tap on the wire, per streamed chunk", chunks, PER_CHUNK),
    ]


def _row(figure: str, found: Figure, limit: float) -> Row:
    low, high = _quartiles(found)
    told = f"{found.median * US:.1f} us CPU ({low * US:.1f}-{high * US:.1f} of the middle half)"
    ok = found.median <= limit
    return Row(figure, told, f"<= {limit * US:.0f} us", ok, values=found.values())


def _quartiles(found: Figure) -> tuple[float, float]:
    rounds = sorted(found.rounds)
    return rounds[len(rounds) // 4], rounds[-len(rounds) // 4]


def _tapped(pool: Pool, use: Callable[[httpx.Client], float]) -> float:
    """Use the pool's client as an attempt does."""
    with listening(new_tap("openai", Timeouts())):
        return use(pool.client())


def _calls(plain: httpx.Client, pool: Pool, url: str) -> dict[str, list[float]]:
    def once(client: httpx.Client) -> float:
        body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
        return client.post(url, json=body).raise_for_status().status_code

    def case(call: Callable[[], object]) -> float:
        return median(_cpu(call) for _ in range(CALLS))

    return _found(
        lambda: case(lambda: once(plain)), lambda: case(lambda: _tapped(pool, once))
    )


def _streams(plain: httpx.Client, pool: Pool, url: str) -> dict[str, list[float]]:
    def per_chunk(client: httpx.Client) -> float:
        body = {"model": "gpt-4o", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
        with client.stream("POST", url, json=body) as answer:
            pieces = answer.iter_raw()
            next(pieces)
            count = 0
            began = time.thread_time_ns()
            for _ in pieces:
                count += 1
            return (time.thread_time_ns() - began) / count / 1e9

    return _found(lambda: per_chunk(plain), lambda: _tapped(pool, per_chunk))


def _found(plain: Callable[[], float], tapped: Callable[[], float]) -> dict[str, list[float]]:
    """Run both by turns; the first round opens the connections."""
    gc.collect()
    gc.disable()
    try:
        found = interleaved({"plain": plain, "tapped": tapped}, ROUNDS + 1)
    finally:
        gc.enable()
    return {name: spent[1:] for name, spent in found.items()}


def _cpu(call: Callable[[], object]) -> float:
    began = time.thread_time_ns()
    call()
    return (time.thread_time_ns() - began) / 1e9
