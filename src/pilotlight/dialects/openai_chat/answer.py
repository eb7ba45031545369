"""OpenAI's answers and chunks, which are the pivot's but for what servers spell otherwise.

Mistral sends thoughts as parts of the content, others as `reasoning`; some send arguments as an
object, or a call in pieces without its place.

Source: OpenAI's API reference, the chat completion object and its chunks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pilotlight.dialects.base import Asked, Json, Refusal, Unreadable
from pilotlight.dialects.fields import (
    count,
    dumps,
    need_object,
    need_objects,
    need_part,
    need_text,
    objects,
    odd,
    part,
    text,
)
from pilotlight.dialects.shape import Chunks, completion

LAST_WORD: Final = "[DONE]"
_TEXTS: Final = ("reasoning_content", "refusal")


def read_answer(said: Any, asked: Asked) -> Json:
    """Read a whole answer.  Raises Unreadable, and nothing else."""
    said = need_object(said, "the answer")
    if _is_usual(said):
        return dict(said)
    if said.get("choices") is None:
        raise Unreadable("the answer has no choices")
    choices = [
        _choice(choice, place, "message")
        for place, choice in enumerate(need_objects(said, "choices"))
    ]
    for choice in choices:
        for call in objects(choice["message"], "tool_calls"):
            if not (text(part(call, "function"), "name") or text(part(call, "custom"), "name")):
                raise Unreadable("a tool call has no name")
        if asked.names:
            choice["message"] = _named(choice["message"], asked.names)
    head = completion(asked, text(said, "id"), text(said, "model"), choices)
    created = count(said, "created")
    made = {"created": asked.created if created is None else created}
    return {**said, **head, **made, **_usage(said)}


def _named(said: Json, names: Mapping[str, str]) -> Json:
    """Return what is said with its calls by the caller's names of the tools."""
    calls = []
    for call in objects(said, "tool_calls"):
        function = part(call, "function")
        name = names.get(text(function, "name") or "")
        calls.append(call if name is None else {**call, "function": {**function, "name": name}})
    return {**said, "tool_calls": calls} if calls else said


def _is_usual(said: Json) -> bool:
    """Tell the usual answer, one text: it is the pivot's as it is."""
    choices = said.get("choices")
    if type(choices) is not list or len(choices) != 1 or type(choice := choices[0]) is not dict:
        return False
    message, index = choice.get("message"), choice.get("index")
    if type(message) is not dict or type(index) is not int or index:
        return False
    for name, value in message.items():
        if value and (name not in _SAID or type(value) is not str):
            return False  # else: an empty list of `annotations`, a null `refusal`
    texts = (message.get("content"), choice.get("finish_reason"), said.get("id"), said.get("model"))
    if not all(texts) or not _TEXTS_ALONE.issuperset(map(type, texts)):
        return False
    head = said.get("object") == "chat.completion" and type(said.get("created")) is int
    return head and type(said.get("usage")) is dict


_TEXTS_ALONE: Final = frozenset({str})


def _usage(said: Json) -> Json:
    usage = part(said, "usage") or part(part(said, "x_groq"), "usage")  # Groq's streams
    return {"usage": usage} if usage else {}


def _choice(choice: Json, place: int, name: str) -> Json:
    at = f"choices[{place}]."
    if name == "message" and "message" not in choice and "text" in choice:  # of a text completion
        choice = {**choice, "message": {"role": "assistant", "content": choice["text"]}}
    index = choice.get("index")
    index = place if index is None else index
    if type(index) is not int:
        raise odd(f"{at}index", index, "a number")
    reason = need_text(choice, "finish_reason", at) or None
    said = _said(need_part(choice, name, at), f"{at}{name}.")
    return {**choice, "index": index, name: said, "finish_reason": reason}


def _said(given: Json, at: str) -> Json:
    """Return what is said in the pivot's spelling: the same object if it is that already."""
    said = given
    content = said.get("content")
    if type(content) is list:
        said = {**said, **_flat(need_objects(said, "content", at))}
    elif content is not None and type(content) is not str:
        raise odd(f"{at}content", content, "a text")
    for name in _TEXTS:
        need_text(said, name, at)
    if type(thought := said.get("reasoning")) is str and not said.get("reasoning_content"):
        said = {**said, "reasoning_content": thought}
    if said.get("tool_calls") is not None:
        calls = [
            _call(call, f"{at}tool_calls[{place}].")
            for place, call in enumerate(need_objects(said, "tool_calls", at))
        ]
        said = {**said, "tool_calls": calls}
    return said


