"""Game days: refusal at admission, bounded in time, and never the lifting of a refusal."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit import fails, flow, opened, returned, target, totals

import pilotlight
from pilotlight import AllTargetsFailed, events
from pilotlight.core.drills.schedule import LONGEST, GameDay, GameDays
from pilotlight.core.flow.context import CallContext, Policy
from pilotlight.core.flow.decisions import refusal
from pilotlight.core.flow.recorder import CallRecorder
from pilotlight.core.flow.steps import Pause
from pilotlight.core.provider import Answered, Attempt, Call
from pilotlight.testing import FakeClock
from pilotlight.vocabulary.faults import Fault

NOW = 1_800_000_000.0


def days(clock: FakeClock, *each: GameDay) -> GameDays:
    made = GameDays(clock=clock, wall_clock=lambda: NOW + clock() - 1000.0)
    made.install(each)
    return made


def day(target: str = "gpt", rate: float = 1.0, seconds: float = 300.0, **more) -> GameDay:
    return GameDay(more.pop("id", "ab12"), target, rate, NOW + seconds, **more)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(1000.0)


def test_a_drilled_target_is_passed_over_and_its_breaker_sees_nothing(clock):
    gpt, local = target("gpt", clock), target("local", clock)
    talk, recorder = flow([gpt, local], clock, game_days=days(clock, day()))
    assert next(talk).target is local
    returned(talk, Answered("hello"))
    (skip,) = recorder.skipped
    assert (skip.target, skip.reason, skip.detail) == ("gpt", "drill", "ab12")
    assert recorder.outcome == "failover"
    assert totals(gpt) == (0, 0)


def test_it_can_be_meant_for_one_route_a_model_or_a_provider(clock):
    gpt = target("gpt", clock)
    assert all(day(name).means("chat", gpt) for name in ("gpt", "test/gpt", "test"))
    assert not day("gp").means("chat", gpt)
    assert day(route="chat").means("chat", gpt)
    assert not day(route="chat").means("nightly", gpt)


def test_an_open_breaker_is_the_reason_that_is_told(clock):
    gpt = target("gpt", clock)
    gpt.health.breaker = opened(clock)
    talk, recorder = flow([gpt, target("local", clock)], clock, game_days=days(clock, day()))
    next(talk)
    assert [skip.reason for skip in recorder.skipped] == ["breaker_open"]


def test_a_call_is_struck_or_not_at_all_its_retries(clock):
    from pilotlight.core.retry.policy import RetryPolicy

    drills = days(clock, day(rate=0.5))
    struck = retried = 0
    for _ in range(64):
        gpt = target("gpt", clock, retry=RetryPolicy(max_retries=1, budget_reserve=9.0))
        talk, recorder = flow([gpt, target("local", clock)], clock, game_days=drills)
        if next(talk).target is not gpt:
            struck += 1
            continue
        assert isinstance(talk.send(fails(Fault.SERVER_ERROR)), Pause)
        again = talk.send(None)
        assert isinstance(again, Attempt)
        assert (again.target, again.number) == (gpt, 1)
        retried += 1
        assert recorder.skipped == []
    assert struck and retried


@pytest.mark.parametrize("rate", [0.05, 0.2, 0.8])
def test_the_share_is_the_rate(rate):
    dice = random.Random(7)
    calls = [f"{dice.getrandbits(128):032x}" for _ in range(20_000)]
    first, second = day(rate=rate), day(rate=rate, id="cd34")
    hits = [call for call in calls if first.strikes(call)]
    assert len(hits) / len(calls) == pytest.approx(rate, abs=0.015)
    both = sum(second.strikes(call) for call in hits)  # two drills throw their own dice
    assert both / len(hits) == pytest.approx(rate, abs=0.06)


def test_it_ends_with_its_time_though_nobody_says_so(clock):
    drills, gpt = days(clock, day(seconds=60.0)), target("gpt", clock)
    assert drills.refusing("chat", gpt, "1") is not None
    clock.advance(60.0)
    assert drills.refusing("chat", gpt, "1") is None
    assert drills.under_way == ()


def test_a_wall_clock_that_is_set_back_does_not_prolong_it(clock):
    wall = [NOW]
    drills = GameDays(clock=clock, wall_clock=lambda: wall[0])
    drills.install([day(seconds=60.0)])
    wall[0] -= 3600.0
    drills.install([day(seconds=60.0)])
    clock.advance(60.0)
    assert drills.under_way == ()


def test_nothing_lasts_longer_than_a_day(clock):
    drills = days(clock, day(seconds=1e9))
    clock.advance(LONGEST)
    assert drills.under_way == ()


def test_begin_and_end_are_told_once(clock):
    told = []
    pilotlight.listeners.append(told.append)
    drills = GameDays(clock=clock, wall_clock=lambda: NOW + clock() - 1000.0)
    first, second = day(rate=0.2, route="chat", seconds=60.0), day("local", id="cd34")
    drills.install([first])
    drills.install([first, second])
    drills.install([first])
    clock.advance(60.0)
    drills.install([first])
    drills.install([first])
    assert told == [
        events.DrillStarted("ab12", "gpt", "chat", 0.2, 60.0),
        events.DrillStarted("cd34", "local", None, 1.0, 300.0),
        events.DrillEnded("cd34", "local", None, "stopped"),
        events.DrillEnded("ab12", "gpt", "chat", "over"),
    ]


def test_a_call_that_nobody_is_left_for_says_why(clock):
    talk, _ = flow([target("gpt", clock)], clock, game_days=days(clock, day()))
    with pytest.raises(AllTargetsFailed, match="gpt drill"):
        next(talk)


PATTERNS = st.sampled_from(["a", "b", "c", "test", "test/a", "nobody"])
DAYS = st.lists(
    st.builds(
        GameDay,
        id=st.text("0123456789abcdef", min_size=1, max_size=8),
        target=PATTERNS,
        rate=st.floats(0.01, 1.0),
        until=st.floats(NOW - 100, NOW + 1e6),
        route=st.sampled_from([None, "chat", "other"]),
    ),
    max_size=4,
)


@given(DAYS, st.lists(st.booleans(), min_size=1, max_size=3), st.booleans())
def test_a_game_day_only_ever_refuses_more(drills, homes, private):
    """So no private call leaves because of one: whoever it is asked of, was asked before."""
    clock = FakeClock(1000.0)
    targets = [target(name, clock, local=home) for name, home in zip("abc", homes, strict=False)]
    call = Call("chat", private=private)
    for game_days in (None, days(clock, *drills)):
        recorder = CallRecorder("chat", "a", private, clock, call_id="fixed")
        trip = CallContext(call, targets, Policy(), clock, recorder, game_days=game_days)
        admitted = {each.name for each in targets if refusal(trip, each) is None}
        if game_days is None:
            before = admitted
            continue
        assert admitted <= before
        for each in targets:
            if private and not each.local:
                refused = refusal(trip, each)
                assert refused is not None
                assert refused.reason == "residency"
