"""The first failover answers in warm time; and who loads what, when, once, and lets go of it.

Long, because each way of loading twice, or not at all, is a case.
"""

from __future__ import annotations

import threading

import httpx
import pytest
from sham import ENTRY, MODEL, Sham, local_target

from pilotlight import events, load
from pilotlight.core.breaker import breaker as breaker_module
from pilotlight.core.breaker.breaker import BreakerPolicy
from pilotlight.core.retry.policy import RetryPolicy
from pilotlight.errors import TargetSkipped
from pilotlight.health import attendance
from pilotlight.health.prober import Prober
from pilotlight.health.warmup import RELEASE_AFTER, Warmer
from pilotlight.routes.route import Route
from pilotlight.testing import FakeClock, ScriptedTarget
from pilotlight.vocabulary.faults import Fault
from pilotlight_chaos import ChaosServer, LocalModel

PATIENCE = 20.0
LOAD = 5.0  # seconds that loading takes, as the test's clock has it
USER = [{"role": "user", "content": "hello"}]
FRAGILE = BreakerPolicy(minimum_calls=4)  # two failures of four open it, so one is half-way
LIT = {"models": [{"name": MODEL, "size": 1, "size_vram": 1, "context_length": 8192}]}


class Cold(Sham):
    """A server whose model takes LOAD seconds to load, for whoever asks first with each context."""

    def __init__(self, clock: FakeClock, **paths) -> None:
        super().__init__(**paths)
        self.clock = clock
        self.loaded: tuple | None = None
        self.answers["chat"] = self.chat
        self.answers["ps"] = lambda request: LIT if self.loaded else {"models": []}

    def chat(self, request: httpx.Request):
        body = self.bodies[-1]
        wanted = body.get("options", {}).get("num_ctx"), body.get("shift")
        if self.loaded != wanted:
            self.clock.advance(LOAD)
            self.loaded = wanted
        content = "hello" if body["messages"] else ""
        reason = "stop" if body["messages"] else "load"
        said = {"role": "assistant", "content": content}
        return {"model": MODEL, "message": said, "done": True, "done_reason": reason}


@pytest.fixture
def server(clock):
    return Cold(clock)


@pytest.fixture
def later():
    """Work for the background, done when the test says so."""
    return []


@pytest.fixture
def warmer(clock, later, monkeypatch):
    made = Warmer(clock, run=later.append)
    monkeypatch.setattr(attendance, "WARMER", made)
    monkeypatch.setattr(attendance, "PROBER", Prober(clock, warmer=made))
    monkeypatch.setattr(attendance.PROBER, "_start", lambda: None)
    monkeypatch.setattr(breaker_module, "observers", [attendance._trouble])
    return made


def do(later: list) -> None:
    while later:
        later.pop(0)()


def blip(clock: FakeClock) -> ScriptedTarget:
    """A primary that fails once and recovers by a retry; then it is out."""
    script = [Fault.SERVER_ERROR, "well", Fault.SERVER_ERROR]
    retry = RetryPolicy(max_retries=1, wait_initial=0.001, wait_max=0.001)
    return ScriptedTarget("gpt", *script, clock=clock, breaker=FRAGILE, retry=retry)


def seconds_of_first_failover(route: Route, clock: FakeClock, later: list) -> float:
    assert route.complete(USER).served_by == "gpt"
    do(later)  # meanwhile, in the background
    began = clock()
    assert route.complete(USER).served_by == "local"
    return clock() - began


