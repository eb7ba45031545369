"""`pilotlight receipts`: the log of calls, listed, summed up, or drawn."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from pilotlight.vocabulary.receipt import Outcome

if TYPE_CHECKING:
    from pilotlight.records.lines import Kept
    from pilotlight.records.money import Money
    from pilotlight.records.store import Query, Store
    from pilotlight.records.summary import Summary

OUTCOMES = tuple(each for each in get_args(Outcome) if each != "open")


def moment(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """Read a length of time before now, as in the configuration; return epoch seconds."""
    if value is None:
        return None
    from pydantic import TypeAdapter, ValidationError

    from pilotlight.config.values import Seconds

    try:
        return time.time() - float(TypeAdapter(Seconds).validate_python(value))
    except ValidationError:
        raise click.BadParameter(f"{value!r} is not like 90s, 30m or 24h") from None


since_option = click.option(
    "--since", callback=moment, metavar="TIME", help="Only calls of the last 90s, 30m, 24h."
)


@click.command("receipts")
@click.argument("path", required=False, type=click.Path(path_type=Path, dir_okay=False))
@since_option
@click.option("--route", metavar="NAME", help="Only calls of this route.")
@click.option("--outcome", type=click.Choice(OUTCOMES), help="Only calls that ended so.")
@click.option(
    "--target", metavar="NAME", help="Only calls that asked this target, or passed it over."
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="List the newest so many.",
)
@click.option("--summary", is_flag=True, help="Sum all of them up, route by route.")
@click.option(
    "--cost", is_flag=True, help="Say what was spent, by target and day, and what failover saved."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option(
    "--html",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.html",
    help="Sum all of them up in one self-contained page with plots.",
)
@click.pass_obj
def command(
    config: Path | None,
    path: Path | None,
    since: float | None,
    route: str | None,
    outcome: str | None,
    target: str | None,
    limit: int,
    *,
    summary: bool,
    cost: bool,
    as_json: bool,
    html: Path | None,
) -> None:
    """List the calls that the log at PATH holds; by default the log of the configuration.

    There is one where the configuration says `receipts = "receipts.jsonl"`.  Prices are
    those of the configuration and of the table that litellm brings along; nobody is asked.
    """
    from pilotlight.cli.screen import remark
    from pilotlight.records.store import Query, Store

    store = Store(path or configured_log(config))
    query = Query(since, route, outcome, target)
    if cost:
        _tell_cost(config, store, query, as_json=as_json)
    elif summary or html is not None:
        _sum_up(config, store, query, as_json=as_json, html=html)
    else:
        _list(store, query, limit, as_json=as_json)
    for each in store.remarks:
        remark(each)


def configured_log(config: Path | None) -> Path:
    """Return where the receipts are kept; raises ConfigError if they are not."""
    from pilotlight.config.schema import load_config
    from pilotlight.errors import ConfigError

    path = load_config(config).receipts.path
    if path is None:
        raise ConfigError(
            'no receipts are kept: add `receipts = "receipts.jsonl"` at the top of '
            "pilotlight.toml, or name a log"
        )
    return Path(path)


@contextmanager
def reading(store: Store, query: Query) -> Iterator[Iterator[Kept]]:
    """Give the receipts, with a progress bar on a terminal."""
    from rich.progress import Progress

    from pilotlight.cli.screen import err

    console = err()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task(f"reading {store.path.name}", total=store.size)

        def counted() -> Iterator[Kept]:
            for number, receipt in enumerate(store.read(query)):
                if number % 1000 == 0:
                    progress.update(bar, completed=store.done)
                yield receipt

        yield counted()


def _list(store: Store, query: Query, limit: int, *, as_json: bool) -> None:
    from pilotlight.cli.screen import harmless, out, print_json, remark

    with reading(store, query) as receipts:
        newest = deque(enumerate(receipts, 1), maxlen=limit)
    matched = newest[-1][0] if newest else 0
    if as_json:
        found = [receipt.to_dict() for _, receipt in newest]
        print_json(
            {"matched": matched, "junk": store.junk, "newer": store.newer, "receipts": found}
        )
        return
    if newest:
        out().print(_table([harmless(receipt) for _, receipt in newest]))
    more = f", the newest {limit}" if matched > limit else ""
    remark(f"{matched} calls{more}" if matched else "no calls")


def _table(receipts: list[Kept]) -> Any:
    from rich.table import Table
    from rich.text import Text

    from pilotlight.records.summary import reasons, time_lost

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for heading in ("began", "route", "outcome", "served by", "took", "lost", "why not the others"):
        number = heading in ("took", "lost")
        table.add_column(
            heading, overflow="fold", justify="right" if number else "left", no_wrap=number
        )
    for each in receipts:
        began = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(each.started_at))
        why = ", ".join(f"{target} {reason}" for target, reason in reasons(each))
        table.add_row(
            Text(began),
            Text(each.route),
            Text(each.outcome, _TONE.get(each.outcome, "")),
            Text(each.served_by or "-"),
            f"{each.duration:.2f} s",
            f"{time_lost(each):.2f} s",
            Text(why),
        )
    return table


_TONE = {"primary": "green", "failover": "yellow", "exhausted": "red", "interrupted": "red"}


def _tell_cost(config: Path | None, store: Store, query: Query, *, as_json: bool) -> None:
    from pilotlight.cli.cost import reckon, show
    from pilotlight.cli.screen import print_json

    with reading(store, query) as receipts:
        money = reckon(config, receipts)
    if as_json:
        print_json(money.to_dict() | {"junk": store.junk, "newer": store.newer})
    else:
        show(money)


def _sum_up(
    config: Path | None, store: Store, query: Query, *, as_json: bool, html: Path | None
) -> None:
    from pilotlight.cli.screen import out, print_json
    from pilotlight.records.prices import PriceMap
    from pilotlight.records.summary import Summary

    with reading(store, query) as receipts:
        total = Summary(PriceMap()).add_all(receipts)
    if html is not None:
        from pilotlight.cli.cost import reckon

        with reading(store, query) as receipts:
            money = reckon(config, receipts)
        _write(html, total, money)
    if as_json:
        print_json(total.to_dict() | {"junk": store.junk, "newer": store.newer})
    else:
        from pilotlight.records.words import lines

        console = out()
        for line in lines(total):
            console.print(line, soft_wrap=True)
        if html is not None:
            console.print(f"page: {html}", soft_wrap=True, markup=False)


def _write(html: Path, total: Summary, money: Money) -> None:
    from pilotlight.records.page import page

    try:
        html.write_text(page(total, money), "utf-8")
    except OSError as error:
        raise click.ClickException(f"{html}: can't be written: {error.strerror}") from None
