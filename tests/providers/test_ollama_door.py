"""An Ollama target in an SDK's hands: asked by its own API, with its context, and read whole."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import openai
import pytest

from pilotlight import AllTargetsFailed, Pilotlight, Route, failover, receipts
from pilotlight.catalog.litellm_module import litellm
from pilotlight.config.schema import parse
from pilotlight.registry import Registry
from tests.providers.loopback import Loopback, Say, reply, said

HELLO: Final = [{"role": "user", "content": "hello"}]
LONG: Final = [{"role": "user", "content": "one two three four five " * 900}]
COLOURS: Final = pytest.mark.parametrize("colour", ["sync", "async"])
STREAM: Final = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
CALL: Final = {"function": {"name": "f", "arguments": {"a": 1}}}


def answering(read: int = 3, **message: Any) -> Say:
    def say(_path: str, body: bytes) -> bytes:
        line = {"model": "m", "message": {"role": "assistant", "content": "hi", **message}}
        done = {"done": True, "done_reason": "stop", "prompt_eval_count": read, "eval_count": 4}
        if json.loads(body)["stream"]:
            end = {"model": "m", "message": {"role": "assistant", "content": ""}, **done}
            lines = [{**line, "done": False}, end]
            data = b"".join(json.dumps(each).encode() + b"\n" for each in lines)
            return reply(data, kind="application/x-ndjson")
        return said({**line, **done})

    return say


@contextmanager
def serving(say: Say, **more: Any) -> Iterator[tuple[Loopback, Route]]:
    with Loopback(say) as server:
        target = {
            "model": "ollama/llama3.2", "api_base": server.url, "context": 2048, **more,
            "retry": {"max_retries": 0}, "health": "off", "warm": "never",
        }  # fmt: skip
        data = {"targets": {"t": target}, "routes": {"r": {"targets": ["t"]}}}
        with Pilotlight(parse(data, "test"), registry=Registry()) as app:
            yield server, app.route("r")


def ask(route: Route, colour: str, stream: bool, messages: list[Any], **options: Any) -> Any:
    """Ask inside a decorated function; return the message, or the pieces of a stream."""
    if colour == "sync":

        @failover(route)
        def call(*, target: Any) -> Any:
            client = openai.OpenAI(**target.openai_kwargs)
            found = client.chat.completions.create(
                model=target.model, messages=messages, stream=stream, **options
            )
            return list(found) if stream else found

        return call()

    @failover(route)
    async def acall(*, target: Any) -> Any:
        client = openai.AsyncOpenAI(**target.openai_kwargs)
        found = await client.chat.completions.create(
            model=target.model, messages=messages, stream=stream, **options
        )
        return [each async for each in found] if stream else found

    return asyncio.run(acall())


@COLOURS
@STREAM
def test_a_chat_goes_by_ollama_s_own_api_with_the_target_s_context(
    stream: bool, colour: str
) -> None:
    with serving(answering(), keep_alive="9m") as (server, route), receipts() as log:
        found = ask(route, colour, stream, HELLO, temperature=0.5)
    (path, body), sent = server.asked[0], json.loads(server.asked[0][1])
    assert (path, len(server.asked)) == ("/api/chat", 1)
    assert sent["options"] == {"num_ctx": 2048, "temperature": 0.5}
    assert (sent["truncate"], sent["keep_alive"], sent["stream"]) == (False, "9m", stream)
    assert body
    said_ = "".join(c.choices[0].delta.content or "" for c in found) if stream else None
    assert (said_ or found.choices[0].message.content) == "hi"
    assert log[0].outcome == "primary"


@COLOURS
@STREAM
def test_tools_and_usage_come_in_openai_s_shape(stream: bool, colour: str) -> None:
    options: Any = {"stream_options": {"include_usage": True}} if stream else {}
    with serving(answering(content="", tool_calls=[CALL])) as (_, route):
        found = ask(route, colour, stream, HELLO, **options)
    usage = found[-1].usage if stream else found.usage
    assert (usage.prompt_tokens, usage.completion_tokens) == (3, 4)
    calls = (
        [call for c in found for choice in c.choices for call in choice.delta.tool_calls or ()]
        if stream
        else found.choices[0].message.tool_calls
    )
    assert [json.loads(call.function.arguments) for call in calls] == [{"a": 1}]
    assert all(call.id for call in calls)


@COLOURS
@STREAM
def test_a_prompt_that_was_read_in_part_is_no_answer(stream: bool, colour: str) -> None:
    with (
        serving(answering(read=2000)) as (_, route),
        receipts() as log,
        pytest.raises(Exception, match="read 2000 of about"),
    ):
        ask(route, colour, stream, LONG)
    assert [each.fault for each in log[0].attempts] == ["context_exceeded"]


@COLOURS
@STREAM
@pytest.mark.parametrize("status", [400, 404, 500, 503])
def test_a_refusal_reaches_the_sdk_as_its_own_class(status: int, stream: bool, colour: str) -> None:
    caught: list[Exception] = []

    def noted(messages: Any) -> Any:
        try:
            return ask(route, colour, stream, messages)
        except Exception as error:
            caught.append(error)
            raise

    with (
        serving(lambda _path, _body: said({"error": "no"}, status)) as (_, route),
        receipts() as log,
        pytest.raises((openai.APIStatusError, AllTargetsFailed)),
    ):
        noted(HELLO)
    assert log[0].attempts[0].status == status


@COLOURS
def test_what_ollama_can_t_be_asked_is_the_caller_s_mistake(colour: str) -> None:
    with (
        serving(answering()) as (server, route),
        receipts() as log,
        pytest.raises(openai.BadRequestError),
    ):
        ask(route, colour, False, [{"role": "user", "content": [{"type": "input_audio"}]}])
    assert server.asked == []
    assert [each.fault for each in log[0].attempts] == ["invalid_request"]
    assert route.targets[0].health.breaker.retry_after is None


@COLOURS
@STREAM
def test_litellm_asks_by_it_too(stream: bool, colour: str) -> None:
    module = litellm()
    with serving(answering()) as (server, route):
        if colour == "sync":

            @failover(route)
            def call(*, target: Any) -> Any:
                found = module.completion(messages=HELLO, stream=stream, **target.litellm_kwargs)
                return list(found) if stream else found

            call()
        else:

            @failover(route)
            async def acall(*, target: Any) -> Any:
                found = await module.acompletion(
                    messages=HELLO, stream=stream, **target.litellm_kwargs
                )
                return [each async for each in found] if stream else found

            asyncio.run(acall())
    assert [path for path, _ in server.asked] == ["/api/chat"]


@pytest.mark.parametrize("path", ["/v1/embeddings", "/v1/completions", "/v1/other"])
def test_any_other_request_goes_as_it_is(path: str) -> None:
    with serving(lambda _path, body: reply(body)) as (server, route):

        @failover(route)
        def call(*, target: Any) -> Any:
            return target.http_client().post(server.url + path, content=b'{"x": 1}').content

        assert call() == b'{"x": 1}'
    assert server.asked == [(path, b'{"x": 1}')]
