"""Servers of OpenAI's kind: where each is asked, what it is spared, and what is asked of whom."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from pilotlight import ConfigError, receipts
from pilotlight.app import Pilotlight
from pilotlight.catalog.providers import CATALOG, Spec
from pilotlight.config.schema import parse
from pilotlight.core.provider import Call
from pilotlight.dialects.openai_chat.manners import MANNERS
from pilotlight.providers.connection import Connection
from pilotlight.providers.factory import provider_for
from pilotlight.providers.litellm.provider import LiteLLMProvider
from pilotlight.providers.native.manners import manners_of
from pilotlight.providers.native.provider import NativeProvider
from pilotlight.registry import Registry
from tests.providers.loopback import Loopback, reply, said

ASK: Final = [{"role": "user", "content": "hi"}]
TOOL: Final = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
HOSTED: Final = sorted(
    name for name, known in CATALOG.items() if known.wire == "openai" and known.base_url
)
OURS: Final = sorted(name for name in MANNERS if name in CATALOG and name != "azure")
VALUES: Final[dict[str, Any]] = {
    "logit_bias": {"1": 2}, "logprobs": True, "top_logprobs": 2, "user": "u", "store": True,
    "metadata": {"a": "b"}, "service_tier": "flex", "reasoning_effort": "low", "verbosity": "low",
    "presence_penalty": 0.5, "frequency_penalty": 0.5, "parallel_tool_calls": False, "seed": 3,
    "max_completion_tokens": 9, "n": 2, "temperature": 0.5, "top_p": 0.5, "prompt_cache_key": "k",
}  # fmt: skip
# What an option says nothing without.
BESIDE: Final[dict[str, Any]] = {"parallel_tool_calls": {"tools": [TOOL]}}


def native(model: str, base: str | None = None) -> NativeProvider:
    made = provider_for(Connection(Spec("t", model, base, "k")))
    assert isinstance(made, NativeProvider)
    return made


def sent(model: str, options: dict[str, Any], base: str | None = None) -> tuple[Any, Any]:
    asked = native(model, base).prepared(Call("r", ASK, options))
    assert asked is not None
    return json.loads(asked.body), asked


@pytest.mark.parametrize("name", HOSTED)
def test_each_is_asked_at_its_own_address_with_its_key(name: str) -> None:
    body, asked = sent(f"{name}/some-model", {"temperature": 0.5})
    assert asked.place.url == CATALOG[name].base_url + "/chat/completions"
    assert asked.place.headers["authorization"] == "Bearer k"
    assert body["model"].endswith("some-model")
    assert (body["messages"], body["temperature"], asked.lost) == (ASK, 0.5, ())


@pytest.mark.parametrize("option", VALUES)
@pytest.mark.parametrize("name", OURS)
def test_an_option_is_sent_or_lost_by_name(name: str, option: str) -> None:
    """Nothing is dropped without a word, and nothing that a server refuses is sent."""
    manner = MANNERS[name]
    body, asked = sent(f"{name}/some-model", {option: VALUES[option], **BESIDE.get(option, {})})
    called = manner.names.get(option, option)
    assert (body.get(called) == VALUES[option]) is (asked.lost == ())
    assert asked.lost in ((), (option,), (called,))
    if option in manner.refuses:
        assert asked.lost == (option,)
    if called != option:
        assert option not in body


@pytest.mark.parametrize("option", [*VALUES, "top_k", "of_next_year"])
def test_a_server_of_ones_own_is_sent_whatever_there_is(option: str) -> None:
    value = VALUES.get(option, 1)
    for model in ("openai/mine", "hosted_vllm/mine", "lm_studio/mine", "llamafile/mine"):
        body, asked = sent(model, {option: value, **BESIDE.get(option, {})}, "http://vllm.lan/v1")
        assert (body[option], asked.lost) == (value, ())


@pytest.mark.parametrize(
    ("model", "options", "lost"),
    [
        ("groq/llama-3.3-70b-versatile", {"reasoning_effort": "low"}, ("reasoning_effort",)),
        ("groq/openai/gpt-oss-120b", {"reasoning_effort": "low"}, ()),
        ("xai/grok-3", {"presence_penalty": 1}, ()),
        ("xai/grok-4", {"presence_penalty": 1}, ("presence_penalty",)),
        ("openai/gpt-5", {"temperature": 0.5}, ("temperature",)),
        ("openai/gpt-4o", {"temperature": 0.5}, ()),
        ("openai/gpt-4o", {"top_k": 5}, ("top_k",)),
    ],
)
def test_some_models_are_pickier(model: str, options: Any, lost: Any) -> None:
    assert sent(model, options)[1].lost == lost


def test_a_stop_sequence_is_not_left_out() -> None:
    provider = native("xai/grok-4")
    assert "stop sequences" in provider.unable(Call("r", ASK, {"stop": ["x"]}))
    assert native("xai/grok-3").unable(Call("r", ASK, {"stop": ["x"]})) == ""


@pytest.mark.parametrize(("name", "nameless"), [("groq", True), ("mistral", True), ("xai", False)])
def test_a_name_of_the_speaker_is_spared_to_who_refuses_it(name: str, nameless: bool) -> None:
    messages = [{"role": "user", "name": "bob", "content": "hi"}]
    asked = native(f"{name}/m").prepared(Call("r", messages))
    assert asked is not None
    assert ("name" in json.loads(asked.body)["messages"][0]) is not nameless
    assert asked.lost == (("name",) if nameless else ())


def test_a_model_of_fireworks_has_its_whole_name() -> None:
    whole = "accounts/fireworks/models/llama"
    assert sent("fireworks_ai/llama", {})[0]["model"] == whole
    assert sent(f"fireworks_ai/{whole}", {})[0]["model"] == whole


# Which API, which address, which headers.


@pytest.mark.parametrize(
    ("model", "base", "url"),
    [
        ("openai/gpt-4o", None, "https://api.openai.com/v1/chat/completions"),
        ("openai/m", "http://a/v1/", "http://a/v1/chat/completions"),
        ("openai/m", "http://a/v1/chat/completions", "http://a/v1/chat/completions"),
        ("openai/responses/m", "http://a/v1/chat/completions", "http://a/v1/responses"),
        ("openai/responses/m", "http://a/v1/responses", "http://a/v1/responses"),
        ("openai/gpt-5-pro", None, "https://api.openai.com/v1/responses"),
        ("openai/o3-deep-research", None, "https://api.openai.com/v1/responses"),
        ("openai/gpt-5.1-codex-mini", None, "https://api.openai.com/v1/responses"),
        ("openai/o3", None, "https://api.openai.com/v1/chat/completions"),
        ("azure/mine", "https://x.openai.azure.com/openai/v1/",
         "https://x.openai.azure.com/openai/v1/chat/completions"),
        ("azure/responses/mine", "https://x.openai.azure.com/openai/v1",
         "https://x.openai.azure.com/openai/v1/responses"),
        ("xai/responses/grok-4", None, "https://api.x.ai/v1/responses"),
    ],
)  # fmt: skip
def test_where_a_model_is_asked(model: str, base: str | None, url: str) -> None:
    body, asked = sent(model, {}, base)
    assert asked.place.url == url
    assert not body["model"].startswith("responses/")


@pytest.mark.parametrize(
    ("model", "base", "options", "path"),
    [
        ("gpt-5.4", None, {"tools": [TOOL]}, "/responses"),
        ("gpt-5.4", None, {"tools": [TOOL], "reasoning_effort": "low"}, "/responses"),
        ("gpt-5.4", None, {"tools": [TOOL], "reasoning_effort": "none"}, "/chat/completions"),
        ("gpt-5.4", None, {"tools": [TOOL], "stop": ["x"]}, "/chat/completions"),
        ("gpt-5.4", None, {}, "/chat/completions"),
        ("gpt-5.4", "http://vllm.lan/v1", {"tools": [TOOL]}, "/chat/completions"),
        ("gpt-5", None, {"tools": [TOOL]}, "/chat/completions"),
    ],
)
def test_tools_are_given_where_the_model_takes_them(
    model: str, base: str | None, options: dict[str, Any], path: str
) -> None:
    assert sent(f"openai/{model}", options, base)[1].place.url.endswith(path)


@pytest.mark.parametrize(
    ("model", "base"),
    [
        ("openai/davinci-002", None),
        ("openai/gpt-3.5-turbo-instruct", None),
        ("azure/mine", "https://x.openai.azure.com"),
        ("hosted_vllm/m", None),
        ("bedrock/m", None),
        ("vertex_ai/gemini-2.5-pro", None),
    ],
)
def test_what_speaks_no_dialect_is_litellms(model: str, base: str | None) -> None:
    connection = Connection(Spec("t", model, base, "k"))
    assert manners_of(connection) is None
    assert isinstance(provider_for(connection), LiteLLMProvider)


def test_azure_has_a_header_of_its_own_for_the_key() -> None:
    _, asked = sent("azure/mine", {}, "https://x.openai.azure.com/openai/v1")
    assert asked.place.headers["api-key"] == "k"
    assert "authorization" not in asked.place.headers


def test_what_the_sdk_sends_of_the_environment_is_sent_to_openai_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Mine: a: b\nnonsense\nX-More:c")
    ours = sent("openai/gpt-4o", {})[1].place.headers
    assert (ours["x-mine"], ours["x-more"]) == ("a: b", "c")
    assert "x-mine" not in sent("groq/m", {})[1].place.headers


# The Responses API in the configuration.


@pytest.mark.parametrize(
    "target",
    [
        {"model": "responses/m"},
        {"model": "openai/responses/m"},
        {"model": "openai/m", "api": "responses"},
        {"model": "openai/responses/m", "api": "responses"},
        {"model": "hosted_vllm/m", "api": "responses"},
    ],
    ids=str,
)
def test_a_target_says_that_it_is_asked_by_responses(target: dict[str, str]) -> None:
    with Loopback(
        lambda *_: said({"output": [], "object": "response", "status": "completed"})
    ) as s:
        data = {
            "targets": {"t": {**target, "api_base": f"{s.url}/v1", "api_key": "k"}},
            "routes": {"r": {"targets": ["t"], "gather": "never"}},
        }
        with Pilotlight(parse(data, "test"), registry=Registry()) as app:
            provider: Any = app.route("r").targets[0].provider
            asked = provider.prepared(Call("r", ASK))
    assert asked.place.url.endswith("/v1/responses")
    assert json.loads(asked.body)["model"] == "m"


@pytest.mark.parametrize("name", sorted(n for n, known in CATALOG.items() if not known.responses))
def test_a_provider_without_it_is_refused(name: str) -> None:
    for target, key in (
        ({"model": f"{name}/m", "api": "responses"}, "api"),
        ({"model": f"{name}/responses/m"}, "model"),
    ):
        data = {"targets": {"t": target}, "routes": {"r": {"targets": ["t"]}}}
        with pytest.raises(ConfigError, match=f"targets.t.{key}: {name} has no Responses API"):
            parse(data, "test")


@pytest.mark.parametrize("given", [{}, {"store": True}, {"store": False}])
def test_a_conversation_that_is_kept_there_goes_on(given: dict[str, Any]) -> None:
    """A result may answer a call that only OpenAI has seen."""
    result = [{"role": "tool", "tool_call_id": "call_1", "content": "22"}]
    options = {"previous_response_id": "resp_1", **given}
    asked = native("openai/responses/m").prepared(Call("r", result, options))
    assert asked is not None
    body = json.loads(asked.body)
    output = {"type": "function_call_output", "call_id": "call_1", "output": "22"}
    assert (body["input"], body["previous_response_id"]) == ([output], "resp_1")
    assert body.get("store") is given.get("store")
    assert asked.lost == ()


def test_a_response_that_failed_in_its_stream_is_told() -> None:
    failed = {
        "type": "response.failed",
        "response": {"id": "r", "error": {"code": "server_error", "message": "boom"}, "output": []},
    }
    body = f"event: response.failed\ndata: {json.dumps(failed)}\n\n".encode()
    good = {"model": "m", "choices": [{"message": {"content": "of the other"}, "index": 0,
            "finish_reason": "stop"}]}  # fmt: skip

    def say(path: str, _: bytes) -> bytes:
        return reply(body, kind="text/event-stream") if path.endswith("/responses") else said(good)

    with Loopback(say) as server, receipts() as log:
        at = {"api_base": f"{server.url}/v1", "api_key": "k", "retry": {"max_retries": 0}}
        data = {
            "targets": {
                "t": {"model": "openai/responses/m", **at},
                "u": {"model": "openai/n", **at},
            },
            "routes": {"r": {"targets": ["t", "u"]}},
        }
        with Pilotlight(parse(data, "test"), registry=Registry()) as app:
            assert app.route("r").complete(ASK).text == "of the other"
    assert log[0].attempts[0].fault == "server_error"
