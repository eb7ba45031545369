"""`stream_response`: an answer sent while it is being written."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from fastapi.responses import StreamingResponse

import pilotlight

# nginx would keep it until it is whole
_HEADERS = {"cache-control": "no-cache", "x-accel-buffering": "no"}


def stream_response(
    route: pilotlight.Route,
    messages: Sequence[Mapping[str, Any]],
    *,
    sse: bool = False,
    **options: Any,
) -> StreamingResponse:
    """Return a response that streams the answer to `messages`.

    Plain text, or with `sse=True` server-sent events: `message` with `{"text": ...}`, `restart`
    (forget what came so far), `done` with `{"served_by", "failed_over"}`, or `error` with
    `{"error", "retry_after"}`.  In plain text a failure cuts the connection off.

    `options` are those of `Route.astream`; the call is private if it is made inside
    `pilotlight.private()`.  Raises what a call refuses at once: InvalidCall, ConfigError.
    """
    stream = route.astream(messages, **options)
    body = _events(stream) if sse else _text(stream)
    kind = "text/event-stream" if sse else "text/plain"
    return StreamingResponse(body, media_type=f"{kind}; charset=utf-8", headers=_HEADERS)


def _said(chunk: Any) -> str:
    return next((each.delta.content or "" for each in chunk.choices if not each.index), "")


async def _text(stream: pilotlight.AsyncAnswerStream) -> AsyncIterator[str]:
    async with stream:
        async for chunk in stream:
            if isinstance(chunk, pilotlight.StreamRestarted):
                yield "\n\n"
            elif text := _said(chunk):
                yield text


async def _events(stream: pilotlight.AsyncAnswerStream) -> AsyncIterator[str]:
    async with stream:
        try:
            async for chunk in stream:
                if isinstance(chunk, pilotlight.StreamRestarted):
                    yield _event("restart", {})
                elif text := _said(chunk):
                    yield _event("message", {"text": text})
        except Exception as error:
            wait = getattr(error, "retry_after", None)
            yield _event("error", {"error": type(error).__name__, "retry_after": wait})
        else:
            told = {"served_by": stream.served_by, "failed_over": stream.failed_over}
            yield _event("done", told)


def _event(name: str, data: Mapping[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"
