"""Ctrl-C during an experiment: it is rolled back, told of, and no other one begins."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from pilotlight import listeners

from pilotlight_chaos.commands import command
from pilotlight_chaos.lab import restart, runner
from pilotlight_chaos.lab.current import is_built
from pilotlight_chaos.lab.interrupt import WHY
from pilotlight_chaos.lab.traffic import Stream
from pilotlight_chaos.lab.world import World
from pilotlight_chaos.report.reading import told

pytestmark = pytest.mark.processes


@pytest.fixture(autouse=True)
def _heard():
    """A suite that was started in the background has been told to ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def provider(module: str, func: str, /, **arguments: object) -> dict[str, object]:
    return {
        "type": "python",
        "module": f"pilotlight_chaos.{module}",
        "func": func,
        "arguments": arguments,
    }


def activity(name: str, what: str, /, *given: str, **arguments: object) -> dict[str, object]:
    return {"name": name, "type": what, "provider": provider(*given, **arguments)}


def mine(tmp_path, seconds: float = 120.0) -> runner.Experiment:
    """Return an experiment that loses no call, and takes so long."""
    control = {
        "name": "world",
        "provider": {"type": "python", "module": "pilotlight_chaos.control"},
    }
    down = activity("down", "action", "actions", "fault", target="primary", kind="unavailable")
    answered = activity("share of calls answered", "probe", "probes", "answered")
    whole = {
        "title": "Mine",
        "description": "An experiment of one's own",
        "configuration": {"world": {"abort": {"seconds": 600}}},
        "controls": [control],
        "steady-state-hypothesis": {
            "title": "It is well",
            "probes": [answered | {"tolerance": [0, 1]}],
        },
        "method": [down, activity("traffic", "action", "actions", "let_run", seconds=seconds)],
        "rollbacks": [activity("undo", "action", "actions", "undo")],
    }
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(whole), "utf-8")
    return runner.find([str(path)])[0]


@pytest.fixture(autouse=True)
def _as_before():
    """Whatever is interrupted, nobody listens, and no world stands."""
    handler = signal.getsignal(signal.SIGINT)
    before = set(threading.enumerate())
    yield
    for each in set(threading.enumerate()) - before:
        if each.name.startswith("pilotlight-"):  # of the world's routes: told to end with it
            each.join(30)
            assert not each.is_alive(), each.name
    assert not any(isinstance(getattr(each, "__self__", None), World) for each in listeners)
    assert not is_built()
    assert signal.getsignal(signal.SIGINT) is handler
    assert threading.active_count() <= len(before) + 1  # of chaostoolkit's pools


def press() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def pressed_in(monkeypatch, owner, method, *, after: bool) -> None:
    """Press Ctrl-C, once, before or after a method."""
    real, times = getattr(owner, method), iter([True])

    def wrapped(*args, **kwargs):
        if not after and next(times, False):
            press()
        try:
            return real(*args, **kwargs)
        finally:
            if after and next(times, False):
                press()

    monkeypatch.setattr(owner, method, wrapped)


MOMENTS = [
    (World, "_open", False),  # the world is being built
    (Stream, "start", True),
    (World, "_wait_healthy", False),
    (World, "check", False),  # by the first activity
]


@pytest.mark.parametrize(("owner", "method", "after"), MOMENTS)
def test_at_any_moment(tmp_path, monkeypatch, owner, method, after):
    pressed_in(monkeypatch, owner, method, after=after)
    journal = runner.run(mine(tmp_path))
    run = told(journal)
    assert runner.interrupted()
    assert journal["status"] == "interrupted"
    assert run.outcome == f"aborted: {WHY}"
    assert not run.ok
    assert journal["duration"] < 100


def test_when_it_is_over(tmp_path, monkeypatch):
    pressed_in(monkeypatch, World, "close", after=False)
    run = told(runner.run(mine(tmp_path, seconds=0.0)))
    assert runner.interrupted()
    assert run.outcome == "held"


def test_while_it_waits(tmp_path):
    """In the middle of the method, with chaostoolkit's own thread looking at the hypothesis."""

    def later():
        while not is_built():
            started.wait(0.01)
        press()

    started = threading.Event()
    thread = threading.Thread(target=later)
    thread.start()
    journal = runner.run(mine(tmp_path))
    thread.join()
    assert journal["status"] == "interrupted"
    assert [each["status"] for each in journal["rollbacks"]] == ["succeeded"]
    assert journal["duration"] < 100, "the wait of 120 s was cut short"


def test_no_further_one_begins_and_the_report_says_so(tmp_path, monkeypatch):
    path = mine(tmp_path).path
    pressed_in(monkeypatch, World, "check", after=False)
    order = ["run", str(path), str(path), "--journals", str(tmp_path / "j")]
    done = CliRunner().invoke(command, [*order, "-o", str(tmp_path / "report.md")])
    assert done.exit_code == 130
    assert len(list((tmp_path / "j").iterdir())) == 1  # not even its own negative control
    assert done.output.count(WHY) == 1
    assert done.output.strip().splitlines()[-1].startswith("interrupted: 0/1 experiments held")
    assert "interrupted" in (tmp_path / "report.md").read_text("utf-8")
    journal = json.loads(next((tmp_path / "j").iterdir()).read_text("utf-8"))
    assert journal["pilotlight"]["aborted"] == WHY


def test_a_worker_ends_with_its_experiment(monkeypatch):
    monkeypatch.setattr(restart, "COMMAND", [sys.executable, "-c", "import time; time.sleep(999)"])
    world = SimpleNamespace(aborted=threading.Event())
    world.aborted.set()
    code, _, _ = restart._carried_out(world, "{}")
    assert code == -signal.SIGKILL
