"""What is odd, wrong or no HTTP at all is answered, and mistakes in faults are explained."""

from __future__ import annotations

import socket
from typing import Any

import httpx
import pytest

from pilotlight_chaos import ChaosServer, FaultError, make_fault


@pytest.mark.parametrize(
    ("kind", "params", "message"),
    [
        ("rate_limt", {}, "did you mean 'rate_limit'"),
        ("rate_limit", {"retryafter": 3}, "did you mean 'retry_after'"),
        ("stall", {"after": -1}, "whole number from 0"),
        ("hang", {"rate": 2}, "from 0 to 1"),
        ("slow", {"seconds": "long"}, "a number"),
        ("empty", {"what": "x"}, '"content" or "choices"'),
    ],
)
def test_mistakes_are_explained(kind: str, params: dict[str, object], message: str) -> None:
    with pytest.raises(FaultError, match=message):
        make_fault(kind, params)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (
            "/v1/chat/completions",
            {"messages": [1, {"content": [1]}], "tools": [{"function": 1}], "stop": 3},
        ),
        (
            "/v1/chat/completions",
            {"messages": [], "stream": True, "stream_options": 3, "max_tokens": "x"},
        ),
        ("/v1/messages", {"messages": [{"content": [1]}], "max_tokens": 9, "output_config": 3}),
        (
            "/v1beta/models/m:generateContent",
            {"contents": [{"parts": 3}], "generationConfig": 3, "toolConfig": 3},
        ),
        ("/api/chat", {"messages": [{"role": 3}], "options": 3, "tools": 3}),
    ],
)
def test_odd_requests_are_survived(
    server: ChaosServer, http: httpx.Client, path: str, body: dict[str, Any]
) -> None:
    url = server.base("x") + path
    assert http.post(url, json={"model": "llama3.2:3b", **body}).status_code == 200


@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x03\x01\x02\x00\r\n\r\n",  # a TLS hello
        b"POST /api/chat HTTP/1.1\r\ncontent-length: zz\r\n\r\n",
        b"POST /api/chat HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_what_is_no_http_is_refused(server: ChaosServer, raw: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as sock:
        sock.sendall(raw)
        assert sock.recv(24).startswith(b"HTTP/1.1 400 Bad Request")
