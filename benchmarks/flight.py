"""Many calls in flight over the real wire: asyncio tasks, and threads, beside the same stack bare.

httpx's pool walks all its connections for each request, so that 200 calls over one client
cost some 15 ms of CPU each.  The floor is therefore the httpx stack without that: a client
of its own for each task, which never shares a connection.  One client for all, "as people
use it", is shown too, and so is aiohttp, which is faster than anything on httpx can be.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import resource
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from multiprocessing.connection import Connection

import aiohttp

from benchmarks.canned import canned
from benchmarks.chart import Bar, Chart, bar
from benchmarks.clients import BODY, Client, Httpx, OpenAI, openai_wire
from benchmarks.measure import Figure, Spent, interleaved, ratio, settle, spending, together
from benchmarks.rows import Row
from benchmarks.versus import LITELLM, OURS, RAW, SDK, kind

WAIT = 50  # milliseconds that the server takes
LIMIT = 0.8  # of the floor's throughput
PATIENCE = 15.0  # seconds for a round of one contestant
THREADS = 32
FLOOR, AIOHTTP = "httpx, a client a task", "aiohttp"
SHARED = f"{RAW}, one client"
Ask = Callable[[], Awaitable[object]]


def rows() -> list[Row]:
    """Measure."""
    _allow_sockets(8192)
    with canned() as server:
        clients = openai_wire(server, WAIT)
        url = f"{server}/{WAIT}/0/v1"
        slow = [SHARED, SDK, *([LITELLM] if LITELLM in clients else [])]
        return [
            _flight(url, clients, 200, 800, 3, [AIOHTTP, *slow]),
            _flight(url, clients, 2000, 1000, 2),
            _threads(clients),
        ]


def _allow_sockets(wanted: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        with suppress(ValueError, OSError):  # then the figure fails, and says so
            most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _flight(
    url: str,
    clients: Mapping[str, Client],
    size: int,
    calls: int,
    rounds: int,
    peers: Sequence[str] = (),
) -> Row:
    """Let so many tasks make so many calls between them; the peers do it once, and fewer."""
    settle()
    late: set[str] = set()  # who was not done in time is not asked again

    def once(name: str) -> Spent | None:
        spent = None if name in late else _apart(partial(_run, url, clients, name, size, calls))
        if spent is None:
            late.add(name)
        return spent

    found = interleaved({name: partial(once, name) for name in (FLOOR, OURS)}, rounds)
    found |= {name: [_apart(partial(_run, url, clients, name, size, size // 4))] for name in peers}
    return _row(f"{size} in flight, async", found)


def _apart(run: Callable[[], Awaitable[Spent]]) -> Spent | None:
    """Run in a forked child, which has an event loop of its own and can be stopped."""
    fork = multiprocessing.get_context("fork")
    here, there = fork.Pipe(duplex=False)
    child = fork.Process(target=_child, args=(run, there), daemon=True)
    child.start()
    there.close()
    try:
        return Spent(*here.recv()) if here.poll(PATIENCE) else None
    except EOFError:  # it died, which its own traceback tells
        return None
    finally:
        child.kill()
        child.join()
        here.close()


def _child(run: Callable[[], Awaitable[Spent]], to: Connection) -> None:
    to.send(tuple(asyncio.run(run())))  # type: ignore[arg-type]


def _row(figure: str, found: Mapping[str, Sequence[Spent | None]]) -> Row:
    rates = {
        name: [1 / spent.wall if spent else 0.0 for spent in rounds]
        for name, rounds in found.items()
    }
    told = {name: _told(rates[name], rounds) for name, rounds in found.items()}
    if not all(rates[FLOOR]):
        return Row(figure, f"the floor was {told[FLOOR]}: the machine is busy", ok=False)
    times = ratio(rates, OURS, FLOOR)
    ours, base = told.pop(OURS), told.pop(FLOOR)
    limit = Figure(rates[FLOOR]).median * LIMIT
    bars = [
        bar(name, rate, kind(name, FLOOR), 1.0) if any(rate) else Bar(name, 0.0, note="too slow")
        for name, rate in rates.items()
    ]
    return Row(
        figure,
        f"{times.times()}: {ours}; {FLOOR} {base}",
        f">= {LIMIT}x {FLOOR}",
        times.median >= LIMIT,
        "; ".join(f"{name} {said} (live)" for name, said in told.items()),
        {"ratio": times.values(), "rates": rates},
        "flight",
        Chart(figure, "calls/s", bars, limit, more=True).as_json(),
    )


def _told(rates: Sequence[float], rounds: Sequence[Spent | None]) -> str:
    if None in rounds:
        return f"not done in {PATIENCE:.0f} s"
    cpu = Figure([spent.cpu for spent in rounds if spent]).median
    return f"{Figure(rates).median:.0f}/s, {cpu * 1e3:.2f} ms CPU a call"


async def _run(url: str, clients: Mapping[str, Client], name: str, size: int, calls: int) -> Spent:
    """Measure so many calls, with one of each task before them and another after.

    The tasks go on all the while: between rounds, more connections would be idle at once than a
    pool keeps, and opening them anew is no part of a call.
    """
    spent: list[Spent] = []
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        asks = _asks(url, clients, name, size, session)
        await _tasks(asks, size, calls, spent)
    return spent[0]


def _asks(
    url: str, clients: Mapping[str, Client], name: str, size: int, session: aiohttp.ClientSession
) -> list[Ask]:
    """Return the call of each task; clients that belong to an event loop are made in it."""
    if name == FLOOR:
        context = ssl.create_default_context()  # one for all: making it is no part of a call
        return [Httpx(url, verify=context).aask for _ in range(size)]
    if name == AIOHTTP:
        return [_aiohttp(session, f"{url}/chat/completions")] * size
    bare = {SHARED: Httpx, SDK: OpenAI}.get(name)
    return [(bare(url) if bare else clients[name]).aask] * size


def _aiohttp(session: aiohttp.ClientSession, url: str) -> Ask:
    async def ask() -> str:
        async with session.post(url, json=BODY) as answer:
            said = await answer.json()
        return str(said["choices"][0]["message"]["content"])

    return ask


async def _tasks(asks: Sequence[Ask], around: int, calls: int, spent: list[Spent]) -> None:
    left, ended = around + calls + around, 0

    async def work(ask: Ask) -> None:
        nonlocal left, ended
        while left > 0:
            left -= 1
            await ask()
            ended += 1
            if ended == around:
                measured.enter_context(spending(spent, calls))
            elif ended == around + calls:
                measured.close()

    with ExitStack() as measured:
        await asyncio.gather(*map(work, asks))


def _threads(clients: Mapping[str, Client]) -> Row:
    """Let 32 threads make one call each; the server takes 50 ms."""
    cases = {name: partial(_crowd, client) for name, client in clients.items()}
    settle()
    found = {name: spent[1:] for name, spent in interleaved(cases, 7).items()}
    walls = {name: [spent.wall for spent in each] for name, each in found.items()}
    told = {name: Figure(each).told("ms") for name, each in walls.items()}
    ours, base = told.pop(OURS), told.pop(RAW)
    figure = f"{THREADS} threads x {WAIT} ms, the real wire"
    bars = [bar(name, each, kind(name, RAW)) for name, each in walls.items()]
    return Row(
        figure,
        f"{ratio(walls, OURS, RAW).times()}: {ours}; {RAW} {base}",
        peers="; ".join(f"{name} {said} (live)" for name, said in told.items()),
        values={"wall": walls},
        chart=Chart(figure, "ms", bars).as_json(),
    )


def _crowd(client: Client) -> Spent:
    began = time.process_time()
    wall = together(client.ask, THREADS)
    return Spent(wall, (time.process_time() - began) / THREADS)
