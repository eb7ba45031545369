"""How much of a body that is no answer goes on to its reader.

litellm looks for secrets in what it can't read, which takes seconds for a megabyte; and nobody
needs all of an error.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pilotlight.wire.clocks import RequestMonitor
    from pilotlight.wire.tap import Tap

ERROR_BODY: Final = 64 * 1024  # bytes
NO_JSON: Final = "the body is no JSON, or breaks off"


def is_unasked(headers: Mapping[str, str], monitor: RequestMonitor | None) -> bool:
    """Tell a stream that nobody asked for, from one that its reader could read."""
    if monitor is None or not monitor.tap.json_only:
        return False
    return "event-stream" in headers.get("content-type", "")


def is_garbage(tap: Tap) -> bool:
    """Tell a large body that is said to be JSON, or a page, and can't be read."""
    kind = tap.headers.get("content-type", "")
    if tap.received <= ERROR_BODY or not ("json" in kind or "html" in kind):
        return False
    try:
        json.loads(tap.whole)
    except (ValueError, RecursionError):
        return bool(tap.whole)
    return False
