"""litellm, imported at the first call that needs it, with its network traps shut.

Left open, litellm fetches a price list while it is imported, a list of headers at the first
Anthropic call, a tokenizer from a model hub in the middle of a stream, and prints advice to
the terminal.
"""

from __future__ import annotations

import os
import threading
from functools import cache
from typing import Any, Final

from pilotlight import extras

# litellm has a copy of what it would fetch; these say that the copy will do.
OFFLINE: Final = ("LITELLM_LOCAL_MODEL_COST_MAP", "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS")

_lock = threading.RLock()


def shut_network_traps() -> None:
    """Before litellm is imported: keep it from fetching anything by itself."""
    for name in OFFLINE:
        os.environ.setdefault(name, "True")


def need(what: str) -> None:
    """Raise MissingExtra where litellm is not installed; it is not imported for that."""
    if not extras.installed("litellm"):
        raise extras.missing("litellm", "litellm", what)


@cache
def absent() -> str:
    """Return what to tell of a call that only litellm could carry; empty where it is installed."""
    if extras.installed("litellm"):
        return ""
    return f"litellm, which is not installed ({extras.mend('litellm')})"


def litellm() -> Any:
    """Return the litellm module; the first time takes seconds.

    Raises MissingExtra where it is not installed.
    """
    return _imported()


def loaded() -> Any | None:
    """Return the litellm module if `litellm()` has imported it already."""
    return _imported() if _imported.cache_info().currsize else None


@cache
def _imported() -> Any:
    with _lock:
        shut_network_traps()
        litellm = extras.need("litellm", "litellm", "this call")
        litellm.disable_hf_tokenizer_download = True
        litellm.suppress_debug_info = True
        litellm.telemetry = False
        return litellm


def preload() -> threading.Thread:
    """Import litellm in a background thread, so that the first call need not wait for it.

    Raises MissingExtra where it is not installed.
    """
    need("preload()")
    thread = threading.Thread(target=litellm, name="pilotlight-preload", daemon=True)
    thread.start()
    return thread
