"""The gate: a target that can't do what a call needs, or can't hold it, is passed over."""

from __future__ import annotations

import pickle

import pytest
from ways import HELLO

from pilotlight import load
from pilotlight.catalog import models
from pilotlight.catalog.litellm_module import litellm
from pilotlight.core.requirements import ABILITIES
from pilotlight.errors import AllTargetsFailed, PromptTruncated, StreamInterrupted
from pilotlight.providers import abilities
from pilotlight.routes.route import Route
from pilotlight.testing import ScriptedTarget
from pilotlight.vocabulary.faults import Fault
from pilotlight_chaos import ChaosServer, LocalModel

TOOLS = [{"type": "function", "function": {"name": "f"}}]
IMAGE = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]
LONG = [{"role": "user", "content": "word " * 500}]


def passed_over(receipt):
    return [(skip.target, skip.reason, skip.detail) for skip in receipt.skipped]


def route_of(*targets, clock):
    return Route("chat", targets, clock=clock)


def test_a_target_without_tools_is_passed_over(clock):
    small = ScriptedTarget("small", clock=clock, lacks=["tools", "images"])
    route = route_of(small, ScriptedTarget("gpt", "done", clock=clock), clock=clock)
    answer = route.complete(HELLO, tools=TOOLS)
    assert answer.text == "done"
    assert passed_over(answer.receipt) == [("small", "unsupported", "tools")]
    assert passed_over(route.complete(IMAGE).receipt) == [("small", "unsupported", "images")]
    assert not small.calls
    assert route.complete(HELLO).receipt.attempts[-1].target == "small"


def test_abilities_may_be_learned_later(clock):
    small = ScriptedTarget("small", clock=clock, lacks=["tools"])
    route = route_of(small, clock=clock)
    with pytest.raises(AllTargetsFailed, match=r"small unsupported \(tools\)"):
        route.complete(HELLO, tools=TOOLS)
    small.lacks = lambda: frozenset()
    assert route.complete(HELLO, tools=TOOLS).text == "ok"


def test_a_prompt_that_can_not_fit_goes_to_the_larger_target(clock):
    small = ScriptedTarget("small", clock=clock, window=499)
    route = route_of(small, ScriptedTarget("gpt", clock=clock, window=500), clock=clock)
    answer = route.complete(LONG)
    assert passed_over(answer.receipt) == [("small", "unsupported", "context")]
    assert answer.receipt.attempts[-1].target == "gpt"


def test_no_target_can_hold_it(clock):
    route = route_of(ScriptedTarget("small", clock=clock, window=10), clock=clock)
    with pytest.raises(AllTargetsFailed, match=r"small unsupported \(context\)") as caught:
        list(route.stream(LONG))
    assert caught.value.retry_after is None


def test_the_configurations_list_is_exact():
    target = {"model": "openai/gpt-4o", "abilities": ["tools"], "context": 300}
    with load({"targets": {"gpt": target}, "routes": {"chat": {"targets": ["gpt"]}}}) as app:
        assert app.target("gpt").lacks() == set(ABILITIES) - {"tools"}
        with pytest.raises(AllTargetsFailed, match=r"gpt unsupported \(images\)"):
            app.route("chat").complete(IMAGE)
        with pytest.raises(AllTargetsFailed, match=r"gpt unsupported \(context\)"):
            app.route("chat").complete(LONG)


def lacks(monkeypatch, row, model="openai/strange", **more):
    monkeypatch.setitem(litellm().model_cost, "strange", {"litellm_provider": "openai", **row})
    with load({"targets": {"it": {"model": model, **more}}}) as app:
        return app.target("it").lacks()


def test_litellms_table_counts_where_it_says_no(monkeypatch):
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.delenv("OPENAI_API_BASE", raising=False)
    row = {"supports_vision": False, "supports_function_calling": True}
    assert lacks(monkeypatch, row) == {"images"}
    assert lacks(monkeypatch, {}) == set()
    assert lacks(monkeypatch, {"supports_vision": None}) == set()
    assert lacks(monkeypatch, row, model="openai/unheard-of") == set()
    assert lacks(monkeypatch, row, model="mistral/strange") == set()
    assert lacks(monkeypatch, row, api_base="http://127.0.0.1:9/v1") == set()
    assert lacks(monkeypatch, row, model="azure/strange", api_base="http://127.0.0.1:9") == set()
    monkeypatch.setattr(models, "known", lambda: None)
    assert lacks(monkeypatch, row) == set()


def test_ollamas_words_are_ours():
    told = abilities.from_ollama(["completion", "vision", "tools", "insert"])
    assert told == {"images", "tools", "json_schema"}
    with load({"targets": {"local": {"model": "ollama/llama3.2"}}}) as app:
        assert app.target("local").lacks() == {"audio", "files", "image_generation"}
        assert not app.target("local").room({"truncate": True})
        assert app.target("local").room({}) == app.target("local").window() == 8192
        app.target("local").health.lacks = frozenset({"thinking"})
        assert app.target("local").lacks() == {"thinking", "audio", "files", "image_generation"}


# An Ollama that does not know `truncate: false`, and cuts without a word.


@pytest.fixture
def local():
    with ChaosServer(models=[LocalModel("llama3.2:3b", server="0.5.7")]) as server:
        target = {"model": "ollama/llama3.2:3b", "api_base": server.base("home"), "context": 1000}
        with load({"targets": {"local": target}}) as app:
            yield app.target("local")


# 950 words in punctuation: more than 1000 tokens by any tokenizer, but not by words alone.
CUT = [{"role": "user", "content": "word-word! " * 475 + "=-" * 1000}]


def half_read(monkeypatch, read):
    """Let the server say that it has read so many tokens."""
    from pilotlight.providers.ollama import provider

    real = provider.cut
    monkeypatch.setattr(
        provider, "cut", lambda call, context, name, _: real(call, context, name, read)
    )


def test_a_prompt_read_in_part_is_no_answer(local, monkeypatch, clock):
    half_read(monkeypatch, 900)
    with pytest.raises(PromptTruncated, match="the server read 900 of about ") as caught:
        route_of(local, clock=clock).complete(CUT)
    assert caught.value.fault == Fault.CONTEXT_EXCEEDED
    assert pickle.loads(pickle.dumps(caught.value)).read == 900


def test_a_larger_target_is_asked_instead(local, monkeypatch, clock):
    half_read(monkeypatch, 900)
    larger = ScriptedTarget("gpt", "whole", clock=clock, window=100_000)
    answer = route_of(local, larger, clock=clock).complete(CUT)
    assert answer.text == "whole"
    assert answer.receipt.attempts[0].fault == "context_exceeded"
    assert answer.receipt.attempts[0].evidence.startswith("the server read 900 of about ")


def test_a_stream_ends_as_interrupted(local, monkeypatch, clock):
    half_read(monkeypatch, 900)
    with pytest.raises(StreamInterrupted) as caught:
        list(route_of(local, clock=clock).stream(CUT))
    assert caught.value.fault == "context_exceeded"
    assert caught.value.partial_text
    assert isinstance(caught.value.__cause__, PromptTruncated)
