"""One contestant in a process of its own: reads jobs, answers with what its caller got.

    python -m benchmarks.peer_worker langchain

A job is a line of JSON: `{"primary": URL, "backup": URL, "stream": false}`.  The
answer is one too: `{"text": ..., "error": null}`.  Everybody gets one second for
each attempt and no retries of the SDK's.  It runs in the peers' environment, so
it imports nothing of pilotlight's but for pilotlight itself.
"""

# ruff: noqa: PERF401 - what came before an error must stay

from __future__ import annotations

import asyncio
import json
import sys
import warnings
from collections.abc import Callable
from functools import lru_cache
from importlib.metadata import version
from typing import Any, ClassVar, Protocol

TIMEOUT = 1.0
MODEL = "gpt-4o"
ASK = [{"role": "user", "content": "hi"}]
loop = asyncio.new_event_loop()


class Contestant(Protocol):
    """A client made for one primary and one backup, as its documentation shows it."""

    def ask(self) -> str:
        """Return the text of the answer."""

    def stream(self, said: list[str]) -> None:
        """Add the text to what was said, as it comes."""


class Pilotlight:
    """`Route` over two OpenAI targets."""

    packages = ("pilotlight", "litellm")

    def __init__(self, primary: str, backup: str) -> None:
        import pilotlight

        both = {"primary": primary, "backup": backup}
        targets = {
            name: {"model": f"openai/{MODEL}", "api_base": url, "api_key": "k", "timeout": TIMEOUT}
            for name, url in both.items()
        }
        routes = {"chat": {"targets": list(both)}}
        self._route = pilotlight.load({"targets": targets, "routes": routes}).route("chat")

    def ask(self) -> str:
        return self._route.complete(ASK).text

    def stream(self, said: list[str]) -> None:
        for chunk in self._route.stream(ASK):
            said.append(_delta(chunk))


class Router:
    """`litellm.Router` with a fallback group."""

    packages = ("litellm",)
    tuning: ClassVar[dict[str, Any]] = {}

    def __init__(self, primary: str, backup: str) -> None:
        import litellm

        litellm.suppress_debug_info = True
        both = {"primary": primary, "backup": backup}
        deployments = [
            {
                "model_name": name,
                "litellm_params": {
                    "model": f"openai/{MODEL}",
                    "api_base": url,
                    "api_key": "k",
                    "timeout": TIMEOUT,
                    "stream_timeout": TIMEOUT,
                },
            }
            for name, url in both.items()
        ]
        fallbacks = [{"primary": ["backup"]}]
        self._router = litellm.Router(
            model_list=deployments, fallbacks=fallbacks, num_retries=0, **self.tuning
        )

    def ask(self) -> str:
        choices = self._router.completion("primary", ASK).choices
        return (choices[0].message.content or "") if choices else ""

    def stream(self, said: list[str]) -> None:
        for chunk in self._router.completion("primary", ASK, stream=True):
            said.append(_delta(chunk))


class TunedRouter(Router):
    """The same with the cool-down that a single deployment does not get by default."""

    tuning: ClassVar[dict[str, Any]] = {"allowed_fails": 1, "cooldown_time": 30}


class LangChain:
    """`ChatOpenAI(...).with_fallbacks([...])`."""

    packages = ("langchain-core", "langchain-openai", "openai")

    def __init__(self, primary: str, backup: str) -> None:
        from langchain_openai import ChatOpenAI

        first, second = (
            ChatOpenAI(model=MODEL, base_url=url, api_key="k", timeout=TIMEOUT, max_retries=0)
            for url in (primary, backup)
        )
        self._model = first.with_fallbacks([second])

    def ask(self) -> str:
        return str(self._model.invoke("hi").content)

    def stream(self, said: list[str]) -> None:
        for chunk in self._model.stream("hi"):
            said.append(str(chunk.content))


class PydanticAI:
    """An `Agent` over a `FallbackModel`."""

    packages = ("pydantic-ai-slim", "openai")

    def __init__(self, primary: str, backup: str) -> None:
        from openai import AsyncOpenAI
        from pydantic_ai import Agent
        from pydantic_ai.models.fallback import FallbackModel
        from pydantic_ai.models.openai import OpenAIChatModel
        from pydantic_ai.providers.openai import OpenAIProvider

        models = []
        for url in (primary, backup):
            client = AsyncOpenAI(base_url=url, api_key="k", timeout=TIMEOUT, max_retries=0)
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


CONTESTANTS: dict[str, Callable[[str, str], Contestant]] = {
    "pilotlight": Pilotlight,
    "litellm": Router,
    "litellm-tuned": TunedRouter,
    "langchain": LangChain,
    "pydantic-ai": PydanticAI,
}


def _delta(chunk: Any) -> str:
    return (chunk.choices[0].delta.content or "") if chunk.choices else ""


def judge(contestant: Contestant, stream: bool) -> dict[str, Any]:
    """Return what the caller got: text, or an error with the text that came before it."""
    said: list[str] = []
    error = None
    try:
        if stream:
            contestant.stream(said)  # what came before an error stays
        else:
            said.append(contestant.ask())
    except Exception as raised:
        error = type(raised).__name__
    return {"text": "".join(said), "error": error}


def main() -> int:
    """Work through the jobs on standard input."""
    warnings.simplefilter("ignore")
    make = CONTESTANTS[sys.argv[1]]
    packages: tuple[str, ...] = make.packages  # type: ignore[attr-defined]
    client = lru_cache(maxsize=1)(make)
    out, sys.stdout = sys.stdout, sys.stderr  # what libraries print is no answer
    print(json.dumps({name: version(name) for name in packages}), file=out, flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        got = judge(client(job["primary"], job["backup"]), job["stream"])
        print(json.dumps(got), file=out, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
