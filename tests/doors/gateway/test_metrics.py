"""The metrics of several workers as one page."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from pilotlight.doors.gateway.metrics import Shared, merged


def exposition(calls: int) -> str:
    registry = CollectorRegistry()
    counter = Counter("calls", "How many calls.", ["route"], registry=registry)
    counter.labels('a "quoted" \\ route').inc(calls)
    Counter("plain", "Without labels.", registry=registry).inc(calls)
    Histogram("seconds", "How long.", registry=registry).observe(0.1)
    return generate_latest(registry).decode()


def test_each_sample_has_its_worker_and_each_metric_stands_together():
    text = merged({"0": exposition(2), "1": exposition(3)})
    families = {each.name: each for each in text_string_to_metric_families(text)}
    assert {"calls", "plain", "seconds"} <= set(families)
    for name in ("calls", "plain"):
        totals = [each for each in families[name].samples if each.name.endswith("_total")]
        assert {each.labels["worker"]: each.value for each in totals} == {"0": 2, "1": 3}
    assert text.count("# TYPE calls_total ") == 1
    heads = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(heads) == len(set(heads))


def test_whichever_worker_is_asked_answers_for_all(tmp_path, monkeypatch):
    from pilotlight.doors.gateway import metrics

    monkeypatch.setattr(metrics, "own", lambda: exposition(2))
    Shared(tmp_path, 0).write()
    monkeypatch.setattr(metrics, "own", lambda: exposition(5))
    text = Shared(tmp_path, 1).read()
    assert 'plain_total{worker="0"} 2.0' in text
    assert 'plain_total{worker="1"} 5.0' in text
