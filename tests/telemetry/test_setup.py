"""Processes that set telemetry up, or do not; each in a process of its own."""

from __future__ import annotations

import json
import socket
import sys

import pytest

import pilotlight
from pilotlight.config.schema import parse
from pilotlight.errors import ConfigError
from tests.telemetry.collector import Collector, run

pytestmark = pytest.mark.processes

otlp = pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
pytest.importorskip("opentelemetry.exporter.prometheus")

CONFIGURE = "pilotlight.configure_telemetry('shop', sys.argv[1], json_logs=False)\n"
LOADED = "print(*(n for n in ('opentelemetry', 'structlog') if n in sys.modules))\n"
SDK = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
memory = InMemorySpanExporter()
def set_up():
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(memory))
    trace.set_tracer_provider(provider)
"""
NAMES = "print([span.name for span in memory.get_finished_spans()])\n"
TREE = "['chat a', 'chat b', 'pilotlight.call chat']"


def good(done) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_process_that_asked_for_nothing_loads_nothing_and_is_told_of_the_failover_alone():
    done = run(LOADED + "print(call('chat'))\n" + LOADED)
    assert good(done).split() == ["ok"]
    assert done.stderr == "failover chat: a -> b (timeout, 1 attempt, 0.0 s)\n"


def test_the_api_alone_changes_nothing():
    done = run("import opentelemetry.trace\ncall('chat')\nprint(pilotlight.listeners)")
    assert good(done).strip() == "[]"


def test_a_provider_set_after_the_first_call_is_honoured():
    done = run(SDK + "import logging; logging.basicConfig(level=50)\ncall('first')\nset_up()\n"
               "call('chat')\n" + NAMES)  # fmt: skip
    assert good(done).strip() == TREE


@pytest.mark.parametrize(
    ("name", "value"), [("PILOTLIGHT_TELEMETRY", "off"), ("OTEL_SDK_DISABLED", "true")]
)
def test_it_can_be_switched_off(name, value):
    done = run(SDK + "set_up()\ncall('chat')\n" + NAMES, **{name: value})
    assert good(done).strip() == "[]"


def test_plain_logging_gets_event_and_level_once():
    code = "import logging; logging.basicConfig(format='%(levelname)s %(message)s %(route)s')\n"
    done = run(code + "call('chat')")
    good(done)
    (line,) = done.stderr.splitlines()
    assert line.startswith("WARNING failover chat: a -> b (")
    assert line.endswith(" s) chat")


SAID = [
    "pilotlight.attempt.failed",
    "pilotlight.failover",
    "pilotlight.route.failover",
    "pilotlight.call.completed",
]


def test_json_lines_each_once():
    code = "import logging; logging.basicConfig()\n"
    done = run(code + "pilotlight.configure_telemetry('shop')\ncall('chat')")
    good(done)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["event_name"] for line in lines] == SAID
    assert {len(line["trace_id"]) for line in lines if line["event_name"] != SAID[2]} == {32}
    assert [line["level"] for line in lines] == ["info", "info", "warning", "info"]


def test_spans_and_metrics_arrive():
    with Collector() as collector:
        good(run(CONFIGURE + "call('chat')", collector.url))
        assert {"chat a", "chat b", "pilotlight.call chat"} <= set(collector.spans)
        assert {"gen_ai.client.operation.duration", "pilotlight.failovers"} <= collector.metrics
        resource = {a.key: a.value.string_value for a in collector.spans["chat a"].attributes}
        assert resource["service.name"] == "shop"


FORK = """
call('parent')
child = os.fork()
if child == 0:
    import urllib.request
    call('child')
    urllib.request.urlopen(sys.argv[1] + '/pilotlight.call%20child', timeout=50)
    os._exit(0)  # without the flush of a proper end: the child's own thread has sent it
