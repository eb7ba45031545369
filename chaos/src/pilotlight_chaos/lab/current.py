"""The world of the experiment that runs now; chaostoolkit runs one at a time in a process."""

from __future__ import annotations

from .world import World

_current: list[World] = []


def current() -> World:
    """Return the world; raises RuntimeError when there is none."""
    if not _current:
        raise RuntimeError(
            "no experiment is running: the YAML needs the control pilotlight_chaos.control"
        )
    return _current[-1]


def is_built() -> bool:
    """Tell whether there is a world."""
    return bool(_current)


def enter(world: World) -> None:
    """Make a world the current one."""
    _current.append(world)


def leave() -> World:
    """Take the current world away, and return it."""
    return _current.pop()
