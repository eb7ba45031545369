"""`pilotlight status`: the targets and routes, and how they are now."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from pilotlight.assembly import Pilotlight
    from pilotlight.cli.setting import Place


@dataclass(frozen=True, slots=True)
class Row:
    """One target as it is now."""

    name: str
    model: str
    address: str
    local: bool
    key: str
    breaker: str
    retires: str  # the day, empty when no end is announced
    reachable: bool | None  # None: not looked at
    detail: str


@click.command("status")
@click.option("--check", is_flag=True, help="Also connect to the closed providers (no request).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_obj
def command(config: Path | None, check: bool, as_json: bool) -> None:
    """Show targets and routes; asks Ollama what it has loaded."""
    from pilotlight.cli.screen import print_json
    from pilotlight.cli.setting import open_config, places

    app = open_config(config)
    found = places(app)
    with ThreadPoolExecutor(max_workers=16) as pool:
        rows = list(pool.map(lambda place: _row(place, check), found))
    if as_json:
        routes = {name: list(route.targets) for name, route in app.config.routes.items()}
        print_json({"targets": [asdict(row) for row in rows], "routes": routes})
    else:
        _print(app, rows)


def _row(place: Place, check: bool) -> Row:
    from pilotlight.health.lifecycle import outlook

    reachable, detail, away = _look(place, check)
    breaker = place.target.health.breaker
    return Row(
        place.name,
        place.config.model,
        place.connection.base_url,
        place.target.local and not away,
        place.key,
        str(breaker.current_state),
        str(outlook(place.target).day or ""),
        reachable,
        detail,
    )


def _look(place: Place, check: bool) -> tuple[bool | None, str, bool]:
    """Return whether it can be reached, what it says, and whether a local name runs elsewhere."""
    from pilotlight.cli import probe

    connection = place.connection
    if place.is_ollama:
        server = probe.ollama(connection.base_url, connection.spec.api_key)
        if server.problem:
            return False, f"{server.problem}; start it with `ollama serve`", False
        model = server.find(place.model)
        away = model is not None and bool(model.remote_host)
        return True, f"Ollama {server.version}, {_model_state(place, server)}", away
    if not check:
        return None, "not asked (--check connects)", False
    if not connection.base_url:
        return None, "address not known", False
    problem = probe.unreachable(connection.base_url, tls=True)
    return not problem, problem or "takes connections", False


def _model_state(place: Place, server: Any) -> str:
    model = server.find(place.model)
    if model is None:
        return f"model missing: `ollama pull {place.model}`"
    if model.remote_host:
        return f"runs on {model.remote_host}, not here"
    return "model loaded" if server.is_loaded(place.model) else "model installed, not loaded"


def _print(app: Pilotlight, rows: list[Row]) -> None:
    from rich.table import Table
    from rich.text import Text

    from pilotlight.cli.screen import out

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for heading in ("target", "model", "address", "where", "key", "breaker", "retires", "now"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(
            Text(row.name, "bold"),
            row.model,
            Text(row.address or "?"),
            Text("local", "green")
            if row.local
            else Text("elsewhere" if row.model.startswith("ollama") else "closed", "cyan"),
            Text(row.key, "red" if row.key == "missing" else ""),
            Text(row.breaker, _BREAKER.get(row.breaker, "")),
            row.retires or "-",
            Text(row.detail, _NOW[row.reachable]),
        )
    console = out()
    console.print(table)
    console.print(Text("\nroutes", "bold"))
    for name, route in app.config.routes.items():
        flags = "  (private)" if route.private else ""
        console.print(Text(f"  {name}: {' → '.join(route.targets)}{flags}"), soft_wrap=True)
    if not app.config.routes:
        console.print(Text("  none: add a table [routes.chat]"), soft_wrap=True)
    console.print(Text("breakers are this process's own, so all fresh", "dim"))


_BREAKER = {"closed": "green", "open": "red", "half-open": "yellow"}
_NOW: dict[bool | None, str] = {True: "green", False: "red", None: "dim"}
