"""Signals, the log of events and operators' commands: off the calls' road, and in nobody's way."""

from __future__ import annotations

import os
import threading
from datetime import timedelta

import pytest
from django.db import DatabaseError, transaction
from django.test.utils import override_settings
from django.utils import timezone

from django_pilotlight import event_writer, llm, operator_commands, signals
from django_pilotlight.context import LLMContext, entered
from django_pilotlight.current_app import app
from django_pilotlight.event_writer import EventWriter
from django_pilotlight.models import FailoverEvent, OperatorCommand
from django_pilotlight.operator_commands import OperatorCommands
from pilotlight import AllTargetsFailed, Fault

from .conftest import config

HELLO = [{"role": "user", "content": "a secret prompt"}]


@pytest.fixture
def logging_site(chaos, settings):
    """A site that logs its events; its breaker opens with the second failure."""
    breaker = {"minimum_calls": 2}
    settings.PILOTLIGHT = config(chaos, LOG_EVENTS=True, BREAKER=breaker)
    return chaos


@pytest.fixture
def quiet(monkeypatch):
    """The writer's thread does not run: a test plays it."""
    monkeypatch.setattr(EventWriter, "ensure_running", lambda self: None)


def written() -> list[FailoverEvent]:
    """Let the writer write what waits, and return what is there, oldest first.

    As its thread does, on a connection that is in no transaction: it would close one that is.
    """
    batch, _ = event_writer.WRITER._gather(0)
    event_writer.WRITER._step(batch, look=False)
    return list(FailoverEvent.objects.order_by("pk"))


@pytest.mark.django_db(transaction=True)
def test_what_is_logged(logging_site, quiet):
    heard = []
    for signal in (signals.failed_over, signals.breaker_opened, signals.all_targets_failed):
        signal.connect(lambda event, **_: heard.append(type(event).__name__), weak=False)
    try:
        logging_site.fault("cloud", "server_error")
        with entered(LLMContext(request_id="r-1")):
            llm().complete(HELLO)
            llm().complete(HELLO)
            logging_site.refuse()
            with pytest.raises(AllTargetsFailed):
                llm().complete(HELLO)
    finally:
        for signal in (signals.failed_over, signals.breaker_opened, signals.all_targets_failed):
            signal.receivers.clear()
            signal.sender_receivers_cache.clear()
    events = written()
    told = [(each.kind, each.route, each.target, each.to_target, each.reason) for each in events]
    assert told == [
        ("failed_over", "default", "gpt", "local", "server_error"),
        ("breaker_opened", "", "gpt", "", "failure_rate"),
        ("failed_over", "default", "gpt", "local", "server_error"),
        ("failed_over", "default", "gpt", "local", "breaker_open"),
        ("failed_over", "default", "local", "gpt", "connection_error"),  # its last resort
        ("all_failed", "default", "", "", ""),
    ]
    assert {each.request_id for each in events} == {"r-1"}
    assert len(heard) == 6
    stored = str([list(row) for row in FailoverEvent.objects.values_list()])
    assert "secret" not in stored


def test_a_private_call_that_stays_at_home_is_no_failover_to_log(logging_site, quiet):
    assert llm().complete(HELLO, private=True).served_by == "local"
    assert event_writer.WRITER._queue.empty()


@pytest.mark.django_db(transaction=True)
def test_a_breaker_that_closes_is_told(logging_site, quiet):
    breaker = app().target("gpt").health.breaker
    breaker.trip("forced", 60)
    breaker.close()
    assert [each.kind for each in written()] == ["breaker_opened", "breaker_closed"]


def test_what_another_worker_found_out_is_written_down_by_that_one(logging_site, quiet):
    heard = []
    signals.breaker_opened.connect(
        lambda event, **_: heard.append(event.learned), weak=False, dispatch_uid="test"
    )
    try:
        app().target("gpt").health.breaker.learn_open("rate_limited", 60.0, 0)
    finally:
        signals.breaker_opened.disconnect(dispatch_uid="test")
    assert heard == [True]
    assert event_writer.WRITER._queue.empty()


