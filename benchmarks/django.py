"""A Django site's workers in an outage, and how soon a stream's first byte is there.

Real gunicorn (four sync workers) and uvicorn (two async ones) run the plugin's test site, with
visitors that make about four calls a second and worker.  The models are played, as Ollama's.
"""

from __future__ import annotations

import http.client
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path

from benchmarks.fleet import BREAKER, BREAKS, CLOSED_WITHIN, IN_TURN, before_open
from benchmarks.fleet_crew import SERVER, redis_server
from benchmarks.rows import Row
from pilotlight_chaos import ChaosServer

sys.path.append(str(Path(__file__).parent.parent / "plugins" / "django" / "tests"))

from servers import Site, serving, site

SERVERS = (("gunicorn", 4, "/ask"), ("uvicorn", 2, "/aask"))
STREAMS = (
    ("gunicorn", "/stream"),
    ("gunicorn", "/astream"),
    ("uvicorn", "/stream"),
    ("uvicorn", "/astream"),
)
PACE = 0.5  # seconds from a visitor's answer to the next question; two visitors a worker
SETTLED = 2.0  # seconds of healthy traffic before the provider dies
BEFORE, PER_TOKEN = 0.3, 0.05  # seconds that the model takes, and again before each token
FIRST_BYTE = 0.1  # seconds from there to the browser, at most
ASKED = 10  # streams


def rows() -> list[Row]:
    """Measure."""
    made = [row for each in STREAMS for row in _first_bytes(*each)]
    for kind, workers, path in SERVERS:
        for store in ("sqlite", "redis") if SERVER else ("sqlite",):
            made += _outage(kind, workers, path, store)
    return made if SERVER else [*made, Row("a site on Redis", "no redis-server here")]


def _settings(primary: ChaosServer, backup: ChaosServer, state: str) -> dict[str, object]:
    common = {"model": "ollama/m", "breaker": BREAKER, "health": "off", "warm": "never"}
    return {
        "LOG_EVENTS": False,
        "STATE": state,
        "TARGETS": {
            "gpt": {"api_base": primary.base("primary"), **common},
            "local": {"api_base": backup.base("backup"), **common},
        },
        "ROUTES": {"default": {"targets": ["gpt", "local"], "total_timeout": 30}},
        "RETRY": {"max_retries": 0},
    }


@contextmanager
def _running(kind: str, workers: int, path: str, store: str) -> Iterator[tuple[Site, ChaosServer]]:
    """Run a site on a healthy primary, with a store of its own."""
    with ExitStack() as stack:
        primary = stack.enter_context(ChaosServer(models=["m"]))
        backup = stack.enter_context(ChaosServer(models=["m"]))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        state = f"sqlite:///{folder}/board.db"
        if store == "redis":
            state = stack.enter_context(redis_server()).url
        given = _settings(primary, backup, state)
        yield stack.enter_context(site(kind, workers, given, folder, path)), primary


def _outage(kind: str, workers: int, path: str, store: str) -> list[Row]:
    named = f"{kind}, {workers} workers, {store}"
    with (
        _running(kind, workers, path, store) as (running, primary),
        running.visited(2 * workers, PACE),
    ):
        time.sleep(SETTLED)
        dead_at = time.time()
        primary.fault("primary", "server_error")
        running.wait("open half-open closed", since=dead_at)
        opened = _first_opened(running, dead_at)
        primary.wait_hits("primary", primary.hits("primary") + BREAKS, 30.0)
        healed = time.time()
        primary.heal("primary")
        closed = max(running.wait("closed open half-open", since=healed))
        said = [each.at for each in running.said() if each.word == "trial"]
    trials = sorted(each for each in said if dead_at < each < healed)
    after = [each.time for each in primary.requests("primary") if each.time > dead_at]
    first = before_open(primary, opened, trials)
    good = min(each for each in after if each > healed)
    crowded = sum(later - earlier < IN_TURN for earlier, later in pairwise(trials))
    allowed = BREAKER["minimum_calls"] * workers
    failed = len(running.failed())
    return [
        Row(
            f"{named}: requests on a dead provider until all are open",
            f"{first}; {failed} of {len(running.replies)} replies failed",
            f"<= {allowed:.0f}, 0 failed",
            first <= allowed and not failed,
            values={"requests": first, "failed": failed, "replies": len(running.replies)},
        ),
        Row(
            f"{named}: trials in the outage",
            f"{len(trials)}, {crowded} of them out of turn",
            "1 a break, for all workers",
            not crowded,
            values={"trials": len(trials), "crowded": crowded},
        ),
        Row(
            f"{named}: from the provider's healing until all are closed",
            f"{closed - healed:.2f} s, {closed - good:.2f} s of them after the good trial",
            f"<= {CLOSED_WITHIN:g} s",
            closed - healed <= CLOSED_WITHIN,
            values={"from_heal": closed - healed, "spread": closed - good},
        ),
    ]


def _first_opened(running: Site, since: float) -> list[float]:
    first: dict[int, float] = {}
    for each in running.said():
        if each.word == "open" and each.at >= since:
            first.setdefault(each.worker, each.at)
    return list(first.values())


def _first_bytes(kind: str, path: str) -> list[Row]:
    """Time the first byte of streams, from the moment at which the model has said something."""
    with ChaosServer(reply="word " * 6, models=["llama3.2"]) as model:
        models = {"TESTAPP_OPENAI": model.base("cloud") + "/v1", "TESTAPP_OLLAMA": model.base("x")}
        with serving(kind, **models) as port:
            _first_byte(port, path)  # loads what the first call loads
            model.fault("cloud", "slow", seconds=BEFORE, per_token=PER_TOKEN)
            took = []
            for _ in range(ASKED):
                at = _first_byte(port, path)
                took.append(at - model.requests("cloud")[-1].time - BEFORE - PER_TOKEN)
    worst = max(took)
    return [
        Row(
            f"{kind}, {path[1:]}: first byte after the model's first token",
            f"{1000 * statistics.median(took):.0f} ms (worst of {ASKED}: {1000 * worst:.0f} ms)",
            f"<= {1000 * FIRST_BYTE:.0f} ms",
            worst <= FIRST_BYTE,
            values={"median": statistics.median(took), "worst": worst},
        )
    ]


def _first_byte(port: int, path: str) -> float:
    """Ask for a stream, and return when its first byte came; its rest is left."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path)
        reply = connection.getresponse()
        reply.read1(1)
        at = time.time()
        reply.read()
        return at
    finally:
        connection.close()
