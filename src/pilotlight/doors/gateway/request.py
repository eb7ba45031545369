"""One request: what it says of itself, and the line that is logged of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any, Final

from pilotlight.doors.exchange.asking import BadRequest, read_body
from pilotlight.doors.gateway.access import Scope
from pilotlight.doors.gateway.caller import Caller, headers_of
from pilotlight.doors.gateway.keys import Key
from pilotlight.doors.gateway.paths import DialectName
from pilotlight.doors.gateway.refuse import Refuse
from pilotlight.plain import logger

_access_log = logger("pilotlight.gateway.access")
_NO: Final = ("false", "0", "no", "off")
_LONGEST: Final = 1e9  # seconds


class Request:
    """What is known of one request, for its answer and for the log."""

    __slots__ = (
        *("began", "caller", "dialect", "headers", "key", "path", "route", "scope", "served_by"),
        "shown",
    )

    def __init__(self, scope: Scope, caller: Caller) -> None:
        self.scope = scope
        self.caller = caller
        self.headers = headers_of(scope["headers"])
        self.path: str = scope["path"].removeprefix(scope.get("root_path", "")) or "/"
        self.began = time.monotonic()
        self.dialect: DialectName = "openai_chat"
        self.shown = "(unknown)"
        self.key = self.route = self.served_by = ""

    def private(self, key: Key) -> bool | None:
        """Whether the call is private: by its key, or by its own word, which can't lift it."""
        word = self.headers.get("x-pilotlight-private")
        return key.private or (word is not None and word.lower() not in _NO) or None

    def total_timeout(self) -> float | None:
        """The time limit in seconds that the caller itself has set; raises Refuse."""
        word = self.headers.get("x-pilotlight-total-timeout")
        if word is None:
            return None
        try:
            seconds = float(word)
        except ValueError:
            seconds = 0.0
        if not 0 < seconds <= _LONGEST:
            raise Refuse(400, "x-pilotlight-total-timeout: give a positive number of seconds")
        return seconds

    def tags(self) -> dict[str, str]:
        """The tags that the caller has set, and the name of its key as `key`; raises Refuse."""
        found: dict[str, str] = {}
        for each in self.headers.get("x-pilotlight-tags", "").split(","):
            name, equals, value = each.strip().partition("=")
            if equals:
                found[name.strip()] = value.strip()
            elif name:
                raise Refuse(400, "x-pilotlight-tags: give them as `team=search, user=ann`")
        found.pop("key", None)  # that is ours to say
        return {**found, "key": self.key} if self.key else found

    def log(self) -> None:
        """Write a line: no query, no header, no body, and of the path what is ours."""
        if not _access_log.isEnabledFor(logging.INFO):
            return
        told = f"{self.scope['method']} {self.shown} {self.caller.status or 'left'}"
        for name in ("route", "served_by", "key"):
            if value := getattr(self, name):
                told += f" {name}={value}"
        _access_log.info("%s %.3f s", told, time.monotonic() - self.began)


def object_of(body: bytes) -> dict[str, Any]:
    """Return the JSON object that a body is; raises Refuse."""
    try:
        return read_body(body)
    except BadRequest as odd:
        raise Refuse(400, str(odd)) from None


def model_in(said: Mapping[str, Any]) -> str:
    """Return the model that a body names, `name` being an older word for it; raises Refuse."""
    model = said.get("model", said.get("name"))
    if not isinstance(model, str) or not model:
        raise Refuse(400, 'model: missing; name a route, such as "pilotlight/chat"')
    return model
