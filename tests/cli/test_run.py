"""`pilotlight run`: any program, in any language, on a route."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest
from kit_gateway import MODELS, config, written

from pilotlight.doors.gateway.environment import environment_for
from pilotlight_chaos import ChaosServer

pytestmark = pytest.mark.processes

CURL, NODE = shutil.which("curl"), shutil.which("node")


@pytest.fixture
def chaos():
    with ChaosServer(models=MODELS) as server:
        yield server


@pytest.fixture
def path(chaos, tmp_path):
    return written(tmp_path, config(chaos))


def command(path, *line: str, options=("--route", "chat")) -> list[str]:
    return [sys.executable, "-m", "pilotlight", "--config", str(path), "run", *options, "--", *line]


def run(path, *line: str, **more) -> subprocess.CompletedProcess:
    environment = {**os.environ, **more.pop("env", {})}
    return subprocess.run(
        command(path, *line, **more), capture_output=True, text=True, timeout=120, env=environment
    )


def python(*lines: str) -> tuple[str, ...]:
    return sys.executable, "-c", "\n".join(lines)


def test_what_is_set(path):
    proxies = {"NO_PROXY": "corp.example", "HTTP_PROXY": "http://proxy.example:3128"}
    ended = run(path, "env", env={**proxies, "OPENAI_API_KEY": "sk-of-the-user"})
    assert ended.returncode == 0
    told = dict(line.split("=", 1) for line in ended.stdout.splitlines() if "=" in line)
    port, key = told["OPENAI_BASE_URL"].split(":")[2].split("/")[0], told["OPENAI_API_KEY"]
    assert told["OPENAI_BASE_URL"] == told["OPENAI_API_BASE"] == f"http://127.0.0.1:{port}/v1"
    assert (
        told["ANTHROPIC_BASE_URL"] == told["GOOGLE_GEMINI_BASE_URL"] == f"http://127.0.0.1:{port}"
    )
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "GEMINI_API_KEY", "GOOGLE_API_KEY"):
        assert told[name] == key
    assert key.startswith("plk_")
    assert told["OLLAMA_HOST"] == f"http://127.0.0.1:{port}/{key}"
    assert told["NO_PROXY"] == "corp.example,127.0.0.1,localhost"
    assert "sk-of-the-user" not in ended.stdout
    assert ended.stderr == "pilotlight: 0 calls, 0 failed over, $0.0000\n"


def test_nothing_of_the_users_that_leads_elsewhere_is_left():
    given = {"CLAUDE_CODE_USE_BEDROCK": "1", "GOOGLE_GENAI_USE_VERTEXAI": "true", "PATH": "/bin"}
    made = environment_for(given, 1, "plk_x")
    assert made["PATH"] == "/bin"
    assert not {"CLAUDE_CODE_USE_BEDROCK", "GOOGLE_GENAI_USE_VERTEXAI"} & made.keys()
    assert made["no_proxy"] == "127.0.0.1,localhost"


@pytest.mark.parametrize("code", [0, 1, 7, 255])
def test_the_exit_code_is_passed_on(code, path):
    assert run(path, *python(f"raise SystemExit({code})")).returncode == code


def test_a_program_that_a_signal_ends(path):
    ended = run(path, *python("import os", "os.kill(os.getpid(), 9)"))
    assert ended.returncode == 128 + 9


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_signals_are_passed_on(sig, path):
    program = python(
        "import signal, sys",
        f"signal.signal({int(sig)}, lambda *_: sys.exit(40 + {int(sig)}))",
        "print('ready', flush=True)",
        "signal.pause()",
        "signal.pause()",
    )
    started = subprocess.Popen(command(path, *program), stdout=subprocess.PIPE, text=True)
    with started:
        assert started.stdout.readline() == "ready\n"
        started.send_signal(sig)
        assert started.wait(60) == 40 + sig


def test_ctrl_c_reaches_the_program_and_its_end_is_told(path):
    program = python(
        "import signal, sys",
        "try:",
        "    print('ready', flush=True)",
        "    signal.pause()",
        "except KeyboardInterrupt: sys.exit(9)",
    )
    started = subprocess.Popen(
        command(path, *program),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with started:
        assert started.stdout.readline() == "ready\n"
        os.killpg(started.pid, signal.SIGINT)  # as a terminal does it
        assert started.wait(60) == 9
        assert "0 calls" in started.stderr.read()


def test_a_program_that_there_is_not(path, tmp_path):
    ended = run(path, "no-such-program")
    assert ended.returncode == 127
    assert "no-such-program: no such program" in ended.stderr
    plain = tmp_path / "plain.txt"
    plain.write_text("")
    assert run(path, str(plain)).returncode == 126


def test_which_route(path):
    ended = run(path, "true", options=())
    assert ended.returncode == 2
    assert "choose one with --route NAME" in ended.stderr
    assert run(path, "true", options=("--route", "chta")).returncode == 2


def test_options_of_the_program_are_its_own(path):
    line = command(path, "echo", "--private", "-x", "--help")
    line.remove("--")
    ended = subprocess.run(line, capture_output=True, text=True, timeout=60)
    assert ended.stdout == "--private -x --help\n"


SDKS = """
import anthropic, openai, ollama
from google import genai
ask = [{"role": "user", "content": "hi"}]
print(openai.OpenAI().chat.completions.create(model="o9", messages=ask).choices[0].message.content)
print(anthropic.Anthropic().messages.create(model="m", max_tokens=9, messages=ask).content[0].text)
google = genai.Client()
print(google.models.generate_content(model="gemini-9", contents="hi").text)
print(ollama.chat(model="qwen", messages=ask).message.content)
"""


@pytest.mark.parametrize("private", [False, True])
def test_the_sdks_of_python_need_no_change(private, path, chaos):
    options = ("--route", "chat", *(["--private"] if private else []))
    ended = run(path, *python(SDKS), options=options)
    who = "llama3.2" if private else "gpt-4o"
    assert ended.stdout.count(f"This is {who}") == 4, ended.stderr
    over = 4 if private else 0  # the first target is skipped
    assert f"pilotlight: 4 calls, {over} failed over, $0." in ended.stderr
    assert private == all(each.name == "house" for each in chaos.requests())


@pytest.mark.skipif(CURL is None, reason="curl is not here")
def test_curl(path, chaos):
    chaos.fault("cloud", "overloaded")
    body = json.dumps({"model": "any", "messages": [{"role": "user", "content": "hi"}]})
    script = 'curl -sS "$OPENAI_BASE_URL/chat/completions" -H "Authorization: Bearer $OPENAI_API_KEY" -d "$0"'
    ended = run(path, "sh", "-c", script, body)
    assert json.loads(ended.stdout)["choices"][0]["message"]["content"].startswith(
        "This is llama3.2"
    )
    assert "pilotlight: 1 call, 1 failed over" in ended.stderr


NODE_PROGRAM = """
const ask = body => fetch(process.env.OPENAI_BASE_URL + "/chat/completions", {
  method: "POST", body: JSON.stringify({model: "any", messages: [{role: "user", content: "hi"}], ...body}),
  headers: {"content-type": "application/json", authorization: "Bearer " + process.env.OPENAI_API_KEY},
});
console.log((await (await ask({})).json()).choices[0].message.content);
let text = "";
for await (const piece of (await ask({stream: true})).body) text += new TextDecoder().decode(piece);
console.log(text.trimEnd().endsWith("data: [DONE]"));
const anthropic = await fetch(process.env.ANTHROPIC_BASE_URL + "/v1/messages", {
  method: "POST", headers: {"x-api-key": process.env.ANTHROPIC_API_KEY},
  body: JSON.stringify({model: "any", max_tokens: 9, messages: [{role: "user", content: "hi"}]}),
});
console.log((await anthropic.json()).content[0].text);
"""


@pytest.mark.skipif(NODE is None, reason="node is not here")
def test_node(path):
    ended = run(path, NODE, "--input-type=module", "-e", NODE_PROGRAM)
    assert ended.stdout.count("This is gpt-4o") == 2, ended.stderr
    assert "true\n" in ended.stdout


def test_other_programs_of_this_machine_can_not_use_it(path):
    program = python(
        "import os, urllib.request, urllib.error",
        "try: urllib.request.urlopen(os.environ['OPENAI_BASE_URL'] + '/models')",
        "except urllib.error.HTTPError as error: print(error.code)",
    )
    assert run(path, *program).stdout == "401\n"


NPM_PROGRAM = """
const { OpenAI } = require("openai");
(async () => {
  const client = new OpenAI(), messages = [{ role: "user", content: "hi" }];
  const whole = await client.chat.completions.create({ model: "any", messages });
  console.log(whole.choices[0].message.content);
  let text = "";
  const stream = await client.chat.completions.create({ model: "any", messages, stream: true });
  for await (const chunk of stream) text += chunk.choices[0]?.delta?.content ?? "";
  console.log(text);
  console.log((await client.responses.create({ model: "any", input: "hi" })).output_text);
})();
"""


def test_the_openai_package_of_node(path, chaos):
    """Where it is installed: `npm install openai`, with NODE_PATH naming its folder."""
    found = NODE and subprocess.run([NODE, "-e", "require.resolve('openai')"], capture_output=True)
    if not found or found.returncode:
        pytest.skip("node, or its package openai, is not here")
    assert run(path, NODE, "-e", NPM_PROGRAM).stdout.count("This is gpt-4o") == 3
    chaos.fault("cloud", "overloaded")
    assert run(path, NODE, "-e", NPM_PROGRAM).stdout.count("This is llama3.2") == 3
