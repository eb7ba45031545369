"""The conversation as Anthropic takes it: turns of blocks, user and assistant by turns.

Source: Anthropic's API reference, POST /v1/messages, `messages` and `system`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from pilotlight.dialects.base import Json, Losses, Unable
from pilotlight.dialects.fields import objects, part, present, text, words
from pilotlight.dialects.history import arguments_of, lose_own, own_form, tool_name
from pilotlight.dialects.parts import (
    THOUGHTS,
    Medium,
    decoded,
    medium_of,
    parts_of,
    plain_of,
    said_in,
)

IMAGES: Final = ("image/jpeg", "image/png", "image/gif", "image/webp")
# Blocks of its own that a caller may put into the content of a message.
_OWN: Final = words("image document search_result container_upload tool_reference tool_addition")
NAMES: Final = re.compile(r"[a-zA-Z0-9_-]{1,128}")  # of tools
_UPLOADED: Final = "file_"  # how ids of its Files API begin; OpenAI's begin with `file-`
_SPEAKERS: Final = ("user", "assistant")
SEALED: Final = ("thinking", "redacted_thinking")
_FILLER: Final = "."  # a turn must not be empty
CONTINUE: Final = "Continue."


def turns(messages: Sequence[Json], losses: Losses, prefill: bool) -> tuple[list[Json], list[Json]]:
    """Return the system blocks and the turns; raises Unable.

    Every system message goes to the top: there it has the authority that it was given.
    """
    system: list[Json] = []
    found: list[Json] = []
    for place, message in enumerate(messages):
        role = message["role"]
        if (said := plain_of(message)) is not None and role in _SPEAKERS:
            _add(found, role, [_text(said)] if said.strip() else [])
            continue
        at = f"messages[{place}]"
        lose_own(message, "anthropic_messages", losses)
        if role in ("system", "developer"):
            system += _texts_only(message, at)
        elif role == "user":
            _add(found, "user", _cached(message, _blocks(message, at, losses)))
        elif role == "assistant":
            _add(found, "assistant", _cached(message, _spoken(message, at, losses)))
        elif role == "tool":
            _add(found, "user", [_result(message, at, losses)])
        else:
            raise Unable(f"{at} has the role {role[:20]!r}, of which Anthropic knows nothing")
        if text(message, "name") and role != "tool":
            losses.add("name")
    if not found and system:
        found, system = [{"role": "user", "content": system}], []
    return system, _framed(_unfinished(found, losses), losses, prefill)


def _unfinished(found: list[Json], losses: Losses) -> list[Json]:
    """Leave out thoughts that led to nothing: no turn may end with one."""
    if not any(turn["content"][-1].get("type") in SEALED for turn in found):
        return found
    for turn in found:
        while turn["content"] and text(turn["content"][-1], "type") in SEALED:
            turn["content"] = turn["content"][:-1]
            losses.add("reasoning")
    kept: list[Json] = []
    for turn in found:
        _add(kept, turn["role"], turn["content"])
    return kept


def _framed(found: list[Json], losses: Losses, prefill: bool) -> list[Json]:
    """End with the user where the model can't be made to go on with its own words."""
    if not found:
        raise Unable("no message says anything")
    last = found[-1]
    if last["role"] == "assistant" and not _waits(last):
        if not prefill:
            losses.add("prefill")
            return [*found, {"role": "user", "content": [_text(CONTINUE)]}]
        said = [block for block in last["content"] if text(block, "type") not in SEALED]
        if len(said) < len(last["content"]):
            losses.add("reasoning")  # "a message in the final position cannot contain `thinking`"
            found[-1] = last = {**last, "content": said}
        end = said[-1]
        if end.get("type") == "text":  # "final assistant content cannot end with whitespace"
            stripped = {**end, "text": end["text"].rstrip() or _FILLER}
            found[-1] = {**last, "content": [*last["content"][:-1], stripped]}
    return found


def _waits(turn: Json) -> bool:
    """Tell a turn that its own server has broken off and goes on with (`pause_turn`)."""
    kind = text(turn["content"][-1], "type") or ""
    return kind == "server_tool_use" or kind.endswith("_tool_result")


def _add(found: list[Json], role: str, blocks: list[Json]) -> None:
    """Add to the turn that is going on if it is of the same side."""
    if not blocks:
        return
    if found and found[-1]["role"] == role:
        found[-1]["content"] += blocks
    else:
        found.append({"role": role, "content": blocks})


def _text(said: str, cache: Any = None) -> Json:
    block: Json = {"type": "text", "text": said}
    return block if cache is None else {**block, "cache_control": cache}


def _texts_only(message: Json, at: str) -> list[Json]:
    blocks = []
    for given in parts_of(message, at):
        if (said := said_in(given)) is None:
            raise Unable(f"{at} says to the system what is no text")
        if said.strip():
            blocks.append(_text(said, given.get("cache_control")))
    return _cached(message, blocks)


