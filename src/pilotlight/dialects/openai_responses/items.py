"""The conversation as the Responses API takes it: a list of items.

Source: OpenAI's API reference, POST /responses, `input`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from pilotlight.dialects.base import Json, Losses, Unable
from pilotlight.dialects.fields import dumps, objects, part, text
from pilotlight.dialects.history import (
    OPENAI_NAMES,
    lose_own,
    lose_reasoning,
    own_form,
    tool_name,
)
from pilotlight.dialects.parts import parts_of, plain_of, said_in

_ID: Final = re.compile(r"[A-Za-z0-9_-]+")
_ROLES: Final = ("user", "system", "developer")
_HEARD: Final = ("data:audio/", "data:video/")
_SPEAKERS: Final = (*_ROLES, "assistant")


def items(messages: Sequence[Json], losses: Losses, stored: bool) -> list[Json]:
    """Return the items; raises Unable.

    Where nothing is stored, reasoning goes back only where it came sealed: by its id alone, the
    API would look for it on its own shelves.
    """
    found: list[Json] = []
    custom: set[str] = set()  # calls of tools that take a text
    for place, message in enumerate(messages):
        role = message["role"]
        if (said := plain_of(message)) is not None and role in _SPEAKERS:
            found += [_plain(role, said)] if said else []
            continue
        at = f"messages[{place}]"
        lose_own(message, "openai_responses", losses)
        if message.get("cache_control"):
            losses.add("cache_control")
        if role in _ROLES:
            if parts := _parts(message, at, losses):
                found.append({"role": role, "content": parts})
        elif role == "assistant":
            found += _spoken(message, losses, custom, stored, at)
        elif role == "tool":
            kind = "custom_tool_call" if message["tool_call_id"] in custom else "function_call"
            output = _parts(message, at, losses)
            plain = all(each["type"] == "input_text" for each in output)
            result: Any = "".join(each["text"] for each in output) if plain else output
            call = {"call_id": message["tool_call_id"], "output": result}
            found.append({"type": f"{kind}_output", **call})
        else:
            raise Unable(f"{at} has the role {role[:20]!r}, of which OpenAI knows nothing")
        if text(message, "name") and role != "tool":
            losses.add("name")
    return found


def _plain(role: str, said: str) -> Json:
    content: Any = said if role == "assistant" else [{"type": "input_text", "text": said}]
    return {"role": role, "content": content}


def _parts(message: Json, at: str, losses: Losses) -> list[Json]:
    found = []
    for place, given in enumerate(parts_of(message, at)):
        where = f"{at}.content[{place}]"
        if given.get("cache_control"):
            losses.add("cache_control")
        if (said := said_in(given)) is not None:
            if said:
                found.append({"type": "input_text", "text": said})
        elif given["type"] == "image_url":
            shown = given.get("image_url")
            url = text(shown, "url") if type(shown) is dict else shown
            if type(url) is not str or not url:
                raise Unable(f"{where} has no address")
            detail = text(shown, "detail") or "auto"
            found.append({"type": "input_image", "image_url": url, "detail": detail})
        elif given["type"] == "file":
            found.append({"type": "input_file", **_file(part(given, "file"), where)})
        else:
            raise Unable(f"{where} is {given['type'][:40]}, which this API does not take")
    return found


def _file(file: Json, at: str) -> Json:
    data = text(file, "file_data") or ""
    if data[:11].lower() in _HEARD:
        raise Unable(f"{at} is a sound or a film, which this API does not take as a file")
    names = ("file_data", "file_id", "file_url", "filename")
    found = {name: value for name in names if (value := text(file, name))}
    if "://" in found.get("file_id", ""):  # an address, as Gemini has it
        found["file_url"] = found.pop("file_id")
    return found


def _spoken(message: Json, losses: Losses, custom: set[str], stored: bool, at: str) -> list[Json]:
    """Return what the model said: as the API said it, else text and calls."""
    said = "".join(heard for given in parts_of(message, at) if (heard := said_in(given)))
    refusal = text(message, "refusal") or ""
    spoken = [{"role": "assistant", "content": said or refusal}] if said or refusal else []
    calls = [_call(call, custom) for call in objects(message, "tool_calls")]
    own = own_form(message, "openai_responses")
    if own is not None and says(own) == (
        _squeezed(said + refusal),
        [call["call_id"] for call in calls],
    ):
        kept = _led_on([clean(each) for each in own if stored or not _is_elsewhere(each)])
        if len(kept) < len(own):
            losses.add("reasoning")
        return kept
    lose_reasoning(message, losses)
    if message.get("audio"):
        losses.add("audio")
    return [*spoken, *calls]


def clean(item: Json) -> Json:
    """Return an item without what an answer says about it and a request may not.

    Of a thought these are its state and its open words; of any item an id that is none of
    OpenAI's making.  Sources: "Unknown parameter: 'input[1].status'", "Invalid 'input[1].content':
    array too long. Expected an array with maximum length 0", "Expected an ID that contains
    letters, numbers, underscores, or dashes".
    """
    thought = item.get("type") == "reasoning"
    barred = {"status"} & item.keys() if thought else set()
    barred |= {"content"} if thought and item.get("content") else set()
    named = item.get("id")
    if "id" in item and not (type(named) is str and _ID.fullmatch(named)):
        barred.add("id")
    if thought and type(item.get("summary")) is not list:
        item = {**item, "summary": []}
    return {n: v for n, v in item.items() if n not in barred} if barred else item


def _led_on(items: list[Json]) -> list[Json]:
    """Leave out a last thought: "provided without its required following item"."""
    while items and items[-1].get("type") == "reasoning":
        items = items[:-1]
    return items


def _is_elsewhere(item: Json) -> bool:
    return item.get("type") == "reasoning" and not item.get("encrypted_content")


def says(own: Sequence[Json]) -> tuple[str, list[Any]]:
    """Return what items say: texts, then refusals, and the ids of the calls."""
    spoken = [
        each for item in own for each in objects(item, "content") if item.get("type") == "message"
    ]
    texts = [text(each, name) or "" for name in ("text", "refusal") for each in spoken]
    called = ("function_call", "custom_tool_call")
    calls = [item.get("call_id") for item in own if item.get("type") in called]
    return _squeezed("".join(texts)), calls


def _squeezed(said: str) -> str:
    return re.sub(r"\s", "", said)


def _call(call: Json, custom: set[str]) -> Json:
    function, own = part(call, "function"), part(call, "custom")
    name = text(function, "name") or text(own, "name")
    if not name:
        raise Unable("a tool call of the conversation has no name")
    name = tool_name(name, OPENAI_NAMES)
    head = {"call_id": call["id"], "name": name}
    if own:
        custom.add(call["id"])
        return {"type": "custom_tool_call", **head, "input": text(own, "input") or ""}
    given = function.get("arguments")
    arguments = given if type(given) is str else dumps(given or {})
    return {"type": "function_call", **head, "arguments": arguments or "{}"}
