"""The calls of the soak: every door, every shape, read to the end, left half-way or cancelled."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, Literal

import httpx

import pilotlight
from benchmarks.soak_faults import Server
from pilotlight import AllTargetsFailed, DeadlineExceeded, ProviderFault, StreamInterrupted
from pilotlight.app import Pilotlight

Shape = Literal["complete", "acomplete", "stream", "astream"]
Way = Literal["read", "leave", "cancel"]

SHAPES: Final[tuple[Shape, ...]] = ("complete", "acomplete", "stream", "astream")
DEADLINES: Final = (0.15, 0.5, 1.0, 2.0)  # seconds
ASK: Final = [{"role": "user", "content": "hi"}]
# What asks whom, and how often: litellm takes 5 ms of CPU for a call, the others one.
SHARES: Final = {
    ("route", "home"): 40,
    ("decorator", "wire"): 35,
    ("route", "chat"): 9,
    ("route", "anthropic"): 4,
    ("route", "google"): 4,
    ("drop-in", "chat"): 8,
}
OURS: Final = (AllTargetsFailed, DeadlineExceeded, StreamInterrupted)


@dataclass(frozen=True, slots=True)
class Plan:
    """One call; all of it follows from the seed and its number."""

    door: str
    route: str
    shape: Shape
    total_timeout: float
    way: Way
    patience: float  # seconds until a cancelled task is cancelled
    pieces: int  # of a stream that is left half-way
    private: bool

    @classmethod
    def of(cls, seed: int, number: int) -> Plan:
        """Throw the dice for a call."""
        dice = random.Random(f"{seed} {number}")
        door, route = dice.choices(list(SHARES), list(SHARES.values()))[0]
        shape = dice.choice(SHAPES)
        ways: dict[Way, int] = {"read": 8}
        ways |= {"leave": 1} if shape in ("stream", "astream") else {}
        ways |= {"cancel": 1} if shape in ("acomplete", "astream") else {}
        way = dice.choices(list(ways), list(ways.values()))[0]
        return cls(
            door,
            route,
            shape,
            dice.choice(DEADLINES),
            way,
            dice.uniform(0.0, 0.3),
            dice.randrange(4),
            private=door == "route" and dice.random() < 0.1,
        )


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of a call; `outcome` is `answered`, `left`, `cancelled` or an exception's name.

    `typed` is false for an exception that no page promises; `late` are the seconds after
    the deadline.
    """

    outcome: str
    typed: bool
    late: float


def configuration(server: Server) -> dict[str, Any]:
    """Return a configuration over the server, with clocks and breaks that suit short calls."""
    common = {
        "timeout": {"connect": 1.0, "first_token": 0.5, "between_tokens": 0.3, "total": 1.0},
        "breaker": {"reset_timeout": 0.3, "max_reset_timeout": 2.0},
        "retry": {"wait_initial": 0.05, "wait_max": 0.2},
    }
    key = {"api_key": "sk-soak", **common}
    targets = {
        "gpt": {"model": "openai/gpt-4o", "api_base": server.base("gpt") + "/v1", **key},
        "claude": {
            "model": "anthropic/claude-sonnet-4-5",
            "api_base": server.base("claude"),
            **key,
        },
        "gemini": {
            "model": "gemini/gemini-2.5-flash",
            "api_base": server.base("gemini"),
            **key,
        },
        "local": {
            "model": "ollama/llama3.2:3b",
            "api_base": server.base("local"),
            "concurrency": 4,
            "queue": 8,
            **common,
        },
        "spare": {"model": "ollama/llama3.2:3b", "api_base": server.base("spare"), **common},
    }
    routes = {
        "chat": ["gpt", "claude", "local"],
        "anthropic": ["claude", "local"],
        "google": ["gemini", "local"],
        "home": ["local", "spare"],
        "wire": ["gpt", "local"],
    }
    return {
        "targets": targets,
        "routes": {name: {"targets": names} for name, names in routes.items()},
    }


class Doors:
    """The doors of one configuration, each as a function of a plan for each shape."""

    def __init__(self, app: Pilotlight) -> None:
        self._routes = app.routes
        self._decorated = {
            (shape, seconds): pilotlight.failover(app.route("wire"), total_timeout=seconds)(
                function
            )
            for shape, function in FUNCTIONS.items()
            for seconds in DEADLINES
        }

    def open(self, plan: Plan) -> Any:
        """Make the call: return the answer, the coroutine, the stream or the async stream."""
        if plan.door == "decorator":
            return self._decorated[plan.shape, plan.total_timeout]()
        if plan.door == "route":
            ask = getattr(self._routes[plan.route], plan.shape)
            return ask(ASK, total_timeout=plan.total_timeout, private=plan.private or None)
        litellms = pilotlight.acompletion if plan.shape[0] == "a" else pilotlight.completion
        stream = plan.shape.endswith("stream")
        return litellms(plan.route, ASK, total_timeout=plan.total_timeout, stream=stream)


