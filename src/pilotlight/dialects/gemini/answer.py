"""Gemini's GenerateContentResponse as an answer of the pivot; whole, or one event of a stream.

What the pivot holds by itself are text and calls of functions.  Where there is more (thought
signatures, programs that ran on Google's servers, pictures), the parts stay in Gemini's own
form beside it, and go back to Gemini alone.

Source: Google's API reference, GenerateContentResponse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any, Final

from pilotlight.dialects.base import Asked, Json, Refusal, Unreadable
from pilotlight.dialects.fields import (
    count,
    dumps,
    need_name,
    need_object,
    need_objects,
    need_part,
    need_text,
    objects,
    part,
    present,
    text,
)
from pilotlight.dialects.history import OWN, keep
from pilotlight.dialects.shape import call_of, completion, usage_of

KEPT: Final = OWN["gemini"]
_FINISHES: Final[Mapping[str, str]] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
}
_NO_REASON: Final = ("", "FINISH_REASON_UNSPECIFIED")
# What a candidate says beside its parts; `citationMetadata` and the like have no other place.
_BESIDE: Final = (
    "finishMessage", "safetyRatings", "citationMetadata", "groundingMetadata",
    "urlContextMetadata", "avgLogprobs",
)  # fmt: skip
_USUAL: Final = frozenset({"content", "index", "finishReason", "tokenCount"})
_ANSWERS: Final = ("candidates", "promptFeedback", "usageMetadata")


def read_answer(said: Any, asked: Asked) -> Json:
    """Read a whole answer.  Raises Unreadable, and nothing else."""
    said = need_object(said, "the answer")
    if not any(name in said for name in _ANSWERS):
        raise Unreadable("the answer has no candidates")
    answer_id = text(said, "responseId") or asked.id
    choices = []
    for index, candidate in candidates(said):
        speech = Speech(index, answer_id, asked)
        message = _message(speech.add(candidate)) | speech.kept()
        choice: Json = {"index": index, "message": message, "finish_reason": speech.finish}
        choices.append({**choice, **beside(candidate)})
    answer = completion(asked, answer_id, text(said, "modelVersion"), choices)
    return answer | {"usage": tokens(part(said, "usageMetadata"))}


def read_parts(parts: list[Json], place: int) -> Json:
    """Read what a caller says that the model has said, in the content of this place."""
    speech = Speech(0, str(place), Asked())
    return _message(speech.add({"content": {"parts": parts}})) | speech.kept()


def _message(delta: Json) -> Json:
    calls = [{n: v for n, v in each.items() if n != "index"} for each in delta["tool_calls"]]
    content = delta["content"] or (None if calls or not delta["parts"] else "")
    more = ("reasoning_content", "images", "audio", "annotations")
    said = {name: delta[name] for name in more if delta.get(name)}
    called = {"tool_calls": calls} if calls else {}
    return {"role": "assistant", "content": content, **said, **called}


def candidates(said: Json) -> list[tuple[int, Json]]:
    """Return the candidates by their index; of a prompt that was blocked, one without words."""
    found = need_objects(said, "candidates")
    if found:
        return [(_index(each, place), each) for place, each in enumerate(found)]
    reason = need_text(need_part(said, "promptFeedback"), "blockReason", "promptFeedback.")
    if reason not in ("", "BLOCKED_REASON_UNSPECIFIED"):
        return [(0, {"finishReason": "SAFETY", "promptFeedback": part(said, "promptFeedback")})]
    return []


def _index(candidate: Json, place: int) -> int:
    index = candidate.get("index", place)
    if type(index) is not int or not 0 <= index < 128:
        raise Unreadable(f"candidates[{place}].index is no place in a list")
    return index


def beside(candidate: Json) -> Json:
    """Return what stands beside a candidate's parts, as fields of a choice."""
    if candidate.keys() <= _USUAL:
        return {}
    told = {name: candidate[name] for name in (*_BESIDE, "promptFeedback") if candidate.get(name)}
    fields: Json = {"provider_specific_fields": told} if told else {}
    if said := _logprobs(part(candidate, "logprobsResult")):
        fields["logprobs"] = {"content": said, "refusal": None}
    return fields


def _logprobs(result: Json) -> list[Json]:
    chosen, tops = objects(result, "chosenCandidates"), objects(result, "topCandidates")
    return [
        {**_logprob(each), "top_logprobs": [_logprob(top) for top in objects(others, "candidates")]}
        for each, others in zip_longest(chosen, tops[: len(chosen)])
    ]


def _logprob(candidate: Json) -> Json:
    value = candidate.get("logProbability")
    number = value if isinstance(value, int | float) else 0.0
    return {"token": text(candidate, "token") or "", "logprob": number, "bytes": None}


