"""Reads the file of an experiment, which may be anybody's: small, flat, finite, and of our parts.

chaostoolkit would start any program and call any function that a file names, and a YAML file of
a few lines can stand for gigabytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from chaoslib.exceptions import ChaosException
from chaoslib.experiment import ensure_experiment_is_valid
from chaoslib.loader import load_experiment

from .strangers import strangers

Json = dict[str, Any]
LARGEST: Final = 1_000_000  # bytes of a file
MOST: Final = 100_000  # values in it, each counted where it is used


class ExperimentError(ValueError):
    """An experiment that can't be run; the message names it and says why."""


def read(path: Path, *, trusted: bool = False) -> Json:
    """Read and check an experiment; raises ExperimentError.

    One that is not `trusted` may name our own actions and probes alone.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise ExperimentError(f"{path}: has more than {LARGEST:,} bytes; write it shorter")
        experiment: Json = load_experiment(str(path))
        _check(experiment, path)
        if not trusted and (found := strangers(experiment)):
            raise ExperimentError(
                f"{path}: names more than pilotlight-chaos's own actions and probes: "
                f"{'; '.join(dict.fromkeys(found))}; if you know what that does, add --trust"
            )
        ensure_experiment_is_valid(experiment)
        if not isinstance(experiment.get("configuration", {}), dict):
            raise ExperimentError(f"{path}: configuration is no table")
    except ExperimentError:
        raise
    except RecursionError:
        raise ExperimentError(f"{path}: is nested too deeply; write it flatter") from None
    except ChaosException as error:
        raise ExperimentError(f"{path}: {error}") from None
    except Exception as error:  # chaostoolkit takes for granted that each part has its type
        said = str(error).splitlines() or [type(error).__name__]
        raise ExperimentError(f"{path}: is no experiment: {said[0]}") from None
    return experiment


def _check(experiment: Any, path: Path) -> None:
    for count, (place, value) in enumerate(_values(experiment)):
        if count > MOST:
            raise ExperimentError(f"{path}: stands for more than {MOST:,} values; write fewer")
        if isinstance(value, float) and not math.isfinite(value):
            raise ExperimentError(f"{path}: {place} is {value}; write a finite number")


def _values(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value with its place; raises RecursionError."""
    yield place, value
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _values(inner, f"{place}.{key}" if place else str(key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _values(inner, f"{place}[{number}]")
