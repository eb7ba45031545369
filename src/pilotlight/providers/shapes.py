"""OpenAI-shaped answers without litellm.

Importing litellm costs seconds, and each of its objects more than the rest of a call.  So
what comes straight from a server is a `Shape`, which reads the same, and litellm's own class
where somebody asks for that: `Answer.response`, and the drop-in.

    reply = Shape({...})
    reply.choices[0].message.content
    reply["usage"]["total_tokens"]
    reply.model_dump()

A `Shape` is a dict, so that a message of one answer can go straight back into
the next request, into `json.dumps`, or to an SDK.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from operator import is_
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar, cast

from pilotlight.catalog import litellm_module

if TYPE_CHECKING:
    from litellm.types.utils import (
        EmbeddingResponse,
        ImageResponse,
        ModelResponse,
        ModelResponseStream,
    )

FINGERPRINT: Final = "fp_ollama"  # by which a chunk of Ollama's is known
Response = TypeVar("Response", "ModelResponse", "ModelResponseStream", "EmbeddingResponse")

# What a reader may ask for without looking first: None when the answer has no such part.
# The key is where the object hangs ("" for the answer itself).
_SAID: Final = frozenset(
    {
        "role", "content", "tool_calls", "function_call", "refusal", "reasoning_content",
        "annotations", "audio",
    }
)  # fmt: skip
_OPTIONAL: Final[Mapping[str, frozenset[str]]] = {
    "": frozenset({"usage", "system_fingerprint", "service_tier"}),
    "choices": frozenset({"finish_reason", "logprobs"}),
    "message": _SAID,
    "delta": _SAID,
    # In a stream a tool call comes in pieces: its name and id in the first alone.
    "tool_calls": frozenset({"id", "type", "index", "function"}),
    "function": frozenset({"name", "arguments"}),
    "function_call": frozenset({"name", "arguments"}),
    "logprobs": frozenset({"content", "refusal"}),
    "usage": frozenset({"prompt_tokens_details", "completion_tokens_details"}),
    "prompt_tokens_details": frozenset({"cached_tokens", "audio_tokens"}),
    "completion_tokens_details": frozenset(
        {
            "reasoning_tokens", "audio_tokens",
            "accepted_prediction_tokens", "rejected_prediction_tokens",
        }
    ),
}  # fmt: skip
_NONE: Final[frozenset[str]] = frozenset()


class Shape(dict[str, Any]):
    """A read-only dict whose keys are attributes too, all the way down.

    What OpenAI calls optional (`usage`, `tool_calls`, ...) reads as None when it
    is absent, but is no key; any other unknown name is an AttributeError.  Nested
    dicts and lists are wrapped when they are first read.
    """

    __slots__ = ("_place",)
    _place: str

    def __init__(self, data: Mapping[str, Any], place: str = "") -> None:
        super().__init__(data._plain() if isinstance(data, Shape) else data)
        object.__setattr__(self, "_place", place)

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            pass
        if name.startswith("_"):  # also: copy and pickle ask before `_place` is there
            raise AttributeError(name)
        if name in _OPTIONAL.get(self._place, _NONE):
            return None
        raise AttributeError(f"this {self._place or 'answer'} has no {name!r}, only {list(self)}")

    def __getitem__(self, key: str) -> Any:
        value = dict.__getitem__(self, key)
        if type(value) in _PLAIN:
            return value
        if (wrapped := _wrapped(value, key)) is not value:
            dict.__setitem__(self, key, wrapped)
        return wrapped

    def __iter__(self) -> Iterator[str]:  # spelt out so that `dict(shape)` wraps as well
        return super().__iter__()

    def get(self, key: str, default: Any = None) -> Any:
        try:
            return self[key]
        except KeyError:
            return default

    def items(self) -> Any:
        """Return the pairs, nested objects wrapped."""
        return {key: self[key] for key in self}.items()

    def values(self) -> Any:
        """Return the values, nested objects wrapped."""
        return {key: self[key] for key in self}.values()

    def copy(self) -> Shape:
        return Shape(self._plain(), self._place)

    def model_dump(self, *, exclude_none: bool = False, **_: object) -> dict[str, Any]:
        """Return plain, independent dicts and lists, as pydantic's models do."""
        return cast("dict[str, Any]", _plain(self._plain(), exclude_none))

    def model_dump_json(
        self, *, indent: int | None = None, exclude_none: bool = False, **_: object
    ) -> str:
        """Return the JSON text, as pydantic's models do."""
        separators = (",", ":") if indent is None else None
        data = self.model_dump(exclude_none=exclude_none)
        return json.dumps(data, indent=indent, ensure_ascii=False, separators=separators)

    def _plain(self) -> dict[str, Any]:
        return {key: dict.__getitem__(self, key) for key in dict.__iter__(self)}

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self, *_OPTIONAL.get(self._place, _NONE)})

    def __repr__(self) -> str:
        inside = ", ".join(f"{key}={self[key]!r}" for key in self)
        return f"{self._place.title() if self._place else 'Shape'}({inside})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Shape, (self._plain(), self._place)

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("an answer is read-only; change a copy: answer.model_dump()")

    __setattr__ = __delattr__ = __setitem__ = __delitem__ = _refuse
    __ior__ = clear = pop = popitem = setdefault = update = _refuse


