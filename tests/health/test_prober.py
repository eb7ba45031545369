"""One pass at a time, on a clock in the hand: what a check opens, closes, learns and tells.

Long, because each line of the contract between a check and a breaker is a case.
"""

from __future__ import annotations

import gc
import logging
import threading
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from sham import MODEL, SHOWN, Sham, local_target

import pilotlight
from pilotlight import events, load
from pilotlight.core.flow.decisions import refusal
from pilotlight.health import prober as prober_module
from pilotlight.health.prober import PROBER, Prober
from pilotlight.health.warmup import Warmer
from pilotlight.registry import REGISTRY
from pilotlight.routes.route import Route
from pilotlight_chaos import ChaosServer

DOWN = httpx.ConnectError("refused")
PATIENCE = 20.0
USER = [{"role": "user", "content": "hello"}]


@pytest.fixture(scope="module")
def running():
    with ChaosServer() as server:
        yield server


@pytest.fixture
def sham() -> Sham:
    return Sham()


@pytest.fixture
def target(sham, clock):
    return local_target(sham, clock, warm="never")


@pytest.fixture
def prober(clock, target) -> Prober:
    made = Prober(clock, chance=lambda: 0.5, warmer=Warmer(clock, run=lambda work: work()))
    made.know([target])
    return made


def breaker(target):
    return target.health.breaker


class TestTheBreaker:
    def test_a_bad_check_opens_an_idle_targets_breaker_and_says_so_once(
        self, prober, target, sham, clock, seen
    ):
        sham.answers["version"] = DOWN
        prober.run_once()
        clock.advance(30)
        prober.run_once()
        assert (breaker(target).state.name, breaker(target).reason) == ("open", "health_check")
        assert breaker(target).retry_after == 45, "kept open until the check after the next"
        alerts = [each for each in seen if isinstance(each, events.Alert)]
        assert [alert.reason for alert in alerts] == ["health_check"]
        changes = [each for each in seen if isinstance(each, events.BreakerChanged)]
        assert [(c.old, c.new) for c in changes] == [("closed", "open")]
        checked = [each for each in seen if isinstance(each, events.HealthChecked)]
        assert [(c.target, c.state) for c in checked] == [("local", "unreachable")] * 2

    def test_a_good_check_closes_it_through_a_trial(self, prober, target, sham, clock, seen):
        sham.answers["version"] = DOWN
        prober.run_once()
        sham.answers["version"] = {"version": "0.33.0"}
        prober.run_once()
        changes = [(c.old, c.new) for c in seen if isinstance(c, events.BreakerChanged)]
        assert changes == [("closed", "open"), ("open", "half-open"), ("half-open", "closed")]
        assert "chat" not in sham.asked

    def test_a_missing_model_that_is_there_again_closes_it_early(self, prober, target, sham):
        breaker(target).acquire().trip("local_model_missing", 3600.0)
        prober.run_once()
        assert breaker(target).state.name == "closed"

    def test_a_missing_model_keeps_it_open(self, prober, target, sham, clock):
        breaker(target).acquire().trip("local_model_missing", 30.0)
        sham.answers["tags"] = {"models": []}
        clock.advance(29)
        prober.run_once()
        assert breaker(target).retry_after == 45

    def test_where_calls_go_well_a_check_does_not_count(self, prober, target, sham):
        breaker(target).acquire().success(1.0)
        sham.answers["version"] = DOWN
        prober.run_once()
        assert breaker(target).state.name == "closed"
        assert target.health.check.state == "unreachable", "but it is told"

    def test_nor_while_a_call_is_inside(self, sham, clock):
        target = local_target(sham, clock, warm="never", concurrency=1)
        ticket = target.health.bulkhead.enter(None)
        sham.answers["version"] = DOWN
        prober = Prober(clock, warmer=Warmer(clock))
        prober.know([target])
        prober.run_once()
        assert breaker(target).state.name == "closed"
        ticket.release()

    @pytest.mark.parametrize("reason", ["quota_exhausted", "rate_limited", "privacy_boundary"])
    def test_what_a_check_can_not_refute_stays_open(self, prober, target, reason):
        breaker(target).acquire().trip(reason, 600.0)
        prober.run_once()
        assert breaker(target).state.name == "open"

    def test_a_users_trial_under_way_is_left_its_place(self, prober, target, clock):
        breaker(target).trip("health_check", 1.0)
        clock.advance(2)
        trial = breaker(target).acquire()
        prober.run_once()
        assert breaker(target).state.name == "half-open"
        trial.success()
        assert breaker(target).state.name == "closed"

    def test_a_stub_stays_usable_but_not_for_private_calls(self, prober, target, sham, clock):
        sham.answers["show"] = SHOWN | {"remote_host": "https://ollama.com:443"}
        prober.run_once()
        assert breaker(target).state.name == "closed"
        route = Route("chat", (target,), clock=clock)
        assert refusal(route.trip(USER, {}), target) is None
        refused = refusal(route.trip(USER, {}, private=True), target)
        assert refused.reason == "residency"
        sham.answers["show"] = SHOWN
        sham.answers["version"] = DOWN
        prober.run_once()
        assert target.health.away, "silence is no proof that it is back"
        sham.answers["version"] = {"version": "0.33.0"}
        prober.run_once()
        assert not target.health.away


