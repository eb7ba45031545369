"""The SDKs' clients, guarded: how each is made, asked in four ways and two colours, and read."""

from __future__ import annotations

import asyncio
import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import pytest
from kit_exchange import dialect_at, wants_stream, well

from pilotlight.providers.relay.ways import dialect_named
from tests.providers.loopback import Loopback, said

# The line ends of Unicode are left out: Ollama's SDK cuts lines at them, guarded or not.
WORDS: Final = ("One ", 'two "2", ', "thr\u00e9e ", "\U0001f600 \n", "five ", "six.")
SAID: Final = "".join(WORDS)
SHAPES: Final = ("plain", "stream", "tools", "structured")
CALL: Final = {
    "id": "call_1", "type": "function", "index": 0,
    "function": {"name": "weather", "arguments": '{"city": "Rome"}'},
}  # fmt: skip
PERSON: Final = '{"name": "Ada", "age": 36}'
SCHEMA: Final = {
    "type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"], "additionalProperties": False,
}  # fmt: skip
ASKED: Final = [{"role": "user", "content": "hello"}]
CITY: Final = {"type": "object", "properties": {"city": {"type": "string"}}}


def pivot(message: Mapping[str, Any], finish: str) -> dict[str, Any]:
    usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    head = {"id": "x", "object": "chat.completion", "created": 1, "model": "m"}
    return {**head, "choices": [choice], "usage": usage}


def api(path: str, body: bytes) -> bytes:
    """Answer as the API of the path does: with a call of a tool, with JSON, or with words."""
    if not body:
        return said({"version": "0.33.0", "models": [], "data": [], "object": "list"})
    if path.endswith("/api/show"):
        return well(path, body)
    answer = None
    if b'"weather"' in body:
        answer = pivot({"content": None, "tool_calls": [CALL]}, "tool_calls")
    elif b'"age"' in body:
        answer = pivot({"content": PERSON}, "stop")
    if answer is None:
        answer = pivot({"content": SAID}, "stop")
    if wants_stream(path, body):
        return well(path, body, WORDS)
    dialect = dialect_at(path)
    return said(dialect_named(dialect).write_answer(answer))


@dataclass(frozen=True)
class Sdk:
    """One SDK: its client at an address, and how it is asked in each shape.

    A question returns the text, the arguments of a tool's call, or the JSON.
    """

    name: str
    dialect: str
    client: Callable[[str, bool], Any]
    ask: Callable[[Any, str], Any]  # the call's outcome, awaitable for async clients
    read: Callable[[Any, str], str]
    piece: Callable[[Any], str]
    errors: Callable[[], type[Exception]]
    status: Callable[[Any], int | None]


def _openai(url: str, asynchronous: bool) -> Any:
    import openai

    kind = openai.AsyncOpenAI if asynchronous else openai.OpenAI
    return kind(api_key="secret", base_url=f"{url}/v1", max_retries=2)


def _azure(url: str, asynchronous: bool) -> Any:
    import openai

    kind = openai.AsyncAzureOpenAI if asynchronous else openai.AzureOpenAI
    return kind(api_key="secret", azure_endpoint=url, api_version="2026-01-01")


def _groq(url: str, asynchronous: bool) -> Any:
    groq = import_module("groq")
    return (groq.AsyncGroq if asynchronous else groq.Groq)(api_key="secret", base_url=url)


def _anthropic(url: str, asynchronous: bool) -> Any:
    import anthropic

    kind = anthropic.AsyncAnthropic if asynchronous else anthropic.Anthropic
    return kind(api_key="secret", base_url=url)


def _genai(url: str, asynchronous: bool) -> Any:
    from google import genai

    return genai.Client(api_key="secret", http_options={"base_url": url, "api_version": "v1beta"})


def _mistral(url: str, asynchronous: bool) -> Any:
    return import_module("mistralai.client").Mistral(api_key="secret", server_url=url)


