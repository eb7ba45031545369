"""Embeddings and images over real HTTP, sync and async from one table.

What is special to them is tested here; the road itself is the chat's, and tested there.
"""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest

import pilotlight
from pilotlight import AllTargetsFailed, ConfigError, Fault, InvalidCall, ProviderFault
from pilotlight.catalog.litellm_module import litellm
from pilotlight.core.flow.failover import Policy
from pilotlight.core.provider import Answered, Attempt, Call, Timeouts
from pilotlight.doors import dropin
from pilotlight.providers.litellm.clients import kind_of, needs_thread
from pilotlight.providers.replies import Image, judge_vectors, vectors_in
from pilotlight.routes.route import Route
from pilotlight.testing import ScriptedTarget, outage
from pilotlight.wire.tap import new_tap
from pilotlight_chaos import ChaosServer, LocalModel
from pilotlight_chaos.faults import make_fault

OPENED: list[Any] = []
TEXTS = ["a lamp", "a window"]
NOTHING = make_fault("empty", {"what": "choices"})
COLOURS = pytest.mark.parametrize("colour", ["sync", "async"])
EMBEDDER = LocalModel("bge-m3", capabilities=("embedding",), family="bert", num_ctx=512)


@pytest.fixture(scope="module")
def server() -> Any:
    litellm()
    with ChaosServer(models=[EMBEDDER]) as running:
        yield running


@pytest.fixture(autouse=True)
def _well(server: ChaosServer) -> Any:
    server.reset()
    yield
    while OPENED:
        OPENED.pop().close()


def load(configuration: Any) -> Any:
    OPENED.append(pilotlight.load(configuration))
    return OPENED[-1]


def app_of(server: ChaosServer, first: Any = None, second: Any = None, **route: Any) -> Any:
    hosted = {
        "api_key": "sk-x",
        "api_base": f"{server.base('cloud')}/v1",
        "retry": {"max_retries": 0},
    }
    local = {"model": "ollama/bge-m3", "api_base": server.base("ollama"), "space": "bge-m3"}
    targets = {
        "cloud": {"model": "openai/bge-m3", "space": "bge-m3", **hosted, **(first or {})},
        "local": local | (second or {}),
    }
    chosen = {"targets": ["cloud", "local"], **route}
    return load({"targets": targets, "routes": {"vectors": chosen}})


def embed(colour: str, route: Route, texts: Any = TEXTS, **how: Any) -> Any:
    if colour == "sync":
        return route.embed(texts, **how)
    return asyncio.run(route.aembed(texts, **how))


def image(colour: str, route: Route, prompt: Any = "a lamp", **how: Any) -> Any:
    if colour == "sync":
        return route.image(prompt, **how)
    return asyncio.run(route.aimage(prompt, **how))


# Embeddings: one space.


@COLOURS
def test_vectors_come_in_order_with_their_receipt(server, colour):
    answer = embed(colour, app_of(server).route())
    assert [len(vector) for vector in answer.vectors] == [8, 8]
    assert answer.vectors[0] != answer.vectors[1]
    assert answer.served_by == "cloud"
    assert not answer.failed_over
    assert answer.usage.prompt_tokens == answer.usage.total_tokens == 4
    assert answer.response.data[1]["embedding"] == answer.vectors[1]
    assert answer.receipt.operation == "embeddings"
    assert server.hits("cloud") == 1


@COLOURS
def test_a_target_of_the_same_space_stands_in(server, colour):
    server.fault("cloud", "server_error")
    answer = embed(colour, app_of(server).route())
    assert (answer.served_by, answer.failed_over) == ("local", True)
    assert len(answer.vectors) == 2
    assert type(answer.response).__name__ == "EmbeddingResponse"
    assert [each.fault for each in answer.receipt.attempts] == [Fault.SERVER_ERROR, None]
    assert server.hits("cloud") == 1, "nobody retries behind our back"


