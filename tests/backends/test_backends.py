"""What Phoenix and Prometheus themselves say of a failover, and which alert each trouble raises."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import Any

import pytest

from .app import SERVICE
from .conftest import RULES, until

pytestmark = pytest.mark.backends

TROUBLES = {  # scenario, alert, the label that tells whom it is about
    "failover": ("PilotlightBreakerOpen", ("pilotlight_target", "gpt")),
    "more failovers": ("PilotlightFallbackShareHigh", ("pilotlight_route", "chat")),
    "full": ("PilotlightLocalSaturated", ("pilotlight_target", "narrow")),
    "down": ("PilotlightAllDown", ("pilotlight_route", "down")),
}


def query(prometheus, expr: str) -> list[dict[str, Any]]:
    answer = prometheus.get("/api/v1/query", params={"query": expr}).json()
    assert answer["status"] == "success", answer
    return answer["data"]["result"]


def firing(prometheus) -> set[tuple[str, str]]:
    """Who is complained about: the alert, and its target or route."""
    alerts = prometheus.get("/api/v1/alerts").json()["data"]["alerts"]
    return {
        (labels["alertname"], labels.get("pilotlight_target") or labels["pilotlight_route"])
        for labels in (each["labels"] for each in alerts if each["state"] == "firing")
    }


def spans_of(phoenix, trace: str, count: int) -> list[dict[str, Any]]:
    def ask() -> list[dict[str, Any]] | None:
        answer = phoenix.get(f"/v1/projects/{SERVICE}/spans", params={"limit": 1000})
        spans = answer.json()["data"] if answer.status_code == 200 else []
        found = [each for each in spans if each["context"]["trace_id"] == trace]
        return found if len(found) >= count else None

    return until(ask, f"{count} spans at Phoenix")


def graph(phoenix, text: str) -> dict[str, Any]:
    answer = phoenix.post("/graphql", json={"query": text}).json()
    assert "errors" not in answer, answer
    return answer["data"]


# In this order: while all is well nothing but the model near its end is complained about.


def test_while_all_is_well_only_the_model_near_its_end_is_named(shop, prometheus):
    shop.play("calm")
    near = {("PilotlightTargetRetiring", "old")}
    until(lambda: firing(prometheus) == near, f"{near} firing, and nothing else")


def test_while_all_is_well_the_dashboard_says_nought_and_not_nothing(shop, prometheus):
    """A counter that has counted nothing yet is not there to be seen."""
    asked = dict(panels())
    for title in ("Answered by a fallback", "Answered by nobody"):

        def shown(expr=asked[title]) -> list[str]:
            shop.play("calm")
            return [each["value"][1] for each in query(prometheus, expr)]

        until(lambda shown=shown: shown() == ["0"], f"{title}: 0")


def test_a_failover_is_one_trace_whose_tokens_are_counted_once(shop, phoenix):
    before = shop.tokens
    trace = shop.play("failover")
    spans = {each["name"]: each for each in spans_of(phoenix, trace, 4)}
    assert set(spans) == {
        "answer a customer",
        "pilotlight.call chat",
        "chat gpt-4o-mini",
        "chat llama3.2:1b",
    }
    root, call = spans["answer a customer"], spans["pilotlight.call chat"]
    left, served = spans["chat gpt-4o-mini"], spans["chat llama3.2:1b"]
    assert call["parent_id"] == root["context"]["span_id"]
    assert {left["parent_id"], served["parent_id"]} == {call["context"]["span_id"]}
    assert [each["span_kind"] for each in (call, left, served)] == ["CHAIN", "LLM", "LLM"]
    assert left["status_code"] == "ERROR"
    assert {each["status_code"] for each in (root, call, served)} == {"UNSET"}
    assert "pilotlight.failover" in [each["name"] for each in call["events"]]
    counted = f'{{getTraceByOtelId(traceId: "{trace}") {{rootSpan {{cumulativeTokenCountTotal}}}}}}'
    whole = graph(phoenix, counted)["getTraceByOtelId"]["rootSpan"]["cumulativeTokenCountTotal"]
    assert whole == shop.tokens - before > 0


@pytest.mark.parametrize("trouble", TROUBLES)
def test_each_trouble_raises_its_alert(shop, prometheus, trouble):
    alert, (_, whom) = TROUBLES[trouble]
    scenario = trouble.removeprefix("more ").removesuffix("s")

    def complained() -> bool:
        shop.play(scenario)
        return (alert, whom) in firing(prometheus)

    until(complained, f"{alert} for {whom}")


def test_the_tokens_of_receipts_phoenix_and_prometheus_agree(shop, phoenix, prometheus):
    shop.play("calm")
    project = f'{{getProjectByName(name: "{SERVICE}") {{tokenCountTotal}}}}'

    def at_phoenix() -> bool:
        return graph(phoenix, project)["getProjectByName"]["tokenCountTotal"] == shop.tokens

    def at_prometheus() -> bool:
        found = query(prometheus, "sum(gen_ai_client_token_usage_sum)")
        return bool(found) and float(found[0]["value"][1]) == shop.tokens

    until(at_phoenix, f"{shop.tokens} tokens at Phoenix")
    until(at_prometheus, f"{shop.tokens} tokens at Prometheus")


def panels() -> list[tuple[str, str]]:
    """What the dashboard asks, with Grafana's variables filled in."""
    board = json.loads((RULES / "grafana-dashboard.json").read_text())
    shown = [each for each in board["panels"] if each["type"] != "row"]
    found = []
    for title, expr in [(each["title"], one["expr"]) for each in shown for one in each["targets"]]:
        plain = re.sub(r"\$__rate_interval", "5m", re.sub(r"\$(job|route)\b", ".+", expr))
        assert "$" not in plain, title
        found.append((title, plain))
    return found


def test_every_panel_of_the_dashboard_shows_something(shop, prometheus):
    assert len(panels()) >= 12
    for title, expr in panels():
        until(lambda expr=expr: query(prometheus, expr), f"{title}: {expr}")


# Without an application: the rules over made-up hours, at their own thresholds and times.


def test_the_rules_by_promtool(tmp_path):
    for name in ("alerts.yml", "prometheus.yml"):
        shutil.copy(RULES / name, tmp_path)
    shutil.copy(RULES.parents[1] / "tests" / "backends" / "alerts_test.yml", tmp_path)
    for command in (["check", "config", "prometheus.yml"], ["test", "rules", "alerts_test.yml"]):
        done = subprocess.run(
            ["promtool", *command], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
