"""The benchmarks' own parts: what they count is right, and what they write can be read."""

import json
from xml.etree import ElementTree as ET

import httpx
import pytest

from benchmarks import (
    clients,
    comparison,
    contest,
    contestants,
    dialects,
    measure,
    publish,
    translation,
    waits,
)
from benchmarks.canned import CHUNKS, canned
from benchmarks.chart import Bar, Chart, chart_of
from benchmarks.chart_svg import svg
from benchmarks.contestants import Setup
from benchmarks.house import says
from benchmarks.memory import _slope
from benchmarks.page import html
from benchmarks.peer_speed import Said
from benchmarks.rows import PROMISES, Row, machine, promises, row_of
from pilotlight_chaos import ChaosServer

BARS = [
    Bar("raw httpx", 1.0, "base", 0.9, 1.2),
    Bar("slow <peer>", 5.0),
    Bar("pilotlight", 1.3, "ours", note="1.3, told"),
]
CHART = Chart("a call", "ms", BARS, limit=1.4)


@pytest.fixture(scope="module")
def server():
    with canned() as base:
        yield base


def test_canned_openai_answers_are_whole(server):
    client = clients.Httpx(f"{server}/0/0/v1")
    assert client.ask() == "All is well here."
    assert [text for text in client.stream() if text] == ["word "] * CHUNKS
    client._client.close()


@pytest.mark.parametrize("base", ["Claude", "Gemini", "Responses", "OllamaHttpx"])
def test_canned_answers_of_the_other_wires_are_whole(server, base):
    path = "" if base == "OllamaHttpx" else "/v1beta"
    client = getattr(clients, base)(f"{server}/0/0{path}")
    assert client.ask() == "All is well here."
    assert [text for text in client.stream() if text] == ["word "] * CHUNKS
    client._client.close()


@pytest.mark.parametrize("wire", ["claude_wire", "gemini_wire", "ollama_wire"])
def test_ours_reads_the_canned_wires(server, wire):
    asked = (
        f"from benchmarks.clients import {wire} as made; ours = made({server!r})['pilotlight']"
        "\nprint(ours.ask(), ''.join(ours.stream()))"
    )
    assert measure.fresh(asked) == f"All is well here. {'word ' * CHUNKS}".strip()


@pytest.mark.parametrize("name", dialects.WIRES)
def test_the_official_sdks_read_the_canned_wires(server, name):
    wire = dialects.WIRES[name]
    asked = (
        "import warnings; warnings.simplefilter('ignore')\nfrom benchmarks.dialects import WIRES"
        f"\nwire = WIRES[{name!r}]\nsdk = wire.sdk({server!r} + '/0/0' + wire.sdk_path)"
        "\nprint(sdk.ask(), ''.join(sdk.stream()))"
    )
    assert measure.fresh(asked) == f"All is well here. {'word ' * CHUNKS}".strip()
    assert wire.target(server)["api_base"].startswith(server)


@pytest.mark.parametrize("name", translation.MODELS)
def test_the_request_that_is_translated_comes_back_whole(name):
    dialect, model = translation.MODELS[name]
    written = dialect.write_request(translation.request(model))
    read = dialect.read_request(written.body).request
    assert len(read["tools"]) == translation.TOOLS
    assert sum(m["role"] == "user" for m in read["messages"]) == translation.TURNS + 1


def test_a_contestant_reads_the_canned_wire(server):
    base = f"{server}/0/0/v1"
    contestant, said = contestants.Httpx(base, base), Said()
    contestant.stream(said)
    assert "".join(said) == "word " * CHUNKS
    assert said.first is not None
    assert contestant.crowd(3) == 3
    contestant._client.close()


def test_each_round_begins_with_another_case():
    order = []
    measure.interleaved({name: lambda name=name: order.append(name) for name in "abc"}, 3)
    assert "".join(order) == "abcbcacab"


def test_a_block_counts_one_call():
    calls = []
    spent = measure.block(lambda: calls.append(sum(range(1000))), 50)
    assert len(calls) == 50
    assert 0 < spent.cpu
    assert spent.wall > 0


@pytest.mark.parametrize(("each", "leaks"), [(0.0, False), (64.0, True)])
def test_the_slope_tells_a_leak_from_none(each, leaks):
    samples = [(1000 * n, 50_000.0 + each * n + 3 * (n % 2)) for n in range(20)]
    slope, either_way = _slope(samples)
    assert slope == pytest.approx(each, abs=1.0)
    assert (slope - either_way > 16) is leaks


