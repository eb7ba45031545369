"""Answers of a script and of cassettes, for every door, without a network, a key or an Ollama."""

from __future__ import annotations

import asyncio
import json
import socket
import threading

import pytest
from kit_exchange import MODELS, well
from ways import HELLO, SHAPES, text_of

import pilotlight
from pilotlight import failover, guard
from pilotlight.app import default
from pilotlight.playing.cassette import Recording, Replaying
from pilotlight.playing.server import playing
from pilotlight.testing import answers, outage
from tests.providers.loopback import Loopback

SAID = "Hello from nobody, with an é"
CONFIG = {
    "targets": {name: {"model": model} for name, model in MODELS.items()},
    "routes": {name: {"targets": [name]} for name in MODELS}
    | {"chat": {"targets": ["openai_chat", "ollama"]}},
}


@pytest.fixture(autouse=True)
def _no_other_host(monkeypatch):
    """Whatever is not loopback can't be reached, nor looked up."""
    real = socket.getaddrinfo

    def lookup(host, *more, **how):
        assert host in ("127.0.0.1", "localhost", None), f"{host} was looked up"
        return real(host, *more, **how)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)


def by_route(route, shape: str) -> str:
    async def streamed():
        return text_of([each async for each in route.astream(HELLO)])

    if shape == "complete":
        return route.complete(HELLO).text
    if shape == "acomplete":
        return asyncio.run(route.acomplete(HELLO)).text
    if shape == "stream":
        return text_of(list(route.stream(HELLO)))
    return asyncio.run(streamed())


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dialect", MODELS)
def test_every_api_says_the_answer(dialect, shape):
    with answers(SAID), pilotlight.load(CONFIG) as app:
        assert by_route(app.route(dialect), shape) == SAID


@pytest.mark.parametrize("shape", SHAPES)
def test_in_an_outage_the_next_target_says_it(shape):
    with outage("openai", answer=SAID) as drill, pilotlight.load(CONFIG) as app:
        with pilotlight.receipts() as log:
            assert by_route(app.route("chat"), shape) == SAID
    assert drill.hits >= 1
    assert log[0].served_by == "ollama"


def test_a_private_call_is_answered_too_for_nothing_leaves():
    with answers(SAID), pilotlight.load(CONFIG) as app:
        answer = app.route("chat").complete(HELLO, private=True)
    assert (answer.text, answer.served_by) == (SAID, "ollama")


def test_each_call_gets_the_next_text_and_the_last_holds():
    with answers(["one", "two"]), pilotlight.load(CONFIG) as app:
        said = [app.route("chat").complete(HELLO).text for _ in range(3)]
    assert said == ["one", "two", "two"]


def test_the_other_doors_say_it_too():
    from openai import OpenAI

    @failover("openai/gpt-4o", "ollama/llama3.2")
    def say(*, target):
        client = OpenAI(**target.openai_kwargs)
        return client.chat.completions.create(model=target.model, messages=HELLO)

    with outage("openai", answer=SAID):
        assert say().choices[0].message.content == SAID
        client = guard(OpenAI(api_key="k"), fallback="ollama/llama3.2")
        said = client.chat.completions.create(model="gpt-4o", messages=HELLO)
        assert said.choices[0].message.content == SAID
        assert client.responses.create(model="gpt-4o", input="hello").output_text == SAID
        streamed = client.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True)
        assert "".join(c.choices[0].delta.content or "" for c in streamed if c.choices) == SAID
        dropped = pilotlight.completion(
            model="openai/gpt-4o", messages=HELLO, fallbacks=["ollama/llama3.2"]
        )
        assert dropped.choices[0].message.content == SAID
    default().close()


def test_nothing_is_looked_after_in_the_background_of_a_test(monkeypatch):
    """Whatever a check finds at a server that plays is not so; what it found before stays away."""
    monkeypatch.delenv("PILOTLIGHT_BACKGROUND")
    with outage("openai", answer=SAID), pilotlight.load(CONFIG) as app:
        for _ in range(8):
            assert app.route("chat").complete(HELLO).text == SAID
        assert app.look("ollama").problem is None
        assert app.target("ollama").health.breaker.state.name == "closed"


def test_embeddings_depend_on_their_text_alone():
    config = {
        "targets": {"e": {"model": "ollama/nomic-embed-text"}},
        "routes": {"e": {"targets": ["e"]}},
    }
    with answers("x"), pilotlight.load(config) as app:
        one, two, again = app.route("e").embed(["one", "two", "one"]).vectors
    assert one == again != two


def test_an_image_has_the_text_as_its_address():
    config = {
        "targets": {"i": {"model": "openai/gpt-image-1"}},
        "routes": {"i": {"targets": ["i"]}},
    }
    with answers("https://here.test/a.png"), pilotlight.load(config) as app:
        (image,) = app.route("i").image("a flame").images
    assert image.url == "https://here.test/a.png"


