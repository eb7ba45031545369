"""Whether this is asyncio: the sockets and timers of the async shapes are."""

from __future__ import annotations

import sys

from pilotlight.errors import InvalidCall


def require_asyncio() -> None:
    """Raise InvalidCall, before anything is asked or counted, under any other event loop."""
    events = sys.modules.get("asyncio.events")  # whoever has a loop has imported it
    if events is None or events._get_running_loop() is None:
        _refuse(_elsewhere() or "no asyncio event loop")
    elif "trio" in sys.modules and (name := _elsewhere()) is not None:
        _refuse(name)  # as a guest on asyncio, trio can't wait for its futures


def _elsewhere() -> str | None:
    """Return the name of the async library of this task, if it is known and not asyncio."""
    try:
        import sniffio

        name: str = sniffio.current_async_library()
    except Exception:  # not installed, or outside of all that it knows
        return None
    return None if name == "asyncio" else name


def _refuse(name: str) -> None:
    raise InvalidCall(
        f"the async calls run on asyncio, and this is {name}: use asyncio.run, anyio on its "
        "asyncio backend, or the sync call in a thread; nothing was sent"
    )
