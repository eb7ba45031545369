"""The experiments: all hang together, some are run here, and all of them by `make chaos`.

What is run here is judged by counts, and by no clock: a busy machine is no deviation.
"""

import json
import logging
import subprocess
import sys

import pytest
from pilotlight import listeners

from pilotlight_chaos.lab import runner
from pilotlight_chaos.lab.current import is_built
from pilotlight_chaos.lab.world import World
from pilotlight_chaos.report.reading import told

pytestmark = pytest.mark.processes

FAST = ("07", "09", "10", "12", "13", "20", "21", "25", "31")
MINE = """
title: Mine
description: An experiment of one's own
configuration:
  seed: {{type: env, key: PILOTLIGHT_CHAOS_SEED, default: 0, env_var_type: int}}
  negative: {{type: env, key: PILOTLIGHT_CHAOS_NEGATIVE, default: 0, env_var_type: int}}
  world: {world}
controls:
  - {{name: world, provider: {{type: python, module: pilotlight_chaos.control}}}}
steady-state-hypothesis:
  title: It is well
  probes:
    - name: share of calls answered
      type: probe
      tolerance: {tolerance}
      provider: {{type: python, module: pilotlight_chaos.probes, func: answered}}
method:
  - name: the primary is down
    type: action
    provider:
      type: python
      module: pilotlight_chaos.actions
      func: fault
      arguments: {{target: primary, kind: unavailable}}
  - name: traffic
    type: action
    provider:
      type: python
      module: pilotlight_chaos.actions
      func: let_run
      arguments: {{seconds: 120}}
rollbacks:
  - name: undo
    type: action
    provider: {{type: python, module: pilotlight_chaos.actions, func: undo}}
"""


@pytest.fixture(autouse=True)
def _as_before():
    """Each experiment leaves the process as it was: nobody listens, no world stands."""
    yield
    assert not any(isinstance(getattr(each, "__self__", None), World) for each in listeners)
    assert not is_built()
    names = [type(each).__name__ for each in logging.getLogger().handlers]
    assert "LogReader" not in names


def mine(tmp_path, world="{}", tolerance="[0, 1]"):
    path = tmp_path / "mine.yaml"
    path.write_text(MINE.format(world=world, tolerance=tolerance), "utf-8")
    return runner.find([str(path)])[0]


def test_all_of_the_list_are_there():
    numbers = [each.number for each in runner.packaged()]
    assert sorted(numbers) == [f"{number:02}" for number in range(1, 40)]


@pytest.mark.parametrize("experiment", runner.packaged(), ids=lambda each: each.name)
def test_an_experiment_is_whole(experiment):
    loaded = experiment.load()  # checked by chaostoolkit: modules, functions, arguments
    probes = [probe["name"] for probe in loaded["steady-state-hypothesis"]["probes"]]
    off = loaded["configuration"]["negative_control"]
    assert off["deviates"] == probes[0], "a look ends at the first probe that deviates"
    assert set(off) & {"hold_closed", "hold_open", "pilotlight", "traffic"}, "switches nothing off"
    assert loaded["runtime"]["hypothesis"]["strategy"] == "continuously"
    assert loaded["runtime"]["rollbacks"]["strategy"] == "always"
    assert [each["provider"]["func"] for each in loaded["rollbacks"]] == ["undo"]
    names = [each["name"] for each in (*loaded["method"], *loaded["rollbacks"])]
    assert len(probes) == len(set(probes))
    assert all(names)


@pytest.mark.parametrize("negative", [False, True], ids=["held", "control"])
@pytest.mark.parametrize("number", FAST)
def test_it_holds_and_its_control_deviates(number, negative):
    run = told(runner.run(*runner.find([number]), seed=7, negative=negative))
    assert run.ok, (run.outcome, run.measures)
    assert run.rolled_back
    assert len(run.seen["calls"]) > 20, "there was traffic"


