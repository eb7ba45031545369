"""The checks of `pilotlight doctor`, each a verdict with its mend."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pilotlight.cli import probe
from pilotlight.cli.gaps import gaps
from pilotlight.cli.setting import Place, config_path, open_config, places
from pilotlight.errors import ConfigError
from pilotlight.health.lifecycle import outlook
from pilotlight.providers.abilities import from_ollama
from pilotlight.providers.catalog import CATALOG
from pilotlight.providers.ollama_names import is_cloud_name, normalise_host
from pilotlight.residency import is_loopback

if TYPE_CHECKING:
    from pilotlight.assembly import Pilotlight


@dataclass(frozen=True, slots=True)
class Check:
    """One finding; `mend` is what to type or to write, empty when nothing need be done."""

    verdict: Literal["ok", "warn", "fail"]
    about: str
    text: str
    mend: str = ""


def examine(config: Path | None) -> list[Check]:
    """Look at everything; litellm, which takes seconds, is imported meanwhile."""
    with ThreadPoolExecutor(max_workers=16) as pool:
        sdk = pool.submit(lambda: list(_litellm()))
        try:
            app = open_config(config)
            found = places(app)
        except ConfigError as error:
            return [*_no_config(config, error), *_any_ollama(), *sdk.result()]
        path = config_path(config)
        result = [Check("ok", "configuration", f"{path} is valid")]
        learned: dict[str, Collection[str]] = {}
        for checks in pool.map(lambda place: list(_target(place, app, learned)), found):
            result += checks
        broken = {check.about for check in result if check.verdict == "fail"}
        sdk_checks = sdk.result()  # litellm's table of models is there now
        ends = [_end(place) for place in found if not place.is_ollama]
        missing = _missing(app, found, learned)
        return [*result, *ends, *_routes(app, broken), *missing, *sdk_checks]


def _no_config(config: Path | None, error: ConfigError) -> Iterator[Check]:
    path = config_path(config)
    exists = path is not None and path.is_file()
    mend = f"correct {path}" if exists else "pilotlight init"
    for line in str(error).splitlines():
        yield Check("fail", "configuration", line.partition("; `pilotlight init`")[0], mend)


def _any_ollama() -> Iterator[Check]:
    """Without a configuration, say at least whether a local model would be there."""
    try:
        server = probe.ollama(normalise_host())
    except ValueError as error:
        yield Check("warn", "OLLAMA_HOST", str(error), "unset OLLAMA_HOST")
        return
    chatty = [model.name for model in server.models if model.chats]
    if server.problem:
        yield Check("warn", "ollama", f"{server.url}: {server.problem}", "ollama serve")
    elif not chatty:
        mend = f"ollama pull {probe.DEFAULT_MODEL}"
        yield Check("warn", "ollama", f"{server.url}: no local chat model", mend)
    else:
        yield Check("ok", "ollama", f"{server.version} at {server.url} has {', '.join(chatty)}")


def _litellm() -> Iterator[Check]:
    from pilotlight.providers.litellm_module import litellm

    try:
        litellm()
    except Exception as error:
        yield Check(
            "fail",
            "litellm",
            f"can't be imported: {type(error).__name__}: {error}",
            "pip install --upgrade litellm",
        )
    else:
        from importlib.metadata import version

        yield Check("ok", "litellm", f"{version('litellm')} loads")


def _target(place: Place, app: Pilotlight, learned: dict[str, Collection[str]]) -> Iterator[Check]:
    if place.is_ollama:
        yield from _ollama(place, learned)
    else:
        yield _key(place)
        yield _address(place)
    if not any(place.name in route.targets for route in app.config.routes.values()):
        mend = f'add "{place.name}" to routes.NAME.targets'
        yield Check("warn", place.name, "no route leads to it", mend)


def _key(place: Place) -> Check:
    if place.key == "missing":
        mend = f"export {place.key_name}=…"
        return Check("fail", place.name, f"{place.config.model}: no API key", mend)
    if place.key == "not needed":
        return Check("ok", place.name, f"{place.config.model} needs no key")
    if place.config.api_key.value is not None:
        name = place.key_name or "NAME"
        mend = f'api_key = {{ env = "{name}" }}'
        return Check("warn", place.name, "the API key stands in the file", mend)
    return Check("ok", place.name, f"{place.config.model}: key in {place.key_name}")


def _address(place: Place) -> Check:
    url = place.connection.base_url
    if not url:
        mend = f'[targets.{place.name}] api_base = "https://…"'
        if place.config.provider in CATALOG:
            return Check("fail", place.name, "its address is not known", mend)
        return Check("warn", place.name, "address not known here, litellm has to", mend)
    if problem := probe.unreachable(url):
        mend = "check the network, the proxy variables and the target's api_base"
        return Check("fail", place.name, f"{url}: {problem}", mend)
    return Check("ok", place.name, f"{url} takes connections")


def _end(place: Place) -> Check:
    """Say how many days the model has left."""
    ahead = outlook(place.target)
    mend = "put a model that stays in its place" if ahead.near else ""
    if ahead.near and ahead.replacement:
        mend = f'[targets.{place.name}] model = "{place.config.provider}/{ahead.replacement}"'
    verdict: Literal["ok", "warn", "fail"] = "warn" if ahead.near else "ok"
    if ahead.gone:
        verdict = "fail"
    return Check(verdict, place.name, f"{place.model}: {ahead}", mend)


def _ollama(place: Place, learned: dict[str, Collection[str]]) -> Iterator[Check]:
    url, key, name = place.connection.base_url, place.connection.spec.api_key, place.name
    if is_cloud_name(place.model):
        mend = f'model = "ollama/{probe.DEFAULT_MODEL}"'
        yield Check("fail", name, f"{place.model} runs in Ollama's cloud, not here", mend)
        return
    server = probe.ollama(url, key)
    if server.problem:
        mend = "ollama serve" if os.environ.get("OLLAMA_HOST") or place.target.local else ""
        mend = mend or f"start Ollama on {url}, or correct api_base"
        yield Check("fail", name, f"{url}: {server.problem}", mend)
        return
    yield Check("ok", name, f"Ollama {server.version} at {url}")
    yield from _local_model(place, server)
    if (model := server.find(place.model)) is not None and model.capabilities:
        learned[place.name] = from_ollama(model.capabilities)
    if not place.target.local:
        mend = f'local_addresses = ["{_host(url)}"], if that machine is yours'
        yield Check("warn", name, f"{url} is not this machine: private calls pass it over", mend)


def _local_model(place: Place, server: probe.Ollama) -> Iterator[Check]:
    model, name = server.find(place.model), place.name
    if model is None:
        yield Check("fail", name, f"{place.model} is not pulled", f"ollama pull {place.model}")
        return
    host = model.remote_host or probe.remote_host(
        server.url, place.model, place.connection.spec.api_key
    )
    if host:
        mend = f"ollama pull {probe.DEFAULT_MODEL}, and name that"
        yield Check("fail", name, f"{place.model} is a stub: it runs on {host}", mend)
    elif model.embeds_only:
        mend = f"ollama pull {probe.DEFAULT_MODEL}, and name that"
        yield Check("fail", name, f"{place.model} only embeds, it can't answer", mend)
    else:
        state = "pulled and loaded" if server.is_loaded(place.model) else "pulled"
        yield Check("ok", name, f"{place.model} is {state}, and runs on {_where(server.url)}")


def _routes(app: Pilotlight, broken: Collection[str]) -> Iterator[Check]:
    if not app.config.routes:
        mend = f'[routes.chat] targets = ["{next(iter(app.config.targets), "…")}"]'
        yield Check("fail", "routes", "there is none", mend)
    for name, route in app.routes.items():
        about, order = f"route {name}", " → ".join(target.name for target in route.targets)
        if route.targets[-1].local and route.targets[-1].name in broken:
            yield Check("warn", about, f"{order}: the last resort would not answer, see above")
        elif route.targets[-1].local:
            yield Check("ok", about, f"{order}: the last resort is local")
        elif any(target.local for target in route.targets):
            mend = f"put the local target last in routes.{name}.targets"
            yield Check("warn", about, f"{order}: the local target is not the last", mend)
        else:
            verdict: Literal["warn", "fail"] = "fail" if route.private else "warn"
            mend = f'add a target with model = "ollama/{probe.DEFAULT_MODEL}" at its end'
            yield Check(verdict, about, f"{order}: no local last resort", mend)


def _missing(
    app: Pilotlight, found: list[Place], learned: Mapping[str, Collection[str]]
) -> Iterator[Check]:
    """Say what the fallbacks can't do."""
    for name, text in gaps(app, found, learned):
        mend = f"add a target that can to routes.{name}.targets, or correct its abilities = [...]"
        yield Check("warn", f"route {name}", text, mend)


def _host(url: str) -> str:
    from urllib.parse import urlsplit

    return urlsplit(url).hostname or ""


def _where(url: str) -> str:
    return "this machine" if is_loopback(_host(url)) else _host(url)
