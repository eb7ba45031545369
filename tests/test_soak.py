"""The soak's own judgement: it must see a leak where there is one, and none where there is none."""

import sys

import pytest

from benchmarks import soak_watch
from benchmarks.soak import house, written
from benchmarks.soak_calls import run
from benchmarks.soak_watch import Sample, Slope, rows, sample

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]


def samples(per_thousand=0.0, **last):
    none = dict.fromkeys(("permits", "trials", "inside", "waiting", "trips", "tasks"), 0)
    made = [
        Sample(
            n * 1000, 300 + per_thousand * n + 0.05 * (n % 2), 30, 40, 3, 20, at_server=0, **none
        )
        for n in range(20)
    ]
    return [*made, Sample(**{f: getattr(made[-1], f) for f in Sample.__slots__} | last)]


def verdicts(found):
    return {row.figure for row in rows(found, {"answered": 10}, 0, []) if row.ok is False}


def test_nothing_held_and_flat_memory_is_well():
    assert verdicts(samples()) == set()


@pytest.mark.parametrize("what", soak_watch.HELD)
def test_one_thing_held_at_rest_is_a_leak(what):
    assert any("held" in figure for figure in verdicts(samples(**{what: 1})))


def test_growth_is_seen():
    assert any("memory" in figure for figure in verdicts(samples(per_thousand=0.3)))
    assert any("sockets" in figure for figure in verdicts(samples(sockets=60)))
    assert any("threads" in figure for figure in verdicts(samples(threads=4)))


def test_too_few_samples_prove_nothing():
    assert not Slope.of(samples()[:2]).flat


def test_a_real_call_leaves_nothing_and_a_planted_permit_is_found(monkeypatch):
    from benchmarks.soak_calls import Plan

    monkeypatch.setattr(soak_watch, "PATIENCE", 5.0)
    plan = Plan("route", "home", "stream", 30.0, "leave", 0.0, 1, private=True)
    with house() as here:
        before = sample(0, here.app, here.loop, here.server).held  # of other tests in the process
        assert run(here.doors, plan).outcome == "left"
        assert sample(1, here.app, here.loop, here.server).held == before
        monkeypatch.setattr(soak_watch, "PATIENCE", 0.0)
        permit = here.app.targets["local"].health.breaker.acquire()
        place = here.app.targets["local"].health.bulkhead.enter(1.0)
        assert sample(2, here.app, here.loop, here.server).held == before | {
            "permits": before.get("permits", 0) + 1,
            "inside": 1,
        }
        permit.release()
        place.release()


def test_the_page_keeps_all_but_its_figures():
    page = "a\n<!-- soak -->\nold\n<!-- end of soak -->\nz\n"
    assert written(page, "new") == "a\n<!-- soak -->\n\nnew\n\n<!-- end of soak -->\nz\n"
