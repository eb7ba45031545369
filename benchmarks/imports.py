"""What `import pilotlight` costs, and what a local-only call does not import."""

from __future__ import annotations

import json

from benchmarks.measure import Figure, fresh, interleaved, ratio
from benchmarks.rows import PEERS_AS_OF, Row
from pilotlight_chaos import ChaosServer

ROUNDS = 11
STATEMENTS = {
    "pydantic": "import pydantic",
    "pilotlight": "import pilotlight",
    "doors": "from pilotlight import failover, load, completion",
}
TIMED = "import time; began = time.perf_counter(); {}; print(time.perf_counter() - began)"
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


def rows() -> list[Row]:
    """Measure."""
    cases = {
        name: lambda code=code: float(fresh(TIMED.format(code)))
        for name, code in STATEMENTS.items()
    }
    found = interleaved(cases, ROUNDS + 1)
    found = {name: spent[1:] for name, spent in found.items()}  # the first compiles
    base = Figure(found["pydantic"])
    return [
        _against(found, "pilotlight", base, promised=True),
        _against(found, "doors", base, promised=False),
        _local_only(),
    ]


def _against(found: dict[str, list[float]], name: str, base: Figure, promised: bool) -> Row:
    times = ratio(found, name, "pydantic").median
    return Row(
        STATEMENTS[name],
        f"{times:.2f}x: {Figure(found[name]).told('ms')}; pydantic {base.told('ms')}",
        "<= 1.5x import pydantic" if promised else "-",
        times <= 1.5 if promised else None,
        f"import litellm 4.1 s, langchain_openai 2.2 s ({PEERS_AS_OF})",
        {"ratio": times, **Figure(found[name]).values()},
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
