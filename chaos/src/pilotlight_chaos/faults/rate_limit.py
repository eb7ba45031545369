"""Too many requests: clears by waiting, and says how long where the provider says it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .base import Provider, Refusal
from .values import FaultError

if TYPE_CHECKING:
    from ..answers import Ask
    from ..http import Reply


@dataclass(frozen=True, kw_only=True)
class RateLimit(Refusal):
    kind = "rate_limit"
    about = "429 that clears by waiting"

    retry_after: float | None = 20.0  # seconds; None: say nothing
    header: str | None = None  # Retry-After in these words, in place of the seconds: "nan", a date

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.header is not None and not (self.header.isascii() and self.header.isprintable()):
            raise FaultError(
                f"fault {self.kind!r}: header is one line of ASCII, not {self.header!r}"
            )

    def refuse(self, provider: Provider, ask: Ask) -> Reply | None:
        if self.header is None:
            return super().refuse(provider, ask)
        reply = provider.refusal(ask, replace(self, retry_after=None, header=None))
        return replace(reply, headers={**reply.headers, "retry-after": self.header})
