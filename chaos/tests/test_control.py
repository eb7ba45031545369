"""The control endpoint, the counters, and the command line."""

from __future__ import annotations

import subprocess
import sys
import time

import httpx
import pytest

from pilotlight_chaos import Ask, ChaosServer
from pilotlight_chaos.cli import main

BODY = {"model": "gpt-4o", "messages": [{"role": "user", "content": "secret words"}]}


def ask(server: ChaosServer, http: httpx.Client, name: str = "primary") -> httpx.Response:
    return http.post(f"{server.base(name)}/v1/chat/completions", json=BODY)


def test_faults_over_http(server: ChaosServer, http: httpx.Client) -> None:
    control = f"{server.url}/__control"
    fault = {"name": "primary", "kind": "rate_limit", "retry_after": 30}
    assert http.post(f"{control}/fault", json=fault).status_code == 200
    assert ask(server, http).headers["retry-after"] == "30"
    state = http.get(control).json()
    assert state["faults"]["primary"][0]["struck"] == 1
    assert state["counters"]["primary"]["requests"] == 1
    http.post(f"{control}/heal", json={"name": "primary"})
    assert ask(server, http).status_code == 200
    http.post(f"{control}/reset")
    assert server.hits() == 0


def test_mistakes_over_http(server: ChaosServer, http: httpx.Client) -> None:
    control = f"{server.url}/__control"
    reply = http.post(f"{control}/fault", json={"name": "primary", "kind": "hangs"})
    assert reply.status_code == 400
    assert "did you mean 'hang'" in reply.json()["error"]
    assert http.post(f"{control}/fault", json={"kind": "hang"}).status_code == 400
    assert http.post(f"{control}/refuse", json={}).status_code == 400
    reply = http.get(f"{control}/nothing")
    assert reply.status_code == 404
    assert f"GET {'/__control'}/kinds" in reply.json()["known"]
    assert http.get(f"{control}/kinds").json()["stall"]["parameters"]["after"] == 2


def test_records_hide_bodies_unless_asked(server: ChaosServer, http: httpx.Client) -> None:
    ask(server, http)
    ask(server, http, "other")
    url = f"{server.url}/__control/requests"
    told = http.get(url, params={"name": "primary"})
    assert "secret" not in told.text
    (record,) = told.json()["requests"]
    assert record["model"] == "gpt-4o"
    assert record["path"] == "/v1/chat/completions"
    assert record["outcome"] == "completed"
    assert "secret" in http.get(url, params={"bodies": "1"}).text
    assert server.requests("other")[0].body == BODY


def test_counters(server: ChaosServer, http: httpx.Client) -> None:
    for name in ("a", "b"):
        ask(server, http, name)
    http.get(f"{server.base('a')}/v1/models")
    assert [server.hits(key) for key in ("a", "b", "openai", "*", "zz")] == [1, 1, 2, 2, 0]
    counters = server.counters("a")
    assert (counters.completed, counters.probes, counters.max_in_flight) == (1, 1, 1)


def test_refuse_for_a_while(server: ChaosServer, http: httpx.Client) -> None:
    http.post(f"{server.url}/__control/refuse", json={"seconds": 0.1})
    refused = False
    total_timeout = time.monotonic() + 5
    while time.monotonic() < total_timeout:
        try:
            answered = ask(server, http).status_code == 200
        except httpx.TransportError:
            refused, answered = True, False
        if refused and answered:
            return
    pytest.fail("it never refused, or never opened again")


def test_reply_may_be_a_function(http: httpx.Client) -> None:
    def reply(ask: Ask) -> str:
        return f"{ask.name}/{ask.dialect}: {ask.last_user_text}"

    with ChaosServer(reply=reply) as server:
        body = ask(server, http).json()
        assert body["choices"][0]["message"]["content"] == "primary/openai: secret words"


def test_the_default_reply_says_who_answers(http: httpx.Client) -> None:
    with ChaosServer() as server:
        text = ask(server, http).json()["choices"][0]["message"]["content"]
        assert text == 'This is gpt-4o at primary. You said: "secret words"'


def test_a_mistake_in_a_reply_function_is_told(
    http: httpx.Client, capsys: pytest.CaptureFixture[str]
) -> None:
    with ChaosServer(reply=lambda ask: 1 / 0) as server:  # type: ignore[arg-type, return-value]
        reply = ask(server, http)
        assert reply.status_code == 500
        assert "ZeroDivisionError" in reply.text
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_cli_kinds(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["kinds"]) == 0
    assert "rate_limit" in capsys.readouterr().out


def test_cli_serve_and_taken_port() -> None:
    command = [sys.executable, "-m", "pilotlight_chaos", "serve", "--port"]
    process = subprocess.Popen([*command, "0"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout as out:
        url = out.readline().split()[-1]
        assert httpx.get(url, trust_env=False).text == "Ollama is running"
        assert main(["serve", "--port", url.rsplit(":", 1)[1]]) == 1
        process.terminate()
        assert process.wait(5) == 0