_, status = os.waitpid(child, 0)
print(os.waitstatus_to_exitcode(status))
"""


def test_a_forked_child_sends_its_own():
    """As a worker of gunicorn does, with `preload_app`."""
    with Collector() as collector:
        done = run(CONFIGURE + FORK, collector.url, OTEL_BSP_SCHEDULE_DELAY="50")
        assert good(done).strip() == "0"
        assert {"pilotlight.call parent", "pilotlight.call child"} <= set(collector.spans)


@pytest.mark.parametrize("mode", ["refuses", "hangs"])
def test_a_bad_collector_costs_calls_nothing_and_does_not_keep_the_process(mode):
    with Collector(mode) as collector:
        done = run(CONFIGURE + "print([call('chat') for _ in range(100)].count('ok'))",
                   collector.url, OTEL_BSP_SCHEDULE_DELAY="20")  # fmt: skip
        assert good(done).strip() == "100"
        assert collector.asked > 0
        assert not collector.let_go.is_set()  # the process has ended, and nobody was answered


def test_nor_does_one_that_is_not_there():
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    assert good(run(CONFIGURE + "print(call('chat'))", url)).strip() == "ok"


def test_a_provider_that_is_set_already_stays():
    code = "import logging; logging.basicConfig()\nset_up()\nmine = trace.get_tracer_provider()\n"
    code += "pilotlight.configure_telemetry('shop', json_logs=False)\n"
    done = run(SDK + code + "print(trace.get_tracer_provider() is mine)")
    assert good(done).strip() == "True"
    assert "has a tracer provider already, which stays" in done.stderr


def test_the_same_settings_twice_are_no_complaint():
    code = "import logging; logging.basicConfig()\n"
    code += "pilotlight.configure_telemetry('shop', json_logs=False)\n" * 2
    done = run(code)
    assert (good(done), done.stderr) == ("", "")


def test_other_settings_write_no_line_twice():
    code = "pilotlight.configure_telemetry('shop')\npilotlight.configure_telemetry('store')\n"
    done = run(code + "call('chat')")
    good(done)
    said = [json.loads(line) for line in done.stderr.splitlines()]
    assert [each["event_name"] for each in said[2:]] == SAID
    assert ["already, which stays" in each["event"] for each in said[:2]] == [True, True]


FORK_WITH_PORTS = """
import urllib.request
mine, its = sys.argv[1:]
pilotlight.configure_telemetry('shop', prometheus_port=int(mine))
child = os.fork()
if child == 0:
    pilotlight.configure_telemetry('shop', prometheus_port=int(its))
    call('child')
    print(urllib.request.urlopen(f'http://127.0.0.1:{its}/metrics', timeout=50).read().decode())
    sys.stdout.flush()
    os._exit(0)
os.waitpid(child, 0)
"""


def test_a_forked_child_may_have_a_port_of_its_own():
    """As gunicorn's `post_fork` gives it, after an application that was loaded before."""
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as two,
    ):
        ports = [str(each.getsockname()[1]) for each in (one, two)]
    done = run(FORK_WITH_PORTS, *ports)
    assert 'pilotlight_route="child"' in good(done)
    assert [json.loads(line)["event_name"] for line in done.stderr.splitlines()] == SAID


def test_what_is_looked_at_is_there_before_the_first_call():
    code = """
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
import pilotlight.telemetry.setup as setup
reader = InMemoryMetricReader()
meters = setup._meters
setup._meters = lambda resource, readers: meters(resource, [reader])
pilotlight.configure_telemetry('shop', json_logs=False)
pilotlight.load({'targets': {'gpt': {'model': 'openai/x', 'retires': '2099-01-01'}},
                 'routes': {'chat': {'targets': ['gpt']}}}).route('chat')
found = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
print(*sorted(each.name for each in found))
"""
    assert good(run(code)).split() == [
        "pilotlight.breaker.status",
        "pilotlight.target.retirement",
    ]


def test_what_the_parents_calls_have_left_is_not_recorded_by_its_child():
    code = """
import os
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
reader = InMemoryMetricReader()
metrics.set_meter_provider(MeterProvider([reader]))
call('parent')
if os.fork() == 0:
    call('child')
    (found,) = [
        m.data.data_points
        for r in reader.get_metrics_data().resource_metrics
        for s in r.scope_metrics
        for m in s.metrics
        if m.name == 'pilotlight.call.duration'
    ]
    print([point.attributes['pilotlight.route'] for point in found], flush=True)
    os._exit(0)
os.wait()
"""
    assert good(run(code)).strip() == "['child']"


def test_prometheus_reads_the_metrics():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    code = f"""
import urllib.request
pilotlight.load({{"telemetry": {{"service_name": "shop", "prometheus_port": {port},
                                "json_logs": False}}}})
call('chat')
print(urllib.request.urlopen('http://127.0.0.1:{port}/metrics', timeout=50).read().decode())
"""
    text = good(run(code))
    wanted = (
        'pilotlight_failovers_total{pilotlight_failover_from="a",pilotlight_failover_reason="timeout"',
        'pilotlight_call_duration_seconds_count{pilotlight_call_outcome="failover"',
        'gen_ai_client_operation_duration_seconds_count{error_type="timeout"',
    )
    assert [line for line in wanted if line not in text] == []


