"""What an OpenAI-shaped answer says, gathered for the judge and for the receipt."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Final

from pilotlight.core.health.lifecycle import Notice
from pilotlight.core.provider import Facts
from pilotlight.diagnosis.classify import AnswerView, substituted
from pilotlight.diagnosis.judge import CUT
from pilotlight.diagnosis.retirement_notices import announced, notice_in, notice_in_table
from pilotlight.dialects.history import acts
from pilotlight.vocabulary.faults import Fault
from pilotlight.wire.field_types import (
    calls_tools,
    choices_of,
    count_in,
    name_in,
    of,
    refusal_in,
    text_in,
)
from pilotlight.wire.tap import Tap, skips_of

_MODEL = re.compile(rb'"(?:model|modelVersion)"\s*:\s*"([^"\\]{1,200})"')


def view_of(response: Any, asked: str | None, tap: Tap) -> AnswerView:
    """Return what a whole response says.

    Raises ProviderFault (malformed_response) where it does not say it in the promised kinds.
    """
    choices = choices_of(response)
    first = choices[0] if choices else None
    message = of(first, "message")
    finish = text_in(first, "finish_reason")
    return AnswerView(
        choices=len(choices),
        text=text_in(message, "content"),
        tool_calls=calls_tools(message),
        finish_reason=finish,
        model_asked=asked,
        model_answered=model_on_wire(tap) or name_in(response, "model"),
        other_content=_says_more(message) or _thought(response, finish),
    )


_OWN: Final = "provider_specific_fields"
_MORE: Final = ("reasoning_content", "reasoning", "thinking", "audio", "images", "other_parts")


def _says_more(message: Any) -> bool:
    """Tell content that is neither text nor a tool call; a refusal in words is an answer."""
    more = any(of(message, name) for name in _MORE) or acts(of(message, _OWN))
    return more or refusal_in(message) is not None


def _thought(response: Any, finish: str | None) -> bool:
    """Tell whether hidden reasoning took all the tokens that the caller allowed."""
    if finish not in CUT:
        return False
    usage = of(response, "usage")
    return bool(count_in(of(usage, "completion_tokens_details"), "reasoning_tokens"))


def model_on_wire(tap: Tap) -> str | None:
    """Return the model that the response itself names; litellm may repeat the one asked for.

    Cohere names none, but what it cites may.
    """
    if tap.wire == "cohere":
        return None
    found = _MODEL.search(tap.head)
    return found[1].decode("utf-8", "replace") if found else None


def facts_of(view: AnswerView, tap: Tap, response: Any) -> Facts:
    """Return what the receipt keeps of an answer."""
    usage = of(response, "usage")
    asked, answered = view.model_asked, view.model_answered
    other = bool(asked and answered and substituted(asked, answered))
    return Facts(
        model=answered,
        prompt_tokens=count_in(usage, "prompt_tokens"),
        completion_tokens=count_in(usage, "completion_tokens"),
        finish_reason=view.finish_reason,
        status=tap.status,
        flags=((Fault.MODEL_SUBSTITUTED,) if other else ()) + skips_of(tap),
        notice=_notice(tap, asked),
        response_id=name_in(response, "id"),
        cached_tokens=_part(usage, "prompt_tokens_details", "cached_tokens"),
        reasoning_tokens=_part(usage, "completion_tokens_details", "reasoning_tokens"),
        written_tokens=count_in(usage, "cache_creation_input_tokens") or None,
        heard_tokens=_part(usage, "prompt_tokens_details", "audio_tokens"),
        spoken_tokens=_part(usage, "completion_tokens_details", "audio_tokens"),
        own=tap.ledger.own,
        loading=tap.loading,
    )


def _part(usage: Any, details: str, name: str) -> int | None:
    """Return a part of the tokens, where the provider tells it; a part of none is not told."""
    return count_in(of(usage, details), name) or None


def _notice(tap: Tap, asked: str | None) -> Notice | None:
    """Return what is known of the model's end: from the answer itself, else from litellm."""
    said = notice_in(tap.headers) if announced(tap.headers) else None
    return said or (notice_in_table(asked) if asked else None)


_SHOWN: Final = ("images", "audio", "refusal")
_THOUGHT: Final = ("reasoning_content", "reasoning", "thinking_blocks")


def _said(delta: Any, name: str) -> Any:
    return getattr(delta, name, None)


