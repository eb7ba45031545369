"""The metrics as Prometheus reads them, of one worker or of all of them together.

Whichever worker is asked answers for all: each writes its own into a folder every two seconds,
and each sample is told with its worker, so that a sum over workers is right.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pilotlight import extras
from pilotlight.doors.gateway.refuse import Refuse

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
EVERY: Final = 2.0  # seconds
_HEAD: Final = re.compile(r"# (?:HELP|TYPE) (\S+)")
_SAMPLE: Final = re.compile(r"([A-Za-z_:][\w:]*)(?:\{(.*)\})? (\S+)(.*)")


def own() -> str:
    """Return this process's metrics; raises Refuse where they are not exported."""
    try:
        from prometheus_client import REGISTRY, generate_latest
    except ImportError:
        told = extras.missing("prometheus_client", "prometheus", "/metrics")
        raise Refuse(404, str(told)) from None
    return generate_latest(REGISTRY).decode()


class Shared:
    """The metrics of several workers, in a folder of theirs; `worker` is this one's number."""

    def __init__(self, folder: Path, worker: int) -> None:
        self._folder = folder
        self._worker = worker

    def write(self) -> None:
        """Write this worker's metrics, in one step."""
        path = self._folder / f"{self._worker}.prom"
        made = path.with_suffix(f".{os.getpid()}")
        made.write_text(own(), "utf-8")
        made.replace(path)

    def read(self) -> str:
        """Return the metrics of all workers, this one's as they are now."""
        texts = {}
        for path in sorted(self._folder.glob("*.prom")):
            if path.stem.isdecimal() and int(path.stem) != self._worker:
                texts[path.stem] = path.read_text("utf-8")
        return merged({**texts, str(self._worker): own()})


def merged(texts: Mapping[str, str]) -> str:
    """Return several expositions as one; each sample has its worker as a label.

    The lines of one metric have to stand together (Prometheus: exposition formats, text format).
    """
    families: dict[str, dict[str, None]] = {}
    for worker, text in texts.items():
        family = ""
        for line in text.splitlines():
            if head := _HEAD.match(line):
                family = head[1]
                families.setdefault(family, {})[line] = None
            elif sample := _SAMPLE.fullmatch(line):
                name, labels, value, rest = sample.groups()
                told = ",".join(filter(None, (labels, f'worker="{worker}"')))
                families.setdefault(family, {})[f"{name}{{{told}}} {value}{rest}"] = None
    return "".join(f"{line}\n" for family in families.values() for line in family)