@COLOURS
@pytest.mark.parametrize("spaces", [(None, None), ("bge-m3", None), (None, "bge-m3"), ("a", "b")])
def test_nobody_stands_in_from_another_space(server, colour, spaces):
    server.fault("cloud", "server_error")
    route = app_of(server, {"space": spaces[0]}, {"space": spaces[1]}).route()
    with pytest.raises(AllTargetsFailed, match="declare the same `space`") as caught:
        embed(colour, route)
    skipped = [(s.target, s.reason, s.detail) for s in caught.value.receipt.skipped]
    assert skipped == [("local", "unsupported", "space")]
    assert server.hits("ollama") == 0


@COLOURS
def test_an_open_breaker_fails_fast_in_a_space_of_its_own(server, colour):
    route = app_of(server, {"space": None}).route()
    route.targets[0].health.breaker.trip("outage", 30.0)
    with pytest.raises(AllTargetsFailed) as caught:
        embed(colour, route)
    assert caught.value.retry_after == pytest.approx(30.0, abs=5)
    assert server.hits("cloud") == server.hits("ollama") == 0


@COLOURS
def test_a_length_that_the_space_never_had_is_no_answer(server, colour):
    """Here the hosted target gives 4 numbers of the 8 that the space has had."""
    app = app_of(server)
    assert len(embed(colour, app.route()).vectors[0]) == 8
    half = app_of(server, {"options": {"extra_body": {"dimensions": 4}}})
    answer = embed(colour, half.route())
    assert answer.served_by == "local"
    first = answer.receipt.attempts[0]
    assert first.fault == Fault.MALFORMED_RESPONSE
    assert "4 numbers a vector where space bge-m3 has had 8" in first.evidence


@COLOURS
def test_dimensions_that_are_asked_for_are_held_to(server, colour):
    for target in ("cloud", "local"):
        answer = embed(colour, app_of(server).route(), dimensions=4)
        assert answer.served_by == target
        assert [len(vector) for vector in answer.vectors] == [4, 4]
        server.fault("cloud", "server_error")


@COLOURS
@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("overloaded", Fault.OVERLOADED),
        ("rate_limit", Fault.RATE_LIMITED),
        ("quota", Fault.QUOTA_EXHAUSTED),
        ("auth", Fault.AUTH_FAILED),
        (NOTHING, Fault.EMPTY_RESPONSE),
        ("captive_portal", Fault.MALFORMED_RESPONSE),
        ("truncated_json", Fault.MALFORMED_RESPONSE),
        ("reset", Fault.CONNECTION_ERROR),
    ],
)
def test_hosted_faults_are_told_and_failed_over(server, colour, fault, expected):
    server.fault("cloud", fault)
    answer = embed(colour, app_of(server).route())
    assert answer.served_by == "local"
    assert answer.receipt.attempts[0].fault == expected
    assert server.hits("cloud") == 1


@COLOURS
@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("oom", Fault.LOCAL_OVERLOADED),
        ("crash", Fault.LOCAL_RUNNER_CRASHED),
        ("busy", Fault.LOCAL_OVERLOADED),
        (NOTHING, Fault.EMPTY_RESPONSE),
        ("error_body", None),
    ],
)
def test_local_faults_are_told(server, colour, fault, expected):
    server.fault("ollama", fault)
    route = app_of(server, private=True).route()
    with pytest.raises(AllTargetsFailed) as caught:
        embed(colour, route)
    faults = {each.fault for each in caught.value.receipt.attempts}
    assert None not in faults
    assert expected is None or faults == {expected}


@COLOURS
def test_a_text_that_does_not_fit_is_never_cut(server, colour):
    """The server would embed its beginning and say nothing, were it not told otherwise."""
    target = {"context": 64}
    long = "incomprehensibilities" * 40  # few words, so that only the server knows
    with pytest.raises(ProviderFault, match="context_exceeded"):
        embed(colour, app_of(server, None, target).route(), [long, "short"], private=True)
    (record,) = [each for each in server.requests("ollama") if each.path == "/api/embed"]
    body = record.body
    assert body["truncate"] is False
    assert body["options"]["num_ctx"] == 64


@COLOURS
def test_many_texts_that_fit_one_by_one_fit(server, colour):
    route = app_of(server, None, {"context": 64}).route()
    texts = ["ten words of text " * 5] * 20
    assert len(embed(colour, route, texts, private=True).vectors) == 20


