"""`stream_response`: an answer sent while it is being written, under WSGI and under ASGI.

Which kind of stream is right depends on the server's interface, not on the view: an async
generator under WSGI, and a plain one under ASGI, is collected to its end before the first
byte is sent.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse

from django_pilotlight.calls import Message, llm
from django_pilotlight.context import carried, current


def stream_response(
    request: HttpRequest,
    messages: Sequence[Message],
    route: str = "default",
    *,
    sse: bool = False,
    **options: Any,
) -> StreamingHttpResponse:
    """Return a response that streams the answer to `messages`, from sync and async views alike.

    Plain text, or with `sse=True` server-sent events: `message` with `{"text": ...}`,
    `restart` (forget what came so far), `done` with `{"served_by", "failed_over"}`, or
    `error` with `{"error", "retry_after"}`.  In plain text a failure cuts the connection
    off, and a restart is told in a line of its own.

    `options` are those of `llm(route).stream`, such as `private=True` or `total_timeout=20`.
    The context that holds here holds for the body.  Raises what a call refuses at once:
    `pilotlight.ConfigError`, `pilotlight.InvalidCall`.
    """
    calls = llm(route)
    say = Events() if sse else Text()
    body: Any
    if isinstance(request, ASGIRequest):
        body = _apieces(calls.astream(messages, **options), say)
    else:
        body = _pieces(calls.stream(messages, **options), say)
    response = StreamingHttpResponse(body, content_type=say.content_type)
    response.headers["Cache-Control"] = "no-cache"
    response.headers["X-Accel-Buffering"] = "no"  # nginx would keep it until it is whole
    return carried(response, current())


def _pieces(stream: Any, say: Text | Events) -> Iterator[str]:
    with stream:
        try:
            for chunk in stream:
                if piece := say.chunk(chunk):
                    yield piece
        except Exception as error:
            if not say.tells_errors:
                raise
            yield say.failed(error)
        else:
            yield say.ended(stream)


async def _apieces(stream: Any, say: Text | Events) -> AsyncIterator[str]:
    async with stream:
        try:
            async for chunk in stream:
                if piece := say.chunk(chunk):
                    yield piece
        except Exception as error:
            if not say.tells_errors:
                raise
            yield say.failed(error)
        else:
            yield say.ended(stream)


@dataclass(frozen=True, slots=True)
class Text:
    """The answer's text, and nothing else."""

    content_type: str = "text/plain; charset=utf-8"
    tells_errors: bool = False

    def chunk(self, chunk: Any) -> str:
        """Return what a chunk adds."""
        return (
            "\n\n[the answer was cut off; here it is anew]\n\n" if _restart(chunk) else _text(chunk)
        )

    def failed(self, error: Exception) -> str:
        """Return how a failure is told."""
        return ""

    def ended(self, stream: Any) -> str:
        """Return what comes last."""
        return ""


@dataclass(frozen=True, slots=True)
class Events:
    """Server-sent events."""

    content_type: str = "text/event-stream"
    tells_errors: bool = True

    def chunk(self, chunk: Any) -> str:
        """Return the event of a chunk; none for one without text."""
        if _restart(chunk):
            return _event("restart", {})
        text = _text(chunk)
        return _event("message", {"text": text}) if text else ""

    def failed(self, error: Exception) -> str:
        """Return how a failure is told: by its kind, for its words may hold more."""
        return _event(
            "error",
            {"error": type(error).__name__, "retry_after": getattr(error, "retry_after", None)},
        )

    def ended(self, stream: Any) -> str:
        """Return who served it."""
        return _event("done", {"served_by": stream.served_by, "failed_over": stream.failed_over})


def _event(name: str, data: dict[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"


def _restart(chunk: Any) -> bool:
    from pilotlight import StreamRestarted

    return isinstance(chunk, StreamRestarted)


def _text(chunk: Any) -> str:
    choices = getattr(chunk, "choices", None)
    delta = getattr(choices[0], "delta", None) if choices else None
    return getattr(delta, "content", None) or ""