class Speech:
    """What one candidate says, event by event."""

    __slots__ = ("_answer_id", "_asked", "_called", "_index", "_marked", "_parts", "finish")

    def __init__(self, index: int, answer_id: str, asked: Asked) -> None:
        self._index = index
        self._answer_id = answer_id
        self._asked = asked
        self._called = 0
        self._marked = False  # some part says what the pivot can't hold
        self._parts: list[Json] = []
        self.finish: str | None = None

    def add(self, candidate: Json) -> Json:
        """Take what comes next; return all that a delta may hold, empty or not."""
        content = need_part(candidate, "content")
        parts = need_objects(content, "parts", "content.")
        delta: Json = {"content": "", "reasoning_content": "", "tool_calls": [], "images": []}
        delta["parts"] = bool(parts)
        for place, each in enumerate(parts):
            self._take(each, f"parts[{place}].", delta)
        self._parts += parts
        if pages := _pages(candidate):
            delta["annotations"] = pages
        reason = need_text(candidate, "finishReason")
        if reason not in _NO_REASON:
            plain = _FINISHES.get(reason, reason.lower())
            self.finish = "tool_calls" if plain == "stop" and self._called else plain
        return delta

    def _take(self, said: Json, at: str, delta: Json) -> None:
        if text(said, "thoughtSignature"):
            self._marked = True
        if "text" in said:
            name = "reasoning_content" if said.get("thought") is True else "content"
            delta[name] += need_text(said, "text", at)
        elif "functionCall" in said:
            delta["tool_calls"].append(self._call(need_part(said, "functionCall", at), said, at))
        elif "inlineData" in said:
            self._marked = True
            _show(need_part(said, "inlineData", at), at, delta)
        elif said.keys() - {"thought", "thoughtSignature"}:
            self._marked = True

    def _call(self, function: Json, said: Json, at: str) -> Json:
        at += "functionCall."
        name, arguments = need_name(function, "name", at), need_part(function, "args", at)
        made = f"call_{self._answer_id}_{self._index}_{self._called}"
        call = call_of(
            text(function, "id") or made, self._asked.names.get(name, name), dumps(arguments)
        )
        if signature := text(said, "thoughtSignature"):
            call["provider_specific_fields"] = {"thought_signature": signature}
        self._called += 1
        return {"index": self._called - 1, **call}

    def kept(self) -> Json:
        """Return the field that keeps the parts, where the pivot can't hold what they say."""
        return keep({KEPT: _whole(self._parts)}) if self._marked else {}


def _show(blob: Json, at: str, delta: Json) -> None:
    kind = need_text(blob, "mimeType", f"{at}inlineData.")
    data = need_text(blob, "data", f"{at}inlineData.")
    if kind.startswith("audio/"):
        delta["audio"] = {"data": (delta.get("audio") or {}).get("data", "") + data}
    else:
        uri = f"data:{kind};base64,{data}"
        delta["images"].append({"type": "image_url", "image_url": {"url": uri}})


def _whole(parts: Sequence[Json]) -> list[Json]:
    """Put texts together that a stream has cut; a signature stays where it stood."""
    found: list[Json] = []
    for each in parts:
        last = found[-1] if found else {}
        if _is_plain(each) and _is_plain(last) and last.get("thought") == each.get("thought"):
            found[-1] = {**last, "text": last["text"] + each["text"]}
        else:
            found.append(each)
    return [each for each in found if each != {"text": ""}]


def _is_plain(said: Json) -> bool:
    return type(said.get("text")) is str and said.keys() <= {"text", "thought"}


def _pages(candidate: Json) -> list[Json]:
    """Return the pages that an answer rests on as OpenAI has them.

    Gemini counts bytes of the whole text where OpenAI counts characters, so where in the text
    a page is used is left to `groundingMetadata`.
    """
    chunks = objects(part(candidate, "groundingMetadata"), "groundingChunks")
    found = []
    for chunk in chunks:
        web = part(chunk, "web")
        if url := text(web, "uri"):
            page = {"url": url, **present(title=text(web, "title"))}
            found.append({"type": "url_citation", "url_citation": page})
    return found


def tokens(usage: Json) -> Json:
    """Return the tokens; what tools of Google's have brought in was read like the prompt."""
    thoughts = count(usage, "thoughtsTokenCount") or 0
    return usage_of(
        (count(usage, "promptTokenCount") or 0) + (count(usage, "toolUsePromptTokenCount") or 0),
        (count(usage, "candidatesTokenCount") or 0) + thoughts,
        cached=count(usage, "cachedContentTokenCount") or 0,
        reasoning=thoughts,
        service_tier=text(usage, "serviceTier"),
    )


def read_refusal(said: Any) -> Refusal | None:
    """Read an error; None where it is none of Google's.  Never raises."""
    if type(said) is list and len(said) == 1:  # a stream that was not asked for as events
        said = said[0]
    error = part(said, "error")
    if not error:
        return None
    return Refusal(text(error, "message") or "", text(error, "status"), count(error, "code"))
