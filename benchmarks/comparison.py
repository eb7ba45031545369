"""The comparison as a table and as the page `docs/comparison.md`."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.contest import PATIENCE, SCENARIOS, Finding
from benchmarks.rows import markdown
from benchmarks.waits import ASKED, EVERY, GIVEN_UP, LONGEST, TUNED, WAITS

TITLES = {
    "pilotlight": "pilotlight",
    "litellm": "LiteLLM Router",
    "langchain": "LangChain `with_fallbacks`",
    "pydantic-ai": "pydantic-ai `FallbackModel`",
}

PAGE = """\
# pilotlight beside its peers

What the caller gets when the primary fails in one of {count} ways and the fallback is well.
Written by `make bench-peers ARGS="--write docs/comparison.md"` on {date}, Python {python}; do not
edit by hand.

{table}

**How to read it.** The first words say what the caller of the library got in the (last) call;
`P` and `F` count the requests that reached the primary and the fallback, counted at the server.
*HALF accepted*: a cut answer was returned as if it were whole.  *EMPTY accepted*: an answer without
a word was returned as if it were one.  *STILL WAITING*: no end in {patience:.0f} s.
In streams, "after 3 tokens" means that the caller had been given three of ten tokens before.

**Versions.** {versions}.

**How it was set up.** One second for each attempt, the SDKs' retries off (`max_retries=0`,
`num_retries=0`), otherwise the defaults, each library as its documentation shows it: a `Route` of
two targets, `Router(fallbacks=...)`, `ChatOpenAI(...).with_fallbacks([...])`, an
`Agent(FallbackModel(...))`.  Each fault meets fresh clients.  Source: `benchmarks/contestants.py`
(the set-ups) and `benchmarks/contest.py` (the faults).

## In time

What some of these faults cost the caller in seconds, each library with fresh clients. First as it
comes, with nothing set but the two addresses:

{waits}

And as people tune it: {timeout:.0f} s for each attempt, no retries but pilotlight's own
(`max_retries=0`, `num_retries=0`), and {pause:.0f} s for a breaker's break
(`allowed_fails=1, cooldown_time={pause:.0f}`; `breaker = {{ reset_timeout = {pause:.0f} }}`).

{waits_tuned}

The seconds are those of the slowest call; `P` and `F` as above.  In the first row there is a call
every {every:.0f} s, the outage included: *after* counts from its end until the primary has answered
again, or *not in* so many seconds; `P` counts the requests that it was sent in vain.  *Too early*
are requests that reach the primary within the {asked:.0f} s that it asked for.
*STILL WAITING*: no end in {longest:.0f} s.  Source: `benchmarks/waits.py`.

## Notes, in fairness

- Who asks a dead primary with each call is back on it with the first call after the outage, and
  pays for that with each call until then: *after*, `P` and *slowest* belong together.
- One outage says little of the time back, for it matters where in a break it ends:
  [coming back](coming-back.md) has the mean and the worst over many.
- The SDKs hear `Retry-After` too, and wait for it on the caller's time before they ask again.
- The openai SDK gives a silent server ten minutes by default: *still waiting* means that.
- The Router's breaker is off for a group with one deployment, unless it is configured.  With
  `allowed_fails=1, cooldown_time=30` the 20 calls in a row cost its primary {tuned} requests
  rather than {untuned}: people who tune it do not pay what the table says.
- pilotlight's number in that row is its `minimum_calls` (5): it sees five failures before it opens.
- pilotlight asks a primary that answers 500, or nonsense, once more before it moves on (after at
  most 0.2 s, paid from a budget that successes earn): hence its `P2`.  The peers were told not to.
- The 400 is a choice, not a defect: the peers ask the fallback as well, and a fallback with other
  limits may answer.  pilotlight raises the provider's own error, for the same mistake sent to a
  second provider costs money and hides a bug.
- "One second" is not the same thing everywhere: the peers' `timeout` is the longest silence of the
  socket, so heartbeats defeat it; pilotlight's `timeout = 1` is the whole attempt.  The peers'
  users can put a limit of their own around the call, and lose the fallback by it.
- Once text has been shown nobody takes over, pilotlight neither by default: it raises
  `StreamInterrupted` with the text so far.  `on_interrupt = "restart"` starts anew on the next
  target.
- The faults come from this project's own chaos server, which plays an OpenAI-style API.  Real
  providers fail in these ways too, but not equally often; the table says nothing about frequency.
- pydantic-ai's agent retries a model that returns nothing useful; those requests are in its `P`.
- The peers do much that is not measured here: agents, tools, budgets, proxies.  This is only about
  what a failing primary does to the caller.

Rerun with `make bench-peers`; the first run installs the pinned peers
(`benchmarks/peers-requirements.txt`, `benchmarks/peers-litellm-requirements.txt`) into
`.venv-peers`.  To test newer ones, change the pins.
"""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything that was found, by contestant and fault."""

    findings: Mapping[str, Mapping[str, Finding]]
    versions: Mapping[str, Mapping[str, str]]  # of each contestant: packages
    tuned: Finding  # the Router with its cool-down configured, in the row of many calls
    waits: Mapping[str, Mapping[str, str]]  # of each contestant: seconds, by scenario
    waits_tuned: Mapping[str, Mapping[str, str]]
    date: str

    def as_json(self) -> dict[str, Any]:
        found = {
            name: {told: finding.as_json() for told, finding in each.items()}
            for name, each in self.findings.items()
        }
        return {
            "date": self.date,
            "versions": {name: dict(each) for name, each in self.versions.items()},
            "findings": found,
            "litellm_tuned": self.tuned.as_json(),
            "waits": self.waits,
            "waits_tuned": self.waits_tuned,
        }


def table(found: Comparison) -> str:
    """Return the one table: a line for each fault, a column for each contestant."""
    header = ["the primary's fault", *(TITLES[name] for name in found.findings)]
    columns = found.findings.values()
    return markdown(
        header, ([each.told, *(str(column[each.told]) for column in columns)] for each in SCENARIOS)
    )


def waits_table(found: Mapping[str, Mapping[str, str]]) -> str:
    """Return the seconds: a line for each scenario, a column for each contestant."""
    header = ["", *(TITLES[name] for name in found)]
    return markdown(header, ([told, *(each[told] for each in found.values())] for told in WAITS))


def page(found: Comparison) -> str:
    """Return the page."""
    many = next(each.told for each in SCENARIOS if each.calls > 1)
    return PAGE.format(
        count=len(SCENARIOS),
        date=found.date,
        python=platform.python_version(),
        table=table(found),
        patience=PATIENCE,
        waits=waits_table(found.waits),
        waits_tuned=waits_table(found.waits_tuned),
        timeout=TUNED.timeout,
        pause=TUNED.pause,
        every=EVERY,
        given_up=GIVEN_UP,
        asked=ASKED,
        longest=LONGEST,
        versions=_versions(found),
        tuned=found.tuned.primary,
        untuned=found.findings["litellm"][many].primary,
    )


def _versions(found: Comparison) -> str:
    """Tell each contestant's packages."""
    told = {
        TITLES[name]: ", ".join(f"{package} {number}" for package, number in each.items())
        for name, each in found.versions.items()
    }
    return "; ".join(f"{title}: {packages}" for title, packages in told.items())
