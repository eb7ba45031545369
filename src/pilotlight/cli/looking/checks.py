"""The findings of `pilotlight doctor`: what the facts mean, each with its mend."""

from __future__ import annotations

import json
import shlex
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

from pilotlight import extras
from pilotlight.catalog.providers import CATALOG
from pilotlight.cli.looking.facts import RouteFacts, State, Survey, TargetFacts
from pilotlight.cli.looking.found import DEFAULT_MODEL, ollama
from pilotlight.cli.looking.setting import Place, config_path
from pilotlight.cli.looking.survey import needs_litellm
from pilotlight.cli.words import tokens
from pilotlight.config.lookup import search_config
from pilotlight.errors import ConfigError
from pilotlight.providers.ollama.names import normalise_host

Verdict = Literal["ok", "warn", "fail"]

# States in which a target answers, or may.
_WELL: Final[frozenset[State]] = frozenset({"loaded", "installed", "ok", "reachable"})


@dataclass(frozen=True, slots=True)
class Check:
    """One finding; `mend` is what to type or to write, empty when nothing need be done."""

    verdict: Verdict
    about: str
    text: str
    mend: str = ""


@dataclass(frozen=True, slots=True)
class Setting:
    """What was looked at: the file as the command line gave it, and its targets."""

    given: Path | None
    places: Mapping[str, Place]

    def command(self, *words: str) -> str:
        """Return a `pilotlight` command for this configuration, to be copied."""
        config = ["--config", str(self.given)] if self.given else []
        return shlex.join(["pilotlight", *config, *words])


def findings(setting: Setting, seen: Survey) -> list[Check]:
    """Return what there is to say of every target and route, and of what is around them."""
    routed = {name for route in seen.routes for name in route.targets}
    result = [Check("ok", "configuration", f"{seen.config} is valid"), *_passed_over(setting.given)]
    for facts in seen.targets:
        wrong = [*_target(setting, facts), *_off_route(facts, routed)]
        result += wrong or [Check("ok", facts.name, f"{facts.model}: {facts.state}")]
    broken = {check.about for check in result if check.verdict == "fail"}
    if not seen.routes:
        first = next(iter(setting.places), "…")
        result.append(
            Check("fail", "routes", "there is none", f'[routes.chat] targets = ["{first}"]')
        )
    local = frozenset(facts.name for facts in seen.targets if facts.local)
    for route in seen.routes:
        result += [_last_resort(route, local, broken), *_gaps(route)]
    stop = setting.command("drill", "--stop")
    result += [Check("warn", f"drill {day.id}", day.told, stop) for day in seen.drills]
    if seen.drill_problem is not None:
        result.append(Check("warn", "drill file", f"is ignored: {seen.drill_problem}", stop))
    needed = any(map(needs_litellm, setting.places.values()))
    return [*result, *([litellm_check(seen.litellm)] if needed else [])]


def without_config(given: Path | None, error: ConfigError) -> Iterator[Check]:
    """Say what is wrong with the configuration, and whether a local model would be there."""
    path = config_path(given)
    exists = path is not None and path.is_file()
    mend = f"correct {path}" if exists else "pilotlight init"
    for line in str(error).splitlines():
        yield Check("fail", "configuration", line.partition("; `pilotlight init`")[0], mend)
    yield from _passed_over(given)
    yield _any_ollama()


def _passed_over(given: Path | None) -> Iterator[Check]:
    """Say which files would have been used, had nobody else been able to write them."""
    for path, why in () if given else search_config().passed_over:
        mend = f"export PILOTLIGHT_CONFIG={shlex.quote(str(path))}    # if it is yours"
        yield Check("warn", "configuration", f"{path} is not used: {why}", mend)


def litellm_check(problem: str | None) -> Check:
    """Tell whether litellm, through which closed models are reached, can be used."""
    if problem is not None:
        return Check("fail", "litellm", problem, "pip install --upgrade litellm")
    if not extras.installed("litellm"):
        text = f"is not installed, and no target needs it (else {extras.mend('litellm')})"
        return Check("ok", "litellm", text)
    from importlib.metadata import version

    return Check("ok", "litellm", f"{version('litellm')} loads")


def _any_ollama() -> Check:
    try:
        server = ollama()
    except ValueError as error:
        return Check("warn", "OLLAMA_HOST", str(error), "unset OLLAMA_HOST")
    if server.problem:
        return Check("warn", "ollama", server.problem, "ollama serve")
    if not server.models:
        mend = f"ollama pull {DEFAULT_MODEL}"
        return Check("warn", "ollama", f"{server.url}: no local chat model", mend)
    return Check("ok", "ollama", f"{server.version} at {server.url} has {', '.join(server.models)}")


# Targets.


def _target(setting: Setting, facts: TargetFacts) -> Iterator[Check]:
    place = setting.places[facts.name]
    if facts.state not in _WELL:
        yield Check(_verdict(place, facts), facts.name, _said(facts), _mend(setting, facts))
    if place.config.api_key.value is not None:
        mend = f'[targets.{facts.name}] api_key = {{ env = "{place.key_name or "NAME"}" }}'
        yield Check("warn", facts.name, "the API key stands in the file", mend)
    yield from _end(facts)
    if facts.state in ("loaded", "installed"):
        yield from _loaded(facts)
        yield from _elsewhere(facts)


