"""What pilotlight makes of an Ollama: calls in four shapes, checks, warm-up, prompts too long."""

from __future__ import annotations

import asyncio
from typing import Any

import ollama
import pytest

from pilotlight import AllTargetsFailed, events, load
from pilotlight.core.target import Target
from pilotlight.health.checks import check_target
from pilotlight.health.warmup import Warmer
from pilotlight.routes.route import Route

from .ollama import USER, WORDS, Ollama

LONG = [{"role": "user", "content": "words and more " * 3000}]
DENSE = [{"role": "user", "content": "antidisestablishmentarianism " * 600}]
CHAT = [{"role": "user", "content": "words and more " * 90} for _ in range(20)]
SHAPES = ("complete", "acomplete", "stream", "astream")


@pytest.fixture
def configured(server: Ollama):
    """Configure a target and a route of it, with the options given."""
    apps = []

    def configure(**options: Any) -> tuple[Target, Route]:
        given = {"model": f"ollama/{server.model}", "api_base": server.base, "context": 1024}
        routes = {"chat": {"targets": ["local"]}}
        app = load({"targets": {"local": given | options}, "routes": routes})
        apps.append(app)
        return app.target("local"), app.route("chat")

    yield configure
    for app in apps:
        app.close()


@pytest.fixture
def ended():
    """The receipts of the calls that are over."""
    receipts = []

    def note(event: events.Event) -> None:
        if isinstance(event, events.CallEnded):
            receipts.append(event.receipt)

    events.listeners.append(note)
    return receipts


@pytest.fixture
def local(configured):
    return configured()[0]


@pytest.fixture
def route(configured):
    return configured()[1]


async def _collected(stream: Any) -> list[Any]:
    return [each async for each in stream]


def said_by(route: Route, shape: str, messages: Any = USER, **options: Any) -> tuple[str, str]:
    """Make one call; return its text, thoughts included, and why it ended."""
    options = {"max_tokens": WORDS} | options
    if shape in ("complete", "acomplete"):
        made = getattr(route, shape)(messages, **options)
        answer = asyncio.run(made) if shape == "acomplete" else made
        choice = answer.response.choices[0]
        thought = getattr(choice.message, "reasoning_content", None) or ""
        return answer.text + thought, choice.finish_reason
    stream = getattr(route, shape)(messages, **options)
    chunks = asyncio.run(_collected(stream)) if shape == "astream" else list(stream)
    deltas = [each.choices[0].delta for each in chunks if each.choices]
    parts = [(d.content or "") + (getattr(d, "reasoning_content", None) or "") for d in deltas]
    (finish,) = [c.choices[0].finish_reason for c in chunks if c.choices[0].finish_reason]
    return "".join(parts), finish


@pytest.mark.parametrize("shape", SHAPES)
class TestCalls:
    def test_an_answer(self, route, shape):
        text, finish = said_by(route, shape)
        assert text.strip()
        assert finish == "length"

    def test_a_private_one(self, route, shape):
        text, _ = said_by(route, shape, private=True)
        assert text.strip()

    def test_the_context_is_the_one_asked_for(self, server, route, shape):
        said_by(route, shape)
        assert server.running()["context_length"] == 1024

    def test_a_model_that_is_not_there(self, configured, shape):
        _, route = configured(model="ollama/zz-not-here")
        with pytest.raises(AllTargetsFailed) as failed:
            said_by(route, shape)
        assert failed.value.receipt.attempts[-1].fault == "local_model_missing"

    def test_a_prompt_that_cannot_fit_is_not_sent(self, route, shape):
        with pytest.raises(AllTargetsFailed, match="context"):
            said_by(route, shape, LONG)

    def test_one_that_the_server_finds_too_long_is_refused(self, route, shape, ended):
        """Fewer words than the context has tokens, so it is for the server to count."""
        with pytest.raises(ollama.ResponseError, match="context"):  # nobody is behind
            said_by(route, shape, DENSE)
        (attempt,) = ended[-1].attempts
        assert (attempt.fault, attempt.status) == ("context_exceeded", 400)

    def test_unless_the_caller_wants_it_cut(self, route, shape):
        text, _ = said_by(route, shape, CHAT, extra_body={"truncate": True})
        assert text.strip()


class TestChecks:
    def test_cold_then_lit(self, server, local):
        before = check_target(local)
        assert (before.state, before.problem, before.effective_context) == ("installed", None, None)
        assert "completion" in before.capabilities
        assert before.training_context >= 512
        assert server.running() is None
        server.chat(num_ctx=512)
        after = check_target(local)
        assert (after.state, after.effective_context) == ("loaded", 512)
        assert 0 <= after.vram_share <= 1

    def test_a_model_that_is_not_there(self, configured):
        check = check_target(configured(model="ollama/zz-not-here")[0])
        assert (check.state, check.mend) == ("missing", "pilotlight pull zz-not-here")


class TestWarmUp:
    def warm(self, local) -> None:
        assert Warmer(run=lambda work: work()).warm(local)

    def test_it_loads_for_the_time_that_it_is_needed(self, server, local):
        self.warm(local)
        assert server.running()["context_length"] == 1024
        assert check_target(local).state == "loaded"

    @pytest.mark.parametrize("options", [{}, {"num_thread": 1}, {"shift": True}])
    def test_and_the_call_after_it_does_not_load_again(self, server, configured, options):
        """The runner that the warm-up made is the one that answers: its keep_alive is still there."""
        local, route = configured(options=options, warm="always")
        self.warm(local)
        assert server.running()["expires_at"] > "2200"
        said_by(route, "complete")
        assert server.running()["expires_at"] > "2200"