class ChunkNotes:
    """What a stream has said so far."""

    __slots__ = (
        "_asked",
        "_finished",
        "_pieces",
        "_wanted",
        "answered",
        "choices",
        "committed",
        "finish_reason",
        "id",
        "other",
        "tool_calls",
        "usage",
    )

    def __init__(self, asked: str, options: Mapping[str, Any] = MappingProxyType({})) -> None:
        self._asked = asked
        self._wanted = options.get("n") or 1
        self._finished: set[int] = set()  # choices by their index
        self._pieces: list[str] = []
        self.answered: str | None = None
        self.choices = 0
        self.committed = False
        self.finish_reason: str | None = None
        self.id: str | None = None
        self.other = False
        self.tool_calls = False
        self.usage: Any = None

    @property
    def text(self) -> str:
        """The text so far."""
        return "".join(self._pieces)

    @property
    def whole(self) -> bool:
        """Whether the finish reason of every choice that was asked for has been handed on."""
        return len(self._finished) >= self._wanted

    def finished(self, chunk: Any) -> bool:
        """Tell whether a chunk names a finish reason."""
        choices = getattr(chunk, "choices", None) or ()
        return any(getattr(choice, "finish_reason", None) for choice in choices)

    def add(self, chunk: Any) -> None:
        """Take note of one chunk.

        Raises ProviderFault (malformed_response) for one of other kinds than promised.
        """
        if (usage := getattr(chunk, "usage", None)) is not None:
            self.usage = usage
        choices = getattr(chunk, "choices", None)
        if not choices:
            return
        first = choices[0] if isinstance(choices, list) else None
        delta = getattr(first, "delta", None)
        text, finish = getattr(delta, "content", None), getattr(first, "finish_reason", None)
        calls = getattr(delta, "tool_calls", None) or getattr(delta, "function_call", None)
        if calls or _is_unusual(choices, delta, text, finish):
            choices_of(chunk)
        if self.id is None:
            self.id = getattr(chunk, "id", None)
        self.answered = getattr(chunk, "model", None) or self.answered
        for choice in choices:
            index = getattr(choice, "index", 0)
            self._add(choice, index if isinstance(index, int) else 0)

    def add_usual(self, chunk: Mapping[str, Any]) -> bool:
        """Take note of plain JSON if it is the usual chunk, a piece of the first choice's text.

        Returns whether it is; any other is for `add`.
        """
        choices = chunk.get("choices")
        choice: Any = choices[0] if type(choices) is list and len(choices) == 1 else None
        delta = choice.get("delta") if type(choice) is dict else None
        if type(delta) is not dict or len(delta) != 1 or chunk.get("usage") is not None:
            return False
        text, place = delta.get("content"), (choice.get("index"), choice.get("finish_reason"))
        if type(text) is not str or not text or place != (0, None):
            return False
        self.id = self.id or chunk.get("id")
        self.answered = chunk.get("model") or self.answered
        self.choices = self.choices or 1
        self.committed = True
        self._pieces.append(text)
        return True

    def _add(self, choice: Any, index: int) -> None:
        self.choices = max(self.choices, index + 1)
        if reason := getattr(choice, "finish_reason", None):
            self._finished.add(index)
            if not (index and self.finish_reason):
                self.finish_reason = reason
        delta = getattr(choice, "delta", None)
        if text := getattr(delta, "content", None):
            self.committed = True
            if not index:
                self._pieces.append(text)
            else:
                self.other = True
        if getattr(delta, "tool_calls", None) or getattr(delta, "function_call", None):
            self.tool_calls = self.committed = True
        if not text and delta is not None:
            self._add_other(delta.get if isinstance(delta, dict) else partial(_said, delta))

    def _add_other(self, get: Callable[[str], Any]) -> None:
        if any(map(get, _SHOWN)) or acts(get(_OWN)):
            self.other = self.committed = True
        elif any(map(get, _THOUGHT)):
            self.other = True  # nothing yet that a reader would miss

    def view(self, tap: Tap) -> AnswerView:
        """Return what the whole stream said."""
        return AnswerView(
            choices=self.choices,
            text=self.text,
            tool_calls=self.tool_calls,
            finish_reason=self.finish_reason,
            model_asked=self._asked,
            model_answered=model_on_wire(tap) or name_in(self, "answered"),
            other_content=self.other or _thought(self, self.finish_reason),
        )


def _is_unusual(choices: Any, delta: Any, text: Any, finish: Any) -> bool:
    """Tell whether a chunk has to be looked at more closely; most have one choice of two texts."""
    usual = isinstance(choices, list) and len(choices) == 1 and not isinstance(delta, _NO_OBJECT)
    texts = (text is None or isinstance(text, str)) and (finish is None or isinstance(finish, str))
    return not (usual and texts)


_NO_OBJECT: Final = (str, int, float, list, type(None))
