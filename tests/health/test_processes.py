"""Forks, spawned processes, the end of the interpreter: no hang, no dead prober, no held lock.

Each case is a script of its own, in a process of its own, with a bound on its time.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pilotlight_chaos import ChaosServer

pytestmark = pytest.mark.processes

PATIENCE = 60.0
ROOT = Path(__file__).parents[2]

HEAD = """
import os, sys, threading
from pilotlight import load
from pilotlight.health.prober import PROBER
from pilotlight.health.warmup import WARMER
from pilotlight.core import fork

def make(base):
    local = {"model": "ollama/llama3.2:3b", "api_base": base, "probe_interval": 0.05}
    return load({"targets": {"local": local}, "routes": {"chat": {"targets": ["local"]}}})

def call(app):
    return app.route("chat").complete([{"role": "user", "content": "hello"}]).text

def checked(app, patience=20.0):
    from pilotlight import listeners
    seen = threading.Event()
    listeners.append(lambda event: type(event).__name__ == "HealthChecked" and seen.set())
    assert seen.wait(patience), "the prober is dead"
"""

FORK = """
app = make(sys.argv[1])
call(app)
checked(app)
children = []
for number in range(8):                     # as gunicorn does, before serving
    child = os.fork()
    if not child:
        assert not PROBER.running           # the thread was the parent's
        breaker = app.target("local").health.breaker
        assert breaker._guard._lock.acquire(timeout=10)
        breaker._guard._lock.release()
        call(app)
        assert PROBER.running
        checked(app)
        os._exit(0)
    children.append(child)
codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
assert codes == [0] * 8, codes
assert PROBER.running
checked(app)
print("well")
"""

FORK_IN_A_VERDICT = """
# A fork waits until the prober has let go of the breaker.
app = make(sys.argv[1])
breaker = app.target("local").health.breaker
inside, go_on = threading.Event(), threading.Event()

def hold():
    with fork.GATE, breaker._guard:
        inside.set()
        go_on.wait(20)

threading.Thread(target=hold, daemon=True).start()
inside.wait(20)
threading.Timer(0.05, go_on.set).start()
child = os.fork()
if not child:
    assert go_on.is_set()
    breaker.acquire().success()             # would hang on an inherited lock
    with fork.GATE:
        os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
print("well")
"""

FORK_IN_A_LOAD = """
# The load under way is the parent's, and so is the lock: the child makes a load of its own.
local = make(sys.argv[1]).target("local")
WARMER._run = lambda work: None             # begun, and never over
assert WARMER.warm(local) and not WARMER.warm(local)
WARMER._lock.acquire()                      # as by another thread at the time of the fork
child = os.fork()
if not child:
    threading.Timer(20, os._exit, [3]).start()
    os._exit(0 if WARMER.warm(local) else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
print("well")
"""

SPAWN = """
import multiprocessing

def work(base, told):
    app = make(base)
    call(app)
    checked(app)
    told.put("well")

if __name__ == "__main__":
    app = make(sys.argv[1])
    call(app)
    context = multiprocessing.get_context("spawn")
    told = context.Queue()
    workers = [context.Process(target=work, args=(sys.argv[1], told)) for _ in range(2)]
    for each in workers:
        each.start()
    assert [told.get(timeout=40) for _ in workers] == ["well"] * 2
    for each in workers:
        each.join(20)
        assert each.exitcode == 0, each.exitcode
    print("well")
"""

EXIT = """
app = make(sys.argv[1])
call(app)                                   # and end at once, with a check under way
print("well")
"""


WAIT = """
def wait(what):
    from time import monotonic
    import http.client, urllib.parse
    # until it has reached the server
    where = urllib.parse.urlsplit(sys.argv[1])
    until = monotonic() + 20
    while monotonic() < until:
        link = http.client.HTTPConnection(where.hostname, where.port)
        link.request("GET", "/__control")
        said = link.getresponse().read().decode().replace(" ", "")
        link.close()
        if f'"{what}":1' in said:
            return
    raise SystemExit("nothing arrived")
"""


def run(script: str, base: str, tmp_path: Path) -> str:
    path = tmp_path / "script.py"
    path.write_text(HEAD + script)
    paths = [str(ROOT / "src"), str(ROOT / "chaos" / "src")]
    environment = {k: v for k, v in os.environ.items() if k != "PILOTLIGHT_BACKGROUND"}
    done = subprocess.run(
        [sys.executable, "-W", "error", str(path), base],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env=environment | {"PYTHONPATH": os.pathsep.join(paths)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout.strip()


@pytest.fixture
def base():
    with ChaosServer() as server:
        yield server.base("local")


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")


@needs_fork
def test_every_forked_child_has_a_prober_of_its_own(base, tmp_path):
    assert run(FORK, base, tmp_path) == "well"


@needs_fork
def test_no_child_inherits_a_lock(base, tmp_path):
    assert run(FORK_IN_A_VERDICT, base, tmp_path) == "well"


@needs_fork
def test_no_child_waits_for_its_parents_load(base, tmp_path):
    assert run(FORK_IN_A_LOAD, base, tmp_path) == "well"


def test_spawned_processes_have_their_own(base, tmp_path):
    assert run(SPAWN, base, tmp_path) == "well"


def test_the_end_of_the_interpreter_does_not_wait_for_a_check(tmp_path):
    with ChaosServer() as server:
        # The first check hangs, and does so until long after the bound.
        server.fault("local", "slow", seconds=600.0, everywhere=True)
        server.fault("ollama", "slow", seconds=600.0, everywhere=True)
        script = EXIT.replace("call(app)", "PROBER.attend([app.target('local')])\nwait('probes')")
        assert run(WAIT + script, server.base("local"), tmp_path) == "well"


def test_nor_for_a_load(tmp_path):
    with ChaosServer() as server:
        server.fault("local", "cold", seconds=600.0)
        script = EXIT.replace(
            "call(app)", "assert WARMER.warm(app.target('local'))\nwait('requests')"
        )
        assert run(WAIT + script, server.base("local"), tmp_path) == "well"


def test_nor_does_importing_or_making_a_route_start_anything(tmp_path):
    script = """
assert "httpx" not in sys.modules
app = make("http://127.0.0.1:9")
app.route("chat")
assert not PROBER.running
assert [each.name for each in threading.enumerate()] == ["MainThread"]
print("well")
"""
    assert run(script, "", tmp_path) == "well"
