"""Clocks and rounds: medians of interleaved rounds, with their spread."""

from __future__ import annotations

import gc
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pilotlight

T = TypeVar("T")
OFFERED, QUICK = 3, 50_000  # rounds for each that counts; additions between two of them
US = 1e6
MS = 1e3


@dataclass(frozen=True, slots=True)
class Figure:
    """The medians of the rounds: their own median, the least and the most; in seconds."""

    rounds: Sequence[float]

    @property
    def median(self) -> float:
        return statistics.median(self.rounds)

    def told(self, unit: str) -> str:
        """Return the median and the spread of the rounds, such as `41 us (39-55)`."""
        scale, digits = {"us": (US, 1), "ms": (MS, 1), "s": (1.0, 2)}[unit]
        return self._told(scale, digits, f" {unit}")

    def times(self) -> str:
        """Return the same of a ratio, such as `1.31x (1.26-1.40)`."""
        return self._told(1.0, 2, "x")

    def _told(self, scale: float, digits: int, unit: str) -> str:
        median, low, high = (
            f"{value * scale:.{digits}f}"
            for value in (self.median, min(self.rounds), max(self.rounds))
        )
        return f"{median}{unit} ({low}-{high})"

    def values(self) -> dict[str, Any]:
        return {"median": self.median, "rounds": list(self.rounds)}


def less(cases: Mapping[str, Sequence[float]], case: str, base: str) -> Figure:
    """Return what a case costs over its base, round by round."""
    return Figure([a - b for a, b in zip(cases[case], cases[base], strict=True)])


def ratio(cases: Mapping[str, Sequence[float]], case: str, base: str) -> Figure:
    """Return a case as a multiple of its base, round by round."""
    return Figure([a / b for a, b in zip(cases[case], cases[base], strict=True)])


def interleaved(
    cases: Mapping[str, Callable[[], T]], rounds: int, after: Callable[[], object] = lambda: None
) -> dict[str, list[T]]:
    """Run every case once a round, so that a busy machine is busy for all of them.

    `after` is called when a round has ended.
    """
    found: dict[str, list[T]] = {name: [] for name in cases}
    for number in range(rounds):
        for name in _turned(cases, number):
            found[name].append(cases[name]())
        after()
    return found


async def ainterleaved(
    cases: Mapping[str, Callable[[], Awaitable[T]]],
    rounds: int,
    after: Callable[[], object] = lambda: None,
) -> dict[str, list[T]]:
    """Do the same with coroutines."""
    found: dict[str, list[T]] = {name: [] for name in cases}
    for number in range(rounds):
        for name in _turned(cases, number):
            found[name].append(await cases[name]())
        after()
    return found


def steadily(cases: Mapping[str, Callable[[], T]], rounds: int) -> dict[str, list[T]]:
    """Run thrice as many rounds, and keep those in which the machine was at its best pace.

    For figures of microseconds, where others on the machine weigh more than what is measured.
    A loop before and after each round tells the pace, never the round itself.
    """
    paces: list[float] = []
    found = interleaved(cases, 1 + OFFERED * rounds, lambda: paces.append(pace(QUICK)))
    return _best(found, paces, rounds)


async def asteadily(
    cases: Mapping[str, Callable[[], Awaitable[T]]], rounds: int
) -> dict[str, list[T]]:
    """Do the same with coroutines."""
    paces: list[float] = []
    found = await ainterleaved(cases, 1 + OFFERED * rounds, lambda: paces.append(pace(QUICK)))
    return _best(found, paces, rounds)


def _best(
    found: Mapping[str, Sequence[T]], paces: Sequence[float], rounds: int
) -> dict[str, list[T]]:
    around = [max(pair) for pair in pairwise(paces)]  # without the first round, which warms up
    best = sorted(range(len(around)), key=around.__getitem__)[:rounds]
    return {name: [spent[1 + number] for number in best] for name, spent in found.items()}


def _turned(cases: Mapping[str, Any], number: int) -> list[str]:
    """Let each round begin with another case: the first of a round is slower."""
    names = list(cases)
    first = number % len(names)
    return names[first:] + names[:first]


