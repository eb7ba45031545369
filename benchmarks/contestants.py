"""The contestants: each library as its documentation shows it, over a primary and a backup.

They run in the peers' environments, so nothing here is imported before it is needed.
"""

# ruff: noqa: PERF401 - what came before an error must stay

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Protocol

MODEL = "gpt-4o"
ASK: Any = [{"role": "user", "content": "hi"}]
loop = asyncio.new_event_loop()


@dataclass(frozen=True, slots=True)
class Setup:
    """What everybody is told alike; `defaults` leaves times and retries as the library has them."""

    timeout: float = 1.0  # seconds for an attempt
    defaults: bool = False
    pause: float | None = None  # seconds of a breaker's break, where there is one

    def sdk(self) -> dict[str, Any]:
        """Return the openai SDK's options."""
        return {} if self.defaults else {"timeout": self.timeout, "max_retries": 0}


class Contestant(Protocol):
    """A client made for one primary and one backup."""

    packages: tuple[str, ...]

    def __init__(self, primary: str, backup: str, setup: Setup = ...) -> None: ...

    def ask(self) -> str:
        """Return the text of the answer."""

    def stream(self, said: list[str]) -> None:
        """Add the text to what was said, as it comes."""

    def crowd(self, count: int) -> int:
        """Let so many callers ask at once, and return how many were answered."""