@pytest.mark.parametrize("wrong", [[], 7, [7], ["a", None]])
def test_an_answer_that_is_none_is_refused_at_once(wrong):
    with pytest.raises(ValueError, match="it should be a text"):
        answers(wrong)


def test_after_the_block_the_real_ones_are_asked_again():
    with Loopback(well) as server:
        target = {"model": "openai/gpt-4o", "api_base": server.url, "api_key": "k"}
        config = {"targets": {"t": target}, "routes": {"r": {"targets": ["t"]}}}
        with pilotlight.load(config) as app:
            before = app.route("r").complete(HELLO).text
            with answers(SAID):
                assert app.route("r").complete(HELLO).text == SAID
            assert app.route("r").complete(HELLO).text == before != SAID


# Cassettes.


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dialect", MODELS)
def test_what_was_recorded_is_said_again_without_a_network_or_a_key(tmp_path, dialect, shape):
    secret = "sk-very-secret-4711"
    said = []
    with Loopback(lambda path, body: well(path, body)) as server:
        base = server.url + ("/v1beta" if dialect == "gemini" else "")
        target = {"model": MODELS[dialect], "api_base": base}
        key = {} if dialect == "ollama" else {"api_key": secret}
        for tape in (Recording(), None):
            config = {
                "targets": {"t": {**target, **(key if tape else {})}},
                "routes": {"r": {"targets": ["t"]}},
            }
            player = tape or Replaying(tmp_path / "c.json")
            if tape is None:
                server.__exit__()  # from here on nobody is there
            with playing(player), pilotlight.load(config) as app:
                said.append(by_route(app.route("r"), shape))
            if tape is not None:
                tape.write(tmp_path / "c.json")
    assert said[0] == said[1] != ""
    assert not player.missed
    kept = (tmp_path / "c.json").read_text("utf-8")
    assert secret not in kept
    assert json.loads(kept)[0]["response"]["status"] == 200


def test_a_key_that_the_provider_repeats_is_taken_out(tmp_path):
    secret = "sk-repeated-4711"
    tape = Recording()
    from kit_exchange import said as answer_with

    def refuse(path, body):
        return answer_with({"error": {"message": f"Incorrect API key provided: {secret}"}}, 401)

    with Loopback(refuse) as server, playing(tape):
        target = {"model": "openai/gpt-4o", "api_base": server.url, "api_key": secret}
        config = {"targets": {"t": target}, "routes": {"r": {"targets": ["t"]}}}
        with pilotlight.load(config) as app, pytest.raises(pilotlight.AllTargetsFailed):
            app.route("r").complete(HELLO)
    tape.write(tmp_path / "c.json")
    assert secret not in (tmp_path / "c.json").read_text("utf-8")
    assert "REMOVED" in (tmp_path / "c.json").read_text("utf-8")


def test_another_process_gets_nothing_from_the_server_that_plays():
    from pilotlight.wire import played

    with answers(SAID):
        with socket.create_connection(("127.0.0.1", played.stages[-1].port)) as other:
            other.sendall(b"x http 127.0.0.1 1\nGET / HTTP/1.1\r\nhost: x\r\n\r\n")
            other.settimeout(10)
            assert other.recv(100) == b""


def test_threads_are_answered_at_once():
    said = []
    with answers(SAID), pilotlight.load(CONFIG) as app:
        route = app.route("chat")
        threads = [
            threading.Thread(target=lambda: said.append(route.complete(HELLO).text))
            for _ in range(16)
        ]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    assert said == [SAID] * 16


TESTS = """
import pilotlight

def ask(text):
    config = {"targets": {"t": {"model": "openai/gpt-4o"%s}}, "routes": {"r": {"targets": ["t"]}}}
    with pilotlight.load(config) as app:
        return app.route("r").complete([{"role": "user", "content": text}]).text

def test_one():
    assert ask("one")

def test_two():
    assert ask(%r)
"""


def test_the_plugin_records_and_replays(pytester, monkeypatch):
    with Loopback(well) as server:
        told = f', "api_base": "{server.url}/v1", "api_key": "sk-4711"'
        pytester.makepyfile(TESTS % (told, "two"))
        pytester.runpytest_subprocess("--llm-record", "-p", "no:cacheprovider").assert_outcomes(
            passed=2
        )
    name = "test_the_plugin_records_and_replays"
    kept = sorted((pytester.path / "cassettes" / name).iterdir())
    assert [each.name for each in kept] == ["test_one.json", "test_two.json"]
    assert all("sk-4711" not in each.read_text() for each in kept)
    pytester.makepyfile(TESTS % ("", "two"))
    replay = ("--llm-replay", "-p", "no:cacheprovider")
    pytester.runpytest_subprocess(*replay).assert_outcomes(passed=2)
    pytester.makepyfile(TESTS % ("", "three"))
    done = pytester.runpytest_subprocess(*replay)
    done.assert_outcomes(passed=1, failed=1, errors=1)
    done.stdout.fnmatch_lines(["*POST /v1/chat/completions is not in test_two.json*"])
