"""The free lists of models: is the key good, is the model there, and until when?"""

from __future__ import annotations

from datetime import date

import httpx
import pytest

from pilotlight.catalog.providers import Spec
from pilotlight.health.hosted import check_hosted
from pilotlight.providers.connection import Connection
from pilotlight_chaos import ChaosServer
from pilotlight_chaos.models import HostedModel

KEY = "sk-secret-key"
HOSTED = (
    HostedModel("gpt-4o", "openai"),
    HostedModel("gpt-old", "openai", "2030-01-14"),
    HostedModel("claude-sonnet-4-5", "anthropic", "2030-11-30"),
    HostedModel("gemini-2.5-flash", "gemini"),
)


@pytest.fixture(scope="module")
def running():
    with ChaosServer(hosted=HOSTED) as server:
        yield server


@pytest.fixture
def server(running):
    running.reset()
    return running


def bases(server):
    base = server.base("primary")
    return {"openai": f"{base}/v1", "mistral": f"{base}/v1", "anthropic": base, "gemini": base}


def look(server, model: str, key: str | None = KEY):
    base = bases(server)[model.partition("/")[0]]
    connection = Connection(Spec("t", model, base, key))
    with httpx.Client(trust_env=False) as client:
        return check_hosted(client, connection)


@pytest.mark.parametrize(
    ("model", "retires"),
    [
        ("openai/gpt-4o", None),
        ("openai/gpt-old", date(2030, 1, 14)),
        ("anthropic/claude-sonnet-4-5", date(2030, 11, 30)),
        ("gemini/gemini-2.5-flash", None),
    ],
)
def test_a_good_key_and_the_end_in_sight(server, model, retires):
    found = look(server, model)
    assert (found.state, found.retires, found.problem) == ("ok", retires, None)
    assert server.hits() == 0, "nothing was generated"


@pytest.mark.parametrize("model", ["openai/gpt-9", "anthropic/claude-9", "gemini/gemini-9"])
def test_a_model_that_is_not_there(server, model):
    found = look(server, model)
    assert (found.state, found.failed) == ("missing", None)


@pytest.mark.parametrize(
    "model", ["openai/gpt-4o", "anthropic/claude-sonnet-4-5", "gemini/gemini-2.5-flash"]
)
def test_a_bad_key(server, model):
    server.fault("primary", "auth", everywhere=True)
    found = look(server, model)
    assert (found.state, found.failed) == ("auth_failed", "auth_failed")
    assert KEY not in repr(found)


@pytest.mark.parametrize("model", ["openai/gpt-4o", "gemini/gemini-2.5-flash"])
def test_the_key_is_in_a_header_and_never_in_the_address(server, model):
    look(server, model)
    (asked,) = server.requests(probes=True)
    assert KEY not in asked.path
    assert any(KEY in value for value in asked.headers.values())


def test_no_key_sends_nothing(server):
    found = look(server, "anthropic/claude-sonnet-4-5", None)
    assert (found.state, "ANTHROPIC_API_KEY" in found.mend) == ("auth_failed", True)
    assert server.requests(probes=True) == []


@pytest.mark.parametrize("kind", ["server_error", "bad_gateway", "reset"])
def test_out_of_order(server, kind):
    server.fault("primary", kind, everywhere=True)
    assert look(server, "openai/gpt-4o").state == "unreachable"


@pytest.mark.parametrize("kind", ["rate_limit", "garbage", "truncated_json"])
def test_what_says_little_is_held_against_nobody(server, kind):
    server.fault("primary", kind, everywhere=True)
    found = look(server, "openai/gpt-4o")
    assert (found.state, found.failed, found.refutes) == ("ok", None, frozenset())


def answering(body, status=200):
    handler = lambda request: httpx.Response(status, json=body)
    return httpx.Client(transport=httpx.MockTransport(handler))


def test_mistrals_card_names_the_replacement():
    card = {
        "id": "mistral-old",
        "aliases": ["mistral-Latest"],
        "deprecation": "2030-06-01T00:00:00Z",
        "deprecation_replacement_model": "mistral-new",
    }
    connection = Connection(Spec("t", "mistral/mistral-latest", None, KEY))
    found = check_hosted(answering({"data": [card]}), connection)
    assert (found.retires, found.replacement) == (date(2030, 6, 1), "mistral-new")


@pytest.mark.parametrize(
    "body", [[{"id": "m"}], {"data": [{"id": "m"}]}, {"models": [{"name": "m"}]}]
)
def test_lists_of_every_habit(body):
    connection = Connection(Spec("t", "together_ai/M", None, KEY))
    assert check_hosted(answering(body), connection).state == "ok"


@pytest.mark.parametrize("body", [None, [], {}, {"data": None}, {"data": [None, 3]}, "x", 5])
def test_lists_that_are_none(body):
    connection = Connection(Spec("t", "openai/gpt-4o", None, KEY))
    found = check_hosted(answering(body), connection)
    assert (found.state, bool(found.problem)) == ("ok", True)


def test_deepseeks_list_is_not_under_beta():
    asked = []

    def answer(request):
        asked.append(str(request.url))
        return httpx.Response(200, json={"data": [{"id": "deepseek-chat"}]})

    connection = Connection(Spec("t", "deepseek/deepseek-chat", None, KEY))
    check_hosted(httpx.Client(transport=httpx.MockTransport(answer)), connection)
    assert asked == ["https://api.deepseek.com/models"]
