"""What `doctor --local` says of each local model: what was measured, and what to configure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pilotlight.cli.looking.checks import Check
from pilotlight.cli.looking.setting import Place
from pilotlight.cli.words import tokens
from pilotlight.health.sizing import USUAL, Advice, Measured, NotMeasured, advise, measure

if TYPE_CHECKING:
    from pilotlight.app import Pilotlight

DEADLINE: Final = 30.0  # seconds that callers are thought to wait, where no route says
_GIB: Final = 1 << 30


@dataclass(frozen=True, slots=True)
class Sized:
    """One local model: what it does, and what it carries within a deadline in seconds."""

    target: str
    measured: Measured
    advice: Advice
    deadline: float

    @property
    def lines(self) -> Iterator[str]:
        """Say it in a few lines."""
        m, a = self.measured, self.advice
        load = "in memory already" if m.load is None else f"loaded in {m.load:.1f} s"
        yield f"{m.speed:.0f} tokens/s alone, {m.together:.0f} with {m.at_once} at once; {load}"
        if m.size and m.free is not None:
            others = (
                ", ".join(f"{n} ({s / _GIB:.1f} GiB)" for n, s in m.others.items()) or "nothing"
            )
            memory = f"{m.size / _GIB:.1f} GiB in memory, {m.free / _GIB:.1f} GiB free"
            room = f"{tokens(m.context)} of context"
            yield f"{memory} with {room}; Ollama would unload {others} for it"
        if a.surge:
            carries = f"a surge of {a.surge} calls, {a.a_minute:.0f} a minute"
        else:
            carries = "no call: name a smaller model, or give a longer deadline"
        yield f"answers of {USUAL} tokens within {self.deadline:g} s: {carries}"
        yield (
            f"concurrency = {a.concurrency}, queue = {a.queue}, context = {m.context}, "
            f'keep_alive = "{a.keep_alive}"'
        )


def sized(app: Pilotlight, places: Collection[Place]) -> tuple[list[Sized], list[Check]]:
    """Measure each local Ollama model; also return what of the configuration does not fit it."""
    found: list[Sized] = []
    wrong: list[Check] = []
    for place in places:
        if not (place.is_ollama and place.target.is_local):
            continue
        try:
            measured = measure(place.target)
        except NotMeasured as why:
            wrong.append(Check("warn", place.name, f"was not measured: {why}"))
            continue
        deadline = _deadline(app, place.name)
        found.append(Sized(place.name, measured, advise(measured, deadline), deadline))
        wrong += _differs(place, found[-1])
    return found, wrong


def _deadline(app: Pilotlight, name: str) -> float:
    """Return the shortest deadline of the routes that lead to a target."""
    routes = (route for route in app.config.routes.values() if name in route.targets)
    return min((r.total_timeout for r in routes if r.total_timeout), default=DEADLINE)


def _differs(place: Place, seen: Sized) -> Iterator[Check]:
    set_to, able = place.config.concurrency, seen.measured.at_once
    if set_to is not None and set_to > able:
        text = f"concurrency = {set_to}, but its server writes {able} at once: the rest waits there"
        mend = f"OLLAMA_NUM_PARALLEL={set_to} for the server, or concurrency = {able}"
        yield Check("warn", place.name, text, mend)
    elif set_to is None:
        mend = f"[targets.{place.name}] concurrency = {seen.advice.concurrency}"
        yield Check("warn", place.name, "no concurrency is set: a surge waits in its server", mend)
    size, free = seen.measured.size, seen.measured.free
    if size and free is not None and seen.measured.load is not None and free < size / 10:
        yield Check("warn", place.name, "hardly any memory is left: name a smaller model")
