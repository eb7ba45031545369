"""`pilotlight replay`: recorded calls under another policy, side by side with what happened."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pilotlight.cli.receipts import configured_log, reading, since_option

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pilotlight.records.store import Query, Store
    from pilotlight.replay.engine import Played
    from pilotlight.replay.tally import Side

RECORDED, TODAY, CHANGED = "as recorded", "replayed", "with --set"


@click.command("replay")
@click.argument("path", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="A setting to try, such as breaker.reset_timeout=10 or "
    "targets.gpt.retry.max_retries=0; may be repeated.",
)
@click.option(
    "--prices",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="FILE",
    help="Say what the calls would have cost at the prices of this file, such as prices.lock.",
)
@since_option
@click.option("--route", metavar="NAME", help="Only calls of this route.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_obj
def command(
    config: Path | None,
    path: Path | None,
    settings: tuple[str, ...],
    prices: Path | None,
    since: float | None,
    route: str | None,
    *,
    as_json: bool,
) -> None:
    """Play the calls in the log at PATH again under another policy; nothing is sent.

    Shown side by side: what happened, what the configuration of today would have made of
    it, and what it would with each --set.  Targets fail and answer as they did then.
    """
    from pilotlight.cli.screen import out, print_json, remark
    from pilotlight.config.schema import load_config
    from pilotlight.errors import ConfigError
    from pilotlight.records.store import Query, Store
    from pilotlight.replay.engine import play
    from pilotlight.replay.settings import changed, completed
    from pilotlight.replay.tally import tally

    store = Store(path or configured_log(config))
    if prices is not None:
        if settings:
            raise click.UsageError("--prices and --set are two questions; ask one at a time")
        _repriced(store, Query(since, route), prices, as_json=as_json)
        return
    with reading(store, Query(since, route)) as receipts:
        recorded = list(receipts)
    for each in store.remarks:
        remark(each)
    if not recorded:
        raise ConfigError(f"{store.path}: no calls to replay")
    today = completed(load_config(config), recorded)
    policies = {TODAY: today} | ({CHANGED: changed(today, settings)} if settings else {})
    with _waiting(f"playing {len(recorded):,} calls"):
        played = {name: play(recorded, policy) for name, policy in policies.items()}
    first = {name: each.targets[0] for name, each in today.routes.items()}
    sides = {RECORDED: tally(recorded, first)}
    sides |= {name: tally(each.receipts, first) for name, each in played.items()}
    if as_json:
        print_json(_plain(sides, played, settings))
        return
    out().print(_table(sides, played))
    for line in _remarks(played):
        remark(line)


def _repriced(store: Store, query: Query, prices: Path, *, as_json: bool) -> None:
    """Reckon the log as recorded, and at other prices."""
    from pilotlight.cli.cost import book_of, repriced_table
    from pilotlight.cli.receipts import reading
    from pilotlight.cli.screen import out, print_json, remark
    from pilotlight.config.price_lock import read_lock
    from pilotlight.core.spending.price import UNKNOWN, Price
    from pilotlight.records.money import Money

    agreed = read_lock(prices)

    def book(target: str, model: str) -> Price:
        if target in agreed:
            return agreed[target].price
        return next((each.price for each in agreed.values() if each.model == model), UNKNOWN)

    then, now = Money(book_of(None)), Money(book, again=True)
    with reading(store, query) as receipts:
        for receipt in receipts:
            then.add(receipt)
            now.add(receipt)
    if as_json:
        print_json({"prices": str(prices), "then": then.to_dict(), "now": now.to_dict()})
        return
    out().print(repriced_table(then, now))
    for each in store.remarks:
        remark(each)
    if now.unknown > then.unknown:
        remark(f"{now.unknown:,} calls have no known cost at these prices: {prices} lacks targets")


def _waiting(what: str) -> AbstractContextManager[object]:
    from pilotlight.cli.screen import err

    console = err()
    return console.status(what) if console.is_terminal else nullcontext()


def _plain(
    sides: dict[str, Side], played: dict[str, Played], settings: tuple[str, ...]
) -> dict[str, Any]:
    found: dict[str, Any] = {
        name: asdict(side) | {"availability": side.availability} for name, side in sides.items()
    }
    for name, each in played.items():
        found[name] |= {
            "attempts": each.attempts,
            "assumed": each.assumed,
            "unknown": each.unknown,
        }
    return {"set": list(settings), "sides": found}


def _table(sides: dict[str, Side], played: dict[str, Played]) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("")
    for name in sides:
        table.add_column(name, justify="right")
    for label, cells in _rows(sides, played):
        table.add_row(label, *cells)
    return table


def _rows(sides: dict[str, Side], played: dict[str, Played]) -> Iterator[tuple[str, list[str]]]:
    from pilotlight.records.words import seconds, share

    def count(name: str) -> list[str]:
        return [f"{getattr(side, name):,}" for side in sides.values()]

    def took(name: str) -> list[str]:
        values = (getattr(side, name) for side in sides.values())
        return ["-" if value is None else seconds(value) for value in values]

    yield "calls", count("calls")
    yield "availability", [share(side.availability) for side in sides.values()]
    yield "answered by the first target", count("by_first")
    yield "answered by another", count("by_others")
    yield "not answered", count("unanswered")
    yield "calls on the dead first target", count("on_dead_primary")
    yield "failed attempts", count("failed_attempts")
    yield "time lost", took("time_lost")
    yield "an answer took, median", took("median")
    yield "an answer took, 95%", took("p95")
    assumed = [f"{each.assumed:,} of {each.attempts:,}" for each in played.values()]
    yield "outcomes assumed", ["-", *assumed]


def _remarks(played: dict[str, Played]) -> Iterator[str]:
    if any(each.assumed for each in played.values()):
        yield "assumed: not in the log, so taken from the same target's outcome nearest in time"
    if unknown := max(each.unknown for each in played.values()):
        yield f"{unknown} attempts at targets that the log never saw asked are taken as failed"