@pytest.mark.django_db(transaction=True)
def test_a_rollback_takes_no_event_along(chaos, settings, tmp_path):
    """In the thread itself, with a connection of its own."""
    settings.PILOTLIGHT = config(chaos, LOG_EVENTS=True)
    chaos.fault("cloud", "server_error")
    with pytest.raises(RuntimeError, match="mine"), transaction.atomic():
        OperatorCommand.objects.filter(pk=0).exists()
        llm().complete(HELLO)
        raise RuntimeError("mine")
    event_writer.WRITER.stop(10.0)
    assert [each.kind for each in FailoverEvent.objects.all()] == ["failed_over"]


def test_nothing_is_logged_when_it_is_off(site, chaos):
    chaos.fault("cloud", "server_error")
    llm().complete(HELLO)
    assert event_writer.WRITER._queue.empty()
    assert event_writer.WRITER._thread is None


def test_a_full_queue_drops_and_counts():
    one = EventWriter()
    for _ in range(event_writer.ROOM + 3):
        one.put(FailoverEvent())
    assert (one._queue.qsize(), one.dropped) == (event_writer.ROOM, 3)


@pytest.mark.django_db(transaction=True)
def test_a_database_that_is_gone_costs_the_events_and_is_said_once(caplog, monkeypatch):
    def fails(*_: object, **__: object):
        raise DatabaseError("gone")

    monkeypatch.setattr(FailoverEvent.objects, "using", fails)
    one = EventWriter()
    for _ in range(3):
        one._step([FailoverEvent()], look=False)
    assert one.dropped == 3
    assert caplog.text.count("gone") == 1