@COLOURS
def test_a_text_with_more_words_than_the_context_is_not_even_sent(server, colour):
    route = app_of(server, None, {"context": 64}).route()
    with pytest.raises(AllTargetsFailed) as caught:
        embed(colour, route, ["word " * 100, "short"], private=True)
    assert caught.value.receipt.skipped[-1].detail == "context"
    assert server.hits("ollama") == 0


# Residency and the user's own hook.


@COLOURS
def test_private_texts_stay_at_home(server, colour):
    answer = embed(colour, app_of(server).route(), private=True)
    assert answer.served_by == "local"
    assert server.hits("cloud") == 0


@COLOURS
def test_a_local_name_that_runs_in_a_cloud_is_given_no_text(server, colour):
    server.fault("ollama", "cloud_stub")
    with pytest.raises(AllTargetsFailed) as caught:
        embed(colour, app_of(server).route(), private=True)
    assert caught.value.receipt.attempts[0].fault == Fault.PRIVACY_BOUNDARY
    assert not [each for each in server.requests("ollama") if each.path == "/api/embed"]


@COLOURS
def test_texts_are_shown_to_the_hook(server, colour):
    shown = []

    def hook(messages: Any) -> Any:
        shown.append([message["content"] for message in messages])
        return "lamp" in messages[0]["content"]

    route = app_of(server, sensitive=hook).route()
    assert embed(colour, route).served_by == "local"
    assert embed(colour, route, "sunshine").served_by == "cloud"
    assert shown == [TEXTS, ["sunshine"]]


@COLOURS
def test_a_hook_may_replace_texts_but_not_their_number(server, colour):
    def redact(messages: Any) -> Any:
        return [{"role": "user", "content": "X"} for _ in messages]

    embed(colour, app_of(server, sensitive=redact).route())
    assert server.requests("cloud")[-1].body["input"] == ["X", "X"]
    fewer = app_of(server, sensitive=lambda messages: messages[:1]).route()
    assert embed(colour, fewer).served_by == "local", "what is no answer makes the call private"


# Input.


@COLOURS
@pytest.mark.parametrize(
    ("texts", "told"),
    [
        ([[1, 2], [3]], "tokens of one model mean nothing to another"),
        ([1, 2], "tokens of one model mean nothing to another"),
        ([], "texts is empty"),
        (b"bytes", "texts is a bytes"),
        ({"a": 1}, "texts is a dict"),
        ([None], "texts\\[0\\] is a NoneType"),
    ],
)
def test_what_is_no_text_is_refused(server, colour, texts, told):
    with pytest.raises(InvalidCall, match=told):
        embed(colour, app_of(server).route(), texts)
    assert server.hits("cloud") == 0


@COLOURS
@pytest.mark.parametrize("prompt", ["", "  ", None, ["a"], 3])
def test_what_is_no_prompt_is_refused(server, colour, prompt):
    with pytest.raises(InvalidCall, match="prompt"):
        image(colour, app_of(server).route(), prompt)


def test_an_empty_space_is_refused_by_its_place(server):
    with pytest.raises(ConfigError, match=r"targets\.local\.space"):
        app_of(server, None, {"space": ""})


# Abilities.


@COLOURS
def test_a_model_that_is_known_to_chat_only_is_passed_over(server, colour):
    """By litellm's table, where the name can only mean that one; the configuration wins."""
    claude = {"model": "anthropic/claude-sonnet-4-5", "api_base": None}
    route = app_of(server, claude).route()
    answer = embed(colour, route)
    assert answer.served_by == "local"
    assert [(s.target, s.detail) for s in answer.receipt.skipped] == [("cloud", "embeddings")]
    told = app_of(server, {"abilities": ["tools"]}).route()
    assert embed(colour, told).receipt.skipped[0].detail == "embeddings"


@COLOURS
def test_ollama_makes_no_images(server, colour):
    server.fault("cloud", "overloaded")
    with pytest.raises(AllTargetsFailed) as caught:
        image(colour, app_of(server, {"model": "openai/gpt-image-1"}).route())
    assert caught.value.receipt.skipped[0].detail == "image_generation"