def _flat(content: list[Json]) -> Json:
    """Return the text, and the thoughts, of content in parts."""
    texts = [text(each, "text") or "" for each in content if each.get("type") in (None, "text")]
    thoughts = [text(t, "text") or "" for each in content for t in objects(each, "thinking")]
    thought = {"reasoning_content": "".join(thoughts)} if any(thoughts) else {}
    return {"content": "".join(texts), **thought}


def _call(call: Json, at: str) -> Json:
    function = need_part(call, "function", at)
    if function.get("arguments") is None:
        arguments: Any = None
    elif type(arguments := function["arguments"]) is dict:
        arguments = dumps(arguments)
    else:
        need_text(function, "arguments", f"{at}function.")
    need_text(call, "id", at)
    need_text(function, "name", f"{at}function.")
    custom = need_part(call, "custom", at)
    need_text(custom, "name", f"{at}custom.")
    need_text(custom, "input", f"{at}custom.")
    same = arguments is function.get("arguments")
    return call if same else {**call, "function": {**function, "arguments": arguments}}


class Reader:
    """Reads one stream; see `base.Reader`.

    It ends when every choice that began has ended.  Some servers name no reason, or not for
    every choice: there the last word counts, `[DONE]`, which is fed as the text that it is,
    once a choice has ended or the tokens are told.
    """

    def __init__(self, asked: Asked) -> None:
        self._chunks = Chunks(asked)
        self._names = asked.names
        self._open: set[int] = set()
        self._done: set[int] = set()
        self._counted = False
        self._said_done = False
        self.refusal: Refusal | None = None

    @property
    def ended(self) -> bool:
        """Whether the API itself has said that this was all."""
        if self._said_done and (self._done or self._counted):
            return True
        return bool(self._done) and self._open <= self._done

    def feed(self, event: Any) -> list[Json]:
        """Take the next event.  Raises Unreadable, and nothing else, whatever it is given."""
        if event == LAST_WORD:
            self._said_done = True
            return []
        event = need_object(event, "an event")
        if self.refusal is not None:
            return []
        if _is_plain(event):
            self._open.add(0)
            return [event]
        choices = need_objects(event, "choices")
        self._counted = self._counted or bool(_usage(event))
        if not choices:
            return self._wordless(event)
        self._chunks.name(text(event, "id"), text(event, "model"))
        found = [_choice(choice, place, "delta") for place, choice in enumerate(choices)]
        for choice in found:
            self._open.add(choice["index"])
            if choice["finish_reason"]:
                self._done.add(choice["index"])
            if self._names:
                choice["delta"] = _named(choice["delta"], self._names)
            for place, call in enumerate(objects(choice["delta"], "tool_calls")):
                if type(call.get("index")) is not int:
                    choice["delta"]["tool_calls"][place] = {**call, "index": place}
        head = {**self._chunks.head, **{n: v for n, v in event.items() if n not in _OURS}}
        return [head | {"choices": found} | _usage(event)]

    def _wordless(self, event: Json) -> list[Json]:
        if event.get("error"):
            self.refusal = read_refusal(event) or Refusal("", "error")
            return []
        usage = part(event, "usage")
        return [self._chunks.counted(usage)] if usage else []

    def finish(self) -> list[Json]:
        """Take note that the stream is over; nothing was held back."""
        return []


def _is_plain(event: Json) -> bool:
    """Tell the usual chunk, a piece of the first choice's text: it is the pivot's as it is."""
    choices = event.get("choices")
    if type(choices) is not list or len(choices) != 1 or type(choice := choices[0]) is not dict:
        return False
    if type(delta := choice.get("delta")) is not dict:
        return False
    for name, said in delta.items():
        if type(said) is not str or name not in _SAID:
            return False
    bare = choice.get("index") == 0 and choice.get("finish_reason", "") is None
    return bare and event.keys() >= _HEAD and event.get("usage") is None


_SAID: Final = frozenset({"role", "content", "reasoning_content"})
_HEAD: Final = frozenset({"id", "model", "created", "object"})
_OURS: Final = frozenset({"id", "model", "object", "choices", "usage"})


def read_refusal(said: Any) -> Refusal | None:
    """Read an error; None where it is none of OpenAI's.  Never raises."""
    error = said.get("error") if type(said) is dict else None
    if type(error) is str:
        return Refusal(error)
    if type(error) is not dict or not error:
        return None
    kind = text(error, "code") or text(error, "type")
    return Refusal(text(error, "message") or "", kind, count(error, "code"))
