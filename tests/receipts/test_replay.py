"""Replay: what another policy would have made of the calls, reckoned by hand and by property."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotlight import ConfigError, Fault
from pilotlight.config.schema import Config, parse
from pilotlight.core.breaker.breaker import BreakerPolicy
from pilotlight.core.flow import drivers
from pilotlight.core.flow.context import CallContext, Policy
from pilotlight.core.flow.failover import failover_flow
from pilotlight.core.flow.recorder import CallRecorder
from pilotlight.core.provider import Answered, Attempt, Call, Failed
from pilotlight.core.retry.policy import RetryPolicy
from pilotlight.errors import PilotlightError
from pilotlight.records.lines import Kept
from pilotlight.replay.engine import Outcomes, play
from pilotlight.replay.settings import changed, completed, order
from pilotlight.replay.tally import tally
from pilotlight.testing import Fails, FakeClock, ScriptedTarget
from pilotlight.vocabulary.receipt import Receipt
from tests.receipts.kit import MODELS, call, skip, tried


def config(*settings: str, targets: tuple[str, ...] = ("gpt", "local"), **tables) -> Config:
    """A configuration without retries, and what is set."""
    data = {
        "targets": {name: {"model": MODELS[name]} for name in targets},
        "routes": {"chat": {"targets": targets}},
        "retry": {"max_retries": 0},
    }
    return changed(parse(data | tables, "here"), settings)


def dead(receipts: list[Receipt], first: str = "gpt") -> int:
    return tally(receipts, {"chat": first}).on_dead_primary


def story(receipt: Receipt) -> tuple[object, ...]:
    """What must be the same when a call is played as it was."""
    asked = tuple((a.target, a.fault, a.number, a.began, a.duration) for a in receipt.attempts)
    skipped = tuple((each.target, each.reason) for each in receipt.skipped)
    return receipt.outcome, receipt.served_by, receipt.duration, asked, skipped


# By hand.

# A hundred calls, one a second, while the first target is down and nobody had a breaker.
OUTAGE = [
    call(1000.0 + n, tried("gpt", Fault.CONNECTION_ERROR, 0.125), tried("local", takes=0.125))
    for n in range(100)
]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        # Five failures, at 0 to 4.  They cost next to nothing, and so do the trials, every ten
        # seconds from the last failed call on: 14, 24, ... 94.
        (("breaker.reset_timeout=10",), 5 + 9),
        (("breaker.reset_timeout=60",), 5 + 1),
        (("breaker.minimum_calls=1", "breaker.reset_timeout=1000"), 1),
        (("breaker.minimum_calls=1000", "breaker.consecutive_failures=1000"), 100),
    ],
)
def test_an_outage_of_a_hundred_calls(settings, expected):
    played = play(OUTAGE, config(*settings))
    assert dead(played.receipts) == expected
    assert (played.assumed, played.unknown) == (0, 0)
    side = tally(played.receipts, {"chat": "gpt"})
    assert (side.availability, side.by_others) == (1.0, 100)
    assert side.time_lost == expected * 0.125


def test_calls_that_overlapped_overlap_again():
    # Ten calls at once: all are in flight before the first of them has failed.
    together = [
        call(1000.0 + n / 100, tried("gpt", Fault.TIMEOUT, 5.0), tried("local")) for n in range(10)
    ]
    assert dead(play(together, config()).receipts) == 10
    one_by_one = [replace(each, started_at=1000.0 + 10 * n) for n, each in enumerate(together)]
    patient = config("breaker.window=200", "breaker.reset_timeout=300")
    assert dead(play(one_by_one, patient).receipts) == 5


def test_only_one_trial_is_let_in_while_it_lasts():
    slow = [call(1000.0 + n, tried("gpt", Fault.TIMEOUT, 8.0), tried("local")) for n in range(40)]
    # Calls 0 to 8 go out before the second failure, at 9, makes the target suspected; those in
    # flight open it at 12.  Half of the 5 s are left then: 15 is a trial, alone until it fails
    # at 23; the next are 26 and 37.
    played = play(slow, config("breaker.reset_timeout=5", "breaker.max_reset_timeout=5"))
    asked = [each.started_at - 1000 for each in played.receipts if each.attempts[0].target == "gpt"]
    assert asked == [*range(9), 15, 26, 37]


def test_a_process_of_its_own_has_breakers_of_its_own():
    two = [replace(each, process=f"worker {n % 2}") for n, each in enumerate(OUTAGE)]
    forever = config("breaker.reset_timeout=1000", "breaker.max_reset_timeout=1000")
    assert dead(play(OUTAGE, forever).receipts) == 5
    assert dead(play(two, forever).receipts) == 10


def test_who_was_not_asked_then_is_taken_to_be_as_near_in_time_as_is_known():
    calls = [
        call(1000.0, tried("gpt", takes=2.0)),
        call(1010.0, skip("gpt"), tried("local")),
        call(1020.0, skip("gpt"), tried("local")),
        call(1029.0, tried("gpt", Fault.SERVER_ERROR, 3.0), tried("local")),
    ]
    played = play(calls, config())
    assert [each.served_by for each in played.receipts] == ["gpt", "gpt", "local", "local"]
    assert [each.duration for each in played.receipts] == [2.0, 2.0, 4.0, 4.0]
    assert played.assumed == 2


def test_what_concerned_one_call_only_is_not_taken_for_others():
    mistake = call(1000.0, tried("gpt", Fault.INVALID_REQUEST), outcome="raised")
    outcomes = Outcomes([mistake, call(1900.0, tried("gpt", Fault.OVERLOADED), tried("local"))])
    assert outcomes.nearest("gpt", 1000.0).fault is Fault.OVERLOADED
    assert outcomes.nearest("claude", 1000.0) is None


def test_of_two_outcomes_equally_near_the_earlier_is_taken():
    outcomes = Outcomes([call(10.0, tried("gpt", takes=1.0)), call(20.0, tried("gpt", takes=2.0))])
    assert [outcomes.nearest("gpt", at).duration for at in (0, 15, 15.1, 99)] == [1, 1, 2, 2]


def test_a_target_that_nothing_is_known_of_fails_and_is_counted():
    calls = [call(1000.0, tried("gpt", Fault.TIMEOUT), outcome="exhausted")]
    played = play(calls, config(targets=("gpt", "claude")))
    assert played.unknown == 1
    assert played.receipts[0].outcome == "exhausted"
    assert [each.fault for each in played.receipts[0].attempts] == [Fault.TIMEOUT, Fault.UNKNOWN]


def test_an_attempt_ends_at_its_limit():
    slow = [call(1000.0, tried("gpt", takes=50.0))] + [call(1100.0, skip("gpt"), tried("local"))]
    played = play(slow, config("targets.gpt.timeout=20"))
    assert [(a.target, a.fault, a.duration) for a in played.receipts[0].attempts] == [
        ("gpt", Fault.TIMEOUT, 20.0),
        ("local", None, 1.0),
    ]


def test_a_deadline_keeps_a_reserve_for_those_behind():
    slow = [call(1000.0, tried("gpt", takes=50.0)), call(1100.0, skip("gpt"), tried("local"))]
    played = play(slow, config("routes.chat.total_timeout=40"))
    assert [each.duration for each in played.receipts[0].attempts] == [30.0, 1.0]


def test_a_throttle_lasts_as_long_as_was_said():
    calls = [
        call(1000.0, tried("gpt", Fault.RATE_LIMITED, 0.0, retry_after=30.0), tried("local")),
        *(call(1000.0 + n, tried("gpt"), process="") for n in (10, 29, 31)),
        call(2000.0, tried("local"), outcome="failover"),
    ]
    served = [each.served_by for each in play(calls, config()).receipts]
    assert served[:4] == ["local", "local", "local", "gpt"]


def test_a_place_in_the_queue_is_waited_for():
    calls = [call(1000.0 + n, tried("gpt", takes=10.0)) for n in range(3)]
    played = play(calls, config("targets.gpt.concurrency=1", "targets.gpt.queue=1"))
    assert [(each.served_by, each.duration) for each in played.receipts[:2]] == [
        ("gpt", 10.0),
        ("gpt", 19.0),
    ]
    assert [each.reason for each in played.receipts[2].skipped] == ["saturated"]


def test_what_a_target_could_not_do_for_a_call_it_still_can_not():
    calls = [call(1000.0, skip("gpt", "unsupported"), tried("local")), call(1001.0, tried("gpt"))]
    played = play(calls, config())
    assert [each.served_by for each in played.receipts] == ["local", "gpt"]
    assert played.receipts[0].skipped[0].reason == "unsupported"


def test_a_private_call_stays_private():
    calls = [
        call(1000.0, skip("gpt", "residency"), tried("local"), private=True),
        call(1001.0, tried("gpt")),
    ]
    played = play(calls, config())
    assert [each.served_by for each in played.receipts] == ["local", "gpt"]
    assert played.receipts[0].skipped[0].reason == "residency"


@pytest.mark.parametrize("outcome", ["cancelled", "abandoned", "raised"])
def test_a_call_that_its_caller_ended_ends_then(outcome):
    calls = [
        call(1000.0, outcome=outcome, duration=7.0),
        call(1001.0, tried("gpt", Fault.TIMEOUT, 2.0), outcome=outcome, duration=2.5),
    ]
    played = play(calls, config())
    assert [(each.outcome, each.duration) for each in played.receipts][0] == (outcome, 7.0)
    assert played.receipts[1].outcome == outcome
    side = tally(played.receipts, {"chat": "gpt"})
    assert (side.availability, side.answered) == (None, 0)


def test_a_stream_that_broke_off_breaks_off():
    broken = call(1000.0, tried("gpt", Fault.STREAM_INTERRUPTED, 3.0), outcome="interrupted")
    whole = call(1100.0, skip("gpt"), tried("local"))
    assert play([broken, whole], config()).receipts[0].outcome == "interrupted"
    again = play([broken, whole], config("routes.chat.on_interrupt=restart")).receipts[0]
    assert (again.outcome, again.served_by) == ("failover", "local")


def test_nothing_to_play():
    assert play([], config()).receipts == []


# By property: played under the policy of the record, what happened happens again.

POLICY = BreakerPolicy(failure_rate=0.5, minimum_calls=2, window=30.0, reset_timeout=8.0)
RETRY = RetryPolicy(max_retries=1, wait_initial=0.25, wait_max=2.0)
FAITHFUL = {
    "breaker": {"failure_rate": 0.5, "minimum_calls": 2, "window": 30, "reset_timeout": 8},
    "retry": {"max_retries": 1, "wait_initial": 0.25, "wait_max": 2},
}
# What a replay can't know: a window of an unknown size, an end that a list foretells.
FAULTS = [each for each in Fault if each not in (Fault.CONTEXT_EXCEEDED, Fault.PAYLOAD_TOO_LARGE)]
eighths = st.integers(0, 80).map(lambda n: n / 8)  # sums of them are exact
fails = st.builds(Fails, st.sampled_from(FAULTS), st.none() | eighths, takes=eighths)
lines = st.lists(st.just("ok") | fails, min_size=1, max_size=12)


def recorded(scripts: list[list[object]], gaps: list[float], dice: list[float]) -> list[Kept]:
    """Let the real flow make calls of scripted targets, one after the other."""
    clock = FakeClock()
    targets = [
        ScriptedTarget(
            name, *script, clock=clock, breaker=POLICY, retry=RETRY, local=name == "local"
        )
        for name, script in zip(("gpt", "claude", "local"), scripts, strict=True)
    ]
    receipts = []
    for number, gap in enumerate(gaps):
        clock.advance(gap)
        recorder = CallRecorder("chat", "gpt", False, clock, str(number), started_at=clock())
        told = Call("chat")
        pause = iter(dice * 4)
        trip = CallContext(
            told, targets, Policy(), clock, recorder, lambda pause=pause: next(pause)
        )

        def ask(attempt: Attempt) -> Answered | Failed:
            return attempt.target.provider.complete(Call("chat"), attempt)

        try:
            drivers.complete(failover_flow(trip), ask, clock)
        except PilotlightError:
            pass
        receipt = recorder.receipt()
        receipts.append(Kept(**{name: getattr(receipt, name) for name in Receipt.__slots__}))
    return receipts


@given(
    st.tuples(lines, lines, lines),
    st.lists(eighths, min_size=1, max_size=30),
    st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), min_size=1, max_size=5),
)
def test_the_policy_of_the_record_gives_the_record(scripts, gaps, dice):
    receipts = recorded(list(scripts), gaps, dice)
    same = config(targets=("gpt", "claude", "local"), **FAITHFUL)
    played = play(receipts, same)
    assert [story(each) for each in played.receipts] == [story(each) for each in receipts]
    assert (played.assumed, played.unknown) == (0, 0)
    assert played.attempts == sum(len(each.attempts) for each in receipts)


chains = st.builds(
    lambda at, first, second: call(1000.0 + at, *first, *second),
    st.integers(0, 400).map(lambda n: n / 4),
    st.just([])
    | st.builds(tried, st.just("gpt"), st.sampled_from(FAULTS), eighths).map(lambda a: [a]),
    st.builds(tried, st.just("local"), st.none() | st.just(Fault.TIMEOUT), eighths).map(
        lambda a: [a]
    ),
)


@given(st.lists(chains, min_size=1, max_size=30))
def test_a_replay_of_a_replay_changes_nothing_however_the_calls_overlap(calls):
    calls = [replace(each, call_id=str(n)) for n, each in enumerate(calls)]
    once = play(calls, config("breaker.minimum_calls=2")).receipts
    twice = [Kept(**{name: getattr(each, name) for name in Receipt.__slots__}) for each in once]
    again = play(twice, config("breaker.minimum_calls=2"))
    assert [story(each) for each in again.receipts] == [story(each) for each in once]
    assert again.assumed == 0


@given(st.lists(chains, min_size=1, max_size=20))
def test_the_same_calls_give_the_same_result(calls):
    one, two = (play(calls, config("breaker.minimum_calls=3")) for _ in range(2))
    assert one == two


def test_the_property_would_notice_another_policy():
    receipts = recorded([[Fault.SERVER_ERROR], ["ok"], ["ok"]], [1.0] * 20, [0.5])
    other = config(targets=("gpt", "claude", "local"), **FAITHFUL | {"breaker": {}})
    played = play(receipts, other)
    assert [story(each) for each in played.receipts] != [story(each) for each in receipts]


# The configuration to play under.


def test_routes_that_are_not_configured_come_from_the_log():
    calls = [
        call(1.0, skip("gpt"), tried("claude", Fault.TIMEOUT), tried("local"), route="old"),
        call(2.0, skip("claude"), tried("local"), route="openai/gpt-4o > local"),
    ]
    found = completed(config(), calls)
    assert found.routes["old"].targets == ("gpt", "claude", "local")
    assert found.routes["openai/gpt-4o > local"].targets == ("openai/gpt-4o", "local")
    assert found.targets["openai/gpt-4o"].model == "openai/gpt-4o"
    assert found.targets["claude"].model == MODELS["claude"]
    assert found.routes["chat"] == config().routes["chat"]


def test_the_order_of_targets_is_read_from_who_came_after_whom():
    calls = [
        call(1.0, tried("gpt", Fault.TIMEOUT), tried("claude")),
        call(2.0, skip("gpt"), skip("claude"), tried("local")),
    ]
    assert order(calls) == ["gpt", "claude", "local"]
    turned = [*calls, call(3.0, tried("claude", Fault.TIMEOUT), tried("gpt"))]
    assert sorted(order(turned)) == ["claude", "gpt", "local"]


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("breaker.reset_timeout=2m", lambda c: c.breaker.reset_timeout == 120),
        ("targets.gpt.timeout=7", lambda c: c.targets["gpt"].timeout.total == 7),
        ("targets.gpt.timeout.total=7s", lambda c: c.targets["gpt"].timeout.total == 7),
        ('targets."gpt".retry.max_retries = 0', lambda c: c.targets["gpt"].retry.max_retries == 0),
        ('routes.chat.targets=["local"]', lambda c: c.routes["chat"].targets == ("local",)),
        ("retry={max_retries=1}", lambda c: c.retry.max_retries == 1),
    ],
)
def test_a_setting_is_toml_or_a_bare_word(setting, value):
    assert value(config(setting))


def test_a_later_setting_stands_over_an_earlier_one_and_the_rest_stays():
    found = config("breaker.window=5", "breaker.window=6", breaker={"minimum_calls": 9})
    assert (found.breaker.window, found.breaker.minimum_calls) == (6, 9)


@pytest.mark.parametrize(
    ("key", "value", "setting"),
    [
        ("retry", {"wait_initial": 0.5}, "retry.max_retries=0"),
        (
            "routes",
            {"chat": {"targets": ["gpt", "local"], "sit_out": 3}},
            "routes.chat.targets=['gpt']",
        ),
    ],
)
def test_a_setting_may_switch_off_what_other_keys_tune(key, value, setting):
    assert config(setting, **{key: value})


def test_a_setting_that_itself_has_no_effect_is_refused():
    with pytest.raises(ConfigError, match=r"--set: targets\.gpt\.queue: has no effect without"):
        config("targets.gpt.queue=3")


def test_the_key_of_a_target_is_not_lost_on_the_way():
    targets = {"gpt": {"model": "openai/gpt-4o", "api_key": "sk-secret"}}
    data = {"targets": targets, "routes": {"chat": {"targets": ["gpt"]}}}
    found = changed(parse(data, "here"), ["breaker.window=5"])
    assert found.targets["gpt"].api_key.reveal() == "sk-secret"
    with pytest.raises(ConfigError) as error:
        changed(parse(data, "here"), ["targets.gpt.api_key=x"])
    assert "sk-secret" not in str(error.value)
