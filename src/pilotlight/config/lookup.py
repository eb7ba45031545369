"""Where the configuration is looked for, when nobody says which one.

`PILOTLIGHT_CONFIG` names one.  Else it is the nearest `pilotlight.toml`, or `[tool.pilotlight]`
table in `pyproject.toml`, here or in a folder above: such a file decides who is sent every
prompt and key, so one that somebody else may have put there is passed over, and that is said.
"""

from __future__ import annotations

import logging
import os
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pilotlight.files import distrust
from pilotlight.plain import logger, plain

FILE: Final = "pilotlight.toml"
NAMING: Final = "name the file by PILOTLIGHT_CONFIG, --config or pilotlight.load(path)"
LARGEST: Final = 1_000_000  # bytes of a configuration, or of a pyproject.toml

_log = logger("pilotlight")
_said: set[str] = set()


@dataclass(frozen=True, slots=True)
class Search:
    """The file that applies here, None: there is none; and those passed over, each with why."""

    path: Path | None = None
    passed_over: tuple[tuple[Path, str], ...] = ()


def search_config() -> Search:
    """Look for the configuration that applies here."""
    if named := os.environ.get("PILOTLIGHT_CONFIG"):
        return Search(Path(named))
    here = working_folder()
    passed_over: list[tuple[Path, str]] = []
    for folder in () if here is None else (here, *here.parents):
        for path in (folder / FILE, folder / "pyproject.toml"):
            if not os.path.isfile(path):  # noqa: PTH113 - raises nothing for a folder that is shut
                continue
            if path.name != FILE and table_in(path) is None:
                continue
            if (why := distrust(path)) is None:
                return Search(path, tuple(passed_over))
            passed_over.append((path, why))
    return Search(None, tuple(passed_over))


def find_config() -> Path | None:
    """Return the configuration that applies here, if any; say once what was passed over."""
    found = search_config()
    for path, why in found.passed_over:
        if (line := f"{path} is not used: {why}; if it is yours, {NAMING}") not in _said:
            _said.add(line)
            _say(line)
    return found.path


def _say(line: str) -> None:
    """Warn, also where the log is silenced: calls go elsewhere than the file says."""
    _log.warning("%s", line)
    listening = (*_log.handlers, *logging.getLogger().handlers)
    if (
        sys.stderr
        and listening
        and all(isinstance(each, logging.NullHandler) for each in listening)
    ):
        sys.stderr.write(f"pilotlight: {plain(line)}\n")


def working_folder() -> Path | None:
    """Return the folder that we are in; None where it was deleted."""
    try:
        return Path.cwd()
    except OSError:
        return None


def table_in(project: Path) -> dict[str, Any] | None:
    """Return the `[tool.pilotlight]` table of a pyproject.toml, if it has one."""
    try:
        table = read_toml(project)["tool"]["pilotlight"]
    except (OSError, ValueError, LookupError, TypeError):
        return None  # somebody else's broken pyproject is not our business
    return table if isinstance(table, dict) else None


def read_toml(path: Path) -> dict[str, Any]:
    """Read a file; raises OSError, or ValueError in words of one line."""
    with path.open("rb") as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise ValueError(f"has more than {LARGEST:,} bytes; a configuration is a small file")
    try:
        return tomllib.loads(data.decode("utf-8"))
    except RecursionError:
        raise ValueError("is nested too deeply; write it flatter") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"not valid TOML: {error}") from None
    except ValueError:  # of `int`
        raise ValueError("holds a number of thousands of digits; write a smaller one") from None
