"""The caller's own body, with as little changed as its target needs."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from pilotlight.core.provider import Original
from pilotlight.wire.http import dumped

_MODEL: Final = re.compile(rb'"model"\s*:\s*("(?:[^"\\]|\\.)*")')


def body_for(original: Original, model: str | None, more: Mapping[str, Any]) -> bytes:
    """Return the body for another model, None for the same, with fields that it does not have.

    Everything else stays as it came, byte for byte where that can be done.
    """
    body, said = original.body, original.said
    if model is not None and said.get("model") != model:
        found = list(_MODEL.finditer(body))
        if len(found) != 1 or json.loads(found[0][1]) != said.get("model"):
            return dumped({**said, **_lacking(said, more), "model": model})
        begin, end = found[0].span(1)
        body = b"%b%b%b" % (body[:begin], json.dumps(model).encode(), body[end:])
    if added := _lacking(said, more):
        body = b"%b,%b" % (body.rstrip()[:-1], dumped(added)[1:])
    return body


def _lacking(said: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in more.items() if name not in said}


def for_ollama(
    original: Original, model: str, context: int, keep_alive: str | float | None
) -> bytes:
    """Return the body with what keeps a prompt whole and the warm model in place.

    `num_ctx` is the target's, and a prompt that does not fit is refused and not cut, unless the
    caller says otherwise.
    """
    said = original.said
    options = said.get("options")
    given = options if isinstance(options, dict) else {}
    kept = {} if keep_alive is None else {"keep_alive": keep_alive}
    return dumped(
        {
            "truncate": False,
            "shift": False,
            **kept,
            **said,
            "model": model,
            "options": {"num_ctx": context, **given},
        }
    )
