"""What a call asks of a model: its abilities, and room for the prompt.

Two counts of tokens, both without a tokenizer, for two kinds of question:

`estimate` is high on purpose, for planning: UTF-8 bytes / 3, and fixed costs.
English has 4 to 5 bytes a token, code about 3.3, Chinese 3 to 4.5 (OpenAI's
tokenizer guide: "1 token ~= 4 chars in English"); only text like random base64
has fewer than 3.  A message costs 6 more: ChatML and Llama 3's template frame
each with 4 or 5 special tokens, OpenAI's cookbook counts 3, and 3 for the reply.
An image is 1600: what Anthropic's largest takes, and Llama 3.2 vision's 1601 patches.

`Bulk.least` is low on purpose, for refusing: the words.  The tokenizers of today's
models (the GPT, Llama, Qwen, Mistral and Gemma families) cut a text at white space
before they merge anything, and between letters and digits, so that no token spans
two words: n words are n tokens or more.  Counting characters / 6 instead would
refuse a table full of spaces, of which one token may hold 80.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pilotlight.vocabulary.operations import Operation

ABILITIES: Final = (
    "tools",
    "images",
    "json_schema",
    "thinking",
    "audio",
    "files",
    "embeddings",
    "image_generation",
)
BYTES_A_TOKEN: Final = 3
MESSAGE: Final = 6  # tokens of a message's frame
REPLY: Final = 3  # tokens that open the answer
MEDIUM: Final = 1600  # tokens of an image or a sound

_NONE: Final[frozenset[str]] = frozenset()
NEEDED: Final[Mapping[Operation, frozenset[str]]] = {
    "chat": _NONE,
    "embeddings": frozenset({"embeddings"}),
    "image": frozenset({"image_generation"}),
}
_PARTS: Final[Mapping[str, str]] = {
    "image_url": "images",
    "input_image": "images",
    "image": "images",
    "input_audio": "audio",
    "audio": "audio",
    "file": "files",
    "input_file": "files",
    "document": "files",
}
_LONG: Final = ("tools", "functions", "response_format")  # options that go into the prompt
_PLAIN: Final = {"role", "content"}  # by far the usual message
_OFF: Final = (None, False, "", "none", "disabled")
_WORD: Final = re.compile(r"[A-Za-z]+(?:'[A-Za-z]+)*|[0-9]+")
_WIDE: Final = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff]")  # written without spaces
WIDE_A_TOKEN: Final = 4  # characters; 1 to 2 in fact


def lacking(abilities: Sequence[str] | frozenset[str] | None) -> frozenset[str]:
    """Return what is missing from a complete list of abilities; None is not known: nothing."""
    return _NONE if abilities is None else frozenset(ABILITIES) - frozenset(abilities)


# What a call needs.


def needs(
    messages: Sequence[Any],
    options: Mapping[str, Any] | None = None,
    operation: Operation = "chat",
) -> frozenset[str]:
    """Return the abilities that a call can't be answered well without; never raises."""
    if operation != "chat":
        return NEEDED[operation]
    found = _asked(options) if options else None
    for message in messages:
        content = message.get("content") if type(message) is dict else _of(message, "content")
        if type(content) is str:
            continue
        for part in content if isinstance(content, list | tuple) else ():
            kind = _of(part, "type")
            if isinstance(kind, str) and kind in _PARTS:
                found = found or set()
                found.add(_PARTS[kind])
    return frozenset(found) if found else _NONE


def _asked(options: Mapping[str, Any]) -> set[str]:
    found = set()
    if (options.get("tools") and not _is(options.get("tool_choice"), "none")) or (
        options.get("functions") and not _is(options.get("function_call"), "none")
    ):
        found.add("tools")
    wanted = options.get("response_format")
    if isinstance(wanted, type) or _is(_of(wanted, "type"), "json_schema"):
        found.add("json_schema")
    effort = options.get("reasoning_effort")
    effort = _of(effort, "effort") if isinstance(effort, Mapping) else effort
    thinking = options.get("thinking", options.get("think"))
    thinking = _of(thinking, "type") if isinstance(thinking, Mapping) else thinking
    if _on(effort) or _on(thinking):
        found.add("thinking")
    return found


