"""Every SDK, guarded: in four shapes and two colours, with its provider well, broken and gone."""

from __future__ import annotations

import json
import threading
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final

import pytest
from kit_exchange import cut, events_of, refusing
from kit_guard import (
    ASKED,
    COLOURS,
    EACH_SDK,
    SDKS,
    SHAPES,
    WORDS,
    Sdk,
    answered,
    api,
    configured,
    same,
)

from pilotlight import ConfigError, guard, private, receipts
from pilotlight.core.provider import Timeouts
from pilotlight.doors.guard.home import Patience, clocks
from tests.providers.loopback import Loopback, Say, reply, said

BROKEN: Final[dict[str, Say]] = {
    "500": refusing(500),
    "429": refusing(429),
    "401": refusing(401),
    "cut before": cut(0),
    "malformed": lambda _path, _body: reply(b"<html>502</html>", kind="text/html"),
    "empty": lambda _path, _body: reply(b"{}"),
}
EACH_SHAPE: Final = pytest.mark.parametrize("shape", SHAPES)


@COLOURS
@EACH_SHAPE
@EACH_SDK
def test_all_is_well(
    sdk: Sdk, shape: str, colour: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        Loopback(api) as primary,
        Loopback(api) as spare,
        configured(tmp_path, monkeypatch, spare),
        receipts() as log,
    ):
        given = sdk.client(primary.url, colour == "async")
        client = guard(given, fallback="spare")
        assert type(client) is type(given)
        assert same(shape, answered(sdk, client, shape, colour))
    assert [each.outcome for each in log] == ["primary"]
    assert spare.asked == []


