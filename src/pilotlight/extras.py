"""What is installed only where it is wanted: the extras, and what is said where one is missing."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from pilotlight.errors import MissingExtra

__all__ = ["installed", "mend", "missing", "need"]

SLIM = "pilotlight-slim"  # the code by itself; `pilotlight` is this with the usual extras


def need(module: str, extra: str, what: str) -> Any:
    """Return a module that comes with an extra; `what` is what it is needed for.

    Raises MissingExtra, which names the extra, where it can't be imported.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise missing(module, extra, what, error) from error


def missing(module: str, extra: str, what: str, error: ImportError | None = None) -> MissingExtra:
    """Return the error of a module that can't be imported."""
    absent = error is None or module.startswith(error.name or module)
    told = module if absent else f"{module} (which does not load: {error})"
    return MissingExtra(what, told, extra, mend(extra))


def mend(extra: str) -> str:
    """Return the command that installs an extra of the distribution that is here."""
    from importlib.metadata import PackageNotFoundError, distribution  # slow to import

    try:
        name = distribution("pilotlight").metadata["Name"]
    except PackageNotFoundError:
        name = SLIM
    return f"pip install '{name}[{extra}]'"


def installed(module: str) -> bool:
    """Tell whether a module is there, without importing it."""
    return sys.modules.get(module) is not None or find_spec(module) is not None
