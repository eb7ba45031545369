"""Recorded answers: a file for each test, without any key.

What is kept of a request is its method, its path and its JSON; of an answer its status, its text,
and of its headers only what a client goes by.  The key of the request is taken out of the answer.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import httpx

from pilotlight.playing.script import house_answer, json_reply
from pilotlight.playing.server import Asked, Reply

_KEPT: Final = re.compile(r"content-type|retry-after(-ms)?|x-should-retry|request-id|x-request-id")
_KEYS: Final = ("authorization", "x-api-key", "api-key", "x-goog-api-key")
_QUERY_KEY: Final = re.compile(r"(?<=[?&])(key|api_key|api-key)=[^&]*&?")
_HOPS: Final = frozenset({"host", "connection", "content-length", "transfer-encoding"})
REMOVED: Final = "REMOVED"
PATIENCE: Final = 600.0  # seconds; the clocks of the call that is recorded are shorter


class Recording:
    """Asks the real provider, hands on what it says, and keeps it."""

    def __init__(self) -> None:
        self.kept: list[dict[str, Any]] = []
        self._lock = threading.Lock()
        self._client = httpx.Client(timeout=PATIENCE, trust_env=False)  # no proxy

    def __call__(self, asked: Asked) -> Reply:
        headers = {name: value for name, value in asked.headers.items() if name not in _HOPS}
        request = self._client.build_request(
            asked.method, asked.origin + asked.path, headers=headers, content=asked.body
        )
        try:
            answer = self._client.send(request, stream=True)
        except httpx.HTTPError as error:
            said = {"error": {"message": f"not recorded: {asked.origin} {error}"}}
            return Reply(
                502, {"content-type": "application/json"}, iter([json.dumps(said).encode()])
            )
        told = {name: value for name, value in answer.headers.items() if name not in _HOPS}
        told.pop("content-encoding", None)  # it is read as what it means
        return Reply(answer.status_code, told, self._pieces(asked, answer))

    def _pieces(self, asked: Asked, answer: httpx.Response) -> Iterator[bytes]:
        heard = bytearray()
        try:
            for piece in answer.iter_bytes():
                heard += piece
                yield piece
        finally:
            answer.close()
            kept = {name: value for name, value in answer.headers.items() if _KEPT.fullmatch(name)}
            text = bytes(heard).decode("utf-8", "replace")
            for secret in _secrets(asked):
                text = text.replace(secret, REMOVED)
            with self._lock:
                self.kept.append(
                    {
                        "request": _request(asked),
                        "response": {"status": answer.status_code, "headers": kept, "body": text},
                    }
                )

    def write(self, path: Path) -> None:
        """Write the cassette; one without a call is no file."""
        self._client.close()
        if not self.kept:
            path.unlink(missing_ok=True)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.kept, indent=1, ensure_ascii=False) + "\n", "utf-8")


class Replaying:
    """Answers as was recorded, each answer once; `missed` are the requests that were not."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.missed: list[str] = []
        self._left: list[dict[str, Any]] = (
            json.loads(path.read_text("utf-8")) if path.is_file() else []
        )
        self._lock = threading.Lock()

    def __call__(self, asked: Asked) -> Reply:
        wanted = _request(asked)
        with self._lock:
            place = next((n for n, one in enumerate(self._left) if one["request"] == wanted), None)
            found = None if place is None else self._left.pop(place)["response"]
        if found is not None:
            return Reply(found["status"], found["headers"], iter([found["body"].encode()]))
        if (house := house_answer(asked)) is not None:
            return house
        told = f"{asked.method} {wanted['path']} is not in {self.path.name}"
        self.missed.append(told)
        said = {"error": {"message": f"{told}: record it by pytest --llm-record"}}
        return json_reply(said, 400)


def _request(asked: Asked) -> dict[str, Any]:
    try:
        body = json.loads(asked.body) if asked.body else None
    except ValueError:
        body = asked.body.decode("utf-8", "replace")
    path = _QUERY_KEY.sub("", asked.path).rstrip("?&")
    return {"method": asked.method, "path": path, "body": body}


def _secrets(asked: Asked) -> Iterator[str]:
    """Yield the credentials of a request."""
    for name in _KEYS:
        if value := asked.headers.get(name, ""):
            yield value
            yield value.removeprefix("Bearer ")
    for found in _QUERY_KEY.finditer(asked.path):
        yield found[0].partition("=")[2].rstrip("&")


def path_for(folder: Path, module: str, test: str) -> Path:
    """Return where a test's cassette stands."""
    safe: Mapping[int, str] = str.maketrans(dict.fromkeys('/\\:*?"<>| [],', "-"))
    return folder / "cassettes" / module / f"{test.translate(safe)[:120]}.json"
