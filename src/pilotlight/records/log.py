"""Keeps the receipts of this process's calls: the calls hand them over, a thread writes them.

The road of a call never touches the disk.  What the disk refuses is lost, counted and
said once; the calls go on, and so does the log as soon as it can.  The thread starts with
the first receipt, is a daemon, and is not there in a forked child until that has its own.
"""

from __future__ import annotations

import atexit
import os
import threading
import uuid
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final

from pilotlight import events
from pilotlight.plain import logger
from pilotlight.records.files import Sink, sink
from pilotlight.vocabulary.receipt import Receipt

LIMIT: Final = 10_000  # receipts that wait for the disk; more are dropped
BATCH: Final = 500  # written at once, at most
AT_EXIT: Final = 2.0  # seconds that the end of the interpreter waits for the disk

_log = logger("pilotlight.receipts")


class Log:
    """A listener that keeps receipts in a file; thread-safe, and never waits.

    `lost` counts the receipts that did not get there.
    """

    def __init__(self, kept_in: Sink) -> None:
        self._sink = kept_in
        self._begin_afresh()

    def _begin_afresh(self) -> None:
        """Start without a thread, and with a lock and a queue that nobody holds."""
        # SimpleQueue, because its put may be interrupted by a put of the same thread: garbage
        # collection may finalise an abandoned stream, and so end its call, at any point.
        self._waiting: SimpleQueue[Receipt | threading.Event | None] = SimpleQueue()
        self._lock = threading.RLock()
        self._thread: threading.Thread | None = None
        self._process = uuid.uuid4().hex[:8]
        self._ill = self._full = False
        self.lost = 0

    def __call__(self, event: events.Event) -> None:
        """Hand a receipt over to the thread."""
        if not isinstance(event, events.CallEnded):
            return
        if self._waiting.qsize() >= LIMIT:
            self._drop()
            return
        self._waiting.put(event.receipt)
        if self._thread is None:
            self._start()

    def _drop(self) -> None:
        self.lost += 1
        if not self._full:
            self._full = True
            _log.warning("%s: the disk can't keep up; receipts are dropped", self._sink.path)

    def _start(self) -> None:
        with self._lock, suppress(RuntimeError):  # no more threads: the interpreter is ending
            if self._thread is None:
                thread = threading.Thread(
                    target=self._loop, name="pilotlight-receipts", daemon=True
                )
                thread.start()
                self._thread = thread

    def flush(self, patience: float) -> bool:
        """Wait until all receipts so far are written, at most so many seconds; tell if they are."""
        if self._thread is None:
            return self._waiting.empty()
        done = threading.Event()
        self._waiting.put(done)
        return done.wait(patience)

    def end(self) -> None:
        """Let the thread end when it has written what it has."""
        self._waiting.put(None)

    # The thread.

    def _loop(self) -> None:
        while True:
            batch = [self._waiting.get()]
            with suppress(Empty):
                while len(batch) < BATCH:
                    batch.append(self._waiting.get_nowait())
            if receipts := [each for each in batch if isinstance(each, Receipt)]:
                self._write(receipts)
            for each in batch:
                if isinstance(each, threading.Event):
                    each.set()
            if None in batch:
                return

    def _write(self, receipts: list[Receipt]) -> None:
        try:
            with _DISK.lock:
                self._sink.write(receipts, self._process)
        except Exception as error:
            self.lost += len(receipts)
            if not self._ill:
                self._ill = True
                said = "%s: receipts can't be kept (%s); calls go on without"
                _log.warning(said, self._sink.path, error)
            return
        if self._ill or self._full:
            self._ill = self._full = False
            _log.warning("%s: receipts are kept again; %d lost", self._sink.path, self.lost)


class _Disk:
    """Held while something is written, and by whoever forks.

    So a child never finds a lock taken for good inside SQLite.  A disk that hangs does not
    hold a fork up for longer than a second.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._forking = False

    def before_fork(self) -> None:
        self._forking = self.lock.acquire(timeout=1.0)

    def in_parent(self) -> None:
        if self._forking:
            self.lock.release()

    def in_child(self) -> None:
        self.lock = threading.Lock()
        for log in _logs.values():
            log._begin_afresh()


_DISK: Final = _Disk()
_logs: dict[Path, Log] = {}


def keep_receipts(path: Path, max_mb: float, keep: int) -> Log:
    """Keep every receipt of this process in a file from now on; one log for each file.

    Nothing is opened before the first call has ended.
    """
    path = path.absolute()
    log = _logs.setdefault(path, Log(sink(path, int(max_mb * 1_000_000), keep)))
    if log not in events.listeners:
        events.listeners.append(log)
    return log


def reset() -> None:
    """Keep no more receipts."""
    for log in _logs.values():
        if log in events.listeners:
            events.listeners.remove(log)
        log.end()
    _logs.clear()


def _at_exit() -> None:
    for log in tuple(_logs.values()):
        if not log.flush(AT_EXIT):
            _log.warning("%s: the disk did not take the last receipts in time", log._sink.path)


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(
        before=_DISK.before_fork, after_in_parent=_DISK.in_parent, after_in_child=_DISK.in_child
    )
atexit.register(_at_exit)
