"""The ways to ask the canned server: ours, and those without us; each made as users make it."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from functools import cache
from typing import Any, Protocol

import httpx

import pilotlight
from benchmarks.versus import LITELLM, NATIVE, OURS, PLAIN, RAW, SDK

ASK = [{"role": "user", "content": "hi"}]
MODEL = "gpt-4o"
CLAUDE, GEMINI = "claude-sonnet-4-5", "gemini-2.5-flash"
BODY: dict[str, Any] = {"model": MODEL, "messages": ASK}
LOOSE = httpx.Limits(max_connections=None, max_keepalive_connections=None)  # the pool never waits


class Client(Protocol):
    """A client of one model; what it says is always read, as a user would."""

    def ask(self) -> str: ...
    async def aask(self) -> str: ...
    def stream(self) -> Iterator[str]: ...
    def astream(self) -> AsyncIterator[str]: ...


class Ours:
    """A route of one target."""

    def __init__(self, target: dict[str, Any], **route: Any) -> None:
        table = {"targets": {"one": target}, "routes": {"chat": {"targets": ["one"], **route}}}
        self.route = pilotlight.load(table).route("chat")

    def ask(self) -> str:
        return self.route.complete(ASK).text

    async def aask(self) -> str:
        return (await self.route.acomplete(ASK)).text

    def stream(self) -> Iterator[str]:
        for chunk in self.route.stream(ASK):
            yield _delta(chunk)

    async def astream(self) -> AsyncIterator[str]:
        async for chunk in self.route.astream(ASK):
            yield _delta(chunk)


class Httpx:
    """httpx and json, and nothing more: nobody who stands on httpx can be cheaper."""

    path = streamed_path = "/chat/completions"
    body: Mapping[str, Any] = BODY
    streamed_body: Mapping[str, Any] = {**BODY, "stream": True}

    def __init__(self, base: str, verify: ssl.SSLContext | bool = True) -> None:
        self._url, self._streamed_url = f"{base}{self.path}", f"{base}{self.streamed_path}"
        options: dict[str, Any] = {"trust_env": False, "limits": LOOSE, "verify": verify}
        self._client = httpx.Client(**options)
        self._aclient = httpx.AsyncClient(**options, timeout=None)

    def ask(self) -> str:
        answer = self._client.post(self._url, json=self.body)
        answer.raise_for_status()
        return self.text(answer.json())

    async def aask(self) -> str:
        answer = await self._aclient.post(self._url, json=self.body)
        answer.raise_for_status()
        return self.text(answer.json())

    def stream(self) -> Iterator[str]:
        url, body = self._streamed_url, self.streamed_body
        with self._client.stream("POST", url, json=body) as answer:
            for line in answer.iter_lines():
                if line.startswith("data: {"):
                    yield self.delta(json.loads(line[6:]))

    async def astream(self) -> AsyncIterator[str]:
        url, body = self._streamed_url, self.streamed_body
        async with self._aclient.stream("POST", url, json=body) as answer:
            async for line in answer.aiter_lines():
                if line.startswith("data: {"):
                    yield self.delta(json.loads(line[6:]))

    def text(self, answer: Any) -> str:
        return str(answer["choices"][0]["message"]["content"])

    def delta(self, event: Any) -> str:
        return str(event["choices"][0]["delta"].get("content", ""))


class Claude(Httpx):
    """The same on Anthropic's wire."""

    path = streamed_path = "/v1/messages"
    body = {"model": CLAUDE, "max_tokens": 64, "messages": ASK}  # noqa: RUF012 - never changed
    streamed_body = {**body, "stream": True}  # noqa: RUF012 - never changed

    def text(self, answer: Any) -> str:
        return str(answer["content"][0]["text"])

    def delta(self, event: Any) -> str:
        return str(event.get("delta", {}).get("text", ""))


class Gemini(Httpx):
    """The same on Gemini's wire."""

    path = f"/models/{GEMINI}:generateContent"
    streamed_path = f"/models/{GEMINI}:streamGenerateContent?alt=sse"
    body = streamed_body = {"contents": [{"parts": [{"text": "hi"}]}]}  # noqa: RUF012 - never changed

    def text(self, answer: Any) -> str:
        return str(answer["candidates"][0]["content"]["parts"][0]["text"])

    def delta(self, event: Any) -> str:
        return self.text(event)


class Responses(Httpx):
    """The same on the wire of OpenAI's Responses."""

    path = streamed_path = "/responses"
    body = {"model": "gpt-5", "input": ASK}  # noqa: RUF012 - never changed
    streamed_body = {**body, "stream": True}  # noqa: RUF012 - never changed

    def text(self, answer: Any) -> str:
        return str(answer["output"][0]["content"][0]["text"])

    def delta(self, event: Any) -> str:
        return str(event["delta"]) if event["type"] == "response.output_text.delta" else ""