def test_phoenix_is_told_what_a_call_is():
    code = "pilotlight.configure_telemetry('shop', json_logs=False, openinference=True)\n"
    code += """
from opentelemetry import trace
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
memory = InMemorySpanExporter()
trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(memory))
call('chat')
spans = memory.get_finished_spans()
print([span.attributes.get('openinference.span.kind') for span in spans])
print(spans[0].resource.attributes['openinference.project.name'])
"""
    assert good(run(code)).splitlines() == ["[None, None, 'CHAIN']", "shop"]


def test_a_collector_of_traces_only_gets_no_metrics():
    code = "pilotlight.configure_telemetry('shop', sys.argv[1], json_logs=False); call('chat')\n"
    code += "from opentelemetry import metrics; metrics.get_meter_provider().force_flush()\n"
    with Collector() as collector:
        good(run(code, collector.url, OTEL_METRICS_EXPORTER="none"))
    assert "pilotlight.call chat" in collector.spans
    assert collector.metrics == set()


# Mistakes.


@pytest.mark.parametrize(
    ("module", "extra", "given"),
    [
        ("otlp.proto.http.trace_exporter", "otlp", {"otlp_endpoint": "http://localhost:4318"}),
        ("prometheus", "prometheus", {"prometheus_port": 1}),
    ],
)
def test_a_missing_exporter_is_named_with_its_extra(monkeypatch, module, extra, given):
    monkeypatch.setitem(sys.modules, f"opentelemetry.exporter.{module}", None)
    with pytest.raises(ConfigError, match=rf"pip install 'pilotlight\[{extra}\]'"):
        pilotlight.configure_telemetry("shop", json_logs=False, **given)


def test_an_address_that_is_none():
    with pytest.raises(ConfigError, match="localhost:4317'.*http://localhost:4318"):
        pilotlight.configure_telemetry("shop", "localhost:4317")


def test_a_port_that_is_taken():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"prometheus_port={port}: can't listen"):
            pilotlight.configure_telemetry("shop", prometheus_port=port, json_logs=False)


def test_a_wrong_key_of_the_configuration_is_named():
    with pytest.raises(ConfigError, match=r"here: .*telemetry\.otlp_endpoit"):
        parse({"telemetry": {"service_name": "shop", "otlp_endpoit": "x"}}, "here")


def test_switched_off_it_configures_nothing(monkeypatch):
    monkeypatch.setenv("PILOTLIGHT_TELEMETRY", "off")
    pilotlight.load({"telemetry": {"service_name": "shop", "otlp_endpoint": "not one"}})


# What listens may break: calls do not.


@pytest.mark.parametrize("broken", ["open_leg", "note", "close_leg", "close"])
def test_telemetry_that_breaks_costs_no_call(monkeypatch, spy, lines, broken):
    from pilotlight.routes.route import Route
    from pilotlight.telemetry.spans import CallSpans
    from pilotlight.testing import FakeClock, ScriptedTarget
    from pilotlight.vocabulary.faults import Fault

    def fail(*_: object, **__: object):
        raise RuntimeError("telemetry is broken")

    monkeypatch.setattr(CallSpans, broken, fail)
    clock = FakeClock()
    targets = (
        ScriptedTarget("a", Fault.TIMEOUT, clock=clock),
        ScriptedTarget("b", "well", clock=clock),
    )
    route = Route("chat", targets, clock=clock)
    ask = [{"role": "user", "content": "hi"}]
    assert route.complete(ask).text == "well"
    assert len(list(route.stream(ask))) == 2
    assert any("listener failed" in each.getMessage() for each in lines.records)


def test_telemetry_that_can_not_begin_costs_no_call(monkeypatch, lines):
    from pilotlight.routes.route import Route
    from pilotlight.telemetry import environment
    from pilotlight.testing import ScriptedTarget

    monkeypatch.setattr(environment, "signals", lambda: object())
    route = Route("chat", (ScriptedTarget("a"),))
    monkeypatch.setattr("pilotlight.telemetry.listener.attend", None)
    assert route.complete([{"role": "user", "content": "hi"}]).text == "ok"
    assert any("failed to begin" in each.getMessage() for each in lines.records)
