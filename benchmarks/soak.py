"""A soak: tens of thousands of calls under changing faults, and what is left of them.

    python -m benchmarks.soak --calls 50000 --seed 1 --write docs/soak.md

Threads and tasks of one event loop call through all doors, in all shapes, in batches; the
server is in a process of its own and has other faults in each batch.  Between the batches
all is at rest, and counted.  Exits 1 if a promise was not kept.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import click

from benchmarks.rows import Row, table
from benchmarks.serve import apart
from benchmarks.soak_calls import Doors, Ended, Plan, arun, configuration, run
from benchmarks.soak_faults import Server
from benchmarks.soak_watch import Sample, rows, sample
from pilotlight.app import Pilotlight, default

BATCH: Final = 250  # calls under one set of faults
THREADS, TASKS, TOKENS = 8, 16, 6


@dataclass(slots=True)
class Log:
    """What came of it so far."""

    samples: list[Sample] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    untyped: Counter[str] = field(default_factory=Counter)
    late: list[float] = field(default_factory=list)

    def add(self, plan: Plan, ended: Ended) -> None:
        """Write a call down; called by the thread that waits for the batch."""
        self.outcomes[ended.outcome] += 1
        if not ended.typed:
            self.untyped[f"{ended.outcome} by {plan.door} {plan.shape} of {plan.route}"] += 1
        if ended.late > 0:
            self.late.append(ended.late)


@dataclass(frozen=True, slots=True)
class House:
    """What the calls share."""

    server: Server
    app: Pilotlight
    doors: Doors
    pool: ThreadPoolExecutor
    loop: asyncio.AbstractEventLoop


@contextmanager
def house() -> Iterator[House]:
    """Start the server and the event loop, and make the configuration the process's own."""
    with apart("soak", tokens=TOKENS) as base, tempfile.TemporaryDirectory() as folder:
        server = Server(base)
        path = Path(folder, "pilotlight.toml")
        path.write_text(_toml(configuration(server)), "utf-8")
        os.environ["PILOTLIGHT_CONFIG"] = str(path)
        loop = asyncio.new_event_loop()
        runs = threading.Thread(target=loop.run_forever, name="soak-loop")
        runs.start()
        try:
            with default() as app, ThreadPoolExecutor(THREADS, "soak") as pool:
                yield House(server, app, Doors(app), pool, loop)
        finally:
            del os.environ["PILOTLIGHT_CONFIG"]
            loop.call_soon_threadsafe(loop.stop)
            runs.join()
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()


def _toml(value: object, path: str = "") -> str:
    """Write nested tables as TOML; JSON's strings, numbers and lists are TOML's too."""
    assert isinstance(value, dict)
    plain = {key: each for key, each in value.items() if not isinstance(each, dict)}
    lines = [f"[{path}]"] * bool(path) + [f"{k} = {json.dumps(v)}" for k, v in plain.items()]
    inner = [_toml(v, f"{path}.{k}".lstrip(".")) for k, v in value.items() if k not in plain]
    return "\n".join([*lines, *inner])


def soak(here: House, calls: int, seed: int, log: Log, every: int) -> Iterator[tuple[int, str]]:
    """Make the calls; yield after each batch how many have been made, and under which faults."""
    dice = random.Random(seed)
    _batch(here, log=Log(), numbers=range(-2 * BATCH, 0), seed=seed)  # imports, pools, caches
    log.samples.append(sample(0, here.app, here.loop, here.server))
    for start in range(0, calls, BATCH):
        ill = here.server.make_ill(dice)
        for target in here.app.targets.values():
            target.health.breaker.close()  # what was broken for good, a person has mended
        done = min(start + BATCH, calls)
        _batch(here, log, range(start, done), seed)
        if done % every == 0 or done == calls:
            here.server.heal()
            log.samples.append(sample(done, here.app, here.loop, here.server))
        yield done, ", ".join(ill)


def _batch(here: House, log: Log, numbers: range, seed: int) -> None:
    """Make some calls, as many at once as there are threads and tasks; return when all are over."""
    plans = [Plan.of(seed, number) for number in numbers]
    plain = [plan for plan in plans if plan.shape in ("complete", "stream")]
    tasks = [plan for plan in plans if plan.shape not in ("complete", "stream")]
    ends = asyncio.run_coroutine_threadsafe(_tasks(here.doors, tasks), here.loop)
    for plan, ended in zip(
        plain, here.pool.map(lambda plan: run(here.doors, plan), plain), strict=True
    ):
        log.add(plan, ended)
    for plan, ended in zip(tasks, ends.result(), strict=True):
        log.add(plan, ended)


async def _tasks(doors: Doors, plans: Sequence[Plan]) -> list[Ended]:
    places = asyncio.Semaphore(TASKS)

    async def one(plan: Plan) -> Ended:
        async with places:
            return await arun(doors, plan)

    return list(await asyncio.gather(*map(one, plans)))


@click.command()
@click.option("--calls", default=50_000, show_default=True, type=click.IntRange(1))
@click.option("--seed", default=1, show_default=True)
@click.option("--every", default=1000, show_default=True, help="Calls between two samples.")
@click.option(
    "--json", "json_path", type=click.Path(path_type=Path), help="Write the figures here."
)
@click.option("--write", type=click.Path(path_type=Path), help="Write the table into a page.")
def main(calls: int, seed: int, every: int, json_path: Path | None, write: Path | None) -> None:
    """Make the calls and say what is left of them."""
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    log, began = Log(), time.monotonic()
    with house() as here:
        for done, ill in soak(here, calls, seed, log, every):
            _progress(done, calls, began, log, ill)
    found = rows(log.samples, log.outcomes, log.untyped.total(), log.late)
    found.append(Row("took", f"{(time.monotonic() - began) / 60:.1f} min, seed {seed}"))
    click.echo(table(found))
    for name, count in log.untyped.most_common():
        click.echo(f"not promised: {count} x {name}")
    if json_path:
        json_path.write_text(json.dumps([row.as_json() for row in found]) + "\n", "utf-8")
    if write:
        write.write_text(written(write.read_text("utf-8"), table(found)), "utf-8")
    sys.exit(any(row.ok is False for row in found))


def written(page: str, figures: str) -> str:
    """Return the page with these figures between its marks."""
    head, mark, rest = page.partition("<!-- soak -->")
    _, end, tail = rest.partition("<!-- end of soak -->")
    if not (mark and end):
        raise click.UsageError("--write: the page has no <!-- soak --> and <!-- end of soak -->")
    return f"{head}{mark}\n\n{figures}\n\n{end}{tail}"


def _progress(done: int, calls: int, began: float, log: Log, ill: str) -> None:
    seen, minutes = log.samples[-1], (time.monotonic() - began) / 60
    told = f"{done:>6}/{calls} {minutes:5.1f} min  {seen.rss:6.1f} MiB {seen.sockets:>3} sockets"
    click.echo(f"{told} {seen.threads:>3} threads  {seen.held or ''} {ill}", err=True)


if __name__ == "__main__":
    main()
