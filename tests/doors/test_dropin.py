"""The drop-in over the real wire: litellm's signature and types, by the targets of a route."""

from __future__ import annotations

import asyncio
import pickle

import pytest

import pilotlight
from pilotlight import acompletion, completion, load, receipts
from pilotlight_chaos import ChaosServer

HELLO = [{"role": "user", "content": "hello there"}]


@pytest.fixture
def server():
    with ChaosServer(models=["llama3.2:3b"]) as running:
        yield running


@pytest.fixture
def pilot(server, monkeypatch):
    targets = {
        "gpt": {
            "model": "openai/gpt-4o",
            "api_base": server.base("gpt") + "/v1",
            "api_key": "configured-key",
            "retry": {"max_retries": 0},
        },
        "local": {"model": "ollama/llama3.2:3b", "api_base": server.base("local")},
    }
    routes = {"chat": {"targets": ["gpt", "local"]}, "home": {"targets": ["local"]}}
    with load({"targets": targets, "routes": routes}) as made:
        monkeypatch.setattr("pilotlight.doors.dropin.default", lambda: made)
        yield made


def test_it_returns_litellms_own_types(pilot):
    import litellm

    answer = completion("openai/gpt-4o", HELLO)
    assert isinstance(answer, litellm.ModelResponse)
    assert "gpt-4o" in answer.choices[0].message.content
    chunks = list(completion("openai/gpt-4o", HELLO, stream=True))
    assert all(isinstance(chunk, litellm.ModelResponseStream) for chunk in chunks)
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)


def test_a_local_answer_has_litellms_types_too(server, pilot):
    import litellm

    server.fault("gpt", "server_error")

    async def both():
        answer = await acompletion("openai/gpt-4o", HELLO)
        stream = await acompletion("openai/gpt-4o", HELLO, stream=True)
        return answer, [chunk async for chunk in stream]

    answer, chunks = asyncio.run(both())
    assert isinstance(answer, litellm.ModelResponse)
    assert isinstance(chunks[0], litellm.ModelResponseStream)


def test_a_key_given_for_a_model_goes_to_that_model_alone(server, pilot):
    server.fault("gpt", "server_error")
    completion("openai/gpt-4o", HELLO, api_key="key-of-this-call")
    sent = {each.name: each.headers.get("authorization", "") for each in server.requests()}
    assert sent == {"gpt": "Bearer key-of-this-call", "local": ""}


def test_an_address_given_for_a_model_is_used(server, pilot):
    completion("openai/gpt-4o", HELLO, api_base=server.base("elsewhere") + "/v1")
    assert (server.hits("elsewhere"), server.hits("gpt")) == (1, 0)


def test_a_failure_to_open_a_stream_is_raised_by_the_call(server, pilot):
    server.fault("gpt", "bad_request")
    with pytest.raises(Exception, match=r"(?i)bad ?request"):
        completion("openai/gpt-4o", HELLO, stream=True)


def test_the_route_is_found_by_its_name_by_its_models_or_alone(server, pilot):
    with receipts() as log:
        completion("home", HELLO)
        completion("ollama/llama3.2:3b", HELLO)
        completion("openai/gpt-4o", HELLO, num_retries=3, fallbacks=["x/y"])
    assert [receipt.route for receipt in log] == ["home", "home", "chat"]
    assert server.hits("gpt") == 1, "litellm's own retries and fallbacks stay out of it"


def test_private_calls_stay_home(server, pilot):
    with pilotlight.private():
        answer = completion("openai/gpt-4o", HELLO)
    assert "llama3.2" in answer.choices[0].message.content
    assert server.hits("gpt") == 0


@pytest.mark.parametrize("shape", ["complete", "stream"])
def test_timeout_bounds_one_attempt_and_total_timeout_the_call(server, pilot, shape):
    """As litellm's bounds one request: the next target has its own time again."""
    server.fault("gpt", "hang")
    with receipts() as log:
        answer = completion("openai/gpt-4o", HELLO, timeout=0.3, stream=shape == "stream")
        assert shape == "complete" or list(answer)
    assert [each.fault for each in log[0].attempts] == ["timeout", None]
    assert log[0].attempts[0].duration < 5
    server.fault("local", "hang")
    with pytest.raises((pilotlight.AllTargetsFailed, pilotlight.DeadlineExceeded)):
        completion("openai/gpt-4o", HELLO, timeout=30, total_timeout=0.4)


SHAPES = ("complete", "stream", "acomplete", "astream")


def ask(shape: str, messages: list, **more) -> object:
    if shape in ("complete", "stream"):
        return completion("openai/gpt-4o", messages, stream=shape == "stream", **more)
    return asyncio.run(
        acompletion("openai/gpt-4o", messages, stream=shape == "astream", **more)  # type: ignore
    )


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("outage", ["server_error", "rate_limit", "auth"])
def test_an_outage_and_a_prompt_too_long_is_litellms_error_and_ours(server, pilot, shape, outage):
    import litellm

    server.fault("gpt", outage)
    long = [{"role": "user", "content": "word " * 90_000}]
    with pytest.raises(litellm.ContextWindowExceededError) as caught:
        ask(shape, long)
    error = caught.value
    assert isinstance(error, pilotlight.AllTargetsFailed)
    assert [each.target for each in error.receipt.attempts] == ["gpt"]
    assert error.status_code == 400 and "larger `context`" in str(error) and repr(error)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is pilotlight.AllTargetsFailed
    assert again.receipt == error.receipt
    matched, rest = error.split(lambda each: True)
    assert matched is not None and rest is None


@pytest.mark.parametrize("shape", SHAPES)
def test_another_outage_is_ours_alone(server, pilot, shape):
    import litellm

    server.fault("gpt", "server_error"), server.fault("local", "server_error")
    with pytest.raises(pilotlight.AllTargetsFailed) as caught:
        ask(shape, HELLO)
    assert not isinstance(caught.value, litellm.ContextWindowExceededError)
