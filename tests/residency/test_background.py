"""What is done between the calls, and from the command line, leaves the house no more than calls.

Checks of a hosted target do go out: by configuration, and without a word of prompt.  Here
its name leads to this machine, so that what it is asked can be read.
"""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pilotlight
from pilotlight import load, testing
from pilotlight.cli import cli
from pilotlight.core.provider import Timeouts
from pilotlight.errors import PilotlightError, PullFailed
from pilotlight.health import checks, prober, pull, verdict, warmup
from pilotlight.health.server import connection_of
from pilotlight.privacy import classification
from pilotlight.privacy.residency import is_private
from pilotlight.testing import FakeClock
from pilotlight_chaos import ChaosServer, LocalModel
from tests.residency.calls import WAYS
from tests.residency.guard import ANSWER, KEY, MESSAGES, PROMPT, watched, writing
from tests.residency.test_residency import CLOCKS, FAULTS, HOOKS, SAID, calls_at_home

pytestmark = pytest.mark.processes

HOSTED = "hosted.example"
QUICK = Timeouts(connect=2.0, first_token=None, between_tokens=None, total=0.3)
LOCAL, ABSENT = "llama3.2:3b", "mistral:latest"
HURRIED, UNHURRIED = 'first_token = "150ms", total = "400ms"', 'first_token = "60s"'
ACTS = ("call", "check", "warm", "pull", "later")


@pytest.fixture(scope="module")
def server():
    reply = f"{ANSWER} is what {PROMPT} needs, says {ANSWER} again"
    with ChaosServer(models=[LocalModel(LOCAL)], registry=[ABSENT], reply=reply) as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def _hurried():
    """Servers that hang are given up sooner, and pulls do not sleep between two tries."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checks, "CHECK_TIMEOUTS", QUICK)
        patch.setattr(verdict, "TRIAL", QUICK)
        patch.setattr(pull, "SILENCE", 0.3)
        yield


def piloted(
    server: ChaosServer, model: str, hook: Any, clocks: Any = CLOCKS
) -> pilotlight.Pilotlight:
    """A hosted target that is checked, before a local one that is warmed and pulled."""
    hosted = {
        "model": "openai/gpt-4o",
        "api_base": f"http://{HOSTED}:{server.port}/p/closed/v1",
        "api_key": KEY,
        "health": "models",
    }
    local = {
        "model": f"ollama/{model}",
        "api_base": server.base("local"),
        "timeout": clocks,
        "warm": "always",
        "warm_timeout": 0.3,
        "pull": "missing",
    }
    return load(
        {
            "targets": {"gpt": hosted, "local": local},
            "routes": {"chat": {"targets": ["gpt", "local"], "sensitive": hook}},
            "retry": {"max_retries": 1, "wait_initial": 0.001, "wait_max": 0.002},
        }
    )


class Background:
    """The prober, the warmer and the pulls of a pilot, on a clock in the hand."""

    def __init__(self, pilot: pilotlight.Pilotlight, patch: pytest.MonkeyPatch) -> None:
        self.clock = FakeClock()
        self.local = pilot.target("local")
        self.warmer = warmup.Warmer(self.clock, run=lambda work: work())
        self.pulls = pull.Pulls(self.clock, self.clock.sleep)
        patch.setattr(prober, "PULLS", self.pulls)
        self.prober = prober.Prober(self.clock, warmer=self.warmer)
        self.prober.know(pilot.targets.values())
        self.warmer.plan(pilot.route("chat").targets)

    def act(self, act: str) -> None:
        if act == "check":
            self.prober.run_once()
        elif act == "warm":
            self.warmer.warm(self.local, again=True)
        elif act == "later":
            self.clock.advance(1000.0)
        elif act == "pull":
            try:
                self.pulls.pull(connection_of(self.local))
            except PullFailed:
                pass

    def settle(self) -> None:
        for thread in threading.enumerate():
            if thread.name == "pilotlight-pull":
                thread.join(30)


def only_checks_went_out(server: ChaosServer) -> None:
    for request in server.requests("closed", probes=True):
        assert (request.method, request.of_model) == ("GET", False)
        assert request.path.startswith("/v1/models")
        assert not any(word in repr(request) for word in (PROMPT, ANSWER))


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    fault=st.sampled_from([*FAULTS, ("cloud_stub", {"everywhere": True}), None]),
    closed=st.sampled_from(["auth", "server_error", "garbage", None]),
    model=st.sampled_from([LOCAL, ABSENT]),
    acts=st.lists(st.sampled_from(ACTS), min_size=2, max_size=5),
    way=st.sampled_from(WAYS),
    said=st.sampled_from(SAID),
)
def test_nothing_done_between_calls_leaves_or_quotes(server, fault, closed, model, acts, way, said):
    testing.reset()
    classification._complained.clear()
    server.reset()
    if fault is not None:
        server.fault("local", fault[0], **fault[1])
    if closed is not None:
        server.fault("closed", closed, everywhere=True)
    with (
        piloted(server, model, HOOKS.get(said)) as pilot,
        watched() as guard,
        writing() as written,
        pytest.MonkeyPatch.context() as patch,
    ):
        guard.names[HOSTED] = ["127.0.0.1"]
        background = Background(pilot, patch)
        for act in acts:
            if act == "call":
                calls_at_home(pilot, [way], written, said)
            else:
                background.act(act)
        background.settle()
    assert guard.address_mismatch == []
    only_checks_went_out(server)
    for request in server.requests("local", probes=True):
        assert request.of_model or PROMPT not in repr(request)  # only calls carry prompts
    assert written.leaks(PROMPT, ANSWER, KEY) == []


def test_a_hosted_target_is_checked_beside_private_calls(server):
    server.reset()
    with (
        piloted(server, LOCAL, None) as pilot,
        watched() as guard,
        writing() as written,
        pytest.MonkeyPatch.context() as patch,
    ):
        guard.names[HOSTED] = ["127.0.0.1"]
        background = Background(pilot, patch)
        background.act("check")
        calls_at_home(pilot, WAYS, written)
        background.act("check")
    assert len(server.requests("closed", probes=True)) == 2  # the guard would have seen more
    only_checks_went_out(server)
    assert guard.lookups.count(HOSTED) >= 1
    assert guard.address_mismatch == []
    assert written.leaks(PROMPT, ANSWER, KEY) == []


def test_a_check_of_a_local_target_never_leaves(server):
    server.reset()
    target = {"model": f"ollama/{LOCAL}", "api_base": f"http://localhost:{server.port}/p/local"}
    data = {"targets": {"local": target}, "routes": {"chat": {"targets": ["local"]}}}
    with load(data) as pilot, watched() as guard, pytest.MonkeyPatch.context() as patch:
        guard.names["localhost"] = ["192.0.2.7"]
        background = Background(pilot, patch)
        for act in ("check", "warm", "pull"):
            background.act(act)
        background.settle()
    assert guard.address_mismatch == []
    assert server.requests(probes=True) == []


# The block, over threads.


def test_the_block_crosses_to_thread_and_the_threads_that_are_started_here(server, monkeypatch):
    seen: dict[str, bool] = {}
    done = threading.Event()

    def loaded(target: Any) -> None:
        seen["warm-up"] = is_private()
        done.set()

    async def main() -> None:
        seen["to_thread"] = await asyncio.to_thread(is_private)

    monkeypatch.setattr(warmup, "_loaded", loaded)
    with piloted(server, LOCAL, None) as pilot, pilotlight.private():
        asyncio.run(main())
        assert warmup.Warmer().warm(pilot.target("local"))
        assert done.wait(30)
    assert seen == {"to_thread": True, "warm-up": True}
    assert not is_private()


def test_calls_made_in_threads_of_the_block_stay_at_home(server):
    server.reset()

    async def main(route: Any) -> list[Any]:
        with pilotlight.private():
            whole = asyncio.to_thread(lambda: route.complete(MESSAGES).receipt)
            part = asyncio.to_thread(lambda: list(route.stream(MESSAGES)))
            return await asyncio.gather(whole, part)

    with (
        piloted(server, LOCAL, None, clocks={}) as pilot,
        watched() as guard,
        pilotlight.receipts() as log,
    ):
        asyncio.run(main(pilot.route("chat")))
    assert [(each.private, each.served_by) for each in log] == [(True, "local")] * 2
    assert guard.address_mismatch == []
    assert server.requests("closed", probes=True) == []


# The command line.


@pytest.fixture
def hurried(request):
    """Whether the local target is soon given up: where it never answers, and else never."""
    return request.node.callspec.params["fault"] == "hang"


@pytest.fixture
def configured(server, hurried, tmp_path, monkeypatch):
    """A configuration with a closed target before the local one; the question is the marker."""
    server.reset()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pilotlight.toml").write_text(
        f"""
