"""What stands outside of `pilotlight-slim` is imported where it is used, and named if missing.

Each extra is tried in a process in which only what slim depends on can be imported.
"""

from __future__ import annotations

import ast
import contextlib
import os
import pickle
import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest

from pilotlight import extras
from pilotlight.errors import ConfigError, MissingExtra
from pilotlight.telemetry.environment import SWITCH

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "pilotlight"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
META = tomllib.loads((ROOT / "packages/pilotlight/pyproject.toml").read_text("utf-8"))["project"]

LOAD = "pilotlight.load({'targets': {'t': {'model': %r}}, 'routes': {'r': {'targets': ['t']}}%s})"
# What a user does who lacks the extra; the first of each is the plainest.
USES = {
    "litellm": [
        LOAD % ("bedrock/some.model", "") + ".route('r')",
        "pilotlight.failover('bedrock/some.model')(lambda *, target: target)()",
        "pilotlight.completion(model='openai/gpt-4o', messages=[])",
        "pilotlight.embedding(model='openai/text-embedding-3-small', input='x')",
        "pilotlight.register_litellm()",
        "pilotlight.preload()",
    ],
    "cli": ["from pilotlight.cli import main; main()"],
    "otel": ["pilotlight.configure_telemetry('shop', json_logs=True)"],
    "otlp": ["pilotlight.configure_telemetry('shop', 'http://127.0.0.1:9')"],
    "prometheus": [
        "pilotlight.configure_telemetry('shop', prometheus_port=1)",
        "from pilotlight.doors.gateway.metrics import own; own()",
    ],
    "redis": [LOAD % ("ollama/llama3.2", ", 'state': 'redis://cache'")],
    "presidio": [
        "import pilotlight.presidio",
        LOAD % ("ollama/llama3.2", ", 'sensitive': 'pilotlight.presidio:classify'"),
    ],
}
# `serve` and `chaos` are used by the command line, so the command line is there.
BY_COMMAND = {"serve": ["serve"], "chaos": ["demo"]}
NO_ERROR_OF_OURS = {"ollama"}  # its one exception has a stand-in: see test_ollama_http.py


def closure(*names: str) -> set[str]:
    """Return the distributions that these depend on, themselves included, without any extra."""
    found: set[str] = set()
    left = list(names)
    while left:
        name = re.split(r"[^\w.-]", left.pop(), maxsplit=1)[0].lower().replace("_", "-")
        if name in found:
            continue
        with contextlib.suppress(PackageNotFoundError):  # for other Pythons than this one
            left += [each for each in requires(name) or () if "extra ==" not in each]
            found.add(name)
    return found


def importable(*names: str) -> set[str]:
    owned = closure(*names)
    return {
        module
        for module, owners in packages_distributions().items()
        if any(owner.lower().replace("_", "-") in owned for owner in owners)
    }


def run(code: str, *more: str) -> subprocess.CompletedProcess[str]:
    """Run a line where only what slim and `more` depend on can be imported."""
    allowed = importable("pilotlight-slim", *more) | {"pilotlight"}
    program = f"""
import sys
class Slim:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top.startswith("_sysconfigdata") or top in sys.stdlib_module_names:
            return None
        if top not in {sorted(allowed)!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
        if name.startswith("opentelemetry.") and name.split(".")[1] in ("sdk", "exporter") :
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Slim())
import importlib.util
real = importlib.util.find_spec
def find_spec(name, package=None):
    try:
        return real(name, package)
    except ModuleNotFoundError:
        return None
importlib.util.find_spec = find_spec
import pilotlight
{code}
"""
    environment = {key: value for key, value in os.environ.items() if key != SWITCH}
    return subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment,
    )


def test_each_extra_has_a_use_here():
    assert {*USES, *BY_COMMAND, *NO_ERROR_OF_OURS} == set(PROJECT["optional-dependencies"])


@pytest.mark.parametrize(
    ("extra", "use"), [(extra, use) for extra, uses in USES.items() for use in uses]
)
def test_what_is_missing_is_named_with_its_extra(extra, use):
    done = run(use)
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1
    assert re.search(rf"not installed.*pip install 'pilotlight(-slim)?\[{extra}\]'", last)
    assert re.match(r"pilotlight: |pilotlight\.[\w.]+\.(MissingExtra|ConfigError|Refuse): ", last)


@pytest.mark.parametrize(("extra", "words"), BY_COMMAND.items())
def test_a_command_that_needs_more_says_so_in_one_line(extra, words):
    done = run(
        f"from pilotlight.cli import main; sys.argv = ['p', *{words}]; main()", "click", "rich"
    )
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert re.search(rf"not installed.*pip install 'pilotlight(-slim)?\[{extra}\]'", line)


def test_the_missing_package_is_an_import_error_a_config_error_and_can_be_pickled():
    error = pytest.raises(MissingExtra, extras.need, "no_such_module", "cli", "this").value
    assert isinstance(error, ImportError)
    assert isinstance(error, ConfigError)
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.extra, again.module) == (str(error), "cli", "no_such_module")


