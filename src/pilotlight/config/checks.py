"""What the models alone can't see: models, options, addresses, and names that belong together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from pilotlight.catalog.providers import CATALOG, info, meant
from pilotlight.config.messages import nearest
from pilotlight.config.routes import RouteConfig
from pilotlight.config.targets import TargetConfig
from pilotlight.core.sendable import check_options
from pilotlight.errors import InvalidCall
from pilotlight.providers.ollama.names import normalise_host
from pilotlight.vocabulary.faults import RULES, Elsewhere, Fault


def mistakes(
    targets: Mapping[str, TargetConfig], routes: Mapping[str, RouteConfig]
) -> Iterable[str]:
    """Yield each mistake as a line: its key, what is wrong, and the mend."""
    yield from _bad_models(targets)
    yield from _bad_apis(targets)
    yield from _bad_options(targets)
    yield from _bad_addresses(targets)
    yield from _bad_routes(routes, targets)


def _bad_models(targets: Mapping[str, TargetConfig]) -> Iterable[str]:
    for name, target in targets.items():
        if (problem := bad_model(target.model)) is not None:
            yield f"targets.{name}.model: {problem}"


def _bad_apis(targets: Mapping[str, TargetConfig]) -> Iterable[str]:
    able = " ".join(name for name, known in CATALOG.items() if known.responses)
    for name, target in targets.items():
        if target.by_responses and not info(target.provider).responses:
            key = "model" if target.api is None else "api"
            said = f"{target.provider} has no Responses API, which these have: {able}"
            yield f"targets.{name}.{key}: {said}; leave it out"


def _bad_options(targets: Mapping[str, TargetConfig]) -> Iterable[str]:
    for name, target in targets.items():
        for place, options in (
            ("options.", target.options),
            ("", {"keep_alive": target.keep_alive}),
        ):
            try:
                check_options(options)
            except InvalidCall as problem:
                yield f"targets.{name}.{place}{problem}"


def _bad_addresses(targets: Mapping[str, TargetConfig]) -> Iterable[str]:
    for name, target in targets.items():
        if target.api_base is None:
            continue
        try:
            if not target.api_base.isprintable():
                raise ValueError("an address holds no line end and no other control character")
            if target.is_ollama:
                normalise_host(target.api_base)
                continue
            url = urlsplit(target.api_base)
            url.port  # noqa: B018 - raises for a port that is none
            if url.username or url.password:
                raise ValueError("an address holds no user or password; give the key as api_key")
            if url.scheme not in ("http", "https") or not url.hostname:
                raise ValueError('an address is like "https://host/v1"')
        except ValueError as error:
            shown = "" if "@" in target.api_base else f", got {target.api_base!r}"
            yield f"targets.{name}.api_base: {error}{shown}"


def bad_model(model: str) -> str | None:
    """Return what is wrong with a model string, or None."""
    provider, slash, name = model.partition("/")
    if provider == "pilotlight":
        return f"{model!r} is a route, and no model; name the targets of that route instead"
    if not model.isprintable():
        return f"{model!r} holds a line end or another control character; a name has none"
    if slash and provider and name:
        known = meant(provider)
        return known and f'no provider is called {provider!r}; did you mean "{known}/{name}"?'
    if slash:
        return f"{model!r} is not `provider/model`"
    provider, colon, name = model.partition(":")
    if colon and name and (provider in CATALOG or meant(provider)):  # as other libraries write it
        return f'{model!r} names no provider; write "{meant(provider) or provider}/{name}"'
    guess = _guess_provider(model)
    return f'{model!r} names no provider; write "{guess}/{model}" (`provider/model`)'


def _guess_provider(model: str) -> str:
    habits = {"gpt": "openai", "o1": "openai", "o3": "openai", "o4": "openai"}
    habits |= {
        "claude": "anthropic",
        "gemini": "gemini",
        "mistral": "mistral",
        "deepseek": "deepseek",
        "grok": "xai",
    }
    known = next((p for start, p in habits.items() if model.lower().startswith(start)), None)
    return known or "ollama"


def _bad_routes(
    routes: Mapping[str, RouteConfig], targets: Mapping[str, TargetConfig]
) -> Iterable[str]:
    policies = sorted(f.value for f in Fault if RULES[f].elsewhere is Elsewhere.POLICY)
    for name, route in routes.items():
        for target in dict.fromkeys(route.targets):
            if target not in targets:
                mend = nearest(target, targets) or _table(target)
                yield f"routes.{name}.targets: unknown target {target!r}; {mend}"
            elif route.targets.count(target) > 1:
                yield f"routes.{name}.targets: {target!r} stands there twice; name it once"
        for fault in route.fail_over_on:
            if fault not in policies:
                mend = nearest(fault, policies) or f"one of {', '.join(policies)}"
                yield f"routes.{name}.fail_over_on: {fault!r} is not left to policy; {mend}"


def _table(target: str) -> str:
    """Return the table that is missing; a model has to be given a name in one."""
    if "/" in target:
        return f'name it in a table: [targets.NAME] model = "{target}"'
    return f"add a table [targets.{target}]"
