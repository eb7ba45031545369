"""A call as the body of Ollama's native POST `/api/chat`: what the dialect leaves to a target.

The dialect writes what was asked; the context, how long the model stays loaded, and whether a
prompt may be cut are the target's.  The native API is used because `/v1` can't set `num_ctx` and
loses errors in the middle of a stream.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from pilotlight.dialects import ollama
from pilotlight.dialects.base import Unable
from pilotlight.dialects.ollama.request import OPTIONS
from pilotlight.errors import InvalidCall
from pilotlight.providers.native.plain_values import plain

Json = dict[str, Any]


class UnsupportedInput(InvalidCall):
    """The call holds something that can't be put to Ollama; the message says what and where."""


class ChatRequest(NamedTuple):
    """The body for POST /api/chat, and what it could not carry."""

    body: Json
    lost: tuple[str, ...]


def chat_request(
    model: str,
    messages: Iterable[object],
    options: Mapping[str, Any],
    *,
    stream: bool,
    context: int | None = None,
    keep_alive: float | str | None = None,
) -> ChatRequest:
    """Convert a call; raises `UnsupportedInput` for what Ollama can't be asked.

    `num_ctx` is `context` unless the call sets its own.  Raw Ollama options may stand in
    `options`, in `extra_body` and in the mapping `options["options"]`, each of
    which wins over the one before.

    `reasoning_effort` becomes `think`.  A model without levels takes any level as
    true; one that can't think at all answers 400 to it, so take `think` out of the
    body when the model lacks that capability.
    """
    given = _flat(options)
    if not given.get("format", True):
        del given["format"]
    wanted = given.get("response_format")
    if isinstance(wanted, type) and hasattr(wanted, "model_json_schema"):  # a pydantic model
        schema = {"schema": wanted.model_json_schema()}
        given["response_format"] = {"type": "json_schema", "json_schema": schema}
    asked = {"model": model, "messages": [*messages], "stream": stream}
    try:
        body, lost = _written(plain({**given, **asked}))
    except Unable as told:
        raise UnsupportedInput(str(told)) from None
    if keep_alive is not None:
        body.setdefault("keep_alive", keep_alive)
    body |= {name: given[name] for name in ("truncate", "shift") if name in given}
    # What asks for nothing elsewhere is told as well: the model's own file may say otherwise.
    own = {name: value for name, value in given.items() if name in OPTIONS}
    default = {} if context is None else {"num_ctx": context}
    body["options"] = {**default, **own, **body["options"]}
    return ChatRequest(body, lost)


def _written(request: Json) -> tuple[Json, tuple[str, ...]]:
    for name in ("truncate", "shift"):
        request.pop(name, None)  # the dialect has them off
    written = ollama.write_request(request)
    return written.body, written.lost


def _present(options: Mapping[str, Any]) -> Json:
    return {name: value for name, value in options.items() if value is not None}


def _flat(options: Mapping[str, Any]) -> Json:
    given = _present(options)
    extra = given.pop("extra_body", {})
    return {**given, **_present(extra)}


def _sampling(given: Mapping[str, Any]) -> Json:
    sampling = {name: value for name, value in given.items() if name in OPTIONS}
    limit = given.get("max_completion_tokens", given.get("max_tokens"))
    if limit is not None:
        sampling.setdefault("num_predict", limit)
    if stop := given.get("stop"):
        sampling["stop"] = [stop] if isinstance(stop, str) else list(stop)
    return sampling
