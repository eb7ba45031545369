"""The server under test, whichever it is, and the few things that tests ask of it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

import httpx

USER = [{"role": "user", "content": "Tell me a long story about a lighthouse."}]
WORDS = 4  # tokens that an answer may have, where its length does not matter
PATIENCE = 60.0  # seconds for a real server to unload a model


@dataclass(frozen=True, slots=True)
class Ollama:
    """A base address and a chat model there."""

    http: httpx.Client
    base: str
    model: str

    def get(self, path: str) -> Any:
        return self.http.get(self.base + path).raise_for_status().json()

    def post(self, path: str, body: Any) -> httpx.Response:
        return self.http.post(self.base + path, json=body)

    def chat(self, *, num_ctx: int = 1024, num_predict: int = WORDS, **more: Any) -> Any:
        """Ask one short question, whole; return the answer."""
        options = {"num_ctx": num_ctx, "num_predict": num_predict}
        body = {"model": self.model, "messages": USER, "stream": False, "options": options}
        return self.post("/api/chat", body | more).raise_for_status().json()

    def lines(self, path: str, body: Any) -> list[bytes]:
        """Return the lines of a stream, each with its line end."""
        with self.http.stream("POST", self.base + path, json=body) as response:
            assert response.status_code == 200
            return b"".join(response.iter_raw()).splitlines(keepends=True)

    def objects(self, path: str, body: Any) -> list[Any]:
        return [json.loads(line) for line in self.lines(path, body)]

    @property
    def full_name(self) -> str:
        """The model's name as the server lists it, which is with its tag."""
        return self.model if ":" in self.model else f"{self.model}:latest"

    def running(self) -> dict[str, Any] | None:
        """Return the model's entry in /api/ps; None where it is not loaded."""
        listed = self.get("/api/ps")["models"]
        return next((each for each in listed if each["name"] == self.full_name), None)

    def installed(self) -> dict[str, Any]:
        listed = self.get("/api/tags")["models"]
        return next(each for each in listed if each["name"] == self.full_name)

    def shown(self) -> dict[str, Any]:
        return self.post("/api/show", {"model": self.model}).raise_for_status().json()

    def unload(self) -> None:
        """Unload the model and see it gone; a real server does that after it has answered."""
        self.post("/api/chat", {"model": self.model, "keep_alive": 0}).raise_for_status()
        until = time.monotonic() + PATIENCE
        while self.running() is not None:
            assert time.monotonic() < until, "the model was not unloaded"
            time.sleep(0.05)
