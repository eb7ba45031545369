"""What is left between the batches of the soak, and what that says.

Everything is counted at rest: no call is under way then, so whatever is held is lost.
Memory is the resident set after a collection, with the C library's free pages given back.
Linux only: it is read from /proc.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import math
import os
import statistics
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.rows import Row
from benchmarks.soak_faults import Server
from pilotlight.app import Pilotlight
from pilotlight.core.breaker.permit import Permit
from pilotlight.core.breaker.states import HalfOpen
from pilotlight.core.flow.context import CallContext

PATIENCE: Final = 10.0  # seconds in which abandoned streams and their server come to rest
SLOPE: Final = 1.0  # MiB per 10,000 calls: the most that the interval's upper end may say
T_95: Final = (12.7, 4.3, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23)  # Student, 1 to 10
POOLED: Final = ("asyncio_", "litellm", "soak")  # names of their threads
PAGE: Final = os.sysconf("SC_PAGE_SIZE")
HELD: Final = ("permits", "trials", "inside", "waiting", "trips", "tasks", "at_server")


@dataclass(frozen=True, slots=True)
class Sample:
    """What there is after so many calls; `rss` in MiB."""

    calls: int
    rss: float
    sockets: int
    files: int
    threads: int  # without those of executors and of litellm
    pooled: int  # those
    tasks: int  # without litellm's own
    permits: int  # of breakers, not given back
    trials: int
    inside: int  # places in bulkheads
    waiting: int
    trips: int  # calls whose records are still in memory
    at_server: int

    @property
    def held(self) -> dict[str, int]:
        """What must be nothing at rest, and isn't."""
        return {name: count for name in HELD if (count := getattr(self, name))}


@dataclass(frozen=True, slots=True)
class Slope:
    """A straight line through the samples' memory, in MiB per 10,000 calls, with its 95 %."""

    middle: float
    either_way: float

    @classmethod
    def of(cls, samples: Sequence[Sample]) -> Slope:
        """Least squares; without three samples nothing is known."""
        if len(samples) < 3:
            return cls(0.0, math.inf)
        x, y = [s.calls / 10_000 for s in samples], [s.rss for s in samples]
        line = statistics.linear_regression(x, y)
        left = [b - line.slope * a - line.intercept for a, b in zip(x, y, strict=True)]
        free = len(x) - 2
        spread = sum((a - statistics.fmean(x)) ** 2 for a in x)
        error = math.sqrt(sum(each**2 for each in left) / free / spread)
        return cls(line.slope, error * (T_95[free - 1] if free <= len(T_95) else 2.1))

    @property
    def told(self) -> str:
        return f"{self.middle:+.2f} ± {self.either_way:.2f} MiB per 10,000 calls"

    @property
    def flat(self) -> bool:
        return self.middle + self.either_way <= SLOPE


def sample(calls: int, app: Pilotlight, loop: asyncio.AbstractEventLoop, server: Server) -> Sample:
    """Wait for rest, and count; what has not come to rest in `PATIENCE` is counted as held."""
    until = time.monotonic() + PATIENCE
    seen = _count(calls, app, loop, server)
    while seen.held and time.monotonic() < until:
        time.sleep(0.05)
        seen = _count(calls, app, loop, server)
    return seen


