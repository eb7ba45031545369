"""A whole answer put together from the chunks of a stream; pure, and in OpenAI's shape.

So an unstreamed call may be streamed underneath: the clocks for the first token and for
silences hold, and an answer that breaks off is seen to.  How the pieces of each field belong
together: OpenAI's API reference, "The chat completion chunk object", and what compatible
servers and litellm add to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from pilotlight.dialects.history import OWN
from pilotlight.errors import ProviderFault
from pilotlight.wire.field_types import DEEPEST

Json = dict[str, Any]

# Texts that come in pieces; any other text is said once, or again as a whole.
_IN_PIECES: Final = frozenset(
    """
    content reasoning_content reasoning refusal arguments input transcript data thinking text
    summary
    """.split()  # noqa: SIM905 - a list of them reads worse
)
# What only its vendor understands comes whole, and goes back as it came.
_AT_ONCE: Final = frozenset(OWN.values())
# The last two are padding, against who measures packets (OpenAI's and Mistral's).
_OF_A_CHUNK: Final = frozenset({"choices", "object", "obfuscation", "p"})
# Perplexity's have a `message` besides, with all that was said so far.
_OF_A_PIECE: Final = frozenset({"delta", "index", "message"})


def gathered(chunks: Iterable[Mapping[str, Any]]) -> Json:
    """Return the chunks of one stream as the answer that an unstreamed call would have got."""
    gathering = Gathering()
    for chunk in chunks:
        gathering.add(chunk)
    return gathering.answer()


class Gathering:
    """The answer so far."""

    def __init__(self) -> None:
        self._head: Json = {"object": "chat.completion"}
        self._choices: dict[int, Json] = {}

    def add(self, chunk: Mapping[str, Any]) -> None:
        """Take the next chunk; it is not changed, nor kept."""
        for key, value in chunk.items():
            if key not in _OF_A_CHUNK and (value or key not in self._head):
                self._head[key] = value  # a count, for one, is said again as a whole
        for piece in chunk.get("choices") or ():
            choice = self._choices.setdefault(piece.get("index") or 0, {})
            if isinstance(delta := piece.get("delta"), Mapping):
                _merge(choice.setdefault("message", {}), delta)
            _merge(choice, {key: piece[key] for key in piece if key not in _OF_A_PIECE})

    def answer(self) -> Json:
        """Return what has been said; nothing can be added afterwards.

        Raises ProviderFault (malformed_response) for what is nested too deep.
        """
        choices = [_whole(index, self._choices[index]) for index in sorted(self._choices)]
        return {**_joined(self._head), "choices": choices}


class _Pieces(list[str]):
    """A text that is still growing: joined once, for it may come in a hundred thousand pieces."""


def _whole(index: int, choice: Json) -> Json:
    """Return a choice as an unstreamed answer has it."""
    choice = _joined(choice)
    message = {"role": "assistant", "content": None, **choice.pop("message", {})}
    if isinstance(calls := message.get("tool_calls"), list):
        message["tool_calls"] = [_call(call) for call in calls]
        message["content"] = message["content"] or None
    return {"index": index, "message": message, "finish_reason": None, **choice}


def _call(call: Json) -> Json:
    """Return a tool call without its place; some servers send its type with no piece of it."""
    plain = {key: value for key, value in call.items() if key not in ("index", "type")}
    kind = call.get("type") or ("custom" if "custom" in call else "function")
    return {"type": kind, **plain}


def _merge(whole: Json, piece: Mapping[str, Any]) -> None:
    """Add what a piece says to what has been said; None says nothing."""
    for key, value in piece.items():
        had = whole.get(key)
        if value is None:
            whole.setdefault(key, None)
        elif isinstance(value, str):
            _add_text(whole, key, had, value)
        elif key in _AT_ONCE:
            whole[key] = value
        elif isinstance(value, Mapping):
            if not isinstance(had, dict):
                had = whole[key] = {}
            _merge(had, value)
        elif isinstance(value, list):
            whole[key] = _extended(had if isinstance(had, list) else [], value)
        else:
            whole[key] = value


def _add_text(whole: Json, key: str, had: Any, text: str) -> None:
    if key not in _IN_PIECES:
        whole[key] = text or had or ""
    elif isinstance(had, _Pieces):
        had.append(text)
    else:
        whole[key] = _Pieces([text])


def _extended(items: list[Any], more: list[Any]) -> list[Any]:
    """Add items to a list: those that say their place to the item there, others to its end."""
    for item in more:
        if not isinstance(item, Mapping):
            items.append(item)
        elif (before := _begun(items, item)) is not None:
            _merge(before, item)
        else:
            mine: Json = {}
            items.append(mine)
            _merge(mine, item)
    return items


def _begun(items: list[Any], item: Mapping[str, Any]) -> Json | None:
    """Return what this item goes on with; None: it is a new one."""
    last = items[-1] if items and isinstance(items[-1], dict) else None
    if type(at := item.get("index")) is not int:
        return last if last is not None and _goes_on(last, item) else None
    found = (one for one in reversed(items) if isinstance(one, dict) and one.get("index") == at)
    # Some servers give all tool calls the place 0, and each an id of its own; OpenRouter gives
    # one place to a thought and to its seal.
    before = next(found, None)
    other = before is not None and (_differ(before, item, "id") or _differ(before, item, "type"))
    return None if other else before


def _differ(one: Json, other: Mapping[str, Any], name: str) -> bool:
    return bool(one.get(name) and other.get(name) and one[name] != other[name])


def _goes_on(last: Json, item: Mapping[str, Any]) -> bool:
    """Tell whether a block of thought goes on: its signature ends it (Anthropic's, by litellm)."""
    return last.get("type") == item.get("type") == "thinking" and not last.get("signature")


def _joined(value: Any, levels: int = DEEPEST) -> Any:
    """Return the value with every text in one piece; refuse what is nested too deep to read on."""
    if not levels:
        raise ProviderFault("malformed_response", evidence=f"JSON nested deeper than {DEEPEST}")
    if isinstance(value, _Pieces):
        # Two chunks may have the halves of one character, which JSON writes as two escapes.
        return "".join(value).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {key: _joined(each, levels - 1) for key, each in value.items()}
    return [_joined(each, levels - 1) for each in value] if isinstance(value, list) else value
