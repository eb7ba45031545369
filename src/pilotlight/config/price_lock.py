"""`prices.lock`: the prices that somebody has agreed to, in a file beside the configuration.

A target whose price in force is another is told of: once by each process, and by `doctor`.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal

from pydantic import Field, ValidationError

from pilotlight.catalog.prices import Listed
from pilotlight.config.budgets import PriceTable
from pilotlight.config.targets import TargetConfig
from pilotlight.config.values import Table
from pilotlight.core.spending.price import FREE, Price
from pilotlight.errors import ConfigError
from pilotlight.files import distrust, write_whole
from pilotlight.plain import logger

NAME: Final = "prices.lock"
_HEAD: Final = """\
# Prices in US dollars, for a million tokens where nothing else is said, as they were agreed to.
# Written by `pilotlight prices --lock`.

version = 1
"""

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+").fullmatch

_log = logger("pilotlight")


@dataclass(frozen=True, slots=True)
class Agreed:
    """One target's model, and the price that was agreed to."""

    model: str
    price: Price


class _Entry(PriceTable):
    model: str


class _File(Table):
    version: Literal[1]
    prices: dict[str, _Entry] = Field(default={})


def price_of(config: TargetConfig, *, local: bool) -> Callable[[], Price]:
    """Return what tells a target's price: its own, else that of litellm's table, read late."""
    if config.price is not None:
        price = config.price.price(local=local)
        return lambda: price
    return (lambda: FREE) if local else Listed(config.model)


def read_lock(path: Path) -> Mapping[str, Agreed]:
    """Return the prices of a file by target; raises ConfigError with file, key and mend."""
    try:
        given = _File.model_validate(tomllib.loads(path.read_text("utf-8")))
    except OSError as error:
        raise ConfigError(f"{path}: can't be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path}: no TOML ({error}); {_MEND}") from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise ConfigError(f"{path}: {key}: {first['msg']}; {_MEND}") from None
    return {
        name: Agreed(entry.model, Price(**entry.model_dump(exclude={"model"})))
        for name, entry in given.prices.items()
    }


_MEND: Final = "`pilotlight prices --lock` writes it anew"


def locked_beside(config: Path) -> Mapping[str, Agreed]:
    """Return the prices locked beside a configuration; a file of no use is told of, and no more."""
    path = config.with_name(NAME)
    try:
        if not path.is_file():
            return {}
        if (why := distrust(path)) is not None:
            raise ConfigError(f"{path} is not used: {why}")
        return read_lock(path)
    except (ConfigError, OSError) as error:
        _log.warning("%s", error)
        return {}


def write_lock(path: Path, prices: Mapping[str, Agreed]) -> None:
    """Write the file in one step; raises OSError."""
    parts = [_HEAD]
    for name, each in sorted(prices.items()):
        key = name if _BARE(name) else _quoted(name)
        parts.append(f"\n[prices.{key}]\nmodel = {_quoted(each.model)}\n")
        usual = asdict(Price())
        parts += [
            f"{key} = {value!r}\n"
            for key, value in asdict(each.price).items()
            if value is not None and value != usual[key]
        ]
    write_whole(path, "".join(parts), 0o644)


def _quoted(text: str) -> str:
    """Return a basic string of TOML: JSON's escapes are among its own, but for one character."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
