"""An application with its routes, streams, pages and errors, with the providers played."""

from __future__ import annotations

import pytest
from fastapi import Depends, FastAPI, HTTPException
from fastapi.testclient import TestClient

import pilotlight
from fastapi_pilotlight import UseRoute, lifespan, setup, stream_response
from pilotlight.testing import answers, outage, reset

SAID = "Hello from the pilot"
CONFIG = {
    "targets": {
        "gpt": {"model": "openai/gpt-4o"},
        "local": {"model": "ollama/llama3.2", "api_base": "http://127.0.0.1:9"},
    },
    "routes": {"chat": {"targets": ["gpt", "local"]}, "home": {"targets": ["gpt"]}},
}


def staff(key: str = "") -> None:
    if key != "staff":
        raise HTTPException(403)


def application() -> FastAPI:
    app = FastAPI(lifespan=lifespan(CONFIG))
    setup(app, dependencies=[Depends(staff)])

    @app.get("/ask")
    async def ask(text: str, chat: UseRoute("chat")):
        answer = await chat.acomplete([{"role": "user", "content": text}])
        return {"text": answer.text, "degraded": answer.failed_over}

    @app.get("/sync")
    def sync(chat: UseRoute("chat"), role: str = "user"):
        return {"text": chat.complete([{"role": role, "content": "hi"}]).text}

    @app.get("/talk")
    async def talk(chat: UseRoute("chat"), sse: bool = False, private: bool = False):
        ask = [{"role": "user", "content": "hi"}]
        return stream_response(chat, ask, sse=sse, private=private or None)

    @app.get("/late")
    def late(chat: UseRoute("chat")):
        raise pilotlight.DeadlineExceeded("gpt has a key sk-4711")

    @app.get("/private")
    def private(home: UseRoute("home")):
        return home.complete([{"role": "user", "content": "hi"}], private=True).text

    return app


@pytest.fixture
def client(monkeypatch):
    monkeypatch.setenv("PILOTLIGHT_BACKGROUND", "off")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    reset()
    with TestClient(application(), raise_server_exceptions=False) as made:
        yield made


@pytest.mark.parametrize("path", ["/ask?text=hi", "/sync"])
def test_an_outage_is_not_noticed(client, path):
    with outage("openai", answer=SAID):
        said = client.get(path)
    assert (said.status_code, said.json()["text"]) == (200, SAID)


def test_streams(client):
    with outage("openai", answer=SAID):
        assert client.get("/talk").text == SAID
        said = client.get("/talk?sse=true")
    assert said.headers["content-type"].startswith("text/event-stream")
    assert 'event: message\ndata: {"text": "Hello "}' in said.text
    assert said.text.endswith('event: done\ndata: {"served_by": "local", "failed_over": true}\n\n')


def test_a_stream_that_nobody_answers_says_so_in_an_event(client):
    said = client.get("/talk?sse=true")
    assert 'event: error\ndata: {"error": "AllTargetsFailed"' in said.text


def test_what_a_client_is_told_of_errors(client):
    nobody = client.get("/ask?text=hi")
    assert (nobody.status_code, nobody.json()) == (503, {"detail": "no model answers just now"})
    assert int(nobody.headers["retry-after"]) >= 1
    late = client.get("/late")
    assert late.status_code == 504
    assert "sk-" not in late.text
    wrong = client.get("/sync?role=")
    assert (wrong.status_code, "role" in wrong.json()["detail"]) == (422, True)


def test_a_spent_budget_is_told_as_nobody_is():
    app = FastAPI()
    setup(app)

    @app.get("/ask")
    def ask() -> None:
        raise pilotlight.BudgetSpent("team", 59.2)

    told = TestClient(app).get("/ask")
    assert (told.status_code, told.headers["retry-after"]) == (503, "60")
    assert "team" not in told.text


def test_the_page_is_for_those_who_may_see_it(client):
    assert client.get("/pilotlight").status_code == 403
    shown = client.get("/pilotlight?key=staff")
    assert shown.status_code == 200
    assert "LLM status" in shown.text
    told = client.get("/pilotlight/status.json?key=staff").json()
    assert [each["name"] for each in told["routes"]] == ["chat", "home"]
    assert client.get("/pilotlight/files/status.css?key=staff").status_code == 200
    assert client.get("/pilotlight/files/passwd?key=staff").status_code == 404


def test_without_somebody_who_decides_there_is_no_page():
    app = FastAPI(lifespan=lifespan(CONFIG))
    setup(app)
    with TestClient(app) as client:
        assert client.get("/pilotlight").status_code == 404
        assert client.get("/pilotlight/ready").json() == {"standing": "ok"}


def test_on_a_fallback_the_service_is_ready(client):
    pilot = client.app.state.pilotlight
    pilot.target("gpt").health.breaker.trip("forced", 60.0)
    assert client.get("/pilotlight/ready").status_code == 200  # `chat` has the local one
    pilot.target("local").health.breaker.trip("forced", 60.0)
    assert client.get("/pilotlight/ready").status_code == 503


def test_a_mistake_in_the_configuration_stops_the_start():
    app = FastAPI(lifespan=lifespan({"targets": {"t": {"model": "opnai/gpt-4o"}}}))
    with pytest.raises(pilotlight.ConfigError, match="did you mean"), TestClient(app):
        pass


def test_a_lifespan_of_the_applications_own_stands_inside(monkeypatch):
    from contextlib import asynccontextmanager

    seen = []

    @asynccontextmanager
    async def own(app):
        seen.append(list(app.state.pilotlight.routes))
        yield {"mine": 1}
        seen.append("end")

    with TestClient(FastAPI(lifespan=lifespan(CONFIG, around=own))):
        assert seen == [["chat", "home"]]
    assert seen[-1] == "end"


def test_a_private_call_that_can_not_be_private_is_no_answer(client):
    with answers(SAID):
        said = client.get("/private")
    assert said.status_code == 500
    assert SAID not in said.text