def _on(value: Any) -> bool:
    return isinstance(value, str | bool) and value not in _OFF


def _is(value: Any, word: str) -> bool:
    return isinstance(value, str) and value == word


def _of(thing: Any, name: str) -> Any:
    """Read a field of a mapping, or of an object of pydantic's, litellm's or an SDK's."""
    if isinstance(thing, Mapping):
        return thing.get(name)
    return getattr(thing, name, None)


# How long it is.


def estimate(messages: Sequence[Any], options: Mapping[str, Any] | None = None) -> int:
    """Return a high guess of the prompt's tokens; more text never makes it smaller."""
    size, media = 0, 0
    for message in messages:
        content = message.get("content") if type(message) is dict else _of(message, "content")
        if type(content) is str and type(message) is dict and message.keys() == _PLAIN:
            size += len(content) if content.isascii() else _bytes(content)
            continue
        for piece in content if isinstance(content, list | tuple) else (content,):
            kind = None if isinstance(piece, str) else _of(piece, "type")
            media += isinstance(kind, str) and kind in _PARTS
            size += _bytes(piece if isinstance(piece, str) else _of(piece, "text"))
        size += _bytes(_of(message, "reasoning_content")) + _json(_of(message, "tool_calls"))
    if options:
        size += sum(_json(options[name]) for name in _LONG if name in options)
    return -(-size // BYTES_A_TOKEN) + MESSAGE * len(messages) + REPLY + MEDIUM * media


def _bytes(text: Any) -> int:
    if not isinstance(text, str):
        return 0
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _json(value: Any) -> int:
    """Return the length of a value as JSON; of one that has no JSON, nothing."""
    if not value:
        return 0
    if isinstance(value, type):  # a pydantic class in `response_format`
        make = getattr(value, "model_json_schema", None)
        value = make() if make is not None else None
    try:
        return len(json.dumps(value, default=_plainly))
    except (TypeError, ValueError, RecursionError):
        return 0


def _plainly(value: Any) -> Any:
    dump = getattr(value, "model_dump", None)
    return str(value) if dump is None else dump()


def prompt_size_of(messages: Sequence[Any], operation: Operation) -> PromptSize:
    """Return what has to fit into a context at once: a conversation, or the longest text alone."""
    if operation == "embeddings":
        return PromptSize((max(messages, key=lambda message: len(message["content"])),))
    return PromptSize(messages)


class PromptSize:
    """How much text a call brings, counted when first asked, and then only as far as needed."""

    __slots__ = ("_characters", "_least", "_messages")

    def __init__(self, messages: Sequence[Any] = ()) -> None:
        self._messages = messages
        self._characters: int | None = None
        self._least: int | None = None

    @property
    def characters(self) -> int:
        """The characters of the text that every template shows to its model."""
        if self._characters is None:
            self._characters = sum(len(text) for text in shown(self._messages))
        return self._characters

    @property
    def least(self) -> int:
        """The tokens that the prompt has in any case."""
        if self._least is None:
            self._least = sum(map(_least, shown(self._messages)))
        return self._least

    def exceeds(self, room: int) -> bool:
        """Tell whether the prompt certainly has more tokens than this."""
        if self.characters <= room:  # the usual case: a token has a character at least
            return False
        return self.least > room


def shown(messages: Sequence[Any]) -> Iterator[str]:
    """Yield the texts that no template leaves out.

    Some leave out an old answer's thinking, or a tool's words to a model without tools.
    """
    for message in messages:
        if type(message) is dict:
            role, content = message.get("role"), message.get("content")
        else:
            role, content = _of(message, "role"), _of(message, "content")
        if role in ("tool", "function"):
            continue
        for piece in content if isinstance(content, list | tuple) else (content,):
            text = piece if isinstance(piece, str) else _of(piece, "text")
            if isinstance(text, str) and not (role == "assistant" and "</think>" in text):
                yield text


def _least(text: str) -> int:
    if text.isascii():
        return sum(1 for _ in _WORD.finditer(text))
    wide = sum(1 for _ in _WIDE.finditer(text))
    return max(len(text.split()), wide // WIDE_A_TOKEN)
