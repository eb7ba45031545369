"""Retirement that acts: who is believed, when it is said, and what happens on the day."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pilotlight
from pilotlight import AllTargetsFailed, Fault, Route, events
from pilotlight.core.health.lifecycle import PRECEDENCE, TRUSTED, Lifecycle, Notice
from pilotlight.diagnosis.retirement_notices import announced, notice_in, notice_in_table
from pilotlight.health.lifecycle import outlook
from pilotlight.testing import ScriptedTarget

TODAY = datetime.now(UTC).date()
NOW = datetime(TODAY.year, TODAY.month, TODAY.day, 12, tzinfo=UTC).timestamp()
HELLO = [{"role": "user", "content": "hello"}]


def in_days(days: int) -> date:
    return TODAY + timedelta(days=days)


def alerts() -> list[events.Alert]:
    heard: list[events.Alert] = []
    pilotlight.listeners.append(lambda e: heard.append(e) if isinstance(e, events.Alert) else None)
    return heard


def test_the_first_source_in_the_order_of_trust_is_believed():
    lifecycle = Lifecycle()
    for days, source in enumerate(reversed(PRECEDENCE), 1):
        lifecycle.note(Notice(in_days(days), source))
        assert lifecycle.notice.source == source


@pytest.mark.parametrize("source", PRECEDENCE)
def test_only_a_trusted_source_takes_a_model_out_of_service(source):
    lifecycle = Lifecycle()
    lifecycle.note(Notice(in_days(0), source))
    assert (lifecycle.retired(NOW) is not None) == (source in TRUSTED)
    lifecycle.note(Notice(in_days(1), source))
    assert lifecycle.retired(NOW) is None


def test_it_warns_once_at_each_mark():
    lifecycle = Lifecycle()
    lifecycle.note(Notice(in_days(100), "header"))
    said = [100 - day for day in range(101) if lifecycle.due_warning(NOW + day * 86400) is not None]
    assert said == [90, 30, 7]


def test_a_target_past_its_day_is_passed_over_and_the_others_are_not():
    old, new = ScriptedTarget("old"), ScriptedTarget("new", "here")
    old.health.lifecycle.note(Notice(in_days(-1), "configuration", "gpt-9"))
    answer = Route("r", (old, new)).complete(HELLO)
    assert (answer.text, old.calls) == ("here", [])
    assert answer.receipt.skipped[0].reason == "retired"
    assert "gpt-9" in answer.receipt.skipped[0].detail
    with pytest.raises(AllTargetsFailed):
        Route("r", (old,)).complete(HELLO)


def test_the_warning_is_one_alert_and_not_one_a_call():
    target, heard = ScriptedTarget("gpt"), alerts()
    target.health.lifecycle.note(Notice(in_days(20), "table", "gpt-9"))
    for _ in range(5):
        Route("r", (target,)).complete(HELLO)
    assert [(a.target, a.reason) for a in heard] == [("gpt", "retirement_near")]
    assert "gpt-9" in heard[0].message


def test_a_retired_answer_is_one_alert_for_many_calls():
    gone, heard = ScriptedTarget("gone", Fault.MODEL_RETIRED), alerts()
    backup = ScriptedTarget("backup", "yes")
    for _ in range(5):
        assert Route("r", (gone, backup)).complete(HELLO).text == "yes"
    assert len(gone.calls) == 1
    assert [a.reason for a in heard] == ["model_retired"]


@pytest.mark.parametrize(
    ("headers", "day"),
    [
        ({"sunset": "Thu, 14 Jan 2027 00:00:00 GMT", "deprecation": "@1767225600"}, "2027-01-14"),
        ({"x-model-deprecation-timestamp": "2026-12-31T00:00:00Z"}, "2026-12-31"),
        ({"x-model-deprecation-timestamp": "1798675200"}, "2026-12-31"),
        ({"x-model-deprecation-timestamp": "1798675200000"}, "2026-12-31"),
        ({"deprecation": "@1767225600"}, None),  # will end, but does not say when
        ({"sunset": "soon"}, None),
        ({}, None),
    ],
)
def test_headers_that_announce_an_end(headers, day):
    assert announced(headers) == bool(headers)
    notice = notice_in(headers)
    assert (notice and notice.day.isoformat()) == day


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_header_can_make_it_raise(sunset, mistral):
    notice_in({"sunset": sunset, "x-model-deprecation-timestamp": mistral})


def test_litellms_table_is_read_once_it_is_loaded():
    from pilotlight.catalog.litellm_module import litellm

    table = litellm().model_cost
    dated = next(n for n, row in table.items() if str(row.get("deprecation_date")).startswith("20"))
    notice_in_table.cache_clear()
    assert notice_in_table(dated).source == "table"
    assert notice_in_table("openai/no-such-model") is None


def test_the_outlook_names_days_source_and_replacement():
    target = ScriptedTarget("gpt")
    assert str(outlook(target)) == "no end announced"
    target.health.lifecycle.note(Notice(in_days(12), "configuration", "gpt-9"))
    ahead = outlook(target, TODAY)
    assert (ahead.days, ahead.near, ahead.gone, ahead.replacement) == (12, True, False, "gpt-9")
    assert "12 days left" in str(ahead)
    target.model = "anthropic/claude-3-opus-20240229"
    target.health.lifecycle = Lifecycle()
    assert outlook(target, TODAY).gone
