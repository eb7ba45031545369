"""Whether anything may run in the background of this process."""

from __future__ import annotations

import os
from typing import Final

SWITCH: Final = "PILOTLIGHT_BACKGROUND"  # in the environment; "off": no thread is started


holds: Final[list[object]] = []
"""Who keeps the background still just now: a test that plays the providers."""


def allowed() -> bool:
    """Tell whether a thread may be started for what is done between calls."""
    return not holds and os.environ.get(SWITCH, "").lower() not in ("off", "0", "false", "no")
