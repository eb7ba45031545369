"""`pilotlight serve` under test: its processes, and the road that its callers take."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx

from .doors import Door, Hear, messages

STARTING = 60.0  # seconds
TRIES = 2  # as any client makes: one for a connection that breaks before an answer


class Gateway:
    """A gateway with so many workers, on a free port."""

    def __init__(self, config: Mapping[str, Any], workers: int, route: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="pilotlight-gateway-")
        self._path = Path(self._folder.name) / "pilotlight.toml"
        self._path.write_text("\n".join(toml(config)), "utf-8")
        self._route = route
        command = [sys.executable, "-m", "pilotlight", "--config", str(self._path), "serve"]
        self._process = subprocess.Popen(
            [*command, "--port=0", f"--workers={workers}", "--no-access-log"],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._said: list[str] = []
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, name="gateway-said")
        self._reader.start()
        self.url = self._wait_said(r"on (http://\S+)")

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            with self._changed:
                self._said.append(line)
                self._changed.notify_all()

    def _wait_said(self, pattern: str) -> str:
        def found() -> re.Match[str] | None:
            return re.search(pattern, "".join(self._said))

        with self._changed:
            self._changed.wait_for(lambda: found() or self._process.poll() is not None, STARTING)
        if (told := found()) is None:
            raise RuntimeError(f"the gateway does not say {pattern!r}: {''.join(self._said)}")
        return told[1] if told.groups() else told[0]

    def kill_worker(self) -> None:
        """Kill one of the workers with SIGKILL; where there is one process only, that one."""
        own = self._process.pid
        children = Path(f"/proc/{own}/task/{own}/children").read_text("utf-8").split()
        os.kill(int(children[0]) if children else own, signal.SIGKILL)

    def break_configuration(self) -> None:
        """Write a file that can't be used, and have it read; returns when that was told."""
        self._path.write_text("[targets", "utf-8")
        self._process.send_signal(signal.SIGHUP)
        self._wait_said("the configuration stays as it was")

    def door(self) -> Door:
        """Return the way in over HTTP, as OpenAI's SDKs take it."""

        def ask(shape: str, prompt: str, hear: Hear) -> str:
            with httpx.Client(transport=httpx.HTTPTransport(retries=TRIES - 1)) as client:
                request = self._request(client, shape, prompt)
                if shape == "sync":
                    return whole(client.send(request))
                reply = client.send(request, stream=True)
                try:
                    return heard(reply.raise_for_status().iter_lines(), hear)
                finally:
                    reply.close()

        async def aask(shape: str, prompt: str, hear: Hear) -> str:
            transport = httpx.AsyncHTTPTransport(retries=TRIES - 1)
            async with httpx.AsyncClient(transport=transport) as client:
                request = self._request(client, shape, prompt)
                reply = await client.send(request, stream=True)
                try:
                    if shape == "async":
                        await reply.aread()
                        return whole(reply)
                    reply.raise_for_status()
                    return heard([line async for line in reply.aiter_lines()], hear)
                finally:
                    await reply.aclose()

        return Door(ask, aask)

    def _request(
        self, client: httpx.Client | httpx.AsyncClient, shape: str, prompt: str
    ) -> httpx.Request:
        stream = shape in ("stream", "astream")
        body = {"model": self._route, "messages": messages(prompt), "stream": stream}
        return client.build_request(
            "POST", f"{self.url}/v1/chat/completions", json=body, timeout=30
        )

    def close(self) -> None:
        """End it; may be called twice."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()
        self._reader.join()
        if self._process.stderr is not None:
            self._process.stderr.close()
        self._folder.cleanup()


def whole(reply: httpx.Response) -> str:
    """Return the text of an answer; raises for a refusal."""
    text: str = reply.raise_for_status().json()["choices"][0]["message"]["content"]
    return text


def heard(lines: Any, hear: Hear) -> str:
    """Read the lines of a stream; raises for one that has no last word."""
    said: list[str] = []
    for line in lines:
        data = line.removeprefix("data: ")
        if data == "[DONE]":
            return "".join(said)
        for choice in json.loads(data).get("choices", ()) if data != line else ():
            piece = choice["delta"].get("content") or ""
            said.append(piece)
            hear(piece)
    raise RuntimeError("the stream has no last word")


def toml(table: Mapping[str, Any], name: str = "") -> Iterator[str]:
    """Yield the lines of a configuration: its values are JSON's, which TOML reads as well."""
    for key, value in table.items():
        if not isinstance(value, Mapping):
            yield f"{json.dumps(key)} = {json.dumps(value)}"
    for key, value in table.items():
        if isinstance(value, Mapping):
            inner = f"{name}.{json.dumps(key)}" if name else json.dumps(key)
            yield f"[{inner}]"
            yield from toml(value, inner)
