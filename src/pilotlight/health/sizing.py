"""How much a local model carries: measured with a prompt of our own, and what follows from it.

    measured = measure(target)                  # loads the model, asks it five times
    advice = advise(measured, deadline=30.0)    # concurrency, queue, keep_alive, and the surge

Ollama tells of each answer how long it has read and written, and not how many it writes at once
(`OLLAMA_NUM_PARALLEL`): that is seen when several are asked for in one moment.
"""

from __future__ import annotations

import contextvars
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pilotlight.core.provider import Timeouts
from pilotlight.core.target import Target
from pilotlight.health import loading
from pilotlight.health.checks import LocalCheck, _entries, check_target
from pilotlight.health.server import NotAsExpected, Server, connection_of, visiting
from pilotlight.providers.ollama.loading import load_request
from pilotlight.providers.ollama.names import display_name
from pilotlight.wire.field_types import count_in

AT_ONCE: Final = 4  # answers that are asked for in one moment
TOKENS: Final = 32  # of each answer
USUAL: Final = 256  # tokens of an answer that the advice reckons with
LONGEST_QUEUE: Final = 64
WORTH: Final = 1.1  # times as many tokens a second, for two at once to be better than one
_PROMPT: Final = "Write a long story about a lighthouse keeper and the sea. " * 8


@dataclass(frozen=True, slots=True)
class Measured:
    """What a model does on its machine: seconds, tokens a second, bytes; None: not known.

    `speed` is of one answer alone, `together` of all of `at_once` that were written together.
    `others` are the models that Ollama would unload for this one, with their sizes.
    """

    speed: float
    reading: float | None
    at_once: int
    together: float
    load: float | None = None  # None: it was in memory
    context: int | None = None
    size: int | None = None
    free: int | None = None
    others: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Advice:
    """What to configure, and what that carries.

    `service` is how many seconds an answer of USUAL tokens takes while all places are taken, and
    `surge` how many calls of one moment are answered within the deadline.
    """

    concurrency: int
    queue: int
    keep_alive: str
    service: float
    surge: int
    a_minute: float


class NotMeasured(Exception):
    """The model could not be asked; the message says why."""


def measure(target: Target) -> Measured:
    """Load the model if need be, and ask it; raises NotMeasured."""
    import httpx

    check = check_target(target)
    if not isinstance(check, LocalCheck) or check.state not in ("loaded", "installed"):
        raise NotMeasured(
            (check.problem if check else None) or "it is no Ollama model of this machine"
        )
    limits = Timeouts(5.0, None, None, target.care.warm_timeout)
    load = None
    try:
        if check.state != "loaded":
            began = time.monotonic()
            if (problem := loading.load(target, loading.keep_alive(target), limits)) is not None:
                raise NotMeasured(problem)
            load = time.monotonic() - began
        _ask(target, limits)  # the first after a load is a slow one
        alone = _ask(target, limits)
        several = _together(target, limits)
    except (httpx.HTTPError, NotAsExpected) as error:
        raise NotMeasured(f"it broke off: {error or type(error).__name__}") from error
    return _told(target, load, alone, several)


@dataclass(frozen=True, slots=True)
class _Answer:
    """One answer: when it came, and for how long its server has read the prompt and written."""

    tokens: int
    writing: float
    read: int
    reading: float
    ended: float

    @property
    def began(self) -> float:
        return self.ended - self.writing

    def is_beside(self, other: _Answer) -> bool:
        """Tell whether the two were written at one time, for half of the shorter one at least."""
        both = min(self.ended, other.ended) - max(self.began, other.began)
        return both >= min(self.ended - self.began, other.ended - other.began) / 2


def _ask(target: Target, limits: Timeouts) -> _Answer:
    connection = connection_of(target)
    assert connection is not None
    spec = connection.spec
    body = load_request(spec.bare_model, context=connection.context, options=spec.options)
    body["messages"] = [{"role": "user", "content": _PROMPT}]
    body["options"] = {**body.get("options", {}), "num_predict": TOKENS}
    body["keep_alive"] = loading.keep_alive(target)
    began = time.monotonic()
    with visiting(connection, limits) as client:
        said = Server(client, connection.base_url, spec.api_key).post("/api/chat", body)
    ended = time.monotonic()
    if said is None or said.get("done") is not True:
        raise NotAsExpected("no whole answer")
    writing = _seconds(said, "eval_duration") or ended - began
    tokens = count_in(said, "eval_count") or 1
    read = count_in(said, "prompt_eval_count") or 0
    return _Answer(tokens, writing, read, _seconds(said, "prompt_eval_duration"), ended)


def _together(target: Target, limits: Timeouts) -> list[_Answer]:
    """Ask for several answers in one moment."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        contexts = [contextvars.copy_context() for _ in range(AT_ONCE)]
        asked = [pool.submit(each.run, _ask, target, limits) for each in contexts]
        return [each.result() for each in asked]


def _told(target: Target, load: float | None, alone: _Answer, several: list[_Answer]) -> Measured:
    connection, check = connection_of(target), check_target(target)
    assert connection is not None
    assert isinstance(check, LocalCheck)
    at_once = max(sum(map(each.is_beside, several)) for each in several)
    wall = max(each.ended for each in several) - min(each.began for each in several)
    with visiting(connection, Timeouts(2.0, None, None, 5.0)) as client:
        running = Server(client, connection.base_url, connection.spec.api_key).optional("/api/ps")
    own = display_name(connection.spec.bare_model).lower()
    return Measured(
        alone.tokens / alone.writing,
        alone.read / alone.reading if alone.reading else None,
        at_once,
        sum(each.tokens for each in several) / max(wall, 1e-3),
        load,
        check.effective_context,
        check.size,
        free_memory(),
        {
            n: count_in(e, "size") or 0
            for n, e in _entries(running)
            if display_name(n).lower() != own
        },
    )


def advise(measured: Measured, deadline: float) -> Advice:
    """Return what to configure for callers who wait `deadline` seconds at most."""
    concurrency = measured.at_once if measured.together >= WORTH * measured.speed else 1
    speed = measured.together / concurrency if concurrency > 1 else measured.speed
    service = USUAL / max(speed, 1e-6)
    rounds = int(deadline / service)
    queue = min(LONGEST_QUEUE, max(0, rounds - 1) * concurrency)
    load = measured.load or 0.0
    return Advice(
        concurrency,
        queue,
        "5m" if load < 2 else "30m" if load < 10 else "-1",
        service,
        concurrency + queue if rounds else 0,
        60 * concurrency / service,
    )


def free_memory() -> int | None:
    """Return the bytes that programs may still take on this machine; None where it does not say."""
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
    except (OSError, ValueError):
        return None
    found = next((line.split() for line in lines if line.startswith("MemAvailable:")), None)
    return int(found[1]) * 1024 if found and len(found) > 1 and found[1].isdigit() else None


def _seconds(said: Mapping[str, Any], name: str) -> float:
    return (count_in(said, name) or 0) / 1e9