@COLOURS
def test_ollama_that_is_said_to_make_images_says_no(server, colour):
    route = app_of(server, None, {"abilities": ["image_generation"]}, private=True).route()
    with pytest.raises(ValueError, match="can't be asked for an image"):
        image(colour, route)


# Images.


def images_of(server: ChaosServer, **policy: Any) -> Route:
    both = {"model": "openai/gpt-image-1", "api_key": "sk-x", "retry": {"max_retries": 0}}
    targets = {name: {**both, "api_base": f"{server.base(name)}/v1"} for name in ("cloud", "spare")}
    route = {"targets": ["cloud", "spare"], **policy}
    return load({"targets": targets, "routes": {"pictures": route}}).route()


@COLOURS
def test_images_come_as_they_were_given(server, colour):
    answer = image(colour, images_of(server), n=2)
    assert [bool(each.b64_json) for each in answer.images] == [True, True]
    assert answer.response.data[0].b64_json == answer.images[0].b64_json
    assert answer.images[0].b64_json not in repr(answer.images)
    assert (answer.served_by, answer.receipt.operation) == ("cloud", "image")
    assert server.hits("cloud") == 1


@COLOURS
@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("server_error", Fault.SERVER_ERROR),
        ("quota", Fault.QUOTA_EXHAUSTED),
        (NOTHING, Fault.EMPTY_RESPONSE),
        ("captive_portal", Fault.MALFORMED_RESPONSE),
    ],
)
def test_images_fail_over_to_the_next_target(server, colour, fault, expected):
    server.fault("cloud", fault)
    answer = image(colour, images_of(server))
    assert answer.served_by == "spare"
    assert answer.receipt.attempts[0].fault == expected
    assert server.hits("cloud") == 1, "nobody retries behind our back"


@COLOURS
def test_a_blocked_prompt_is_not_tried_elsewhere(colour):
    scripted = ScriptedTarget("a", Fault.CONTENT_BLOCKED), ScriptedTarget("b", "https://b/1.png")
    with pytest.raises(ProviderFault):
        image(colour, Route("pictures", scripted))
    willing = Policy(fail_over_on=frozenset({Fault.CONTENT_BLOCKED}))
    answer = image(colour, Route("pictures", scripted, willing))
    assert answer.images == [Image(url="https://b/1.png")]


# Drills, scripts, the drop-in.


@COLOURS
def test_a_drill_reaches_embeddings_too(server, colour):
    with outage("cloud"):
        assert embed(colour, app_of(server).route()).served_by == "local"
    assert server.hits("cloud") == 0


@COLOURS
def test_scripted_targets_embed(colour):
    targets = (
        ScriptedTarget("a", Fault.TIMEOUT, space="s"),
        ScriptedTarget("odd", space="other"),
        ScriptedTarget("b", space="s"),
    )
    answer = embed(colour, Route("vectors", targets))
    assert answer.served_by == "b"
    assert answer.vectors == embed(colour, Route("again", targets[2:])).vectors
    assert answer.response.data[0]["embedding"] == answer.vectors[0]
    assert not targets[1].calls


@COLOURS
def test_the_drop_in_embeds_and_draws(server, colour, monkeypatch):
    app = app_of(server)
    monkeypatch.setattr(dropin, "default", lambda: app)
    given = {"model": "openai/bge-m3", "input": TEXTS}
    drawn = {"model": "vectors", "prompt": "a lamp"}
    if colour == "sync":
        vectors, picture = dropin.embedding(**given), dropin.image_generation(**drawn)
    else:
        vectors = asyncio.run(dropin.aembedding(**given))
        picture = asyncio.run(dropin.aimage_generation(**drawn))
    assert len(vectors.data) == 2
    assert picture.data[0].b64_json


def test_the_drop_in_never_embeds_with_another_model(server, monkeypatch):
    """A route named "default" is for chats: its model's vectors would be strangers' ones."""
    chat = {"model": "openai/gpt-4o", "api_key": "sk-x", "api_base": f"{server.base('cloud')}/v1"}
    app = load({"targets": {"gpt": chat}, "routes": {"default": {"targets": ["gpt"]}}})
    monkeypatch.setattr(dropin, "default", lambda: app)
    monkeypatch.setenv("OPENAI_BASE_URL", f"{server.base('spare')}/v1")
    dropin.embedding("openai/text-embedding-3-small", TEXTS, api_key="sk-y")
    (asked,) = server.requests("spare")
    assert asked.body["model"] == "text-embedding-3-small"
    assert server.hits("cloud") == 0