def test_batches_and_the_end():
    one = EventWriter()
    for _ in range(event_writer.BATCH + 1):
        one.put(FailoverEvent())
    one._queue.put(None)
    assert [(len(batch), end) for batch, end in (one._gather(0), one._gather(0))] == [
        (event_writer.BATCH, False),
        (1, True),
    ]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_begins_afresh(monkeypatch):
    monkeypatch.setattr(EventWriter, "_step", lambda *_, **__: None)
    event_writer.WRITER.ensure_running()
    event_writer.WRITER.dropped = 3
    child = os.fork()
    if child == 0:  # pragma: no cover - in the child
        fresh = event_writer.WRITER._thread is None and event_writer.WRITER.dropped == 0
        os._exit(0 if fresh else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_one_thread_however_many_calls(monkeypatch):
    monkeypatch.setattr(EventWriter, "_step", lambda *_, **__: None)
    one = EventWriter()
    threads = [threading.Thread(target=one.ensure_running) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sum(each.name == "django-pilotlight" for each in threading.enumerate()) == 1
    one.stop(5.0)
    one.ensure_running()
    assert not one._thread.is_alive()


# Operators' commands.


@pytest.mark.django_db
def test_a_trip_and_a_reset(logging_site, quiet):
    kept, breaker = OperatorCommands(app), app().target("gpt").health.breaker
    operator_commands.post("trip", "gpt", 600)
    kept.look("default")
    assert (breaker.state.name, breaker.reason) == ("open", "forced")
    assert 590 < breaker.retry_after <= 600
    breaker.close()
    kept.look("default")
    assert breaker.state.name == "closed", "a command is carried out once"
    breaker.trip("forced", 60)
    operator_commands.withdraw(kind="trip", target="gpt")
    operator_commands.post("reset", "gpt", 60)
    kept.look("default")
    assert breaker.state.name == "closed"


def under_way() -> list[tuple[str, float, str | None]]:
    return [(day.target, day.rate, day.route) for day in app().game_days.under_way]


@pytest.mark.django_db
def test_a_drill_ends_by_its_time_and_by_command(logging_site, quiet):
    kept = OperatorCommands(app)
    operator_commands.post("drill", "gpt", 60)
    kept.look("default")
    kept.look("default")
    assert under_way() == [("gpt", 1.0, None)]
    assert llm().complete(HELLO).served_by == "local"
    assert logging_site.hits("cloud") == 0
    OperatorCommand.objects.update(until=timezone.now() - timedelta(seconds=1))
    kept.look("default")
    assert under_way() == []
    operator_commands.post("drill", "gpt", 60, rate=0.5, route="default")
    kept.look("default")
    assert under_way() == [("gpt", 0.5, "default")]
    assert operator_commands.withdraw(kind="drill") == 1
    kept.look("default")
    assert under_way() == []
    operator_commands.post("drill", "gpt", 60)
    kept.look("default")
    kept.end()
    assert under_way() == []


@pytest.mark.django_db
def test_a_drill_is_a_game_day_and_trips_nothing(logging_site, quiet):
    """As `pilotlight drill`: passed over at admission; breaker, budget and attempts see nothing."""
    operator_commands.post("drill", "gpt", 60)
    OperatorCommands(app).look("default")
    for _ in range(20):
        answer = llm().complete(HELLO)
        assert [(each.target, each.reason) for each in answer.receipt.skipped] == [("gpt", "drill")]
        assert [each.target for each in answer.receipt.attempts] == ["local"]
    breaker = app().target("gpt").health.breaker
    assert breaker.state.name == "closed"
    OperatorCommand.objects.all().delete()
    OperatorCommands(app).look("default")
    assert llm().complete(HELLO).served_by == "gpt"


@pytest.mark.django_db
def test_a_drill_strikes_the_calls_of_its_route_and_no_residency_is_lifted(chaos, settings, quiet):
    routes = {"default": {"targets": ["gpt", "local"]}, "other": {"targets": ["gpt", "local"]}}
    settings.PILOTLIGHT = config(chaos, ROUTES=routes, LOG_EVENTS=True)
    operator_commands.post("drill", "gpt", 60, route="other")
    operator_commands.post("drill", "local", 60, route="other")
    OperatorCommands(app).look("default")
    assert llm("default").complete(HELLO).served_by == "gpt"
    with pytest.raises(AllTargetsFailed):
        llm("other").complete(HELLO, private=True)
    assert chaos.hits("cloud") == 1


@pytest.mark.django_db
def test_a_drill_ends_by_its_time_without_the_database(logging_site, quiet, monkeypatch):
    kept = OperatorCommands(app)
    command = operator_commands.post("drill", "gpt", 60)
    kept.look("default")
    [ends] = app().game_days._ends["operators"].values()
    monkeypatch.setattr(app().game_days, "_clock", lambda: ends + 0.1)

    def fails(*_: object):
        raise DatabaseError("gone")

    monkeypatch.setattr(OperatorCommand.objects, "using", fails)
    with pytest.raises(DatabaseError):
        kept.look("default")
    assert command.target == "gpt"
    assert under_way() == []


@pytest.mark.django_db
def test_a_command_for_a_target_that_is_not_there_is_skipped(logging_site, quiet):
    kept = OperatorCommands(app)
    operator_commands.post("trip", "nobody", 60)
    operator_commands.post("trip", "gpt", 60)
    kept.look("default")
    assert app().target("gpt").health.breaker.state.name == "open"


@pytest.mark.django_db(transaction=True)
def test_the_thread_follows_a_command(logging_site, monkeypatch):
    tripped = threading.Event()
    signals.breaker_opened.connect(lambda **_: tripped.set(), weak=False, dispatch_uid="test")
    try:
        operator_commands.post("trip", "gpt", 600)
        llm().complete(HELLO)
        assert tripped.wait(10)
        assert llm().complete(HELLO).served_by == "local"
    finally:
        signals.breaker_opened.disconnect(dispatch_uid="test")


def test_every_fault_fits():
    longest = FailoverEvent._meta.get_field("reason").max_length
    assert max(len(each.value) for each in Fault) <= longest


@pytest.mark.django_db(transaction=True)
def test_an_event_without_the_thread_is_kept_for_it(logging_site, quiet):
    with override_settings(USE_TZ=False):
        app().target("gpt").health.breaker.trip("forced", 1)
        assert len(written()) == 1
