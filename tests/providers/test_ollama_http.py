"""Ollama's chat endpoint over httpx, its addresses and its names.

Long, because each way in which a body can end is a case, in both colours.
"""

from __future__ import annotations

import asyncio
import builtins
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from typing import Any

import httpx
import ollama
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotlight.errors import ProviderFault
from pilotlight.providers.ollama.http import (
    NdjsonDecoder,
    OllamaRefused,
    apost_chat,
    astream_chat,
    client_options,
    display_name,
    is_cloud_name,
    normalise_host,
    post_chat,
    stream_chat,
)

HI: dict[str, Any] = {"message": {"role": "assistant", "content": "hi"}, "done": False}
END: dict[str, Any] = {"message": {"content": ""}, "done": True, "done_reason": "stop"}
OVERFLOW = json.dumps({"error": {"code": 400, "type": "exceed_context_size_error"}})

Answer = Callable[[httpx.Request], httpx.Response]
Chat = Callable[[Answer], Any]


class Pieces(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body in pieces, which may end in an error, and knows whether it was closed."""

    def __init__(self, *pieces: bytes, error: Exception | None = None) -> None:
        self.pieces, self.error, self.closed = pieces, error, False

    def __iter__(self) -> Iterator[bytes]:
        yield from self.pieces
        if self.error:
            raise self.error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self:
            yield piece

    def close(self) -> None:
        self.closed = True

    async def aclose(self) -> None:
        self.closed = True


def lines(*said: object, ascii: bool = True) -> bytes:
    return b"".join(json.dumps(s, ensure_ascii=ascii).encode() + b"\n" for s in said)


def replies(content: bytes = b"", status: int = 200, stream: Pieces | None = None) -> Answer:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(status, content=None if stream else content, stream=stream)

    return answer


def _post(answer: Answer) -> Any:
    with httpx.Client(**client_options(), transport=httpx.MockTransport(answer)) as client:
        return [post_chat(client, {"stream": False})]


def _apost(answer: Answer) -> Any:
    async def run() -> Any:
        transport = httpx.MockTransport(answer)
        async with httpx.AsyncClient(**client_options(), transport=transport) as client:
            return [await apost_chat(client, {"stream": False})]

    return asyncio.run(run())


def _stream(answer: Answer) -> Any:
    with httpx.Client(**client_options(), transport=httpx.MockTransport(answer)) as client:
        return list(stream_chat(client, {"stream": True}))


def _astream(answer: Answer) -> Any:
    async def run() -> Any:
        transport = httpx.MockTransport(answer)
        async with httpx.AsyncClient(**client_options(), transport=transport) as client:
            return [line async for line in astream_chat(client, {"stream": True})]

    return asyncio.run(run())


every_shape = pytest.mark.parametrize("chat", [_post, _apost, _stream, _astream])
streams = pytest.mark.parametrize("chat", [_stream, _astream])


@pytest.fixture(autouse=True)
def no_ollama_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OLLAMA_HOST", raising=False)


class TestChat:
    @every_shape
    def test_keeps_what_the_library_would_drop(self, chat: Chat) -> None:
        call = {"id": "call_1", "function": {"name": "f", "arguments": {}}}
        said = {**END, "message": {"tool_calls": [call]}, "remote_host": "https://ollama.com"}
        assert chat(replies(lines(said))) == [said]

    @every_shape
    def test_goes_to_the_native_endpoint_without_a_key(
        self, chat: Chat, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("OLLAMA_API_KEY", "secret")
        monkeypatch.setenv("OLLAMA_HOST", "http://10.0.0.5:1234/prefix")
        seen: list[httpx.Request] = []

        def answer(request: httpx.Request) -> httpx.Response:
            seen.append(request)
            return httpx.Response(200, content=lines(END))

        chat(answer)
        (request,) = seen
        assert str(request.url) == "http://10.0.0.5:1234/prefix/api/chat"
        assert request.method == "POST"
        assert "stream" in json.loads(request.content)
        assert "authorization" not in request.headers

    @every_shape
    @pytest.mark.parametrize(
        ("content", "status", "error"),
        [
            (b'{"error":"model \'m\' not found"}', 404, "model 'm' not found"),
            (b"404 page not found", 404, "404 page not found"),
            (b"", 403, ""),
            (b"[1]", 500, "[1]"),
            (json.dumps({"error": OVERFLOW}).encode(), 400, OVERFLOW),
            (b'{"error":{"message":"x"}}', 400, '{"message": "x"}'),
        ],
    )
    def test_a_refusal_is_the_librarys_own_error(
        self, chat: Chat, content: bytes, status: int, error: str
    ) -> None:
        with pytest.raises(ollama.ResponseError) as caught:
            chat(replies(content, status))
        assert (caught.value.error, caught.value.status_code) == (error, status)

    @every_shape
    def test_a_redirect_is_not_followed(self, chat: Chat) -> None:
        def answer(request: httpx.Request) -> httpx.Response:
            assert request.url.host == "127.0.0.1"
            return httpx.Response(307, headers={"Location": "https://example.com/api/chat"})

        with pytest.raises(ollama.ResponseError) as caught:
            chat(answer)
        assert caught.value.status_code == 307

    @every_shape
    def test_an_error_under_status_200_is_an_error(self, chat: Chat) -> None:
        with pytest.raises(ollama.ResponseError, match="runner has unexpectedly stopped"):
            chat(replies(lines({"error": "model runner has unexpectedly stopped"})))

    @every_shape
    @pytest.mark.parametrize(
        ("content", "fault"),
        [
            (b"<html><h1>Sign in to the hotel</h1></html>", "malformed_response"),
            (b'["a"]', "malformed_response"),
            (b"\xff\xfe\xff", "malformed_response"),
            (b'{"message": oops}', "malformed_response"),
            (b"[" * 100_000, "malformed_response"),
            (b'{"message": {"content": "my secr', "stream_truncated"),
        ],
    )
    def test_what_is_no_answer_is_a_fault(self, chat: Chat, content: bytes, fault: str) -> None:
        with pytest.raises(ProviderFault) as caught:
            chat(replies(content))
        assert caught.value.fault == fault
        assert "secr" not in str(caught.value)

    @pytest.mark.parametrize("chat", [_post, _apost])
    def test_an_empty_body_is_a_fault(self, chat: Chat) -> None:
        with pytest.raises(ProviderFault, match="malformed_response"):
            chat(replies(b""))

    @every_shape
    def test_transport_trouble_is_httpxs_own(self, chat: Chat) -> None:
        def answer(request: httpx.Request) -> httpx.Response:
            raise httpx.ConnectError("refused", request=request)

        with pytest.raises(httpx.ConnectError):
            chat(answer)

    def test_a_key_is_sent_only_when_it_is_given(self) -> None:
        assert client_options("10.0.0.5", "k")["headers"] == {"Authorization": "Bearer k"}
        assert client_options()["trust_env"] is False

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    def test_an_environment_that_breaks_the_library_does_not_hide_the_refusal(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real_import = builtins.__import__

        def failing(name: str, *args: Any) -> Any:
            if name == "ollama":
                raise ValueError("Port could not be cast to integer value")
            return real_import(name, *args)

        monkeypatch.setattr(builtins, "__import__", failing)
        with pytest.raises(OllamaRefused) as caught:
            _post(replies(b'{"error":"busy"}', 503))
        assert (caught.value.error, caught.value.status_code) == ("busy", 503)
        assert str(caught.value) == "busy (status code: 503)"


class TestStream:
    @streams
    def test_yields_every_line(self, chat: Chat) -> None:
        body = Pieces(lines(HI)[:9], lines(HI)[9:] + lines(HI, HI), b"\n", lines(END))
        assert chat(replies(stream=body)) == [HI, HI, HI, END]
        assert body.closed

    @streams
    def test_the_last_line_may_lack_its_line_end(self, chat: Chat) -> None:
        assert chat(replies(lines(HI, END)[:-1])) == [HI, END]

    @streams
    def test_only_line_feeds_end_a_line(self, chat: Chat) -> None:
        said = {**END, "message": {"content": "a\x85b\u2028c\u2029d\x1ee"}}
        assert chat(replies(lines(said, ascii=False))) == [said]

    @streams
    def test_a_stream_that_stops_without_done_just_ends(self, chat: Chat) -> None:
        assert chat(replies(lines(HI))) == [HI]

    @streams
    def test_an_error_after_the_first_chunk(self, chat: Chat) -> None:
        with pytest.raises(ollama.ResponseError) as caught:
            chat(replies(lines(HI, {"error": "unexpected EOF"})))
        assert (caught.value.error, caught.value.status_code) == ("unexpected EOF", -1)

    @streams
    def test_a_cut_connection_counts_until_the_last_word(self, chat: Chat) -> None:
        cut = httpx.RemoteProtocolError("incomplete chunked read")
        with pytest.raises(httpx.RemoteProtocolError):
            chat(replies(stream=Pieces(lines(HI), error=cut)))
        assert chat(replies(stream=Pieces(lines(HI, END), error=cut))) == [HI, END]

    def test_closing_it_early_gives_the_connection_back(self) -> None:
        body = Pieces(lines(HI), lines(HI), lines(END))
        transport = httpx.MockTransport(replies(stream=body))
        with httpx.Client(**client_options(), transport=transport) as client:
            reading = stream_chat(client, {"stream": True})
            assert next(reading) == HI
            assert not body.closed
            reading.close()
            assert body.closed

    def test_closing_it_early_gives_the_connection_back_async(self) -> None:
        body = Pieces(lines(HI), lines(HI), lines(END))

        async def run() -> None:
            transport = httpx.MockTransport(replies(stream=body))
            async with httpx.AsyncClient(**client_options(), transport=transport) as client:
                async with aclosing(astream_chat(client, {"stream": True})) as reading:
                    assert await anext(reading) == HI
                assert body.closed

        asyncio.run(run())


@given(
    said=st.lists(st.dictionaries(st.sampled_from("abc"), st.text()), max_size=4), data=st.data()
)
def test_lines_are_the_same_however_the_body_is_cut(
    said: list[dict[str, str]], data: st.DataObject
) -> None:
    body = lines(*said, ascii=False) if _encodable(said) else lines(*said)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=6)))
    decoder = NdjsonDecoder()
    read: list[Any] = []
    for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True):
        read += decoder.feed(body[start:end])
    assert [*read, *decoder.finish()] == said


def _encodable(said: object) -> bool:
    try:
        return bool(json.dumps(said, ensure_ascii=False).encode())
    except UnicodeEncodeError:
        return False


class TestAddresses:
    @pytest.mark.parametrize(
        ("given", "base"),
        [
            ("", "http://127.0.0.1:11434"),
            ("localhost", "http://localhost:11434"),
            ("10.0.0.5:1234", "http://10.0.0.5:1234"),
            (":1234", "http://127.0.0.1:1234"),
            ("http://box", "http://box:80"),
            ("https://box", "https://box:443"),
            ("HTTPS://Box:8443/ollama/", "https://box:8443/ollama"),
            ("http://box:11434/v1/", "http://box:11434"),
            ("http://box:11434/ollama/api", "http://box:11434/ollama"),
            ("0.0.0.0", "http://127.0.0.1:11434"),
            ("http://0.0.0.0:8080", "http://127.0.0.1:8080"),
            ("[::]:8080", "http://[::1]:8080"),
            ("::1", "http://[::1]:11434"),
            ("https://[2001:db8::1]", "https://[2001:db8::1]:443"),
            ("ollama.com", "https://ollama.com:443"),
            ("box/path?x=1", "http://box:11434/path"),
            ("box:", "http://box:11434"),
            ("  box ", "http://box:11434"),
        ],
    )
    def test_is_read_as_ollama_reads_it(
        self, given: str, base: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert normalise_host(given) == base
        monkeypatch.setenv("OLLAMA_HOST", f' "{given}" ')
        assert normalise_host() == normalise_host("") == base
        assert normalise_host("http://other:1") == "http://other:1"

    @pytest.mark.parametrize("port", ["x", "0", "70000", "-1", "1²"])
    def test_an_invalid_port_becomes_the_default_with_a_warning(
        self, port: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert normalise_host(f"https://box:{port}") == "https://box:443"
        assert "invalid port" in caplog.text

    def test_what_is_no_address_is_refused_without_repeating_a_password(self) -> None:
        with pytest.raises(ValueError, match="unix://"):
            normalise_host("unix:///run/ollama.sock")
        with pytest.raises(ValueError, match="api_key") as caught:
            normalise_host("http://me:hunter2@box")
        assert "hunter2" not in str(caught.value)


class TestNames:
    @pytest.mark.parametrize(
        ("name", "cloud"),
        [
            ("gpt-oss:120b-cloud", True),
            ("qwen3.5:cloud", True),
            ("x:20b:CLOUD", True),
            ("user/x:Cloud ", True),
            ("x:cloud:local", True),
            ("my-cloud-model", False),
            ("my-cloud", False),
            ("llama3.2:3b", False),
            ("llama3.2:cloudy", False),
            ("x:local", False),
            ("", False),
        ],
    )
    def test_cloud_names(self, name: str, cloud: bool) -> None:
        assert is_cloud_name(name) is cloud

    @pytest.mark.parametrize(
        ("name", "shown"),
        [
            ("llama3.2", "llama3.2:latest"),
            ("llama3.2:3b", "llama3.2:3b"),
            ("registry.ollama.ai/library/llama3.2", "llama3.2:latest"),
            ("library/llama3.2:3b", "llama3.2:3b"),
            ("registry.ollama.ai/me/x", "me/x:latest"),
            ("hf.co/library/x:Q4", "hf.co/library/x:Q4"),
            ("localhost:5000/me/x", "localhost:5000/me/x:latest"),
            ("llama3.2:local", "llama3.2:latest"),
            ("llama3.2:3b:LOCAL", "llama3.2:3b"),
        ],
    )
    def test_display_names(self, name: str, shown: str) -> None:
        assert display_name(name) == shown
        assert display_name(shown) == shown
