"""The configuration: pydantic models, and where they are read from.

`load_config` takes a path, a mapping, or nothing; with nothing it looks for a file, see
`lookup.py`.  Whatever is wrong becomes one `ConfigError` that names the file, the key, the
value and the mend.

A little long, because models and reading belong together: an error of the one is worded
by its place in the other.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    SecretStr,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from pilotlight.catalog.providers import Spec
from pilotlight.config.lookup import find_config, read_toml, table_in
from pilotlight.config.messages import explain, nearest
from pilotlight.core.breaker.breaker import BreakerPolicy
from pilotlight.core.provider import Timeouts
from pilotlight.core.requirements import ABILITIES
from pilotlight.core.retry.policy import RetryPolicy
from pilotlight.core.sendable import check_options
from pilotlight.core.target import Care
from pilotlight.errors import ConfigError, InvalidCall
from pilotlight.files import distrust
from pilotlight.privacy.classification import Hook, hook_from
from pilotlight.providers.ollama.names import is_cloud_name, normalise_host
from pilotlight.state.url import StateUrl, parse_state
from pilotlight.vocabulary.faults import RULES, Elsewhere, Fault
from pilotlight.vocabulary.operations import Priority

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def _seconds(value: Any) -> Any:
    """Read a duration: a number of seconds, or "500ms", "30s", "2m", "1h"."""
    if isinstance(value, str):
        match = _DURATION.fullmatch(value.strip())
        if match is None:
            raise ValueError('a duration is a number of seconds, or like "500ms" "30s" "2m" "1h"')
        return float(match[1]) * _UNITS[match[2]]
    if isinstance(value, bool) or (isinstance(value, float) and not math.isfinite(value)):
        raise ValueError("a duration is a finite number of seconds")
    return value


def _ability(value: Any) -> Any:
    if isinstance(value, str) and value not in ABILITIES:
        mend = nearest(value, ABILITIES) or f"one of {', '.join(ABILITIES)}"
        raise ValueError(f"unknown ability; {mend}")
    return value


def _sendable(options: dict[str, Any]) -> dict[str, Any]:
    """Refuse what JSON has no word for, before a call would."""
    try:
        json.dumps(options, allow_nan=False, default=str)
    except (ValueError, RecursionError):
        raise ValueError("holds a number that is not finite, or is nested too deeply") from None
    return options


def _hook(value: Any, info: ValidationInfo) -> Hook | None:
    """Import the function, from a mapping or a file that nobody else can have written."""
    why = distrust(info.context) if isinstance(value, str) and info.context else None
    if why is not None:
        raise ValueError(f"code is imported only from a file that nobody else can write: {why}")
    return None if value is None else hook_from(value)


def _log_path(value: str) -> str:
    if Path(value).suffix not in (".jsonl", ".db", ".sqlite", ".sqlite3"):
        raise ValueError('the path ends in ".jsonl", or for SQLite in ".db" or ".sqlite"')
    return value


LONGEST = 1e9  # seconds, thirty years: all that the timers of a system take with certainty
MOST = 1_000_000_000

Seconds = Annotated[float, BeforeValidator(_seconds), Field(gt=0, le=LONGEST)]
Rate = Annotated[float, Field(gt=0, le=1)]
Count = Annotated[int, Field(ge=1, le=MOST)]
Ability = Annotated[str, BeforeValidator(_ability)]
Sensitive = Annotated[Hook | None, BeforeValidator(_hook)]


PROBE_LOCAL, PROBE_HOSTED = 30.0, 300.0  # seconds between two health checks


class _Table(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, allow_inf_nan=False
    )


class TimeoutTable(_Table):
    """The clocks of one attempt, in seconds; see `Timeouts`."""

    connect: Seconds | None = None
    first_token: Seconds | None = None
    between_tokens: Seconds | None = None
    total: Seconds | None = None


class BreakerTable(_Table):
    """Numbers of the circuit breaker; what is not given keeps its default."""

    failure_rate: Rate | None = None
    minimum_calls: Count | None = None
    window: Seconds | None = None
    reset_timeout: Seconds | None = None
    max_break: Seconds | None = None
    trial_calls: Count | None = None
    slow_call: Seconds | None = None
    slow_call_rate: Rate | None = None
    consecutive_failures: Count | None = None
    suspicion: bool | None = None


class RetryTable(_Table):
    """Numbers of the retries; what is not given keeps its default."""

    attempts: Annotated[int, Field(ge=0, le=MOST)] | None = None
    base: Seconds | None = None
    cap: Seconds | None = None
    budget: Annotated[float, Field(ge=0, le=1)] | None = None
    reserve: Annotated[float, Field(ge=0)] | None = None
    only_under: Seconds | None = None


class ApiKey(_Table):
    """An API key: itself (`api_key = "..."`), or the environment variable it is kept in."""

    value: SecretStr | None = None
    env: str | None = None

    def reveal(self) -> str | None:
        """Return the key, if there is one."""
        if self.value is not None:
            return self.value.get_secret_value()
        return os.environ.get(self.env) if self.env else None


def _as(key: str) -> BeforeValidator:
    """Read a bare value as the table's one key: `timeout = 5` as `timeout.total = 5`."""
    return BeforeValidator(lambda given: given if isinstance(given, Mapping) else {key: given})


