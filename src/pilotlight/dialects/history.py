"""A conversation made fit for its destination: calls and their results, ids, sealed words.

Agents fail over in the middle of a conversation.  What one API has said must then be sent to
another, which has rules of its own:

- Ids of tool calls are mapped into what the destination allows by a pure function, so that the
  same id is the same in every turn and after every failover.
- Each call has one result, and the results follow their calls at once, in the order of the
  calls: Anthropic and Gemini refuse everything else.
- What only its own vendor understands (signatures, encrypted reasoning, what its own tools did
  on its servers) is kept beside the message in the vendor's own form (`OWN`), goes back to that
  vendor as it came, and is left out elsewhere, by name.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pilotlight.dialects.base import Json, Losses, Unable
from pilotlight.dialects.fields import dumps, loads_object, objects, part, present, text, words
from pilotlight.dialects.parts import THOUGHTS, spoken

# Where a message keeps what its vendor said in the vendor's own form: in its
# `provider_specific_fields`, by dialect.
OWN: Final[Mapping[str, str]] = {
    "anthropic_messages": "anthropic_content",
    "gemini": "gemini_parts",
    "openai_responses": "responses_items",
}
NO_RESULT: Final = "No result: this call was not carried out."


@dataclass(frozen=True, slots=True)
class IdRule:
    """Which ids of tool calls an API takes, and of what form one is made that it does not take."""

    fits: re.Pattern[str]
    prefix: str = "call_"
    length: int = 24  # characters of the digest, at most 64


# Sources: Anthropic's and OpenAI's refusals ("String should match pattern '^[a-zA-Z0-9_-]+$'";
# "Expected a string with maximum length 40" in chat completions, 64 in Responses), Mistral's
# ("a-z, A-Z, 0-9, with a length of 9").
ANTHROPIC_IDS: Final = IdRule(re.compile(r"[a-zA-Z0-9_-]{1,64}"), "toolu_")
OPENAI_IDS: Final = IdRule(re.compile(r"[\x21-\x7e]{1,40}"))
RESPONSES_IDS: Final = IdRule(re.compile(r"[\x21-\x7e]{1,64}"))
MISTRAL_IDS: Final = IdRule(re.compile(r"[a-zA-Z0-9]{9}"), "", 9)
ANY_IDS: Final = IdRule(re.compile(r"(?s).{1,512}"))


def call_id(given: str, rule: IdRule) -> str:
    """Return an id that the rule allows: the given one, or always the same one for it."""
    if rule.fits.fullmatch(given):
        return given
    digest = hashlib.sha256(given.encode("utf-8", "surrogatepass")).hexdigest()
    return rule.prefix + digest[: rule.length]


def fit(
    messages: Sequence[Json], rule: IdRule, losses: Losses, *, begun_elsewhere: bool = False
) -> list[Json]:
    """Return the conversation with every call answered, at once and in order; raises Unable.

    `begun_elsewhere`: the API keeps its first turns, so that a result may answer a call of those.
    """
    found: list[Json] = []
    seen: dict[str, int] = {}
    waiting: dict[str, str] = {}  # calls without a result: as given -> as sent
    turn: list[Json] = []  # the results that have come
    for place, message in enumerate(messages):
        if message["role"] == "tool":
            given = text(message, "tool_call_id") or ""
            given = given or next(iter(waiting), "")  # Ollama's and Gemini's go by order
            if given in waiting and not any(
                each["tool_call_id"] == waiting[given] for each in turn
            ):
                turn.append({**message, "tool_call_id": waiting[given]})
            elif begun_elsewhere and given:
                found.append({**message, "tool_call_id": call_id(given, rule)})
            else:
                losses.add("tool_result")
                found += _settled(waiting, turn, losses)
                found.append(_as_words(message, place))
            continue
        if waiting:
            found += _settled(waiting, turn, losses)
        if message.get("tool_calls"):
            message = _renamed(message, rule, seen, waiting, place)  # noqa: PLW2901
        found.append(message)
    return found + _settled(waiting, turn, losses)


def _settled(waiting: dict[str, str], turn: list[Json], losses: Losses) -> list[Json]:
    """Return the results of a turn in the order of its calls, and begin anew."""
    results = {each["tool_call_id"]: each for each in turn}
    ordered = []
    for sent in waiting.values():
        if sent not in results:
            losses.add("tool_result")
        missing = {"role": "tool", "tool_call_id": sent, "content": NO_RESULT}
        ordered.append(results.get(sent, missing))
    waiting.clear()
    turn.clear()
    return ordered


def _renamed(
    message: Json, rule: IdRule, seen: dict[str, int], waiting: dict[str, str], place: int
) -> Json:
    """Return a message whose calls have ids that fit, none of them twice in a conversation."""
    if message["role"] != "assistant":
        return message
    calls = message["tool_calls"]
    if type(calls) is not list or not all(type(call) is dict for call in calls):
        raise Unable(f"messages[{place}].tool_calls is no list of objects")
    renamed = []
    for order, call in enumerate(calls):
        given = text(call, "id") or f"call_{place}_{order}"
        seen[given] = seen.get(given, 0) + 1
        again = given if seen[given] == 1 else f"{given}\n{seen[given]}"
        waiting[given if given not in waiting else again] = sent = call_id(again, rule)
        renamed.append({**call, "id": sent})
    return {**message, "tool_calls": renamed}


def _as_words(message: Json, place: int) -> Json:
    """Return a result without a call as what the user says: no API takes it otherwise."""
    said = spoken(message, f"messages[{place}]")
    return {"role": "user", "content": said or NO_RESULT}


def own_form(message: Json, dialect: str) -> list[Json] | None:
    """Return what a message says in the own form of a dialect, where it came from there."""
    kept = part(message, "provider_specific_fields").get(OWN[dialect])
    fine = type(kept) is list and kept and all(type(each) is dict for each in kept)
    return kept if fine else None


def lose_own(message: Json, dialect: str | None, losses: Losses) -> None:
    """Name what a message says in the own forms of other vendors than this one's."""
    if message["role"] != "assistant" or "provider_specific_fields" not in message:
        return
    kept = part(message, "provider_specific_fields")
    for name, key in OWN.items():
        if name != dialect:
            for each in objects(kept, key):
                for lost in _sealed(each):
                    losses.add(lost)


