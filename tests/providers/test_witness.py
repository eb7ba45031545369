"""A failure that counts has a witness: the wire, the transport, or a response that was kept.

By law and not by list: whatever an SDK wraps its refusal in, and whatever words it quotes,
without a byte written it is the caller's.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from contextlib import suppress
from types import SimpleNamespace

import anthropic
import h11
import httpcore
import httpx
import litellm
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotlight.catalog.litellm_module import litellm as loaded
from pilotlight.core.provider import Timeouts
from pilotlight.diagnosis.report import failure
from pilotlight.errors import InvalidCall
from pilotlight.vocabulary.faults import RULES, Effect
from pilotlight.wire.pool import Pool
from pilotlight.wire.tap import new_tap
from pilotlight_chaos import ChaosServer

TARGET = SimpleNamespace(name="gpt", model="gpt-4o")
REQUEST = httpx.Request("POST", "http://127.0.0.1/v1/chat/completions")
WORDS = [
    "Connection error.",
    "Incorrect API key provided",
    "429 Too Many Requests: rate limit reached",
    "Request timed out.",
    "You exceeded your current quota",
    "model_not_found: no such model",
    "The server is overloaded",
    "",
]


def caused(error, cause):
    error.__cause__ = cause
    return error


def by_litellm(cause):
    """What litellm makes of something it does not expect."""
    try:
        raise cause
    except Exception as error:
        try:
            loaded().exception_type(
                model="gpt-4o", original_exception=error, custom_llm_provider="openai"
            )
        except Exception as mapped:
            return mapped
    raise AssertionError


REFUSALS = {  # by a library, before anything was written; each wraps what it can't read
    "TypeError": TypeError,
    "ValueError": ValueError,
    "unicode": lambda words: UnicodeEncodeError("utf-8", words + "\ud83d", 0, 1, "surrogates"),
    "json": lambda words: json.JSONDecodeError(words, "{", 1),
    "invalid url": httpx.InvalidURL,
    "protocol": lambda words: httpx.LocalProtocolError(words),
    "h11": lambda words: h11.LocalProtocolError(words or "x"),
    "scheme": lambda words: httpx.UnsupportedProtocol(words),
    "sdk": openai.OpenAIError,
    "other sdk": anthropic.AnthropicError,
    "own": type("OwnError", (Exception,), {}),
}
WRAPS = {
    "bare": lambda error: error,
    "openai": lambda error: caused(openai.APIConnectionError(request=REQUEST), error),
    "anthropic": lambda error: caused(anthropic.APIConnectionError(request=REQUEST), error),
    "litellm": by_litellm,
    "both": lambda error: by_litellm(caused(openai.APIConnectionError(request=REQUEST), error)),
}


@given(st.sampled_from(sorted(REFUSALS)), st.sampled_from(sorted(WRAPS)), st.sampled_from(WORDS))
def test_what_was_refused_before_a_byte_was_written_never_counts(kind, wrap, words):
    error = WRAPS[wrap](REFUSALS[kind](words))
    for requests in (0, 1):  # before a request was begun, and after
        tap = new_tap("openai", Timeouts(), watched=True)
        tap.requests = requests
        try:
            failed = failure(TARGET, tap, error, own=True)
        except Exception as raised:
            assert raised is error
            continue
        assert RULES[failed.report.fault].breaker is Effect.IGNORES
        if isinstance(failed.report.error, InvalidCall) and words:
            assert words not in str(failed.report.error)
        try:  # in a decorated function and under LangChain it is raised as it is
            theirs = failure(TARGET, tap, error)
        except Exception as raised:
            assert raised is error
        else:
            assert RULES[theirs.report.fault].breaker is Effect.IGNORES


TROUBLE = {
    "refused": ConnectionRefusedError(111, "refused"),
    "no such host": socket.gaierror(-2, "Name or service not known"),
    "tls": ssl.SSLCertVerificationError(1, "certificate verify failed"),
    "time": TimeoutError(),
    "proxy": httpx.ProxyError("502 Bad Gateway"),
    "connect": httpx.ConnectError("refused"),
    "pool": httpcore.ConnectTimeout(),
    "reset": httpx.ReadError(""),
}


@pytest.mark.parametrize("trouble", TROUBLE)
@pytest.mark.parametrize("wrap", WRAPS)
def test_trouble_of_the_transport_counts_though_nothing_was_written(trouble, wrap):
    tap = new_tap("openai", Timeouts(), watched=True)
    tap.requests = 1
    failed = failure(TARGET, tap, WRAPS[wrap](TROUBLE[trouble]), own=True)
    assert RULES[failed.report.fault].breaker is Effect.COUNTS


def test_where_requests_can_not_be_seen_an_sdks_word_is_taken_unless_a_bug_led_to_it():
    def told(error):
        return failure(TARGET, new_tap("other", Timeouts()), error).report.fault

    limit = litellm.RateLimitError("slow down", "cohere", "command")
    assert told(limit) == "rate_limited"
    assert told(openai.APIConnectionError(request=REQUEST)) == "connection_error"
    response = httpx.Response(503, request=REQUEST)
    assert told(openai.InternalServerError("x", response=response, body=None)) == "overloaded"
    for error in (by_litellm(TypeError("x")), openai.OpenAIError("no key"), Exception("x")):
        with pytest.raises(type(error)) as caught:
            told(error)
        assert caught.value is error


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize(("value", "written"), [("fine", True), (b"bad\r\nX: y", False)])
def test_the_tap_knows_whether_a_byte_was_written(asynchronous, value, written):
    with ChaosServer() as server:
        base = server.base("gpt")
        tap = new_tap("openai", Timeouts())
        pool = Pool(base, wire="openai")
        sent = {"json": {"model": "m", "messages": []}, "headers": {"X-A": value}}

        async def aask():
            return await pool.abound(tap).post(f"{base}/v1/chat/completions", **sent)

        with suppress(httpx.LocalProtocolError):
            if asynchronous:
                asyncio.run(aask())
            else:
                pool.bound(tap).post(f"{base}/v1/chat/completions", **sent)
        assert (tap.requests, tap.written) == (1, written)
        assert len(server.requests("gpt")) == written
        pool.close()
