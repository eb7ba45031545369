"""The other direction: a caller who speaks chat completions speaks the pivot already.

Source: OpenAI's API reference, POST /chat/completions.
"""

from __future__ import annotations

from typing import Any

from pilotlight.dialects.base import Json, Read, Refusal, Unable, Unreadable
from pilotlight.dialects.fields import need_object
from pilotlight.dialects.pivot import checked_messages


def read_request(body: Any) -> Read:
    """Read a caller's request.  Raises Unreadable, and nothing else."""
    body = need_object(body, "the request")
    try:
        checked_messages(body.get("messages"))
    except Unable as odd:
        raise Unreadable(str(odd)) from None
    return Read(body)


def write_answer(answer: Json) -> Json:
    """Write a whole answer: as it is."""
    return answer


def write_refusal(refusal: Refusal) -> Json:
    """Write an error as OpenAI would say it."""
    kind = refusal.kind
    error = {"message": refusal.message, "type": kind or "server_error", "code": kind}
    return {"error": {**error, "param": None}}


class Writer:
    """Writes one stream; see `base.Writer`.  The last word (`LAST_WORD`) is the door's."""

    def feed(self, chunk: Json) -> list[Json]:
        """Take the next chunk, which is an event already."""
        return [chunk]

    def finish(self) -> list[Json]:
        """Take note that the stream is whole."""
        return []
