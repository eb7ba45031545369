"""The demo's play: who is on stage, which faults come when, and the calls that go through it."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from pilotlight import events
from pilotlight.app import Pilotlight
from pilotlight.cli.demo.notes import CallNote, Notes
from pilotlight.cli.looking import found
from pilotlight.config.schema import load_config
from pilotlight.registry import Registry

if TYPE_CHECKING:
    from pilotlight.vocabulary.receipt import Receipt

FULL = 20.0  # seconds that the numbers below are made for
TICK = 0.1
SIMULATED = "llama3.2:3b"
SHORT_ANSWER = 48  # tokens: enough to see that a model answers


@dataclass(frozen=True, slots=True)
class Phase:
    """One act: what the closed API does from `start` to `end`, in seconds."""

    name: str
    says: str
    start: float
    end: float
    well: bool = True  # whether a request to the primary would be answered
    fault: str = ""
    params: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Script:
    """How long the play is, and with which dice."""

    seconds: float = FULL
    seed: int = 0

    @property
    def scale(self) -> float:
        """How much faster or slower than usual it is played."""
        return self.seconds / FULL

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The acts, one after the other."""
        wait = 2.0 * self.scale
        acts: tuple[tuple[float, str, str, bool, str, dict[str, object]], ...] = (
            (3.5, "healthy", "the closed API is well", True, "", {}),
            (4.0, "30% errors", "it answers three in ten with a 500", True,
             "server_error", {"rate": 0.3}),
            (4.5, "dead", "it resets every connection", False, "reset", {}),
            (4.0, "rate-limited", f"429 to all, Retry-After {wait:.2g} s", False,
             "rate_limit", {"retry_after": wait}),
            (4.0, "healed", "it is well again", True, "", {}),
        )  # fmt: skip
        ends = list(itertools.accumulate(length * self.scale for length, *_ in acts))
        return tuple(
            Phase(name, says, end - length * self.scale, end, well, fault, params)
            for end, (length, name, says, well, fault, params) in zip(ends, acts, strict=True)
        )

    def phase_at(self, at: float) -> Phase:
        """Return the act at a moment."""
        return next((phase for phase in self.phases if at < phase.end), self.phases[-1])