def lose_reasoning(message: Json, losses: Losses) -> None:
    """Name the reasoning that stands in a message for readers."""
    thought = any(message.get(name) for name in ("reasoning_content", "thinking_blocks"))
    content = message.get("content")
    among = type(content) is list and any(text(each, "type") in THOUGHTS for each in content)
    if thought or among:
        losses.add("reasoning")


def _sealed(piece: Json) -> list[str]:
    """Return the names of what a piece of a vendor's own form says to that vendor only."""
    kind = text(piece, "type") or ""
    if kind in THOUGHTS or "thoughtSignature" in piece:
        return ["reasoning"]
    if kind in ("server_tool_use", "mcp_tool_use"):
        return [f"server_tool:{text(piece, 'name') or kind}"]
    if kind.endswith("_call") and kind != "function_call":
        return [f"server_tool:{kind.removesuffix('_call')}"]
    if kind == "compaction":
        return ["compaction"]
    if piece.get("citations"):
        return ["citations"]
    called = {"toolCall": "google_search", "executableCode": "code_execution"}
    return [f"server_tool:{name}" for key, name in called.items() if key in piece]


def acts(kept: Any) -> bool:
    """Tell of what is kept in vendors' own forms whether it holds more than words and calls."""
    pieces = (kept.get(key) for key in OWN.values()) if isinstance(kept, Mapping) else ()
    return any(_is_deed(each) for own in pieces if isinstance(own, list) for each in own)


def _is_deed(piece: Any) -> bool:
    if not isinstance(piece, Mapping):
        return False
    kind = piece.get("type")
    return kind not in _SAYINGS if kind else not _SAYING_PARTS.issuperset(piece)


_SAYINGS: Final = words(
    "message reasoning function_call custom_tool_call text thinking redacted_thinking tool_use"
)
_SAYING_PARTS: Final = words("text thought thoughtSignature functionCall")  # of Gemini's


def keep(own: Mapping[str, Any]) -> Json:
    """Return the field of a message that keeps what only its vendor understands."""
    fields = present(**own)
    return {"provider_specific_fields": fields} if fields else {}


def arguments_of(call: Json, losses: Losses) -> Json:
    """Return a call's arguments as an object; a model may have written what is none."""
    function = part(call, "function")
    given = function.get("arguments") if function else text(part(call, "custom"), "input")
    if given is None or given == "":
        return {}
    if type(given) is dict:
        return given
    read = loads_object(given) if type(given) is str else None
    if read is None:
        losses.add("tool_arguments")
        return {"arguments": given if type(given) is str else dumps(given)}
    return read


# Source: OpenAI's refusals ("Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'",
# "Expected a string with maximum length 64").
OPENAI_NAMES: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def tool_name(given: str, fits: re.Pattern[str]) -> str:
    """Return a tool's name that the pattern allows: the given one, or always the same for it."""
    if fits.fullmatch(given):
        return given
    plain = re.sub(r"[^a-zA-Z0-9_-]", "_", given)[:48]
    digest = hashlib.sha256(given.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{plain if plain[:1].isalpha() else f't_{plain}'}_{digest[:8]}"