def _ollama(url: str, asynchronous: bool) -> Any:
    import ollama

    return (ollama.AsyncClient if asynchronous else ollama.Client)(url)


TOOL: Final = {"type": "function", "function": {"name": "weather", "parameters": CITY}}
FORMAT: Final = {"type": "json_schema", "json_schema": {"name": "person", "schema": SCHEMA}}
CHAT_OPTIONS: Final[Mapping[str, Any]] = {
    "plain": {}, "stream": {"stream": True}, "tools": {"tools": [TOOL]},
    "structured": {"response_format": FORMAT},
}  # fmt: skip


def _ask_chat(client: Any, shape: str) -> Any:
    return client.chat.completions.create(model="gpt-4o", messages=ASKED, **CHAT_OPTIONS[shape])


def _read_chat(answer: Any, shape: str) -> str:
    message = answer.choices[0].message
    return message.tool_calls[0].function.arguments if shape == "tools" else message.content


def _chat_piece(chunk: Any) -> str:
    return (chunk.choices[0].delta.content or "") if chunk.choices else ""


def _ask_responses(client: Any, shape: str) -> Any:
    options: Any = {
        "plain": {}, "stream": {"stream": True},
        "tools": {"tools": [{"type": "function", "name": "weather", "parameters": CITY}]},
        "structured": {
            "text": {"format": {"type": "json_schema", "name": "person", "schema": SCHEMA}}
        },
    }[shape]  # fmt: skip
    return client.responses.create(model="gpt-4o", input="hello", **options)


def _read_responses(answer: Any, shape: str) -> str:
    return answer.output[0].arguments if shape == "tools" else answer.output_text