class TestTheFirstFailover:
    def test_answers_in_warm_time_with_when_degraded(self, clock, server, warmer, later, seen):
        local = local_target(server, clock)
        route = Route("chat", (blip(clock), local), clock=clock)
        assert seconds_of_first_failover(route, clock, later) < 1
        assert [body["messages"] for body in server.bodies][:2] == [[], USER]
        phases = [(e.phase, e.duration) for e in seen if isinstance(e, events.WarmUp)]
        assert phases == [("started", 0.0), ("done", LOAD)]

    def test_pays_for_the_load_with_never(self, clock, server, warmer, later):
        local = local_target(server, clock, warm="never", health="on")
        route = Route("chat", (blip(clock), local), clock=clock)
        assert seconds_of_first_failover(route, clock, later) >= LOAD

    def test_the_same_over_real_http(self, warmer, later, clock):
        with ChaosServer(models=[LocalModel(MODEL)]) as server:
            local = local_target(clock=clock, api_base=server.base("local"))
            route = Route("chat", (blip(clock), local), clock=clock)
            seconds_of_first_failover(route, clock, later)
            loads = [record.body for record in server.requests("local")]
            assert [bool(body["messages"]) for body in loads] == [False, True]
            assert loads[0]["options"]["num_ctx"] == loads[1]["options"]["num_ctx"]
            local.provider.connection.close()


class TestWhen:
    def route(self, clock, server, **options):
        gpt = ScriptedTarget("gpt", clock=clock, breaker=FRAGILE)
        local = local_target(server, clock, **options)
        route = Route("chat", (gpt, local), clock=clock)
        route._attend()
        return gpt.health.breaker, local

    def test_all_well_loads_nothing(self, clock, server, warmer, later):
        ahead, _ = self.route(clock, server)
        ahead.acquire().success()
        assert later == []

    @pytest.mark.parametrize("looked", [False, True])
    @pytest.mark.parametrize("successes", [0, 1, 9, 200])
    def test_the_first_failure_if_the_model_is_cold(
        self, clock, server, warmer, later, successes, looked
    ):
        ahead, _local = self.route(clock, server)
        if looked:
            attendance.PROBER.run_once()
        for each in [ahead.acquire() for _number in range(successes)]:
            each.success()
        assert later == []
        ahead.acquire().failure()
        assert len(later) == 1

    def test_half_way_to_the_trip_if_it_is_in_memory(self, clock, server, warmer, later):
        ahead, _local = self.route(clock, server)
        server.loaded = (8192, False)
        attendance.PROBER.run_once()
        for each in [ahead.acquire() for _number in range(5)]:
            each.success()
        ahead.acquire().failure()
        assert later == []
        ahead.acquire().failure()
        assert len(later) == 1

    def test_suspicion_before_anything_has_failed(self, clock, server, warmer, later):
        """Calls hang: others are turned away, and the first to come so lights the next."""
        ahead, _local = self.route(clock, server)
        hung = [ahead.acquire(patience=5.0, wary=True) for _number in range(8)]
        clock.advance(6)
        assert later == []
        with pytest.raises(TargetSkipped):
            ahead.acquire(patience=5.0, wary=True)
        assert len(later) == 1
        assert hung

    def test_who_waits_for_a_place_is_told_of_the_load(self, clock, server, warmer, later):
        ahead, local = self.route(clock, server, concurrency=1, queue=9)
        bulkhead, waits = local.health.bulkhead, []
        answer = server.answers["chat"]

        def chat(request):
            clock.advance(1.0)
            inside = bulkhead.enter(None)
            waits.append(bulkhead.expected_wait())
            inside.release()
            return answer(request)

        server.answers["chat"] = chat
        for _time in range(2):
            ahead.acquire().failure()
            do(later)
            server.loaded = None
            clock.advance(1000)
        assert waits == [0.0, LOAD]  # of the first one nothing is known; a second has passed

    @pytest.mark.parametrize("reason", ["rate_limited", "quota_exhausted", "auth_failed"])
    def test_any_reason_to_open(self, clock, server, warmer, later, reason):
        ahead, _ = self.route(clock, server)
        ahead.acquire().trip(reason, 10.0)
        assert len(later) == 1

    def test_another_routes_trouble_with_the_same_target(self, clock, server, warmer, later):
        gpt = ScriptedTarget("gpt", Fault.SERVER_ERROR, clock=clock, breaker=FRAGILE)
        Route("chat", (gpt, local := local_target(server, clock)), clock=clock)._attend()
        with pytest.raises(Exception):
            Route("alone", (gpt,), clock=clock).complete(USER)
        assert len(later) == 1
        assert local.name == "local"

    def test_always_loads_at_the_first_call_and_for_ever(self, clock, server, warmer, later):
        self.route(clock, server, warm="always")
        do(later)
        assert server.bodies[0]["keep_alive"] == -1

    def test_and_again_whenever_the_server_has_let_go_of_it(self, clock, server, warmer, later):
        _, local = self.route(clock, server, warm="always")
        do(later)
        server.loaded = None
        attendance.PROBER.run_once()
        assert local.health.check.state == "installed"
        do(later)
        assert [body["keep_alive"] for body in server.bodies] == [-1, -1]

    def test_a_load_that_has_been_done_is_not_done_again(self, clock, server, warmer, later):
        ahead, _ = self.route(clock, server)
        ahead.acquire().failure()
        do(later)
        ahead.acquire().failure()
        assert later == []

    def test_a_cold_model_is_loaded_again_while_it_is_needed(self, clock, server, warmer, later):
        ahead, local = self.route(clock, server)
        ahead.trip("forced", 3600.0)
        do(later)
        server.loaded = None
        attendance.PROBER.run_once()
        assert local.health.check.state == "installed"
        assert len(later) == 1

    def test_a_cloud_model_is_never_loaded(self, clock, server, warmer, later):
        ahead, _ = self.route(clock, server, model="ollama/gpt-oss:120b-cloud")
        ahead.trip("forced")
        assert later == []

    def test_nor_a_stub(self, clock, server, warmer, later, seen):
        server.answers["tags"] = {"models": [ENTRY | {"remote_host": "https://ollama.com"}]}
        ahead, _ = self.route(clock, server)
        ahead.trip("forced")
        do(later)
        assert server.bodies == []
        assert [e.phase for e in seen if isinstance(e, events.WarmUp)] == ["started", "failed"]


