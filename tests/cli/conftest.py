"""A chaos server to stand on, a folder of one's own, and the command line."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
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


class Sham:
    """A server that answers what it is told to: an old one's fields, or nothing at all."""

    def __init__(self, answers: Mapping[str, object]) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        sham = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                sham.asked.append((f"{self.command} {self.path}", dict(self.headers)))
                self.rfile.read(int(self.headers.get("content-length") or 0))
                said = json.dumps(answers.get(self.path)).encode()
                self.send_response(200 if self.path in answers else 404)
                self.send_header("content-length", str(len(said)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(said)

            do_POST = do_HEAD = do_GET  # noqa: N815 - as the base class calls them

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


# A server of 0.3: no capabilities, no status, no context in /api/ps, no size in video memory.
OLD_OLLAMA = {
    "/api/version": {"version": "0.3.0"},
    "/api/tags": {"models": [{"name": "llama3.2:3b", "model": "llama3.2:3b"}]},
    "/api/show": {"model_info": {}},
    "/api/ps": {"models": [{"name": "llama3.2:3b", "size": 2_000_000_000}]},
}


@pytest.fixture
def sham():
    server = Sham(OLD_OLLAMA)
    yield server
    server.close()


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
