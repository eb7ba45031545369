"""The screens that the pages show are those of a real run, but for times and dates."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner
from rich.console import Console

from pilotlight.cli import cli, screen
from pilotlight_chaos import ChaosServer, LocalModel
from tests.docs.pages import blocks

MODELS = (
    LocalModel("llama3.2:3b", loaded=True, num_ctx=8192),
    LocalModel("qwen3:8b", loaded=True, size=5_200_000_000, size_vram=2_900_000_000),
    LocalModel("phi4", size=9_100_000_000, context_length=16384),
    LocalModel("disguised:7b", remote_host="https://ollama.com:443", remote_model="gpt-oss"),
)
CONFIGS = {
    "doctor": """
        [targets.gpt]
        model = "openai/gpt-4o"
        api_base = "{base}"
        abilities = ["tools", "images", "json_schema"]
        retires = {near}
        replacement = "gpt-5.1"
        [targets.small]
        model = "ollama/mistral:7b"
        [targets.local]
        model = "ollama/qwen3:8b"
        concurrency = 2
        [routes.chat]
        targets = ["gpt", "small", "local"]
        total_timeout = 60
        """,
    "status": """
        [targets.small]
        model = "ollama/llama3.2:3b"
        concurrency = 4
        [targets.large]
        model = "ollama/qwen3:8b"
        [targets.other]
        model = "ollama/phi4"
        [targets.gone]
        model = "ollama/mistral:7b"
        [targets.stub]
        model = "ollama/disguised:7b"
        [routes.house]
        targets = ["small", "large", "other"]
        private = true
        """,
}
SHOWN = {block.mark.removeprefix("screen: "): block for block in blocks("text")}


@pytest.mark.parametrize("command", CONFIGS)
def test_the_screen_on_the_page_is_the_real_one(command, tmp_path, monkeypatch):
    with ChaosServer(models=MODELS) as server:
        monkeypatch.setenv("OLLAMA_HOST", server.base("local"))
        monkeypatch.setenv("OPENAI_API_KEY", "sk-not-a-real-key")
        near = (datetime.now(UTC) + timedelta(days=53)).date()
        text = CONFIGS[command].format(base=f"{server.base('gpt')}/v1", near=near)
        (tmp_path / "pilotlight.toml").write_text(text)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(screen, "out", lambda: Console(width=100, highlight=False))
        said = CliRunner().invoke(cli, [command], prog_name="pilotlight").stdout
    assert _timeless(SHOWN[command].text) == _timeless(said)


def _timeless(screen: str) -> list[str]:
    """Return the lines without what differs from run to run, which also moves the columns."""
    screen = re.sub(r"(?m)^(configuration) .*$", r"\1 #", screen)
    screen = re.sub(r"\d{4}-\d\d-\d\d|\d\d:\d\d:\d\d|\d+ ms\b|\d+\.\d s\b", "#", screen)
    return [" ".join(line.split()) for line in screen.strip().splitlines()]
