"""Who may come in."""

from __future__ import annotations

import base64
from itertools import product

import pytest
from kit_gateway import ASK, bearer, config, ring, secret, serving

from pilotlight.doors.gateway.access import Access
from pilotlight.doors.gateway.keys import Key
from pilotlight.doors.gateway.refuse import Refuse

LOCAL = {"client": ("127.0.0.1", 5), "query_string": b""}
CARRIED = {
    "bearer": lambda key: {"authorization": f"Bearer {key}"},
    "anthropic": lambda key: {"x-api-key": key},
    "google": lambda key: {"x-goog-api-key": key},
    "azure": lambda key: {"api-key": key},
    "basic": lambda key: {
        "authorization": "Basic " + base64.b64encode(f"me:{key}".encode()).decode()
    },
}


@pytest.mark.parametrize("way", CARRIED)
def test_a_key_is_found_where_the_sdks_put_it(way):
    access = Access(ring(ci=Key()))
    assert access.admit(LOCAL, CARRIED[way](secret("ci")), "")[0] == "ci"
    with pytest.raises(Refuse) as raised:
        access.admit(LOCAL, CARRIED[way]("plk_wrong"), "")
    assert raised.value.status == 401
    assert "plk_wrong" not in raised.value.message


def test_a_key_in_the_address_or_the_query():
    access = Access(ring(ci=Key()))
    assert access.admit(LOCAL, {}, secret("ci"))[0] == "ci"
    query = {**LOCAL, "query_string": f"alt=sse&key={secret('ci')}".encode()}
    assert access.admit(query, {}, "")[0] == "ci"


@pytest.mark.parametrize(
    "header", ["Basic", "Basic !", "Basic " + "a" * 5, "Bearer", "Bearer ", "x"]
)
def test_a_header_that_holds_no_key(header):
    with pytest.raises(Refuse) as raised:
        Access(ring(ci=Key())).admit(LOCAL, {"authorization": header}, "")
    assert raised.value.status == 401


HOSTS = {
    "127.0.0.1:8484": True, "localhost": True, "[::1]:8484": True, "127.1.2.3": True, "": True,
    "evil.example": False, "127.0.0.1.evil.example": False, "localhost.evil.example:8484": False,
    "[::1": False, "10.0.0.1": False, "0.0.0.0:8484": False,
}  # fmt: skip


@pytest.mark.parametrize("host", HOSTS)
def test_without_keys_the_host_is_this_machine(host):
    access, headers = Access(), {"host": host} if host else {}
    if HOSTS[host]:
        access.admit(LOCAL, headers, "")
    else:
        with pytest.raises(Refuse, match="keys add"):
            access.admit(LOCAL, headers, "")


@pytest.mark.parametrize(
    ("origin", "let_in"),
    [
        ("http://127.0.0.1:8484", True),
        ("https://evil.example", False),
        ("http://127.0.0.1:9999", False),
        ("null", False),
        ("", False),
    ],
)
def test_without_keys_no_page_of_elsewhere_may_ask(origin, let_in):
    headers = {"host": "127.0.0.1:8484", "origin": origin}
    if let_in:
        Access().admit(LOCAL, headers, "")
    else:
        with pytest.raises(Refuse, match="web page"):
            Access().admit(LOCAL, headers, "")


def test_without_keys_nobody_from_elsewhere_may_ask_unless_it_is_said():
    stranger = {"client": ("192.0.2.7", 5), "query_string": b""}
    with pytest.raises(Refuse, match="only this machine"):
        Access().admit(stranger, {}, "")
    assert Access(public=True).admit(stranger, {"host": "evil.example"}, "")[0] == ""


# Over a socket.

ADDRESSES = [
    ("/v1/chat/completions", {"model": "chat", "messages": ASK}),
    ("/v1/responses", {"model": "chat", "input": "hi"}),
    ("/v1/messages", {"model": "chat", "max_tokens": 5, "messages": ASK}),
    ("/v1beta/models/chat:generateContent", {"contents": [{"parts": [{"text": "hi"}]}]}),
    ("/api/chat", {"model": "chat", "messages": ASK}),
    ("/api/generate", {"model": "chat", "prompt": "hi"}),
    ("/v1/embeddings", {"model": "vectors", "input": "hi"}),
    ("/api/embed", {"model": "vectors", "input": "hi"}),
]


def test_no_address_is_open_without_a_key(chaos, caplog):
    with serving(config(chaos), Access(ring(ci=Key()))) as site:
        for (path, body), key in product(ADDRESSES, (None, "plk_wrong")):
            headers = {} if key is None else {"authorization": f"Bearer {key}"}
            assert site.post(path, body, headers=headers).status_code == 401
        for path in ("/v1/models", "/api/tags", "/metrics", "/status", "/status.json"):
            assert site.get(path).status_code == 401
        for path in ("/health/live", "/health/ready", "/"):
            assert site.get(path).status_code == 200
        assert chaos.requests() == [], "nobody was asked"


def test_a_key_may_use_its_routes_only(chaos):
    with serving(config(chaos), Access(ring(ci=Key(routes=("chat",))))) as site:
        assert site.chat("chat", headers=bearer("ci")).status_code == 200
        told = site.chat("claude", headers=bearer("ci"))
        assert told.status_code == 403
        assert "may not use the route 'claude'" in told.json()["error"]["message"]
        names = [each["id"] for each in site.get("/v1/models", headers=bearer("ci")).json()["data"]]
        assert names == ["pilotlight/chat"]
        assert site.get("/v1/models/claude", headers=bearer("ci")).status_code == 403


def test_only_an_operator_sees_the_status(chaos):
    keys = ring(ci=Key(), ops=Key(operator=True))
    with serving(config(chaos), Access(keys)) as site:
        for path in ("/status", "/status.json", "/status/status.css"):
            assert site.get(path, headers=bearer("ci")).status_code == 403
            assert site.get(path, headers=bearer("ops")).status_code == 200
        basic = site.get("/status", auth=("anything", secret("ops")))
        assert basic.status_code == 200


def test_no_key_and_no_prompt_is_logged(chaos, caplog):
    with caplog.at_level(0), serving(config(chaos), Access(ring(ci=Key()))) as site:
        secret_prompt = "the-prompt-itself"
        ask = [{"role": "user", "content": secret_prompt}]
        site.chat(messages=ask, headers=bearer("ci"))
        site.post(
            f"/{secret('ci')}/api/chat?key={secret('ci')}", {"model": "chat", "messages": ask}
        )
        site.get(f"/v1/models/{secret_prompt}", headers=bearer("ci"))
        site.get(f"/{secret_prompt}")
        site.chat(secret_prompt, headers=bearer("ci"))
    ours = "\n".join(
        each.getMessage() for each in caplog.records if each.name.startswith("pilotlight")
    )
    assert "/v1/chat/completions 200 route=chat served_by=gpt key=ci" in ours
    assert secret("ci") not in ours
    assert secret_prompt not in ours
