"""Each of the five dialects beside raw httpx on the same wire, the official SDK and litellm.

A call and a stream by their CPU; the first answer of a new process by the clock, and by the most
memory that the process has held.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final

from benchmarks import calls, imports, streams
from benchmarks.canned import CHUNKS, canned
from benchmarks.clients import (
    ASK,
    CLAUDE,
    GEMINI,
    MODEL,
    Claude,
    Client,
    Gemini,
    Httpx,
    Ollama,
    OllamaHttpx,
    OpenAI,
    Ours,
    Responses,
)
from benchmarks.rows import Row
from benchmarks.versus import LITELLM, OURS, RAW, versus

CALL, STREAM = 1.1, 1.4  # times raw httpx, in CPU
FIRST, MEMORY = 0.25, 25.0  # seconds and MiB over raw httpx
ROUNDS = 2  # of first answers
SDK: Final = "official SDK"
FIRST_RAW = """
import httpx
with httpx.Client(trust_env=False) as client:
    client.post({url!r}, json={body!r}).json()
"""
QUIET = "import warnings; warnings.simplefilter('ignore')"  # a model's end is no matter here


class ResponsesSDK:
    """The openai SDK on Responses."""

    def __init__(self, base: str) -> None:
        import openai

        self._client = openai.OpenAI(base_url=base, api_key="k", max_retries=0)

    def ask(self) -> str:
        return self._client.responses.create(model="gpt-5", input="hi").output_text

    def stream(self) -> Iterator[str]:
        for event in self._client.responses.create(model="gpt-5", input="hi", stream=True):
            yield event.delta if event.type == "response.output_text.delta" else ""


class AnthropicSDK:
    """The anthropic SDK."""

    def __init__(self, base: str) -> None:
        import anthropic

        self._client = anthropic.Anthropic(base_url=base, api_key="k", max_retries=0)
        self._asked: dict[str, Any] = {"model": "claude-x", "max_tokens": 64, "messages": ASK}

    def ask(self) -> str:
        block: Any = self._client.messages.create(**self._asked).content[0]
        return str(block.text)

    def stream(self) -> Iterator[str]:
        for event in self._client.messages.create(**self._asked, stream=True):
            yield event.delta.text if event.type == "content_block_delta" else ""


class GoogleSDK:
    """google-genai."""

    def __init__(self, base: str) -> None:
        from google import genai

        options = genai.types.HttpOptions(base_url=base)
        self._client = genai.Client(api_key="k", http_options=options)  # closed when let go of
        self._models = self._client.models

    def ask(self) -> str:
        return self._models.generate_content(model=GEMINI, contents="hi").text or ""

    def stream(self) -> Iterator[str]:
        for chunk in self._models.generate_content_stream(model=GEMINI, contents="hi"):
            yield chunk.text or ""


@dataclass(frozen=True, slots=True)
class Wire:
    """How one API is asked: raw, by its maker's SDK, and by us."""

    raw: type[Httpx]
    sdk: Any
    sdk_path: str
    model: str
    path: str = ""
    options: Mapping[str, Any] = field(default_factory=lambda: {"api_key": "k"})
    litellm: bool = True

    def target(self, server: str) -> dict[str, Any]:
        return {"model": self.model, "api_base": f"{server}/0/0{self.path}", **self.options}


WIRES: Final[Mapping[str, Wire]] = {
    "OpenAI chat": Wire(Httpx, OpenAI, "/v1", f"openai/{MODEL}", "/v1"),
    "OpenAI Responses": Wire(Responses, ResponsesSDK, "/v1", "openai/responses/gpt-5", "/v1"),
    "Claude": Wire(Claude, AnthropicSDK, "", f"anthropic/{CLAUDE}"),
    "Gemini": Wire(Gemini, GoogleSDK, "", f"gemini/{GEMINI}", "/v1beta"),
    "Ollama": Wire(
        OllamaHttpx, Ollama, "", "ollama/m", "", {"health": "off", "warm": "never"}, litellm=False
    ),
}


