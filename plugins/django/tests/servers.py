"""The site under real servers, for the tests and for `benchmarks.django`."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PATIENCE = 60.0

COMMANDS = {
    "gunicorn": ["gunicorn", "-k", "sync", "testapp.wsgi"],
    "gunicorn-preload": ["gunicorn", "-k", "sync", "--preload", "testapp.wsgi"],
    "gunicorn-threads": ["gunicorn", "-k", "gthread", "--threads", "4", "testapp.wsgi"],
    "uvicorn": ["uvicorn", "--log-level", "warning", "testapp.asgi:application"],
}


def start(
    kind: str, workers: int, env: Mapping[str, str], listening: socket.socket
) -> subprocess.Popen[bytes]:
    """Start a server on a socket that listens already: nobody has to wait for it."""
    number = listening.fileno()
    where = ["--fd", str(number)] if kind == "uvicorn" else ["--bind", f"fd://{number}"]
    return subprocess.Popen(
        [sys.executable, "-m", *COMMANDS[kind], "--workers", str(workers), *where],
        env=env,
        cwd=HERE,
        pass_fds=[number],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@contextmanager
def serving(kind: str, workers: int = 1, **own: str) -> Iterator[int]:
    """Run the site under a real server, which ends without waiting for its streams; give its port."""
    env = os.environ | {
        "DJANGO_SETTINGS_MODULE": "testapp.settings",
        "PYTHONPATH": os.pathsep.join([str(HERE), *filter(None, sys.path)]),
        "PILOTLIGHT_BACKGROUND": "off",
        **own,
    }
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listening:
        process = start(kind, workers, env, listening)
        try:
            yield listening.getsockname()[1]
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # its workers, too, and at once
            process.wait(PATIENCE)


def get(port: int, path: str) -> tuple[int, bytes]:
    """Ask on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("GET", path)
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()


@dataclass(frozen=True, slots=True)
class Said:
    """A line of the journal: what a worker said of its breaker or its store, and when."""

    worker: int
    word: str
    at: float


@dataclass
class Site:
    """A running site whose workers keep a journal, and visitors that ask without a pause."""

    port: int
    path: str
    recorder: Path
    workers: int
    replies: list[tuple[int, bytes]] = field(default_factory=list)

    def said(self) -> list[Said]:
        """Read the journal."""
        if not self.recorder.exists():
            return []
        lines = [line.split() for line in self.recorder.read_text("utf-8").splitlines()]
        return [Said(int(worker), word, float(at)) for worker, word, at in lines]

    def wait(self, words: str, *, since: float = 0.0) -> list[float]:
        """Wait until this is the last that each worker has said of such words; return when.

        `words` are all that belong together, the one that is waited for first: "open closed".
        """
        wanted, *_ = among = words.split()
        until = time.monotonic() + PATIENCE
        while True:
            last = {each.worker: each for each in self.said() if each.word in among}
            there = [each.at for each in last.values() if each.word == wanted and each.at >= since]
            if len(there) == self.workers:
                return there
            assert time.monotonic() < until, f"not every worker has said {wanted!r}: {last}"
            threading.Event().wait(0.02)

    @contextmanager
    def visited(self, visitors: int, pace: float) -> Iterator[None]:
        """Let so many visitors ask, each so many seconds after its last answer, not in step."""
        over = threading.Event()

        def visit(number: int) -> None:
            over.wait(pace * number / visitors)
            while not over.is_set():
                try:
                    self.replies.append(get(self.port, self.path))
                except OSError as error:
                    self.replies.append((0, repr(error).encode()))
                over.wait(pace)

        threads = [threading.Thread(target=visit, args=[n], daemon=True) for n in range(visitors)]
        for each in threads:
            each.start()
        try:
            yield
        finally:
            over.set()
            for each in threads:
                each.join(PATIENCE)

    def failed(self) -> list[tuple[int, bytes]]:
        """Return the replies that were no answer."""
        return [each for each in self.replies if each[0] != 200]


@contextmanager
def site(
    kind: str,
    workers: int,
    given: Mapping[str, Any],
    folder: Path,
    path: str = "/ask",
    *,
    visitors: int = 0,
) -> Iterator[Site]:
    """Run a site with these settings; give it when each of its workers has made a call."""
    recorder = folder / "recorder"
    own = {"TESTAPP_PILOTLIGHT": json.dumps(given), "TESTAPP_JOURNAL": str(recorder)}
    with serving(kind, workers, **own) as port:
        made = Site(port, path, recorder, workers)
        with made.visited(visitors or 2 * workers, 0.0):
            made.wait("called")
        made.replies.clear()
        yield made
