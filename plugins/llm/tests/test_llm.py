"""The command line and the Python API of llm, with the providers played."""

from __future__ import annotations

import asyncio
import json

import llm
import pytest
from click.testing import CliRunner
from llm.cli import cli

from pilotlight.testing import answers, outage, reset

SAID = "Hello from the pilot"
CONFIG = """
[targets.gpt]
model = "openai/gpt-4o"
[targets.local]
model = "ollama/llama3.2"
[routes.chat]
targets = ["gpt", "local"]
"""


@pytest.fixture(autouse=True)
def _configured(tmp_path, monkeypatch):
    path = tmp_path / "pilotlight.toml"
    path.write_text(CONFIG)
    monkeypatch.setenv("PILOTLIGHT_CONFIG", str(path))
    monkeypatch.setenv("PILOTLIGHT_BACKGROUND", "off")
    monkeypatch.setenv("LLM_USER_PATH", str(tmp_path / "llm"))
    reset()


@pytest.mark.parametrize("how", [(), ("--no-stream",)])
def test_the_command_line_answers_in_an_outage(how):
    with outage("openai", answer=SAID):
        done = CliRunner().invoke(cli, ["-m", "pilotlight/chat", *how, "Hi"])
    assert (done.exit_code, done.stdout.strip()) == (0, SAID)
    logged = json.loads(CliRunner().invoke(cli, ["logs", "--json", "-n", "1"]).stdout)[0]
    assert logged["response_json"]["served_by"] == "local"


def test_the_routes_are_listed():
    assert "pilotlight/chat" in CliRunner().invoke(cli, ["models"]).stdout


def test_a_conversation_is_sent_whole(monkeypatch):
    from pilotlight.playing import script

    seen = []
    real = script.Script.__call__
    monkeypatch.setattr(
        script.Script, "__call__", lambda self, asked: seen.append(asked.body) or real(self, asked)
    )
    with answers([SAID, "And again"]):
        talk = llm.get_model("pilotlight/chat").conversation()
        assert talk.prompt("Hi", system="Be nice.", stream=False).text() == SAID
        assert talk.prompt("Go on.", stream=False).text() == "And again"
    roles = [each["role"] for each in json.loads(seen[-1])["messages"]]
    assert roles == ["system", "user", "assistant", "user"]


@pytest.mark.parametrize("stream", [True, False])
def test_async_code(stream):
    async def ask():
        response = llm.get_async_model("pilotlight/chat").prompt("Hi", stream=stream)
        return await response.text(), await response.usage()

    with answers(SAID):
        text, usage = asyncio.run(ask())
    assert text == SAID
    assert usage.output == len(SAID.split())


def test_private_stays_at_home():
    with answers(SAID):
        response = llm.get_model("pilotlight/chat").prompt("Hi", private=True, stream=False)
        assert response.text() == SAID
    assert response.response_json["served_by"] == "local"


def test_a_configuration_that_is_wrong_keeps_no_other_model_away(monkeypatch):
    monkeypatch.setenv("PILOTLIGHT_CONFIG", "/no/such/file.toml")
    with pytest.warns(UserWarning, match="no such file"):
        done = CliRunner().invoke(cli, ["models"])
    assert done.exit_code == 0
    assert "pilotlight/" not in done.stdout
