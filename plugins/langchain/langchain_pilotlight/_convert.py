"""Between LangChain's shapes and the core's: messages, tools, answers, receipts."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk
from langchain_core.utils.function_calling import convert_to_openai_tool

from pilotlight import Receipt
from pilotlight.extension import AnswerView, Facts

KEY: Final = "pilotlight"  # in `response_metadata` and in an agent's state
_FINISH: Final = ("finish_reason", "stop_reason", "done_reason")
_OTHER: Final = ("reasoning_content", "refusal", "audio", "parsed")
# What every provider has, by OpenAI's name, where a class has the field under another.
_ALIASES: Final[Mapping[str, tuple[str, ...]]] = {
    "max_tokens": ("max_tokens", "num_predict", "max_output_tokens"),
    "max_completion_tokens": ("max_tokens", "num_predict", "max_output_tokens"),
}
_COMMON: Final = ("temperature", "top_p", "seed", *_ALIASES)


# What is sent.


def portable(messages: Sequence[BaseMessage], provider: str) -> list[BaseMessage]:
    """Return a history that this provider's model understands, whoever has spoken before.

    What another provider's model said is handed on as text and tool calls: its thinking,
    signatures and server-side tools mean nothing here.  Cache marks are Anthropic's.
    """
    return [_portable(message, provider) for message in messages]


def _portable(message: BaseMessage, provider: str) -> BaseMessage:
    content = message.content
    if isinstance(message, AIMessage):
        speaker = message.response_metadata.get("model_provider")
        if speaker == provider or (speaker is None and isinstance(content, str)):
            return message
        return AIMessage(
            content=str(message.text),
            tool_calls=message.tool_calls,
            invalid_tool_calls=message.invalid_tool_calls,
            id=message.id,
            name=message.name,
        )
    if provider == "anthropic" or isinstance(content, str):
        return message
    kept = message.content_blocks if any(_has(block, "source") for block in content) else content
    if kept is content and not any(_has(block, "cache_control") for block in content):
        return message
    return message.model_copy(update={"content": [_without_mark(block) for block in kept]})


def _has(block: Any, key: str) -> bool:
    """Tell whether a block has a key of Anthropic's: `source` holds its images."""
    return isinstance(block, dict) and key in block


def _without_mark(block: Any) -> Any:
    if not isinstance(block, dict):
        return block
    return {key: value for key, value in block.items() if key != "cache_control"}


def portable_tools(tools: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Return the tools that every provider knows: functions; a vendor's own search is not."""
    return [convert_to_openai_tool(tool) for tool in tools if _is_function(tool)]


def _is_function(tool: Mapping[str, Any]) -> bool:
    """Tell a function, as OpenAI, Anthropic or a JSON schema has it, from a server's own tool."""
    if tool.get("function"):
        return True
    named = tool.get("name") or tool.get("title")
    described = tool.get("parameters") or tool.get("input_schema") or tool.get("properties")
    return bool(named and described)


def in_common(
    model: BaseChatModel, given: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return of what is bound what goes into the call, and what are settings of this class."""
    fields = type(model).model_fields
    settings: dict[str, Any] = {}
    for name in _COMMON:
        if given.get(name) is not None:
            names = (each for each in _ALIASES.get(name, (name,)) if each in fields)
            if (field := next(names, None)) is not None:
                settings[field] = given[name]
    wanted = given.get("response_format")
    return ({} if wanted is None else {"response_format": wanted}), settings


# What came back.


def with_ids(message: AIMessage) -> None:
    """Give an id to each tool call that has none: an agent matches the results by it."""
    for call in message.tool_calls:
        call["id"] = call.get("id") or new_id()


def new_id() -> str:
    """Return an id for a tool call."""
    return f"call_{uuid.uuid4().hex}"


def as_chunk(message: BaseMessage) -> ChatGenerationChunk:
    """Return a whole answer as the only chunk of a stream."""
    assert isinstance(message, AIMessage)
    if isinstance(message, AIMessageChunk):
        return ChatGenerationChunk(message=message)
    chunk = AIMessageChunk(
        **message.model_dump(exclude={"type", "tool_calls"}), tool_calls=message.tool_calls
    )
    return ChatGenerationChunk(message=chunk)


class Notes:
    """What has been seen of an answer, whole or in chunks: for the core's judge and the receipt."""

    def __init__(self) -> None:
        self.calls = False
        self._choices = 0
        self._pieces: list[str] = []
        self._other = False
        self._finish: str | None = None
        self._model: str | None = None
        self._tokens: list[UsageMetadata] = []

    @property
    def text(self) -> str:
        """The text so far."""
        return "".join(self._pieces)

    def add(self, generation: ChatGeneration) -> None:
        """Take note of an answer or a chunk of one."""
        message = generation.message
        self._choices = 1
        self._pieces.append(str(message.text))
        if not isinstance(message, AIMessage):
            return
        self.calls = self.calls or _calls(message)
        self._other = self._other or _other_content(message)
        said = {**(generation.generation_info or {}), **message.response_metadata}
        self._finish = _first(said, _FINISH) or self._finish
        self._model = _first(said, ("model_name", "model")) or self._model
        if message.usage_metadata:
            self._tokens.append(message.usage_metadata)

    @property
    def view(self) -> AnswerView:
        """What the core's judge looks at."""
        return AnswerView(
            self._choices,
            self.text,
            tool_calls=self.calls,
            finish_reason=self._finish,
            other_content=self._other,
        )

    @property
    def facts(self) -> Facts:
        """What the receipt tells."""
        tokens = self._tokens
        return Facts(
            model=self._model,
            prompt_tokens=sum(each["input_tokens"] for each in tokens) if tokens else None,
            completion_tokens=sum(each["output_tokens"] for each in tokens) if tokens else None,
            finish_reason=self._finish,
        )


def _calls(message: AIMessage) -> bool:
    chunks = getattr(message, "tool_call_chunks", None)
    return bool(message.tool_calls or message.invalid_tool_calls or chunks)


def _other_content(message: AIMessage) -> bool:
    """Tell whether there is content that is neither text nor a tool call."""
    if any(message.additional_kwargs.get(key) for key in _OTHER):
        return True
    blocks = message.content if isinstance(message.content, list) else []
    return any(isinstance(block, dict) and block.get("type") != "text" for block in blocks)


def _first(said: Mapping[str, Any], names: Sequence[str]) -> str | None:
    found = (said.get(name) for name in names)
    return next((value for value in found if isinstance(value, str) and value), None)


def says(chunk: ChatGenerationChunk) -> bool:
    """Tell whether a chunk carries text or a tool call."""
    message = chunk.message
    return bool(str(message.text)) or bool(getattr(message, "tool_call_chunks", None))


def told(receipt: Receipt, first: str) -> dict[str, Any]:
    """Return the receipt as plain data, with `reason`: why `first` did not answer, if so."""
    reason: str | None = None
    if receipt.failed_over:
        skips = [skip.reason for skip in receipt.skipped if skip.target == first]
        faults = [str(a.fault) for a in receipt.attempts if a.target == first and a.fault]
        reason = next(iter([*faults, *skips]), None)
    plain: dict[str, Any] = json.loads(json.dumps(receipt.to_dict()))  # also for checkpoints
    return {**plain, "reason": reason}