class OllamaHttpx(Httpx):
    """The same on Ollama's wire, where each line is an event."""

    path = streamed_path = "/api/chat"
    body = {"model": "m", "messages": ASK, "stream": False}  # noqa: RUF012 - never changed
    streamed_body = {**body, "stream": True}  # noqa: RUF012 - never changed

    def stream(self) -> Iterator[str]:
        with self._client.stream("POST", self._streamed_url, json=self.streamed_body) as answer:
            for line in answer.iter_lines():
                yield self.text(json.loads(line))

    def text(self, answer: Any) -> str:
        return str(answer["message"]["content"])


class OpenAI:
    """The openai SDK."""

    def __init__(self, base: str) -> None:
        import openai

        self._client = openai.OpenAI(base_url=base, api_key="k", max_retries=0)
        self._aclient = openai.AsyncOpenAI(base_url=base, api_key="k", max_retries=0)

    def ask(self) -> str:
        return _content(self._client.chat.completions.create(**BODY))

    async def aask(self) -> str:
        return _content(await self._aclient.chat.completions.create(**BODY))

    def stream(self) -> Iterator[str]:
        for chunk in self._client.chat.completions.create(**BODY, stream=True):
            yield _delta(chunk)

    async def astream(self) -> AsyncIterator[str]:
        async for chunk in await self._aclient.chat.completions.create(**BODY, stream=True):
            yield _delta(chunk)


class Ollama:
    """The `ollama` package's own clients."""

    def __init__(self, base: str) -> None:
        import ollama

        self._client, self._aclient = ollama.Client(base), ollama.AsyncClient(base)

    def ask(self) -> str:
        return self._client.chat("m", ASK).message.content or ""

    async def aask(self) -> str:
        return (await self._aclient.chat("m", ASK)).message.content or ""

    def stream(self) -> Iterator[str]:
        for chunk in self._client.chat("m", ASK, stream=True):
            yield chunk.message.content or ""

    async def astream(self) -> AsyncIterator[str]:
        async for chunk in await self._aclient.chat("m", ASK, stream=True):
            yield chunk.message.content or ""


def openai_wire(server: str, wait: int = 0, gap: int = 0) -> dict[str, Client]:
    """Return the clients of an OpenAI-wire target that waits so many milliseconds."""
    base = f"{server}/{wait}/{gap}/v1"
    target = {"model": f"openai/{MODEL}", "api_base": base, "api_key": "k"}
    made: dict[str, Client] = {
        RAW: Httpx(base),
        OURS: Ours(target),
        SDK: OpenAI(base),
    }
    if has_via():
        made[LITELLM] = Ours({**target, "via": "litellm"})
    return made


def claude_wire(server: str) -> dict[str, Client]:
    """Return the clients of Anthropic's wire."""
    base = f"{server}/0/0"
    return _native_wire(Claude(base), {"model": f"anthropic/{CLAUDE}", "api_base": base})


def gemini_wire(server: str) -> dict[str, Client]:
    """Return the clients of Gemini's wire."""
    base = f"{server}/0/0/v1beta"
    return _native_wire(Gemini(base), {"model": f"gemini/{GEMINI}", "api_base": base})


def _native_wire(raw: Client, target: dict[str, Any]) -> dict[str, Client]:
    target |= {"api_key": "k"}
    return {RAW: raw, OURS: Ours(target), LITELLM: Ours({**target, "via": "litellm"})}


def gathered_wire(server: str) -> dict[str, Client]:
    """Return ours whose answers are put together of a stream, and ours whose are not."""
    target = {"model": f"openai/{MODEL}", "api_base": f"{server}/0/0/v1", "api_key": "k"}
    return {OURS: Ours(target, gather="always"), PLAIN: Ours(target, gather="never")}


def ollama_wire(server: str) -> dict[str, Client]:
    """Return the clients of an Ollama; nothing is asked of the server but the chat itself."""
    base = f"{server}/0/0"
    quiet = {"health": "off", "warm": "never"}
    return {
        NATIVE: Ollama(base),
        OURS: Ours({"model": "ollama/m", "api_base": base, **quiet}),
    }


@cache
def has_via() -> bool:
    """Tell whether targets can be told to go through litellm, rather than always doing so."""
    try:
        Ours({"model": f"openai/{MODEL}", "api_key": "k", "via": "litellm"})
    except pilotlight.ConfigError:
        return False
    return True


def _content(answer: Any) -> str:
    return answer.choices[0].message.content or ""


def _delta(chunk: Any) -> str:
    return (chunk.choices[0].delta.content or "") if chunk.choices else ""