class TargetConfig(_Table):
    """One model endpoint.

    `model` is litellm's `provider/model`.  `context` is the window in tokens (for
    Ollama: the `num_ctx` that is sent).  `abilities` lists all that the model can do
    (`tools images json_schema thinking audio files embeddings image_generation`).
    `space` names where its embeddings lie: only targets of one space stand in for one another.
    `retires` is the first day without the model, where you know better than its provider
    says.  `options` are provider options added to every call, such as `api_version`.

    `health`: an Ollama target is checked unless it is "off"; a hosted one only with
    "models" (or "on"), by its provider's free list of models, and unless it is "off" while
    its breaker is open after failed calls.  `warm` and `pull` are
    for Ollama: when to load the model ahead, and whether to pull a missing one.

    `via = "litellm"` sends every call through litellm, also those that would go straight to
    an OpenAI-style server because litellm would send them unchanged.
    """

    model: str
    api_base: str | None = None
    api_key: Annotated[ApiKey, _as("value")] = ApiKey()
    timeout: Annotated[TimeoutTable, _as("total")] = TimeoutTable()
    concurrency: Count | None = None
    queue: Annotated[int, Field(ge=0, le=MOST)] = 16
    context: Count | None = None
    abilities: tuple[Ability, ...] | None = None
    space: Annotated[str, Field(min_length=1)] | None = None
    keep_alive: str | float | None = None
    reserve: Seconds | None = None
    local_addresses: tuple[str, ...] = ()
    retires: date | None = None
    replacement: str | None = None
    health: Literal["off", "on", "models"] | None = None
    probe_interval: Seconds | None = None
    warm: Literal["never", "when-degraded", "always"] | None = None
    warm_timeout: Seconds = 600.0
    pull: Literal["never", "missing"] = "never"
    breaker: BreakerTable = BreakerTable()
    retry: RetryTable = RetryTable()
    options: Annotated[dict[str, Any], AfterValidator(_sendable)] = Field(
        default={},
        repr=False,  # may hold a secret
    )
    via: Literal["litellm"] | None = None

    @property
    def provider(self) -> str:
        """The litellm prefix, such as `openai`."""
        return self.model.partition("/")[0]

    def care(self) -> Care:
        """How the target is looked after between calls."""
        local = self.provider.startswith("ollama")
        health = (self.health or ("on" if local else "off")) != "off"
        recovery = self.health != "off"
        interval = self.probe_interval or (PROBE_LOCAL if local else PROBE_HOSTED)
        if not local:
            return Care(health, interval=interval, recovery=recovery)
        # A cloud model is never loaded here: there is nothing to keep warm.
        warm = self.warm or ("never" if is_cloud_name(self.model) else "when-degraded")
        return Care(health, warm, self.warm_timeout, self.pull, interval, recovery)

    def spec(self, name: str) -> Spec:
        """Return the endpoint as the providers want it."""
        return Spec(
            name=name,
            model=self.model,
            api_base=self.api_base,
            api_key=self.api_key.reveal(),
            key_variable=self.api_key.env,
            context=self.context,
            keep_alive=self.keep_alive,
            options=self.options,
            via=self.via,
        )


class RouteConfig(_Table):
    """An ordered list of targets and the policy of a call.

    `sensitive` is a function, or names one as `package.module:function`, that decides of
    each call whether it is private.
    """

    targets: Annotated[tuple[str, ...], Field(min_length=1)]
    deadline: Seconds | None = None
    priority: Priority = "normal"
    on_interrupt: Literal["raise", "restart"] = "raise"
    on_broken_event: Literal["interrupt", "skip"] = "interrupt"
    private: bool = False
    sensitive: Sensitive = None
    fail_over_on: tuple[str, ...] = ()
    rate_limit_wait: Annotated[float, BeforeValidator(_seconds), Field(ge=0, le=LONGEST)] = 5.0
    sit_out: Annotated[float, BeforeValidator(_seconds), Field(ge=0, le=LONGEST)] = 0.0
    gather: Literal["auto", "always", "never"] = "auto"


class ReceiptsTable(_Table):
    """Where the receipts of all calls are kept, and how much of them; see `pilotlight.records`.

    `path` ends in `.jsonl`, or in `.db`, `.sqlite` or `.sqlite3`.  Of JSONL there are
    `keep` older files of `max_mb` megabytes each; an SQLite file has that much in all.
    """

    path: Annotated[str, AfterValidator(_log_path)] | None = None
    max_mb: Annotated[float, Field(gt=0, le=1_000_000)] = 10.0
    keep: Annotated[int, Field(ge=0, le=10_000)] = 5


class TelemetryConfig(_Table):
    """What `configure_telemetry` is given when the configuration is loaded."""

    service_name: str
    otlp_endpoint: str | None = None
    prometheus_port: Annotated[int, Field(ge=1, le=65535)] | None = None
    json_logs: bool = True
    openinference: bool = False
    trace_health_checks: bool = False


