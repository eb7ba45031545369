"""The words of `docs/performance.md`, and the reasons for what misses its target."""

from __future__ import annotations

# By the beginning of a figure's name.  A reason needs a profile; without one there is none here.
PACE = (
    "compare the machine's pace, above: this figure is in microseconds, and grows with the loop's "
    "time.  It holds where the loop is at its fastest"
)
ARGUED = {
    "adds to a stream, async @failover generator": (
        "by taking its parts out one by one: of the some 30 us more than `Route.astream`, 11 are "
        "two more async generators in each other (the function's and the wrapper's), 4 the "
        "attempt's tap in a context variable, and 15 the deadline of the function's own code, "
        "which is watched while an item is waited for and at no other time."
    ),
    "adds to a stream, sync @failover generator": (
        "the same as `Route.stream`, and a second generator around the function's own, whose every "
        "item is read with the attempt's tap in a context variable."
    ),
    "adds to": f"{PACE}.",
    "telemetry adds": (
        f"{PACE}.  By taking parts out: with a tracer that does nothing some 40 us are left of a "
        "call's 140, the rest is the SDK's."
    ),
    "surge of 300": (
        "the slowest are threads that wait for the interpreter's lock, which forty of them and a "
        "busy event loop want in the same moment: a matter of the machine's pace, above."
    ),
    "429 + Retry-After 30": (
        "by the profile of the refused leg, half is the exchange over a connection that has yet to "
        "be opened, a fifth is making its pool, and a fifth is reading the refusal."
    ),
    "a budget adds": (
        "by taking its parts out one by one: five eighths are the guess at the prompt's tokens and "
        "what it comes to, a quarter the two reservations' bookkeeping.  In a loop of its own all "
        "of it takes 3.6 us; between the other steps of a call it finds the caches full of them."
    ),
    "guard adds": (
        "by the profile, 271 functions a call, none of which takes more than a thirtieth: the "
        "exchange, the flow and the wire are gone through whole."
    ),
    "the tap on gemini's wire": (
        "each of its events counts tokens anew, so that three gaps of the template are compared "
        "in place of one."
    ),
    "32 threads x 50 ms, Route": "thirty-two threads begin within the time shown, on two cores.",
    "the tap on the wire, per streamed chunk": (
        "by the profile of what is added, half is the scanner (is this content? is it the end? "
        "five calls and two searches of the chunk), a fifth counts and keeps its bytes and reads "
        "the clock, a fifth is the iterator around the stream."
    ),
}

PAGE = """\
# Performance

What pilotlight costs, what an outage costs with it, and what both cost with its peers.  {measured}
This page is written by `make bench-docs`; do not edit it by hand.

## What is promised

{promises}

## Beside the peers, in one run

Everybody has a process of their own in an environment of their own, and they take turns.

![CPU of a call and of a stream, and the time to the first token](performance-cost.svg)

![Requests on a dead primary, callers let through, a 429](performance-outage.svg)

{speed}

- *tuned*: `allowed_fails=1, cooldown_time=30`, without which the Router has no breaker here.
- *requests on a dead primary*: one second for each attempt, retries off (ours are as they are by
  default); "in 40 calls" means that the time for 200 was up.  The tuned Router asks a dead primary
  less often than pilotlight does: two failures in a minute are enough for it, out of however many
  calls.  pilotlight wants five in a row, or half of the calls of its window, five at least
  (`minimum_calls`): two of a thousand are no outage.
- *callers let through*: the primary hangs by then.  pybreaker lets one through as well, and makes
  the others wait for it: its lock is held while the call runs, which is also its row of 32 callers.
- *429 + Retry-After 30*: everything at its default, one call.

## At scale, and from the start

![Calls in flight, and threads](performance-scale.svg)

![Imports](performance-start.svg)

## Every figure

{figures}

## How to read it

- Medians of interleaved rounds, each group of figures in a process of its own; in brackets the
  least and the most of the rounds.  The targets are fixed; what misses one is printed as MISS.
- *CPU* is that of the client's process, all threads; the server runs in another.  A ratio is the
  median of the rounds' ratios, each of them taken in one round.
- *adds to a call*: over a provider that answers at once.  The garbage collector is off inside a
  round, for the figures are of single microseconds.  No listener and no tracing is attached.
- *whole call*, *stream*, *in flight*: over loopback, a tiny question, a canned answer.  Raw httpx
  reads the JSON, and nothing more.  The answer is read as text: who asks for litellm's
  `ModelResponse` also pays for its classes.
- *in flight*: httpx's pool walks all its connections for each request, so the floor is a client
  for each task.  "One client" is httpx as people use it.
- *dead primary*: from the first call on.  An outage costs `minimum_calls` requests once, and one
  trial for each break that ends.  A 429 opens the circuit at once.
- *deadline*: litellm is warm.  The first call that needs it imports it, which takes seconds;
  `pilotlight.preload()` does so in the background.
- *resident memory*: a leak of one object a call would be 16 KiB per 1,000 calls, as the smallest
  takes 16 bytes; the target is less than that, with the 95 % interval of the slope.

What the callers of the peers get, fault by fault, is in [comparison.md](comparison.md).

## What misses its target

{missed}

## Rerun it

```console
$ make bench                              # ours: a table, some minutes
$ make bench ARGS="--only calls streams"  # only these groups
$ make bench ARGS="--html bench.html --json bench.json --strict"
$ make bench-peers                        # the peers, installed into .venv-peers at first
$ make bench-docs                         # both, and this page with its pictures
```

{versions}
"""
