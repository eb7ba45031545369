"""300 calls at once on a local target that carries two: who is served, who is shed, how soon.

40 of them are threads, as many as the thread pool of an async server has, and the others
tasks of one event loop; both share one queue.  (With 150 threads the slowest of the shed took
30 to 47 ms: so many runnable threads wait for the interpreter's lock, and not for pilotlight.)
The server, a simulated Ollama that takes 200 ms a call, runs in a process of its own and
counts for itself how many calls it has at once.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import threading
import time
import urllib.request
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.house import ASK, route_over
from benchmarks.rows import Row
from benchmarks.serve import apart
from pilotlight import AllTargetsFailed, PilotlightError
from pilotlight.core.bulkhead.bulkhead import Bulkhead, Ticket
from pilotlight.core.clock import SYSTEM_CLOCK
from pilotlight.routes.route import Route
from pilotlight.vocabulary.operations import Priority

CALLS, SLOTS, QUEUE, SERVICE = 300, 2, 16, 0.2
THREADS = 40
DEADLINES = (1.0, 2.0, 3.0)  # seconds, by turns
PROMPTLY = 0.02  # seconds in which a shed call is told
WARM = 12  # calls of each colour before the surge, so that the service time is known

_number: ContextVar[int] = ContextVar("number")


@dataclass(slots=True)
class Note:
    """One call of the surge; moments in seconds from its start; None where none."""

    number: int
    total_timeout: float
    priority: Priority
    began: float = 0.0
    admitted: float | None = None
    displaced: float | None = None
    ended: float = 0.0
    outcome: str = "lost"
    retry_after: float | None = None

    @property
    def shed_after(self) -> float:
        """Seconds from the moment it was clear that it would be shed."""
        return self.ended - (self.began if self.displaced is None else self.displaced)


@dataclass(slots=True)
class Notes:
    """What happened, and how full it was at each moment."""

    calls: list[Note]
    began: float = 0.0
    trace: list[tuple[float, int, int]] = field(default_factory=list)  # moment, inside, waiting

    def now(self) -> float:
        return time.perf_counter() - self.began


class _Watched(Bulkhead):
    """The bulkhead as it is, writing down who comes and goes."""

    def __init__(self, notes: Notes) -> None:
        super().__init__(SLOTS, QUEUE, SYSTEM_CLOCK)
        self._notes = notes
        self._whose: dict[Ticket, Note] = {}  # those in the queue

    def enter(self, patience: float | None, priority: Priority = "normal") -> Ticket:
        with self._lock:
            ticket = super().enter(patience, priority)
            number = _number.get(None)
            if number is not None:
                if ticket.state != "refused":
                    self._whose[ticket] = self._notes.calls[number]
                if ticket.state == "granted":
                    self._note_grants([ticket])
                self._note_displaced()
                self._note_fill()
        return ticket

    def _admit(self) -> list[Ticket]:
        admitted = super()._admit()
        self._note_grants(admitted)
        self._note_fill()
        return admitted

    def _note_displaced(self) -> None:
        for ticket in [each for each in self._whose if each.refusal == "displaced"]:
            self._whose.pop(ticket).displaced = self._notes.now()

    def _note_grants(self, tickets: Sequence[Ticket]) -> None:
        for ticket in tickets:
            if ticket in self._whose:
                self._whose.pop(ticket).admitted = self._notes.now()

    def _note_fill(self) -> None:
        self._notes.trace.append((self._notes.now(), self.inside, self.waiting))


def rows() -> list[Row]:
    """Measure."""
    notes = Notes([Note(n, DEADLINES[n % len(DEADLINES)], _priority(n)) for n in range(CALLS)])
    with apart("surge", SERVICE) as base:
        local = {"model": "ollama/llama3.2:3b", "api_base": base, "health": "off", "warm": "never"}
        route = route_over({"local": {**local, "concurrency": SLOTS, "queue": QUEUE}})
        bulkhead = route.targets[0].health.bulkhead = _Watched(notes)
        _surge(route, notes)
        counters = _counters(base)
    left = (bulkhead.inside, bulkhead.waiting)
    return _told(notes, counters, left)


def _priority(number: int) -> Priority:
    """One in thirty is urgent, one in five can wait."""
    return "high" if number % 30 == 7 else "low" if number % 5 == 3 else "normal"


def _surge(route: Route, notes: Notes) -> None:
    """Warm up one by one, then let all go at one moment."""
    gate = threading.Barrier(THREADS + 1, action=lambda: _begin(notes))

    async def tasks() -> None:
        for _ in range(WARM):
            await route.acomplete(ASK)
        await asyncio.to_thread(gate.wait)
        started = []
        for note in notes.calls[THREADS:]:
            started.append(asyncio.create_task(_task(route, notes, note)))
            await asyncio.sleep(0)  # as requests reach a loop: those who wait have their turn too
        await asyncio.gather(*started)

    def thread(note: Note) -> None:
        gate.wait()
        _thread(route, notes, note)

    for _ in range(WARM):
        route.complete(ASK)
    workers = [threading.Thread(target=thread, args=(note,)) for note in notes.calls[:THREADS]]
    for worker in workers:
        worker.start()
    asyncio.run(tasks())
    for worker in workers:
        worker.join()


def _begin(notes: Notes) -> None:
    notes.trace.clear()
    notes.began = time.perf_counter()


def _thread(route: Route, notes: Notes, note: Note) -> None:
    _number.set(note.number)
    note.began = notes.now()
    try:
        route.complete(ASK, total_timeout=note.total_timeout, priority=note.priority)
    except PilotlightError as error:
        _failed(note, error)
    else:
        note.outcome = "served"
    note.ended = notes.now()


async def _task(route: Route, notes: Notes, note: Note) -> None:
    _number.set(note.number)
    note.began = notes.now()
    try:
        await route.acomplete(ASK, total_timeout=note.total_timeout, priority=note.priority)
    except PilotlightError as error:
        _failed(note, error)
    else:
        note.outcome = "served"
    note.ended = notes.now()


def _failed(note: Note, error: PilotlightError) -> None:
    note.outcome = type(error).__name__
    if isinstance(error, AllTargetsFailed) and error.receipt and not error.receipt.attempts:
        note.outcome = "shed"
        note.retry_after = error.retry_after


def _counters(base: str) -> dict[str, Any]:
    host = base.partition("/p/")[0]
    with urllib.request.urlopen(f"{host}/__control") as reply:
        counters: dict[str, Any] = json.load(reply)["counters"]["surge"]
    return counters


def _told(notes: Notes, counters: dict[str, Any], left: tuple[int, int]) -> list[Row]:
    served = [note for note in notes.calls if note.outcome == "served"]
    shed = [note for note in notes.calls if note.outcome == "shed"]
    late = [note for note in served if note.ended - note.began > note.total_timeout]
    waits = sorted(note.shed_after for note in shed)
    p50, p99, worst = (
        value * 1000
        for value in (statistics.median(waits), statistics.quantiles(waits, n=100)[98], waits[-1])
    )
    told = [note for note in shed if note.retry_after]
    displaced = sum(note.displaced is not None for note in shed)
    longest = max(waiting for _, _, waiting in notes.trace)
    spare = min(note.total_timeout - (note.ended - note.began) for note in served)
    sent = counters["requests"] - 2 * WARM
    lost = CALLS - len(served) - len(shed)
    head = f"surge of {CALLS} on {SLOTS} places, {SERVICE * 1000:.0f} ms each"
    values = {"calls": [asdict(note) for note in notes.calls], "trace": notes.trace}
    most = counters["max_in_flight"]
    return [
        Row(f"{head}: most in flight at the server", str(most), f"<= {SLOTS}", most <= SLOTS),
        Row(f"{head}: most in the queue", str(longest), f"<= {QUEUE}", longest <= QUEUE),
        Row(
            f"{head}: a shed call is told after",
            f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, most {worst:.1f} ms",
            f"< {PROMPTLY * 1000:.0f} ms",
            waits[-1] < PROMPTLY,
            values={"seconds": waits},
        ),
        Row(
            f"{head}: shed calls with `retry_after`",
            f"{len(told)} of {len(shed)}, {displaced} of them displaced",
            "all",
            len(told) == len(shed),
        ),
        Row(
            f"{head}: served within their deadlines",
            f"{len(served) - len(late)} of {len(served)}; least time to spare {spare:.2f} s",
            "all",
            not late,
        ),
        Row(
            f"{head}: accounted for",
            f"{len(served)} served + {len(shed)} shed, {lost} otherwise; {sent} reached the server",
            f"{CALLS}, nothing lost",
            lost == 0 and left == (0, 0) and sent == len(served),
            values=values,
        ),
    ]
