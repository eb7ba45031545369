"""An event that can't be read, in the same bytes as the end mark: what it held is lost.

Whoever leaves such events out takes the rest for a whole answer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .base import Act, Provider

if TYPE_CHECKING:
    from ..http import Script

HALF = '{"id": "half-an-event", "choices": [{"index": 0, "delta": {"content":'


@dataclass(frozen=True, kw_only=True)
class BrokenEvent(Act):
    kind = "broken_event"
    about = "half an event beside the end mark of a stream"

    after: int = 2  # tokens sent before it strikes

    def mangle(self, script: Script, provider: Provider) -> Script:
        closing = provider.frame(HALF) + script.closing
        return replace(script, pieces=script.pieces[: self.after], closing=closing)