def test_a_package_that_is_there_and_does_not_load_is_not_called_absent(tmp_path, monkeypatch):
    (tmp_path / "half_there.py").write_text("import its_own_dependency")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MissingExtra, match="half_there .which does not load.*its_own_dependency"):
        extras.need("half_there", "cli", "this")


def test_slim_is_small():
    assert len(closure("pilotlight-slim")) <= 20


def test_the_whole_distribution_is_slim_with_extras_of_its_own():
    (base,) = META["dependencies"]
    assert base.endswith(f"=={PROJECT['version']}")
    assert META["version"] == PROJECT["version"]
    usual = set(base[base.index("[") + 1 : base.index("]")].split(","))
    assert usual | set(META["optional-dependencies"]) == set(PROJECT["optional-dependencies"])
    for extra, (needs,) in META["optional-dependencies"].items():
        assert needs == f"pilotlight-slim[{extra}]=={PROJECT['version']}"


# Who may import at the top of a file what is no part of slim: whoever is imported for it alone.
OF_EXTRAS = re.compile(
    r"cli/.+|doors/gateway/server\.py|providers/litellm/(handlers|openai_clients)\.py"
    r"|telemetry/openinference\.py|pytest_plugin\.py"
)


def top_imports(path: Path) -> set[str]:
    """Return what a file imports as it is imported itself."""
    found: set[str] = set()
    left: list[ast.stmt] = list(ast.parse(path.read_text("utf-8")).body)
    while left:
        node = left.pop()
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            left += node.orelse
        elif isinstance(node, ast.If | ast.Try | ast.With | ast.ClassDef):
            left += [each for each in ast.iter_child_nodes(node) if isinstance(each, ast.stmt)]
    return found


def test_no_module_of_slim_imports_anything_else_when_it_is_imported():
    allowed = importable("pilotlight-slim") | sys.stdlib_module_names | {"pilotlight"}
    strange = {
        f"{path.relative_to(SOURCE)}: {name}"
        for path in SOURCE.rglob("*.py")
        if not OF_EXTRAS.fullmatch(path.relative_to(SOURCE).as_posix())
        for name in top_imports(path)
        if name.partition(".")[0] not in allowed or name.startswith("opentelemetry.sdk")
    }
    assert strange == set()


def test_calls_go_through_with_slim_alone(tmp_path):
    """Whole and streamed, sync and async; and what only litellm could carry is passed over."""
    code = """
import asyncio, json, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
SAID = {"id": "x", "object": "chat.completion", "created": 1, "model": "gpt-4o", "choices": [
    {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}]}
PIECES = [{"choices": [{"index": 0, "delta": {"role": "assistant", "content": "hi"}}]},
    {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}]
class Server(BaseHTTPRequestHandler):
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        streamed = asked.get("stream")
        body = json.dumps(SAID)
        if streamed:
            body = "".join(f"data: {json.dumps({**SAID, **each})}\\n\\n" for each in PIECES)
            body += "data: [DONE]\\n\\n"
        self.send_response(200)
        self.send_header("content-type", "text/event-stream" if streamed else "application/json")
        self.end_headers()
        self.wfile.write(body.encode())
    def log_message(self, *_):
        pass
server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
base = f"http://127.0.0.1:{server.server_port}/v1"
app = pilotlight.load({"targets": {"gpt": {"model": "openai/gpt-4o", "api_base": base,
    "api_key": "k"}}, "routes": {"chat": {"targets": ["gpt"]}}})
route, hello = app.route("chat"), [{"role": "user", "content": "Hello"}]
async def both():
    said = (await route.acomplete(hello)).text
    return said, "".join([each.choices[0].delta.content or "" async for each in route.astream(hello)])
answer = route.complete(hello)
print(answer.text, answer.response.choices[0].message.content, answer.response["model"])
print("".join(each.choices[0].delta.content or "" for each in route.stream(hello)))
print(*asyncio.run(both()))
for ask in (lambda: route.embed("x"), lambda: route.complete(hello, extra_query={"a": "b"})):
    try:
        ask()
    except pilotlight.AllTargetsFailed as error:
        print(error.exceptions[0])
"""
    done = run(code)
    assert done.stderr == ""
    assert done.stdout.splitlines()[:3] == ["hi hi gpt-4o", "hi", "hi hi"]
    told = done.stdout.splitlines()[3:]
    assert len(told) == 2
    assert all("gpt: unsupported" in each and "[litellm]" in each for each in told)


def test_whoever_only_names_the_doors_pays_for_no_client():
    """The first answer of a process is quick because nothing comes along that is not needed yet."""
    code = "pilotlight.guard, pilotlight.failover, pilotlight.completion, pilotlight.load({})\n"
    code += "print(sorted({'httpx', 'httpcore', 'http.server'} & set(sys.modules)))"
    assert run(code).stdout == "[]\n"
