"""The figures of ours and the peers as rows: what was measured of each stands in `cells`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from benchmarks.chart import Bar, Chart, Kind, bar
from benchmarks.comparison import TITLES
from benchmarks.measure import MS
from benchmarks.rows import Row, markdown
from pilotlight.core.breaker.breaker import BreakerPolicy

OURS, BASE = "pilotlight", "httpx"
NAMES = TITLES | {
    "pilotlight-litellm": "pilotlight via litellm",
    "httpx": "raw httpx",
    "openai": "openai SDK",
    "litellm-tuned": "LiteLLM Router, tuned",
    "pybreaker": "pybreaker + openai SDK",
    "purgatory": "purgatory + openai SDK",
}
CALL, STREAM, IMPORT, MIB, THROTTLE = 1.4, 2.0, 1.5, 15.0, 0.005
Wait = tuple[float | None, float]  # seconds, None for too many; those of a call that goes well
Found = Mapping[str, Sequence[Mapping[str, Any]]]


def _row(
    figure: str,
    cells: Mapping[str, str],
    chart: Chart,
    target: str = "-",
    ok: bool | None = None,
    **values: Any,
) -> Row:
    values |= {"cells": dict(cells)}
    return Row(figure, cells[OURS], target, ok, "", values, chart=chart.as_json())


def kind(name: str) -> Kind:
    if name.startswith(OURS):
        return "ours"
    return "base" if name == BASE else "peer"


def _bars(found: Mapping[str, Sequence[float]], scale: float = MS) -> list[Bar]:
    return [bar(_plain(name), rounds, kind(name), scale) for name, rounds in found.items()]


def _plain(name: str) -> str:
    return NAMES[name].replace("`", "")


def _column(found: Found, key: str) -> dict[str, list[float]]:
    return {name: [each[key] for each in rounds] for name, rounds in found.items()}


def cost_rows(calls: Found, streams: Found) -> list[Row]:
    """Return what calls and streams cost in CPU and by the clock, and the first tokens."""
    return [
        _cost("a call, all well: CPU (and wall)", calls, CALL),
        _cost("a 20-chunk stream, all well: CPU (and wall)", streams, STREAM),
        _first("its first token", streams),
    ]


def _cost(figure: str, found: Found, limit: float) -> Row:
    cpus, walls = _column(found, "cpu"), _column(found, "wall")
    cells = {
        name: f"{median(cpus[name]) * MS:.2f} ms ({median(walls[name]) * MS:.2f})" for name in cpus
    }
    pairs = zip(cpus[OURS], cpus[BASE], strict=True)
    times = median(ours / base for ours, base in pairs)
    cells[OURS] = f"{cells[OURS]}, {times:.2f}x"
    base = median(cpus[BASE]) * MS
    chart = Chart(figure.partition(" (and")[0], "ms CPU", _bars(cpus), base * limit)
    target = f"<= {limit:g}x raw httpx"
    return _row(figure, cells, chart, target, times <= limit, cpu=cpus, wall=walls)


def _first(figure: str, found: Found) -> Row:
    firsts = _column(found, "first")
    cells = {name: f"{median(rounds) * MS:.2f} ms" for name, rounds in firsts.items()}
    return _row(figure, cells, Chart("time to first token", "ms", _bars(firsts)), first=firsts)


def crowd_row(found: Found, threads: int) -> Row:
    """Return how long the last of some threads waits, each for a call of 50 ms."""
    walls = _column(found, "wall")
    cells = {name: f"{median(rounds) * MS:.0f} ms" for name, rounds in walls.items()}
    figure = f"{threads} callers at once, each a call of 50 ms"
    return _row(figure, cells, Chart(figure, "ms", _bars(walls)), wall=walls)


def outage_row(told: str, found: Mapping[str, Mapping[str, Any]], calls: int) -> Row:
    """Return the requests on a dead primary, and what the first and the later calls took."""
    cells, bars = {}, []
    for name, each in found.items():
        spent, hits = each["spent"], each["hits"]
        late = median(spent[len(spent) // 2 :]) * MS
        cells[name] = f"{hits}; {spent[0] * MS:.0f} ms, then {late:.1f}"
        note = ""
        if len(spent) < calls:
            note = f"{hits} in {len(spent)} calls"
            cells[name] = f"{note}; {spent[0] * MS:.0f} ms, then {late:.1f}"
        if each["errors"]:
            cells[name] += f"; {each['errors']} errors"
        bars.append(Bar(_plain(name), hits, kind(name), note=note))
    allowed = BreakerPolicy().minimum_calls
    figure = f"requests on a dead primary in {calls} calls ({told}); first call, later ones"
    return _row(
        figure,
        cells,
        Chart(f"requests on a dead primary, {calls} calls: {told}", "", bars, allowed),
        f"<= minimum_calls = {allowed}",
        found[OURS]["hits"] <= allowed,
        outage={name: dict(each) for name, each in found.items()},
    )


def herd_row(found: Mapping[str, Mapping[str, Any]], callers: int) -> Row:
    """Return how many callers met the dead primary when the break was over."""
    cells = {
        name: f"{each['hits']}; last answer after {each['wall']:.2f} s"
        + ("" if each["breaker"] else " (no breaker)")
        for name, each in found.items()
    }
    bars = [Bar(_plain(name), each["hits"], kind(name)) for name, each in found.items()]
    figure = f"callers let through at the end of a break, of {callers}"
    ours = found[OURS]["hits"]
    return _row(
        figure,
        cells,
        Chart(figure, "", bars, 1),
        "exactly trial_calls = 1",
        ours == 1,
        herd={name: dict(each) for name, each in found.items()},
    )


def wait_row(waits: Mapping[str, Wait], cap: float) -> Row:
    """Return how long a call takes that meets a 429, everything at its default."""
    cells, bars = {}, []
    for name, (spent, alone) in waits.items():
        told = f"> {cap:.0f} s" if spent is None else f"{spent:.2f} s"
        if spent is not None and spent < 1:
            told = f"{spent * MS:.1f} ms"
        cells[name] = f"{told} (well: {alone * MS:.1f} ms)"
        note = told if spent is None else ""
        bars.append(Bar(_plain(name), cap if spent is None else spent, kind(name), note=note))
    spent, alone = waits[OURS]
    added = cap if spent is None else spent - alone
    cells[OURS] += f", adds {added * MS:.1f} ms"
    return _row(
        "429 + Retry-After 30 with an idle fallback, at defaults",
        cells,
        Chart("a call that meets a 429 + Retry-After 30, at defaults", "s", bars),
        f"fallback's time + <= {THROTTLE * MS:.0f} ms",
        added <= THROTTLE,
        waits={name: list(each) for name, each in waits.items()},
    )


def import_rows(found: Mapping[str, Sequence[Sequence[float]]]) -> list[Row]:
    """Return what an import takes: of each round the first is seconds, the third MiB."""
    walls = {name: [each[0] for each in rounds] for name, rounds in found.items()}
    bare = median(each[2] for each in found["nothing"])
    del walls["nothing"]
    added = {name: [each[2] - bare for each in found[name]] for name in walls}
    return [
        _row(
            "import of the library",
            {name: f"{median(rounds) * MS:.0f} ms" for name, rounds in walls.items()},
            Chart("import", "ms", _bars(walls)),
            wall=walls,
        ),
        _row(
            "import, memory",
            {name: f"+{median(rounds):.1f} MiB" for name, rounds in added.items()},
            Chart("memory of an import", "MiB", _bars(added, 1.0), MIB),
            f"<= +{MIB:.0f} MiB",
            median(added[OURS]) <= MIB,
            added=added,
        ),
    ]


def speed_table(rows: Sequence[Row]) -> str:
    """Return the table: a line for each contestant's figure would be long, so a column each."""
    names = [name for name in NAMES if any(name in row.values["cells"] for row in rows)]
    header = ["figure", "target", "verdict", *(NAMES[name] for name in names)]
    lines = [
        [row.figure, row.target, row.verdict, *(row.values["cells"].get(n, "-") for n in names)]
        for row in rows
    ]
    return markdown(header, lines)
