"""Whose a file is, and how files of our own are made.

A file that nobody has named is used only if nobody but us and root can have written it or
put it there.  What we write is for its owner alone, and is written through no link.
On Windows owners and modes say nothing of this kind: there every file is taken as ours.
"""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final

MODE: Final = 0o600
FOLDER: Final = 0o700
_LINKS: Final = 40  # on the way to a file, as in Linux


def distrust(path: Path) -> str | None:
    """Say why somebody else may have written a file or put it there; None: nobody can.

    Each folder and link that leads to it, and the file itself, have to belong to us or to
    root, and may not be writable by others.  A sticky folder such as /tmp may be: there
    nobody can replace what belongs to us.  The group is nobody else where it is our own,
    named like us and without other members, as where `umask` is 002.
    """
    if not hasattr(os, "geteuid"):
        return None
    try:
        for place in _way(path):
            info = place.lstat()
            if info.st_uid not in (0, os.geteuid()):
                return f"{place} belongs to another user ({info.st_uid})"
            sticky = stat.S_ISDIR(info.st_mode) and info.st_mode & stat.S_ISVTX
            if not (sticky or stat.S_ISLNK(info.st_mode)) and info.st_mode & _others(info.st_gid):
                return f"others may write {place}; `chmod go-w {place}`"
    except OSError as error:
        return f"it can't be looked at ({error.strerror})"
    return None


def _way(path: Path) -> Iterator[Path]:
    """Yield each folder and link that a path leads through, from the root, and its end."""
    ahead = list(reversed(path.absolute().parts))
    here, links = Path(ahead[-1]), 0
    while ahead:
        part = ahead.pop()
        if part == os.pardir:
            here = here.parent  # what is behind us holds no links
            continue
        yield (place := here / part)
        if not place.is_symlink():
            here = place
            continue
        links += 1
        if links > _LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        ahead += reversed(place.readlink().parts)


def _others(group: int) -> int:
    """Return the bits of a mode by which others than us may write what belongs to a group."""
    return stat.S_IWOTH if _is_own(group, os.geteuid()) else stat.S_IWOTH | stat.S_IWGRP


@cache
def _is_own(group: int, user: int) -> bool:
    import grp  # not on Windows
    import pwd

    try:
        me, ours = pwd.getpwuid(user), grp.getgrgid(group)
    except KeyError:
        return False
    return (
        ours.gr_gid == me.pw_gid and ours.gr_name == me.pw_name and {*ours.gr_mem} <= {me.pw_name}
    )


def refuse_links(path: Path, info: os.stat_result) -> None:
    """Raise OSError, with the mend, for what is no plain file of one name."""
    if stat.S_ISLNK(info.st_mode):
        raise OSError(f"{path} is a symbolic link; name the file itself")
    if not stat.S_ISREG(info.st_mode):
        raise OSError(f"{path} is no plain file")
    if info.st_nlink > 1:
        raise OSError(f"{path} has another name too (a hard link); name a file of its own")


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, for their owner alone; those that are there stay."""
    missing = [each for each in (folder, *folder.parents) if not each.is_dir()]
    for each in reversed(missing):
        each.mkdir(FOLDER, exist_ok=True)


def open_own(path: Path, flags: int) -> int:
    """Open a file to write, made if it is not there; raises OSError, also for a link."""
    make_folder(path.parent)
    with suppress(FileNotFoundError):
        refuse_links(path, path.lstat())  # for its words: the next line refuses links as well
    flags |= os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    handle = os.open(path, flags, MODE)
    try:
        refuse_links(path, os.fstat(handle))
    except OSError:
        os.close(handle)
        raise
    return handle


def make_own(path: Path) -> None:
    """See that there is a file, for a library to open by name; raises OSError, also for a link.

    It is never opened under its name here: whoever closes an SQLite file lets go of all the
    locks that the process has on it.
    """
    with suppress(FileNotFoundError):
        if not _is_being_made(path):
            refuse_links(path, path.lstat())
        return
    handle, made = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # 0600
    os.close(handle)
    try:
        with suppress(FileExistsError):  # another process was quicker
            os.link(made, path)
    finally:
        Path(made).unlink()


def write_whole(path: Path, text: str, mode: int = MODE) -> None:
    """Put a file in the place of the one that is there, at one stroke; raises OSError.

    It is not written through a link, and outlives a power cut once this has returned.
    """
    with suppress(FileNotFoundError):
        refuse_links(path, path.lstat())
    handle, made = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(handle)
        Path(made).chmod(mode)
        Path(made).replace(path)
    except BaseException:
        Path(made).unlink(missing_ok=True)
        raise


def _is_being_made(path: Path) -> bool:
    """Tell whether its other name is the one under which somebody has just made it."""
    info = path.lstat()
    if info.st_nlink < 2:
        return False
    for each in path.parent.glob(f".{path.name}-*"):
        with suppress(FileNotFoundError):  # its maker was quicker
            if os.path.samestat(each.lstat(), info):
                return True
    return False
