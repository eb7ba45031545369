"""One request, one route, one answer: in every dialect, both colours, whole and streamed."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from kit_exchange import (
    BODIES,
    DIALECTS,
    TARGETS,
    TEXT,
    WHOLE,
    cut,
    events_of,
    exchange,
    refusing,
    request,
    routed,
    text_in,
    well,
)

from pilotlight import receipts
from tests.providers.loopback import Loopback, reply

COLOURS: Final = pytest.mark.parametrize("colour", ["sync", "async"])
STREAM: Final = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


@COLOURS
@STREAM
@pytest.mark.parametrize("dialect", TARGETS)
def test_in_the_target_s_own_dialect_nothing_is_touched(
    dialect: str, stream: bool, colour: str
) -> None:
    asked = request(dialect, stream, body={"next_year": {"a": 1e2}})
    with Loopback(well) as server, routed((dialect, server)) as route, receipts() as log:
        reply, body, _ = exchange(route, asked, colour)
    assert (reply.status, reply.headers["x-pilotlight-served-by"]) == (200, "t0")
    sent = json.loads(server.asked[-1][1])
    if dialect == "ollama":  # but for what keeps the warm model in place
        sent.pop("truncate"), sent.pop("shift"), sent.pop("options")
        assert sent == json.loads(asked.body)
    elif stream and dialect == "openai_chat":
        assert sent.pop("stream_options") == {"include_usage": True}
        assert sent == json.loads(asked.body)
    else:
        assert server.asked[-1][1] == asked.body
    assert body == (events_of(dialect) if stream else json.dumps(WHOLE[dialect]).encode())
    assert log[0].attempts[0].lost == ()
    assert log[0].attempts[0].prompt_tokens or stream


@COLOURS
@pytest.mark.parametrize(
    "model", ["mistral/m", "groq/m", "deepseek/m", "openai/m", "hosted_vllm/m"]
)
def test_a_server_that_calls_an_option_otherwise_is_told_by_its_own_name(
    model: str, colour: str
) -> None:
    asked = request("openai_chat", False, body={"max_completion_tokens": 7, "store": False})
    with Loopback(well) as server, routed((model, server)) as route:
        reply, _, _ = exchange(route, asked, colour)
    assert reply.status == 200
    sent = json.loads(server.asked[-1][1])
    name = "max_tokens" if model.startswith(("mistral", "deepseek")) else "max_completion_tokens"
    assert sent.get(name) == 7
    assert ("store" in sent) == model.startswith(("openai", "hosted"))


@COLOURS
@STREAM
def test_a_target_asked_by_the_responses_api_is_told_in_its_words(
    colour: str, stream: bool
) -> None:
    asked = request("openai_responses", stream, body={"next_year": 1})
    with Loopback(well) as server, routed(("openai/responses/gpt-4o", server)) as route:
        reply, _, _ = exchange(route, asked, colour)
    assert reply.status == 200
    assert (server.asked[-1][0].split("/")[-1], server.asked[-1][1]) == ("responses", asked.body)


@COLOURS
@STREAM
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_after_a_failover_the_answer_has_the_caller_s_dialect(
    dialect: str, target: str, stream: bool, colour: str
) -> None:
    first = "anthropic_messages" if target == "openai_chat" else "openai_chat"
    with (
        Loopback(refusing(500)) as dead,
        Loopback(well) as spare,
        routed((first, dead), (target, spare), gather="never") as route,
        receipts() as log,
    ):
        reply, body, broke = exchange(route, request(dialect, stream), colour)
    assert (reply.status, broke) == (200, False)
    assert text_in(dialect, body, stream) == TEXT
    assert reply.headers["x-pilotlight-served-by"] == "t1"
    assert reply.headers["x-pilotlight-failed-over"] == "true"
    assert reply.headers["x-pilotlight-receipt"] == log[0].call_id
    assert log[0].outcome == "failover"


@COLOURS
@STREAM
@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 503, 529])
@pytest.mark.parametrize("dialect", TARGETS)
def test_a_refusal_in_the_caller_s_dialect_is_handed_on_as_it_came(
    dialect: str, status: int, stream: bool, colour: str
) -> None:
    say = refusing(status, more="retry-after: 7\r\nx-request-id: q\r\n")
    with Loopback(say) as server, routed((dialect, server)) as route:
        reply, body, _ = exchange(route, request(dialect, stream), colour)
    assert reply.status == status
    assert body == say("/api/chat" if dialect == "ollama" else "/", b"").partition(b"\r\n\r\n")[2]
    assert reply.headers["x-should-retry"] == "false"
    assert (reply.headers["retry-after"], reply.headers["x-request-id"]) == ("7", "q")


@COLOURS
@STREAM
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_when_all_are_down_the_caller_hears_it_in_its_dialect(
    dialect: str, target: str, stream: bool, colour: str
) -> None:
    with (
        Loopback(refusing(500)) as dead,
        Loopback(refusing(500)) as too,
        routed((target, dead), ("ollama", too)) as route,
    ):
        reply, body, _ = exchange(route, request(dialect, stream), colour)
    assert reply.status == 500
    assert reply.headers["x-should-retry"] == "false"
    assert json.loads(body)["error"]


@COLOURS
@pytest.mark.parametrize("dialect", TARGETS)
def test_a_stream_that_dies_after_it_began_never_ends_well(dialect: str, colour: str) -> None:
    half = len(events_of(dialect)) * 2 // 3
    with Loopback(cut(half)) as server, routed((dialect, server)) as route, receipts() as log:
        reply, body, broke = exchange(route, request(dialect, True), colour)
    assert (reply.status, broke) == (200, True)
    own, _, error = body.rpartition(b"{" if dialect == "ollama" else b"data: ")
    assert b"error" in body
    assert events_of(dialect).startswith(body[: body.index(b"error")].rsplit(b"\n", 1)[0])
    assert log[0].outcome == "interrupted"


@COLOURS
@pytest.mark.parametrize("dialect", TARGETS)
def test_a_stream_that_dies_before_its_first_word_fails_over_unseen(
    dialect: str, colour: str
) -> None:
    with (
        Loopback(cut(0)) as dead,
        Loopback(well) as spare,
        routed((dialect, dead), (dialect, spare)) as route,
    ):
        reply, body, broke = exchange(route, request(dialect, True), colour)
    assert (reply.headers["x-pilotlight-served-by"], broke) == ("t1", False)
    assert body == events_of(dialect)


@COLOURS
@STREAM
@pytest.mark.parametrize("garbage", [b"<html>", b"{}", b"[]", b'{"x": 1}', b""])
@pytest.mark.parametrize("dialect", TARGETS)
def test_a_success_that_is_no_answer_is_failed_over(
    dialect: str, garbage: bytes, stream: bool, colour: str
) -> None:
    with (
        Loopback(lambda _path, _body: reply(garbage)) as dead,
        Loopback(well) as spare,
        routed((dialect, dead), (dialect, spare)) as route,
    ):
        got, body, broke = exchange(route, request(dialect, stream), colour)
    assert (got.status, got.headers["x-pilotlight-served-by"], broke) == (200, "t1", False)
    assert text_in(dialect, body, stream) == TEXT


BAD: Final[list[Any]] = [
    b"", b"{", b"[]", b'"x"', b"\xff\xfe{}", b'{"a": NaN', b"[" * 9999,
    b'{"messages": 7, "contents": 7, "input": 7}', b'{"messages": [7], "contents": [7]}',
    (b'{"messages": [{"role": "user", "content": "\\ud800"}], "input": "\\ud800",'
    b' "contents": [{"parts": [{"text": "\\ud800"}]}]}'),
]  # fmt: skip


@COLOURS
@pytest.mark.parametrize("body", BAD)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_caller_s_mistake_is_told_before_anybody_is_asked(
    dialect: str, body: bytes, colour: str
) -> None:
    asked = request(dialect, False)
    object.__setattr__(asked, "body", body)
    with Loopback(well) as server, routed(("ollama", server)) as route:
        reply, told, _ = exchange(route, asked, colour)
    assert reply.status == 400
    assert json.loads(told)["error"]
    assert server.asked == []


@COLOURS
@STREAM
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_private_request_without_a_local_target_is_refused(
    dialect: str, stream: bool, colour: str
) -> None:
    with Loopback(well) as server, routed(("openai_chat", server)) as route:
        reply, told, _ = exchange(route, request(dialect, stream, private=True), colour)
    assert (reply.status, server.asked) == (403, [])
    assert json.loads(told)["error"]


@COLOURS
@STREAM
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_private_request_stays_at_home(dialect: str, stream: bool, colour: str) -> None:
    with (
        Loopback(well) as cloud,
        Loopback(well) as home,
        routed(("openai_chat", cloud), ("ollama", home)) as route,
    ):
        reply, body, _ = exchange(route, request(dialect, stream, private=True), colour)
    assert (reply.status, cloud.asked) == (200, [])
    assert text_in(dialect, body, stream) == TEXT
    assert [path for path, _ in home.asked] == ["/api/show", "/api/chat"]


@pytest.mark.parametrize("name", ["api_base", "base_url", "extra_headers", "litellm_x", "odd"])
def test_a_caller_s_body_leads_nowhere_else(name: str) -> None:
    asked = request("openai_chat", False, body={name: "http://127.0.0.1:1"})
    with Loopback(well) as home, routed(("ollama", home)) as route, receipts() as log:
        reply, _, _ = exchange(route, asked, "sync")
    assert reply.status == 200
    assert name in log[0].attempts[0].lost
    assert name.encode() not in home.asked[-1][1]


@pytest.mark.parametrize("dialect", TARGETS)
def test_a_caller_s_keys_are_its_own(dialect: str) -> None:
    names = ("Authorization", "x-api-key", "x-goog-api-key", "cookie", "x-mine")
    headers = dict.fromkeys(names, "secret") | {"Anthropic-Beta": "b", "OpenAI-Beta": "b"}
    with Loopback(well) as server, routed((dialect, server)) as route:
        exchange(route, request(dialect, False, headers=headers), "sync")
    assert b"secret" not in server.heads[-1]
    beta = dialect in ("openai_chat", "anthropic_messages")
    assert (b"-beta: b" in server.heads[-1]) is beta


@pytest.mark.parametrize("dialect", TARGETS)
def test_another_model_s_name_changes_nothing_else(dialect: str) -> None:
    asked = request(dialect, False, body={"next_year": 'a "model": "x" b', "z": 1.0})
    body = asked.body.replace(BODIES[dialect].get("model", "?").encode(), b"pilotlight/r")
    object.__setattr__(asked, "body", body)
    with Loopback(well) as server, routed((dialect, server)) as route:
        assert exchange(route, asked, "sync")[0].status == 200
    if dialect in ("openai_chat", "anthropic_messages"):
        assert (
            server.asked[-1][1]
            == request(dialect, False, body={"next_year": 'a "model": "x" b', "z": 1.0}).body
        )


@COLOURS
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_caller_who_leaves_gives_everything_back(dialect: str, colour: str) -> None:
    import asyncio

    from pilotlight.doors.exchange import aask, ask

    with Loopback(well) as server, routed(("ollama", server)) as route, receipts() as log:
        if colour == "sync":
            ask(route, request(dialect, True)).close()
        else:

            async def run() -> None:
                await (await aask(route, request(dialect, True))).aclose()

            asyncio.run(run())
    assert log[0].outcome == "abandoned"
