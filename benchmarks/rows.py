"""One line of the table: a figure, its target and the verdict."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

HEADER = ("figure", "measured", "target", "verdict", "peers")
PROMISES = {
    "added": "added CPU per call, tracing off, sync / async",
    "call": "whole call on an OpenAI-wire target vs raw httpx, CPU",
    "ollama": "Ollama chat vs the raw `ollama` client, CPU",
    "stream": "20-chunk stream, CPU vs raw httpx SSE",
    "dialects": "each of the five dialects vs raw httpx on its wire",
    "translation": "translation of a request with 30 turns and 10 tools",
    "flight": "200 in flight, throughput vs the httpx floor of the same stack",
    "dead": "requests on a dead primary in 200 calls",
    "herd": "callers let through at the end of a break, of 50",
    "throttle": "429 + Retry-After 30 with an idle fallback",
    "import": "`import pilotlight`",
    "memory": "RSS slope over 20,000 calls",
}
PEERS_AS_OF = "measured 2026-11, litellm 1.106.2"


@dataclass(frozen=True, slots=True)
class Row:
    """A figure; `ok` is None where nothing was promised.

    `promise` names the promise (`PROMISES`) that the figure belongs to, and `chart` is a
    picture of it (`chart.Chart`, as JSON).
    """

    figure: str
    measured: str
    target: str = "-"
    ok: bool | None = None
    peers: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    promise: str = ""
    chart: Mapping[str, Any] | None = None

    @property
    def verdict(self) -> str:
        return {True: "ok", False: "MISS", None: "-"}[self.ok]

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"verdict": self.verdict}


def row_of(data: Mapping[str, Any]) -> Row:
    """Read back what `as_json` wrote."""
    return Row(**{name: value for name, value in data.items() if name != "verdict"})


def markdown(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a markdown table whose columns also line up in a terminal."""
    cells = [list(header), *(list(line) for line in lines)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(header))]
    cells.insert(1, ["-" * width for width in widths])
    padded = ([t.ljust(width) for t, width in zip(line, widths, strict=True)] for line in cells)
    return "\n".join(f"| {' | '.join(line)} |" for line in padded)


def table(rows: Iterable[Row]) -> str:
    """Return the one table of `make bench`."""
    return markdown(
        HEADER, ((row.figure, row.measured, row.target, row.verdict, row.peers) for row in rows)
    )


def promises(rows: Sequence[Row]) -> str:
    """Return the short table: each promise, and the figures that keep or miss it."""
    lines: list[tuple[str, ...]] = []
    for name, told in PROMISES.items():
        held = [row for row in rows if row.promise == name]
        lines += [
            ("" if number else told, row.figure, row.measured, row.target, row.verdict)
            for number, row in enumerate(held)
        ] or [(told, "not measured in this run", "-", "-", "-")]
    return markdown(("promise", "figure", "measured", "target", "verdict"), lines)


def machine() -> dict[str, Any]:
    """Return what was measured on, as far as it may be told: no names of hosts or paths."""
    named = ("pilotlight", "litellm", "openai", "httpx", "httpcore", "aiohttp", "ollama")
    versions = {}
    for name in named:
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    return {
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "versions_here": versions,
    }
