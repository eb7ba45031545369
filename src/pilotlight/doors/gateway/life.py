"""What is told to those who look after the gateway: alive, ready, the status page, the metrics."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any, Final

from pilotlight.app import Pilotlight
from pilotlight.doors.gateway import metrics, recent
from pilotlight.doors.gateway.paths import Does
from pilotlight.status import page, snapshot

HTML: Final = "text/html; charset=utf-8"
JSON: Final = "application/json"
PLAIN: Final = "text/plain; charset=utf-8"
_SAFE: Final = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; style-src 'self'; script-src 'self'; "
    "img-src 'self'; connect-src 'self'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}

Told = tuple[int, dict[str, str], bytes]  # status, headers, body


def ready(app: Pilotlight, draining: bool) -> Told:
    """Say whether calls can be made: 503 while stopping, and where a route has nobody to answer."""
    now = snapshot.take(app)
    down = [route.name for route in now.routes if route.standing == "down"]
    status = "draining" if draining else now.standing
    told = {"status": status, "down": down}
    return _told(503 if draining or down else 200, JSON, json.dumps(told).encode())


def tell(
    does: Does, path: str, query: bytes, app: Pilotlight, shared: metrics.Shared | None
) -> Told:
    """Answer an operator; raises Refuse."""
    if does == "metrics":
        text = metrics.own() if shared is None else shared.read()
        return _told(200, metrics.CONTENT_TYPE, text.encode())
    if does == "file":
        name = path.rpartition("/")[2]
        return _told(200, page.FILES[name], page.file(name))
    now, fleet, happened = snapshot.take(app), app.fleet(), recent.happened()
    if does == "status_json":
        told: dict[str, Any] = {
            **now.to_dict(),
            "fleet": None if fleet is None else asdict(fleet),
            "events": [{**asdict(each), "at": each.at.isoformat()} for each in happened],
        }
        return _told(200, JSON, json.dumps(told).encode())
    live = page.live(now, fleet, happened)
    if query.startswith(b"live"):
        return _told(200, HTML, live.encode())
    return _told(200, HTML, page.document(_LINKS, live).encode())


# Relative, so that they hold under whatever path the gateway is mounted.
_LINKS: Final = page.Links("status", "status.json", *(f"status/{name}" for name in page.FILES))


def _told(status: int, kind: str, body: bytes) -> Told:
    return status, {"content-type": kind, **_SAFE}, body
