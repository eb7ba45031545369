"""The conversation as Gemini takes it: contents of parts, by the user and by the model.

Source: Google's API reference, `Content` and `Part`; the pages on function calling and on
thought signatures.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from pilotlight.dialects.base import Json, Losses, Unable
from pilotlight.dialects.fields import loads_object, objects, part, present, text
from pilotlight.dialects.gemini.models import Traits
from pilotlight.dialects.history import (
    arguments_of,
    lose_own,
    lose_reasoning,
    own_form,
    tool_name,
)
from pilotlight.dialects.parts import Medium, medium_of, parts_of, plain_of, said_in

NAMES: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}")
# Google's own word for a call of another model's, which no thought of Gemini's has signed.
_SPEAKERS: Final = {"user": "user", "assistant": "model"}
BEGIN: Final = "(The conversation goes on.)"
CONTINUE: Final = "Continue."
UNSIGNED: Final = "skip_thought_signature_validator"
_FILES: Final = re.compile(
    r"https://(?:generativelanguage\.googleapis\.com/|(?:www\.|m\.)?youtube\.com/|youtu\.be/)|gs://"
)


def contents(
    messages: Sequence[Json], losses: Losses, traits: Traits
) -> tuple[list[Json], list[Json]]:
    """Return the parts of the system instruction, and the contents; raises Unable."""
    system: list[Json] = []
    found: list[Json] = []
    called: dict[str, Json] = {}  # how a result names its call, by the call's id
    for place, message in enumerate(messages):
        role = message["role"]
        if (said := plain_of(message)) is not None and role in _SPEAKERS:
            _add(found, _SPEAKERS[role], [{"text": said}] if said else [])
            continue
        at = f"messages[{place}]"
        lose_own(message, "gemini", losses)
        if message.get("cache_control"):
            losses.add("cache_control")
        if role in ("system", "developer"):
            system += _texts_only(message, at, losses)
        elif role == "user":
            _add(found, "user", _parts(message, at, losses, traits))
        elif role == "assistant":
            _add(found, "model", _spoken(message, at, losses, traits, called))
        elif role == "tool":
            _answer(found, _result(message, at, losses, traits, called))
        else:
            raise Unable(f"{at} has the role {role[:20]!r}, of which Gemini knows nothing")
        if text(message, "name") and role != "tool":
            losses.add("name")
    if system and (not found or not traits.system):
        found.insert(0, {"role": "user", "parts": system})
        system = []
    if not found:
        raise Unable("no message says anything")
    if found[0]["role"] == "model":  # it answers nobody: the beginning was cut off
        found.insert(0, {"role": "user", "parts": [{"text": BEGIN}]})
    if found[-1]["role"] == "model" and not traits.prefill:
        losses.add("prefill")
        found.append({"role": "user", "parts": [{"text": CONTINUE}]})
    return system, found


def _add(found: list[Json], role: str, parts: list[Json]) -> None:
    """Add a turn; what the model says in a row is one, for a call must follow the user at once."""
    if parts and role == "model" and found and found[-1]["role"] == role:
        found[-1]["parts"] += parts
    elif parts:
        found.append({"role": role, "parts": parts})


def _answer(found: list[Json], parts: list[Json]) -> None:
    """Add a result to those of the same turn: Gemini wants as many results as calls at once."""
    last = found[-1]
    if last["role"] == "user" and "functionResponse" in last["parts"][0]:
        last["parts"] += parts
    else:
        found.append({"role": "user", "parts": parts})


def _texts_only(message: Json, at: str, losses: Losses) -> list[Json]:
    found = []
    for given in parts_of(message, at):
        if (said := said_in(given)) is None:
            raise Unable(f"{at} says to the system what is no text")
        if given.get("cache_control"):
            losses.add("cache_control")
        if said:
            found.append({"text": said})
    return found


def _parts(message: Json, at: str, losses: Losses, traits: Traits) -> list[Json]:
    found = []
    for place, given in enumerate(parts_of(message, at)):
        where = f"{at}.content[{place}]"
        if given.get("cache_control"):
            losses.add("cache_control")
        if (said := said_in(given)) is not None:
            if said:
                found.append({"text": said})
        elif (medium := medium_of(given, where, losses)) is not None:
            found.append(_medium(medium, where, traits))
        else:
            raise Unable(f"{where} is {given['type'][:40]}, which Gemini does not take")
    return found


def _medium(medium: Medium, at: str, traits: Traits) -> Json:
    if medium.kind == "image/gif":
        raise Unable(f"{at} is image/gif, which Gemini does not take")
    if medium.url is None:
        return {"inlineData": {"mimeType": medium.kind, "data": medium.data}}
    if not traits.fetches and not _FILES.match(medium.url):
        raise Unable(f"{at} is an address: this model fetches nothing")
    kind = {"mimeType": medium.kind} if medium.kind else {}
    return {"fileData": {**kind, "fileUri": medium.url}}


def _spoken(
    message: Json, at: str, losses: Losses, traits: Traits, called: dict[str, Json]
) -> list[Json]:
    """Return what the model said: as Gemini said it, else text and calls."""
    said = [{"text": heard} for given in parts_of(message, at) if (heard := said_in(given))]
    calls = [_call(call, losses, called) for call in objects(message, "tool_calls")]
    if not said and not calls and (heard := text(message, "refusal") or _heard(message, losses)):
        said = [{"text": heard}]
    parts: list[Json] = [*said, *calls]
    own = own_form(message, "gemini")
    if own is not None and says(own) == says(parts):
        functions = [part(each, "functionCall") for each in own if "functionCall" in each]
        for function, call in zip(functions, objects(message, "tool_calls"), strict=True):
            # Where Gemini has named a call, its result is named as well.
            called[call["id"]] |= present(id=text(function, "id"))
        return list(own)
    lose_reasoning(message, losses)
    if calls and traits.signed:
        calls[0].setdefault("thoughtSignature", UNSIGNED)
    return parts


def _heard(message: Json, losses: Losses) -> str | None:
    audio = part(message, "audio")
    if audio:
        losses.add("audio")
    return text(audio, "transcript")


def says(parts: Sequence[Json]) -> tuple[str, list[Any]]:
    """Return what parts say, however they are cut: the text, and the names of the functions."""
    texts = [text(each, "text") or "" for each in parts if each.get("thought") is not True]
    calls = [part(each, "functionCall").get("name") for each in parts if "functionCall" in each]
    return re.sub(r"\s", "", "".join(texts)), calls


def _call(call: Json, losses: Losses, called: dict[str, Json]) -> Json:
    name = text(part(call, "function"), "name") or text(part(call, "custom"), "name")
    if not name:
        raise Unable("a tool call of the conversation has no name")
    called[call["id"]] = {"name": tool_name(name, NAMES)}
    found: Json = {
        "functionCall": {**called[call["id"]], "args": arguments_of(call, losses)},
    }
    if signature := text(part(call, "provider_specific_fields"), "thought_signature"):
        found["thoughtSignature"] = signature
    return found


def _result(
    message: Json, at: str, losses: Losses, traits: Traits, called: dict[str, Json]
) -> list[Json]:
    """Return a function's result; a text is the `output` of an object, as Google advises."""
    parts = _parts(message, at, losses, traits)
    media = [each for each in parts if "text" not in each]
    said = "".join(each["text"] for each in parts if "text" in each)
    key = "error" if message.get("is_error") is True else "output"
    result: Json = {
        **called[message["tool_call_id"]],
        "response": loads_object(said) or {key: said},
    }
    if media and traits.mixes:
        return [{"functionResponse": {**result, "parts": media}}]
    return [{"functionResponse": result}, *media]
