"""What an experiment says about its world: the configuration under test, the traffic, the abort
rule, and what its negative control switches off.

An experiment states only what differs from `DEFAULTS`.  Times are scaled: a break that lasts
16 s in production lasts 0.4 s here, so that an experiment takes seconds.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, cast, get_args

from .store import StoreKind

Table = dict[str, Any]

DEFAULTS: Table = {
    "pilotlight": {
        "targets": {
            "primary": {"model": "openai/gpt-4o"},
            "local": {"model": "ollama/llama3.2:3b", "context": 2048, "health": "off"},
        },
        "routes": {"chat": {"targets": ["primary", "local"], "total_timeout": 15}},
        "retry": {"wait_initial": 0.02, "wait_max": 0.05},
        "breaker": {
            "failure_rate": 0.5,
            "minimum_calls": 5,
            "window": 0.5,
            "reset_timeout": 0.4,
            "max_reset_timeout": 0.8,
        },
    },
    "traffic": {
        "route": "chat",
        "door": "pilotlight",
        "shapes": ["sync", "async", "stream", "astream"],
        "rate": 25,
        "long": 0,
        "private": False,
        "timeout": 15,
        "sdk_retries": False,
    },
    "servers": {"hosted_latency": 0.02, "local_latency": 0.02, "local_slots": 16, "stubs": []},
    "abort": {"lost_calls": 40, "seconds": 60},
}

NEVER = 1_000_000  # lost calls: a negative control is there to lose them


class SettingError(ValueError):
    """An experiment that describes no world; the message names the key."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """The calls that go on in the background, `rate` a second.

    `timeout` and `sdk_retries` are those of a call without pilotlight.  Every third call has
    `long` words more.
    """

    route: str
    door: Literal["pilotlight", "litellm", "images", "asks store", "gateway"]
    shapes: tuple[str, ...]
    rate: float
    private: bool
    timeout: float
    sdk_retries: bool
    long: int = 0
    workers: int = 2  # of the gateway, where that is the door


@dataclass(frozen=True, slots=True)
class Servers:
    """How the played providers answer when they are well; latencies in seconds."""

    hosted_latency: float
    local_latency: float
    local_slots: int  # requests at once that the local machine carries
    stubs: tuple[str, ...]  # models that look local, and of which the server says that they are not


@dataclass(frozen=True, slots=True)
class Abort:
    """When an experiment is stopped and rolled back, whatever it still wanted to do."""

    lost_calls: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Plain:
    """A target as a caller without pilotlight reaches it."""

    litellm_model: str
    litellm_base: str
    api_key: str
    timeout: float
    sdk_retries: bool


@dataclass(frozen=True, slots=True)
class Setting:
    """A world to be built."""

    pilotlight: Table
    traffic: Traffic
    servers: Servers
    abort: Abort
    hold_closed: tuple[str, ...] = ()  # breakers that are closed again as soon as they open
    hold_open: tuple[str, ...] = ()  # breakers that are opened by hand as soon as they open
    seed: int = 0
    negative: bool = False
    store: StoreKind = "none"  # what several processes would share


def read(configuration: Mapping[str, Any]) -> Setting:
    """Read a chaostoolkit `configuration` block; raises SettingError."""
    negative = bool(int(configuration.get("negative", 0)))
    off = dict(configuration.get("negative_control", {}))
    world = merged(DEFAULTS, configuration.get("world", {}))
    held: dict[str, tuple[str, ...]] = {}
    if negative:
        if not off:
            raise SettingError("configuration.negative_control is missing: nothing to switch off")
        changes = {key: off[key] for key in DEFAULTS if key in off}
        world = merged(merged(world, {"abort": {"lost_calls": NEVER}}), changes)
        held = {key: tuple(off[key]) for key in ("hold_closed", "hold_open") if key in off}
    try:
        return Setting(
            pilotlight=dated(world["pilotlight"]),
            traffic=Traffic(**world["traffic"] | {"shapes": tuple(world["traffic"]["shapes"])}),
            servers=Servers(**world["servers"] | {"stubs": tuple(world["servers"]["stubs"])}),
            abort=Abort(**world["abort"]),
            **held,
            seed=int(configuration.get("seed", 0)),
            negative=negative,
            store=_store(configuration.get("store", "none")),
        )
    except TypeError as error:
        raise SettingError(f"configuration.world: {error}") from None


def _store(said: object) -> StoreKind:
    for kind in get_args(StoreKind):
        if said == kind:
            return cast("StoreKind", kind)
    raise SettingError(
        f"configuration.store is {said!r}; it can be: {', '.join(get_args(StoreKind))}"
    )


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> Table:
    """Lay one table over another, key by key; lists and values are replaced, null removes."""
    result = copy.deepcopy(dict(base))
    for key, value in over.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(result.get(key), dict):
            result[key] = merged(result[key], value)
        else:
            result[key] = copy.deepcopy(value)
    return result


def dated(config: Table) -> Table:
    """Write `retires: in 10 days` as a date; a file can't know the day it is run."""
    for target in config["targets"].values():
        said = str(target.get("retires", ""))
        if said.startswith("in "):
            day = datetime.now(UTC).date() + timedelta(days=int(said.split()[1]))
            target["retires"] = day.isoformat()
    return config
