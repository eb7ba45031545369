"""Between LangChain's messages and OpenAI's shape, which a `Route` speaks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    InvalidToolCall,
    ToolCall,
    convert_to_openai_messages,
)
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.output_parsers.openai_tools import make_invalid_tool_call, parse_tool_call
from langchain_core.outputs import ChatGenerationChunk

from langchain_pilotlight._convert import new_id, portable


def to_openai(messages: Sequence[BaseMessage]) -> list[dict[str, Any]]:
    """Return the messages as a route takes them; tool calls travel apart from the content."""
    return convert_to_openai_messages(portable(messages, ""))


def from_openai(response: Any) -> AIMessage:
    """Return an OpenAI-shaped reply as a message."""
    choice = response.choices[0]
    calls, invalid = _tool_calls(choice.message.tool_calls or ())
    return AIMessage(
        content=choice.message.content or "",
        tool_calls=calls,
        invalid_tool_calls=invalid,
        usage_metadata=usage(response),
        response_metadata=_metadata(response.model, choice.finish_reason),
        additional_kwargs=_thoughts(choice.message),
    )


def _tool_calls(given: Sequence[Any]) -> tuple[list[ToolCall], list[InvalidToolCall]]:
    calls: list[ToolCall] = []
    invalid: list[InvalidToolCall] = []
    for each in given:
        raw = each.model_dump()
        raw["id"] = raw.get("id") or new_id()
        try:
            parsed = parse_tool_call(raw, return_id=True)
            calls.append(cast("ToolCall", parsed))
        except Exception as error:  # the model's JSON: the agent is told of it
            invalid.append(make_invalid_tool_call(raw, str(error)))
    return calls, invalid


def usage(response: Any) -> UsageMetadata | None:
    """Return the tokens, where they are told."""
    told = getattr(response, "usage", None)
    if told is None or told.prompt_tokens is None:
        return None
    given, made = told.prompt_tokens, told.completion_tokens or 0
    return UsageMetadata(input_tokens=given, output_tokens=made, total_tokens=given + made)


def _thoughts(message: Any) -> dict[str, Any]:
    thoughts = getattr(message, "reasoning_content", None)
    return {"reasoning_content": thoughts} if thoughts else {}


def _metadata(model: str | None, finish: str | None) -> dict[str, Any]:
    return {"model_name": model or "", "model_provider": "pilotlight", "finish_reason": finish}


class Chunks:
    """Turns OpenAI-shaped chunks into LangChain's; what must stand on one chunk stands on one."""

    def __init__(self) -> None:
        self._ids: set[int] = set()  # the indices of tool calls that have an id
        self._finished = False

    def chunk(self, given: Any) -> ChatGenerationChunk:
        """Return one chunk."""
        choice = given.choices[0] if given.choices else None
        delta = getattr(choice, "delta", None)
        finish = getattr(choice, "finish_reason", None)
        metadata: dict[str, Any] = {}
        if finish and not self._finished:
            self._finished = True
            metadata = _metadata(given.model, finish)
        message = AIMessageChunk(
            content=getattr(delta, "content", None) or "",
            tool_call_chunks=[
                self._part(part) for part in getattr(delta, "tool_calls", None) or ()
            ],
            usage_metadata=usage(given),
            response_metadata=metadata,
            additional_kwargs=_thoughts(delta),
        )
        return ChatGenerationChunk(message=message)

    def _part(self, part: Any) -> Any:
        """Return a piece of a tool call; the first of each has an id, if need be one of ours."""
        name, said = part.function.name, part.id
        if part.index not in self._ids:
            self._ids.add(part.index)
            said = said or new_id()
        return tool_call_chunk(name=name, args=part.function.arguments, id=said, index=part.index)
