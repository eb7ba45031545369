"""Every SDK, guarded: in four shapes and two colours, with its provider well, broken and gone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest
from kit_exchange import cut, events_of, refusing
from kit_guard import COLOURS, EACH_SDK, SHAPES, WORDS, Sdk, answered, api, configured, same

from pilotlight import guard, receipts
from tests.providers.loopback import Loopback, Say, reply

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
    from pilotlight import ConfigError

    with pytest.raises(ConfigError) as caught:
        guard(*given)
    assert mend in str(caught.value)
    assert "\n" not in str(caught.value)