# litellm's ways.

WATCHED = [
    ("openai/text-embedding-3-small", "/v1"),
    ("mistral/mistral-embed", "/v1"),
    ("gemini/gemini-embedding-001", ""),
    ("hosted_vllm/bge-m3", "/v1"),
    ("cohere/embed-v4.0", "/v1/embeddings"),
]


@COLOURS
@pytest.mark.parametrize(("model", "path"), WATCHED)
def test_each_way_makes_one_request_and_the_tap_sees_it(server, colour, model, path):
    """A status on the receipt is the wire's: without the tap there would be none."""
    target = {"model": model, "api_base": server.base("cloud") + path, "api_key": "sk-x"}
    app = load({"targets": {"t": {**target, "retry": {"max_retries": 0}}}})
    server.fault("cloud", "server_error")
    with pytest.raises(AllTargetsFailed) as caught:
        embed(colour, Route("r", (app.target("t"),)))
    (attempt,) = caught.value.receipt.attempts
    assert attempt.status == 500
    assert server.hits("cloud") == 1


def test_kinds_of_client_differ_by_operation():
    assert kind_of("mistral") == "handler"
    assert kind_of("mistral", "embeddings") == "openai"
    assert kind_of("stability", "image") == "handler"
    assert kind_of("azure", "image") is None
    assert needs_thread("gemini", "embeddings")
    assert not needs_thread("gemini", "chat")


# Reading vectors.


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ([{"index": 1, "embedding": [2.0]}, {"index": 0, "embedding": [1.0]}], [[1.0], [2.0]]),
        ([{"index": 0, "embedding": [1.0]}, {"index": 0, "embedding": [2.0]}], None),
        ([{"embedding": [1.0]}, {"embedding": [2.0]}], [[1.0], [2.0]]),
        ([{"index": 0, "embedding": "AACAPwAAAEA="}], [[1.0, 2.0]]),
        ([{"index": 0, "embedding": "AACAPwA="}], None),
        ([{"index": 0, "embedding": None}], None),
        ([{"index": "x", "embedding": [1.0]}, {"index": 0, "embedding": [1.0]}], None),
        (None, []),
    ],
)
def test_vectors_are_read_by_their_index(data, expected):
    assert vectors_in(data) == expected


@pytest.mark.parametrize(
    ("vectors", "told"),
    [
        ([[1.0, 2.0]], "1 vectors for 2 texts"),
        ([[1.0], [1.0, 2.0]], "vectors of 1 to 2 numbers"),
        ([[], []], "empty vectors"),
        ([[math.nan], [1.0]], "no finite number"),
        ([["x"], ["y"]], "no finite number"),
        (None, "can't be read"),
    ],
)
def test_odd_vectors_are_no_answer(vectors, told):
    call = Call("r", messages=[{"role": "user", "content": text} for text in TEXTS])
    attempt = Attempt(ScriptedTarget("a"), Timeouts())
    verdict = judge_vectors(call, attempt, new_tap("openai", Timeouts()), vectors, None)
    assert verdict is not None
    assert verdict.fault == Fault.MALFORMED_RESPONSE
    assert told in verdict.evidence


def test_sound_vectors_are_an_answer():
    target = ScriptedTarget("a")
    call = Call("r", messages=[{"role": "user", "content": "x"}], operation="embeddings")
    assert isinstance(target.provider.complete(call, Attempt(target, Timeouts())), Answered)


@COLOURS
def test_answers_longer_than_the_tap_keeps_are_answers(server, colour):
    route = app_of(server).route()
    texts = [f"text {number}" for number in range(50)]
    for target in ("cloud", "local"):
        answer = embed(colour, route, texts, dimensions=1024)
        assert answer.served_by == target
        assert {len(vector) for vector in answer.vectors} == {1024}
        server.fault("cloud", "server_error")
