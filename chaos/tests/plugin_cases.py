"""Tests that use the plugin, as an application's would; `test_plugin.py` runs them."""

from __future__ import annotations

import contextlib
import os
import sys
import threading

import httpx
import pytest

BODY = {"model": "gpt-4o", "messages": [{"role": "user", "content": "a secret"}]}
LOCAL = BODY | {"model": "llama3.2:3b", "stream": False}


def ask(base: str | None = None) -> str:
    base = base or os.environ["OPENAI_BASE_URL"]
    reply = httpx.post(f"{base}/chat/completions", json=BODY)
    reply.raise_for_status()
    return reply.json()["choices"][0]["message"]["content"]


def ask_local() -> str:
    reply = httpx.post(f"{os.environ['OLLAMA_HOST']}/api/chat", json=LOCAL)
    return reply.json()["message"]["content"]


def test_nothing_happens_unless_it_is_used():
    assert "127.0.0.1" not in os.environ.get("OPENAI_BASE_URL", "")
    assert not [each for each in threading.enumerate() if "pilotlight" in each.name]


@pytest.fixture
def base():
    return os.environ["OPENAI_BASE_URL"]


@pytest.mark.llm_outage("openai", "overloaded", times=1)
def test_a_mark_is_enough_and_comes_before_other_fixtures(base):
    with pytest.raises(httpx.HTTPStatusError, match="503"):
        ask(base)
    assert ask(base)


@pytest.mark.llm_outage("anthropic")
class TestMarksAdd:
    @pytest.mark.llm_outage("openai", kind="auth")
    def test_both(self, llm_chaos):
        with pytest.raises(httpx.HTTPStatusError, match="401"):
            ask()
        assert httpx.post(f"{llm_chaos.base('anthropic')}/v1/messages").status_code == 400


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_async(llm_chaos):
    llm_chaos.outage("openai")
    async with httpx.AsyncClient() as client:
        reply = await client.post(f"{llm_chaos.base('openai')}/chat/completions", json=BODY)
    assert reply.status_code == 500


def test_every_verb(llm_chaos):
    def status(**more):
        return httpx.post(f"{llm_chaos.base('openai')}/chat/completions", json=BODY | more)

    llm_chaos.rate_limit(17)
    assert status().headers["retry-after"] == "17"
    llm_chaos.heal()
    llm_chaos.retire("openai")
    assert status().status_code == 404
    llm_chaos.heal("openai")
    llm_chaos.slow(0.001, jitter=0.001)
    assert status().status_code == 200
    llm_chaos.cut_stream(after=3)
    with pytest.raises(httpx.RemoteProtocolError):
        status(stream=True)
    assert [each.fault for each in llm_chaos.server.requests()] == [
        "rate_limit", "retired", "slow", "cut",
    ]  # fmt: skip
    llm_chaos.fault("ollama", "oom")
    assert httpx.post(f"{llm_chaos.base('ollama')}/api/chat", json=LOCAL).status_code == 500


def test_mistakes(llm_chaos):
    with pytest.raises(ValueError, match="a provider is a name"):
        llm_chaos.outage("server_error")
    with pytest.raises(ValueError, match="did you mean"):
        llm_chaos.outage("openai", "server_eror")
    with pytest.raises(ValueError, match="which is the primary"):
        llm_chaos.assert_primary_hits(1)
    with pytest.raises(TypeError, match="text, not dict"):
        llm_chaos.assert_survived({})


def test_survived(llm_chaos):
    with pytest.raises(AssertionError, match="no provider answered in full: no model was asked"):
        llm_chaos.assert_survived("anything")
    text = ask()
    llm_chaos.assert_survived(text)
    llm_chaos.assert_survived(f"<p>{text}</p>")
    with pytest.raises(AssertionError, match="the text is empty, no provider's whole answer"):
        llm_chaos.assert_survived("")
    with pytest.raises(AssertionError, match=r"the text is 'Sorry.*asked were 1x openai 200"):
        llm_chaos.assert_survived("Sorry, try later")


@pytest.mark.parametrize("kind", ["cut", "eof", "reset", "error_event"])
def test_half_an_answer_is_not_survival(llm_chaos, kind):
    llm_chaos.fault("openai", kind, after=5)
    half = "This is gpt-4o at openai. "
    url = f"{llm_chaos.base('openai')}/chat/completions"
    with contextlib.suppress(httpx.TransportError):
        httpx.post(url, json=BODY | {"stream": True})
    whole = ask_local()
    llm_chaos.assert_survived(whole)
    for shown in (half, half + whole):
        with pytest.raises(AssertionError, match=rf"part of an answer of openai.*\({kind}\)"):
            llm_chaos.assert_survived(shown)


@pytest.mark.parametrize("kind", ["substituted", "sunset"])
def test_a_whole_answer_with_a_catch_is_survival(llm_chaos, kind):
    llm_chaos.fault("openai", kind)
    llm_chaos.assert_survived(ask())


def test_a_retry_at_the_same_provider_is_survival(llm_chaos):
    llm_chaos.fault("openai", "cut", times=1)
    with pytest.raises(httpx.TransportError):
        ask()
    llm_chaos.assert_survived(ask())


def test_stayed_local(llm_chaos):
    with pytest.raises(AssertionError, match="nothing is proven"):
        llm_chaos.assert_stayed_local()
    ask_local()
    llm_chaos.assert_stayed_local()
    cloud = LOCAL | {"model": "gpt-oss:120b-cloud"}
    httpx.post(f"{os.environ['OLLAMA_HOST']}/api/chat", json=cloud)
    with pytest.raises(AssertionError, match=r"1 prompt\(s\) left the machine, to ollama \(gpt"):
        llm_chaos.assert_stayed_local()
    ask()
    with pytest.raises(AssertionError, match=r"2 prompt\(s\).*openai \(gpt-4o\)") as told:
        llm_chaos.assert_stayed_local()
    assert "secret" not in str(told.value)


def test_primary_hits(llm_chaos):
    llm_chaos.outage("openai")
    for _ in range(3):
        with pytest.raises(httpx.HTTPStatusError):
            ask()
    llm_chaos.assert_primary_hits(3)
    with pytest.raises(AssertionError, match="openai was asked 3 times, at most 2 allowed"):
        llm_chaos.assert_primary_hits(2)
    llm_chaos.assert_primary_hits(0, provider="anthropic")


def test_the_plugin_does_not_need_pilotlight(llm_chaos):
    assert ask()
    assert "pilotlight" not in sys.modules
