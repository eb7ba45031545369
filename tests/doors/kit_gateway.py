"""A gateway on a real socket, before played providers."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

import pilotlight
from pilotlight.doors.gateway.access import Access
from pilotlight.doors.gateway.gateway import Gateway
from pilotlight.doors.gateway.keys import Key, KeyRing, digest
from pilotlight.doors.gateway.server import Server, listen
from pilotlight_chaos import ChaosServer
from pilotlight_chaos.lab.gateway import toml

MODELS = ["llama3.2", "nomic-embed-text"]
ASK = [{"role": "user", "content": "hi"}]


def config(chaos: ChaosServer, **serve) -> dict:
    """Two closed models with a local one behind each, embeddings, and a route that is private."""
    closed = {"api_key": "sk-test", "retry": {"max_retries": 0}}
    return {
        "targets": {
            "gpt": {"model": "openai/gpt-4o", "api_base": f"{chaos.base('cloud')}/v1", **closed},
            "claude": {
                "model": "anthropic/claude-sonnet-4-5",
                "api_base": chaos.base("ant"),
                **closed,
            },
            "local": {"model": "ollama/llama3.2", "api_base": chaos.base("house")},
            "vectors": {"model": "ollama/nomic-embed-text", "api_base": chaos.base("house")},
        },
        "routes": {
            "chat": {"targets": ["gpt", "local"]},
            "claude": {"targets": ["claude", "local"]},
            "vectors": {"targets": ["vectors"]},
            "cloud": {"targets": ["gpt"]},
        },
        "serve": serve,
    }


@dataclass
class Site:
    """A gateway that listens."""

    gateway: Gateway
    server: Server
    port: int
    client: httpx.Client

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def post(self, path: str, body=None, **more) -> httpx.Response:
        return self.client.post(f"{self.url}{path}", json=body, **more)

    def get(self, path: str, **more) -> httpx.Response:
        return self.client.get(f"{self.url}{path}", **more)

    def chat(self, model: str = "chat", **more) -> httpx.Response:
        headers = more.pop("headers", {})
        body = {"model": model, "messages": ASK, **more}
        return self.post("/v1/chat/completions", body, headers=headers)

    def raw(self) -> socket.socket:
        """A connection on which a test writes what it likes."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)


def ring(**keys: Key) -> KeyRing:
    """Keys of which each secret is `plk_` and its name."""
    return KeyRing(
        keys={
            name: key.model_copy(update={"sha256": digest(secret(name))})
            for name, key in keys.items()
        }
    )


def secret(name: str) -> str:
    return f"plk_{name}"


def bearer(name: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret(name)}"}


@contextmanager
def serving(settings: dict, access: Access | None = None, **more) -> Iterator[Site]:
    """Have a gateway listen in a thread."""
    with pilotlight.load(settings) as app:
        gateway = Gateway(app, Access() if access is None else access, **more)
        bound = listen("127.0.0.1", 0)
        begun = threading.Event()
        server = Server(gateway, listening=begun.set)
        thread = threading.Thread(target=server.run, args=([bound],), daemon=True)
        thread.start()
        assert begun.wait(30)
        fresh = httpx.Limits(max_keepalive_connections=0)  # a connection for each request
        try:
            with httpx.Client(trust_env=False, timeout=30, limits=fresh) as client:
                yield Site(gateway, server, bound.getsockname()[1], client)
        finally:
            server.should_exit = server.force_exit = True
            thread.join(30)


def stream_request(path: str, body: dict, **headers: str) -> bytes:
    """A request as bytes, for a raw connection."""
    data = json.dumps(body).encode()
    head = {"host": "127.0.0.1", "content-length": str(len(data)), **headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    return f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + data


def wait_for(true, seconds: float = 20.0) -> None:
    """Wait until something holds that nothing tells of."""
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends
        threading.Event().wait(0.01)


# `pilotlight serve` as a process.


def written(folder: Path, settings: dict) -> Path:
    """Write a configuration down, as TOML."""
    path = folder / "pilotlight.toml"
    path.write_text("\n".join(toml(settings)))
    return path


class Process:
    """A gateway in processes of its own, whose stderr is read as it comes."""

    def __init__(self, path: Path, *options: str) -> None:
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        environment.pop("PILOTLIGHT_TELEMETRY", None)
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "pilotlight",
                "--config",
                str(path),
                "serve",
                "--port",
                "0",
                *options,
            ],
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            env=environment,
            text=True,
        )
        self.said: list[str] = []
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.url = self.wait_for(r"on (https?://\S+)")[0]

    def _read(self) -> None:
        for line in self._process.stderr:
            with self._changed:
                self.said.append(line)
                self._changed.notify_all()

    @property
    def text(self) -> str:
        return "".join(self.said)

    def wait_for(self, pattern: str, count: int = 1) -> list[str]:
        """Wait until something was said so often; return what."""
        with self._changed:
            found = self._changed.wait_for(
                lambda: (
                    len(re.findall(pattern, self.text)) >= count or self._process.poll() is not None
                ),
                60,
            )
        told = re.findall(pattern, self.text)
        assert found and len(told) >= count, self.text
        return told

    def workers(self) -> list[int]:
        children = f"/proc/{self._process.pid}/task/{self._process.pid}/children"
        return [int(each) for each in Path(children).read_text().split()]

    def send(self, sig: int) -> None:
        self._process.send_signal(sig)

    def wait(self) -> int:
        code = self._process.wait(60)
        self._reader.join(10)
        return code

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(30)
        self._reader.join(10)
        self._process.stderr.close()