def _verdict(place: Place, facts: TargetFacts) -> Verdict:
    """Not known, or not listed, is no proof: litellm may know the address, a gateway the name."""
    if facts.state == "unknown":
        return "fail" if place.config.provider in CATALOG else "warn"
    return "warn" if facts.state == "missing" and not place.is_ollama else "fail"


def _said(facts: TargetFacts) -> str:
    if facts.state in ("unreachable", "unknown") and facts.address not in (facts.problem or ""):
        return f"{facts.address or facts.model}: {facts.problem}"
    if facts.state == "retired":
        return f"{facts.model} is retired"
    return f"{facts.model}: {facts.problem}"


def _mend(setting: Setting, facts: TargetFacts) -> str:
    """Return what to type or to write; the check's own word where there is nothing better."""
    name, place = facts.name, setting.places[facts.name]
    another = f'[targets.{name}] model = "ollama/{DEFAULT_MODEL}"'
    unknown = f'[targets.{name}] api_base = "https://…"'
    mends: Mapping[State, str] = {
        "missing": setting.command("pull", name) if place.is_ollama else "",
        "cloud": another,
        "cant_chat": another,
        "no_key": f"export {place.key_name}=…",
        "auth_failed": f"export {place.key_name}=…" if place.key_name else "",
        "unknown": "" if facts.address else unknown,
        "retired": _successor(facts),
    }
    found = mends.get(facts.state) or facts.mend
    return found or f"curl -I {facts.address}    # network, proxy variables, api_base?"


def _successor(facts: TargetFacts) -> str:
    provider = facts.model.partition("/")[0]
    return f'[targets.{facts.name}] model = "{provider}/{facts.retirement.replacement or "…"}"'


def _end(facts: TargetFacts) -> Iterator[Check]:
    """Say how many days the model has left, where it is time to act."""
    from pilotlight.core.health.lifecycle import WARN_AT

    end = facts.retirement
    if end.days is None or end.days > max(WARN_AT) or facts.state == "retired":
        return
    when = f"has {end.days} days left, until {end.day}" if end.days > 0 else f"ended on {end.day}"
    yield Check("warn", facts.name, f"{facts.model} {when} (by {end.source})", _successor(facts))


def _loaded(facts: TargetFacts) -> Iterator[Check]:
    """Say what it costs that the model is loaded otherwise than calls ask for (Ollama A3, A5)."""
    context, bare = facts.context, facts.model.partition("/")[2]
    if context.capped:
        text = f"calls ask for {tokens(context.sent)} tokens of context, the model was trained for "
        mend = f"[targets.{facts.name}] context = {context.trained}"
        yield Check("warn", facts.name, f"{text}{tokens(context.trained)}: it gets no more", mend)
    if context.differs:
        text = f"loaded with {tokens(context.loaded)} tokens of context, calls ask for "
        cost = f"{tokens(context.expected)}: the next call waits while it is loaded again"
        yield Check("warn", facts.name, text + cost, _on(facts.address, f"ollama stop {bare}"))
    if facts.vram_share is not None and facts.vram_share < 1:
        part = f"{1 - facts.vram_share:.0%} of it runs" if facts.vram_share else "it runs"
        text = f"{part} on the CPU, outside of video memory: answers are slow"
        mend = _on(facts.address, "ollama ps    # who holds the memory? or name a smaller model")
        yield Check("warn", facts.name, text, mend)


def _on(address: str, command: str) -> str:
    """Return an `ollama` command for the server at this address."""
    return command if address == normalise_host() else f"OLLAMA_HOST={address} {command}"


def _elsewhere(facts: TargetFacts) -> Iterator[Check]:
    if not facts.local:
        host = urlsplit(facts.address).hostname or ""
        mend = f'[targets.{facts.name}] local_addresses = ["{host}"]    # if that machine is yours'
        text = f"{facts.address} is not this machine: private calls pass it over"
        yield Check("warn", facts.name, text, mend)


def _off_route(facts: TargetFacts, routed: Collection[str]) -> Iterator[Check]:
    if facts.name not in routed:
        mend = f'[routes.NAME] targets = [..., "{facts.name}"]'
        yield Check("warn", facts.name, "no route leads to it", mend)


# Routes.


def _last_resort(route: RouteFacts, local: frozenset[str], broken: Collection[str]) -> Check:
    about, last, key = f"route {route.name}", route.targets[-1], f"[routes.{route.name}] targets"
    if last in local and last in broken:
        return Check("warn", about, f"the last resort, {last}, would not answer: see {last}")
    if last in local:
        return Check("ok", about, "the last resort is local")
    if local.intersection(route.targets):
        order = sorted(route.targets, key=lambda name: name in local)
        return Check(
            "warn", about, "the local target is not the last", f"{key} = {json.dumps(order)}"
        )
    verdict: Verdict = "fail" if route.private else "warn"
    order = [*route.targets, "local"]
    mend = f'{key} = {json.dumps(order)}    # [targets.local] model = "ollama/{DEFAULT_MODEL}"'
    return Check(verdict, about, "no local last resort", mend)


def _gaps(route: RouteFacts) -> Iterator[Check]:
    if route.gaps:
        told = "; ".join(f"{name} can't do {', '.join(lost)}" for name, lost in route.gaps.items())
        text = f"{told}, which {route.targets[0]} can: calls that need it pass it over"
        where = f"routes.{route.name}.targets"
        mend = f"add a target that can to {where}, or correct its abilities = [...]"
        yield Check("warn", f"route {route.name}", text, mend)
