"""Whether 20,000 calls leave anything behind: the resident set, over their second half.

One object left by each call, of the 16 bytes that the smallest takes, would be 16 KiB per
1,000 calls; less than that can't be a leak of every call.  So the slope must be under that,
with its 95 % interval.  The calls are of the four shapes, over the OpenAI wire where there is
a direct way and over Ollama's else: what litellm keeps is not ours to mend.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import math
import os
import statistics
import time
from contextlib import suppress
from pathlib import Path

from benchmarks.canned import canned
from benchmarks.clients import Client, has_via, ollama_wire, openai_wire
from benchmarks.rows import Row
from benchmarks.versus import OURS

CALLS, STEP = 20_000, 500
STREAMED = 20  # one call of so many is a stream, in both colours
TOGETHER = 10  # async calls at a time
PER_OBJECT = 16.0  # KiB per 1,000 calls
PATIENCE = 75.0  # seconds; a slower machine makes fewer calls, and says so
T_95 = 2.1  # Student, for some 18 degrees of freedom
PAGE = os.sysconf("SC_PAGE_SIZE")


def rows() -> list[Row]:
    """Measure."""
    if not Path("/proc/self/statm").exists():
        return [Row("memory over 20,000 calls", "not measured: there is no /proc here")]
    with canned() as server:
        clients = openai_wire(server) if has_via() else ollama_wire(server)
        began = time.perf_counter()
        samples = asyncio.run(_run(clients[OURS]))
        spent = time.perf_counter() - began
    half = samples[len(samples) // 2 :]
    slope, either_way = _slope(half)
    calls = samples[-1][0]
    return [
        Row(
            f"resident memory over {calls:,} calls, their second half",
            f"{slope:+.1f} ± {either_way:.1f} KiB per 1,000 calls; {half[0][1] / 1024:.1f} MiB, "
            f"then {half[-1][1] / 1024:.1f} ({calls} calls in {spent:.0f} s)",
            f"<= {PER_OBJECT:.0f} KiB per 1,000 calls, with its 95 %: not one object a call",
            slope + either_way <= PER_OBJECT and calls >= CALLS / 4,
            values={"samples": samples, "slope": slope, "either_way": either_way},
            promise="memory",
        )
    ]


async def _run(client: Client) -> list[tuple[int, float]]:
    """Make the calls; return how many there were, and the KiB held at rest."""
    samples, until = [], time.monotonic() + PATIENCE
    for done in range(STEP, CALLS + 1, STEP):
        for number in range(STEP // 2):
            _call(client, number)
        for first in range(0, STEP // 2, TOGETHER):
            await asyncio.gather(*(_acall(client, first + number) for number in range(TOGETHER)))
        samples.append((done, _resident()))
        if time.monotonic() > until:
            break
    return samples


def _call(client: Client, number: int) -> None:
    if number % STREAMED:
        client.ask()
    else:
        for _ in client.stream():
            pass


async def _acall(client: Client, number: int) -> None:
    if number % STREAMED:
        await client.aask()
    else:
        async for _ in client.astream():
            pass


def _resident() -> float:
    """Return KiB, after a collection, with the C library's free pages given back."""
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE / 1024


def _slope(samples: list[tuple[int, float]]) -> tuple[float, float]:
    """Return KiB per 1,000 calls by least squares, and how far off that may be."""
    if len(samples) < 4:
        return 0.0, math.inf
    x, y = [calls / 1000 for calls, _ in samples], [held for _, held in samples]
    line = statistics.linear_regression(x, y)
    left = [b - line.slope * a - line.intercept for a, b in zip(x, y, strict=True)]
    spread = sum((a - statistics.fmean(x)) ** 2 for a in x)
    error = math.sqrt(sum(each**2 for each in left) / (len(x) - 2) / spread)
    return line.slope, T_95 * error
