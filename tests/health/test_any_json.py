"""Whatever a server says when it is looked at: a check comes back, and raises nothing."""

from __future__ import annotations

from typing import Any, Final

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sham import DIGEST, ENTRY, MODEL, SHOWN, Sham

from pilotlight.catalog.providers import Spec
from pilotlight.errors import PullFailed
from pilotlight.health.checks import LocalCheck, check_local
from pilotlight.health.hosted import HostedCheck, check_hosted
from pilotlight.health.pull import Pulls
from pilotlight.providers.connection import Connection
from tests.anyjson import ANY, ODD, places, put, written

SAID: Final[dict[str, Any]] = {
    "version": {"version": "0.33.0"},
    "tags": {"models": [ENTRY]},
    "show": SHOWN,
    "status": {"cloud": {"disabled": False}},
    "ps": {"models": [{**ENTRY, "size_vram": 1, "context_length": 4096, "digest": DIGEST}]},
}
MODELS: Final = {"data": [{"id": "gpt-4o", "aliases": ["x"], "shutdown_date": "2030-01-01"}]}
PULLED: Final = {"status": "pulling", "digest": "sha256:1", "completed": 1, "total": 2}


@settings(deadline=None, max_examples=settings().max_examples * 2)
@given(st.sampled_from(sorted(SAID)), st.data())
def test_a_local_check_comes_back(name: str, data: st.DataObject) -> None:
    at = data.draw(st.sampled_from(list(places(SAID[name]))))
    sham = Sham(**SAID)
    sham.answers[name] = (200, written(put(SAID[name], at, data.draw(ANY))))
    with sham.client() as client:
        check = check_local(client, "http://127.0.0.1:9", MODEL)
    assert isinstance(check, LocalCheck)
    assert repr(check).encode()


@pytest.mark.parametrize("name", sorted(SAID))
def test_a_local_check_takes_each_oddity_anywhere(name: str) -> None:
    for at in places(SAID[name]):
        for odd in (*ODD, None, True, "x", 1.5):
            sham = Sham(**SAID)
            sham.answers[name] = (200, written(put(SAID[name], at, odd)))
            with sham.client() as client:
                assert isinstance(check_local(client, "http://127.0.0.1:9", MODEL), LocalCheck)


@settings(deadline=None, max_examples=settings().max_examples * 2)
@given(
    st.sampled_from(["openai/gpt-4o", "anthropic/claude-x", "gemini/gemini-x"]),
    st.sampled_from([200, 400, 401, 404, 500]),
    st.data(),
)
def test_a_hosted_check_comes_back(model: str, status: int, data: st.DataObject) -> None:
    at = data.draw(st.sampled_from(list(places(MODELS))))
    body = written(put(MODELS, at, data.draw(ANY))).encode("utf-8", "surrogatepass")
    transport = httpx.MockTransport(lambda _: httpx.Response(status, content=body))
    connection = Connection(Spec("t", model, api_key="k"))
    with httpx.Client(transport=transport) as client:
        assert isinstance(check_hosted(client, connection), HostedCheck)


@settings(deadline=None, max_examples=settings().max_examples)
@given(st.data())
def test_a_pull_ends_well_or_says_why(data: st.DataObject) -> None:
    at = data.draw(st.sampled_from(list(places(PULLED))))
    odd = written(put(PULLED, at, data.draw(ANY))).encode("utf-8", "surrogatepass")
    body = odd + b'\n{"status":"success"}\n'
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=body))
    connection = Connection(Spec("t", "ollama/llama3.2"))
    client = httpx.Client(transport=transport)
    connection._pool = type("Pool", (), {"client": lambda _: client, "close": lambda _: None})()
    seen: list[Any] = []
    try:
        Pulls(sleep=lambda _: None).pull(connection, watch=seen.append)
    except PullFailed as failed:
        assert str(failed).encode()
    assert all(each.completed >= 0 and each.total >= 0 for each in seen)


def test_a_line_without_an_end_breaks_the_pull_off() -> None:
    endless = b'{"a":"' + b"x" * (2 << 20)
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=endless))
    connection = Connection(Spec("t", "ollama/llama3.2"))
    client = httpx.Client(transport=transport)
    connection._pool = type("Pool", (), {"client": lambda _: client, "close": lambda _: None})()
    with pytest.raises(PullFailed, match="without an end"):
        Pulls(sleep=lambda _: None).pull(connection)
