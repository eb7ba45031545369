"""Costs and tags by the doors: what an answer cost by its API's own count, and whose call it was."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Final

import pytest

import pilotlight
from pilotlight import BudgetSpent, ConfigError, InvalidCall, failover, guard, receipts, tagged
from pilotlight.catalog import models
from pilotlight.catalog.prices import Listed
from pilotlight.core.spending.price import UNKNOWN
from pilotlight_chaos import ChaosServer
from tests.providers.loopback import Loopback, reply, said

ASK: Final[Any] = [{"role": "user", "content": "hello"}]
PRICE: Final = {"input": 3.0, "output": 15.0, "cached_input": 0.3, "cache_write": 3.75}
# What each API says of the same 12,000 tokens of a prompt (9,000 from a cache, of Claude's 2,000
# into it) and 400 of an answer; the dollars were reckoned by hand.
WRITTEN: Final = 0.003 + 0.0027 + 0.0075 + 0.006
CACHED: Final = 0.009 + 0.0027 + 0.006
TEXT: Final = {"role": "assistant", "content": "hi"}
APIS: Final[Mapping[str, tuple[str, str, dict[str, Any], float]]] = {
    "openai": ("openai/gpt-4.1", "/v1", {
        "id": "c", "object": "chat.completion", "created": 1, "model": "gpt-4.1",
        "choices": [{"index": 0, "message": TEXT, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 12_000, "completion_tokens": 400, "total_tokens": 12_400,
                  "prompt_tokens_details": {"cached_tokens": 9000}},
    }, CACHED),
    "responses": ("openai/responses/gpt-4.1", "/v1", {
        "id": "r", "object": "response", "created_at": 1, "model": "gpt-4.1",
        "status": "completed", "output": [{
            "id": "m", "type": "message", "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": "hi", "annotations": []}],
        }],
        "usage": {"input_tokens": 12_000, "output_tokens": 400, "total_tokens": 12_400,
                  "input_tokens_details": {"cached_tokens": 9000}},
    }, CACHED),
    "anthropic": ("anthropic/claude-sonnet-4-5", "", {
        "id": "m", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
        "content": [{"type": "text", "text": "hi"}], "stop_reason": "end_turn",
        "usage": {"input_tokens": 1000, "cache_read_input_tokens": 9000,
                  "cache_creation_input_tokens": 2000, "output_tokens": 400},
    }, WRITTEN),
    "gemini": ("gemini/gemini-2.5-flash", "/v1beta", {
        "candidates": [{"content": {"parts": [{"text": "hi"}]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 12_000, "cachedContentTokenCount": 9000,
                          "candidatesTokenCount": 100, "thoughtsTokenCount": 300},
        "modelVersion": "gemini-2.5-flash", "responseId": "r",
    }, CACHED),
}  # fmt: skip


def loaded(targets: dict[str, Any], **more: Any) -> Any:
    return pilotlight.load(
        {"targets": targets, "routes": {"chat": {"targets": [*targets], "gather": "never"}}, **more}
    )


@pytest.mark.parametrize("name", APIS)
def test_an_answer_costs_what_its_own_api_counts(name):
    model, path, answer, dollars = APIS[name]
    with Loopback(lambda _path, _body: said(answer)) as server:
        target = {"model": model, "api_base": server.url + path, "api_key": "k", "price": PRICE}
        with loaded({"one": target}) as app:
            told = app.route("chat").complete(ASK)
            assert told.cost == pytest.approx(dollars, abs=1e-12)
            assert told.receipt.to_dict()["cost"] == told.cost
            json.dumps(told.receipt.to_dict())


def test_a_stream_costs_what_its_last_chunk_counts():
    def chunk(choices: list[Any], **more: Any) -> bytes:
        made = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4.1"}
        return b"data: %b\n\n" % json.dumps({**made, "choices": choices, **more}).encode()

    text = chunk([{"index": 0, "delta": TEXT, "finish_reason": None}])
    end = chunk([{"index": 0, "delta": {}, "finish_reason": "stop"}])
    usage = chunk([], usage=APIS["openai"][2]["usage"])
    body = text + end + usage + b"data: [DONE]\n\n"
    with Loopback(lambda *_: reply(body, kind="text/event-stream")) as server:
        target = {"model": "openai/gpt-4.1", "api_base": f"{server.url}/v1", "api_key": "k"}
        with loaded({"one": {**target, "price": PRICE}}) as app, receipts() as log:
            assert "".join(c.choices[0].delta.content or "" for c in app.route("chat").stream(ASK))
    assert log[0].cost == pytest.approx(CACHED, abs=1e-12)


def test_without_a_price_of_its_own_litellms_table_tells_it_and_a_local_model_is_free():
    with ChaosServer(models=["llama3.2"]) as server:
        targets = {
            "gpt": {
                "model": "openai/gpt-4o", "api_base": f"{server.base('openai')}/v1", "api_key": "k"
            },
            "local": {"model": "ollama/llama3.2", "api_base": server.base("ollama")},
        }  # fmt: skip
        with loaded(targets) as app:
            route = app.route("chat")
            answer = route.complete(ASK)
            attempt = answer.receipt.attempts[0]
            reckoned = attempt.prompt_tokens * 2.5e-6 + attempt.completion_tokens * 1e-5
            assert answer.cost == pytest.approx(reckoned)
            server.fault("openai", "server_error")
            answer = route.complete(ASK)
            assert (answer.served_by, answer.cost) == ("local", 0.0)


def test_a_price_that_a_program_adds_to_the_table_counts_from_then_on(monkeypatch):
    rows: dict[str, dict[str, float]] = {}
    monkeypatch.setattr(models, "table", lambda: rows)
    price = Listed("openai/our-own")
    assert price() == UNKNOWN
    rows["openai/our-own"] = {"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6}
    assert (price().input, price().output) == (1.0, 2.0)
    assert price() is price(), "a row is read once"
    rows["openai/our-own"] = {"input_cost_per_token": 3e-6}
    assert price().input == 3.0
    rows.clear()
    assert price() == UNKNOWN


@pytest.fixture
def app():
    with ChaosServer(models=["llama3.2"]) as server:
        gpt = {"model": "openai/gpt-4o", "api_base": f"{server.base('openai')}/v1", "api_key": "k"}
        targets = {
            "gpt": {**gpt, "price": {"input": 2.5, "output": 10.0}},
            "local": {"model": "ollama/llama3.2", "api_base": server.base("ollama")},
        }
        budget = {"usd": 0.01, "per": "day", "tags": {"team": "a"}, "unknown": "refuse"}
        with loaded(targets, budgets={"a": budget}) as made:
            yield made


def spend(app: Any) -> None:
    app.ledgers["a"].reserve(0.01).settle(0.01)


def test_tags_say_whose_call_it_is(app):
    spend(app)
    route = app.route("chat")
    assert route.complete(ASK).served_by == "gpt"
    assert route.complete(ASK, tags={"team": "b"}).served_by == "gpt"
    with tagged(team="a", user="ann"):
        answer = route.complete(ASK, tags={"user": "bob"})
    assert answer.served_by == "local"
    assert dict(answer.receipt.tags) == {"team": "a", "user": "bob"}


def calls_made_inside(app: Any) -> dict[str, Any]:
    """Return what is called in each way inside the block, to be awaited or read outside."""
    route = app.route("chat")

    @failover(route)
    async def decorated(*, target):
        answer = await target.ahttp_client().post(
            f"{target.api_base}/chat/completions", json={"model": target.model, "messages": ASK}
        )
        return answer.json()

    @failover(route)
    def streamed(*, target):
        answer = target.http_client().post(
            f"{target.api_base}/chat/completions", json={"model": target.model, "messages": ASK}
        )
        yield answer.json()

    with tagged(team="a"):
        return {
            "acomplete": route.acomplete(ASK),
            "stream": route.stream(ASK),
            "astream": route.astream(ASK),
            "decorated": decorated(),
            "generator": streamed(),
        }


@pytest.mark.parametrize("way", ["acomplete", "stream", "astream", "decorated", "generator"])
def test_tags_hold_from_where_a_call_is_made(app, way):
    made = calls_made_inside(app)
    for name, each in made.items():
        if name != way and hasattr(each, "close") and name not in ("stream",):
            each.close()

    async def read() -> None:
        if way in ("acomplete", "decorated"):
            await made[way]
        elif way == "astream":
            async for _ in made[way]:
                pass
        else:
            for _ in made[way]:
                pass

    with receipts() as log:
        asyncio.run(read())
    assert [dict(each.tags) for each in log] in ([{"team": "a"}], [])
    if way not in ("stream", "astream"):  # theirs were collected where they were made
        assert log


def test_a_guarded_client_is_held_to_budgets():
    import openai

    budget = {"usd": 1.0, "per": "day", "unknown": "refuse", "then": "refuse"}
    with ChaosServer() as server:
        targets = {"gpt": {"model": "openai/gpt-4o", "price": {"input": 2.5, "output": 10.0},
                           "api_base": f"{server.base('openai')}/v1", "api_key": "k"}}  # fmt: skip
        held = loaded(targets, budgets={"all": budget})
        client = openai.OpenAI(base_url=targets["gpt"]["api_base"], api_key="k")
        client = guard(client, route=held.route("chat"))
        ask = client.chat.completions.with_raw_response.create
        assert ask(model="gpt-4o", messages=ASK).status_code == 200
        held.ledgers["all"].reserve(0.995).settle(0.995)
        with pytest.raises(openai.RateLimitError, match="budget all is spent"):
            ask(model="gpt-4o", messages=ASK)
        held.close()


@pytest.mark.parametrize(
    "tags", [{"team": ""}, {"team": 7}, {"": "a"}, {"team": "a\nb"}, {"team": "x" * 129}, "team=a"]
)
def test_tags_are_short_texts(app, tags):
    with pytest.raises(InvalidCall, match="tags"):
        app.route("chat").complete(ASK, tags=tags)


def test_a_call_has_a_few_tags(app):
    with pytest.raises(InvalidCall, match="17 entries"):
        app.route("chat").complete(ASK, tags={f"t{n}": "x" for n in range(17)})


def test_a_budget_that_refuses_names_itself():
    with ChaosServer() as server:
        targets = {"gpt": {"model": "openai/gpt-4o", "price": {"input": 2.5, "output": 10.0},
                           "api_base": f"{server.base('openai')}/v1", "api_key": "k"}}  # fmt: skip
        budget = {"usd": 0.000001, "per": "month", "unknown": "refuse", "then": "refuse"}
        with (
            loaded(targets, budgets={"tiny": budget}) as app,
            pytest.raises(BudgetSpent, match=r"budgets\.tiny\.usd"),
        ):
            app.route("chat").complete(ASK)


@pytest.mark.parametrize(
    ("budget", "told"),
    [
        ({"per": "day", "unknown": "refuse"}, "budgets.b.usd"),
        ({"usd": 1, "per": "week", "unknown": "refuse"}, "budgets.b.per"),
        ({"usd": 1, "per": "day"}, "budgets.b.unknown"),
        ({"usd": 0, "per": "day", "unknown": "refuse"}, "budgets.b.usd"),
        ({"usd": True, "per": "day", "unknown": "refuse"}, "budgets.b.usd"),
        ({"usd": float("nan"), "per": "day", "unknown": "refuse"}, "budgets.b.usd"),
        ({"usd": 1, "per": "day", "unknown": "maybe"}, "budgets.b.unknown"),
        ({"usd": 1, "per": "day", "unknown": "refuse", "zone": "Mars/Base"}, "no such time zone"),
        ({"usd": 1, "per": "day", "unknown": "refuse", "targets": ["gtp"]}, "did you mean"),
        ({"usd": 1, "per": "day", "unknown": "refuse", "routes": ["x"]}, "no route is named 'x'"),
    ],
)
def test_a_table_that_is_wrong_is_told_with_its_key(budget, told):
    with pytest.raises(ConfigError) as wrong:
        loaded({"gpt": {"model": "openai/gpt-4o"}}, budgets={"b": budget})
    assert told in str(wrong.value)


def test_a_configuration_that_is_read_anew_has_no_new_money(app):
    spend(app)
    targets = {"local": {"model": "ollama/llama3.2"}}
    budget = {"usd": 0.01, "per": "day", "tags": {"team": "a"}, "unknown": "refuse"}
    with loaded(targets, budgets={"a": budget}) as anew:
        assert anew.ledgers["a"] is app.ledgers["a"]
    app.ledgers["a"].reserve(0.0)
    with loaded(targets, budgets={"a": {**budget, "usd": 0.05}}) as raised:
        assert raised.ledgers["a"].spent == pytest.approx(0.01)
        assert not raised.ledgers["a"].exhausted
    with loaded(targets, budgets={"a": {**budget, "per": "hour"}}) as other:
        assert other.ledgers["a"].spent in (0.0, pytest.approx(0.01))  # at midnight both begin
    with loaded(targets, budgets={"b": budget}) as another:
        assert another.ledgers["b"].spent == 0.0
