"""The configuration to play under: the file's, where that is silent the log's, and `--set`."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from typing import Any

from pilotlight.config.messages import nearest
from pilotlight.config.schema import Config, parse
from pilotlight.errors import ConfigError
from pilotlight.vocabulary.receipt import Receipt

ADHOC = " > "  # between the models of a route that is not configured

# What a replay can tell anything about, by the table; None: every key of it.
_PLAYED: Mapping[str, frozenset[str] | None] = {
    "breaker": None,
    "retry": None,
    "routes": frozenset(
        {"targets", "total_timeout", "on_interrupt", "fail_over_on", "rate_limit_wait", "sit_out"}
    ),
    "targets": frozenset(
        {"breaker", "retry", "timeout", "timeout.total", "concurrency", "queue", "time_reserve"}
    ),
}


def completed(config: Config, receipts: Sequence[Receipt]) -> Config:
    """Return the configuration with the routes and targets that only the log knows."""
    data = _plain(config)
    routes, targets = data.setdefault("routes", {}), data.setdefault("targets", {})
    models = {each.target: each.model for one in receipts for each in one.attempts}
    for name in dict.fromkeys(each.route for each in receipts):
        if name not in routes:
            own = [each for each in receipts if each.route == name]
            routes[name] = {"targets": name.split(ADHOC) if ADHOC in name else order(own)}
        for target in routes[name]["targets"]:
            model = models.get(target, target)
            targets.setdefault(target, {"model": model if "/" in model else f"unknown/{model}"})
    return parse(data, "the log", tried=())


def order(receipts: Iterable[Receipt]) -> list[str]:
    """Return the targets of a route in the order in which its receipts must have asked them."""
    before: dict[str, set[str]] = {}
    for receipt in receipts:
        skipped = dict.fromkeys(each.target for each in receipt.skipped)
        asked = dict.fromkeys(each.target for each in receipt.attempts)
        for each in (*skipped, *asked):
            before.setdefault(each, set())
        for one, next_one in pairwise(asked):
            before[next_one].add(one)
        served = receipt.served_by
        if served is not None:  # nobody is asked, or passed over, after the one that answered
            before[served] |= {each for each in skipped if each != served}
    try:
        return list(TopologicalSorter(before).static_order())
    except CycleError:  # it was configured anew in between
        return list(before)


def changed(config: Config, settings: Sequence[str]) -> Config:
    """Return the configuration with each `KEY=VALUE` in force.

    Raises ConfigError for what is no setting, an unknown key, a bad value, and a key
    that a replay knows nothing about.
    """
    data = {"routes": {}, "targets": {}} | _plain(config)
    paths = []
    for setting in settings:
        path, value = _read(setting)
        paths.append(path)
        _check_named(data, path)
        _place(data, path, value)
    new = parse(data, "--set", tried=paths)
    for path in paths:
        _check_played(path)
    return new


def _plain(config: Config) -> dict[str, Any]:
    """Return what is given, without what a replay does not do: keep receipts, judge prompts."""
    unplayed: dict[str, Any] = {"receipts": True, "sensitive": True}
    unplayed["routes"] = {"__all__": {"sensitive"}}
    return config.model_dump(exclude_unset=True, exclude=unplayed)


def _read(setting: str) -> tuple[tuple[str, ...], Any]:
    """Split `targets.gpt.breaker.window=30s`; key and value are TOML, a bare word is a string."""
    key, equals, text = setting.partition("=")
    try:
        path = tuple(_path(tomllib.loads(f"{key} = 0")))
        if not equals:
            raise ValueError
    except (ValueError, RecursionError):  # TOMLDecodeError is one
        raise ConfigError(
            f"--set {setting!r}: write KEY=VALUE, such as breaker.reset_timeout=10"
        ) from None
    try:
        return path, tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return path, text.strip()
    except (ValueError, RecursionError):
        raise ConfigError(f"--set {key}: the value is nested too deeply, or too large") from None


def _path(table: Mapping[str, Any]) -> Iterator[str]:
    while isinstance(table, Mapping):
        key, table = next(iter(table.items()))
        yield key


def _place(data: dict[str, Any], path: Sequence[str], value: Any) -> None:
    for part in path[:-1]:
        inner = data.get(part)
        if not isinstance(inner, dict):  # a bare value that stands for its table, or nothing
            inner = data[part] = {}
        data = inner
    data[path[-1]] = value


def _check_named(data: Mapping[str, Any], path: Sequence[str]) -> None:
    """Refuse a route or target that is not there: a replay can't know what it would say."""
    if path[0] in ("routes", "targets") and len(path) > 1 and path[1] not in data[path[0]]:
        known = sorted(data[path[0]])
        mend = nearest(path[1], known) or f"known: {', '.join(known) or 'none'}"
        raise ConfigError(f"--set {'.'.join(path)}: no {path[0][:-1]} {path[1]!r}; {mend}")


def _check_played(path: Sequence[str]) -> None:
    played = _PLAYED.get(path[0], frozenset())
    key = ".".join(path[2:4] if path[2:3] == ("timeout",) else path[2:3])
    if played is not None and key not in played:
        known = ", ".join(
            name if keys is None else f"{name}.NAME.({', '.join(sorted(keys))})"
            for name, keys in _PLAYED.items()
        )
        raise ConfigError(
            f"--set {'.'.join(path)}: changes nothing in a replay; what does: {known}"
        )
