"""A user's generator as the road reads it: step by step, with the attempt's tap listening."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pilotlight.core.flow.failover import CallContext
from pilotlight.core.provider import Ended, Failed
from pilotlight.doors.judging import alarm_for, failed, note_whose_time, seen
from pilotlight.errors import ProviderFault
from pilotlight.privacy.residency import private as private_block
from pilotlight.vocabulary.faults import Fault
from pilotlight.wire.tap import listening

if TYPE_CHECKING:
    from pilotlight.wire.alarm import Alarm
    from pilotlight.wire.tap import Tap


def scene(handle: Any, ctx: CallContext) -> listening:
    """Return what stands around the function's code; in a private call its own calls are, too."""
    return (_Privately if ctx.call.private else listening)(handle.tap)


class _Privately(listening):
    """The attempt's tap listens, and whatever is asked by pilotlight meanwhile is private."""

    def __enter__(self) -> Tap:
        self._block = private_block()
        self._block.__enter__()
        return super().__enter__()

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        self._block.__exit__(None, None, None)


class _Away(Exception):
    """The model is not at home, and the call is private."""

    def __init__(self, failure: Failed) -> None:
        super().__init__()
        self.failure = failure


class _Items:
    """What the two colours of a user's generator share."""

    _alarm: Alarm | None = None  # of an async one that has been read

    def __init__(
        self, handle: Any, scene: listening, items: Any, prompts: Sequence[Any], verify_local: Any
    ) -> None:
        self._handle = handle
        self._scene = scene  # entered for each step
        self._items = items
        self._prompts = prompts
        self._verify_local = verify_local  # asked once, before the function runs; None: no need
        self._texts: list[str] = []

    def commits(self, item: Any) -> bool:
        """An item commits unless it is empty: what it means is the function's own affair."""
        return item is not None and item != ""

    def failed(self, error: Exception) -> Failed:
        """Diagnose what interrupted the function."""
        if isinstance(error, _Away):
            return error.failure
        if self._alarm is not None:
            note_whose_time(self._handle.tap, self._alarm)
        return failed(self._handle, error, self._prompts, "".join(self._texts))

    def ended(self) -> Ended | Failed:
        """Judge by the wire whether the function was given a whole answer."""
        found = seen(self._handle, "".join(self._texts))
        return found if isinstance(found, Failed) else Ended(found)

    def _note(self, item: Any) -> Any:
        if self._handle.tap.spoilt:  # an SDK may have passed over it
            raise ProviderFault(Fault.MALFORMED_RESPONSE, self._handle.name)
        if isinstance(item, str):
            self._texts.append(item)
        return item


class Source(_Items):
    """A user's generator, read with the attempt's tap listening."""

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self._verify_local is not None:
            verify_local, self._verify_local = self._verify_local, None
            if (away := verify_local()) is not None:
                raise _Away(away)
        with self._scene:
            item = next(self._items)
        return self._note(item)

    def close(self) -> None:
        """Let the function's own `finally` run; what an SDK has left open is closed."""
        try:
            with self._scene:
                self._items.close()
        finally:
            self._handle.tap.close()


class AsyncSource(_Items):
    """A user's async generator, read with the attempt's tap listening and its clocks kept."""

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        if self._verify_local is not None:
            verify_local, self._verify_local = self._verify_local, None
            if (away := await verify_local()) is not None:
                raise _Away(away)
        if self._alarm is None:
            self._alarm = alarm_for(self._handle.tap)
        with self._scene, self._alarm:
            item = await anext(self._items)
        return self._note(item)

    async def aclose(self) -> None:
        """Let the function's own `finally` run; what an SDK has left open is closed."""
        if self._alarm is not None:
            self._alarm.stop()
        try:
            with self._scene:
                await self._items.aclose()
        finally:
            await self._handle.tap.aclose()
