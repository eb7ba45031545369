"""Pulls: progress, going on after a break, failing without `success`, one at a time."""

from __future__ import annotations

import pickle
import threading

import httpx
import pytest
from sham import MODEL, Sham, local_target

from pilotlight import events, load
from pilotlight.catalog.providers import Spec
from pilotlight.errors import PullFailed
from pilotlight.health import pull as pull_module
from pilotlight.health.prober import Prober
from pilotlight.health.pull import BREAKS, Progress, Pulls, _Flight
from pilotlight.health.warmup import Warmer
from pilotlight.providers.connection import Connection
from pilotlight_chaos import ChaosServer

PATIENCE = 20.0


@pytest.fixture(scope="module")
def running():
    with ChaosServer(models=[], registry=["mistral", MODEL]) as server:
        yield server


@pytest.fixture
def server(running):
    running.reset()
    return running


@pytest.fixture
def connection(server):
    made = Connection(Spec("local", "ollama/mistral", server.base("local")))
    yield made
    made.close()


@pytest.fixture
def pulls(clock):
    return Pulls(clock, clock.sleep)


def pulled(server) -> int:
    return sum(record.path == "/api/pull" for record in server.requests(probes=True))


def is_there(server, name: str = "mistral:latest") -> bool:
    tags = httpx.get(f"{server.base('local')}/api/tags", trust_env=False).json()["models"]
    return name in [model["name"] for model in tags]


def test_progress_in_bytes_to_the_end(pulls, connection, server):
    seen: list[Progress] = []
    pulls.pull(connection, watch=seen.append)
    assert is_there(server)
    assert (seen[0].status, seen[0].total) == ("pulling manifest", 0)
    assert seen[-1].status == "success"
    assert seen[-1].completed == seen[-1].total > 0
    counts = [each.completed for each in seen]
    assert counts == sorted(counts)


@pytest.mark.parametrize("kind", ["cut", "reset", "eof"])
def test_a_broken_pull_goes_on_where_it_stopped(pulls, connection, server, clock, kind):
    server.fault("local", kind, after=4, times=1, everywhere=True)
    seen: list[Progress] = []
    pulls.pull(connection, watch=seen.append)
    assert is_there(server)
    assert pulled(server) == 2
    counts = [each.completed for each in seen]
    assert counts == sorted(counts), "nothing was fetched twice"
    assert clock.slept == [1.0]


def test_a_pull_that_never_gets_on_is_given_up(pulls, connection, server):
    server.fault("local", "eof", after=1, everywhere=True)
    with pytest.raises(PullFailed, match="stopped at 'pulling manifest'"):
        pulls.pull(connection)
    assert pulled(server) == BREAKS + 1
    server.heal()
    assert not is_there(server)


@pytest.mark.parametrize("error", [httpx.ConnectError, httpx.ConnectTimeout])
def test_a_server_that_is_not_there_is_told_at_once(pulls, clock, error):
    target = local_target(Sham(pull=error("x")))
    with pytest.raises(PullFailed, match="127.0.0.1:9: nobody answers"):
        pulls.pull(target.provider.connection)
    assert clock.slept == []


def test_one_that_is_started_anew_meanwhile_is_waited_for(clock):
    begun = '{"status":"pulling x","digest":"x","total":9,"completed":4}'
    sham = Sham(pull=(200, begun))
    later = iter([httpx.ConnectError("x"), httpx.ConnectError("x"), (200, '{"status":"success"}')])

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        sham.answers["pull"] = next(later)

    Pulls(clock, sleep).pull(local_target(sham).provider.connection)
    assert sham.asked == ["pull"] * 4


def test_an_error_line_under_200_fails_at_once(pulls, connection, server):
    server.fault("local", "error_event", after=2, everywhere=True)
    with pytest.raises(PullFailed):
        pulls.pull(connection)
    assert pulled(server) == 1


def test_what_no_registry_has(pulls, connection):
    with pytest.raises(PullFailed, match="file does not exist") as failed:
        pulls.pull(connection, "nothing-of-the-kind")
    assert str(pickle.loads(pickle.dumps(failed.value))) == str(failed.value)


def test_a_cloud_model_can_not_be_pulled(pulls, connection, server):
    with pytest.raises(PullFailed, match="cloud"):
        pulls.pull(connection, "gpt-oss:120b-cloud")
    assert pulled(server) == 0


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((500, {"error": "disk full"}), "disk full"),
        ((404, {"status": "?"}), "status 404"),
        ("<html>", "does not answer like Ollama"),
        ("", "said nothing"),
        ((200, [1]), "does not answer like Ollama"),
    ],
)
def test_servers_that_answer_otherwise(pulls, answer, reason):
    target = local_target(Sham(pull=answer if isinstance(answer, tuple) else (200, answer)))
    with pytest.raises(PullFailed, match=reason):
        pulls.pull(target.provider.connection)


def test_sixteen_who_ask_at_once_share_one_pull(pulls, server, monkeypatch):
    together, all_here, ends = threading.Barrier(16), threading.Event(), []

    class Guests(list):
        def append(self, watch) -> None:
            super().append(watch)
            if len(self) == 16:
                all_here.set()

    monkeypatch.setattr(pull_module, "_Flight", lambda: _Flight(watchers=Guests()))

    def hold(progress: Progress) -> None:
        all_here.wait(PATIENCE)  # the first line waits for the last guest
        ends.append(progress.status)

    def ask() -> None:
        connection = Connection(Spec("l", "ollama/mistral", server.base("local")))
        together.wait(PATIENCE)
        pulls.pull(connection, watch=hold)
        connection.close()

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(PATIENCE)
    assert pulled(server) == 1
    assert ends.count("success") == 16