class Config(_Table):
    """A whole configuration, checked.

    `sensitive` is for the routes that name none; `state` is where processes share what
    they know of their targets; see docs/fleet.md.
    """

    targets: dict[str, TargetConfig] = {}
    routes: dict[str, RouteConfig] = {}
    breaker: BreakerTable = BreakerTable()
    retry: RetryTable = RetryTable()
    sensitive: Sensitive = None
    receipts: Annotated[ReceiptsTable, _as("path")] = ReceiptsTable()
    telemetry: TelemetryConfig | None = None
    state: Annotated[StateUrl, PlainValidator(parse_state), PlainSerializer(str)] = StateUrl()

    @model_validator(mode="after")
    def _hangs_together(self) -> Config:
        problems = [
            *_bad_models(self.targets),
            *_bad_options(self.targets),
            *_bad_addresses(self.targets),
            *_bad_routes(self.routes, self.targets),
        ]
        if self.receipts.model_fields_set and self.receipts.path is None:
            problems.append('receipts.path: missing; add `path = "receipts.jsonl"`')
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def breaker_policy(self, target: TargetConfig) -> BreakerPolicy:
        """The target's breaker: its own numbers over the common ones over the defaults."""
        return BreakerPolicy(**_given(self.breaker) | _given(target.breaker))

    def retry_policy(self, target: TargetConfig) -> RetryPolicy:
        """The target's retries: its own numbers over the common ones over the defaults."""
        return RetryPolicy(**_given(self.retry) | _given(target.retry))


LOCAL_TIMEOUTS = Timeouts(connect=5.0, first_token=120.0, between_tokens=60.0, total=600.0)
"""A local model may first have to be loaded, and is slow where the hardware is."""


def timeouts(target: TargetConfig) -> Timeouts:
    """The target's clocks: those given over the defaults of its kind."""
    base = LOCAL_TIMEOUTS if target.provider.startswith("ollama") else Timeouts()
    return Timeouts(**asdict(base) | _given(target.timeout))


def _given(table: BaseModel) -> dict[str, Any]:
    return {name: getattr(table, name) for name in table.model_fields_set}


# What the models alone can't see.


def _bad_models(targets: Mapping[str, TargetConfig]) -> Iterable[str]:
    for name, target in targets.items():
        if (problem := bad_model(target.model)) is not None:
            yield f"targets.{name}.model: {problem}"


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
            if target.provider.startswith("ollama"):
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
    if not model.isprintable():
        return f"{model!r} holds a line end or another control character; a name has none"
    if slash and provider and name:
        return None
    if slash:
        return f"{model!r} is not `provider/model`"
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
                mend = nearest(target, targets) or f"add a table [targets.{target}]"
                yield f"routes.{name}.targets: unknown target {target!r}; {mend}"
            elif route.targets.count(target) > 1:
                yield f"routes.{name}.targets: {target!r} stands there twice; name it once"
        for fault in route.fail_over_on:
            if fault not in policies:
                mend = nearest(fault, policies) or f"one of {', '.join(policies)}"
                yield f"routes.{name}.fail_over_on: {fault!r} is not left to policy; {mend}"


# Reading.


def load_config(source: str | os.PathLike[str] | Mapping[str, Any] | None = None) -> Config:
    """Return the configuration of a file or a mapping; without a source, look for one.

    Raises ConfigError for a missing file, bad TOML, and every wrong key or value.
    """
    if isinstance(source, Mapping):
        return parse(source, "the given mapping")
    path = Path(source) if source is not None else find_config()
    if path is None:
        return Config()
    return _placed(parse(_read(path), str(path), path), path.absolute().parent)


def parse(data: Mapping[str, Any], where: str, file: Path | None = None) -> Config:
    """Check plain data; `where` is how errors name its origin, `file` the one it stands in."""
    try:
        return Config.model_validate(data, context=file)
    except ValidationError as error:
        lines = [line for each in error.errors() for line in explain(each, data, Config)]
        raise ConfigError("\n".join(f"{where}: {line}" for line in lines)) from None


def _placed(config: Config, folder: Path) -> Config:
    """Read a relative path of the receipts as seen from the configuration's folder."""
    if config.receipts.path is None:
        return config
    path = str(folder / config.receipts.path)
    kept = config.receipts.model_copy(update={"path": path})
    return config.model_copy(update={"receipts": kept})


def _read(path: Path) -> dict[str, Any]:
    named = " (from PILOTLIGHT_CONFIG)" if str(path) == os.environ.get("PILOTLIGHT_CONFIG") else ""
    try:
        data = read_toml(path)
    except FileNotFoundError:
        raise ConfigError(
            f"{path}{named}: no such file; `pilotlight init` writes a starter"
        ) from None
    except OSError as error:
        raise ConfigError(f"{path}{named}: can't be read: {error.strerror}") from None
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from None
    if path.name == "pyproject.toml":
        table = table_in(path)
        if table is None:
            raise ConfigError(f"{path}: has no [tool.pilotlight] table")
        return table
    return data
