"""A summary in words: numbers as people write them."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from pilotlight.plain import plain

if TYPE_CHECKING:
    from rich.text import Text

    from pilotlight.records.summary import RouteSums, Summary


def lines(summary: Summary) -> Iterator[Text]:
    """Yield what is to be said of each route, for a terminal."""
    from rich.text import Text

    if not summary.routes:
        yield Text("no calls")
    for name, route in summary.routes.items():
        yield Text.assemble((plain(name), "bold"), f": {calls(route)}")
        for label, text in facts(summary, name):
            yield Text.assemble((f"  {label:<20}", "dim"), plain(text))


def escape(text: str) -> str:
    """Return a text as it stands in HTML and SVG: marks escaped, and no unsafe character."""
    return html.escape(plain(text))


def calls(route: RouteSums) -> str:
    """Say how many calls there were, and how many of them were answered."""
    others = route.calls - route.answered - route.unanswered
    text = f"{route.calls:,} calls, {share(route.availability)} answered"
    return text + (f"; {others:,} ended by their callers" if others else "")


def facts(summary: Summary, name: str) -> Iterator[tuple[str, str]]:
    """Yield label and text of each fact of a route."""
    route = summary.routes[name]
    if route.served_by:
        yield "served by", shares(route.served_by, route.answered)
    if route.why:
        yield "why not the others", ", ".join(f"{k} {n:,}" for k, n in route.why.most_common())
    yield (
        "time lost",
        f"{seconds(route.time_lost)}, {seconds(route.time_lost / route.calls)} a call",
    )
    middle, high = route.spread.quantile(0.5), route.spread.quantile(0.95)
    if middle is not None and high is not None:
        yield "an answer took", f"{seconds(middle)} (median), {seconds(high)} (95%)"
    if route.answered:
        yield "cost", cost(route.cost, route.unpriced, route.answered)
    if route.outcomes["failover"]:
        yield "saved by failover", saved(summary.saved(name))


def share(value: float | None) -> str:
    """Return a share of calls, rounded down: 100% is all of them."""
    return "none" if value is None else f"{int(value * 10000 + 1e-6) / 100:g}%"


def shares(counts: Mapping[str, int], total: int) -> str:
    """Return who has how much, the largest first."""
    largest = sorted(counts.items(), key=lambda each: -each[1])
    return ", ".join(f"{who} {share(count / total)}" for who, count in largest)


def seconds(value: float) -> str:
    """Return a length of time with a fitting unit."""
    if value < 1:
        return f"{value * 1000:.0f} ms"
    if value < 120:
        return f"{value:.3g} s"
    return f"{value / 60:.3g} min" if value < 7200 else f"{value / 3600:,.3g} h"


def money(value: float) -> str:
    """Return US dollars, as people write them; of less than a cent only that it is less."""
    if 0 < abs(value) < 0.005:
        return "< $0.01" if value > 0 else "> -$0.01"
    return f"{'-' if value < 0 else ''}${abs(value):,.2f}"


def cost(value: float, unpriced: int, answered: int) -> str:
    """Say what the answers cost; what is not known is said to be so, and is not 0."""
    if unpriced == answered:
        return "unknown: no price or no token counts"
    more = f"; unknown for {unpriced:,} of {answered:,} answers" if unpriced else ""
    return f"{money(value)}{more}"


def saved(value: float | None) -> str:
    """Say what failing over saved, or cost."""
    if value is None:
        return "unknown: no price of the first target"
    return money(value) if value >= 0 else f"nothing; it cost {money(-value)} more"
