"""The status page: one document, and the part of it that is brought up to date in place.

It holds no script and no style of its own, so that a strict Content-Security-Policy allows it;
the three files beside it are served by whoever shows the page.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from html import escape
from importlib import resources
from time import strftime
from typing import Final

from pilotlight.records.words import money
from pilotlight.state.facts import FleetFacts
from pilotlight.status.snapshot import BudgetState, RouteState, Snapshot, Standing, TargetState

FILES: Final = {
    "status.css": "text/css; charset=utf-8",
    "status.js": "text/javascript; charset=utf-8",
    "flame.svg": "image/svg+xml",
}
"""The files of the page, each with its content type."""

_LEAD: Final[dict[Standing, str]] = {
    "ok": "All routes are served by their first target.",
    "degraded": "Some routes are served by a fallback.",
    "down": "Some routes have nobody to answer.",
}


_STALE: Final = "The server does not answer. What is shown is old; trying again."


@dataclass(frozen=True, slots=True)
class Happening:
    """One row of the last failovers; `at` in the time zone in which it is shown."""

    at: datetime
    what: str
    route: str = ""
    target: str = ""
    to_target: str = ""
    reason: str = ""
    request: str = ""


@dataclass(frozen=True, slots=True)
class Links:
    """The addresses that the page needs: itself, its JSON, and its three files."""

    page: str
    json: str
    style: str
    script: str
    icon: str


@cache
def file(name: str) -> bytes:
    """Return one of `FILES`; raises KeyError for another name."""
    if name not in FILES:
        raise KeyError(name)
    return (resources.files(__package__) / "files" / name).read_bytes()


def document(links: Links, live_part: str) -> str:
    """Return the whole page, with the live part (`live`) in it."""
    link = {name: escape(getattr(links, name)) for name in Links.__slots__}
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>LLM status</title>
<link rel="icon" href="{link["icon"]}" type="image/svg+xml">
<link rel="stylesheet" href="{link["style"]}">
<script src="{link["script"]}" defer></script>
</head>
<body>
<a class="skip" href="#live">Skip to the status</a>
<header>
<h1>LLM status</h1>
<p class="tools">
<button type="button" id="pause" hidden aria-pressed="false">Pause</button>
<a href="{link["page"]}">Reload</a>
<a href="{link["json"]}">JSON</a>
</p>
</header>
<p id="stale" role="status" hidden>{_STALE}</p>
<main id="live" tabindex="-1" data-every="2000">{live_part}</main>
</body>
</html>
"""


def live(
    now: Snapshot,
    fleet: FleetFacts | None,
    happened: Sequence[Happening],
    notes: Sequence[str] = (),
    state_key: str = "state",
) -> str:
    """Return the part that changes; `notes` are sentences above the last failovers.

    `state_key` is what the setting for a shared store is called here.
    """
    shared = (
        "What one worker learns, all learn within two seconds."
        if fleet is not None
        else f"Each worker keeps its own breakers: <code>{escape(state_key)}</code> is not shared."
    )
    parts = [
        (
            f'<p class="lead {now.standing}"><span class="mark" aria-hidden="true"></span>\n'
            f"{_LEAD[now.standing]}\n"
            f'<span class="aside">As worker {now.worker} sees it, at {strftime("%H:%M:%S %Z")}. '
            f"{shared}</span></p>"
        ),
        _section("routes", "Routes", _ROUTES, map(_route, now.routes), "No routes are configured."),
        _section("targets", "Targets", _TARGETS, map(_target, now.targets), "No targets."),
        "" if fleet is None else _fleet(fleet),
        _budgets(now.budgets) if now.budgets else "",
        _section(
            "events",
            "Last failovers",
            _EVENTS,
            map(_event, happened),
            "Nothing has happened yet.",
            "".join(f"<p>{escape(note)}</p>" for note in notes),
        ),
    ]
    return "\n".join(filter(None, parts))


_ROUTES: Final = ("Route", "State", "Served by", "Targets, in order", "Time limit")
_TARGETS: Final = ("Target", "Model", "Breaker", "Calls in flight", "Queue", "Last check")
_NOTICES: Final = ("Target", "Breaker", "Trial", "Said by")
_BUDGETS: Final = ("Budget", "Spent", "For calls in flight", "Renews", "When it is spent")
_EVENTS: Final = ("When", "What", "Route", "Target", "Reason", "Request")


def _section(
    name: str, title: str, heads: Sequence[str], rows: Iterable[str], empty: str, words: str = ""
) -> str:
    return (
        f'<section aria-labelledby="{name}">\n<h2 id="{name}">{title}</h2>\n{words}'
        f"{_table(name, heads, rows, empty)}\n</section>"
    )


