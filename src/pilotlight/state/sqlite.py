"""A board, and accounts, in SQLite files: for several processes on one host.

The file is opened for each exchange and closed after it, a millisecond once a second.  So a
file that was deleted is simply made anew, no connection crosses a fork, and none goes on
writing to a file that has lost its name.  Not for network file systems: SQLite's locks and
its write-ahead log do not work there.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import astuple
from pathlib import Path
from typing import Final, TypeVar

from pilotlight.core.spending.shared import Claim, Grant
from pilotlight.files import make_own
from pilotlight.state.accounts import KEPT, sane, settled
from pilotlight.state.board import MOST_FIELDS, Entry, Errand, StoreError, entries

T = TypeVar("T")

PATIENCE: Final = 0.25  # seconds to wait for another process's write
OURS: Final = 0x50494C54  # "PILT", in the header of a file that we made
_HEADER: Final = 72  # bytes, of which the last four are that number

_ERRANDS: Final = {
    "put": "INSERT OR REPLACE INTO board VALUES (:field, :value, :now, :now + :seconds)",
    "claim": "INSERT INTO board VALUES (:field, :value, :now, :now + :seconds) "
    "ON CONFLICT (field) DO UPDATE SET expires = excluded.expires, written = excluded.written "
    "WHERE value = excluded.value",
    "drop": "DELETE FROM board WHERE field = :field AND value = :value",
}
# A clock that was set back must not keep anything for longer than it may stand; and what is
# none of ours must not stand in the way of a claim.
_SWEEP: Final = (
    "DELETE FROM board WHERE expires <= ? OR written > ? OR typeof(expires) <> 'real' "
    "OR typeof(written) <> 'real' OR typeof(value) <> 'text' OR length(value) > 4096"
)
_READ: Final = (
    "SELECT field, value, ? - written, expires - ? FROM board WHERE expires > ? "
    "AND length(field) + length(value) < 65536 LIMIT ?"
)


def _text(data: bytes) -> str:
    return data.decode(errors="replace")  # what is no text is no entry of ours


class _Database:
    """A file of our own; `clock` is the host's."""

    table: str
    durable: bool  # whether it has to outlive a power cut

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock

    def close(self) -> None:
        """Let go of it: there is nothing to let go of."""

    def _mended(self, step: Callable[[], T]) -> T:
        """Take a step, anew if the file was broken; raises StoreError or sqlite3.Error."""
        try:
            return step()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError) or not self._is_ours():
                raise
            self._set_aside()
            return step()

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        make_own(self._path)
        link = sqlite3.connect(
            self._path, timeout=PATIENCE, isolation_level=None, check_same_thread=False
        )
        with closing(link):
            link.text_factory = _text
            link.execute(f"PRAGMA synchronous = {'NORMAL' if self.durable else 'OFF'}")
            (mark,) = link.execute("PRAGMA application_id").fetchone()
            if mark != OURS:
                self._found(link)
            yield link

    def _found(self, link: sqlite3.Connection) -> None:
        """Make a new file ours, or refuse one that belongs to another program."""
        (tables,) = link.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables and link.execute("PRAGMA application_id").fetchone() != (OURS,):
            raise StoreError(f"{self._path} is another program's database; name a file of its own")
        link.execute("PRAGMA journal_mode = WAL")
        link.execute("BEGIN IMMEDIATE")
        link.execute(self.table)
        link.execute(f"PRAGMA application_id = {OURS}")
        link.execute("COMMIT")

    def _is_ours(self) -> bool:
        """Tell by the header whether we made the file, however broken the rest of it is."""
        with suppress(OSError), self._path.open("rb") as file:
            return file.read(_HEADER)[-4:] == OURS.to_bytes(4, "big")
        return False

    def _set_aside(self) -> None:
        """Move a broken file out of the way; another process may have been quicker."""
        with suppress(FileNotFoundError):
            self._path.replace(f"{self._path}.corrupt")
        for tail in ("-wal", "-shm"):
            with suppress(OSError):
                Path(f"{self._path}{tail}").unlink()


class SqliteBoard(_Database):
    """A table with a row for each field."""

    table = (
        "CREATE TABLE IF NOT EXISTS board (field TEXT PRIMARY KEY, value TEXT NOT NULL, "
        "written REAL NOT NULL, expires REAL NOT NULL) WITHOUT ROWID"
    )
    durable = False  # after a power cut it may be made anew

    def exchange(self, errands: Sequence[Errand] = ()) -> Mapping[str, Entry]:
        """See `Board`; raises StoreError or sqlite3.Error."""
        if not errands and not self._path.exists():
            return {}
        return self._mended(lambda: self._exchanged(errands))

    def _exchanged(self, errands: Sequence[Errand]) -> Mapping[str, Entry]:
        with self._opened() as link:
            now = self._clock()
            if errands:
                link.execute("BEGIN IMMEDIATE")
                link.execute(_SWEEP, (now, now + 5))
                for each in errands:
                    link.execute(
                        _ERRANDS[each.kind],
                        {
                            "field": each.field,
                            "value": each.value,
                            "now": now,
                            "seconds": each.seconds,
                        },
                    )
            rows = link.execute(_READ, (now, now, now, MOST_FIELDS)).fetchall()
            if errands:
                link.execute("COMMIT")
        return entries(rows)


class SqliteAccounts(_Database):
    """A table with a row for each process in each period of a budget."""

    table = (
        "CREATE TABLE IF NOT EXISTS accounts (budget TEXT, began REAL, worker TEXT, "
        "number INTEGER, spent REAL, lent REAL, seen REAL, ends REAL, "
        "PRIMARY KEY (budget, began, worker)) WITHOUT ROWID"
    )
    durable = True

    def exchange(self, worker: str, number: int, claims: Sequence[Claim]) -> list[Grant]:
        """See `Accounts`; raises StoreError or sqlite3.Error."""
        return self._mended(lambda: self._exchanged(worker, number, claims))

    def _exchanged(self, worker: str, number: int, claims: Sequence[Claim]) -> list[Grant]:
        grants = []
        with self._opened() as link:
            now = self._clock()
            link.execute("BEGIN IMMEDIATE")
            link.execute("DELETE FROM accounts WHERE max(ends, seen) < ?", (now - KEPT,))
            for claim in claims:
                found = link.execute(
                    "SELECT worker, number, spent, lent, seen FROM accounts "
                    "WHERE budget = ? AND began = ?",
                    (claim.budget, claim.began),
                )
                rows = {name: row for name, *raw in found if (row := sane(*raw)) is not None}
                row, grant = settled(rows, worker, number, claim, now)
                link.execute(
                    "INSERT OR REPLACE INTO accounts VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (claim.budget, claim.began, worker, *astuple(row), claim.ends),
                )
                grants.append(grant)
            link.execute("COMMIT")
        return grants
