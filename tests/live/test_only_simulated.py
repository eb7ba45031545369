"""What no real server can be made to do on demand, and so only the simulator shows.

A runner that dies or ends its stream in mid-answer, a full queue, a load that takes long
enough for a client to leave: a real server does these when it wants to.  A stub of a cloud
model needs an account, and a call to one would leave the machine.  An old server is another
program.  The contract that both servers keep is in the neighbouring modules.
"""

from __future__ import annotations

import json

import httpx
import pytest

from pilotlight import AllTargetsFailed, PromptTruncated, load
from pilotlight.health.checks import check_target
from pilotlight_chaos import ChaosServer, LocalModel

from .ollama import USER, Ollama
from .test_pilotlight import SHAPES, said_by

OLD = "0.5.7"
PLAIN = ("completion",)


@pytest.fixture
def chaos():
    models = [
        LocalModel("tiny:1b", PLAIN, num_ctx=2048),
        LocalModel("native:1b", PLAIN, native=True),
    ]
    with ChaosServer(models=models) as running:
        yield running


@pytest.fixture
def http():
    with httpx.Client(timeout=20.0, trust_env=False) as client:
        yield client


@pytest.fixture
def server(chaos, http):
    return Ollama(http, chaos.base("ollama"), "tiny:1b")


@pytest.fixture
def app(server):
    local = {"model": "ollama/tiny:1b", "api_base": server.base, "context": 1024}
    made = load({"targets": {"local": local}, "routes": {"chat": {"targets": ["local"]}}})
    yield made
    made.close()


def body_of(server: Ollama, **more):
    return {"model": server.model, "messages": USER} | more


class TestAnAnswerThatEndsEarly:
    def test_a_crash_is_told_in_the_last_line(self, chaos, server):
        chaos.fault("ollama", "error_event", after=2)
        *chunks, last = server.objects("/api/chat", body_of(server))
        assert [each["done"] for each in chunks] == [False, False]
        assert list(last) == ["error"]

    def test_and_lost_in_openais_shape(self, chaos, server):
        chaos.fault("ollama", "error_event", after=2)
        text = b"".join(server.lines("/v1/chat/completions", body_of(server, stream=True)))
        *events, rest = text.decode().split("\n\n")
        last = json.loads(events[-1].removeprefix("data: "))["choices"][0]
        assert (last["delta"]["content"], last["finish_reason"], rest) == ("", None, "")

    def test_done_false(self, chaos, server):
        chaos.fault("ollama", "done_false", after=2)
        assert [each["done"] for each in server.objects("/api/chat", body_of(server))] == [
            False
        ] * 2
        whole = server.post("/api/chat", body_of(server, stream=False)).json()
        assert (whole["done"], "done_reason" in whole) == (False, False)
        choice = server.post("/v1/chat/completions", body_of(server)).json()["choices"][0]
        assert choice["finish_reason"] is None

    @pytest.mark.parametrize("fault", ["done_false", "error_event"])
    @pytest.mark.parametrize("shape", SHAPES)
    def test_pilotlight_takes_none_of_them_for_an_answer(self, chaos, app, shape, fault):
        chaos.fault("ollama", fault, after=2)
        with pytest.raises(Exception) as failed:
            said_by(app.route("chat"), shape, max_tokens=100)
        assert type(failed.value).__name__ in ("AllTargetsFailed", "StreamInterrupted")


class TestACloudStub:
    def test_is_told_everywhere(self, chaos, server):
        chaos.fault("ollama", "cloud_stub", model="tiny:1b")
        for said in (server.installed(), server.shown(), server.chat()):
            assert said["remote_host"].startswith("https://")
        assert server.running() is None

    @pytest.mark.parametrize("shape", SHAPES)
    def test_gets_no_private_call(self, chaos, app, shape):
        chaos.fault("ollama", "cloud_stub", model="tiny:1b")
        with pytest.raises(AllTargetsFailed):
            said_by(app.route("chat"), shape, private=True)
        assert chaos.hits("ollama") == 0


class TestTheQueue:
    def test_a_load_that_is_given_up_starts_from_nothing(self, chaos, server, http):
        chaos.fault("ollama", "cold", seconds=30)
        with pytest.raises(httpx.ReadTimeout):
            http.post(f"{server.base}/api/chat", json={"model": "tiny:1b"}, timeout=0.05)
        assert chaos.wait_idle("ollama")
        assert server.running() is None

    def test_a_load_waits_for_those_who_use_the_model(self, chaos, server, http):
        """Another context is another load: it does not take the model from under an answer."""
        chaos.fault("ollama", "stall", times=1, after=1)
        other = body_of(server, options={"num_ctx": 512}, stream=False)
        with http.stream("POST", f"{server.base}/api/chat", json=body_of(server)):
            with pytest.raises(httpx.ReadTimeout):
                http.post(f"{server.base}/api/chat", json=other, timeout=0.05)
            assert server.running()["context_length"] == 2048
        assert server.post("/api/chat", other).status_code == 200
        assert server.running()["context_length"] == 512


class TestTheTwoRenderings:
    """Whose template is used decides how a single message that is too long is treated."""

    def ask(self, server, model, **more):
        messages = [{"role": "user", "content": "words " * 5000}]
        body = {"model": model, "messages": messages, "stream": False}
        return server.post("/api/chat", body | more)

    def test_ollamas_own(self, server):
        assert self.ask(server, "tiny:1b").json()["prompt_eval_count"] == 1024
        assert "prompt is longer" in self.ask(server, "tiny:1b", shift=False).json()["error"]

    def test_the_models_own(self, server):
        refused = self.ask(server, "native:1b")
        assert refused.status_code == 400
        assert "exceed_context_size_error" in refused.json()["error"]


class TestAnOldServer:
    @pytest.fixture
    def chaos(self):
        with ChaosServer(models=[LocalModel("tiny:1b", ("completion", "tools"), server=OLD)]) as c:
            yield c

    def test_says_less(self, server):
        server.chat()
        assert server.get("/api/version") == {"version": OLD}
        assert server.http.get(f"{server.base}/api/status").status_code == 404
        assert "capabilities" not in server.shown()
        assert "capabilities" not in server.installed()
        assert "context_length" not in server.running()

    def test_calls_tools_without_an_id(self, server):
        function = {"name": "look", "parameters": {"type": "object"}}
        tools = [{"type": "function", "function": function}]
        messages = [{"role": "user", "content": "use a tool"}]
        (call,) = server.chat(messages=messages, tools=tools)["message"]["tool_calls"]
        assert call == {"function": {"index": 0, "name": "look", "arguments": {}}}

    def test_is_no_worse_for_it(self, server, app):
        server.chat()
        check = check_target(app.target("local"))
        assert (check.state, check.problem) == ("loaded", None)
        assert (check.capabilities, check.effective_context) == (None, None)

    @pytest.mark.parametrize("shape", SHAPES)
    def test_cuts_a_prompt_although_told_not_to_and_is_found_out(self, app, shape):
        """Each word is a token or more: an answer to fewer tokens is one to half a prompt."""
        words = [{"role": "user", "content": "words " * 500} for _ in range(2)]
        with pytest.raises(Exception) as failed:
            said_by(app.route("chat"), shape, words)
        told = (failed.value, failed.value.__cause__)  # a stream has begun by then
        assert any(isinstance(each, PromptTruncated) for each in told)
