"""`pilotlight receipts --cost`: what was spent, by day and target, and what failover saved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pilotlight.app import Pilotlight
    from pilotlight.core.spending.price import Price
    from pilotlight.records.money import Book, Money
    from pilotlight.vocabulary.receipt import Receipt


def configured(config: Path | None) -> Pilotlight | None:
    """Return the configuration that applies here, None where there is none that can be used."""
    from pilotlight.cli.looking.setting import open_config
    from pilotlight.errors import ConfigError

    try:
        return open_config(config)
    except ConfigError:
        if config is not None:
            raise
        return None


def book_of(app: Pilotlight | None) -> Book:
    """Return what tells prices: a target's own, else those of litellm's table."""
    from pilotlight.records.money import by_table

    def price(target: str, model: str) -> Price:
        if app is not None and target in app.config.targets:
            return app.target(target).price()
        return by_table(target, model)

    return price


def routes_of(app: Pilotlight | None) -> Mapping[str, tuple[str, ...]]:
    """Return the targets of each configured route."""
    return {} if app is None else {name: each.targets for name, each in app.config.routes.items()}


def reckon(config: Path | None, receipts: Iterable[Receipt]) -> Money:
    """Sum a log up, with the prices and routes of the configuration where there is one."""
    from pilotlight.records.money import Money

    app = configured(config)
    return Money(book_of(app), routes_of(app)).add_all(receipts)


def show(money: Money) -> None:
    """Print it."""
    from rich.text import Text

    from pilotlight.cli.screen import out
    from pilotlight.plain import plain
    from pilotlight.records.money import in_words
    from pilotlight.records.words import money as dollars

    console = out()
    unknown = f"; the cost of {money.unknown:,} is not known" if money.unknown else ""
    calls = "call" if money.calls == 1 else "calls"
    head = f"{dollars(money.cost)} in {money.calls:,} {calls}{unknown}"
    console.print(Text(head, "bold"), soft_wrap=True)
    if not money.calls:
        return
    console.print()
    console.print(_targets(money))
    if money.days:
        console.print()
        console.print(_days(money))
    for line in in_words(money):
        console.print()
        console.print(Text(plain(line)), soft_wrap=True)


def _targets(money: Money) -> Any:
    from pilotlight.records.words import money as dollars

    table = _table("target", "model", "attempts", "cost", "not known")
    for name, each in sorted(money.targets.items(), key=lambda pair: -pair[1].cost):
        unknown = f"{each.unknown:,}" if each.unknown else "-"
        _row(table, name, each.model, f"{each.attempts:,}", dollars(each.cost), unknown)
    return table


def _days(money: Money) -> Any:
    from pilotlight.records.words import money as dollars

    names = [name for name, each in money.targets.items() if each.cost]
    table = _table("day", *names, "together")
    for day, costs in sorted(money.days.items()):
        sums = (*(costs[name] for name in names), sum(costs.values()))
        _row(table, day, *map(dollars, sums))
    return table


def repriced_table(then: Money, now: Money) -> Any:
    """Return what each target cost, and would cost at other prices."""
    from pilotlight.records.words import money as dollars

    table = _table("target", "model", "as recorded", "at these prices", "more")
    pairs = [(name, each, now.targets[name]) for name, each in then.targets.items()]
    for name, was, would in sorted(pairs, key=lambda each: -each[2].cost):
        unknown = "not known" if would.unknown == would.attempts else dollars(would.cost)
        more = "-" if would.unknown > was.unknown else dollars(would.cost - was.cost)
        _row(table, name, was.model, dollars(was.cost), unknown, more)
    more = "-" if now.unknown > then.unknown else dollars(now.cost - then.cost)
    _row(table, "together", "", dollars(then.cost), dollars(now.cost), more)
    return table


def _table(*headings: str) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for number, heading in enumerate(headings):
        words = heading in ("target", "model", "day") and number < 2
        table.add_column(heading, overflow="fold", justify="left" if words else "right")
    return table


def _row(table: Any, *cells: str) -> None:
    from rich.text import Text

    from pilotlight.plain import plain

    table.add_row(*(Text(plain(cell)) for cell in cells))
