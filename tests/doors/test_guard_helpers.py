"""What SDKs build on their calls works on guarded ones, with the provider well and gone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import anthropic
import openai
import pytest
from google import genai
from kit_exchange import refusing, wants_stream
from kit_guard import ASKED, PERSON, SAID, WORDS, api, configured
from pydantic import BaseModel

from pilotlight import guard
from pilotlight.dialects import openai_responses
from pilotlight.doors.exchange.framing import FRAMINGS
from tests.providers.loopback import Loopback, reply

CLAUDE: Final[dict[str, Any]] = {"model": "claude-opus-4-8", "max_tokens": 99, "messages": ASKED}
GPT: Final[dict[str, Any]] = {"model": "gpt-4o", "messages": ASKED}


class Person(BaseModel):
    """Somebody."""

    name: str
    age: int


def in_full(path: str, body: bytes) -> bytes:
    """Stream a response with every event that its API has, as a helper expects."""
    if not (path.endswith("/responses") and wants_stream(path, body)):
        return api(path, body)
    writer, head = openai_responses.writer(), {"id": "r", "created": 1, "model": "m"}
    said = [{"content": word} for word in WORDS]
    choices = [{"index": 0, "delta": delta, "finish_reason": None} for delta in said]
    choices.append({"index": 0, "delta": {}, "finish_reason": "stop"})
    events = [e for choice in choices for e in writer.feed({**head, "choices": [choice]})]
    frame = FRAMINGS["openai_responses"].frame
    return reply(b"".join(map(frame, [*events, *writer.finish()])), kind="text/event-stream")


@contextmanager
def clients(
    well: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[Any], Any]]:
    with (
        Loopback(in_full if well else refusing(503)) as primary,
        Loopback(api) as spare,
        configured(tmp_path, monkeypatch, spare),
    ):
        made: dict[Any, Callable[[], Any]] = {
            openai: lambda: openai.OpenAI(api_key="k", base_url=primary.url),
            anthropic: lambda: anthropic.Anthropic(api_key="k", base_url=primary.url),
            genai: lambda: genai.Client(api_key="k", http_options={"base_url": primary.url}),
        }
        yield lambda kind: guard(made[kind](), fallback="spare")


def gpt_parse(client: Any) -> Any:
    parsed = client.chat.completions.parse(**GPT, response_format=Person)
    return parsed.choices[0].message.parsed


def gpt_stream(client: Any) -> str:
    with client.chat.completions.stream(**GPT) as stream:
        list(stream)
        return str(stream.get_final_completion().choices[0].message.content)


def gpt_raw(client: Any) -> str:
    raw = client.chat.completions.with_raw_response.create(**GPT)
    assert raw.headers["x-pilotlight-receipt"]
    return str(raw.parse().choices[0].message.content)


def gpt_streaming_response(client: Any) -> str:
    with client.chat.completions.with_streaming_response.create(**GPT) as raw:
        assert raw.headers["x-pilotlight-served-by"]
        return str(json.loads(raw.read())["choices"][0]["message"]["content"])


def responses_parse(client: Any) -> Any:
    return client.responses.parse(model="gpt-4o", input="hello", text_format=Person).output_parsed


def responses_stream(client: Any) -> str:
    with client.responses.stream(model="gpt-4o", input="hello") as stream:
        list(stream)
        return str(stream.get_final_response().output_text)


def claude_stream(client: Any) -> str:
    with client.messages.stream(**CLAUDE) as stream:
        text = "".join(stream.text_stream)
        assert stream.get_final_text() == text
        return text


def claude_parse(client: Any) -> Any:
    return client.messages.parse(**CLAUDE, output_format=Person).parsed_output


def gemini_chat(client: Any) -> str:
    return str(client.chats.create(model="gemini-2.5-flash").send_message("hello").text)


def gemini_parse(client: Any) -> Any:
    config = {"response_mime_type": "application/json", "response_schema": Person}
    found = client.models.generate_content(model="gemini-2.5-flash", contents="hi", config=config)
    return found.parsed


def copied(client: Any) -> str:
    other = client.with_options(timeout=30, max_retries=0)
    return str(other.chat.completions.create(**GPT).choices[0].message.content)


HELPERS: Final[list[tuple[Any, Callable[[Any], Any], Any]]] = [
    (openai, gpt_parse, Person.model_validate_json(PERSON)),
    (openai, gpt_stream, SAID),
    (openai, gpt_raw, SAID),
    (openai, gpt_streaming_response, SAID),
    (openai, responses_parse, Person.model_validate_json(PERSON)),
    (openai, responses_stream, SAID),
    (openai, copied, SAID),
    (anthropic, claude_stream, SAID),
    (anthropic, claude_parse, Person.model_validate_json(PERSON)),
    (genai, gemini_chat, SAID),
    (genai, gemini_parse, Person.model_validate_json(PERSON)),
]


@pytest.mark.parametrize("well", [True, False], ids=["well", "gone"])
@pytest.mark.parametrize(
    ("sdk", "ask", "expected"), HELPERS, ids=lambda it: getattr(it, "__name__", "")
)
def test_a_helper_of_the_sdk_works(
    sdk: Any,
    ask: Callable[[Any], Any],
    expected: Any,
    well: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with clients(well, tmp_path, monkeypatch) as client:
        assert ask(client(sdk)) == expected


def test_a_tool_runner_runs_its_tool_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []

    @anthropic.beta_tool
    def weather(city: str) -> str:
        """Tell the weather."""
        ran.append(city)
        return "sunny"

    def say(path: str, body: bytes) -> bytes:
        done = b'"tool_result"' in body or b'"role":"tool"' in body
        return api(path, body.replace(b'"weather"', b'"x"') if done else body)

    with (
        Loopback(say) as primary,
        configured(tmp_path, monkeypatch, None),
    ):
        client = guard(anthropic.Anthropic(api_key="k", base_url=primary.url))
        runner = client.beta.messages.tool_runner(**CLAUDE, tools=[weather])
        assert runner.until_done().content[0].text == SAID
    assert ran == ["Rome"]
