"""A value that can have no effect is refused, with its mend; nothing else is."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotlight.catalog.providers import CATALOG
from pilotlight.config import idle
from pilotlight.config.schema import load_config, parse
from pilotlight.core.retry.policy import delay
from pilotlight.errors import ConfigError

Data = dict[str, Any]
Place = tuple[str, ...]
OURS = {"model": "ollama/llama3.2"}
CLOUD = {"model": "ollama/gpt-oss:120b-cloud"}
HOSTED = [{"model": f"{name}/m"} for name, known in CATALOG.items() if known.wire != "ollama"]
UNKNOWN = {"model": "cloudflare/m"}


def target(table: Data, **keys: Any) -> Data:
    return {"targets": {"t": {**table, **keys}}}


def route(targets: int, **keys: Any) -> Data:
    names = [f"t{number}" for number in range(targets)]
    routes = {"r": {"targets": names, **keys}}
    return {"targets": {name: dict(OURS) for name in names}, "routes": routes}


def put(data: Data, place: Place, value: Any) -> Data:
    """The same with a key written; with None, without it."""
    whole = inner = copy.deepcopy(data)
    for part in place[:-1]:
        inner = inner.setdefault(part, {})
    if value is None:
        inner.pop(place[-1], None)
    else:
        inner[place[-1]] = value
    return whole


def of_target(key: str) -> Place:
    return ("targets", "t", *key.split("."))


# Where the value stands; the value; where it has no effect; where it has one.
IDLE: list[tuple[Place, Any, Data, Data]] = [
    (of_target("queue"), 8, target(OURS), target(OURS, concurrency=2)),
    *(
        (of_target(key), value, target(table), target(OURS))
        for table in (*HOSTED, UNKNOWN)
        for key, value in (
            ("keep_alive", "10m"),
            ("warm", "always"),
            ("warm_timeout", "60s"),
            ("pull", "missing"),
        )
    ),
    *(
        (of_target(key), value, target(CLOUD), target(OURS))
        for key, value in (
            ("warm", "when-degraded"),
            ("warm_timeout", 600),
            ("pull", "missing"),
        )
    ),
    (of_target("warm_timeout"), 60, target(OURS, warm="never"), target(OURS, warm="always")),
    (of_target("pull"), "missing", target(OURS, health="off"), target(OURS, health="on")),
    *(
        (of_target("probe_interval"), "5s", target(table, **off), target(table, health="on"))
        for table, off in (
            (OURS, {"health": "off", "warm": "never"}),
            (CLOUD, {"health": "off"}),
            (UNKNOWN, {}),
            (HOSTED[0], {}),
            (HOSTED[0], {"health": "off"}),
        )
    ),
    (of_target("probe_interval"), 5, target(UNKNOWN), target(OURS, health="off")),  # paces the warm
    (of_target("replacement"), "x", target(OURS), target(OURS, retires="2030-01-01")),
    (of_target("via"), "litellm", target(OURS), target(UNKNOWN)),
    (of_target("via"), "litellm", target({"model": "ollama_chat/x"}), target(HOSTED[0])),
    (of_target("api_key.env"), "K", target(OURS, api_key={"value": "k"}), target(OURS)),
    *(
        (of_target(f"timeout.{clock}"), "11s", target(table, timeout={"total": 10}), target(table))
        for clock in ("connect", "first_token", "between_tokens")
        for table in (OURS, HOSTED[0])
    ),
    (of_target("timeout.first_token"), 121, target(HOSTED[0]), target(OURS)),
    (("routes", "r", "on_interrupt"), "restart", route(1), route(2)),
    (("routes", "r", "sit_out"), "3s", route(1), route(2)),
    (
        ("routes", "r", "sensitive"),
        "tests.doors.hooks:patients",
        route(2, private=True),
        route(2, private=False),
    ),
]
NUMBERS: list[tuple[str, Any, Data, Data]] = [
    ("breaker.slow_call_rate", 0.5, {}, {"slow_call_duration": "20s"}),
    ("retry.wait_initial", "3s", {}, {"wait_max": "3s"}),
    *(
        (f"retry.{key}", value, {"max_retries": 0}, {"max_retries": 1})
        for key, value in (
            ("wait_initial", 0.1),
            ("wait_max", 3),
            ("budget_ratio", 0.5),
            ("budget_reserve", 2),
            ("only_under", 2),
        )
    ),
]
for key, value, without, with_it in NUMBERS:
    table, _, _ = key.partition(".")
    IDLE += [
        (tuple(key.split(".")), value, {table: without}, {table: with_it}),
        (of_target(key), value, target(OURS, **{table: without}), target(OURS, **{table: with_it})),
        (of_target(key), value, target(OURS) | {table: without}, target(OURS) | {table: with_it}),
        # A common number has its effect where one target alone makes use of it.
        (tuple(key.split(".")), value, target(OURS) | {table: without}, target(OURS, **{table: with_it}) | {table: without}),
    ]  # fmt: skip

HOOK = "pilotlight.privacy.classification:hook_from"
IDLE = [(p, HOOK if p[-1] == "sensitive" else v, a, b) for p, v, a, b in IDLE]


@pytest.mark.parametrize(("place", "value", "without", "with_it"), IDLE)
def test_a_value_without_effect_is_refused_and_told_with_place_value_and_mend(
    place, value, without, with_it
):
    with pytest.raises(ConfigError) as caught:
        parse(put(without, place, value), "pilotlight.toml")
    told = str(caught.value)
    assert len(told.splitlines()) == 1
    assert told.startswith(f"pilotlight.toml: {'.'.join(place)}: ")
    assert any(mend in told for mend in ("remove", "raise that"))
    assert place[-2] == "api_key" or told.endswith(f", got {value!r}")
    parse(put(without, place, None), "without it")
    parse(put(with_it, place, value), "where it has an effect")


def test_every_rule_is_tried():
    rules = (
        *(("target", each) for each in idle._TARGET),
        *(("key", each) for each in idle._KEY),
        *(("timeout", each) for each in idle._TIMEOUT),
        *(("route", each) for each in idle._ROUTE),
        *(("breaker", each) for each in idle._BREAKER),
        *(("retry", each) for each in idle._RETRY),
    )
    tried = {place[-1] for place, *_ in IDLE}
    assert {rule.key for _, rule in rules} == tried


@pytest.mark.parametrize("table", [OURS, CLOUD, UNKNOWN, *HOSTED], ids=lambda each: each["model"])
def test_defaults_are_never_refused_nor_what_asks_for_what_happens_anyway(table):
    parse(target(table), "bare")
    parse(target(table, warm="never", pull="never"), "neutral")
    parse({**target(table), "routes": {"r": {
        "targets": ["t"], "on_interrupt": "raise", "sit_out": 0, "private": True,
    }}}, "neutral")  # fmt: skip


def test_all_that_has_no_effect_is_told_at_once(tmp_path):
    file = tmp_path / "pilotlight.toml"
    file.write_text('[targets.t]\nmodel = "openai/x"\nqueue = 3\npull = "missing"\nvia = "litellm"')
    with pytest.raises(ConfigError) as caught:
        load_config(file)
    assert [line.split(": ")[:2] for line in str(caught.value).splitlines()] == [
        [str(file), "targets.t.queue"],
        [str(file), "targets.t.pull"],
    ]


def test_a_key_is_not_shown():
    secret = "sk-proj-1234567890abcdef"
    both = {"value": secret, "env": secret}
    with pytest.raises(ConfigError, match=r"api_key\.env: has no effect beside `value`") as caught:
        parse(target(OURS, api_key=both), "here")
    assert secret not in str(caught.value)


# Any configuration: the mend works, and what is refused is without effect indeed.

KEYS: dict[str, st.SearchStrategy[Any]] = {
    "concurrency": st.integers(1, 4),
    "queue": st.integers(0, 4),
    "keep_alive": st.just("5m"),
    "health": st.sampled_from(["on", "off", "models"]),
    "probe_interval": st.integers(1, 9),
    "warm": st.sampled_from(["never", "when-degraded", "always"]),
    "warm_timeout": st.integers(1, 9),
    "pull": st.sampled_from(["never", "missing"]),
    "via": st.just("litellm"),
    "replacement": st.just("x"),
    "retires": st.just("2030-01-01"),
    "timeout": st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            ("connect", "first_token", "between_tokens", "total"), st.integers(1, 300)
        ),
    ),
}
retries = st.fixed_dictionaries(
    {},
    optional={
        "max_retries": st.integers(0, 3),
        "wait_initial": st.integers(1, 5),
        "wait_max": st.integers(1, 5),
        "only_under": st.integers(1, 5),
    },
)
breakers = st.fixed_dictionaries(
    {}, optional={"slow_call_duration": st.integers(1, 9), "slow_call_rate": st.floats(0.1, 1)}
)
some_target = st.builds(
    lambda table, keys, retry, breaker: {**table, **keys, "retry": retry, "breaker": breaker},
    st.sampled_from([OURS, CLOUD, UNKNOWN, HOSTED[0]]),
    st.fixed_dictionaries({}, optional=KEYS),
    retries,
    breakers,
)
some_config = st.builds(
    lambda targets, retry, breaker: {"targets": targets, "retry": retry, "breaker": breaker},
    st.dictionaries(st.sampled_from("ab"), some_target, min_size=1),
    retries,
    breakers,
)


@given(some_config)
def test_without_the_keys_that_are_refused_it_is_accepted_and_means_the_same(data):
    try:
        parse(data, "here")
    except ConfigError as error:
        lines = [line.split(": ") for line in str(error).splitlines()]
    else:
        return
    assert len({place for _, place, *_ in lines}) == len(lines)
    lenient = parse(data, "here", tried=())
    mended = data
    for _, told, why in lines:
        place = tuple(told.split("."))
        lowered = "wait_max" in why and longest_pause(lenient, place)
        mended = put(mended, place, lowered or None)
    config = parse(mended, "mended")
    for name in data["targets"]:
        assert used(lenient, name) == used(config, name)


def longest_pause(config, place):
    """The `wait_max` to which a longer `wait_initial` comes down."""
    if place[0] == "targets":
        return config.retry_policy(config.targets[place[1]]).wait_max
    users = [each for each in config.targets.values() if "wait_initial" not in each.retry.given()]
    return max([config.retry.wait_max, *(config.retry_policy(each).wait_max for each in users)])


def used(config, name):
    """What a target's calls and checks make of its numbers."""
    one = config.targets[name]
    retry, breaker, care = config.retry_policy(one), config.breaker_policy(one), one.care()
    pauses = [delay(retry, number, lambda: 1.0) for number in range(retry.max_retries)]
    ours = one.is_ollama and not one.is_cloud
    return (
        one.concurrency and (one.concurrency, one.queue),
        one.keep_alive if one.is_ollama else None,
        care.health,
        care.interval if care.wanted else None,
        (care.warm, care.warm_timeout) if ours and care.warm != "never" else None,
        care.pull if ours and care.health else None,
        pauses,
        retry.only_under if retry.max_retries else None,
        breaker.slow_call_duration and breaker.slow_call_rate,
    )
