"""A chaos server to stand on, a folder of one's own, and the command line."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pilotlight.cli import cli
from pilotlight_chaos import ChaosServer, LocalModel

MODELS = (
    LocalModel("nomic-embed-text:latest", capabilities=("embedding",), family="nomic-bert"),
    LocalModel("gpt-oss:120b-cloud", remote_host="https://ollama.com:443", remote_model="gpt-oss"),
    LocalModel("disguised:7b", remote_host="https://ollama.com:443", remote_model="gpt-oss"),
    LocalModel("llama3.2:3b", slots=4),
)
SECRET = "sk-very-secret-key"


@pytest.fixture(scope="module")
def running():
    with ChaosServer(models=MODELS) as server:
        yield server


@pytest.fixture
def server(running, monkeypatch):
    running.reset()
    monkeypatch.setenv("OLLAMA_HOST", running.base("local"))
    return running


@pytest.fixture
def nobody() -> str:
    """An address on which nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{sock.getsockname()[1]}"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nobody: str) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OLLAMA_HOST", nobody)  # never a real one
    return tmp_path


@pytest.fixture
def run():
    def invoke(*args: str, stdin: str | None = None) -> Result:
        return CliRunner().invoke(cli, args, input=stdin, prog_name="pilotlight")

    return invoke


@pytest.fixture
def write(folder: Path):
    """Write pilotlight.toml from targets (name=model, or a table) and the route over them."""

    def write_file(route: list[str] | None = None, private: bool = False, **targets) -> Path:
        lines = []
        for name, table in targets.items():
            table = {"model": table} if isinstance(table, str) else table
            lines.append(f"[targets.{name}]")
            lines += [f"{key} = {_toml(value)}" for key, value in table.items()]
        lines += ["[routes.chat]", f"targets = {json.dumps(route or list(targets))}"]
        lines += ["private = true"] if private else []
        path = folder / "pilotlight.toml"
        path.write_text("\n".join(lines), "utf-8")
        return path

    return write_file


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(each)}" for key, each in value.items()) + " }"
    return json.dumps(value)


@pytest.fixture
def primary(server):
    """A closed target, played."""
    return {
        "model": "openai/gpt-4o",
        "api_base": f"{server.base('primary')}/v1",
        "api_key": {"value": SECRET},
    }