def _ask_claude(client: Any, shape: str) -> Any:
    options: Any = {
        "plain": {}, "stream": {"stream": True},
        "tools": {"tools": [{"name": "weather", "input_schema": CITY}]},
        "structured": {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
    }[shape]  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return client.messages.create(
            model="claude-opus-4-8", max_tokens=99, messages=ASKED, **options
        )


def _read_claude(answer: Any, shape: str) -> str:
    block = answer.content[0]
    return json.dumps(block.input) if shape == "tools" else block.text


def _claude_piece(event: Any) -> str:
    return event.delta.text if event.type == "content_block_delta" else ""


def _ask_gemini(client: Any, shape: str) -> Any:
    models = client.models
    config: Any = {
        "tools": {
            "tools": [
                {"function_declarations": [{"name": "weather", "parameters_json_schema": CITY}]}
            ]
        },
        "structured": {
            "response_mime_type": "application/json", "response_json_schema": SCHEMA
        },
    }.get(shape)  # fmt: skip
    ask = models.generate_content_stream if shape == "stream" else models.generate_content
    return ask(model="gemini-2.5-flash", contents="hello", config=config)


def _read_gemini(answer: Any, shape: str) -> str:
    return json.dumps(answer.function_calls[0].args) if shape == "tools" else answer.text


def _ask_mistral(client: Any, shape: str) -> Any:
    chat = client.chat
    asynchronous = getattr(client, "asynchronous", False)
    name = ("stream" if shape == "stream" else "complete") + ("_async" if asynchronous else "")
    options = {} if shape == "stream" else CHAT_OPTIONS[shape]
    return getattr(chat, name)(model="mistral-small", messages=ASKED, **options)


def _ask_ollama(client: Any, shape: str) -> Any:
    options: Any = {
        "plain": {}, "stream": {"stream": True}, "tools": {"tools": [TOOL]},
        "structured": {"format": SCHEMA},
    }[shape]  # fmt: skip
    return client.chat("llama3.2", messages=ASKED, **options)


def _read_ollama(answer: Any, shape: str) -> str:
    message = answer.message
    if shape == "tools":
        return json.dumps(dict(message.tool_calls[0].function.arguments))
    return message.content


def _by_status(error: Any) -> int | None:
    return getattr(error, "status_code", None)


SDKS: Final = (
    Sdk("openai", "openai_chat", _openai, _ask_chat, _read_chat, _chat_piece,
        lambda: import_module("openai").APIError, _by_status),
    Sdk("responses", "openai_responses", _openai, _ask_responses, _read_responses,
        lambda e: e.delta if e.type == "response.output_text.delta" else "",
        lambda: import_module("openai").APIError, _by_status),
    Sdk("azure", "openai_chat", _azure, _ask_chat, _read_chat, _chat_piece,
        lambda: import_module("openai").APIError, _by_status),
    Sdk("groq", "openai_chat", _groq, _ask_chat, _read_chat, _chat_piece,
        lambda: import_module("groq").APIError, _by_status),
    Sdk("anthropic", "anthropic_messages", _anthropic, _ask_claude, _read_claude, _claude_piece,
        lambda: import_module("anthropic").APIError, _by_status),
    Sdk("genai", "gemini", _genai, _ask_gemini, _read_gemini, lambda chunk: chunk.text or "",
        lambda: import_module("google.genai.errors").APIError, lambda error: error.code),
    Sdk("mistral", "openai_chat", _mistral, _ask_mistral, _read_chat,
        lambda event: _chat_piece(event.data),
        lambda: import_module("mistralai.client.errors").MistralError, _by_status),
    Sdk("ollama", "ollama", _ollama, _ask_ollama, _read_ollama,
        lambda line: line.message.content or "",
        lambda: import_module("ollama").ResponseError, _by_status),
)  # fmt: skip
OPTIONAL: Final = {"groq": "groq", "mistral": "mistralai"}


def installed(sdk: Sdk) -> bool:
    return sdk.name not in OPTIONAL or find_spec(OPTIONAL[sdk.name]) is not None


EACH_SDK: Final = pytest.mark.parametrize(
    "sdk",
    [
        pytest.param(
            sdk, id=sdk.name,
            marks=pytest.mark.skipif(not installed(sdk), reason=f"{sdk.name} is not installed"),
        )
        for sdk in SDKS
    ],
)  # fmt: skip
COLOURS: Final = pytest.mark.parametrize("colour", ["sync", "async"])


@contextmanager
def configured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spare: Loopback | None, more: str = ""
) -> Iterator[None]:
    """A configuration whose target `spare` is an Ollama, and whose calls are not retried."""
    text = "[retry]\nmax_retries = 0\n"
    if spare is not None:
        text += f'[targets.spare]\nmodel = "ollama/llama3.2"\napi_base = "{spare.url}"\n'
        text += 'health = "off"\nwarm = "never"\n'
    path = tmp_path / "pilotlight.toml"
    path.write_text(text + more)
    monkeypatch.setenv("PILOTLIGHT_CONFIG", str(path))
    yield


def answered(sdk: Sdk, client: Any, shape: str, colour: str) -> str:
    """Ask, and return what came of it."""
    if colour == "sync":
        outcome = sdk.ask(client, shape)
        if shape == "stream":
            return "".join(sdk.piece(each) for each in outcome)
        return sdk.read(outcome, shape)

    async def run() -> str:
        asked = client.aio if sdk.name == "genai" else client
        if sdk.name == "mistral":
            object.__setattr__(client, "asynchronous", True)
        outcome = await sdk.ask(asked, shape)
        if shape == "stream":
            return "".join([sdk.piece(each) async for each in outcome])
        return sdk.read(outcome, shape)

    return asyncio.run(run())


EXPECTED: Final = {"plain": SAID, "stream": SAID, "tools": '{"city": "Rome"}', "structured": PERSON}


def same(shape: str, found: str) -> bool:
    if shape in ("tools", "structured"):
        return bool(json.loads(found) == json.loads(EXPECTED[shape]))
    return found == EXPECTED[shape]