class TestTheTrialAfterFailedCalls:
    """That the server is up does not prove that the model answers: one token of it does."""

    @pytest.fixture
    def worn(self, target, clock):
        for _ in range(5):
            breaker(target).acquire().failure()
        clock.advance(16)
        return target

    LIT = {"models": [{"name": MODEL, "size": 1, "size_vram": 1}]}

    def test_one_token_closes_it(self, prober, worn, sham):
        sham.answers["ps"] = self.LIT
        prober.run_once()
        assert breaker(worn).state.name == "closed"
        (body,) = sham.bodies
        assert (body["messages"][0]["content"], body["options"]["num_predict"]) == (".", 1)
        assert body["options"]["num_ctx"] == 8192, "another context would load it again"

    def test_a_crash_opens_it_again(self, prober, worn, sham):
        sham.answers |= {"ps": self.LIT, "chat": (500, {"error": "runner died"})}
        prober.run_once()
        assert breaker(worn).state.name == "open"
        assert 8 <= breaker(worn).retry_after <= 16

    def test_silence_is_no_verdict(self, prober, worn, sham):
        sham.answers |= {"ps": self.LIT, "chat": httpx.ReadTimeout("busy")}
        prober.run_once()
        assert breaker(worn).state.name == "half-open"
        breaker(worn).acquire().success()

    def test_a_cold_model_is_left_to_a_call(self, prober, worn, sham):
        prober.run_once()
        assert breaker(worn).state.name == "open"
        assert sham.bodies == []

    def test_not_before_the_break_is_over(self, prober, worn, sham, clock):
        clock.advance(-1.5)
        sham.answers["ps"] = self.LIT
        prober.run_once()
        assert sham.bodies == []


class TestWhatItLearns:
    def test_what_the_model_can_not_do_and_its_context(self, prober, target, sham, clock):
        arch = {"general.architecture": "llama", "llama.context_length": 2048}
        sham.answers["show"] = {"model_info": arch, "capabilities": ["completion"]}
        prober.run_once()
        route = Route("chat", (target,), clock=clock)
        trip = route.trip(USER, {"tools": [{"type": "function"}]})
        assert refusal(trip, target).detail == "tools"
        assert target.window() == 2048
        assert target.provider.asked(trip.call).body["options"]["num_ctx"] == 2048

    def test_targets_of_one_endpoint_are_looked_at_once(self, prober, target, sham, clock):
        other = local_target(sham, clock, warm="never")
        assert other.health is target.health
        prober.know([other])
        prober.run_once()
        assert sham.asked.count("version") == 1
        assert other.provider.connection.training_context == 131072

    def test_a_hosted_models_end(self, clock, seen):
        soon = datetime.now(UTC).date() + timedelta(days=20)
        answer = lambda request: httpx.Response(
            200, json={"data": [{"id": "gpt", "shutdown_date": str(soon)}]}
        )
        given = {"model": "openai/gpt", "api_key": "k", "health": "models"}
        app = load({"targets": {"gpt": given}}, clock=clock)
        target = app.target("gpt")
        target.provider.connection._pool = Sham()
        target.provider.connection._pool.client = lambda: httpx.Client(
            transport=httpx.MockTransport(answer)
        )
        prober = Prober(clock)
        prober.know([target])
        prober.run_once()
        prober.run_once()
        assert target.health.lifecycle.notice.day == soon
        near = [each for each in seen if isinstance(each, events.Alert)]
        assert [alert.reason for alert in near] == ["retirement_near"]


