"""A request as a caller has sent it, and the call that is made of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from pilotlight.core.flow.context import CallContext
from pilotlight.core.provider import Home, Original
from pilotlight.dialects.base import Unreadable
from pilotlight.dialects.openai_chat.manners import MANNERS
from pilotlight.dialects.pivot import CARRIAGE
from pilotlight.errors import InvalidCall
from pilotlight.providers.relay.ways import dialect_named
from pilotlight.routes.route import Route
from pilotlight.vocabulary.operations import Priority

DIALECTS: Final = ("openai_chat", "openai_responses", "anthropic_messages", "gemini", "ollama")
# The headers that say something about the request itself; the caller's keys are none of them.
_HEADERS: Final[Mapping[str, tuple[str, ...]]] = {
    "openai_chat": ("openai-beta",),
    "openai_responses": ("openai-beta",),
    "anthropic_messages": ("anthropic-beta", "anthropic-version"),
    "gemini": (),
    "ollama": (),
}
# What OpenAI's chat itself does not have, but servers that speak like it have.
_OF_SERVERS: Final = frozenset({"top_k", "min_p", "repetition_penalty", "thinking"})


class BadRequest(InvalidCall):
    """What a caller has sent is no request of its dialect."""


@dataclass(frozen=True, slots=True)
class CallerRequest:
    """A request in one of the five dialects (`DIALECTS`), as it came.

    `headers` are the caller's own; only those that belong to the dialect are sent on.  `model` and
    `stream` are for Gemini, where they stand in the address; None: as the body says.  Without
    `sse` Gemini's stream is one JSON list.  Times are in seconds.  `home` is where the caller's own
    client would have sent it, for a route on which that is a target.
    """

    dialect: str
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    model: str | None = None
    stream: bool | None = None
    sse: bool = True
    private: bool | None = None
    timeout: float | None = None
    total_timeout: float | None = None
    priority: Priority | None = None
    home: Home | None = None
    tags: Mapping[str, str] | None = None
    said: Mapping[str, Any] | None = field(default=None, repr=False)


def call_of(route: Route, request: CallerRequest) -> CallContext:
    """Put a request on its way as a call of the route.

    Raises InvalidCall for what is no request, and whatever `Route.complete` raises before
    anybody is asked.
    """
    said = given = read_body(request.body) if request.said is None else request.said
    if request.dialect == "gemini":
        given = {**said, "model": request.model or "", "stream": bool(request.stream)}
    try:
        read = dialect_named(request.dialect).read_request(given)
    except Unreadable as odd:
        raise BadRequest(str(odd)) from None
    except RecursionError:
        raise BadRequest("the request is nested too deeply") from None
    options, lost = _options(read.request, request.dialect)
    stream = read.request.get("stream") is True
    if stream and request.dialect != "openai_chat":
        options["stream_options"] = {"include_usage": True}  # whose ends tell the tokens
    original = Original(
        request.dialect,
        request.body,
        said,
        _own_headers(request),
        tuple(sorted({*read.lost, *lost})) if lost else read.lost,
        request.home,
    )
    policy = route.policy
    if policy.on_interrupt != "raise":  # what was shown can't be taken back in these dialects
        policy = replace(policy, on_interrupt="raise")
    return route.trip(
        read.request["messages"],
        options,
        private=request.private,
        timeout=request.timeout,
        total_timeout=request.total_timeout,
        priority=request.priority,
        tags=request.tags,
        stream=stream,
        policy=policy,
        original=original,
    )


def read_body(body: bytes) -> dict[str, Any]:
    """Return the JSON of a request; raises BadRequest."""
    try:
        said = json.loads(body.decode())
    except (ValueError, RecursionError):
        raise BadRequest("the body is not JSON in UTF-8") from None
    if type(said) is not dict:
        raise BadRequest("the body is not a JSON object")
    return said


def _options(request: Mapping[str, Any], dialect: str) -> tuple[dict[str, Any], set[str]]:
    """Return what is asked besides the messages, and the names of what goes to no other API.

    How a call is carried out is not up to a caller's body: an address in it would lead away.
    """
    options, lost = {}, set()
    for name, value in request.items():
        if name in ("model", "messages", "stream") or value is None:
            continue
        if name == "stream_options" or (name not in CARRIAGE and _is_known(name, dialect)):
            options[name] = value
        else:
            lost.add(name)
    return options, lost


def _is_known(name: str, dialect: str) -> bool:
    if dialect != "openai_chat":  # whoever has read it has let nothing else pass
        return True
    known = MANNERS["openai"].options
    return known is None or name in known or name in _OF_SERVERS


def _own_headers(request: CallerRequest) -> dict[str, str]:
    wanted = _HEADERS[request.dialect]
    if not wanted:
        return {}
    return {low: v for name, v in request.headers.items() if (low := name.lower()) in wanted}
