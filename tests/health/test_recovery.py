"""While a breaker is open: no call is spent on a dead endpoint, and the first sign ends the break."""

from __future__ import annotations

import threading

import httpx
import pytest
from sham import Sham, local_target

from pilotlight import health, load
from pilotlight.core.breaker.policy import JITTER
from pilotlight.errors import CircuitOpen
from pilotlight.health import recovery
from pilotlight.health.recovery import HELD, RECOVERY, Recovery
from pilotlight.routes.route import Route
from pilotlight.vocabulary.faults import RULES, Effect

PATIENCE = 20.0
SILENT = httpx.ConnectError("refused")
SILENCES = [SILENT, httpx.ConnectTimeout("slow"), httpx.ReadTimeout("hangs")]
GOOD = [(200, {"data": []}), (404, "no such page"), (401, {}), (429, {})]


class Hosted:
    """A provider's list of models; `answer` is what it says next."""

    def __init__(self) -> None:
        self.answer = SILENT
        self.asked: list[httpx.Request] = []
        self.knocked = threading.Event()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        self.knocked.set()
        if isinstance(self.answer, Exception):
            raise self.answer
        status, body = self.answer
        told = {"text": body} if isinstance(body, str) else {"json": body}
        return httpx.Response(status, **told)

    def client(self) -> httpx.Client:
        return httpx.Client(transport=httpx.MockTransport(self))

    def close(self) -> None: ...


@pytest.fixture
def provider() -> Hosted:
    return Hosted()


@pytest.fixture
def watch() -> Recovery:
    return Recovery()


@pytest.fixture
def target(provider, clock, watch):
    made = hosted(provider, clock)
    watch.plan([made])
    return made


def hosted(provider, clock, **options):
    given = {"model": "openai/gpt", "api_key": "secret-key", **options}
    made = load({"targets": {"gpt": given}}, clock=clock).target("gpt")
    made.provider.connection._pool = provider
    return made


def breaker(target):
    return target.health.breaker


def worn(target):
    for _ in range(5):
        breaker(target).acquire().failure(OSError())
    assert breaker(target).current_state == "open"
    return breaker(target)


@pytest.mark.parametrize("silence", SILENCES)
def test_while_nobody_answers_no_call_is_spent_on_it(target, provider, watch, clock, silence):
    guard, provider.answer = worn(target), silence
    while clock() < guard.state.began + 40.0:
        watch.look()
        clock.advance(4.0)
        with pytest.raises(CircuitOpen):
            guard.acquire()


def test_but_once_in_the_longest_break_for_a_check_may_err(target, watch, clock):
    guard = worn(target)
    for _ in range(20):
        watch.look()
        clock.advance(4.0)
        if guard.retry_after is None:
            break
    assert clock() - guard.state.began == pytest.approx(60.0, abs=4.0)


@pytest.mark.parametrize("before", [SILENT, (500, {}), (503, "down")])
@pytest.mark.parametrize("good", GOOD)
def test_the_first_good_answer_ends_the_break(target, provider, watch, clock, before, good):
    guard, provider.answer = worn(target), before
    watch.look()
    provider.answer = good
    clock.advance(4.0)
    assert guard.retry_after is not None
    watch.look()
    assert guard.acquire().trial


@pytest.mark.parametrize("answer", [*GOOD, (500, {})])
def test_the_same_answer_all_along_changes_nothing(target, provider, watch, clock, answer):
    guard, provider.answer = worn(target), answer
    ends = guard.state.until
    for _ in range(3):
        watch.look()
        clock.advance(4.0)
    assert guard.state.until == ends


def test_one_change_ends_one_break(target, provider, watch, clock):
    guard = worn(target)
    watch.look()
    provider.answer = GOOD[0]
    watch.look()
    guard.acquire().failure(OSError())  # it was not the model that had come back
    watch.look()
    assert 16.0 * (1 - JITTER) <= guard.retry_after <= 16.0


@pytest.mark.parametrize(
    "reason",
    [*(fault for fault, rule in RULES.items() if rule.breaker is Effect.OPENS), "forced", "drill"],
)
def test_what_it_could_not_tell_is_not_asked(target, provider, watch, reason):
    breaker(target).trip(reason, 60.0)
    assert watch.look() == 0
    assert provider.asked == []


def test_nobody_asks_for_what_another_process_has_found_out(target, provider, watch):
    breaker(target).learn_open("failure_rate", 30.0, 1)
    assert watch.look() == 0
    assert provider.asked == []


def test_neither_while_it_is_closed_or_tried(target, provider, watch, clock):
    assert watch.look() == 0
    guard = worn(target)
    clock.advance(16.0)
    trial = guard.acquire()
    assert watch.look() == 0
    trial.success()
    assert watch.look() == 0
    assert provider.asked == []


def test_the_key_stands_in_no_address(target, provider, watch):
    worn(target)
    watch.look()
    (request,) = provider.asked
    assert request.url.path.endswith("/models")
    assert "secret-key" not in str(request.url)
    assert request.headers["authorization"] == "Bearer secret-key"


def test_an_ollama_is_asked_for_its_version(clock, watch):
    sham = Sham()
    target = local_target(sham, clock, warm="never")
    watch.plan([target])
    worn(target)
    assert watch.look() == 1
    assert sham.asked == ["version"]


def test_a_bug_of_ours_changes_nothing(target, watch, monkeypatch, caplog):
    guard = worn(target)
    ends = guard.state.until
    monkeypatch.setattr(recovery, "sign_of", lambda target: 1 / 0)
    assert watch.look() == 1
    assert guard.state.until == ends
    assert "failed to work" in caplog.text


def test_held_until_after_the_next_look_has_ended():
    assert HELD > recovery.EVERY * (1 + recovery.JITTER) + recovery.CHECK_TIMEOUTS.total


# In the background.


@pytest.fixture
def attended(provider, clock, monkeypatch):
    monkeypatch.setattr(recovery, "EVERY", 0.001)
    made = hosted(provider, clock)
    Route("chat", (made,), clock=clock)
    return made


def test_there_is_a_thread_while_a_breaker_is_open_and_no_longer(attended, provider):
    assert not RECOVERY.running
    worn(attended)
    assert RECOVERY.running
    thread = RECOVERY._thread
    assert provider.knocked.wait(PATIENCE)
    breaker(attended).close()
    thread.join(PATIENCE)
    assert not thread.is_alive() and not RECOVERY.running
    worn(attended)
    assert RECOVERY.running


def test_it_ends_the_break_by_itself(attended, provider):
    guard = worn(attended)
    assert provider.knocked.wait(PATIENCE)
    over = threading.Event()
    hasten = type(guard).hasten
    provider.answer = GOOD[0]

    def told(self):
        done = hasten(self)
        over.set()
        return done

    type(guard).hasten = told
    try:
        assert over.wait(PATIENCE)
    finally:
        type(guard).hasten = hasten
    assert guard.acquire().trial


@pytest.mark.parametrize("how", ["the environment", "the target"])
def test_it_can_be_switched_off(provider, clock, monkeypatch, how):
    if how == "the environment":
        monkeypatch.setenv("PILOTLIGHT_BACKGROUND", "off")
    options = {"health": "off"} if how == "the target" else {}
    made = hosted(provider, clock, **options)
    Route("chat", (made,), clock=clock)
    worn(made)
    assert not RECOVERY.running


def test_a_reset_ends_it(attended, provider):
    worn(attended)
    thread = RECOVERY._thread
    health.reset()
    thread.join(PATIENCE)
    assert not thread.is_alive() and not RECOVERY.running
