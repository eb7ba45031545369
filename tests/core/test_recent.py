"""What was asked for lately is kept, within its number and its time; the rest is let go, once."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from pilotlight.core.recent import Recent
from pilotlight.testing import FakeClock

steps = st.lists(st.tuples(st.integers(0, 8), st.floats(0, 40)), max_size=40)


@given(limit=st.integers(1, 5), steps=steps)
def test_bounded_by_number_and_time(limit, steps):
    clock, gone, numbers = FakeClock(), [], itertools.count()
    recent = Recent(limit, 30.0, gone.append, clock)
    asked: dict[int, tuple[int, float]] = {}
    for key, pause in steps:
        clock.advance(pause)
        value = recent.get(key, lambda: next(numbers))
        known = asked.pop(key, None)
        if known is not None and known[0] not in gone:
            assert value == known[0]
        asked[key] = (value, clock())  # the last asked for comes last
        young = [value for value, at in asked.values() if clock() - at <= 30.0]
        assert recent.values() == young[-limit:]
        assert not set(recent.values()) & set(gone)
    assert len(set(gone)) == len(gone)
