"""What `pilotlight doctor` says of prices: one that has changed, one that is too high."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pilotlight.cli.looking.checks import Check
from pilotlight.cli.prices import Listing, listings, locked
from pilotlight.errors import ConfigError
from pilotlight.records.money import Money
from pilotlight.records.store import Query, Store
from pilotlight.records.words import money as dollars

if TYPE_CHECKING:
    from pilotlight.app import Pilotlight

MONTH: Final = 30 * 86_400.0  # seconds


def price_checks(app: Pilotlight, agree: str) -> Iterator[Check]:
    """Yield what there is to say; `agree` is the command that agrees to the prices in force."""
    if app.path is None:
        return
    try:
        _, agreed = locked(app)
    except ConfigError as error:
        yield Check("warn", "prices", str(error), agree)
        return
    capped = any(each.max_price is not None for each in app.config.targets.values())
    if not agreed and not capped:
        return
    for each in listings(app, agreed):
        if each.changed:
            then = agreed[each.target].price
            effect = _effect(app, each, Money(lambda *_, price=then: price, again=True))
            yield Check("warn", each.target, f"its price: {each.changed}{effect}", agree)
        if each.above:
            mend = f"raise `max_price` of [targets.{each.target}], or name a cheaper model"
            yield Check("warn", each.target, f"is skipped: {each.above}", mend)


def _effect(app: Pilotlight, listing: Listing, then: Money) -> str:
    """Say what the new price makes of the last 30 days, where receipts are kept."""
    kept = app.config.receipts.path
    if kept is None:
        return ""
    now = Money(lambda *_: listing.price, again=True)
    try:
        query = Query(time.time() - MONTH, target=listing.target)
        for receipt in Store(Path(kept)).read(query):
            then.add(receipt)
            now.add(receipt)
    except ConfigError:  # no call has ended yet
        return ""
    was, would = then.targets[listing.target].cost, now.targets[listing.target].cost
    told = f"{dollars(abs(would - was))} {'more' if would >= was else 'less'}"
    return f"; the calls of the last 30 days would cost {told} ({dollars(was)} -> {dollars(would)})"