def rows() -> list[Row]:
    """Measure."""
    found: list[Row] = []
    with canned() as server:
        for name, wire in WIRES.items():
            clients = _clients(server, wire)
            cpu = calls.measured(clients)
            whole = streams.spent_of(streams.measured(clients))
            found += [
                versus(f"{name}: a call", cpu, RAW, CALL, "dialects"),
                versus(f"{name}: a {CHUNKS}-chunk stream", whole, RAW, STREAM, "dialects"),
                *_first(name, imports.measured(_codes(server, wire), ROUNDS)),
            ]
    return found


def _clients(server: str, wire: Wire) -> dict[str, Client]:
    target = wire.target(server)
    made: dict[str, Any] = {
        RAW: wire.raw(f"{server}/0/0{wire.path}"),
        OURS: Ours(target),
        SDK: wire.sdk(f"{server}/0/0{wire.sdk_path}"),
    }
    if wire.litellm:
        made[LITELLM] = Ours({**target, "via": "litellm"})
    return made


def _codes(server: str, wire: Wire) -> dict[str, str]:
    """Return what processes do until they have their first answer."""
    target, base = wire.target(server), f"{server}/0/0"
    url = f"{base}{wire.path}{wire.raw.path}"
    sdk = SDKS[wire.sdk.__name__].format(base=base + wire.sdk_path, model=GEMINI)
    made = {
        RAW: FIRST_RAW.format(url=url, body=dict(wire.raw.body)),
        OURS: imports.FIRST.format(target=target),
        SDK: f"{QUIET}\n{sdk}",
    }
    if wire.litellm:
        made[LITELLM] = imports.FIRST.format(target={**target, "via": "litellm"})
    return {who: f"{AS_INSTALLED}\n{code}" for who, code in made.items()}


# The redis client is an extra, which pybreaker imports where it is there; here it is for the tests.
AS_INSTALLED = "import sys; sys.modules['redis'] = None"
ASKED = json.dumps(ASK)
SDKS: Final[Mapping[str, str]] = {
    "OpenAI": "import openai; c = openai.OpenAI(base_url={base!r}, api_key='k')\n"
    "c.chat.completions.create(model='gpt-4o', messages=[]).choices[0].message.content",
    "ResponsesSDK": "import openai; c = openai.OpenAI(base_url={base!r}, api_key='k')\n"
    "c.responses.create(model='gpt-5', input='hi').output_text",
    "AnthropicSDK": "import anthropic; c = anthropic.Anthropic(base_url={base!r}, api_key='k')\n"
    "c.messages.create(model='claude-x', max_tokens=9, messages=[]).content[0].text",
    "GoogleSDK": "from google import genai\n"
    "o = genai.types.HttpOptions(base_url={base!r})\n"
    "c = genai.Client(api_key='k', http_options=o)\n"
    "c.models.generate_content(model={model!r}, contents='hi').text",
    "Ollama": "import ollama; ollama.Client({base!r}).chat('m', []).message.content",
}


def _first(name: str, found: imports.Found) -> list[Row]:
    walls = {who: [each[0] for each in rounds] for who, rounds in found.items()}
    held = {who: [each[2] for each in rounds] for who, rounds in found.items()}
    return [
        _over(f"{name}: first answer of a process", walls, FIRST, "s", 2),
        _over(f"{name}: memory of that process", held, MEMORY, "MiB", 0),
    ]


def _over(
    figure: str, found: Mapping[str, list[float]], limit: float, unit: str, digits: int
) -> Row:
    middle = {who: median(rounds) for who, rounds in found.items()}
    added = middle[OURS] - middle[RAW]
    told = [
        f"{who} {value:.{digits}f} {unit}"
        for who, value in middle.items()
        if who not in (OURS, RAW)
    ]
    return Row(
        figure,
        f"{added:+.{digits}f} {unit}: {middle[OURS]:.{digits}f}; {RAW} {middle[RAW]:.{digits}f}",
        f"<= {RAW} + {limit:g} {unit}",
        added <= limit,
        "; ".join(told) + " (live)",
        found,
        "dialects",
    )