class Threaded:
    """A crowd of threads."""

    ask: Callable[[], str]

    def crowd(self, count: int) -> int:
        gate, texts = threading.Barrier(count), list[str]()

        def one() -> None:
            gate.wait()
            texts.append(self.ask())

        threads = [threading.Thread(target=one) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sum(map(bool, texts))


class Pilotlight(Threaded):
    """`Route` over two OpenAI targets."""

    packages = ("pilotlight", "litellm")
    options: ClassVar[dict[str, Any]] = {}

    def __init__(self, primary: str, backup: str, setup: Setup = Setup()) -> None:
        import pilotlight

        common = {"model": f"openai/{MODEL}", "api_key": "k", **self.options}
        if not setup.defaults:
            common["timeout"] = setup.timeout
        if setup.pause:
            common["breaker"] = {"reset_timeout": setup.pause}
        both = {"primary": primary, "backup": backup}
        targets = {name: {**common, "api_base": url} for name, url in both.items()}
        routes = {"chat": {"targets": list(both)}}
        self._route = pilotlight.load({"targets": targets, "routes": routes}).route("chat")

    def ask(self) -> str:
        return self._route.complete(ASK).text

    def stream(self, said: list[str]) -> None:
        for chunk in self._route.stream(ASK):
            said.append(_delta(chunk))


class PilotlightLitellm(Pilotlight):
    """The same with litellm underneath."""

    options: ClassVar[dict[str, Any]] = {"via": "litellm"}


class Router(Threaded):
    """`litellm.Router` with a fallback group."""

    packages = ("litellm",)
    tuning: ClassVar[dict[str, Any]] = {}

    def __init__(self, primary: str, backup: str, setup: Setup = Setup()) -> None:
        import litellm

        litellm.suppress_debug_info = True
        times = {"timeout": setup.timeout, "stream_timeout": setup.timeout}
        common = {"model": f"openai/{MODEL}", "api_key": "k"} | ({} if setup.defaults else times)
        both = {"primary": primary, "backup": backup}
        deployments = [
            {"model_name": name, "litellm_params": {**common, "api_base": url}}
            for name, url in both.items()
        ]
        options: dict[str, Any] = {} if setup.defaults else {"num_retries": 0}
        options |= self.tuning
        if self.tuning and setup.pause:
            options["cooldown_time"] = setup.pause
        fallbacks = [{"primary": ["backup"]}]
        self._router: Any = litellm.Router(model_list=deployments, fallbacks=fallbacks, **options)

    def ask(self) -> str:
        choices = self._router.completion("primary", ASK).choices
        return (choices[0].message.content or "") if choices else ""

    def stream(self, said: list[str]) -> None:
        for chunk in self._router.completion("primary", ASK, stream=True):
            said.append(_delta(chunk))


class TunedRouter(Router):
    """The same with the cool-down that a single deployment does not get by default."""

    tuning: ClassVar[dict[str, Any]] = {"allowed_fails": 1, "cooldown_time": 30}


class LangChain(Threaded):
    """`ChatOpenAI(...).with_fallbacks([...])`."""

    packages = ("langchain-core", "langchain-openai", "openai")

    def __init__(self, primary: str, backup: str, setup: Setup = Setup()) -> None:
        from langchain_openai import ChatOpenAI

        make: Any = partial(ChatOpenAI, model=MODEL, api_key="k", **setup.sdk())
        first, second = (make(base_url=url) for url in (primary, backup))
        self._model = first.with_fallbacks([second])

    def ask(self) -> str:
        return str(self._model.invoke("hi").content)

    def stream(self, said: list[str]) -> None:
        for chunk in self._model.stream("hi"):
            said.append(str(chunk.content))


class PydanticAI:
    """An `Agent` over a `FallbackModel`; its crowd is of tasks, for it is async inside."""

    packages = ("pydantic-ai-slim", "openai")

    def __init__(self, primary: str, backup: str, setup: Setup = Setup()) -> None:
        from openai import AsyncOpenAI
        from pydantic_ai import Agent
        from pydantic_ai.models.fallback import FallbackModel
        from pydantic_ai.models.openai import OpenAIChatModel
        from pydantic_ai.providers.openai import OpenAIProvider

        models = []
        for url in (primary, backup):
            client = AsyncOpenAI(base_url=url, api_key="k", **setup.sdk())
            models.append(OpenAIChatModel(MODEL, provider=OpenAIProvider(openai_client=client)))
        self._agent = Agent(FallbackModel(*models))

    def ask(self) -> str:
        return str(loop.run_until_complete(self._agent.run("hi")).output)

    def stream(self, said: list[str]) -> None:
        loop.run_until_complete(self._stream(said))  # one task: its scopes may not change tasks

    async def _stream(self, said: list[str]) -> None:
        async with self._agent.run_stream("hi") as answer:
            async for piece in answer.stream_text(delta=True, debounce_by=None):
                said.append(piece)

    def crowd(self, count: int) -> int:
        async def all_at_once() -> int:
            answers = await asyncio.gather(*(self._agent.run("hi") for _ in range(count)))
            return sum(bool(answer.output) for answer in answers)

        return loop.run_until_complete(all_at_once())


class OpenAISdk(Threaded):
    """The openai SDK alone, without any fallback."""

    packages: tuple[str, ...] = ("openai",)

    def __init__(self, primary: str, backup: str, setup: Setup = Setup()) -> None:
        from openai import OpenAI

        self._primary, self._backup = (
            OpenAI(base_url=url, api_key="k", **setup.sdk()) for url in (primary, backup)
        )

    def ask(self) -> str:
        return _content(self._primary)

    def stream(self, said: list[str]) -> None:
        answer: Any = self._primary.chat.completions.create(model=MODEL, messages=ASK, stream=True)
        for chunk in answer:
            said.append(_delta(chunk))


class Pybreaker(OpenAISdk):
    """A stock pybreaker around the openai SDK, and the backup in the `except`."""

    packages = ("pybreaker", "openai")

    def __init__(self, primary: str, backup: str, setup: Setup = Setup()) -> None:
        import pybreaker

        super().__init__(primary, backup, setup)
        self._breaker = pybreaker.CircuitBreaker(fail_max=5, reset_timeout=setup.pause or 60)

    def ask(self) -> str:
        try:
            return str(self._breaker.call(_content, self._primary))
        except Exception:
            return _content(self._backup)


class Purgatory(OpenAISdk):
    """The same with purgatory."""

    packages = ("purgatory", "openai")

    def __init__(self, primary: str, backup: str, setup: Setup = Setup()) -> None:
        from purgatory import SyncCircuitBreakerFactory

        super().__init__(primary, backup, setup)
        made = SyncCircuitBreakerFactory(default_threshold=5, default_ttl=setup.pause or 30)
        self._enter = partial(made.get_breaker, "primary")

    def ask(self) -> str:
        try:
            with self._enter():
                return _content(self._primary)
        except Exception:
            return _content(self._backup)


class Httpx(Threaded):
    """httpx and json alone, without any fallback."""

    packages = ("httpx",)

    def __init__(self, primary: str, backup: str, setup: Setup = Setup()) -> None:
        import httpx

        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        self._url = f"{primary}/chat/completions"
        self._client = httpx.Client(trust_env=False, limits=limits, timeout=setup.timeout)

    def ask(self) -> str:
        answer = self._client.post(self._url, json={"model": MODEL, "messages": ASK})
        answer.raise_for_status()
        return str(answer.json()["choices"][0]["message"]["content"])

    def stream(self, said: list[str]) -> None:
        body = {"model": MODEL, "messages": ASK, "stream": True}
        with self._client.stream("POST", self._url, json=body) as answer:
            for line in answer.iter_lines():
                if line.startswith("data: {"):
                    said.append(json.loads(line[6:])["choices"][0]["delta"].get("content", ""))


CONTESTANTS: dict[str, Any] = {  # classes, each a Contestant
    "pilotlight": Pilotlight,
    "pilotlight-litellm": PilotlightLitellm,
    "litellm": Router,
    "litellm-tuned": TunedRouter,
    "langchain": LangChain,
    "pydantic-ai": PydanticAI,
    "pybreaker": Pybreaker,
    "purgatory": Purgatory,
    "openai": OpenAISdk,
    "httpx": Httpx,
}


def _content(client: Any) -> str:
    answer = client.chat.completions.create(model=MODEL, messages=ASK)
    return answer.choices[0].message.content or ""


def _delta(chunk: Any) -> str:
    return (chunk.choices[0].delta.content or "") if chunk.choices else ""
