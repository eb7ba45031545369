"""The control endpoint: see and set faults over HTTP, on the same port.

GET  /__control             state: faults, counters
GET  /__control/kinds       the faults there are, with parameters
GET  /__control/requests    ?name= &limit= &probes=1 &bodies=1
POST /__control/fault       {"name": "primary", "kind": "rate_limit", "retry_after": 30}
POST /__control/heal        {"name": "primary"}, or {} for all
POST /__control/refuse      {"seconds": 5}
POST /__control/reset
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

from .book import FaultBook
from .faults import KINDS, FaultError, make_fault, parameters
from .http import Json, Reply, Request
from .state import Log

PREFIX = "/__control"
DEFAULT_LIMIT = 100
CloseDoor: TypeAlias = Callable[[float], None]


class Controlled(Protocol):
    """What can be seen and set of a server."""

    book: FaultBook
    log: Log
    close_door: CloseDoor | None  # for so many seconds

    def reset(self) -> None:
        """Forget faults, records, counters, and what was loaded or pulled."""


def handle(service: Controlled, request: Request) -> Reply:
    """Answer a control request."""
    what = request.path[len(PREFIX) :].strip("/")
    table = GETS if request.method == "GET" else POSTS if request.method == "POST" else {}
    act = table.get(what)
    if act is None:
        known = [f"GET {PREFIX}/{name}" for name in GETS]
        known += [f"POST {PREFIX}/{name}" for name in POSTS]
        return Reply({"error": f"no {request.method} {request.path}", "known": known}, 404)
    try:
        return Reply(act(service, request))
    except (FaultError, ValueError) as error:
        return Reply({"error": str(error)}, 400)


def state(service: Controlled, request: Request) -> Json:
    return {"faults": service.book.as_json(), "counters": service.log.as_json()}


def kinds(service: Controlled, request: Request) -> Json:
    return {
        kind.name: {
            "what": kind.what,
            "dialects": sorted(kind.dialects),
            "parameters": parameters(kind.name),
        }
        for kind in KINDS.values()
    }


def requests(service: Controlled, request: Request) -> Json:
    query = request.query
    records = service.log.records(query.get("name"), probes=_yes(query.get("probes")))
    limit = int(query.get("limit", DEFAULT_LIMIT))
    bodies = _yes(query.get("bodies"))
    kept = records[-limit:] if limit > 0 else []
    return {"requests": [record.as_json(bodies=bodies) for record in kept]}


def fault(service: Controlled, request: Request) -> Json:
    params = request.json()
    name, kind = params.pop("name", None), params.pop("kind", None)
    add = bool(params.pop("add", False))
    if not isinstance(name, str) or not isinstance(kind, str):
        raise FaultError('a fault needs a "name" and a "kind"')
    service.book.arm(name, make_fault(kind, params), add=add)
    return state(service, request)


def heal(service: Controlled, request: Request) -> Json:
    service.book.heal(request.json().get("name"))
    return state(service, request)


def refuse(service: Controlled, request: Request) -> Json:
    seconds = request.json().get("seconds")
    if not isinstance(seconds, int | float) or seconds <= 0 or service.close_door is None:
        raise FaultError('refuse needs "seconds": nothing can be asked of a closed door')
    service.close_door(float(seconds))
    return {"refusing_for": seconds}


def reset(service: Controlled, request: Request) -> Json:
    service.reset()
    return state(service, request)


def _yes(value: str | None) -> bool:
    return value in ("1", "true", "yes")


Act: TypeAlias = Callable[[Controlled, Request], Json]
GETS: dict[str, Act] = {"": state, "kinds": kinds, "requests": requests}
POSTS: dict[str, Act] = {"fault": fault, "heal": heal, "refuse": refuse, "reset": reset}
