"""Embeddings and images as they come back, and what makes them no answer.

A wrong vector is worse than none: it goes into an index, and nobody sees it again.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

from pilotlight.core.provider import Attempt, Call
from pilotlight.diagnosis.evidence import evidence
from pilotlight.diagnosis.prompt_texts import Texts
from pilotlight.diagnosis.verdict import Verdict
from pilotlight.providers import shapes
from pilotlight.vocabulary.faults import Fault
from pilotlight.wire.field_types import dict_in, of, refusal_in, text_in
from pilotlight.wire.tap import Tap

if TYPE_CHECKING:
    from litellm import EmbeddingResponse, ImageResponse, ModelResponse

Vector = list[float]
_NUMBERS: Final = frozenset({int, float})


@dataclass(frozen=True, slots=True)
class EmbeddingReply:
    """One vector for each text, and the whole answer: litellm's, or plain data of its shape."""

    vectors: list[Vector] = field(repr=False)
    said: Any = field(repr=False)

    @property
    def response(self) -> EmbeddingResponse:
        """The answer as `litellm.EmbeddingResponse`; imports litellm if it must."""
        plain = isinstance(self.said, dict)
        return shapes.as_embedding_response(self.said) if plain else self.said


@dataclass(frozen=True, slots=True)
class Image:
    """One image, as its provider gave it: an address, or base64."""

    url: str | None = None
    b64_json: str | None = field(default=None, repr=False)
    revised_prompt: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class ImageReply:
    """The images of an answer, and the whole answer: litellm's, or plain data of its shape."""

    images: list[Image]
    said: Any = field(repr=False)

    @property
    def response(self) -> ImageResponse:
        """The answer as `litellm.ImageResponse`; imports litellm if it must."""
        if not isinstance(self.said, dict):
            return self.said
        rows = [
            {name: value for name, value in asdict(image).items() if value is not None}
            for image in self.images
        ]
        return shapes.as_image_response(self.said, rows)


@dataclass(frozen=True, slots=True)
class ChatReply:
    """A chat's answer in OpenAI's shape, litellm's class only when asked for."""

    data: dict[str, Any] = field(repr=False)
    provider: str

    @property
    def text(self) -> str:
        """The text of the first choice, or its refusal in words."""
        return spoken(self.data["choices"][0]["message"])

    @property
    def response(self) -> ModelResponse:
        """The answer as `litellm.ModelResponse`; imports litellm if it must."""
        return shapes.as_model_response(self.data, self.provider)


def spoken(message: Any) -> str:
    """Return what a message says: its text, or why it says none."""
    return text_in(message, "content") or refusal_in(message) or ""


def flattened(data: dict[str, Any], part: str = "message") -> dict[str, Any]:
    """Make one text of what is said in other forms: content in parts, arguments as an object.

    The parts are those of Mistral's reasoning models.
    """
    choices = data.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        said = choice.get(part) if isinstance(choice, dict) else None
        if not isinstance(said, dict):
            continue
        if isinstance(content := said.get("content"), list):
            said["content"] = _text_of(content)
            if reasons := _text_of([each for one in content for each in _thoughts(one)]):
                said["reasoning_content"] = reasons
        if isinstance(calls := said.get("tool_calls"), list):
            for call in calls:
                function = dict_in(call, "function")
                if isinstance(given := function.get("arguments"), dict):
                    function["arguments"] = json.dumps(given, ensure_ascii=False)
    return data


def _text_of(parts: Sequence[Any]) -> str:
    texts = [each.get("text") for each in parts if isinstance(each, dict)]
    return "".join(text for text in texts if isinstance(text, str))


def _thoughts(part: Any) -> Sequence[Any]:
    thoughts = part.get("thinking") if isinstance(part, dict) else None
    return thoughts if isinstance(thoughts, list) else ()


def vectors_in(data: Sequence[Any] | None) -> list[Vector] | None:
    """Return the vectors in the order of the texts; None where that can't be told."""
    try:
        rows = sorted(data or (), key=lambda row: of(row, "index") or 0)
        places = [of(row, "index") for row in rows]
        if any(place is not None for place in places) and places != list(range(len(rows))):
            return None
        return [_numbers(of(row, "embedding")) for row in rows]
    except (TypeError, ValueError):
        return None


def _numbers(given: Any) -> Vector:
    """Read a vector; as base64 it is 32-bit floats, little-endian (OpenAI's API reference)."""
    if isinstance(given, str):
        packed = base64.b64decode(given, validate=True)
        try:
            return list(struct.unpack(f"<{len(packed) // 4}f", packed))
        except struct.error:
            raise ValueError from None
    if not isinstance(given, list):
        raise TypeError
    return given


def judge_vectors(
    call: Call, attempt: Attempt, tap: Tap, vectors: list[Vector] | None, asked: Any
) -> Verdict | None:
    """Return what is wrong with the vectors of a success; None if nothing is.

    `asked` is the length that the call or the target's options name (`dimensions`).
    """
    from pilotlight.diagnosis.classify import judge_wire

    if tap.requests and (verdict := judge_wire(tap, Texts(call.messages))) is not None:
        return verdict
    if vectors is not None and not vectors:
        return _verdict(tap, Fault.EMPTY_RESPONSE, "no vectors")
    told = _odd(vectors, len(call.messages))
    if told is None and vectors is not None:
        told = _misplaced(len(vectors[0]), attempt, asked)
    return None if told is None else _verdict(tap, Fault.MALFORMED_RESPONSE, told)


def _odd(vectors: list[Vector] | None, wanted: int) -> str | None:
    if vectors is None:
        return "the vectors can't be read"
    if len(vectors) != wanted:
        return f"{len(vectors)} vectors for {wanted} texts"
    sizes = {len(vector) for vector in vectors}
    if len(sizes) > 1:
        return f"vectors of {min(sizes)} to {max(sizes)} numbers in one answer"
    if sizes == {0}:
        return "empty vectors"
    try:
        finite = all(
            _NUMBERS.issuperset(map(type, vector)) and all(map(isfinite, vector))
            for vector in vectors
        )
    except OverflowError:
        finite = False
    return None if finite else "a vector with what is no finite number"


def _misplaced(size: int, attempt: Attempt, asked: Any) -> str | None:
    """Hold the vectors' length against what was asked for, or what the space has had."""
    if isinstance(asked, int):
        return None if size == asked else f"{size} numbers a vector where {asked} were asked for"
    space = attempt.target.space
    if space is None or space.agrees(size):
        return None
    return f"{size} numbers a vector where space {space.name} has had {space.size}"


def images_in(data: Sequence[Any] | None) -> list[Image]:
    """Return the images of an answer; what holds none is left out."""
    found = [
        Image(*(text_in(row, name) for name in ("url", "b64_json", "revised_prompt")))
        for row in (data if isinstance(data, list) else ())
    ]
    return [image for image in found if image.url or image.b64_json]


def judge_images(call: Call, tap: Tap, images: list[Image]) -> Verdict | None:
    """Return what is wrong with the images of a success; None if nothing is."""
    from pilotlight.diagnosis.classify import judge_wire

    if tap.requests and (verdict := judge_wire(tap, Texts(call.messages))) is not None:
        return verdict
    return None if images else _verdict(tap, Fault.EMPTY_RESPONSE, "no images")


def _verdict(tap: Tap, fault: Fault, what: str) -> Verdict:
    return Verdict(fault, None, tap.status, None, evidence(tap.status, None, what))