@pytest.mark.parametrize("negative", [0, 1])
def test_chaostoolkits_own_command_runs_it(tmp_path, negative):
    """In a process of its own, as it warns and logs in ways that are not ours to mend."""
    path = runner.find(["10"])[0].path
    command = [sys.executable, "-W", "ignore", "-c", "from chaostoolkit.cli import cli; cli()"]
    order = ["--no-version-check", "run", "--var", f"negative:int={negative}", str(path)]
    done = subprocess.run(
        [*command, *order], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == negative, done.stderr
    run = told(json.loads((tmp_path / "journal.json").read_text("utf-8")))
    assert run.ok, run.outcome
    assert run.negative == bool(negative)


def test_too_many_lost_calls_end_it_and_it_is_rolled_back(tmp_path):
    world = "{abort: {lost_calls: 3}, pilotlight: {routes: {chat: {targets: [primary]}}}}"
    journal = runner.run(mine(tmp_path, world))
    assert journal["status"] == "interrupted"
    assert "calls were lost, 3 is the budget" in journal["pilotlight"]["aborted"]
    assert [each["status"] for each in journal["rollbacks"]] == ["succeeded"]
    assert journal["duration"] < 100, "the wait of 120 s was cut short"


def test_a_deviation_during_the_fault_counts_and_is_rolled_back(tmp_path):
    # a budget of seconds of loss: several looks are taken before it is spent
    world = "{abort: {lost_calls: 100}, pilotlight: {routes: {chat: {targets: [primary]}}}}"
    journal = runner.run(mine(tmp_path, world, "[0.999, 1]"))
    assert journal["steady_states"]["after"] is None, "it never got as far"
    assert journal["deviated"]
    assert [each["status"] for each in journal["rollbacks"]] == ["succeeded"]


def test_what_does_not_hold_before_the_fault_fails(tmp_path):
    journal = runner.run(mine(tmp_path, tolerance="[2, 3]"))
    assert journal["status"] == "failed"
    assert journal["run"] == []
    assert not told(journal).ok


def test_an_action_that_fails_is_no_experiment_that_held(tmp_path):
    experiment = mine(tmp_path)
    loaded = experiment.load()
    loaded["method"] = loaded["method"][:1]
    loaded["method"][0]["provider"]["arguments"]["kind"] = "unavailible"
    experiment.path.write_text(json.dumps(loaded), "utf-8")
    run = told(runner.run(experiment))
    assert not run.ok
    assert run.outcome == "failed: the action 'the primary is down' failed"
    assert run.rolled_back


def test_a_world_that_cannot_be_built_is_told(tmp_path):
    world = "{pilotlight: {targets: {primary: {modell: openai/gpt-4o}}}}"
    journal = runner.run(mine(tmp_path, world))
    assert journal["status"] == "interrupted"
    assert "targets.primary.modell" in journal["pilotlight"]["aborted"]
    assert told(journal).outcome.startswith("aborted: the world was not built")


def test_traffic_that_the_machine_does_not_carry_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("pilotlight_chaos.lab.world.PATIENCE", 0.5)
    experiment = mine(
        tmp_path, "{servers: {hosted_latency: 5}, traffic: {rate: 40, shapes: [sync]}}"
    )
    loaded = experiment.load()
    loaded["configuration"]["negative_control"] = {"what": "nothing", "deviates": "nothing"}
    experiment.path.write_text(json.dumps(loaded), "utf-8")
    run = told(runner.run(experiment, seed=3, negative=True))
    assert "the traffic does not run" in run.outcome
    assert "needs a lower world.traffic.rate" in run.outcome
    assert (run.negative, run.seed, run.ok) == (True, 3, False), "it is counted as a control"


def test_what_was_seen_holds_no_prompt_and_no_key():
    journal = runner.run(*runner.find(["10"]))
    seen = json.dumps(journal["pilotlight"])
    assert "CANARY" not in seen
    assert "key-" not in seen


@pytest.mark.parametrize(
    ("name", "said"),
    [("99", "no experiment '99'; there are: 01-hard-down"), ("no.yaml", "no such file")],
)
def test_an_unknown_name_is_told(name, said):
    with pytest.raises(runner.ExperimentError, match=said):
        runner.find([name])


def test_a_file_that_is_no_experiment_is_told(tmp_path):
    path = tmp_path / "other.yaml"
    path.write_text("title: nothing else", "utf-8")
    with pytest.raises(runner.ExperimentError, match=r"other\.yaml: "):
        runner.run(*runner.find([str(path)]))
