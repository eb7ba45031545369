"""A sham Ollama in place of a connection's pool: no socket, and time as the test's clock has it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from pilotlight import load
from pilotlight.core.target import Target

MODEL = "llama3.2:3b"
DIGEST = "a" * 64
ENTRY = {"name": MODEL, "model": MODEL, "size": 100, "digest": DIGEST, "details": {}}
SHOWN = {
    "model_info": {
        "general.architecture": "llama",
        "llama.context_length": 131072,
        "llama.rope.scaling.original_context_length": 999,
    },
    "capabilities": ["completion", "tools"],
}
Answer = tuple[int, Any] | Any


class Sham:
    """Answers by path; `asked` lists the paths, `bodies` what was posted to /api/chat."""

    def __init__(self, **paths: Answer) -> None:
        self.asked: list[str] = []
        self.bodies: list[Mapping[str, Any]] = []
        self.answers: dict[str, Any] = {
            "version": {"version": "0.33.0"},
            "tags": {"models": [ENTRY]},
            "show": SHOWN,
            "status": {"cloud": {"disabled": False, "source": "none"}},
            "ps": {"models": []},
            "chat": {"model": MODEL, "message": {"role": "assistant", "content": ""}, "done": True},
        }
        self.answers.update(paths)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        name = request.url.path.rpartition("/")[2]
        self.asked.append(name)
        if name == "chat":
            self.bodies.append(json.loads(request.content))
        answer = self.answers[name]
        if isinstance(answer, Callable):
            answer = answer(request)
        if isinstance(answer, Exception):
            raise answer
        status, body = answer if isinstance(answer, tuple) else (200, answer)
        if isinstance(body, str):
            return httpx.Response(status, text=body)
        return httpx.Response(status, json=body)

    def client(self) -> httpx.Client:
        return _Client(transport=httpx.MockTransport(self), base_url="http://127.0.0.1:9")

    aclient = bound = abound = client  # as a Pool has them

    def close(self) -> None:
        pass


def local_target(sham: Sham | None = None, clock=None, **options: Any) -> Target:
    """A local target as the configuration makes it, on a sham server or on a real address."""
    given = {"model": f"ollama/{MODEL}", "api_base": "http://127.0.0.1:9"} | options
    app = load({"targets": {"local": given}}, **({"clock": clock} if clock else {}))
    target = app.target("local")
    if sham is not None:
        target.provider.connection._pool = sham
        target.provider.client = sham.client()  # for the calls themselves
    return target


class _Client(httpx.Client):
    """Takes JSON that is written already, as pilotlight's own clients do."""

    def build_request(self, method: str, url: httpx.URL | str, **how: Any) -> httpx.Request:
        if isinstance(how.get("json"), bytes):
            how["content"] = how.pop("json")
        return super().build_request(method, url, **how)
