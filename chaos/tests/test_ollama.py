"""Ollama's own ways: wording, missing, cold, busy, cloud, context."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from pilotlight_chaos import ChaosServer, LocalModel

MESSAGES = [{"role": "user", "content": "hi"}]


def chat(server: ChaosServer, http: httpx.Client, model: str, **more: Any) -> httpx.Response:
    body = {"model": model, "messages": MESSAGES, "stream": False, **more}
    return http.post(f"{server.base('local')}/api/chat", json=body)


def get(server: ChaosServer, http: httpx.Client, path: str) -> Any:
    return http.get(f"{server.base('local')}{path}").json()


def names(server: ChaosServer, http: httpx.Client, path: str) -> list[str]:
    return [model["name"] for model in get(server, http, path)["models"]]


def test_root_and_unknown_paths(server: ChaosServer, http: httpx.Client) -> None:
    assert http.get(server.url).text == "Ollama is running"
    assert http.head(server.url).content == b""
    reply = http.get(f"{server.url}/api/nothing")
    assert (reply.status_code, reply.text) == (404, "404 page not found")
    assert http.get(f"{server.url}/api/chat").status_code == 405


@pytest.mark.parametrize(
    ("path", "body", "status", "text"),
    [
        ("chat", {"model": "zz", "messages": MESSAGES}, 404, "model 'zz' not found"),
        ("chat", {"messages": MESSAGES}, 400, "model is required"),
        ("generate", {"prompt": "x"}, 404, "model '' not found"),
        ("embed", {"model": "zz", "input": "x"}, 404, 'model "zz" not found, try pulling it first'),
        ("show", {"model": "zz"}, 404, "model 'zz:latest' not found"),
        ("delete", {"model": "zz"}, 404, "model 'zz' not found"),
        (
            "chat",
            {"model": "plain", "messages": MESSAGES, "tools": [{}]},
            400,
            "registry.ollama.ai/library/plain:latest does not support tools",
        ),
        (
            "chat",
            {"model": "plain", "messages": MESSAGES, "think": True},
            400,
            '"plain" does not support thinking',
        ),
        ("chat", {"model": "vec", "messages": MESSAGES}, 400, '"vec" does not support chat'),
        (
            "chat",
            {"model": "plain", "messages": MESSAGES, "keep_alive": "10"},
            400,
            'time: missing unit in duration "10"',
        ),
    ],
)
def test_wording(
    http: httpx.Client, path: str, body: dict[str, Any], status: int, text: str
) -> None:
    models = [LocalModel("plain", ("completion",)), LocalModel("vec", ("embedding",))]
    with ChaosServer(models=models) as server:
        method = "DELETE" if path == "delete" else "POST"
        reply = http.request(method, f"{server.url}/api/{path}", json=body)
        assert (reply.status_code, reply.json()) == (status, {"error": text})


def test_bodies_that_are_no_json(server: ChaosServer, http: httpx.Client) -> None:
    url = f"{server.url}/api/chat"
    assert http.post(url).json() == {"error": "missing request body"}
    assert http.post(url, content=b'{"model":').json() == {"error": "unexpected EOF"}


def test_names_without_a_tag(http: httpx.Client) -> None:
    with ChaosServer(models=["llama3.2"]) as server:
        assert names(server, http, "/api/tags") == ["llama3.2:latest"]
        assert chat(server, http, "llama3.2:latest").status_code == 200
        assert chat(server, http, "LLAMA3.2").json()["model"] == "LLAMA3.2"  # as it was asked


def test_load_and_unload(server: ChaosServer, http: httpx.Client) -> None:
    assert names(server, http, "/api/ps") == []
    body = {"model": "llama3.2:3b"}
    reply = http.post(f"{server.base('local')}/api/chat", json=body).json()
    assert (reply["done"], reply["done_reason"]) == (True, "load")
    assert names(server, http, "/api/ps") == ["llama3.2:3b"]
    reply = http.post(f"{server.base('local')}/api/generate", json=body | {"keep_alive": 0}).json()
    assert (reply["response"], reply["done_reason"]) == ("", "unload")
    assert names(server, http, "/api/ps") == []


def test_missing_then_pulled(server: ChaosServer, http: httpx.Client) -> None:
    server.fault("local", "missing")
    assert chat(server, http, "llama3.2:3b").json() == {"error": "model 'llama3.2:3b' not found"}
    assert names(server, http, "/api/tags") == []
    url = f"{server.base('local')}/api/pull"
    lines = http.post(url, json={"model": "llama3.2:3b"}).text.splitlines()
    assert json.loads(lines[-1]) == {"status": "success"}
    assert "completed" not in json.loads(lines[1])  # absent while 0
    assert chat(server, http, "llama3.2:3b").status_code == 200


def test_pull_of_what_no_registry_has(http: httpx.Client) -> None:
    with ChaosServer(registry=["known"]) as server:
        reply = http.post(f"{server.url}/api/pull", json={"model": "zz"})
        assert reply.status_code == 200
        assert json.loads(reply.text.splitlines()[-1]) == {
            "error": "pull model manifest: file does not exist"
        }


def test_a_client_that_leaves_aborts_the_load(server: ChaosServer, http: httpx.Client) -> None:
    server.fault("local", "cold", seconds=30)
    with pytest.raises(httpx.ReadTimeout):
        http.post(
            f"{server.base('local')}/api/generate", json={"model": "llama3.2:3b"}, timeout=0.05
        )
    assert server.wait_idle("local")
    assert names(server, http, "/api/ps") == []
    server.fault("local", "cold", seconds=0.01)
    assert chat(server, http, "llama3.2:3b").json()["load_duration"] > 10_000_000
    assert chat(server, http, "llama3.2:3b").json()["load_duration"] == 1_000_000
    assert names(server, http, "/api/ps") == ["llama3.2:3b"]


def test_a_full_queue_for_loading_sheds(http: httpx.Client) -> None:
    with ThreadPoolExecutor(2) as pool, ChaosServer(max_queue=1) as server:
        server.fault("local", "cold", seconds=30)
        waiting = [pool.submit(chat, server, http, "llama3.2:3b") for _ in range(2)]
        assert server.wait_hits("local", 2)  # one loads, one is queued
        reply = chat(server, http, "llama3.2:3b")
        assert reply.status_code == 503
        assert reply.json()["error"].startswith("server busy, please try again.  maximum")
        server.close()
        assert all(isinstance(each.exception(), httpx.TransportError) for each in waiting)


def test_slots_make_others_wait_without_a_byte(server: ChaosServer, http: httpx.Client) -> None:
    server.fault("local", "stall", times=1, after=1)
    url = f"{server.base('local')}/api/chat"
    body = {"model": "llama3.2:3b", "messages": MESSAGES}
    with http.stream("POST", url, json=body):  # holds the only slot
        with pytest.raises(httpx.ReadTimeout):
            http.post(url, json=body, timeout=0.05)
        assert server.counters("local").max_in_flight == 2
    assert chat(server, http, "llama3.2:3b").status_code == 200


def test_cloud_stub_shows_everywhere(server: ChaosServer, http: httpx.Client) -> None:
    server.fault("local", "cloud_stub")
    assert get(server, http, "/api/tags")["models"][0]["remote_host"] == "https://ollama.com:443"
    show = http.post(f"{server.base('local')}/api/show", json={"model": "llama3.2:3b"}).json()
    assert show["remote_model"] == "llama3.2:3b-cloud"
    assert chat(server, http, "llama3.2:3b").json()["remote_host"]
    assert chat(server, http, "llama3.2:3b:local").status_code == 404
    server.heal()
    assert "remote_host" not in chat(server, http, "llama3.2:3b").json()
    assert chat(server, http, "anything:120b-cloud").json()["remote_host"]


def test_cloud_disabled(http: httpx.Client) -> None:
    with ChaosServer(cloud_disabled=True) as server:
        assert chat(server, http, "x:cloud").status_code == 403
        assert get(server, http, "/api/status") == {"cloud": {"disabled": True, "source": "env"}}


def test_long_prompts_are_cut_silently(http: httpx.Client) -> None:
    with ChaosServer(models=[LocalModel("m", num_ctx=64)]) as server:
        long = {"messages": [{"role": "user", "content": "x" * 4000}]}
        assert chat(server, http, "m", **long).json()["prompt_eval_count"] == 32
        options = {"num_ctx": 2048}
        assert chat(server, http, "m", **long, options=options).json()["prompt_eval_count"] == 1004
        assert get(server, http, "/api/ps")["models"][0]["context_length"] == 2048
        refused = chat(server, http, "m", **long, truncate=False, options={"num_ctx": 64})
        assert refused.status_code == 400
        inner = json.loads(refused.json()["error"])["error"]
        assert (inner["type"], inner["n_ctx"]) == ("exceed_context_size_error", 64)


def test_done_false(server: ChaosServer, http: httpx.Client) -> None:
    server.fault("local", "done_false")
    reply = chat(server, http, "llama3.2:3b").json()
    assert reply["done"] is False
    assert "done_reason" not in reply


def test_thinking_models_think_unless_told_not_to(http: httpx.Client) -> None:
    with ChaosServer(models=[LocalModel("t", ("completion", "thinking"))]) as server:
        assert chat(server, http, "t").json()["message"]["thinking"]
        assert "thinking" not in chat(server, http, "t", think=False).json()["message"]


def test_a_pull_that_breaks_off_installs_nothing_and_is_resumed(
    server: ChaosServer, http: httpx.Client
) -> None:
    """Only `success` means that the model is there; the next pull goes on from there."""
    base = server.base("local")
    server.fault("local", "eof", after=4, times=1, everywhere=True)
    cut = http.post(f"{base}/api/pull", json={"model": "new:1b"})
    assert [json.loads(line)["status"] for line in cut.text.splitlines()][-1].startswith("pulling")
    assert http.post(f"{base}/api/show", json={"model": "new:1b"}).status_code == 404
    whole = [
        json.loads(line)
        for line in http.post(f"{base}/api/pull", json={"model": "new:1b"}).text.splitlines()
    ]
    assert whole[1]["completed"] == whole[1]["total"] // 2
    assert whole[-1] == {"status": "success"}
    assert http.post(f"{base}/api/show", json={"model": "new:1b"}).status_code == 200
