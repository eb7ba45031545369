"""A decorated function is held against the wire: what its target really said counts."""

from __future__ import annotations

import asyncio
import json

import pytest

import pilotlight
from pilotlight import AllTargetsFailed, StreamInterrupted, failover, load, receipts
from pilotlight_chaos import ChaosServer
from tests.providers.loopback import Loopback, reply

HELLO = [{"role": "user", "content": "hello there"}]


@pytest.fixture
def server():
    with ChaosServer(models=["llama3.2:3b"]) as running:
        yield running


@pytest.fixture
def routes(server):
    targets = {
        "gpt": {
            "model": "openai/gpt-4o",
            "api_base": server.base("gpt") + "/v1",
            "api_key": "k",
            "retry": {"max_retries": 0},
        },
        "local": {"model": "ollama/llama3.2:3b", "api_base": server.base("local")},
    }
    chat = {"chat": {"targets": ["gpt", "local"]}, "home": {"targets": ["local"]}}
    with load({"targets": targets, "routes": chat}) as pilot:
        yield pilot


def ask(target):
    url = target.api_base + "/chat/completions"
    answer = target.http_client().post(url, json={"model": target.model, "messages": HELLO})
    answer.raise_for_status()
    return answer.json()


async def aask(target):
    url = target.api_base + "/chat/completions"
    answer = await target.ahttp_client().post(url, json={"model": target.model, "messages": HELLO})
    answer.raise_for_status()
    return answer.json()


def test_a_bug_after_a_good_answer_is_raised_and_blames_nobody(routes):
    route = routes.route("chat")

    @failover(route)
    def buggy(*, target):
        return ask(target)["choises"]

    for _ in range(6):
        with pytest.raises(KeyError):
            buggy()
    assert route.targets[0].health.breaker.current_state == "closed"
    assert route.targets[0].health.breaker.state.window.failures == 0


@pytest.mark.parametrize(
    ("kind", "params", "fault"),
    [
        ("empty", {"what": "choices"}, "empty_response"),
        ("empty", {"what": "content"}, "empty_response"),
        ("error_body", {}, "malformed_response"),
        ("garbage", {}, "malformed_response"),
        ("truncated_json", {}, "malformed_response"),
        ("content_filter", {"status": 200}, "content_blocked"),
    ],
)
def test_an_answer_that_is_none_is_seen_through_the_users_own_code(
    server, routes, kind, params, fault
):
    server.fault("gpt", kind, **params)

    @failover(routes.route("chat"))
    def naive(*, target):
        return ask(target)["choices"][0]["message"]["content"]

    with receipts() as log:
        try:
            naive()
        except Exception:
            assert fault == "content_blocked"
    assert log[0].attempts[0].fault == fault
    assert (log[0].served_by == "local") == (fault != "content_blocked")


@pytest.mark.parametrize("shape", ["function", "coroutine", "generator", "async generator"])
def test_a_private_call_never_reaches_a_stub_with_a_local_name(server, routes, shape):
    import asyncio

    server.fault("local", "cloud_stub")
    ran = []

    @failover(routes.route("home"), private=True)
    def function(*, target):
        ran.append(target)
        return ask(target)

    @failover(routes.route("home"), private=True)
    async def coroutine(*, target):
        ran.append(target)
        return await aask(target)

    @failover(routes.route("home"), private=True)
    def generator(*, target):
        ran.append(target)
        yield str(ask(target))

    @failover(routes.route("home"), private=True)
    async def async_generator(*, target):
        ran.append(target)
        yield str(await aask(target))

    async def drain():
        return [item async for item in async_generator()]

    calls = {
        "function": function,
        "coroutine": lambda: asyncio.run(coroutine()),
        "generator": lambda: list(generator()),
        "async generator": lambda: asyncio.run(drain()),
    }
    with receipts() as log, pytest.raises(AllTargetsFailed):
        calls[shape]()
    assert log[0].attempts[0].fault == "privacy_boundary"
    assert not ran
    assert server.hits("local") == 0


def test_accept_on_a_generator_says_at_once_that_it_can_not_work(routes):
    with pytest.raises(TypeError, match="judge inside it"):

        @failover(routes.route("chat"), accept=bool)
        def words(*, target):
            yield ""


def test_a_stream_that_chokes_on_a_broken_event_fails_over(server, routes):
    server.fault("gpt", "truncated_json")

    @failover(routes.route("chat"))
    def words(*, target):
        body = {"model": target.model, "messages": HELLO, "stream": True}
        url = target.api_base + "/chat/completions"
        with target.http_client().stream("POST", url, json=body) as reply:
            for line in reply.iter_lines():
                if line.startswith("data: {"):
                    yield json.loads(line[6:])["choices"][0]["delta"].get("content")

    with receipts() as log:
        assert [word for word in words() if word]
    assert log[0].served_by == "local"


def test_what_a_function_leaves_open_is_closed(routes):
    """An SDK that stops at an event does not always close what it reads."""
    left = []

    @failover(routes.route("chat"))
    def careless(*, target):
        client = target.http_client()
        url = target.api_base + "/chat/completions"
        body = {"model": target.model, "messages": HELLO, "stream": True}
        answer = client.send(client.build_request("POST", url, json=body), stream=True)
        left.append(answer)  # so that no collector closes it
        yield next(answer.iter_lines())
        raise RuntimeError("no more")

    with pytest.raises(StreamInterrupted):
        list(careless())
    connections = routes.targets["gpt"].provider.connection.pool.connections()
    assert len(left) == 1 and not connections.busy


def test_what_an_async_function_leaves_open_is_closed(routes):
    left = []

    @failover(routes.route("chat"))
    async def careless(*, target):
        client = target.ahttp_client()
        url = target.api_base + "/chat/completions"
        body = {"model": target.model, "messages": HELLO, "stream": True}
        answer = await client.send(client.build_request("POST", url, json=body), stream=True)
        left.append(answer)
        yield await anext(answer.aiter_lines())
        raise RuntimeError("no more")

    async def main():
        with pytest.raises(StreamInterrupted):
            async for _ in careless():
                pass
        connections = await routes.targets["gpt"].provider.connection.pool.aconnections()
        assert len(left) == 1 and not connections.busy

    asyncio.run(main())


@pytest.mark.parametrize(
    "end, whole", [("data: [DONE]\n\n", True), ("", False), ("data: {", False)]
)
def test_events_that_are_called_json_are_a_stream_if_they_are_whole(end, whole):
    """Older servers say so of a text completion; only its end mark tells that it is whole."""
    event = {"object": "text_completion", "choices": [{"text": "!", "index": 0}]}
    events = f"data: {json.dumps(event)}\n\n" * 2 + end
    with Loopback(lambda path, body: reply(events.encode())) as old:
        config = {
            "targets": {
                "old": {"model": "openai/ada", "api_base": f"{old.url}/v1", "api_key": "k"},
                "next": {"model": "openai/x", "api_base": f"{old.url}/v1", "api_key": "k"},
            },
            "routes": {"r": {"targets": ["old", "next"]}},
        }
        with pilotlight.load(config) as app, receipts() as log:

            @failover(app.route("r"))
            def ask(*, target):
                if target.name == "next":
                    return "from the next"
                url = target.api_base + "/completions"
                return target.http_client().post(url, json={"model": "ada"}).text

            assert ask() == (events if whole else "from the next")
    assert log[0].served_by == ("old" if whole else "next")