def _count(calls: int, app: Pilotlight, loop: asyncio.AbstractEventLoop, server: Server) -> Sample:
    gc.collect()
    _give_back_free_pages()
    healths = {id(target.health): target.health for target in app.targets.values()}.values()
    states = [health.breaker.state for health in healths]
    queues = [health.bulkhead for health in healths if health.bulkhead is not None]
    alive = gc.get_objects()
    open_files = [_leads_to(file) for file in Path("/proc/self/fd").iterdir()]
    threads = threading.enumerate()
    pooled = sum(thread.name.startswith(POOLED) for thread in threads)
    return Sample(
        calls,
        rss=int(Path("/proc/self/statm").read_text().split()[1]) * PAGE / 2**20,
        sockets=sum(leads.startswith("socket:") for leads in open_files),
        files=len(open_files) - 1,  # the listing itself
        threads=len(threads) - pooled,
        pooled=pooled,
        tasks=sum(not _is_litellms(task) for task in asyncio.all_tasks(loop)),
        permits=sum(isinstance(each, Permit) and not each.settled for each in alive),
        trials=sum(len(state.places) for state in states if isinstance(state, HalfOpen)),
        inside=sum(queue.inside for queue in queues),
        waiting=sum(queue.waiting for queue in queues),
        trips=sum(isinstance(each, CallContext) for each in alive),
        at_server=server.busy_with(),
    )


def _is_litellms(task: asyncio.Task[Any]) -> bool:
    """Tell whether it is litellm's background worker, of which there is one to a loop."""
    code = getattr(task.get_coro(), "cr_code", None)
    return "litellm" in getattr(code, "co_filename", "")


def _leads_to(file: Path) -> str:
    try:
        return str(file.readlink())
    except OSError:
        return ""  # the listing's own, which is closed by now


def _give_back_free_pages() -> None:
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # the GNU C library's
    if trim is not None:
        trim(0)


def rows(
    samples: Sequence[Sample], outcomes: Mapping[str, int], untyped: int, late: Sequence[float]
) -> list[Row]:
    """Say what the soak has found, one line for each promise."""
    base, end = samples[0], samples[-1]
    half = samples[len(samples) // 2 :]
    first = samples[: len(samples) // 2] or samples
    held = {name: max(s.held.get(name, 0) for s in samples) for name in HELD}
    kept = ", ".join(f"{count} {name}" for name, count in held.items() if count)
    slope = Slope.of(half)
    calls = sum(outcomes.values())
    answered = sum(outcomes.get(name, 0) for name in ("answered", "left"))
    worst = max(late, default=0.0)
    # The mean and not the most: idle connections come and go by the dozen, a leak stays.
    last_quarter = half[len(half) // 2 :]
    sockets = (
        statistics.fmean(s.sockets for s in last_quarter),
        statistics.fmean(s.sockets for s in first),
    )
    threads = max(s.threads for s in half), max(s.threads for s in first)
    return [
        Row("calls", f"{calls:,}, {answered / max(calls, 1):.0%} answered", "-"),
        Row(
            "calls that end as promised",
            f"{calls - untyped:,} of {calls:,}",
            "all: an answer or a typed error",
            untyped == 0,
            values={"outcomes": dict(outcomes)},
        ),
        Row(
            "latest end after its deadline",
            f"{worst * 1000:.0f} ms",
            "within the grace",
            not [each for each in late if each > GRACE],
            values={"late": sorted(late)[-20:]},
        ),
        Row("held at rest, in any sample", kept or "nothing", "nothing", not kept),
        Row(
            "sockets at rest: mean of the last quarter, of the 1st half",
            f"{sockets[0]:.1f}, {sockets[1]:.1f}",
            "no more than before",
            sockets[0] <= sockets[1] + SPARE,
        ),
        Row(
            "threads at rest: most in the 2nd half, in the 1st",
            f"{threads[0]}, {threads[1]}",
            "no more than before",
            threads[0] <= threads[1],
        ),
        Row(
            "threads of litellm's and asyncio's pools, most",
            str(max(s.pooled for s in samples)),
            "-",
        ),
        Row("memory", f"{base.rss:.0f} MiB at the start, {end.rss:.0f} MiB at the end", "-"),
        Row(
            "memory, slope of the 2nd half",
            slope.told,
            f"<= {SLOPE:g} MiB",
            slope.flat,
            values={"samples": [asdict(each) for each in samples]},
        ),
    ]


GRACE: Final = 1.0  # seconds after a deadline: of a machine whose cores are all taken
SPARE: Final = 4  # sockets: a pool's size goes by how many calls met