def test_those_who_wait_learn_of_the_failure(pulls, connection, server, monkeypatch):
    joined, failures = threading.Event(), []
    server.fault("local", "error_event", after=1, everywhere=True)

    class Done(threading.Event):
        def wait(self, timeout=None) -> bool:
            joined.set()  # the second one waits
            return super().wait(PATIENCE)

    monkeypatch.setattr(pull_module, "_Flight", lambda: _Flight(done=Done()))

    def lead() -> None:
        with pytest.raises(PullFailed) as failed:
            pulls.pull(connection, watch=lambda _: joined.wait(PATIENCE))
        failures.append(failed.value.reason)

    leader = threading.Thread(target=lead)
    leader.start()
    assert server.wait_for(lambda: pulled(server) == 1, PATIENCE)
    with pytest.raises(PullFailed) as failed:
        pulls.pull(connection)
    leader.join(PATIENCE)
    assert failures == [failed.value.reason]


def join_pulls() -> None:
    for thread in threading.enumerate():
        if thread.name == "pilotlight-pull":
            thread.join(PATIENCE)


class TestInTheBackground:
    def test_a_missing_model_is_pulled_and_the_breaker_closes(
        self, server, clock, seen, monkeypatch
    ):
        from pilotlight.health import prober as module

        pulls = Pulls(clock, clock.sleep)
        monkeypatch.setattr(module, "PULLS", pulls)
        target = local_target(
            clock=clock, api_base=server.base("local"), pull="missing", warm="never"
        )
        prober = Prober(clock, warmer=Warmer(clock))
        prober.know([target])
        done = threading.Event()
        monkeypatch.setattr(prober, "wake", done.set)
        prober.run_once()
        assert target.health.breaker.reason == "local_model_missing"
        assert done.wait(PATIENCE)
        prober.run_once()
        assert target.health.breaker.state.name == "closed"
        states = [each.state for each in seen if isinstance(each, events.HealthChecked)]
        assert states == ["missing", "installed"]
        target.provider.connection.close()

    def test_one_that_failed_is_not_tried_again_at_once(self, clock):
        target = local_target(Sham(pull=(500, {"error": "no"})), pull="missing")
        pulls = Pulls(clock, clock.sleep)
        assert pulls.in_background(target, lambda: None)
        join_pulls()
        assert not pulls.in_background(target, lambda: None)
        clock.advance(601)
        assert pulls.in_background(target, lambda: None)
        join_pulls()

    def test_never_without_being_told_to(self, server, clock):
        target = local_target(clock=clock, api_base=server.base("local"), warm="never")
        prober = Prober(clock, warmer=Warmer(clock))
        prober.know([target])
        prober.run_once()
        assert pulled(server) == 0
        target.provider.connection.close()


class TestTheCommand:
    @pytest.fixture
    def run(self, tmp_path, monkeypatch, server):
        from click.testing import CliRunner

        from pilotlight.cli import cli

        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("OLLAMA_HOST", server.base("local"))
        (tmp_path / "pilotlight.toml").write_text(
            f'[targets.gpt]\nmodel = "openai/gpt"\n[targets.local]\nmodel = "ollama/{MODEL}"\n'
        )
        return lambda *args: CliRunner().invoke(cli, ["pull", *args])

    def test_what_is_missing(self, run, server):
        done = run()
        assert (done.exit_code, "llama3.2:3b is on" in done.output) == (0, True)
        assert is_there(server, MODEL)
        assert "every local model is there" in run().output
        assert pulled(server) == 1

    def test_a_target(self, run, server):
        assert run("local").exit_code == 0
        assert is_there(server, MODEL)

    @pytest.mark.parametrize("name", ["mistral", "ollama/mistral"])
    def test_any_model(self, run, server, name):
        assert run(name).exit_code == 0
        assert is_there(server)

    def test_any_model_without_a_configuration(self, run, server, tmp_path):
        (tmp_path / "pilotlight.toml").unlink()
        assert run("mistral").exit_code == 0
        assert is_there(server)

    def test_a_failure_is_one_line_and_an_exit_code(self, run):
        done = run("nothing-of-the-kind")
        assert done.exit_code == 1
        assert "file does not exist" in done.output

    def test_a_hosted_target_is_a_misuse(self, run):
        assert run("gpt").exit_code == 2

    def test_nobody_there(self, run, monkeypatch):
        with ChaosServer() as gone:
            address = gone.base("local")
        monkeypatch.setenv("OLLAMA_HOST", address)
        done = run()
        assert done.exit_code == 1
        assert "nobody answers" in done.output

    def test_one_server_of_two_there(self, run, tmp_path, server):
        with (tmp_path / "pilotlight.toml").open("a") as file:
            file.write('[targets.far]\nmodel = "ollama/x"\napi_base = "http://127.0.0.1:9"\n')
        done = run()
        assert is_there(server, MODEL)
        assert (done.exit_code, "far: http://127.0.0.1:9: nobody answers" in done.output) == (
            1,
            True,
        )


def test_load_is_what_the_command_needs():
    assert load({}).targets == {}