[targets.gpt]
model = "openai/gpt-4o"
api_base = "http://{HOSTED}:{server.port}/p/closed/v1"
api_key = "{KEY}"
[targets.local]
model = "ollama/{LOCAL}"
api_base = "{server.base("local")}"
timeout = {{ {HURRIED if hurried else UNHURRIED} }}
[routes.chat]
targets = ["gpt", "local"]
""",
        "utf-8",
    )


@pytest.mark.parametrize("fault", ["none", "crash", "error_event", "garbage", "cloud_stub", "hang"])
@pytest.mark.parametrize("how", [(), ("--no-stream",), ("--json",)])
def test_ask_private(server, configured, fault, how):
    if fault != "none":
        server.fault("local", fault)
    with watched() as guard, writing() as written:
        question = MESSAGES[0]["content"]
        result = CliRunner().invoke(cli, ["ask", "--private", *how, question])
    assert result.exit_code == (
        0 if fault == "none" else result.exit_code or pytest.fail("it answered")
    )
    shown = [result.stderr]
    if "--json" in how:
        shown.append(json.dumps(json.loads(result.stdout)["receipt"]))
    written.lines += shown
    assert guard.address_mismatch == []
    assert HOSTED not in guard.lookups
    assert server.requests("closed", probes=True) == []
    assert written.leaks(PROMPT, ANSWER, KEY) == []


@pytest.mark.parametrize("command", ["status", "doctor"])
@pytest.mark.parametrize("fault", ["none", "crash", "garbage", "cloud_stub"])
def test_status_and_doctor_ask_nobody_for_an_answer(server, configured, command, fault):
    if fault != "none":
        server.fault("local", fault, everywhere=True)
    with watched() as guard, writing() as written, pilotlight.private():
        guard.names[HOSTED] = ["127.0.0.1"]
        result = CliRunner().invoke(cli, [command])
    written.lines += [result.stdout, result.stderr]
    assert not isinstance(result.exception, PilotlightError)
    assert guard.address_mismatch == []
    assert server.hits("closed") == server.hits("local") == 0
    only_checks_went_out(server)
    assert written.leaks(PROMPT, ANSWER, KEY) == []