_PLAIN: Final[frozenset[type]] = frozenset((str, int, float, bool, type(None), Shape))


def _wrapped(value: Any, place: str) -> Any:
    """Return the value with everything in it wrapped; itself where there is nothing to wrap."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is list or isinstance(value, list | tuple):
        items = [_wrapped(item, place) for item in value]
        same = kind is list and all(map(is_, items, value))
        return value if same else items
    return Shape(value, place) if isinstance(value, Mapping) else value


def _plain(value: Any, exclude_none: bool) -> Any:
    if isinstance(value, Mapping):
        return {
            key: _plain(item, exclude_none)
            for key, item in value.items()
            if not (exclude_none and item is None)
        }
    if isinstance(value, list | tuple):
        return [_plain(item, exclude_none) for item in value]
    return value


def litellm_loaded() -> bool:
    """Tell whether litellm is there for the taking: imported, and not half-way through it."""
    module = sys.modules.get("litellm")
    if module is None or "litellm.types.utils" not in sys.modules:
        return False
    return not getattr(getattr(module, "__spec__", None), "_initializing", False)


def as_model_response(data: Mapping[str, Any], provider: str) -> ModelResponse:
    """Return the answer as a `litellm.ModelResponse`; imports litellm if it must.

    Where that is not installed the answer is a `Shape`, which reads the same; so are the others.
    """
    if litellm_module.absent():
        return cast("ModelResponse", Shape(data))
    litellm_module.shut_network_traps()
    from litellm.types.utils import Choices, Message, ModelResponse  # takes seconds

    plain = _dumped(data)
    try:
        response = ModelResponse(**plain)
    except Exception:
        response = ModelResponse(**_acceptable(plain, ModelResponse, Choices, "message", Message))
    for choice, said in zip(response.choices, plain["choices"], strict=True):
        if said.get("finish_reason") is None:  # litellm would make up "stop"
            choice.finish_reason = None  # type: ignore[assignment]
    return _marked(response, provider)


def as_model_response_stream(data: Mapping[str, Any]) -> ModelResponseStream:
    """Return the chunk as a `litellm.ModelResponseStream`; imports litellm if it must."""
    if litellm_module.absent():
        return cast("ModelResponseStream", Shape(data))
    litellm_module.shut_network_traps()
    from litellm.types.utils import Delta, ModelResponseStream, StreamingChoices  # takes seconds

    provider = "ollama" if data.get("system_fingerprint") == FINGERPRINT else None
    plain = _dumped(data)
    try:
        chunk = ModelResponseStream(**plain)
    except Exception:
        classes: Any = (ModelResponseStream, StreamingChoices, "delta", Delta)
        chunk = ModelResponseStream(**_acceptable(plain, *classes))
    return _marked(chunk, provider)


def _acceptable(plain: dict[str, Any], answer: Any, choice: Any, part: str, said: Any) -> Any:
    """Return an answer that litellm's classes refuse without what they refuse of it.

    They know fewer kinds of annotations, audio, usage ... than servers send.
    """
    choices = []
    for place, each in enumerate(plain["choices"]):
        spoken = each.get(part) or {}
        calls = [_bare(call) for call in spoken.get("tool_calls") or ()]
        inner = _taken(said, {"tool_calls": calls} if calls else {}, spoken)
        choices.append(_taken(choice, {"index": place, part: inner}, each))
    usage = _usable(plain.get("usage"))
    return _taken(answer, {"choices": choices}, {**plain, **({"usage": usage} if usage else {})})


def _bare(call: dict[str, Any]) -> dict[str, Any]:
    """Return a tool call without what is none of OpenAI's, such as both of its kinds at once."""
    kind = "function" if call.get("function") else "custom"
    inner = {name: call[kind].get(name) for name in _CALLED[kind]}
    index = {"index": call["index"]} if type(call.get("index")) is int else {}
    return {**index, "id": call.get("id") or "", "type": kind, kind: inner}


