"""A board in a SQLite file: for several processes on one host, with nothing to install.

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
from pathlib import Path
from typing import Final

from pilotlight.files import make_own
from pilotlight.state.board import MOST_FIELDS, Entry, Errand, StoreError, entries

PATIENCE: Final = 0.25  # seconds to wait for another process's write
OURS: Final = 0x50494C54  # "PILT", in the header of a file that we made
_HEADER: Final = 72  # bytes, of which the last four are that number

_TABLE = (
    "CREATE TABLE IF NOT EXISTS board "
    "(field TEXT PRIMARY KEY, value TEXT NOT NULL, written REAL NOT NULL, expires REAL NOT NULL) "
    "WITHOUT ROWID"
)
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


class SqliteBoard:
    """A table with a row for each field; `clock` is the host's."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock

    def exchange(self, errands: Sequence[Errand] = ()) -> Mapping[str, Entry]:
        """See `Board`; raises StoreError or sqlite3.Error."""
        if not errands and not self._path.exists():
            return {}
        try:
            return self._exchanged(errands)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError) or not self._is_ours():
                raise
            self._set_aside()
            return self._exchanged(errands)

    def close(self) -> None:
        """See `Board`; there is nothing to let go of."""

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

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        make_own(self._path)
        link = sqlite3.connect(
            self._path, timeout=PATIENCE, isolation_level=None, check_same_thread=False
        )
        with closing(link):
            link.text_factory = _text
            link.execute("PRAGMA synchronous = OFF")  # after a power cut it may be made anew
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
        link.execute(_TABLE)
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