def _cached(message: Json, blocks: list[Json]) -> list[Json]:
    """Put a message's cache mark on the last of its blocks, where Anthropic looks for it."""
    if blocks and (cache := part(message, "cache_control")):
        blocks[-1] = {**blocks[-1], "cache_control": cache}
    return blocks


def _blocks(message: Json, at: str, losses: Losses) -> list[Json]:
    """Return what a user or a tool says; a text of white space alone is refused there."""
    blocks = []
    for place, given in enumerate(parts_of(message, at)):
        said, where = said_in(given), f"{at}.content[{place}]"
        if said is not None:
            if said.strip():
                blocks.append(_text(said, given.get("cache_control")))
        elif given["type"] in _OWN:
            blocks.append(given)
        elif (uploaded := text(part(given, "file"), "file_id") or "").startswith(_UPLOADED):
            source = {"type": "file", "file_id": uploaded}
            cache = present(cache_control=given.get("cache_control"))
            blocks.append({"type": "document", "source": source, **cache})
        elif medium := medium_of(given, where, losses):
            blocks.append(_medium(medium, where, given.get("cache_control")))
        else:
            raise Unable(f"{where} is {given['type'][:40]}, which Anthropic does not take")
    return blocks


def _medium(medium: Medium, at: str, cache: Any) -> Json:
    kind = medium.kind or ("application/pdf" if medium.name else "image/*")
    image = kind.startswith("image/")
    if medium.url is not None:
        if not image and kind != "application/pdf":
            raise Unable(f"{at} is an address of {kind}: Anthropic fetches images and PDF only")
        source = {"type": "url", "url": medium.url}
    elif kind.startswith("text/"):
        source = {"type": "text", "media_type": "text/plain", "data": decoded(medium, at)}
    elif kind in IMAGES or kind == "application/pdf":
        source = {"type": "base64", "media_type": kind, "data": medium.data or ""}
    else:
        raise Unable(f"{at} is {kind[:60]}, which Anthropic does not take")
    marks = present(title=None if image else medium.name, cache_control=cache)
    return {"type": "image" if image else "document", "source": source, **marks}


def _spoken(message: Json, at: str, losses: Losses) -> list[Json]:
    """Return what the assistant said: as Anthropic said it, else thoughts, text and calls."""
    calls = objects(message, "tool_calls")
    said = [
        _text(heard, given.get("cache_control"))
        for given in parts_of(message, at)
        if (heard := said_in(given)) is not None and heard.strip()
    ]
    if not said and not calls and (heard := text(message, "refusal") or _heard(message, losses)):
        said = [_text(heard)]
    own = own_form(message, "anthropic_messages")
    if own is not None and _says(own) == _says([*said, *(_named(call) for call in calls)]):
        return [block for block in own if block.get("text") != ""]
    sealed = [
        block
        for block in [*objects(message, "thinking_blocks"), *_thoughts_among(message)]
        if text(block, "signature") or text(block, "data")
    ]
    if not sealed and (text(message, "reasoning_content") or message.get("thinking_blocks")):
        losses.add("reasoning")
    return [*sealed, *said, *(_call(call, losses) for call in calls)]


def _thoughts_among(message: Json) -> list[Json]:
    return [each for each in objects(message, "content") if text(each, "type") in THOUGHTS]


def _heard(message: Json, losses: Losses) -> str | None:
    audio = part(message, "audio")
    if audio:
        losses.add("audio")
    return text(audio, "transcript")


def _says(blocks: Sequence[Json]) -> tuple[str, list[Any]]:
    """Return what blocks say, however they are cut: the text, and the ids of the calls."""
    texts = [text(block, "text") or "" for block in blocks if block.get("type") == "text"]
    calls = [block.get("id") for block in blocks if block.get("type") == "tool_use"]
    return re.sub(r"\s", "", "".join(texts)), calls


def _named(call: Json) -> Json:
    return {"type": "tool_use", "id": call["id"]}


def _call(call: Json, losses: Losses) -> Json:
    function = part(call, "function")
    name = text(function, "name") or text(part(call, "custom"), "name")
    if not name:
        raise Unable("a tool call of the conversation has no name")
    cache = part(call, "cache_control") or None
    block = {"type": "tool_use", "id": call["id"], "name": tool_name(name, NAMES)}
    block["input"] = arguments_of(call, losses)
    return {**block, **present(cache_control=cache)}


def _result(message: Json, at: str, losses: Losses) -> Json:
    blocks = _blocks(message, at, losses)
    plain = len(blocks) == 1 and blocks[0].keys() == {"type", "text"}
    content = {"content": blocks[0]["text"] if plain else blocks} if blocks else {}
    marks = present(cache_control=part(message, "cache_control") or None)
    if message.get("is_error") is True:
        marks["is_error"] = True
    return {"type": "tool_result", "tool_use_id": message["tool_call_id"], **content, **marks}
