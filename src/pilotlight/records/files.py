"""The two kinds of file that receipts are kept in.

Each is made for its owner alone, opened for one batch, and closed again; a link is not
followed, so that nobody can have us write to another file.  So a file that was moved, deleted or
rotated by somebody else is no special case, and nothing is inherited by a fork.
Both may be shared by several processes of one machine.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Protocol

from pilotlight.files import make_folder, make_own, open_own
from pilotlight.records.lines import encode
from pilotlight.vocabulary.receipt import Receipt

try:
    from fcntl import LOCK_EX, LOCK_NB, flock
except ImportError:  # Windows: one process alone can rotate there
    flock = None  # type: ignore[assignment]

SQLITE_SUFFIXES = (".db", ".sqlite", ".sqlite3")


class Sink(Protocol):
    """Where a batch of receipts goes."""

    path: Path

    def write(self, receipts: Sequence[Receipt], process: str) -> None:
        """Append them; raises OSError or sqlite3.Error."""


def sink(path: Path, max_bytes: int, keep: int) -> Sink:
    """Return the kind of file that the path's suffix asks for."""
    if path.suffix in SQLITE_SUFFIXES:
        return SqliteFile(path, max_bytes * (keep + 1))
    return JsonlFile(path, max_bytes, keep)


class JsonlFile:
    """One receipt a line, appended by one write; rotated to `.1`, `.2`, ... by its size."""

    def __init__(self, path: Path, max_bytes: int, keep: int) -> None:
        self.path = path
        self.max_bytes = max_bytes
        self.keep = keep

    def write(self, receipts: Sequence[Receipt], process: str) -> None:
        """Append a batch."""
        data = b"".join(encode(each, process) for each in receipts)
        file = self._open()
        try:
            size = os.fstat(file).st_size
            if size and size + len(data) > self.max_bytes and self._rotate(file):
                os.close(file)
                file = self._open()
                size = os.fstat(file).st_size
            self._append(file, size, data)
        finally:
            os.close(file)

    def _open(self) -> int:
        return open_own(self.path, os.O_RDWR | os.O_APPEND)

    def _append(self, file: int, size: int, data: bytes) -> None:
        """Write, on a line of its own even after somebody's torn one."""
        if size:
            os.lseek(file, -1, os.SEEK_END)
            if os.read(file, 1) != b"\n":
                data = b"\n" + data
        while data:
            data = data[os.write(file, data) :]

    def _rotate(self, file: int) -> bool:
        """Move the files up by one; False if another process is at it just now.

        Whoever wrote to the moved file meanwhile has written to `.1`: nothing is lost.
        """
        if flock is not None:
            try:
                flock(file, LOCK_EX | LOCK_NB)  # let go when the file is closed
            except BlockingIOError:
                return False
            if not self._has_the_name(file):
                return True  # somebody has just done it
        older = [self.path, *(numbered(self.path, n) for n in range(1, self.keep + 1))]
        older[-1].unlink(missing_ok=True)
        for source, place in reversed(list(pairwise(older))):
            if source.exists():
                source.replace(place)
        return True

    def _has_the_name(self, file: int) -> bool:
        try:
            return os.path.samestat(os.fstat(file), self.path.stat())
        except FileNotFoundError:
            return False


def numbered(path: Path, number: int) -> Path:
    """Return the name of the file that was rotated so many times."""
    return path.with_name(f"{path.name}.{number}")


class SqliteFile:
    """The same lines as rows; the oldest tenth goes when the file has reached its size."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        self.path = path
        self.max_bytes = max_bytes

    def write(self, receipts: Sequence[Receipt], process: str) -> None:
        """Append a batch, in one transaction."""
        rows = [(each.started_at, encode(each, process).decode().rstrip()) for each in receipts]
        make_folder(self.path.parent)
        make_own(self.path)
        with closing(sqlite3.connect(self.path, isolation_level=None)) as db, db:
            db.execute("BEGIN IMMEDIATE")  # waits for its turn; a later upgrade would be refused
            db.execute(
                "CREATE TABLE IF NOT EXISTS receipts"
                " (id INTEGER PRIMARY KEY, at REAL NOT NULL, body TEXT NOT NULL)"
            )
            db.executemany("INSERT INTO receipts (at, body) VALUES (?, ?)", rows)
            self._trim(db)

    def _trim(self, db: sqlite3.Connection) -> None:
        """Make room within the file: pages that are free are filled before it grows."""
        while self._used(db) > self.max_bytes:
            if not db.execute(
                "DELETE FROM receipts"
                " WHERE id <= (SELECT min(id) + (max(id) - min(id)) / 10 FROM receipts)"
            ).rowcount:
                return

    def _used(self, db: sqlite3.Connection) -> int:
        pages, free, size = (
            db.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)