class TestTheLoad:
    def test_it_is_what_calls_will_ask_for(self, clock, server, warmer, later):
        options = {"num_gpu": 7, "temperature": 0.1}
        local = local_target(server, clock, context=4096, keep_alive="1h", options=options)
        warmer.warm(local)
        do(later)
        assert server.bodies == [
            {
                "model": MODEL,
                "messages": [],
                "stream": False,
                "shift": False,
                "keep_alive": "1h",
                "options": {"num_ctx": 4096, "num_gpu": 7},
            }
        ]

    @pytest.mark.parametrize(
        ("chat", "problem"),
        [
            ((500, {"error": "out of memory"}), "status 500: out of memory"),
            (httpx.ReadTimeout("x"), "not loaded within 600 s"),
            (httpx.ConnectError("x"), "no connection (ConnectError)"),
            ((404, {"error": "gone"}), "the model is not there"),
            ({"done": False}, "the server broke the load off"),
        ],
    )
    def test_a_load_that_fails_is_told_and_not_repeated_at_once(
        self, clock, warmer, later, seen, chat, problem
    ):
        local = local_target(Sham(chat=chat), clock)
        warmer.warm(local)
        do(later)
        (_, failed) = [e for e in seen if isinstance(e, events.WarmUp)]
        assert (failed.phase, failed.problem) == ("failed", problem)
        assert not warmer.warm(local)
        clock.advance(31)
        assert warmer.warm(local)

    def test_one_that_breaks_off_because_its_target_was_let_go_is_no_news(
        self, clock, warmer, later, seen, caplog
    ):
        target = local_target(Sham(chat=httpx.ReadError("closed")), clock)
        warmer.warm(target)
        warmer.forget([target])
        do(later)
        assert [e.phase for e in seen if isinstance(e, events.WarmUp)] == ["started"]
        assert "warm-up" not in caplog.text

    def test_a_missing_model_is_not_asked_for(self, clock, warmer, later, seen):
        sham = Sham(tags={"models": []})
        warmer.warm(local_target(sham, clock))
        do(later)
        assert sham.bodies == []
        assert "not installed" in seen[-1].problem

    def test_sixteen_threads_make_one_load(self, clock, server, later):
        warmer = Warmer(clock, run=later.append)
        targets = [local_target(server, clock) for _ in range(16)]
        together = threading.Barrier(16)

        def warm(target) -> None:
            together.wait(PATIENCE)
            warmer.warm(target)

        threads = [threading.Thread(target=warm, args=(each,)) for each in targets]
        for each in threads:
            each.start()
        for each in threads:
            each.join(PATIENCE)
        assert len(later) == 1

    def test_it_runs_in_a_thread_of_its_own(self, clock, server, seen):
        done = threading.Event()
        import pilotlight

        pilotlight.listeners.append(lambda e: getattr(e, "phase", "") == "done" and done.set())
        Warmer(clock).warm(local_target(server, clock))
        assert done.wait(PATIENCE)
        assert server.bodies[0]["messages"] == []


