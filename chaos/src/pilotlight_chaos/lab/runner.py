"""Finds experiments, runs them by chaostoolkit in this process, and tells how they went."""

from __future__ import annotations

import copy
import json
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from chaoslib.experiment import run_experiment
from chaoslib.types import Schedule, Strategy
from pilotlight.files import open_own

from .document import ExperimentError, Json, read
from .interrupt import PRESSED, heeded

__all__ = ["Experiment", "ExperimentError", "find", "interrupted", "packaged", "run", "write"]

EVERY = 0.25  # seconds between two looks at the hypothesis during an experiment
ALWAYS: Json = {"runtime": {"rollbacks": {"strategy": "always"}}}


@dataclass(frozen=True, slots=True)
class Experiment:
    """One YAML file; `name` is the file's, without its ending.

    One that is not `trusted` may name our own actions and probes alone.
    """

    name: str
    path: Path
    trusted: bool = True

    @property
    def number(self) -> str:
        """The digits at the start of the name."""
        return self.name.partition("-")[0]

    def load(self) -> Json:
        """Read and check it; raises ExperimentError."""
        return read(self.path, trusted=self.trusted)


def packaged() -> list[Experiment]:
    """Return the experiments that come with this package, in their order."""
    folder = Path(str(files("pilotlight_chaos") / "experiments"))
    return [Experiment(path.stem, path) for path in sorted(folder.glob("*.yaml"))]


def find(names: Sequence[str], *, trust: bool = False) -> list[Experiment]:
    """Return experiments by name, by number, or by the path of a file; `trust` is for files."""
    return [_find(name, trust) for name in names]


def _find(name: str, trust: bool) -> Experiment:
    if name.endswith((".yaml", ".yml", ".json")):
        path = Path(name)
        if not path.is_file():
            raise ExperimentError(f"{name}: no such file")
        return Experiment(path.stem, path, trust)
    known = packaged()
    wanted = name.zfill(2) if name.isdigit() else name
    for each in known:
        if wanted in (each.name, each.number):
            return each
    listed = ", ".join(each.name for each in known)
    raise ExperimentError(f"no experiment {name!r}; there are: {listed}")


def run(experiment: Experiment, *, seed: int = 0, negative: bool = False) -> Json:
    """Run one experiment, or its negative control; return chaostoolkit's journal.

    Call it from the main thread: chaostoolkit installs signal handlers.
    The first Ctrl-C ends the experiment and rolls it back; `interrupted` tells of it.
    Raises ExperimentError for a file that holds no experiment.
    """
    with _quiet(), heeded():
        loaded = experiment.load()
        configuration = loaded.setdefault("configuration", {})
        configuration["seed"], configuration["negative"] = seed, int(negative)
        loaded["pilotlight-experiment"] = experiment.name
        journal: Json = run_experiment(
            loaded,
            settings=copy.deepcopy(ALWAYS),
            strategy=Strategy.CONTINUOUS,
            schedule=Schedule(continuous_hypothesis_frequency=EVERY),
        )
    return journal


def interrupted() -> bool:
    """Tell whether Ctrl-C was pressed during the last run."""
    return PRESSED.is_set()


def write(journal: Json, path: Path) -> None:
    """Write a journal as chaostoolkit does, for its owner alone; a link raises OSError."""
    with os.fdopen(open_own(path, os.O_WRONLY | os.O_TRUNC), "w", encoding="utf-8") as file:
        json.dump(journal, file, indent=1, default=str)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep chaostoolkit's log to itself; the journal has it all."""
    logger = logging.getLogger("chaostoolkit")
    silent, passed_on = logging.NullHandler(), logger.propagate
    logger.addHandler(silent)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(silent)
        logger.propagate = passed_on
