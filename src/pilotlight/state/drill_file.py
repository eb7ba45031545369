"""The drill file: how a command reaches the applications that run on this configuration.

`pilotlight drill` writes `.pilotlight/drill.json` beside the configuration; the processes
that use it look for the file once a second while they are called, in one daemon thread.
A call only says that it is there: it touches no disk.  A file that is broken, that somebody
else may have written, or that is a link, is as good as none, and said once.
"""

from __future__ import annotations

import errno
import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pilotlight.core import background
from pilotlight.core.drills.schedule import LONGEST, GameDay, GameDays
from pilotlight.core.fork import GATE
from pilotlight.files import FOLDER, distrust, refuse_links, write_whole
from pilotlight.plain import logger

EVERY: Final = 1.0  # seconds between two looks
MOST_BYTES: Final = 65536
SKEW: Final = 60.0  # seconds by which the writer's clock may be ahead of ours

_log = logger("pilotlight")

_Word = Annotated[str, Field(min_length=1, max_length=256)]
_Strict = ConfigDict(extra="forbid", hide_input_in_errors=True, allow_inf_nan=False)


class _Entry(BaseModel):
    model_config = _Strict
    id: Annotated[str, Field(pattern="^[0-9a-f]{1,32}$")]
    target: _Word
    rate: Annotated[float, Field(gt=0, le=1)]
    until: float
    route: _Word | None = None


class _Content(BaseModel):
    model_config = _Strict
    version: Literal[1] = 1
    drills: Annotated[list[_Entry], Field(max_length=64)] = []


class DrillFile:
    """One configuration's file, and the game days that it says are under way."""

    def __init__(
        self,
        path: Path,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.path = path
        self.days = GameDays(self._knock, clock=clock, wall_clock=wall_clock)
        self.problem: str | None = None  # why the file is ignored
        self._clock = clock
        self._wall_clock = wall_clock
        self._due = 0.0

    @classmethod
    def beside(cls, config: Path) -> DrillFile:
        """Return the one that goes with a configuration file."""
        return cls(config.absolute().parent / ".pilotlight" / "drill.json")

    # The application's side.

    def _knock(self) -> None:
        """A call was made: have the file looked at, if that is due.  Never waits."""
        if (now := self._clock()) >= self._due:
            self._due = now + EVERY
            WATCHER.look_at(self)

    def look(self) -> None:
        """Read the file and let what it says hold; whatever is wrong with it does no harm."""
        problem = None
        days: Sequence[GameDay] = ()
        try:
            days = self._read()
        except (OSError, ValueError) as error:
            problem = _worded(error)
            if problem != self.problem:
                _log.warning("%s: ignored: %s", self.path, problem)
        self.problem = problem
        self.days.install(days)

    # The command's side.

    def post(self, day: GameDay) -> None:
        """Add a game day; raises OSError where the file can't be written."""
        self._write([*self.days.under_way, day])

    def clear(self) -> None:
        """End all of them, also those of a file that can't be read; raises OSError."""
        with suppress(FileNotFoundError, NotADirectoryError):
            self._refuse_linked_folder()
            self.path.unlink()
        self.look()

    def _read(self) -> Sequence[GameDay]:
        """Raises OSError, and ValueError for what is not as `post` writes it."""
        # Neither a link nor a pipe is ours: the one leads elsewhere, the other never ends.
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        try:
            self._refuse_linked_folder()
            refuse_links(self.path, self.path.lstat())
            handle = os.open(self.path, flags)
        except (FileNotFoundError, NotADirectoryError):
            return ()
        with os.fdopen(handle, "rb") as file:
            refuse_links(self.path, os.fstat(handle))
            if (why := distrust(self.path)) is not None:
                raise ValueError(why)
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise ValueError(f"it is larger than {MOST_BYTES} bytes")
        days = [GameDay(**dict(each)) for each in _Content.model_validate_json(data).drills]
        latest = self._wall_clock() + LONGEST + SKEW
        if any(day.until > latest for day in days):
            raise ValueError(f"a drill lasts {LONGEST / 3600:g} hours at most")
        return days

    def _write(self, days: Sequence[GameDay]) -> None:
        """Put a new file in the place of the old one at one stroke, for its owner alone."""
        self._refuse_linked_folder()
        self.path.parent.mkdir(mode=FOLDER, exist_ok=True)
        entries = [_Entry(**asdict(day)) for day in days]
        text = _Content(drills=entries).model_dump_json(indent=2)
        write_whole(self.path, text + "\n")
        self.look()

    def _refuse_linked_folder(self) -> None:
        if self.path.parent.is_symlink():
            raise OSError(errno.ELOOP, "is a symbolic link", str(self.path.parent))


def _worded(error: OSError | ValueError) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, first['loc'])) or 'JSON'}: {first['msg']}"
    return getattr(error, "strerror", None) or str(error)


class Watcher:
    """One daemon thread a process, which looks at drill files when calls ask for it.

    It sleeps while there are neither calls nor game days.
    """

    def __init__(self) -> None:
        self._begin_afresh()

    def _begin_afresh(self) -> None:
        self._asked: queue.SimpleQueue[DrillFile | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def look_at(self, file: DrillFile) -> None:
        """Have a file looked at soon; never waits."""
        if background.allowed():
            self._asked.put(file)
            if self._thread is None:
                self._start()

    def _start(self) -> None:
        with self._lock, suppress(RuntimeError):  # no more threads: the interpreter is ending
            if self._thread is None:
                thread = threading.Thread(target=self._loop, name="pilotlight-drills", daemon=True)
                thread.start()
                self._thread = thread

    def stop(self, patience: float = 30.0) -> None:
        """Let the thread end, as between two tests; a later call starts another."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._asked.put(None)
            thread.join(patience)

    def _loop(self) -> None:
        under_way: set[DrillFile] = set()  # looked at without calls too: their end is to be told
        while True:
            looks = set(under_way)
            with suppress(queue.Empty):
                if (asked := self._asked.get(timeout=EVERY if under_way else None)) is None:
                    return
                looks.add(asked)
            for file in looks:
                try:
                    file.look()
                except Exception:
                    _log.exception("%s: the look at it failed to work", file.path)
            under_way = {file for file in looks if file.days.under_way}
            asked = None
            looks.clear()


WATCHER: Final = Watcher()
"""The process's own."""
GATE.in_child(WATCHER._begin_afresh)  # a child inherits no thread
