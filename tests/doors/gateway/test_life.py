"""The gateway's life: ready, drained, read anew, and several workers of which one dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import closing

import httpx
import pytest
from kit_gateway import ASK, Process, config, serving, wait_for, written

from pilotlight.doors.gateway.mount import asgi

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(not os.path.isdir("/proc"), reason="looks at /proc"),
]


def chat(url: str, model: str = "chat", **more) -> httpx.Response:
    body = {"model": model, "messages": ASK, **more}
    return httpx.post(f"{url}/v1/chat/completions", json=body, trust_env=False, timeout=30)


def test_ready_is_who_can_answer(chaos):
    with serving(config(chaos)) as site:
        assert site.get("/health/ready").json() == {"status": "ok", "down": []}
        site.gateway.app.target("gpt").health.breaker.trip("overloaded", 60)
        reply = site.get("/health/ready")
        assert (reply.status_code, reply.json()) == (503, {"status": "down", "down": ["cloud"]})
        assert site.get("/health/live").status_code == 200
        site.gateway.in_flight += 1  # a call that runs
        site.gateway.draining = True
        reply = site.get("/health/ready")
        assert (reply.status_code, reply.json()["status"]) == (503, "draining")


@pytest.mark.parametrize(
    ("path", "body", "place"),
    [
        (
            "/v1/chat/completions",
            {"model": "chat", "messages": ASK},
            lambda it: it["error"]["message"],
        ),
        ("/v1/responses", {"model": "chat", "input": "hi"}, lambda it: it["error"]["message"]),
        ("/v1/messages", {"model": "chat", "messages": ASK}, lambda it: it["error"]["message"]),
        ("/v1beta/models/chat:generateContent", {}, lambda it: it["error"]["message"]),
        ("/api/chat", {"model": "chat", "messages": ASK}, lambda it: it["error"]),
    ],
)
def test_while_it_stops_new_calls_are_refused_in_their_dialect(path, body, place, chaos):
    with serving(config(chaos)) as site:
        site.gateway.in_flight += 1  # a call that runs
        site.gateway.draining = True
        reply = site.post(path, body)
        assert (reply.status_code, reply.headers["retry-after"]) == (503, "1")
        assert place(reply.json()) == "the gateway is stopping"
        assert chaos.requests() == []


def test_a_stream_that_runs_ends_whole_when_it_is_told_to_stop(chaos, tmp_path):
    with closing(Process(written(tmp_path, config(chaos)))) as gateway:
        chaos.fault("cloud", "drip", bytes_per_second=1500)
        body = {"model": "chat", "messages": ASK, "stream": True}
        with httpx.stream(
            "POST", f"{gateway.url}/v1/chat/completions", json=body, trust_env=False, timeout=30
        ) as reply:
            lines = reply.iter_lines()
            first = next(lines)
            assert first.startswith("data: ")
            gateway.send(signal.SIGTERM)
            gateway.wait_for("stopping: 1 calls run")
            assert chat(gateway.url).status_code == 503
            assert [line for line in lines if line][-1] == "data: [DONE]"
        assert gateway.wait() == 0


def test_a_call_that_outlasts_the_grace_is_cut_and_not_ended(chaos, tmp_path):
    chaos.fault("cloud", "stall")
    settings = config(chaos, grace=0.2)
    settings["targets"]["gpt"]["timeout"] = {"between_tokens": 60}
    with closing(Process(written(tmp_path, settings))) as gateway:
        body = {"model": "cloud", "messages": ASK, "stream": True}
        with httpx.stream(
            "POST", f"{gateway.url}/v1/chat/completions", json=body, trust_env=False, timeout=30
        ) as reply:
            lines = reply.iter_lines()
            next(lines)
            gateway.send(signal.SIGTERM)
            with pytest.raises(httpx.RemoteProtocolError):
                list(lines)
        gateway.wait_for("the grace is over: 1 calls are cut")
        assert gateway.wait() == 0


def test_a_configuration_is_read_anew_without_a_dropped_call(chaos, tmp_path):
    settings = config(chaos)
    path = written(tmp_path, settings)
    with closing(Process(path)) as gateway:
        assert chat(gateway.url).headers["x-pilotlight-served-by"] == "gpt"
        assert chat(gateway.url, "new").status_code == 404
        replies, stop = [], threading.Event()

        def ask() -> None:
            while not stop.is_set():
                replies.append(chat(gateway.url).status_code)

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for each in threads:
            each.start()
        settings["routes"]["new"] = {"targets": ["local"]}
        written(tmp_path, settings)
        gateway.send(signal.SIGHUP)
        gateway.wait_for("was read anew")
        assert chat(gateway.url, "new").headers["x-pilotlight-served-by"] == "local"
        for broken in ("[routes", '[routes.new]\ntargets = ["nobody"]\n'):
            path.write_text(broken)
            told = len(gateway.said)
            gateway.send(signal.SIGHUP)
            gateway.wait_for("stays as it was", 2 if "nobody" in broken else 1)
            assert str(path) in "".join(gateway.said[told:])
            assert chat(gateway.url, "new").status_code == 200
        path.unlink()
        gateway.send(signal.SIGHUP)
        gateway.wait_for("stays as it was", 3)
        stop.set()
        for each in threads:
            each.join(30)
        assert set(replies) == {200}


def test_a_worker_that_is_killed_takes_nobody_along(chaos, tmp_path):
    settings = config(chaos) | {"state": f"sqlite:///{tmp_path}/board.db"}
    with closing(Process(written(tmp_path, settings), "--workers", "2")) as gateway:
        wait_for(lambda: answering(gateway) == 2)
        first = gateway.workers()
        os.kill(first[0], signal.SIGKILL)
        assert [chat(gateway.url).status_code for _ in range(20)] == [200] * 20
        wait_for(lambda: len(set(gateway.workers()) - set(first)) == 1 and answering(gateway) == 2)
        text = httpx.get(f"{gateway.url}/metrics", trust_env=False).text
        calls = [
            line
            for line in text.splitlines()
            if line.startswith("pilotlight_") and "worker=" in line
        ]
        assert calls
        gateway.send(signal.SIGTERM)
        assert gateway.wait() == 0
        for each in first:
            assert not os.path.exists(f"/proc/{each}/task")


def answering(gateway: Process) -> int:
    """How many workers answer, as far as a few questions tell."""
    told = {
        httpx.get(f"{gateway.url}/status.json", trust_env=False, timeout=30).json()["worker"]
        for _ in range(30)
    }
    return len(told & set(gateway.workers()))


def test_workers_end_with_whoever_began_them(chaos, tmp_path):
    with closing(Process(written(tmp_path, config(chaos)), "--workers", "2")) as gateway:
        wait_for(lambda: len(gateway.workers()) == 2)
        workers = gateway.workers()
        gateway.send(signal.SIGKILL)
        gateway.wait()
        wait_for(lambda: not any(_runs(each) for each in workers))


def test_a_worker_that_dies_over_a_broken_file_does_not_end_the_others(chaos, tmp_path):
    """It comes back when the file is mended."""
    path = written(tmp_path, config(chaos))
    with closing(Process(path, "--workers", "2")) as gateway:
        wait_for(lambda: answering(gateway) == 2)
        path.write_text("[routes")
        os.kill(gateway.workers()[0], signal.SIGKILL)
        gateway.wait_for(r"worker \d \(process \d+\) ended: 2")
        assert [chat(gateway.url).status_code for _ in range(20)] == [200] * 20
        written(tmp_path, config(chaos))
        wait_for(lambda: answering(gateway) == 2)


def _runs(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def serve(*options: str, path, **environment: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "pilotlight", "--config", str(path), "serve", *options]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, env={**os.environ, **environment}
    )


def test_what_can_not_be_served_is_told_with_its_mend(chaos, tmp_path):
    settings = config(chaos)
    path = written(tmp_path, settings)
    public = serve("--host", "0.0.0.0", "--port", "0", path=path)
    assert public.returncode == 2
    assert "`pilotlight keys add NAME`" in public.stderr
    nowhere = serve("--host", "192.0.2.1", path=path)
    assert nowhere.returncode == 2
    assert "--host and --port" in nowhere.stderr
    keys = serve("--keys", "nothing.json", "--port", "0", path=path)
    assert keys.returncode == 2
    assert "no such file" in keys.stderr
    settings["serve"] = {"models": {"gpt-4": "chta"}}
    bad = serve(path=written(tmp_path, settings))
    assert bad.returncode == 2
    assert "serve.models.gpt-4: unknown route 'chta'; did you mean 'chat'?" in bad.stderr
    settings["serve"] = {"models": {"g*4": "chat"}}
    assert "at its end only" in serve(path=written(tmp_path, settings)).stderr


def test_workers_whose_configuration_can_not_be_used_are_not_begun_for_ever(chaos, tmp_path):
    path = written(tmp_path, config(chaos))
    ended = serve("--workers", "2", "--keys", "nothing.json", "--port", "0", path=path)
    assert ended.returncode == 2


def test_it_stands_under_a_framework(chaos):
    """As it is mounted: under a path, in an application that has other pages too."""
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Mount, Route
    from starlette.testclient import TestClient

    import pilotlight

    with pilotlight.load(config(chaos)) as app:
        pages = [
            Route("/", lambda request: PlainTextResponse("mine")),
            Mount("/llm", asgi(app, public=True)),
        ]
        with TestClient(Starlette(routes=pages)) as client:
            assert client.get("/").text == "mine"
            said = client.post("/llm/v1/chat/completions", json={"model": "chat", "messages": ASK})
            assert said.headers["x-pilotlight-served-by"] == "gpt"
            assert 'href="status/status.css"' in client.get("/llm/status").text
            body = {"model": "chat", "messages": ASK, "stream": True}
            with client.stream("POST", "/llm/v1/chat/completions", json=body) as reply:
                assert "data: [DONE]" in "".join(reply.iter_text())
            stranger = TestClient(Starlette(routes=[Mount("/llm", asgi(app))]))
            assert stranger.get("/llm/v1/models").status_code == 403
