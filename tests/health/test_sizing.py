"""What a local model carries: what is measured over HTTP, and what follows from any measurement."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sham import Sham, local_target

from pilotlight.health.sizing import LONGEST_QUEUE, USUAL, Measured, NotMeasured, advise, measure
from pilotlight_chaos import ChaosServer, LocalModel

SPEED = st.floats(0.1, 1000)


@pytest.mark.parametrize("slots", [1, 2, 4])
def test_how_many_at_once_is_seen(slots):
    model = LocalModel("llama3.2:3b", slots=slots, num_ctx=8192)
    with ChaosServer(models=[model], token_latency=0.02) as server:
        target = local_target(api_base=server.base("local"))
        measured = measure(target)
        target.provider.connection.close()
        bodies = [r.body for r in server.requests("local") if r.path == "/api/chat"]
    assert measured.load is not None and measured.speed > 0 and measured.context == 8192
    assert measured.at_once == slots
    assert {body["options"]["num_ctx"] for body in bodies} == {8192}


def test_a_model_that_is_not_there_is_not_measured():
    with pytest.raises(NotMeasured, match="not installed"):
        measure(local_target(Sham(tags={"models": []})))


@given(
    SPEED, st.integers(1, 4), st.floats(1.0, 4.0), st.floats(0.1, 600), st.none() | st.floats(0, 99)
)
def test_what_is_advised_is_carried(speed, at_once, gain, deadline, load):
    measured = Measured(speed, None, at_once, speed * min(gain, at_once), load)
    advice = advise(measured, deadline)
    assert 1 <= advice.concurrency <= at_once
    assert 0 <= advice.queue <= LONGEST_QUEUE
    rounds = -(-advice.surge // advice.concurrency)
    assert rounds * advice.service <= deadline * 1.0001
    assert (advice.surge == 0) is (advice.service > deadline)
    assert advice.service >= USUAL / measured.speed * 0.9999