@COLOURS
@EACH_SHAPE
@pytest.mark.parametrize("trouble", BROKEN)
@EACH_SDK
def test_the_spare_answers_in_the_sdk_s_own_words(
    sdk: Sdk,
    trouble: str,
    shape: str,
    colour: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with (
        Loopback(BROKEN[trouble]) as primary,
        Loopback(api) as spare,
        configured(tmp_path, monkeypatch, spare),
        receipts() as log,
    ):
        client = guard(sdk.client(primary.url, colour == "async"), fallback="spare")
        assert same(shape, answered(sdk, client, shape, colour))
    assert [each.outcome for each in log] == ["failover"]
    assert b"secret" not in b"".join(spare.heads)


@COLOURS
@EACH_SHAPE
@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 503])
@EACH_SDK
def test_when_all_are_down_the_sdk_raises_its_own_class(
    sdk: Sdk,
    status: int,
    shape: str,
    colour: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with (
        Loopback(refusing(status)) as primary,
        Loopback(refusing(500)) as spare,
        configured(tmp_path, monkeypatch, spare),
        receipts() as log,
    ):
        client = guard(sdk.client(primary.url, colour == "async"), fallback="spare")
        with pytest.raises(sdk.errors()) as caught:
            answered(sdk, client, shape, colour)
    assert sdk.status(caught.value) == status
    assert len(log) == 1  # its own retries are told to stay out of it
    assert len(primary.asked) == 1


@COLOURS
@EACH_SDK
def test_a_stream_that_breaks_off_is_an_error(
    sdk: Sdk, colour: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    half = len(events_of(sdk.dialect, WORDS)) * 2 // 3
    with (
        Loopback(cut(half, WORDS)) as primary,
        Loopback(api) as spare,
        configured(tmp_path, monkeypatch, spare),
        receipts() as log,
    ):
        client = guard(sdk.client(primary.url, colour == "async"), fallback="spare")
        with pytest.raises(Exception) as caught:  # noqa: PT011 - its kind is looked at below
            answered(sdk, client, "stream", colour)
    assert type(caught.value).__module__.partition(".")[0] in (
        "openai", "anthropic", "google", "groq", "mistralai", "ollama", "httpx", "httpx2",
    )  # fmt: skip
    assert log[0].outcome == "interrupted"
    assert spare.asked == []


@COLOURS
@EACH_SDK
def test_headers_tell_what_happened(
    sdk: Sdk, colour: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        Loopback(api) as primary,
        configured(tmp_path, monkeypatch, None),
        receipts() as log,
    ):
        client = guard(sdk.client(primary.url, colour == "async"))
        answered(sdk, client, "plain", colour)
    sent = json.loads(primary.asked[0][1])
    assert sent
    assert log[0].attempts[0].status == 200
    heads = primary.heads[0].lower()
    assert b"secret" in heads or sdk.name == "ollama"
    assert b"user-agent: pilotlight" not in heads


@pytest.mark.parametrize(
    ("given", "mend"),
    [
        (("gpt-4o",), "guard(OpenAI()"),
        ((None,), "guard() takes an SDK's client"),
        ((object(),), "known are OpenAI"),
        ((dict,), "make one: guard(dict())"),
    ],
)
def test_what_is_no_client_is_told_in_one_line(given: Any, mend: str) -> None:
    with pytest.raises(ConfigError) as caught:
        guard(*given)
    assert mend in str(caught.value)
    assert "\n" not in str(caught.value)


# Privacy, and whatever is no call of a model.


@COLOURS
@EACH_SHAPE
@EACH_SDK
def test_a_private_call_goes_to_the_local_spare_alone(
    sdk: Sdk, shape: str, colour: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        Loopback(api) as primary,
        Loopback(api) as spare,
        configured(tmp_path, monkeypatch, spare),
        receipts() as log,
    ):
        client = guard(sdk.client(primary.url, colour == "async"), fallback="spare")
        with private():
            assert same(shape, answered(sdk, client, shape, colour))
    asked = primary if sdk.name == "ollama" else spare  # on loopback, it is local itself
    assert [path for path, _ in asked.asked] == ["/api/show", "/api/chat"]
    assert len(primary.asked) + len(spare.asked) == 2
    assert log[0].private


def other(sdk: Sdk, client: Any) -> Any:
    """Ask for something that is no call of a model."""
    if sdk.name == "ollama":
        return client.list()
    if sdk.name == "genai":
        return client.models.get(model="gemini-2.5-flash")
    return client.models.list()


@pytest.mark.parametrize("how", ["plain", "private", "block"])
@EACH_SDK
def test_everything_else_passes_and_stays_at_home_in_private(
    sdk: Sdk, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        Loopback(api) as primary,
        Loopback(api) as spare,
        configured(tmp_path, monkeypatch, spare),
        receipts() as log,
        sdk.client(primary.url, False) as given,
    ):
        client = guard(given, fallback="spare", private=True if how == "private" else None)
        if how == "plain" or sdk.name == "ollama":
            other(sdk, client)
            assert len(primary.asked) == 1
        else:
            with (
                pytest.raises(sdk.errors()) as caught,
                private() if how == "block" else nullcontext(),
            ):
                other(sdk, client)
            assert sdk.status(caught.value) == 403
            assert primary.asked == []
    assert log == []
    assert spare.asked == []


@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.embeddings.create(model="m", input="secret plan"),
        lambda client: client.files.create(file=b"secret plan", purpose="batch"),
        lambda client: client.responses.create(model="m", input="secret plan", background=True),
        lambda client: client.completions.create(model="m", prompt="secret plan"),
        lambda client: client.responses.retrieve("secret plan"),
        lambda client: client.moderations.create(input="secret plan"),
        lambda client: client.audio.speech.create(model="m", voice="v", input="secret plan"),
    ],
)
def test_no_way_of_the_sdk_leads_a_private_word_out(
    ask: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import openai

    with Loopback(api) as primary, configured(tmp_path, monkeypatch, None):
        client = guard(openai.OpenAI(api_key="k", base_url=primary.url), private=True)
        with pytest.raises(openai.PermissionDeniedError):
            ask(client)
    assert primary.asked == []


@pytest.mark.parametrize("model", ["gpt-oss:120b-cloud", "stub"])
@pytest.mark.parametrize("name", ["generate", "embed", "chat"])
def test_an_ollama_on_this_machine_is_no_proof_for_its_cloud_models(
    name: str, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ollama

    def say(path: str, body: bytes) -> bytes:
        return said({"remote_host": "https://ollama.com"}) if "show" in path else api(path, body)

    with Loopback(say) as primary, configured(tmp_path, monkeypatch, None):
        client: Any = guard(ollama.Client(primary.url), private=True)
        given: Any = {"messages": [{"role": "user", "content": "secret plan"}]}
        given = {"chat": given, "generate": {"prompt": "secret plan"}}.get(
            name, {"input": "secret plan"}
        )
        with pytest.raises(ollama.ResponseError):
            getattr(client, name)(model=model, **given)
    assert b"secret" not in b"".join(body for _, body in primary.asked)


def test_a_web_search_of_the_ollama_sdk_leaves_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ollama

    monkeypatch.setenv("OLLAMA_API_KEY", "k")
    with Loopback(api) as primary, configured(tmp_path, monkeypatch, None):
        client = guard(ollama.Client(primary.url), private=True)
        with pytest.raises(ollama.ResponseError) as caught:
            client.web_search("secret plan")
    assert caught.value.status_code == 403


# Terms.


@COLOURS
def test_its_own_time_limit_moves_a_silent_provider_on(
    colour: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import openai

    silence = threading.Event()

    def say(_path: str, _body: bytes) -> bytes:
        silence.wait(20)
        return b""

    with (
        Loopback(say) as primary,
        Loopback(api) as spare,
        configured(tmp_path, monkeypatch, spare),
        receipts() as log,
    ):
        sdk = next(each for each in SDKS if each.name == "openai")
        kind = openai.AsyncOpenAI if colour == "async" else openai.OpenAI
        client = guard(kind(api_key="k", base_url=primary.url, timeout=0.2), fallback="spare")
        for shape in ("plain", "stream"):
            assert same(shape, answered(sdk, client, shape, colour))
        silence.set()
    assert [each.attempts[0].fault for each in log] == ["timeout", "timeout"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("read", [None, 1.0, 50.0, 300.0, 600.0])
def test_a_guarded_call_is_given_up_no_sooner_than_there_is_reason(
    read: float | None, alone: bool, stream: bool
) -> None:
    found = clocks(Timeouts(), Patience(5.0, read), stream=stream, alone=alone)
    limits = (found.first_token, found.between_tokens, found.total)
    if alone:
        assert limits == (read, read, None if stream else read)
    elif stream:
        assert limits == (min(30.0, read or 30.0), min(20.0, read or 20.0), None)
    else:
        assert found.total == (120.0 if read in (None, 600.0) else read)


@pytest.mark.parametrize(
    ("terms", "mend"),
    [
        ({"route": "caht"}, "unknown route"),
        ({"fallback": "gpt-4o"}, "write"),
        ({"fallback": []}, "names no model"),
        ({"fallback": 7}, "list of models"),
        ({"route": 7}, "route's name"),
        ({"route": "r", "fallback": "spare"}, "give one"),
        ({"total_timeout": 0}, "positive number"),
        ({"total_timeout": "5"}, "positive number"),
        ({"private": "yes"}, "True or False"),
    ],
)
def test_bad_terms_name_their_mend(
    terms: Any, mend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import openai

    with configured(tmp_path, monkeypatch, None), pytest.raises(ConfigError) as caught:
        guard(openai.OpenAI(api_key="k"), **terms)
    assert mend in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_targets_of_a_route_come_after_the_client_s_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import openai

    with (
        Loopback(refusing(500)) as primary,
        Loopback(refusing(500)) as second,
        Loopback(api) as spare,
        configured(
            tmp_path, monkeypatch, spare,
            f'[targets.gpt]\nmodel = "openai/gpt-4o"\napi_base = "{second.url}"\napi_key = "k2"\n'
            '[routes.chat]\ntargets = ["gpt", "spare"]\n',
        ),
        receipts() as log,
    ):  # fmt: skip
        client = guard(openai.OpenAI(api_key="k", base_url=primary.url), route="chat")
        client.chat.completions.create(model="gpt-4o", messages=ASKED)
        again = guard(openai.OpenAI(api_key="k2", base_url=second.url), route="chat")
        again.chat.completions.create(model="gpt-4o", messages=ASKED)
    asked = [[each.target for each in receipt.attempts] for receipt in log]
    assert asked == [["openai/gpt-4o", "gpt", "spare"], ["gpt", "spare"]]


def test_breakers_are_shared_with_targets_of_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import openai

    import pilotlight

    with (
        Loopback(refusing(401)) as primary,
        configured(
            tmp_path, monkeypatch, None,
            f'[targets.gpt]\nmodel = "openai/gpt-4o"\napi_base = "{primary.url}"\napi_key = "k"\n',
        ),
    ):  # fmt: skip
        client = guard(openai.OpenAI(api_key="k", base_url=primary.url))
        with pytest.raises(openai.AuthenticationError):
            client.chat.completions.create(model="gpt-4o", messages=ASKED)
        assert pilotlight.load().target("gpt").health.breaker.retry_after is not None
        with pytest.raises(openai.APIStatusError) as caught:
            client.chat.completions.create(model="gpt-4o", messages=ASKED)
    assert caught.value.status_code == 503
    assert int(caught.value.response.headers["retry-after"]) > 60
    assert len(primary.asked) == 1
