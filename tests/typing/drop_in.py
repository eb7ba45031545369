"""The functions named as litellm's: `stream=` decides what comes back."""

from __future__ import annotations

from typing import assert_type

from litellm import ModelResponse
from litellm.types.utils import ModelResponseStream

from pilotlight import StreamRestarted, acompletion, completion
from pilotlight.doors.dropin import AsyncCompletionStream, CompletionStream

MESSAGES = [{"role": "user", "content": "hi"}]


def plain() -> None:
    assert_type(completion("openai/gpt-4o", MESSAGES, temperature=0.2), ModelResponse)
    assert_type(completion(model="openai/gpt-4o", messages=MESSAGES, stream=False), ModelResponse)
    assert_type(completion("openai/gpt-4o", MESSAGES, stream=None), ModelResponse)
    completion("openai/gpt-4o", MESSAGES, timeout="30")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]


def streamed() -> None:
    chunks = completion(model="openai/gpt-4o", messages=MESSAGES, stream=True)
    assert_type(chunks, CompletionStream)
    assert_type(next(chunks), ModelResponseStream | StreamRestarted)
    for chunk in chunks:
        assert_type(chunk, ModelResponseStream | StreamRestarted)
        assert_type(chunk.choices[0].delta.content, str | None)
    chunks.choices  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    chunks.close()


def either(stream: bool) -> None:
    """A wrapper that passes `stream` on."""
    assert_type(
        completion("openai/gpt-4o", MESSAGES, stream=stream), ModelResponse | CompletionStream
    )


async def asynchronous(stream: bool) -> None:
    assert_type(await acompletion("openai/gpt-4o", MESSAGES), ModelResponse)
    assert_type(await acompletion("openai/gpt-4o", MESSAGES, stream=False), ModelResponse)
    chunks = await acompletion("openai/gpt-4o", MESSAGES, stream=True)
    assert_type(chunks, AsyncCompletionStream)
    assert_type(await anext(chunks), ModelResponseStream | StreamRestarted)
    async for chunk in chunks:
        assert_type(chunk, ModelResponseStream | StreamRestarted)
        assert_type(chunk.choices[0].delta.content, str | None)
    await chunks.aclose()
    assert_type(
        await acompletion("openai/gpt-4o", MESSAGES, stream=stream),
        ModelResponse | AsyncCompletionStream,
    )