class TestTheRelease:
    def recovered(self, clock, server, warmer, later):
        gpt = ScriptedTarget("gpt", clock=clock, breaker=FRAGILE)
        local = local_target(server, clock)
        route = Route("chat", (gpt, local), clock=clock)
        route._attend()
        gpt.health.breaker.trip("forced", 10.0)
        do(later)
        gpt.health.breaker.close()
        attendance.PROBER.run_once()
        return local, route

    def test_some_time_after_recovery(self, clock, server, warmer, later, seen):
        kept = self.recovered(clock, server, warmer, later)
        clock.advance(RELEASE_AFTER - 1)
        attendance.PROBER.run_once()
        assert later == []
        clock.advance(1)
        attendance.PROBER.run_once()
        do(later)
        assert [body["keep_alive"] for body in server.bodies] == ["15m", "5m"]
        assert [e.phase for e in seen if isinstance(e, events.WarmUp)][-1] == "released"
        assert kept

    def test_what_is_gone_from_memory_is_not_loaded_to_be_let_go(
        self, clock, server, warmer, later
    ):
        kept = self.recovered(clock, server, warmer, later)
        clock.advance(RELEASE_AFTER)
        server.loaded = None
        attendance.PROBER.run_once()
        do(later)
        assert len(server.bodies) == 1
        assert kept

    def test_new_trouble_starts_the_time_afresh(self, clock, server, warmer, later):
        local, route = self.recovered(clock, server, warmer, later)
        ahead = route.targets[0].health.breaker
        clock.advance(RELEASE_AFTER - 1)
        ahead.trip("forced", 1.0)
        attendance.PROBER.run_once()
        do(later)
        ahead.close()
        clock.advance(RELEASE_AFTER - 1)
        attendance.PROBER.run_once()
        assert [body["keep_alive"] for body in server.bodies] == ["15m", "15m"]
        assert local


def test_the_defaults_of_the_configuration():
    targets = {
        "gpt": {"model": "openai/gpt"},
        "seen": {"model": "openai/gpt", "health": "models"},
        "local": {"model": "ollama/a"},
        "cloud": {"model": "ollama/a:cloud"},
    }
    care = {
        name: config.care() for name, config in load({"targets": targets}).config.targets.items()
    }
    assert not care["gpt"].wanted
    assert (care["seen"].health, care["seen"].warm, care["seen"].interval) == (True, "never", 300)
    assert (care["local"].health, care["local"].warm, care["local"].interval) == (
        True,
        "when-degraded",
        30,
    )
    assert (care["cloud"].health, care["cloud"].warm) == (True, "never")
