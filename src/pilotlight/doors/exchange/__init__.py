"""A request in a dialect, a route, an answer in that dialect: for `guard` and the gateway alike.

    request = CallerRequest("anthropic_messages", body, headers)
    reply = ask(route, request)              # async: await aask(route, request)
    reply.status, reply.headers
    for piece in reply: ...                  # bytes; async for piece in reply

Where the target speaks the caller's dialect nothing is translated: the body goes out as it came,
the answer's bytes come back as they came.  Refusals are written in the caller's dialect too, such
that its SDK raises its own class.
"""

from pilotlight.doors.exchange.asking import BadRequest, CallerRequest
from pilotlight.doors.exchange.exchange import aask, ask
from pilotlight.doors.exchange.refusals import refusal_of, refused
from pilotlight.doors.exchange.reply import AsyncReply, BrokenStream, Reply

__all__ = [
    "AsyncReply",
    "BadRequest",
    "BrokenStream",
    "CallerRequest",
    "Reply",
    "aask",
    "ask",
    "refusal_of",
    "refused",
]
