"""Reads a log of receipts, oldest first, in bounded memory, however it is broken."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import count, takewhile
from pathlib import Path
from typing import BinaryIO

from pilotlight.errors import ConfigError
from pilotlight.records.files import numbered
from pilotlight.records.lines import Kept, decode

_MAGIC = b"SQLite format 3\0"
LONGEST = 1 << 20  # bytes a line, at most; what is longer is no receipt


@dataclass(frozen=True, slots=True)
class Query:
    """Which receipts are wanted; what is None does not matter.  `since` in epoch seconds."""

    since: float | None = None
    route: str | None = None
    outcome: str | None = None
    target: str | None = None

    def matches(self, receipt: Kept) -> bool:
        """Tell whether a receipt is one of them."""
        if self.since is not None and receipt.ended_at < self.since:
            return False
        if self.route is not None and receipt.route != self.route:
            return False
        if self.outcome is not None and receipt.outcome != self.outcome:
            return False
        return self.target is None or self.target in named(receipt)


def named(receipt: Kept) -> set[str]:
    """Return the targets that a receipt speaks of."""
    return {each.target for each in receipt.attempts} | {each.target for each in receipt.skipped}


class Store:
    """One log: a JSONL file with those rotated before it, or an SQLite file.

    After reading, `junk` counts the lines that were no receipts (torn, or of something
    else), `newer` those of a later version; `size` and `done` are for a progress bar.
    Raises ConfigError if there is nothing to read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.junk = self.newer = self.done = 0
        self.sqlite = self._is_sqlite()
        rotated = takewhile(Path.is_file, (numbered(path, number) for number in count(1)))
        self.files = [path] if self.sqlite else [*reversed(list(rotated)), path]
        self.size = sum(file.stat().st_size for file in self.files)

    def _is_sqlite(self) -> bool:
        try:
            with self.path.open("rb") as file:
                return file.read(len(_MAGIC)) == _MAGIC
        except FileNotFoundError:
            raise ConfigError(f"{self.path}: no such file; no call has ended yet?") from None
        except OSError as error:
            raise ConfigError(f"{self.path}: can't be read: {error.strerror}") from None

    def read(self, query: Query | None = None) -> Iterator[Kept]:
        """Yield the receipts, in the order in which the calls ended."""
        query = query or Query()
        self.junk = self.newer = self.done = 0
        for line in self._rows() if self.sqlite else self._lines():
            found = decode(line)
            if found == "junk":
                self.junk += 1
            elif found == "newer":
                self.newer += 1
            elif query.matches(found):
                yield found

    def _lines(self) -> Iterator[bytes]:
        for path in self.files:
            with suppress(FileNotFoundError), path.open("rb") as file:  # rotated away meanwhile
                yield from self._lines_of(file)

    def _lines_of(self, file: BinaryIO) -> Iterator[bytes]:
        """Yield the lines that are not empty; of one without end, its beginning."""
        whole = True
        while line := file.readline(LONGEST):
            self.done += len(line)
            if whole and not line.isspace():
                yield line
            whole = line.endswith(b"\n")

    def _rows(self) -> Iterator[str]:
        try:
            with closing(
                sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro", uri=True)
            ) as db:
                for (body,) in db.execute("SELECT body FROM receipts ORDER BY id"):
                    self.done += len(body)
                    yield str(body)
        except sqlite3.Error as error:
            raise ConfigError(f"{self.path}: is no log of receipts: {error}") from None

    @property
    def remarks(self) -> list[str]:
        """What should be said of the reading, in full lines."""
        found = []
        if self.junk:
            found.append(f"{self.junk} lines were no receipts (torn, or of something else)")
        if self.newer:
            found.append(f"{self.newer} receipts are of a newer pilotlight; upgrade to read them")
        return found