def _table(name: str, heads: Sequence[str], rows: Iterable[str], empty: str) -> str:
    head = "".join(f'<th scope="col">{each}</th>' for each in heads)
    body = "\n".join(rows) or f'<tr><td colspan="{len(heads)}">{empty}</td></tr>'
    return (
        f'<div class="wide" tabindex="0" role="region" aria-labelledby="{name}"><table>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )


def _row(heads: Sequence[str], head: str, *cells: str) -> str:
    """Return a row; each cell has its column's head as well, for narrow screens."""
    told = zip(heads[1:], cells, strict=True)
    return f'<tr><th scope="row">{head}</th>{"".join(_cell(*each) for each in told)}</tr>'


def _cell(head: str, cell: str) -> str:
    return f'<td data-head="{head}">{cell}</td>'


def _route(route: RouteState) -> str:
    return _row(
        _ROUTES,
        escape(route.name) + (" <small>private</small>" if route.private else ""),
        _state(route.standing, route.standing),
        escape(route.serving or "nobody"),
        escape(" → ".join(route.targets)),
        f"{_number(route.total_timeout)} s" if route.total_timeout else "none",
    )


def _target(target: TargetState) -> str:
    breaker = _state(target.breaker, target.breaker)
    if target.reason:
        breaker += f" {escape(_plainly(target.reason))}"
    if target.retry_after is not None:
        breaker += f", {_number(target.retry_after)} s left"
    elif not target.well:
        breaker += ", the next call tries it"
    flight = _dim("no limit")
    if target.limit is not None:
        inside = f"{target.in_flight}</meter> {target.in_flight} of {target.limit}"
        flight = f'<meter min="0" max="{target.limit}" value="{target.in_flight}">{inside}'
    checked = f"{target.check}: {target.problem}" if target.problem else target.check
    return _row(
        _TARGETS,
        escape(target.name) + (" <small>local</small>" if target.local else ""),
        escape(target.model),
        breaker,
        flight,
        _dim("none") if target.queue is None else f"{target.waiting} of {target.queue}",
        escape(checked) if target.check else _dim("not checked"),
    )


def _fleet(fleet: FleetFacts) -> str:
    told = f"Shared by <code>{escape(fleet.store)}</code>."
    if fleet.problem:
        why = f"It can't be read: {escape(fleet.problem)}. Each worker goes by what it sees."
        told += f' <span class="state down">{why}</span>'
    elif not fleet.notices:
        told += ' <span class="state closed">All closed.</span>'
    rows = []
    for notice in fleet.notices:
        trial = _NOTHING
        if notice.state != "closed":
            trial = f"worker {escape(notice.trial)} may try" if notice.trial else "nobody tries yet"
            trial = f"in {_number(notice.seconds)} s" if notice.seconds else trial
        rows.append(
            _row(
                _NOTICES,
                escape(notice.target or "another configuration's"),
                f"{_state(notice.state, notice.state)} {escape(_plainly(notice.reason))}",
                trial,
                f"worker {escape(notice.by)}, {notice.age:.0f} s ago",
            )
        )
    table = _table("fleet", _NOTICES, rows, "") if rows else ""
    heading = '<section aria-labelledby="fleet">\n<h2 id="fleet">Fleet</h2>'
    return f"{heading}\n<p>{told}</p>\n{table}\n</section>"


def _budgets(budgets: Sequence[BudgetState]) -> str:
    told = "" if budgets[0].shared else "<p>As this worker has counted since it began.</p>"
    return _section("budgets", "Budgets", _BUDGETS, map(_budget, budgets), "", told)


def _budget(budget: BudgetState) -> str:
    renews = datetime.fromtimestamp(budget.renews_at).astimezone()
    then = {"skip": "the next target answers", "refuse": "calls are refused"}[budget.then]
    share = min(1.0, budget.spent / budget.usd)
    state = _state("open", f"spent: {then}") if budget.exhausted else _dim(then)
    return _row(
        _BUDGETS,
        escape(budget.name),
        f'<meter min="0" max="1" value="{share:.4f}">{share:.0%}</meter> {budget.amounts}',
        money(budget.reserved) if budget.reserved else _dim("nothing"),
        f'<time datetime="{renews.isoformat()}">{renews:%b} {renews.day} {renews:%H:%M %Z}</time>',
        state,
    )


def _event(event: Happening) -> str:
    at = event.at
    when = f'<time datetime="{at.isoformat()}">{at:%b} {at.day} {at:%H:%M:%S}</time>'
    whom = " → ".join(filter(None, (event.target, event.to_target)))
    request = event.request if len(event.request) <= _SHOWN else f"{event.request[: _SHOWN - 1]}…"
    told = [escape(each or _NOTHING) for each in (event.what, event.route, whom, event.reason)]
    cells = (when, *told, f"<code>{escape(request or _NOTHING)}</code>")
    return f"<tr>{''.join(_cell(*each) for each in zip(_EVENTS, cells, strict=True))}</tr>"


_SHOWN: Final = 13  # characters of a request's id
_NOTHING: Final = "\u2013"  # a dash


def _state(kind: str, told: str) -> str:
    return f'<span class="state {escape(kind)}">{escape(told)}</span>'


def _plainly(reason: str) -> str:
    return reason.replace("_", " ")


def _dim(words: str) -> str:
    return f'<span class="dim">{words}</span>'


def _number(value: float) -> str:
    """Return a number with one decimal, and without one that is 0."""
    return f"{value:.1f}".removesuffix(".0")
