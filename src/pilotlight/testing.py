"""For tests, yours and ours: a clock held in the hand, scripted targets, forced outages.

An outage in your own suite:

    from pilotlight.testing import outage

    def test_the_app_survives_openai():
        with outage("openai", answer="Hello"):  # it fails, and whoever is next says this
            assert app.summarise("...") == "Hello"

A route without any network:

    clock = FakeClock()
    gpt = ScriptedTarget("gpt", Fault.SERVER_ERROR, clock=clock)
    local = ScriptedTarget("local", "hello", local=True, clock=clock)
    route = Route("chat", (gpt, local), clock=clock)

One file, a little long, so that a test imports from one place.
"""

from __future__ import annotations

import re
from collections.abc import (
    AsyncIterator,
    Callable,
    Generator,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pilotlight.config.messages import nearest
from pilotlight.core.breaker.breaker import Breaker, BreakerPolicy
from pilotlight.core.bulkhead.bulkhead import Bulkhead
from pilotlight.core.clock import SYSTEM_CLOCK, Clock
from pilotlight.core.drills.forced import Drill, drill
from pilotlight.core.embedding_space import EmbeddingSpace
from pilotlight.core.provider import Answered, Attempt, Call, Ended, Facts, Failed, Report, Timeouts
from pilotlight.core.retry.budget import RetryBudget
from pilotlight.core.retry.policy import RetryPolicy
from pilotlight.core.target import Health, Target
from pilotlight.errors import ProviderFault
from pilotlight.providers.replies import EmbeddingReply, Image, ImageReply
from pilotlight.registry import REGISTRY
from pilotlight.vocabulary.faults import Fault
from pilotlight.vocabulary.operations import Operation

if TYPE_CHECKING:
    import asyncio
    import threading

__all__ = ["Fails", "FakeClock", "ScriptedTarget", "answers", "outage", "reset"]


class FakeClock:
    """A clock that moves only when it is told to, or slept on.

    `slept` lists the pauses that were asked for, in seconds.
    """

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds

    def sleep(self, seconds: float) -> None:
        """Let time pass, and write it down."""
        self.slept.append(seconds)
        self.now += seconds

    async def asleep(self, seconds: float) -> None:
        """As `sleep`, for async code."""
        self.sleep(seconds)

    def wait(self, event: threading.Event, seconds: float | None) -> None:
        """Wait for another thread; where the wait has an end, that end comes now."""
        if seconds is None:
            event.wait()
        elif not event.is_set():
            self.sleep(seconds)

    async def await_(self, event: asyncio.Event, seconds: float | None) -> None:
        """As `wait`, for async code."""
        if seconds is None:
            await event.wait()
        elif not event.is_set():
            self.sleep(seconds)


@dataclass(frozen=True, slots=True)
class Fails:
    """A line of a script: the attempt fails, a stream after `after` has been said.

    `takes` is how long in seconds it takes to fail, on a FakeClock; `window` the context
    that a refused prompt is told.
    """

    fault: Fault
    retry_after: float | None = None
    after: str = ""
    takes: float = 0.0
    error: Exception | None = None
    window: int | None = None


Line = str | Fault | Fails


class ScriptedTarget(Target):
    """A target that follows a script, one line a call; the last line holds from then on.

    A line is a text to answer with, a fault to fail with, or a `Fails`.  `calls`
    lists the calls that reached it; `lacks` are abilities it has not, `window` its context.
    Asked for embeddings it gives for each text three numbers that depend on nothing else,
    asked for an image the line as its address; `space` is where its embeddings lie.
    """

    __slots__ = ("calls", "script")

    def __init__(
        self,
        name: str,
        *script: Line,
        local: bool = False,
        clock: Clock = SYSTEM_CLOCK,
        breaker: BreakerPolicy | None = None,
        retry: RetryPolicy | None = None,
        timeouts: Timeouts | None = None,
        concurrency: int | None = None,
        queue: int = 0,
        window: int | None = None,
        lacks: Iterable[str] = (),
        space: str | None = None,
    ) -> None:
        retry = retry or RetryPolicy(max_retries=0)
        missing = frozenset(lacks)
        guard = Breaker(name, breaker, clock=clock, chance=lambda: 0.0)
        bulkhead = None if concurrency is None else Bulkhead(concurrency, queue, clock)
        super().__init__(
            name=name,
            model=f"scripted/{name}",
            provider=_Scripted(self, clock),
            health=Health(guard, RetryBudget(retry.budget_ratio, retry.budget_reserve), bulkhead),
            local=local,
            timeouts=timeouts or Timeouts(),
            retry=retry,
            window=lambda: window or self.health.window,
            room=lambda _options: window or self.health.window,
            lacks=lambda: missing,
            space=None if space is None else EmbeddingSpace(space),
        )
        self.script = list(script) or ["ok"]
        self.calls: list[Call] = []

    def next_line(self, call: Call) -> Fails | str:
        """Take note of a call and return what to do about it."""
        line = self.script[min(len(self.calls), len(self.script) - 1)]
        self.calls.append(call)
        return Fails(line) if isinstance(line, Fault) else line


@dataclass(frozen=True, slots=True)
class ScriptedReply:
    """A scripted answer."""

    text: str

    @property
    def response(self) -> Any:
        """The answer in OpenAI's shape; litellm's class if litellm is there anyway."""
        from pilotlight.providers import shapes

        message = {"role": "assistant", "content": self.text}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        head = {"id": "scripted", "object": "chat.completion", "created": 0, "model": "scripted"}
        data = {**head, "choices": [choice], "usage": None}
        loaded = shapes.litellm_loaded()
        return shapes.as_model_response(data, "scripted") if loaded else shapes.Shape(data)


def _scripted_vectors(call: Call, _line: str) -> EmbeddingReply:
    texts = [message["content"] for message in call.messages]
    sums = [sum(place * ord(each) for place, each in enumerate(text, 1)) for text in texts]
    vectors = [
        [float(len(text)), float(total), 1.0] for text, total in zip(texts, sums, strict=True)
    ]
    data = [
        {"object": "embedding", "index": place, "embedding": vector}
        for place, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": 0, "total_tokens": 0}
    said = {"object": "list", "model": "scripted", "data": data, "usage": usage}
    return EmbeddingReply(vectors, said)


_REPLIES: Mapping[Operation, Callable[[Call, str], object]] = {
    "chat": lambda _call, line: ScriptedReply(line),
    "embeddings": _scripted_vectors,
    "image": lambda _call, line: ImageReply([Image(url=line)], {"data": [{"url": line}]}),
}


class _Scripted:
    """The provider of a scripted target."""

    def __init__(self, target: ScriptedTarget, clock: Clock) -> None:
        self._target = target
        self._clock = clock

    def complete(self, call: Call, attempt: Attempt) -> Answered | Failed:
        line = self._target.next_line(call)
        if isinstance(line, Fails):
            return self.failed(line)
        return Answered(_REPLIES[call.operation](call, line), Facts(model=self._target.model))

    async def acomplete(self, call: Call, attempt: Attempt) -> Answered | Failed:
        return self.complete(call, attempt)

    def stream(self, call: Call, attempt: Attempt) -> _Source:
        return _Source(self, self._target.next_line(call), self._target.model)

    def astream(self, call: Call, attempt: Attempt) -> _AsyncSource:
        return _AsyncSource(self, self._target.next_line(call), self._target.model)

    def handle(self, attempt: Attempt, asynchronous: bool) -> ScriptedHandle:
        return ScriptedHandle(self._target, attempt, self._clock)

    def verify_local(self, attempt: Attempt) -> Failed | None:
        return None

    async def averify_local(self, attempt: Attempt) -> Failed | None:
        return None

    def prepare(self) -> None:
        """A script is ready."""

    def failed(self, line: Fails, partial: str = "") -> Failed:
        if line.takes:
            self._clock.sleep(line.takes)
        error = line.error or ProviderFault(line.fault, self._target.name, "scripted")
        report = Report(line.fault, error, line.retry_after)
        if line.window is not None:
            report = replace(report, window=line.window)
        return Failed(report, partial)


class ScriptedHandle:
    """What a decorated function is given for a scripted target: `say()` plays the next line."""

    def __init__(
        self, target: ScriptedTarget, attempt: Attempt, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        from pilotlight.wire.tap import new_tap

        self.target = target
        self.name = target.name
        self.model = target.model
        self.local = target.local
        self.attempt = attempt.number
        self.timeout = attempt.timeouts.total
        self.tap = new_tap("other", attempt.timeouts)
        self._clock = clock

    def say(self) -> str:
        """Return the scripted text, or raise the scripted failure."""
        line = self.target.next_line(Call(route="decorated"))
        if isinstance(line, Fails):
            raise self._failing(line)
        return line

    def words(self) -> Iterator[str]:
        """Yield the scripted text in pieces; raise where the script says so."""
        line = self.target.next_line(Call(route="decorated", stream=True))
        if isinstance(line, Fails):
            yield from _words(line.after)
            raise self._failing(line)
        yield from _words(line)

    def _failing(self, line: Fails) -> Exception:
        if line.takes:
            self._clock.sleep(line.takes)
        return line.error or ProviderFault(line.fault, self.name, "scripted", line.retry_after)


class _Source:
    """A scripted stream: an empty role chunk first, as providers send it, then the words."""

    def __init__(self, provider: _Scripted, line: Fails | str, model: str) -> None:
        self._provider = provider
        self._line = line
        self._model = model
        self._said: list[str] = []
        self._chunks = self._play()
        self.closed = False

    def _play(self) -> Generator[Any]:
        yield _chunk("")
        for word in _words(self._line.after if isinstance(self._line, Fails) else self._line):
            self._said.append(word)
            yield _chunk(word)

    def __iter__(self) -> Iterator[Any]:
        return self._chunks

    def commits(self, chunk: Any) -> bool:
        return bool(chunk.choices[0].delta.content)

    def ended(self) -> Ended | Failed:
        if isinstance(self._line, Fails):
            return self._provider.failed(self._line, "".join(self._said))
        return Ended(Facts(model=self._model))

    def failed(self, error: Exception) -> Failed:
        raise error  # a script does not raise: this is a bug

    def close(self) -> None:
        self.closed = True
        self._chunks.close()


class _AsyncSource(_Source):
    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        try:
            return next(self._chunks)
        except StopIteration:
            raise StopAsyncIteration from None

    async def aclose(self) -> None:
        self.close()


def _words(text: str) -> list[str]:
    return re.findall(r"\S+\s*", text)


def _chunk(text: str) -> Any:
    from pilotlight.providers.shapes import Shape

    delta = {"role": "assistant", "content": text}
    choice = {"index": 0, "delta": delta, "finish_reason": None}
    head = {"id": "scripted", "object": "chat.completion.chunk", "created": 0, "model": "scripted"}
    return Shape({**head, "choices": [choice]})


def outage(
    target: str,
    fault: Fault | str = Fault.SERVER_ERROR,
    retry_after: float | None = None,
    *,
    answer: str | Sequence[str] | None = None,
) -> AbstractContextManager[Drill]:
    """Force an outage: every attempt at `target` fails inside the block, and nothing is sent.

    `target` is a target's name, a model (`openai/gpt-4o`) or a provider
    (`openai`); it works for every door alike.  The yielded object counts the attempts it
    answered (`.hits`).  With `answer` all other targets say that, and neither an Ollama nor a
    key is needed; see `answers`.

    Raises ValueError for a fault that is none.
    """
    if fault not in {each.value for each in Fault}:
        mend = nearest(str(fault), Fault) or f"a fault is one of {', '.join(Fault)}"
        raise ValueError(f"outage(fault={fault!r}): {mend}")
    forced = drill(target, Fault(fault), retry_after)
    return forced if answer is None else _with_answers(forced, answers(answer))


@contextmanager
def _with_answers(
    forced: AbstractContextManager[Drill], others: AbstractContextManager[None]
) -> Iterator[Drill]:
    with forced as one, others:
        yield one


def answers(answer: str | Sequence[str]) -> AbstractContextManager[None]:
    """Have every target answer with this text inside the block; nothing leaves the process.

    Of several texts each call gets the next, and the last holds from then on.  It is said in the
    API that is asked for, whole or streamed, over a socket on loopback: so it works for routes,
    decorated functions that use the target's clients, the drop-in, guarded clients and the
    gateway.  Embeddings are three numbers that depend on their text alone, an image has the text
    as its address.

    Raises ValueError for an answer that is none.
    """
    from pilotlight.playing.script import Script
    from pilotlight.playing.server import playing

    return playing(Script(answer))


def reset() -> None:
    """Forget every breaker, budget and queue of the process, as between two tests.

    Routes that exist already keep theirs; receipts are kept in a file no more.
    """
    from pilotlight import health, notices
    from pilotlight.app import _default
    from pilotlight.records import log
    from pilotlight.state import fleet

    log.reset()
    notices.reset()
    health.reset()
    fleet.reset()
    REGISTRY.reset()
    _default.cache_clear()
