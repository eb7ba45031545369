"""What the holder of a key may ask for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotlight.doors.gateway.keys import ANYBODY, Key
from pilotlight.doors.gateway.limits import Limits
from pilotlight.doors.gateway.refuse import Refuse


def test_calls_at_a_time(clock):
    limits, key = Limits(clock), Key(concurrency=2)
    first, second = limits.admit("ci", key), limits.admit("ci", key)
    with first, second:
        with pytest.raises(Refuse, match="2 calls at a time") as raised:
            limits.admit("ci", key)
        assert (raised.value.status, raised.value.retry_after) == (429, 1)
        with limits.admit("other", key):
            pass
    with limits.admit("ci", key):
        pass


PAUSES = st.floats(0, 5) | st.sampled_from([0.0, 0.0, 0.0, 600.0])


@given(st.integers(1, 20), st.lists(PAUSES, min_size=1, max_size=200))
def test_no_minute_has_more_calls_than_are_allowed(per_minute, pauses):
    now = [0.0]
    limits, key = Limits(lambda: now[0]), Key(per_minute=per_minute)
    admitted = []
    for pause in pauses:
        now[0] += pause
        try:
            limits.admit("ci", key)
            admitted.append(now[0])
        except Refuse as refused:
            assert 0 < refused.retry_after <= 60
    for at in admitted:
        # what was saved up before, and what has come since
        within = [each for each in admitted if at <= each <= at + 60]
        assert len(within) <= 2 * per_minute
    assert len(admitted) <= per_minute + now[0] / 60 * per_minute + 1e-6


def test_after_the_wait_that_is_told_a_call_is_admitted(clock):
    limits, key = Limits(clock), Key(per_minute=2)
    limits.admit("ci", key), limits.admit("ci", key)
    with pytest.raises(Refuse) as raised:
        limits.admit("ci", key)
    clock.advance(raised.value.retry_after)
    limits.admit("ci", key)


def test_without_limits_nothing_is_counted(clock):
    limits = Limits(clock)
    for _ in range(10_000):
        with limits.admit("", ANYBODY):
            pass
    assert limits._uses == {}