_CALLED: Final = {"function": ("name", "arguments"), "custom": ("name", "input")}


def _usable(usage: Any) -> dict[str, Any] | None:
    from litellm.types.utils import Usage

    return _taken(Usage, {}, usage) if isinstance(usage, dict) else None


def _taken(make: Any, sure: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of these, besides those that are sure, that a class takes."""
    taken = dict(sure)
    for name, value in given.items():
        if name not in sure:
            with suppress(Exception):  # whatever its constructor raises
                make(**{**taken, name: value})
                taken[name] = value
    return taken


def as_embedding_response(data: Mapping[str, Any]) -> EmbeddingResponse:
    """Return the answer as a `litellm.EmbeddingResponse`; imports litellm if it must."""
    if litellm_module.absent():
        return cast("EmbeddingResponse", Shape(data))
    litellm_module.shut_network_traps()
    from litellm.types.utils import EmbeddingResponse  # takes seconds

    return _marked(EmbeddingResponse(**data), "ollama")


def as_image_response(data: Mapping[str, Any], rows: list[dict[str, str]]) -> ImageResponse:
    """Return the answer as a `litellm.ImageResponse`; imports litellm if it must.

    `rows` are its images.  Of the rest, what litellm's class does not take is left out.
    """
    if litellm_module.absent():
        return cast("ImageResponse", Shape(data))
    litellm_module.shut_network_traps()
    from litellm.types.utils import ImageResponse  # takes seconds

    created, usage = data.get("created"), data.get("usage")
    known: dict[str, Any] = {"created": created if type(created) is int else None, "data": rows}
    with suppress(TypeError, ValueError):  # pydantic's is a ValueError
        return ImageResponse(**known, usage=usage)
    return ImageResponse(**known)


def _dumped(data: Mapping[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = _plain(data, exclude_none=False)
    usage = plain.pop("usage", None)
    return {**plain, "choices": plain.get("choices") or [], **_usage(usage)}


def _usage(given: Any) -> dict[str, Any]:
    """Return the usage that litellm's class can be made of; it would hide its own methods."""
    from litellm.types.utils import Usage

    if not isinstance(given, dict):
        return {}
    fields = Usage.model_fields
    return {"usage": {k: v for k, v in given.items() if k in fields or not hasattr(Usage, k)}}


def _marked(response: Response, provider: str | None) -> Response:
    """Note the provider where litellm's cost functions look for it; else they print a complaint."""
    if provider is not None:
        response._hidden_params = {"custom_llm_provider": provider}
    return response