class TestTheRounds:
    def test_each_by_its_interval_with_jitter(self, prober, target, sham, clock):
        prober._chance = lambda: 1.0
        prober._pass(everything=False)
        clock.advance(32)
        prober._pass(everything=False)
        assert sham.asked.count("version") == 1
        clock.advance(1.1)
        prober._pass(everything=False)
        assert sham.asked.count("version") == 2

    def test_woken_it_looks_early_but_not_at_once_again(self, prober, sham, clock):
        prober.run_once()
        prober.wake()
        prober._pass(everything=False)
        assert sham.asked.count("version") == 1
        clock.advance(1.0)
        prober._pass(everything=False)
        assert sham.asked.count("version") == 2

    def test_a_check_that_raises_is_logged_and_changes_nothing(
        self, prober, target, sham, caplog, seen
    ):
        sham.answers["tags"] = RuntimeError("our bug")
        with caplog.at_level(logging.ERROR, "pilotlight.health"):
            prober.run_once()
        assert "our bug" in caplog.text
        assert (breaker(target).state.name, target.health.check, seen) == ("closed", None, [])

    def test_targets_nobody_holds_are_forgotten(self, clock, sham):
        prober = Prober(clock)
        target = local_target(sham, clock)
        prober.know([target])
        del target
        REGISTRY.reset()
        gc.collect()
        prober.run_once()
        assert sham.asked == []

    def test_not_with_health_off(self, clock, sham):
        prober = Prober(clock)
        target = local_target(sham, clock, health="off", warm="never")
        prober.know([target])
        prober.run_once()
        assert sham.asked == []


class TestTheThread:
    """The process's own prober, over real HTTP; waits for the server's log, never for time."""

    @pytest.fixture
    def server(self, running):
        running.reset()
        return running

    @pytest.fixture
    def app(self, server):
        local = {"model": f"ollama/{MODEL}", "api_base": server.base("local"), "warm": "never"}
        with load({"targets": {"local": local}, "routes": {"chat": {"targets": ["local"]}}}) as app:
            yield app

    def looked(self, server, times: int = 1) -> bool:
        enough = lambda: sum(r.path == "/api/ps" for r in server.requests(probes=True)) >= times
        return server.wait_for(enough, PATIENCE)

    def test_it_starts_with_the_first_call_and_not_before(self, app, server):
        route = app.route("chat")
        assert not PROBER.running
        assert server.requests(probes=True) == []
        route.complete(USER)
        assert self.looked(server)

    def test_it_wakes_when_a_breaker_opens(self, app, server, monkeypatch):
        monkeypatch.setattr(prober_module, "GAP", 0.0)
        route = app.route("chat")
        route.complete(USER)
        assert self.looked(server)
        app.target("local").health.breaker.trip("failure_rate")
        assert self.looked(server, 2)

    def test_it_ends_when_there_is_nobody_left_and_starts_again(self, app, server):
        route = app.route("chat")
        route.complete(USER)
        assert self.looked(server)
        thread = PROBER._thread
        app.close()
        PROBER.wake()
        thread.join(PATIENCE)
        assert not thread.is_alive()
        route.complete(USER)
        assert self.looked(server, 2)
        assert PROBER.running

    def test_switched_off_by_the_environment(self, app, server, monkeypatch):
        monkeypatch.setenv("PILOTLIGHT_BACKGROUND", "off")
        app.route("chat").complete(USER)
        assert not PROBER.running
        assert all(record.of_model for record in server.requests(probes=True))

    def test_sixteen_first_calls_at_once_start_one_thread(self, app, server):
        route = app.route("chat")
        together = threading.Barrier(16)

        def call() -> None:
            together.wait(PATIENCE)
            route.complete(USER)

        threads = [threading.Thread(target=call) for _ in range(16)]
        for each in threads:
            each.start()
        for each in threads:
            each.join(PATIENCE)
        names = [each.name for each in threading.enumerate()]
        assert names.count("pilotlight-health") == 1


def test_a_route_that_wants_nothing_has_nobody_in_attendance():
    route = pilotlight.load({"targets": {"a": {"model": "openai/a"}}}).adhoc(["openai/a"])
    assert route._attend is None
