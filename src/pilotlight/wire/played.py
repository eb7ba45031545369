"""Where connections lead while a test plays the providers: to a server of this process.

Nothing is played unless a test has said so; see `pilotlight.playing`.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Stage(NamedTuple):
    """A server that plays: its port on loopback, and the word by which it knows its own."""

    port: int
    word: str


stages: Final[list[Stage]] = []
"""The servers that play; the last one is asked."""
