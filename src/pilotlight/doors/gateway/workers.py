"""Several processes on one socket: begun, begun again when one dies, and ended together."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Final

from pilotlight.plain import logger

TICK: Final = 0.2  # seconds
SOON: Final = 5.0  # seconds; a worker that dies earlier has not begun well
LONGEST: Final = 10.0  # seconds before one that does not begin well is begun again
MISUSED: Final = 2  # the exit code of a worker whose configuration can't be used

_log = logger("pilotlight.gateway")


class Workers:
    """The workers of one gateway.

    `command` returns what to run for a worker's number.  Each has our standing in its standard
    input: a pipe that ends with us, however we end.
    """

    def __init__(
        self, count: int, command: Callable[[int], Sequence[str]], fds: Sequence[int], grace: float
    ) -> None:
        self._command = command
        self._fds = fds
        self._grace = grace
        self._slots = [_Slot(number) for number in range(count)]
        self._stopping: float | None = None  # since when

    def run(self) -> int:
        """Keep them running until told to stop; return the exit code.

        A configuration that can't be used ends them all at the start.  Later it is a file that
        was changed meanwhile: the others serve on by what they have read, and a worker that died
        is begun again and again, until the file is mended.
        """
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, self._stop)
        signal.signal(signal.SIGHUP, self._reload)
        code = 0
        while self._stopping is None:
            for slot in self._slots:
                ended = slot.look()
                if ended == MISUSED and slot.begun == 1:
                    code = MISUSED  # it has said why
                    self._stop(signal.SIGTERM)
                elif slot.is_due and self._stopping is None:
                    slot.begin(self._command(slot.number), self._fds)
            time.sleep(TICK)
        return code or self._end(self._stopping)

    def _stop(self, sig: int, frame: FrameType | None = None) -> None:
        if self._stopping is None:
            self._stopping = time.monotonic()
        self._tell(signal.SIGTERM)

    def _reload(self, sig: int, frame: FrameType | None = None) -> None:
        self._tell(signal.SIGHUP)

    def _tell(self, sig: int) -> None:
        for slot in self._slots:
            slot.tell(sig)

    def _end(self, since: float) -> int:
        """Wait for the workers; those that take longer than the grace are killed."""
        while any(slot.runs for slot in self._slots):
            if time.monotonic() - since > self._grace + SOON:
                _log.warning("workers that do not end are killed")
                self._tell(signal.SIGKILL)
            time.sleep(TICK)
        return 0


class _Slot:
    """One worker's place."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.begun = 0  # how often
        self._process: subprocess.Popen[bytes] | None = None
        self._began = 0.0
        self._due = 0.0
        self._wait = 0.0

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def is_due(self) -> bool:
        """Whether a process is to be begun now."""
        return self._process is None and time.monotonic() >= self._due

    def begin(self, command: Sequence[str], fds: Sequence[int]) -> None:
        self.begun += 1
        self._began = time.monotonic()
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter, our own command
            command, stdin=subprocess.PIPE, pass_fds=fds, env=dict(os.environ)
        )

    def look(self) -> int | None:
        """Return the exit code of a process that has ended; another follows, later each time."""
        now = time.monotonic()
        if self._process is None:
            return None
        if (code := self._process.poll()) is None:
            return None
        _log.warning("worker %d (process %d) ended: %d", self.number, self._process.pid, code)
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process = None
        quick = now - self._began < SOON
        self._wait = min(LONGEST, self._wait * 2 or TICK) if quick else 0.0
        self._due = now + self._wait
        return code

    def tell(self, sig: int) -> None:
        if self.runs and self._process is not None:
            self._process.send_signal(sig)
