"""The dashboard and the alerts ask for what is measured: names that exist, and values too."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from pilotlight.telemetry import names, words

HERE = Path(__file__).parents[2] / "examples" / "observability"
SUFFIXES = {"s": "_seconds", "d": "_days"}
PARTS = {"histogram": ("_bucket", "_count", "_sum"), "counter": ("_total",)}


def flat(name: str) -> str:
    return name.replace(".", "_")


METRICS = {
    f"{flat(row.name)}{SUFFIXES.get(row.unit, '')}{part}": set(map(flat, row.attributes))
    for row in names.METRICS
    for part in PARTS.get(row.kind, ("",))
}
LABELS = set().union(*METRICS.values())
VALUES = {
    flat(names.OUTCOME): words.OUTCOMES,
    flat(names.SKIP_REASON): words.SKIP_REASONS,
    flat(names.STATE): set(words.STATES),
    flat(names.PLACE): set(words.PLACES),
    flat(names.STATE_TO): set(words.STATES),
}


@pytest.mark.parametrize("name", ["alerts.yml", "grafana-dashboard.json"])
def test_every_metric_label_and_value_is_one_of_the_table(name):
    text = (HERE / name).read_text()
    if name.endswith(".json"):
        text = "\n".join(found(json.loads(text)))
    used = set(re.findall(r"\b(?:pilotlight|gen_ai)_\w+", text))
    assert used <= METRICS.keys() | LABELS
    assert used & METRICS.keys()
    for metric, selector in re.findall(r"(\w+)\{([^{}]*)\}", text):
        asked = dict(re.findall(r'(\w+)[!=]~?"([^"]*)"', selector.replace("=~", "=")))
        assert set(asked) <= METRICS[metric] | {"job"}, metric
        for label, value in asked.items():
            if label in VALUES and value:
                assert set(value.split("|")) <= VALUES[label], metric


def found(board) -> list[str]:
    """Every query of a dashboard."""
    if isinstance(board, dict):
        here = [value for key, value in board.items() if key == "expr"]
        return here + [each for value in board.values() for each in found(value)]
    return [each for value in board for each in found(value)] if isinstance(board, list) else []
