"""Clocks and rounds: medians of interleaved rounds, with their spread."""

from __future__ import annotations

import gc
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

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
        median, low, high = (
            round(value * scale, digits)
            for value in (self.median, min(self.rounds), max(self.rounds))
        )
        return f"{median} {unit} ({low}-{high})"

    def values(self) -> dict[str, Any]:
        return {"median": self.median, "rounds": list(self.rounds)}


def less(cases: Mapping[str, Sequence[float]], case: str, base: str) -> Figure:
    """Return what a case costs over its base, round by round."""
    return Figure([a - b for a, b in zip(cases[case], cases[base], strict=True)])


def ratio(cases: Mapping[str, Sequence[float]], case: str, base: str) -> Figure:
    """Return a case as a multiple of its base, round by round."""
    return Figure([a / b for a, b in zip(cases[case], cases[base], strict=True)])


def interleaved(cases: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Run every case once a round, so that a busy machine is busy for all of them."""
    found: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, case in cases.items():
            found[name].append(case())
    return found


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
    spent = []
    with quiet_collector():
        for _ in range(times):
            began = time.perf_counter_ns()
            call()
            spent.append(time.perf_counter_ns() - began)
    return statistics.median(spent) / 1e9


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


def fresh(code: str) -> str:
    """Run code in a fresh interpreter and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    return done.stdout.strip()
