"""Keys: who may ask the gateway, which routes, and how much.

A key is 256 random bits.  The file holds their SHA-256 only, for its owner alone (0600): a key
is shown once, when it is made.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field, TypeAdapter, ValidationError

from pilotlight.config.messages import nearest
from pilotlight.config.values import Count, Table
from pilotlight.errors import ConfigError
from pilotlight.files import distrust, make_folder, write_whole
from pilotlight.plain import logger
from pilotlight.vocabulary.operations import Priority

FILE: Final = "pilotlight-keys.json"
PREFIX: Final = "plk_"
LOOK: Final = 1.0  # seconds between two looks at the file
LARGEST: Final = 10_000_000  # bytes of a file of keys
NAME: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"

_log = logger("pilotlight.gateway")


class Key(Table):
    """What the holder of a key may do; limits hold for each worker."""

    sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""
    routes: tuple[str, ...] = ()  # none: all of them
    private: bool = False
    priority: Priority | None = None  # None: the route's own
    per_minute: Count | None = None
    concurrency: Count | None = None
    operator: bool = False  # may read the status page and the metrics


ANYBODY: Final = Key(operator=True)
"""Whoever comes in where no keys are needed."""

_FILE: Final[TypeAdapter[dict[str, Key]]] = TypeAdapter(
    dict[Annotated[str, Field(pattern=f"^{NAME}$")], Key]
)


def digest(secret: str) -> str:
    """Return what is kept of a key."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def new_secret() -> str:
    """Return a new key."""
    return PREFIX + secrets.token_urlsafe(32)


class KeyRing:
    """The keys in force: those of a file, which is read again when it changes, or given ones.

    A file that can't be read any more leaves the keys as they were, which is logged once.
    """

    def __init__(self, path: Path | None = None, keys: Mapping[str, Key] | None = None) -> None:
        self._path = path
        self._seen: object = None
        self._looked = time.monotonic()
        self._problem = ""
        self._put(keys or {})
        if path is not None:
            self._seen = _mark(path)
            self._put(read_keys(path))

    def __len__(self) -> int:
        return len(self._by_digest)

    def find(self, secret: str) -> tuple[str, Key] | None:
        """Return the name and the key that a secret opens, None for none."""
        if self._path is not None and time.monotonic() - self._looked >= LOOK:
            self._look(self._path)
        # The dictionary is asked for a hash, which nobody can steer towards one that is kept:
        # how long that takes tells nothing of a key.
        given = digest(secret)
        found = self._by_digest.get(given)
        if found is None or not hmac.compare_digest(found[1].sha256, given):
            return None
        return found

    def _put(self, keys: Mapping[str, Key]) -> None:
        self._by_digest = {key.sha256: (name, key) for name, key in keys.items() if key.sha256}

    def _look(self, path: Path) -> None:
        self._looked = time.monotonic()
        mark = _mark(path)
        if mark == self._seen:
            return
        self._seen = mark
        try:
            self._put(read_keys(path))
            self._problem = ""
        except ConfigError as error:
            if (problem := str(error)) != self._problem:
                self._problem = problem
                _log.error("the keys stay as they were: %s", problem)


def _mark(path: Path) -> object:
    try:
        info = path.stat()
    except OSError:
        return None
    return info.st_ino, info.st_size, info.st_mtime_ns


def read_keys(path: Path) -> dict[str, Key]:
    """Return the keys of a file by their names; raises ConfigError, naming file and mend."""
    try:
        mode = path.stat().st_mode
        if (why := distrust(path)) is not None:
            raise ConfigError(f"{path}: not used: {why}")
        if mode & 0o077:
            raise ConfigError(f"{path}: others may read it; `chmod 600 {path}`")
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; `pilotlight keys add NAME` makes it") from None
    except OSError as error:
        raise ConfigError(f"{path}: can't be read: {error.strerror}") from None
    if len(data) > LARGEST:
        raise ConfigError(f"{path}: has more than {LARGEST:,} bytes")
    try:
        return _FILE.validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ConfigError(f"{path}: {place}: {first['msg']}") from None


def keys_path(named: str | None, folder: Path | None) -> Path | None:
    """Return the file of keys that is in use, None where there is none and none was named."""
    base = folder or Path.cwd()
    if named is not None:
        return base / named
    usual = base / FILE
    return usual if usual.exists() else None


def add_key(path: Path, name: str, key: Key, routes: Collection[str]) -> str:
    """Make a key and write it down; return the secret, which is kept nowhere.

    Raises ConfigError for a name that is taken or is none, and for unknown routes.
    """
    for route in key.routes:
        if route not in routes:
            mend = nearest(route, routes) or f"known routes: {', '.join(sorted(routes)) or 'none'}"
            raise ConfigError(f"unknown route {route!r}; {mend}")
    secret = new_secret()
    with _changing(path) as keys:
        if name in keys:
            mend = f"remove it first (`pilotlight keys remove {name}`), or choose another name"
            raise ConfigError(f"{path}: there is a key {name!r} already; {mend}")
        keys[name] = key.model_copy(update={"sha256": digest(secret)})
    return secret


def remove_key(path: Path, name: str) -> None:
    """Take a key away; gateways that run notice within a second.  Raises ConfigError."""
    with _changing(path) as keys:
        if name not in keys:
            known = ", ".join(sorted(keys)) or "none"
            mend = nearest(name, keys) or f"known keys: {known}"
            raise ConfigError(f"{path}: there is no key {name!r}; {mend}")
        del keys[name]


@contextmanager
def _changing(path: Path) -> Iterator[dict[str, Key]]:
    """Give the keys of a file to be changed, and write them in one step; one process at a time."""
    import fcntl  # not on Windows

    make_folder(path.parent)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        keys = read_keys(path) if path.exists() or path.is_symlink() else {}
        yield keys
        _write(path, keys)
    except OSError as error:
        raise ConfigError(f"{path}: can't be written: {error.strerror or error}") from None
    finally:
        os.close(folder)


def _write(path: Path, keys: Mapping[str, Key]) -> None:
    _FILE.validate_python(keys)
    told: dict[str, Any] = {
        name: key.model_dump(exclude_defaults=True, mode="json") for name, key in keys.items()
    }
    write_whole(path, json.dumps(told, indent=2) + "\n")
