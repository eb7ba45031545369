"""The setting `state`: where processes share what they know of their targets."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import SplitResult, urlsplit

from pilotlight import extras

if TYPE_CHECKING:
    from pilotlight.state.accounts import Accounts
    from pilotlight.state.board import Board

FORMS: Final = (
    '"memory", "sqlite:///board.db" (from here; "sqlite:////var/lib/app/board.db" from the root), '
    '"redis://host:6379/0", "rediss://…" or "unix:///run/redis.sock"'
)
_SUFFIXES: Final = (".db", ".sqlite", ".sqlite3")
_NETWORK: Final = ("redis", "rediss")


@dataclass(frozen=True, slots=True)
class StateUrl:
    """A store's kind and place.  `place` may hold a password; `str()` leaves it out."""

    kind: Literal["memory", "sqlite", "redis"] = "memory"
    place: str = field(default="", repr=False)
    shown: str = "memory"

    @property
    def shared(self) -> bool:
        """Whether other processes see it."""
        return self.kind != "memory"

    def __str__(self) -> str:
        return self.shown


def parse_state(given: object) -> StateUrl:
    """Read the setting; raises ValueError with the mend, and never with a password."""
    if isinstance(given, StateUrl):
        return given
    if given == "memory":
        return StateUrl()
    if not isinstance(given, str):
        raise ValueError(f"a store is a string: {FORMS}")  # noqa: TRY004 - pydantic's
    try:
        url = urlsplit(given)
        url.port  # noqa: B018 - raises for a port that is none
    except ValueError:
        raise ValueError(f"not an address; a store is {FORMS}") from None
    if url.scheme == "sqlite":
        return _sqlite(url)
    if url.scheme in (*_NETWORK, "unix") and not extras.installed("redis"):
        raise extras.missing("redis", "redis", f"a store at {url.scheme}://")
    if url.scheme in _NETWORK and url.hostname:
        at = f"{url.hostname}:{url.port or 6379}"
        return StateUrl("redis", given, f"{url.scheme}://{at}{url.path}")
    if url.scheme == "unix" and len(url.path) > 1:
        return StateUrl("redis", given, f"unix://{url.path}")
    raise ValueError(f"unknown kind of store; it is {FORMS}")


def _sqlite(url: SplitResult) -> StateUrl:
    if url.netloc or len(url.path) < 2 or url.query or url.fragment:
        raise ValueError('a file has three slashes, or four from the root: "sqlite:///board.db"')
    path = Path(url.path[1:])
    if path.suffix not in _SUFFIXES:
        raise ValueError(f"the file of a board ends in {', '.join(_SUFFIXES)}")
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise ValueError(f"no such folder: {path.absolute().parent}; make it first")
    return StateUrl("sqlite", str(path.absolute()), f"sqlite:///{path}")


def open_board(url: StateUrl) -> Board:
    """Return the store; nothing is contacted yet."""
    if url.kind == "sqlite":
        from pilotlight.state.sqlite import SqliteBoard

        return SqliteBoard(Path(url.place))
    if url.kind == "redis":
        from pilotlight.state.redis import RedisBoard

        return RedisBoard(url.place)
    from pilotlight.state.memory import MemoryBoard

    return MemoryBoard()


def open_accounts(url: StateUrl) -> Accounts:
    """Return the accounts of a store that is shared; nothing is contacted yet.

    A board's file may be made anew at any time, and money must not be: it has a file beside it.
    """
    if url.kind == "sqlite":
        from pilotlight.state.sqlite import SqliteAccounts

        path = Path(url.place)
        return SqliteAccounts(path.with_stem(f"{path.stem}-budgets"))
    from pilotlight.state.redis import RedisAccounts

    return RedisAccounts(url.place)