def run(doors: Doors, plan: Plan, clock: Callable[[], float] = time.monotonic) -> Ended:
    """Make a plain call, and read or leave its stream."""
    began = clock()
    try:
        made = doors.open(plan)
        if plan.shape == "stream":
            _read(made, plan)
        outcome, typed = ("left" if plan.way == "leave" else "answered"), True
    except Exception as error:
        outcome, typed = type(error).__name__, is_typed(error)
    return Ended(outcome, typed, clock() - began - plan.total_timeout)


def _read(stream: Any, plan: Plan) -> None:
    if plan.way == "leave":
        for _ in islice(stream, plan.pieces):
            pass
        if plan.pieces % 2:  # the others are dropped as they are
            stream.close()
    else:
        for _ in stream:
            pass


async def arun(doors: Doors, plan: Plan, clock: Callable[[], float] = time.monotonic) -> Ended:
    """Make a call in a task of its own, which may be cancelled at any moment."""
    began = clock()
    task = asyncio.ensure_future(_call(doors, plan))
    try:
        if plan.way == "cancel":
            await asyncio.wait({task}, timeout=plan.patience)
            task.cancel()
        await task
        outcome, typed = ("left" if plan.way == "leave" else "answered"), True
    except asyncio.CancelledError:
        outcome, typed = "cancelled", plan.way == "cancel"
    except Exception as error:
        outcome, typed = type(error).__name__, is_typed(error)
    return Ended(outcome, typed, clock() - began - plan.total_timeout)


async def _call(doors: Doors, plan: Plan) -> None:
    made = doors.open(plan)
    if plan.shape == "acomplete":
        await made
        return
    if asyncio.iscoroutine(made):
        made = await made  # the drop-in opens its streams first
    count = 0
    async for _ in made:
        count += 1
        if plan.way == "leave" and count > plan.pieces:
            if plan.pieces % 2:
                await made.aclose()
            return


def is_typed(error: Exception) -> bool:
    """Tell whether docs/faults.md promises it: ours, or the provider's for a caller's mistake."""
    if isinstance(error, (*OURS, ProviderFault, httpx.HTTPStatusError)):
        return True
    import ollama
    import openai

    refused = isinstance(error, openai.APIStatusError | ollama.ResponseError)
    return refused and error.status_code in range(400, 500)


# The decorated functions: plain httpx, as OpenAI's own door has it, whoever the target is.


def _body(target: Any, stream: bool) -> Mapping[str, Any]:
    return {"model": target.model, "messages": ASK, "stream": stream}


def _complete(*, target: Any) -> Any:
    client = target.http_client()
    answer = client.post(f"{target.api_base}/chat/completions", json=_body(target, False))
    return answer.raise_for_status().json()["choices"][0]["message"]["content"]


async def _acomplete(*, target: Any) -> Any:
    client = target.ahttp_client()
    answer = await client.post(f"{target.api_base}/chat/completions", json=_body(target, False))
    return answer.raise_for_status().json()["choices"][0]["message"]["content"]


def _stream(*, target: Any) -> Iterator[str]:
    client = target.http_client()
    url = f"{target.api_base}/chat/completions"
    with client.stream("POST", url, json=_body(target, True)) as reply:
        reply.raise_for_status()
        yield from filter(None, map(_text, reply.iter_lines()))


async def _astream(*, target: Any) -> AsyncIterator[str]:
    client = target.ahttp_client()
    url = f"{target.api_base}/chat/completions"
    async with client.stream("POST", url, json=_body(target, True)) as reply:
        reply.raise_for_status()
        async for line in reply.aiter_lines():
            if text := _text(line):
                yield text


def _text(line: str) -> str:
    if not line.startswith("data: {"):
        return ""
    choices = json.loads(line.removeprefix("data: ")).get("choices") or [{}]
    return str(choices[0].get("delta", {}).get("content") or "")


FUNCTIONS: Final[Mapping[Shape, Callable[..., Any]]] = {
    "complete": _complete,
    "acomplete": _acomplete,
    "stream": _stream,
    "astream": _astream,
}
