"""How much the holder of a key may ask for, counted in each worker by itself."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from types import TracebackType

from pilotlight.doors.gateway.keys import Key
from pilotlight.doors.gateway.refuse import Refuse


@dataclass(slots=True)
class _Use:
    inside: int = 0
    left: float = 0.0  # calls
    at: float = 0.0


class Limits:
    """Counts the calls of each key; `clock` tells seconds.  For one event loop."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._uses: dict[str, _Use] = {}

    def admit(self, name: str, key: Key) -> AbstractContextManager[None]:
        """Return what the call is made in; raises Refuse where the key has no more."""
        if key.per_minute is None and key.concurrency is None:
            return nullcontext()
        use = self._uses.get(name)
        if use is None:
            use = self._uses[name] = _Use(left=float(key.per_minute or 0), at=self._clock())
        if key.concurrency is not None and use.inside >= key.concurrency:
            raise Refuse(429, f"this key may make {key.concurrency} calls at a time", retry_after=1)
        if key.per_minute is not None:
            _take(use, key.per_minute, self._clock())
        return _Place(use)


def _take(use: _Use, per_minute: int, now: float) -> None:
    """Take one call; they come back evenly over the minute."""
    each = 60.0 / per_minute
    use.left = min(float(per_minute), use.left + (now - use.at) / each)
    use.at = now
    if use.left < 1:
        wait = (1 - use.left) * each
        raise Refuse(429, f"this key may make {per_minute} calls a minute", retry_after=wait)
    use.left -= 1


class _Place(AbstractContextManager[None]):
    __slots__ = ("_use",)

    def __init__(self, use: _Use) -> None:
        self._use = use

    def __enter__(self) -> None:
        self._use.inside += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._use.inside -= 1
