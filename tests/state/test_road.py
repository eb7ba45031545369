"""Calls and the board: they never meet, whatever state the store is in."""

from __future__ import annotations

import os
import threading

import pytest
from loopback_redis import PATIENCE
from ways import HELLO, SHAPES, by_client

import pilotlight
from pilotlight.core.breaker import breaker
from pilotlight.state import fleet as fleet_module
from pilotlight.state.memory import MemoryBoard
from pilotlight_chaos import ChaosServer


class Watched(MemoryBoard):
    """A board that notes who comes, and can be slow without end."""

    def __init__(self) -> None:
        super().__init__()
        self.visitors: set[str] = set()
        self.visited = threading.Event()
        self.may_go = threading.Event()
        self.may_go.set()

    def exchange(self, errands=()):
        self.visitors.add(threading.current_thread().name)
        self.visited.set()
        assert self.may_go.wait(PATIENCE)
        return super().exchange(errands)


@pytest.fixture
def board(monkeypatch):
    board = Watched()
    monkeypatch.setattr(fleet_module, "open_board", lambda url: board)
    yield board
    board.may_go.set()


@pytest.fixture
def server():
    with ChaosServer(models=["llama3.2"]) as server:
        yield server


@pytest.fixture
def app(server, board, tmp_path):
    targets = {
        name: {"model": "ollama/llama3.2", "api_base": server.base(name)}
        for name in ("primary", "backup")
    }
    routes = {"chat": {"targets": list(targets)}}
    state = f"sqlite:///{tmp_path}/board.db"
    with pilotlight.load({"targets": targets, "routes": routes, "state": state}) as app:
        yield app
    board.may_go.set()
    fleet_module.reset()


def test_nothing_starts_before_the_first_call(board, app):
    route = app.route("chat")
    assert not board.visited.is_set()
    assert "pilotlight-state" not in {each.name for each in threading.enumerate()}
    route.complete(HELLO)
    assert board.visited.wait(PATIENCE)


@pytest.mark.parametrize("shape", SHAPES)
def test_no_call_touches_the_board_well_or_failing(server, board, app, shape):
    route = app.route("chat")
    server.fault("primary", "server_error")
    for _ in range(10):
        by_client(shape, route)
    assert board.visited.wait(PATIENCE)
    server.heal()
    for _ in range(3):
        by_client(shape, route)
    assert board.visitors == {"pilotlight-state"}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_store_that_never_answers_costs_a_call_nothing(server, board, app, shape):
    route = app.route("chat")
    board.may_go.clear()
    by_client(shape, route)
    assert board.visited.wait(PATIENCE)  # and now the thread hangs in it
    server.fault("primary", "server_error")
    for _ in range(10):
        assert by_client(shape, route)
    assert route.targets[0].health.breaker.current_state == "open"


def test_a_thousand_healthy_calls_make_no_round_trip(server, redis_server):
    """Counted at the server, with the background thread held still."""
    targets = {"primary": {"model": "ollama/llama3.2", "api_base": server.base("primary")}}
    data = {"targets": targets, "routes": {"chat": {"targets": ["primary"]}}}
    with (
        pilotlight.load(data | {"state": redis_server.url}) as app,
        redis_server.client() as client,
    ):
        route = app.route("chat")
        fleet = fleet_module.fleet_of(app.config.state)
        fleet._thread = threading.main_thread()
        fleet.step()
        client.config_resetstat()
        for _ in range(250):
            for shape in SHAPES:
                by_client(shape, route)
        assert set(client.info("commandstats")) == {"cmdstat_config|resetstat"}


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")


@needs_fork
def test_a_forked_child_has_a_thread_of_its_own(board, app):
    route = app.route("chat")
    route.complete(HELLO)
    fleet = fleet_module.fleet_of(next(iter(fleet_module._fleets)))
    assert fleet.running
    before = fleet.worker
    child = os.fork()
    if not child:
        code = 1
        try:
            fresh = fleet.worker != before and not fleet.running
            fleet.attend()
            code = 0 if fresh and fleet.running else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert fleet.running


def test_a_listener_of_the_breakers_is_there_once(board, app):
    for _ in range(3):
        app.route("chat").complete(HELLO)
    assert breaker.observers.count(fleet_module._moved) == 1


def test_the_thread_ends_with_its_endpoints(board, app):
    app.route("chat").complete(HELLO)
    (fleet,) = fleet_module._fleets.values()
    thread = fleet._thread
    fleet._members.clear()  # as when all their targets are gone
    fleet.wake()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert fleet._thread is None
