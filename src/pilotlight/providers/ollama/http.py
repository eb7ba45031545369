"""Ollama's `/api/chat` and `/api/embed` over an httpx client of ours, raw lines in and out.

Why not `ollama.Client`: its response models drop `remote_host` (whether the model
really ran here) and tool-call ids, it puts `OLLAMA_API_KEY` on whatever host is
configured, follows redirects, honours proxies, and splits streams at characters
that may stand inside a JSON string (U+0085).  Importing it takes a third of a
second and reads the environment.  What it is known for is kept: refusals are
`ollama.ResponseError`, also in the middle of a stream (`status_code` -1), and
transport trouble is httpx's own.  Facts: Ollama API docs and server source, v0.33.

    with httpx.Client(**client_options(api_base)) as client:
        answer = post_chat(client, body)

What is no answer at all raises `ProviderFault`: HTML or other text
(`malformed_response`), or JSON that breaks off (`stream_truncated`).
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Mapping
from typing import Any, Final

import httpx

from pilotlight.errors import PilotlightError, ProviderFault
from pilotlight.providers.ollama.names import display_name, is_cloud_name, normalise_host
from pilotlight.wire.events.forms import FORMS, odd, odd_evidence
from pilotlight.wire.events.server_sent import check_length, read_event
from pilotlight.wire.http import AsyncJsonClient, JsonClient, Said, parsed

__all__ = [
    "NdjsonDecoder",
    "OllamaRefused",
    "apost_chat",
    "apost_embed",
    "astream_chat",
    "client_options",
    "display_name",
    "is_cloud_name",
    "normalise_host",
    "post_chat",
    "post_embed",
    "stream_chat",
]

Json = dict[str, Any]
OnBroken = Callable[[ProviderFault], None]

_CHAT: Final = "/api/chat"
_EMBED: Final = "/api/embed"


class OllamaRefused(PilotlightError):
    """Stands in for `ollama.ResponseError` where the environment keeps `ollama` from loading.

    Its import fails on an `OLLAMA_HOST` or a proxy variable that it can't read.
    """

    def __init__(self, error: str, status_code: int = -1) -> None:
        super().__init__(error, status_code)
        self.error = error
        self.status_code = status_code

    def __str__(self) -> str:
        return f"{self.error} (status code: {self.status_code})"


def client_options(api_base: str | None = None, api_key: str | None = None) -> Json:
    """Return the arguments for an `httpx.Client` or `AsyncClient` that goes to this host only.

    No proxies, no `.netrc`, no redirects; a key is sent only when one is given
    here, `OLLAMA_API_KEY` is not read.
    """
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    return {
        "base_url": normalise_host(api_base),
        "headers": headers,
        "trust_env": False,
        "follow_redirects": False,
    }


def post_chat(client: httpx.Client | JsonClient, body: Mapping[str, Any] | bytes) -> Json:
    """Ask for a whole answer; `body` should hold `"stream": false`.

    `"done": false` in what comes back means that the answer was cut.
    """
    return _answer(client.post(_CHAT, json=body, follow_redirects=False))


async def apost_chat(
    client: httpx.AsyncClient | AsyncJsonClient, body: Mapping[str, Any] | bytes
) -> Json:
    """Ask for a whole answer, as `post_chat` does."""
    return _answer(await client.post(_CHAT, json=body, follow_redirects=False))


def post_embed(client: httpx.Client | JsonClient, body: Mapping[str, Any] | bytes) -> Json:
    """Ask for vectors."""
    return _answer(client.post(_EMBED, json=body, follow_redirects=False))


async def apost_embed(
    client: httpx.AsyncClient | AsyncJsonClient, body: Mapping[str, Any] | bytes
) -> Json:
    """Ask for vectors, as `post_embed` does."""
    return _answer(await client.post(_EMBED, json=body, follow_redirects=False))


def _refuse(broken: ProviderFault) -> None:
    raise broken


def stream_chat(
    client: httpx.Client | JsonClient,
    body: Mapping[str, Any] | bytes,
    on_broken: OnBroken = _refuse,
) -> Generator[Json, None, None]:
    """Yield the lines of a streamed answer; `body` should hold `"stream": true`.

    A line that can't be read goes to `on_broken`, which raises it, or lets it be left out.

    The request is sent with the first `next()`; `close()` gives the connection
    back, which also makes the server stop.  The end of the iteration proves
    nothing: only a line with `"done": true` does.
    """
    with client.stream("POST", _CHAT, json=body, follow_redirects=False) as response:
        if not response.is_success:
            response.read()
            raise _refusal(response.text, response.status_code)
        decoder = NdjsonDecoder(on_broken)
        try:
            for data in response.iter_bytes():
                yield from decoder.feed(data)
            yield from decoder.finish()
        except httpx.HTTPError:
            if not decoder.done:  # after the last word a broken connection changes nothing
                raise


async def astream_chat(
    client: httpx.AsyncClient | AsyncJsonClient,
    body: Mapping[str, Any] | bytes,
    on_broken: OnBroken = _refuse,
) -> AsyncGenerator[Json, None]:
    """Yield the lines of a streamed answer, as `stream_chat` does; end it with `aclose()`."""
    async with client.stream("POST", _CHAT, json=body, follow_redirects=False) as response:
        if not response.is_success:
            await response.aread()
            raise _refusal(response.text, response.status_code)
        decoder = NdjsonDecoder(on_broken)
        try:
            async for data in response.aiter_bytes():
                for line in decoder.feed(data):
                    yield line
            for line in decoder.finish():
                yield line
        except httpx.HTTPError:
            if not decoder.done:
                raise


class NdjsonDecoder:
    """Cuts a body into lines at line feeds alone and reads each as a JSON object.

    Raises the refusal when a line says `{"error": ...}`: the server reports what
    went wrong after its first chunk as the last line, under status 200.
    """

    def __init__(self, on_broken: OnBroken = _refuse) -> None:
        self.done = False
        self._on_broken = on_broken
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[Json]:
        """Take the next bytes; yield the lines that they complete."""
        *lines, rest = data.split(b"\n")
        for line in lines:
            whole = bytes(self._rest) + line
            self._rest.clear()
            yield from self._line(whole)
        self._rest += rest
        check_length(len(self._rest))

    def finish(self) -> Iterator[Json]:
        """Take note that the body ended: the last line may lack its line end."""
        rest = bytes(self._rest)
        self._rest.clear()
        yield from self._line(rest)

    def _line(self, line: bytes) -> Iterator[Json]:
        if not line.strip() or self.done:  # nothing said after the last word matters
            return
        try:
            said = _read(line)
        except ProviderFault as broken:
            self._on_broken(broken)
            return
        if said.get("error"):
            raise _refusal(line.decode("utf-8", "replace"), -1)
        self.done = said.get("done") is True
        yield said


def _read(line: bytes) -> Json:
    said = read_event(line)
    if (name := odd(said, FORMS["ollama"])) and not said.get("error"):
        raise ProviderFault("malformed_response", evidence=odd_evidence(name))
    return said


def _answer(response: httpx.Response | Said) -> Json:
    if not response.is_success:
        raise _refusal(response.text, response.status_code)
    said = parsed(response.content)
    if said.get("error"):
        raise _refusal(response.text, response.status_code)
    return said


def _refusal(text: str, status: int) -> Exception:
    """Build the `ollama` library's own error, whatever the body looks like."""
    try:
        said = json.loads(text)
        error = said.get("error") or text if isinstance(said, dict) else text
    except (ValueError, RecursionError):
        error = text
    error = error if isinstance(error, str) else json.dumps(error)
    try:
        from ollama import ResponseError  # slow, and only needed here
    except Exception:
        return OllamaRefused(error, status)
    return ResponseError(json.dumps({"error": error}), status)  # it parses what it is given
