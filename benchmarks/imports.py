"""What `import pilotlight` and the first call cost, and what a local-only call does not import."""

from __future__ import annotations

import json
from collections.abc import Mapping

from benchmarks.canned import canned
from benchmarks.chart import Bar, Chart, bar
from benchmarks.clients import has_via
from benchmarks.measure import Figure, fresh, interleaved, ratio
from benchmarks.rows import PEERS_AS_OF, Row
from benchmarks.versus import LITELLM, OURS, kind
from pilotlight_chaos import ChaosServer

ROUNDS = 3
CALLS = 1  # rounds of first calls, which may import litellm
TIMES, MIB = 1.5, 15.0  # times import pydantic; more than a bare interpreter
STATEMENTS = {
    "pydantic": "import pydantic",
    "pilotlight": "import pilotlight",
    "doors": "from pilotlight import failover, load, completion",
    "nothing": "pass",
}
TIMED = """
import json, time
began, cpu = time.perf_counter(), time.process_time()
{code}
spent = time.perf_counter() - began, time.process_time() - cpu
most = 0.0
try:
    for line in open("/proc/self/status"):  # ru_maxrss may be that of the parent before exec
        if line.startswith("VmHWM"):
            most = int(line.split()[1]) / 1024
except OSError:
    pass
print(json.dumps([*spent, most]))
"""
FIRST = """
import pilotlight
target = {target!r}
table = {{"targets": {{"one": target}}, "routes": {{"chat": {{"targets": ["one"]}}}}}}
pilotlight.load(table).route("chat").complete([{{"role": "user", "content": "hi"}}]).text
"""
FIRST_HTTPX = """
import httpx
with httpx.Client(trust_env=False) as client:
    client.post("{base}/chat/completions", json={{"messages": []}}).json()
"""
FIRST_OPENAI = """
import openai
client = openai.OpenAI(base_url={base!r}, api_key="k")
client.chat.completions.create(model="gpt-4o", messages=[]).choices[0].message.content
"""
LOCAL = """
import json, sys, pilotlight
route = pilotlight.load({{
    "targets": {{"local": {{"model": "ollama/llama3.2:3b", "api_base": {url!r}}}}},
    "routes": {{"chat": {{"targets": ["local"]}}}},
}}).route("chat")
answer = route.complete([{{"role": "user", "content": "hi"}}], private=True)
words = [chunk for chunk in route.stream([{{"role": "user", "content": "hi"}}])]
print(json.dumps([answer.served_by, bool(answer.text), len(words), "litellm" in sys.modules]))
"""
PEERS = f"import litellm 4.1 s and +156 MiB, langchain_openai 2.2 s and +79 ({PEERS_AS_OF})"
Found = Mapping[str, list[list[float]]]


def rows() -> list[Row]:
    """Measure."""
    found = measured(STATEMENTS, ROUNDS)
    walls = _column(found, 0)
    return [
        _against(walls, "pilotlight", promised=True),
        _against(walls, "doors", promised=False),
        _memory(_column(found, 2)),
        _local_only(),
        _first_call(),
    ]


def measured(codes: Mapping[str, str], rounds: int) -> Found:
    """Return the seconds by the clock, those of CPU and the MiB of fresh interpreters."""
    cases = {
        name: lambda code=code: json.loads(fresh(TIMED.format(code=code)).splitlines()[-1])
        for name, code in codes.items()
    }
    found = interleaved(cases, rounds + 1)
    return {name: spent[1:] for name, spent in found.items()}  # the first compiles


def _column(found: Found, place: int) -> dict[str, list[float]]:
    return {name: [each[place] for each in rounds] for name, rounds in found.items()}


def _against(found: Mapping[str, list[float]], name: str, promised: bool) -> Row:
    times = ratio(found, name, "pydantic").median
    base = Figure(found["pydantic"])
    bars = [
        bar(STATEMENTS[name], found[name], "ours"),
        bar(STATEMENTS["pydantic"], found["pydantic"], "base"),
    ]
    return Row(
        STATEMENTS[name],
        f"{times:.2f}x: {Figure(found[name]).told('ms')}; pydantic {base.told('ms')}",
        f"<= {TIMES}x import pydantic" if promised else "-",
        times <= TIMES if promised else None,
        PEERS,
        {"ratio": times, **Figure(found[name]).values()},
        "import" if promised else "",
        Chart("import", "ms", bars, base.median * TIMES * 1e3).as_json() if promised else None,
    )


def _memory(found: Mapping[str, list[float]]) -> Row:
    """Tell the most memory that a fresh interpreter held, less that of one that does nothing."""
    bare = Figure(found["nothing"]).median
    if not bare:
        return Row("import pilotlight, memory", "not measured: there is no /proc here")
    added = {
        name: Figure([each - bare for each in rounds])
        for name, rounds in found.items()
        if name != "nothing"
    }
    ours = added["pilotlight"].median
    bars = [Bar(STATEMENTS[name], figure.median) for name, figure in added.items()]
    return Row(
        "import pilotlight, memory",
        f"+{ours:.1f} MiB; with its doors +{added['doors'].median:.1f}, "
        f"pydantic +{added['pydantic'].median:.1f} (over a bare {bare:.1f})",
        f"<= +{MIB:.0f} MiB",
        ours <= MIB,
        PEERS,
        {name: figure.values() for name, figure in added.items()},
        "import",
        Chart("memory of an import", "MiB", bars, MIB).as_json(),
    )


def _first_call() -> Row:
    """Time a process that imports, makes one call and has its answer."""
    with canned() as server:
        base = f"{server}/0/0/v1"
        wire = {"model": "openai/gpt-4o", "api_base": base, "api_key": "k"}
        local = {"model": "ollama/m", "api_base": f"{server}/0/0", "health": "off"}
        claude = {"model": "anthropic/claude-sonnet-4-5", "api_base": f"{server}/0/0"}
        gemini = {"model": "gemini/gemini-2.5-flash", "api_base": f"{server}/0/0/v1beta"}
        codes = {
            "raw httpx": FIRST_HTTPX.format(base=base),
            OURS: FIRST.format(target=wire),
            "pilotlight, Claude": FIRST.format(target=claude | {"api_key": "k"}),
            "pilotlight, Gemini": FIRST.format(target=gemini | {"api_key": "k"}),
            "pilotlight, Ollama": FIRST.format(target=local),
            "openai SDK": FIRST_OPENAI.format(base=base),
        }
        if has_via():
            codes[LITELLM] = FIRST.format(target={**wire, "via": "litellm"})
        walls = _column(measured(codes, CALLS), 0)
    told = {name: Figure(rounds).told("s") for name, rounds in walls.items()}
    figure = "import and first call of a process"
    return Row(
        figure,
        "; ".join(f"{name} {said}" for name, said in told.items()),
        values=walls,
        chart=Chart(
            figure, "ms", [bar(name, each, kind(name, "raw httpx")) for name, each in walls.items()]
        ).as_json(),
    )


def _local_only() -> Row:
    with ChaosServer() as server:
        url = server.base("house")
        served, answered, chunks, imported = json.loads(fresh(LOCAL.format(url=url)))
        hits = server.hits("house")
    worked = served == "local" and answered and chunks > 0 and hits == 2
    return Row(
        "a local-only route (call and stream) imports litellm",
        f"{'yes' if imported else 'no'}; {hits} requests served by {served}",
        "no",
        worked and not imported,
        values={"imported": imported, "hits": hits},
    )