class Play:
    """The stage: a server that plays the closed API, a route, and workers that ask questions."""

    def __init__(self, script: Script, *, simulate: bool = False) -> None:
        from pilotlight_chaos import ChaosServer, LocalModel

        self.script = script
        self.notes = Notes()
        local = LocalModel(SIMULATED, slots=8, loaded=True)
        self.server = ChaosServer(models=[local], latency=0.08, seed=script.seed)
        self._simulate = simulate
        self.ollama = None if simulate else _real_ollama()
        self.dead_hits = 0
        self._stop = threading.Event()
        self._numbers = itertools.count()
        self._questions = _questions(script.seed)
        self._began = 0.0

    def __enter__(self) -> Self:
        self.server.start()
        self._make_route()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        self.app.close()
        self.server.close()

    # Who is on stage.

    def _make_route(self) -> None:
        """Build the route over health records of its own, so that no earlier call counts."""
        scale = self.script.scale
        local: dict[str, Any] = {"model": self.local_model, "context": 2048}
        if self.ollama is None:
            local["api_base"] = self.server.base("local")
            self.server.fault("local", "slow", seconds=0.12)  # a local model is not as fast
        primary = {
            "model": "openai/gpt-4o",
            "api_base": f"{self.server.base('primary')}/v1",
            "api_key": "the-demo-needs-none",
        }
        config = {
            "targets": {"primary": primary, "local": local},
            "routes": {"demo": {"targets": ["primary", "local"], "total_timeout": 60}},
            "retry": {"wait_initial": 0.2 * scale, "wait_max": 0.5 * scale},
            "breaker": {
                "failure_rate": 0.6,
                "minimum_calls": 5,
                "window": 2.0 * scale,
                "reset_timeout": 1.5 * scale,
                "max_reset_timeout": 1.5 * scale,
            },
        }
        self.app = Pilotlight(load_config(config), registry=Registry())
        self.route = self.app.route("demo")

    @property
    def local_model(self) -> str:
        """The local target's model."""
        return f"ollama/{SIMULATED if self.ollama is None else self.ollama[1]}"

    @property
    def local_says(self) -> str:
        """Where the local model runs."""
        if self.ollama is None:
            why = "as --simulate says" if self._simulate else "no Ollama with a chat model answers"
            return f"played by pilotlight-chaos too: {why}"
        return f"a real Ollama at {self.ollama[0]}"

    @property
    def primary_says(self) -> str:
        """Where the closed API runs."""
        return f"played by pilotlight-chaos at {self.server.url}"

    @property
    def workers(self) -> int:
        """How many ask at once; a real model on a small machine is not to be piled upon."""
        return 6 if self.ollama is None else 2

    @property
    def rate(self) -> float:
        """How many calls a second are begun, at most."""
        return 4.0 if self.ollama is not None else 12.0 / min(1.0, max(0.5, self.script.scale))

    # Before the clock starts.

    def preload(self) -> None:
        """Import litellm."""
        from pilotlight.catalog.litellm_module import preload

        preload().join()

    def warm_up(self) -> None:
        """Make each target answer once: the first call builds clients and loads the model."""
        for name in ("primary", "local"):
            self.app.adhoc([name]).complete(_message("Are you there?"), max_tokens=1)

    # The play.

    @property
    def now(self) -> float:
        """Seconds since the clock was started."""
        return time.monotonic() - self._began

    def run(self, tick: Callable[[], None]) -> None:
        """Play it; `tick` is called ten times a second, in the caller's thread."""
        self._began = time.monotonic()
        listener = self.notes.listener(lambda: self.now)
        events.listeners.append(listener)
        crew = [threading.Thread(target=self._work, daemon=True) for _ in range(self.workers)]
        try:
            for worker in crew:
                worker.start()
            for phase in self.script.phases:
                self._act(phase, tick)
            while any(worker.is_alive() for worker in crew):
                self._stop.wait(TICK)
                tick()
        finally:
            self._stop.set()
            events.listeners.remove(listener)

    def _act(self, phase: Phase, tick: Callable[[], None]) -> None:
        from pilotlight_chaos import make_fault

        before = self.server.hits("primary")
        if phase.fault:
            self.server.fault("primary", make_fault(phase.fault, phase.params))
        else:
            self.server.heal("primary")
        self.notes.enter(phase.name, phase.says, self.now)
        while (left := phase.end - self.now) > 0:
            tick()
            self._stop.wait(min(TICK, left))
        if phase.name == "dead":
            self.dead_hits = self.server.hits("primary") - before

    def _work(self) -> None:
        """Ask one question after the other, each when its time has come."""
        while True:
            number = next(self._numbers)
            due = number / self.rate
            if due >= self.script.seconds or self._stop.wait(max(0.0, due - self.now)):
                return
            if self.now >= self.script.seconds:  # behind the beat: what is not begun is left out
                return
            self._ask(number)

    def _ask(self, number: int) -> None:
        began = self.now
        receipt: Receipt | None = None
        error = ""
        try:
            question = self._questions[number % len(self._questions)]
            receipt = self.route.complete(_message(question), max_tokens=SHORT_ANSWER).receipt
        except Exception as problem:
            error = f"{type(problem).__name__}: {problem}"
            receipt = getattr(problem, "receipt", None)
        phase = self.script.phase_at(began)
        self.notes.add(CallNote.of(began, self.now, phase.name, phase.well, receipt, error))


def _real_ollama() -> tuple[str, str] | None:
    """Return address and smallest chat model of the Ollama that answers here, if one does."""
    try:
        server = found.ollama()
    except ValueError:
        return None
    sizes = {name: check.size or 0 for name, check in server.models.items()}
    return (server.url, min(sizes, key=lambda name: sizes[name])) if sizes else None


def _questions(seed: int) -> list[str]:
    text = files("pilotlight.cli").joinpath("questions.txt").read_text("utf-8")
    lines = list(_lines(text))
    random.Random(seed).shuffle(lines)  # noqa: S311 - an order, not a secret
    return lines


def _lines(text: str) -> Iterator[str]:
    yield from (line for line in text.splitlines() if line.strip())


def _message(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]