def pace(additions: int = 1_000_000) -> float:
    """Return the CPU seconds of a fixed loop: what they vary by is the machine, and not us."""
    took = []
    for _ in range(3):
        began, total = time.process_time(), 0
        for number in range(additions):
            total += number
        took.append(time.process_time() - began)
    return statistics.median(took)


class Spent(NamedTuple):
    """Seconds of one call, by the clock and of this process's CPU, all threads."""

    wall: float
    cpu: float


@contextmanager
def spending(spent: list[Spent], times: int = 1) -> Iterator[None]:
    """Add what one of so many calls of the body took."""
    began, cpu = time.perf_counter(), time.process_time()
    yield
    cpu, wall = time.process_time() - cpu, time.perf_counter() - began
    spent.append(Spent(wall / times, cpu / times))


def block(call: Callable[[], object], times: int) -> Spent:
    """Return the mean of so many calls, one after the other, the collector at work."""
    spent: list[Spent] = []
    with spending(spent, times):
        for _ in range(times):
            call()
    return spent[0]


async def ablock(call: Callable[[], Awaitable[object]], times: int) -> Spent:
    """Do the same with a coroutine function."""
    spent: list[Spent] = []
    with spending(spent, times):
        for _ in range(times):
            await call()
    return spent[0]


def split(found: Mapping[str, Sequence[Spent]]) -> tuple[dict[str, list[float]], ...]:
    """Return the rounds by the clock and in CPU."""
    return (
        {name: [spent.wall for spent in rounds] for name, rounds in found.items()},
        {name: [spent.cpu for spent in rounds] for name, rounds in found.items()},
    )


def settle() -> None:
    """Take what the imports left out of the collector's rounds, so that no case pays for another's.

    litellm's import leaves some 380,000 objects, and each full collection would walk them.
    """
    gc.collect()
    gc.freeze()


@contextmanager
def quiet_collector() -> Iterator[None]:
    """Keep the garbage collector out of single calls of microseconds; it runs between rounds."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def each(call: Callable[[], object], times: int) -> float:
    """Return the median seconds of one call."""
    return each_spent(call, times).wall


def each_spent(call: Callable[[], object], times: int) -> Spent:
    """Return the median seconds of one call by the clock, and the mean of their CPU."""
    walls = []
    with quiet_collector():
        cpu = time.process_time_ns()
        for _ in range(times):
            began = time.perf_counter_ns()
            call()
            walls.append(time.perf_counter_ns() - began)
        cpu = time.process_time_ns() - cpu
    return Spent(statistics.median(walls) / 1e9, cpu / times / 1e9)


async def aeach_spent(call: Callable[[], Awaitable[object]], times: int) -> Spent:
    """Do the same with a coroutine function."""
    walls = []
    with quiet_collector():
        cpu = time.process_time_ns()
        for _ in range(times):
            began = time.perf_counter_ns()
            await call()
            walls.append(time.perf_counter_ns() - began)
        cpu = time.process_time_ns() - cpu
    return Spent(statistics.median(walls) / 1e9, cpu / times / 1e9)


def together(call: Callable[[], object], threads: int) -> float:
    """Return the seconds from the common start of so many threads to the end of the last."""
    gate = threading.Barrier(threads + 1)
    errors: list[BaseException] = []

    def work() -> None:
        gate.wait()
        try:
            call()
        except BaseException as error:
            errors.append(error)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    gate.wait()
    began = time.perf_counter()
    for worker in workers:
        worker.join()
    if errors:
        raise errors[0]
    return time.perf_counter() - began


def fresh(code: str, python: str = sys.executable) -> str:
    """Run code in a fresh interpreter and return what it printed."""
    done = subprocess.run(
        [python, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        env=_as_installed(),
    )
    return done.stdout.strip()


@cache
def _as_installed() -> dict[str, str]:
    """Compile this pilotlight, as pip compiles what it installs, and return the environment."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    package = Path(pilotlight.__file__).parent
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(package)], check=True, env=env)
    return env
