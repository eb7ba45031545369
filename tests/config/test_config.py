"""The configuration: where it is found, what it means, and how every mistake is told."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotlight import ConfigError, load
from pilotlight.app import default
from pilotlight.config.schema import Config, load_config
from pilotlight.config.targets import LOCAL_TIMEOUTS, timeouts
from pilotlight.core.provider import Timeouts
from pilotlight.vocabulary.faults import Fault

WELL = """
[targets.gpt]
model = "openai/gpt-4o"

[targets.local]
model = "ollama/llama3.2"
"""
CHAT = '\n[routes.chat]\ntargets = ["gpt", "local"]\n'


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


# Where it is found.


def test_without_any_file_it_is_empty(folder):
    assert load_config() == Config()


def test_the_file_of_this_folder_is_read(folder):
    (folder / "pilotlight.toml").write_text(WELL + CHAT)
    assert list(load_config().routes) == ["chat"]


def test_a_file_of_a_folder_above_is_read(folder, monkeypatch):
    (folder / "pilotlight.toml").write_text(WELL)
    (folder / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(folder / "a" / "b")
    assert sorted(load_config().targets) == ["gpt", "local"]


def test_the_nearest_file_holds_alone(folder, monkeypatch):
    (folder / "pilotlight.toml").write_text(WELL)
    (folder / "a").mkdir()
    (folder / "a" / "pilotlight.toml").write_text('[targets.mine]\nmodel = "ollama/x"')
    monkeypatch.chdir(folder / "a")
    assert list(load_config().targets) == ["mine"]


def test_a_table_in_pyproject_will_do(folder):
    (folder / "pyproject.toml").write_text('[tool.pilotlight.targets.a]\nmodel = "ollama/x"')
    assert list(load_config().targets) == ["a"]
    (folder / "pilotlight.toml").write_text(WELL)  # the file of its own goes first
    assert "gpt" in load_config().targets


@pytest.mark.parametrize(
    "text", ["tool = 3", "[tool]\npilotlight = 3", "[tool.ruff]", "= broken", "\xff"]
)
def test_somebody_elses_pyproject_is_not_our_business(folder, monkeypatch, text):
    (folder / "pilotlight.toml").write_text(WELL)
    (folder / "a").mkdir()
    (folder / "a" / "pyproject.toml").write_text(text, "latin-1")
    monkeypatch.chdir(folder / "a")
    assert "gpt" in load_config().targets


def test_the_environment_names_a_file_and_goes_first(folder, monkeypatch):
    (folder / "pilotlight.toml").write_text(WELL)
    (folder / "other.toml").write_text('[targets.mine]\nmodel = "ollama/x"')
    monkeypatch.setenv("PILOTLIGHT_CONFIG", str(folder / "other.toml"))
    assert list(load_config().targets) == ["mine"]


def test_a_missing_file_says_who_named_it(folder, monkeypatch):
    monkeypatch.setenv("PILOTLIGHT_CONFIG", "nowhere.toml")
    with pytest.raises(ConfigError) as caught:
        load_config()
    assert str(caught.value).startswith("nowhere.toml (from PILOTLIGHT_CONFIG): no such file")
    assert "pilotlight init" in str(caught.value)
    with pytest.raises(ConfigError, match="^elsewhere.toml: no such file"):
        load_config("elsewhere.toml")


def test_a_folder_in_place_of_a_file_can_not_be_read(folder):
    with pytest.raises(ConfigError, match="can't be read"):
        load_config(folder)


def test_bad_toml_names_the_file_and_the_line(folder):
    (folder / "pilotlight.toml").write_text("[targets.gpt]\nmodel = oops\n")
    with pytest.raises(ConfigError, match=r"pilotlight\.toml: not valid TOML: .*line 2"):
        load_config()


def test_a_named_pyproject_without_our_table(folder):
    for text in ("[tool.ruff]", "[tool]\npilotlight = 3"):
        (folder / "pyproject.toml").write_text(text)
        with pytest.raises(ConfigError, match=r"has no \[tool\.pilotlight\] table"):
            load_config("pyproject.toml")


def test_the_default_follows_the_folder_and_the_environment(folder, monkeypatch):
    assert default() is default()
    empty = default()
    (folder / "a").mkdir()
    (folder / "a" / "pilotlight.toml").write_text(WELL)
    monkeypatch.chdir(folder / "a")
    assert default() is not empty
    assert "gpt" in default().config.targets


# What it means.


def test_a_route_has_the_policy_of_its_table():
    pilot = load({
        "targets": {"gpt": {"model": "openai/gpt-4o"}, "local": {"model": "ollama/x"}},
        "routes": {"chat": {
            "targets": ["gpt", "local"], "total_timeout": "1m", "on_interrupt": "restart", "private": True,
            "on_broken_event": "skip",
            "fail_over_on": ["content_blocked"], "rate_limit_wait": 0, "priority": "low",
            "sit_out": "3s", "gather": "never",
        }},
    })  # fmt: skip
    route = pilot.route("chat")
    assert (route.total_timeout, route.private, route.priority) == (60.0, True, "low")
    assert (route.policy.on_interrupt, route.policy.rate_limit_wait) == ("restart", 0.0)
    assert (route.policy.sit_out, route.policy.gather) == (3.0, "never")
    assert route.policy.on_broken_event == "skip"
    assert route.policy.fail_over_on == {Fault.CONTENT_BLOCKED}


def test_a_targets_numbers_go_over_the_common_ones_over_the_defaults():
    config = load_config({
        "breaker": {"failure_rate": 0.9, "window": "1m"},
        "retry": {"max_retries": 2},
        "targets": {
            "a": {"model": "openai/x", "breaker": {"window": 5}, "retry": {"wait_initial": "1s"}},
            "b": {"model": "openai/y"},
        },
    })  # fmt: skip
    a, b = config.targets["a"], config.targets["b"]
    policy = config.breaker_policy(a)
    assert (policy.failure_rate, policy.window, policy.minimum_calls) == (0.9, 5.0, 5)
    assert config.breaker_policy(b).window == 60.0
    assert (config.retry_policy(a).max_retries, config.retry_policy(a).wait_initial) == (2, 1.0)
    assert config.retry_policy(b).wait_initial == 0.2


def test_a_bare_timeout_is_the_total_and_a_table_gives_each_clock():
    config = load_config({
        "targets": {
            "a": {"model": "openai/x", "timeout": "90s"},
            "b": {"model": "openai/x", "timeout": {"connect": 3, "first_token": "500ms"}},
            "c": {"model": "ollama/x"},
        }
    })  # fmt: skip
    assert timeouts(config.targets["a"]) == Timeouts(total=90.0)
    assert timeouts(config.targets["b"]) == Timeouts(connect=3.0, first_token=0.5)
    assert timeouts(config.targets["c"]) == LOCAL_TIMEOUTS


def test_concurrency_makes_a_bulkhead():
    pilot = load(
        {
            "targets": {
                "a": {"model": "ollama/x", "concurrency": 2, "queue": 3},
                "b": {"model": "ollama/y"},
            }
        }
    )
    bulkhead = pilot.target("a").health.bulkhead
    assert (bulkhead.concurrency, bulkhead.queue) == (2, 3)
    assert pilot.target("b").health.bulkhead is None


def test_two_configurations_share_the_health_of_an_endpoint():
    data = {"targets": {"a": {"model": "openai/x", "api_key": "k1"}}}
    one, two = load(data).target("a"), load(data).target("a")
    other = load({"targets": {"a": {"model": "openai/x", "api_key": "k2"}}}).target("a")
    assert one.health is two.health
    assert one.health is not other.health


@given(
    st.integers(1, 10**5),
    st.sampled_from([("ms", 0.001), ("s", 1), ("m", 60), ("h", 3600)]),
    st.sampled_from(["", " "]),
)
def test_durations_have_a_unit(number, unit, gap):
    name, seconds = unit
    route = {"targets": ["a"], "total_timeout": f"{number}{gap}{name}"}
    config = load_config({"targets": {"a": {"model": "ollama/x"}}, "routes": {"r": route}})
    assert config.routes["r"].total_timeout == pytest.approx(number * seconds)


@given(st.one_of(st.integers(1, 10**9), st.floats(1e-6, 1e9)))
def test_a_plain_number_is_seconds(number):
    config = load_config({"targets": {"a": {"model": "ollama/x", "time_reserve": number}}})
    assert config.targets["a"].time_reserve == number


@given(
    st.one_of(
        st.text(max_size=8).filter(lambda t: not t.strip().endswith(("s", "m", "h"))),
        st.sampled_from(["0s", "-1s", "1 d", "1h30m", "s", "1e3s", ".5s", "١٢"]),
        st.sampled_from([0, -1, math.inf, -math.inf, math.nan, True]),
    )
)
def test_anything_else_is_no_duration(value):
    with pytest.raises(ConfigError, match="^the given mapping: targets.a.time_reserve: "):
        load_config({"targets": {"a": {"model": "ollama/x", "time_reserve": value}}})