def test_a_chart_is_xml_with_ours_first():
    drawn = svg([CHART, CHART], "two <charts>")
    root = ET.fromstring(drawn)
    texts = [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts.index("pilotlight") < texts.index("raw httpx") < texts.index("slow <peer>")
    assert "1.3, told" in texts
    assert "target ≤ 1.40" in texts


def test_charts_and_rows_survive_json():
    row = Row("a figure", "1", "<= 2", ok=True, promise="call", chart=CHART.as_json())
    back = row_of(json.loads(json.dumps(row.as_json())))
    assert back.chart is not None
    assert chart_of(back.chart) == CHART
    assert back.verdict == "ok"


def test_every_promise_has_a_line_even_unmeasured():
    told = promises([Row("whole call", "1.3x", "<= 1.4x", ok=True, promise="call")])
    assert all(said in told for said in PROMISES.values())
    assert told.count("not measured in this run") == len(PROMISES) - 1


def _reports():
    ours = [
        Row("the tap on the wire, per streamed chunk", "40 us", "<= 30 us", ok=False),
        Row("whole call", "9x <b>", "<= 1.4x", ok=False, promise="call", chart=CHART.as_json()),
    ]
    cells = {"pilotlight": "1", "langchain": "2"}
    theirs = [Row("a call", "1", values={"cells": cells}, chart=CHART.as_json())]
    common = {"date": "2026-11-27T00:00:00", **machine()}
    return (
        {**common, "rows": [row.as_json() for row in ours]},
        {**common, "rows": [row.as_json() for row in theirs], "speed_versions": {}},
    )


def test_the_page_stands_alone():
    page = html(*_reports())
    assert "9x &lt;b&gt;" in page
    assert "http://www.w3.org/2000/svg" in page
    assert "src=" not in page
    assert "href=" not in page


def test_what_misses_is_argued_or_said_to_be_unargued():
    page = publish.page(*_reports())
    assert "**the tap on the wire, per streamed chunk**: by the profile" in page
    assert f"**whole call**: {publish.UNARGUED}" in page


class Naive:
    """A worker whose contestant asks the primary `times` in each call, then the backup."""

    def __init__(self, times):
        self.times = times
        self.jobs = []

    def ask(self, job):
        self.jobs.append(job)
        for base in [job["primary"]] * self.times + [job["backup"]]:
            client = contestants.Httpx(base, base, Setup(timeout=0.2))
            try:
                return {"text": client.ask(), "error": None}
            except httpx.HTTPError:
                pass
            finally:
                client._client.close()
        return None


@pytest.mark.parametrize(("times", "early"), [(1, 2), (2, 5)])
def test_what_comes_before_its_time_is_counted(times, early):
    with ChaosServer(reply=says) as house:
        match = waits.Match(house, Naive(times), waits.TUNED)
        assert waits._asked_to_wait(match).startswith(f"{early} too early · slowest ")


def test_the_slowest_call_is_told_with_who_was_asked():
    with ChaosServer(reply=says) as house:
        match = waits.Match(house, worker := Naive(2), waits.TUNED)
        match.ask()
        assert match.got == "primary"
        told, _, asked = waits._hang(match).partition(" · ")
        assert float(told.removesuffix(" s")) >= 0.4, "two attempts of 0.2 s"
        assert asked == "P2 F1"
        assert worker.jobs[0]["setup"] == {"timeout": 10.0, "defaults": False, "pause": 5.0}


def test_who_gives_no_answer_is_waiting_still():
    match = waits.Match(ChaosServer(), Naive(0), waits.DEFAULTS)
    match.got = "nothing"
    assert match.costs() == "STILL WAITING after 130 s"


def test_the_comparison_has_every_row_for_everybody():
    findings = {each.told: contest.Finding(f"<{each.told}>", 1, 1) for each in contest.SCENARIOS}
    times = {told: f"<{told}>" for told in waits.WAITS}
    found = comparison.Comparison(
        findings=dict.fromkeys(comparison.TITLES, findings),
        versions={},
        tuned=contest.Finding("fallback answers", 2, 20),
        waits=dict.fromkeys(comparison.TITLES, times),
        waits_tuned=dict.fromkeys(comparison.TITLES, times),
        date="2026-11-27",
    )
    page = comparison.page(found)
    assert all(page.count(f"<{told}>") == len(comparison.TITLES) for told in findings)
    assert all(page.count(f"<{told}>") == 2 * len(comparison.TITLES) for told in times)
    assert json.loads(json.dumps(found.as_json()))["waits"]["litellm"] == times
