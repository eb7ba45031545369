"""litellm's table of models, read without importing litellm.

The table is a file of litellm's distribution: reading it takes hundredths of a second, where
the import takes seconds.  Once litellm is imported its own copy counts, to which a program
may have added models.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from pilotlight.catalog import litellm_module
from pilotlight.catalog.providers import RESPONSES

FILE: Final = "model_prices_and_context_window_backup.json"
Table = Mapping[str, Mapping[str, Any]]


def table() -> Table:
    """Return the table; empty where it can't be found."""
    module = litellm_module.loaded()
    return _read() if module is None else module.model_cost


def known() -> Table | None:
    """Return the table if somebody has asked for it already."""
    if litellm_module.loaded() is None and not _read.cache_info().currsize:
        return None
    return table()


def row(model: str, rows: Table | None = None) -> Mapping[str, Any]:
    """Return what the table says of a model (`provider/model`); empty where it knows none.

    `rows` stands in for the table.
    """
    rows = table() if rows is None else rows
    return rows.get(model) or rows.get(model.partition("/")[2].removeprefix(RESPONSES)) or {}


def window(model: str) -> int | None:
    """Return the input window of a model (`provider/model`) in tokens; None: not known."""
    known = row(model)
    found = known.get("max_input_tokens") or known.get("max_tokens")
    return found if isinstance(found, int) else None


@cache
def _read() -> Table:
    spec = find_spec("litellm")
    for place in (spec and spec.submodule_search_locations) or ():
        try:
            found: Table = json.loads((Path(place) / FILE).read_bytes())
        except (OSError, ValueError):
            continue
        return found
    return {}
