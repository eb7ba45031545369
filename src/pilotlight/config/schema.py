"""A whole configuration, and where it is read from.

`load_config` takes a path, a mapping, or nothing; with nothing it looks for a file, see
`lookup.py`.  Whatever is wrong becomes one `ConfigError` that names the file, the key, the
value and the mend.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field, PlainSerializer, PlainValidator, ValidationError, model_validator

from pilotlight.config.budgets import BudgetTable, bad_budgets
from pilotlight.config.checks import mistakes
from pilotlight.config.idle import idle_keys
from pilotlight.config.lookup import find_config, read_toml, table_in
from pilotlight.config.messages import explain, page_of, shown
from pilotlight.config.routes import RouteConfig
from pilotlight.config.serve import ServeTable, bad_models
from pilotlight.config.tables import (
    ApiKey,
    BreakerTable,
    ReceiptsTable,
    RetryTable,
    TelemetryConfig,
    TimeoutTable,
)
from pilotlight.config.targets import TargetConfig
from pilotlight.config.values import Sensitive, Table, bare
from pilotlight.core.breaker.breaker import BreakerPolicy
from pilotlight.core.retry.policy import RetryPolicy
from pilotlight.errors import ConfigError
from pilotlight.state.url import StateUrl, parse_state


class Config(Table):
    """A whole configuration, checked."""

    targets: dict[str, TargetConfig] = Field(
        default={}, description="model endpoints, each in a table `[targets.NAME]`"
    )
    routes: dict[str, RouteConfig] = Field(
        default={}, description="the order in which targets are asked, each `[routes.NAME]`"
    )
    breaker: BreakerTable = Field(
        default=BreakerTable(), description="breaker numbers of all targets"
    )
    retry: RetryTable = Field(default=RetryTable(), description="retry numbers of all targets")
    sensitive: Sensitive = Field(
        default=None,
        description="a function that decides whether a call is private, as "
        '`"package.module:function"`, for the routes that name none',
    )
    receipts: Annotated[ReceiptsTable, bare("path")] = Field(
        default=ReceiptsTable(),
        description="where receipts are kept; a bare value is `path`; not set: they are not",
    )
    telemetry: TelemetryConfig | None = Field(
        default=None,
        description="what [telemetry](telemetry.md) sends and where; not set: it is not set up",
    )
    budgets: dict[str, BudgetTable] = Field(
        default={},
        description="what calls may cost, each in a table `[budgets.NAME]`; see "
        "[spending.md](spending.md)",
    )
    serve: ServeTable = Field(
        default=ServeTable(), description="where and how the [gateway](gateway.md) listens"
    )
    state: Annotated[StateUrl, PlainValidator(parse_state), PlainSerializer(str)] = Field(
        default=StateUrl(),
        description="the store through which processes share what their breakers know, see "
        "[fleet.md](fleet.md); not set: nothing is shared",
    )

    @model_validator(mode="after")
    def _hangs_together(self) -> Config:
        problems = [
            *mistakes(self.targets, self.routes),
            *bad_models(self.serve, self.routes),
            *bad_budgets(self.budgets, self.routes, self.targets),
        ]
        if self.receipts.model_fields_set and self.receipts.path is None:
            problems.append('receipts.path: missing; add `path = "receipts.jsonl"`')
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def breaker_policy(self, target: TargetConfig) -> BreakerPolicy:
        """The target's breaker: its own numbers over the common ones over the defaults."""
        return BreakerPolicy(**target.breaker.over(self.breaker).model_dump())

    def retry_policy(self, target: TargetConfig) -> RetryPolicy:
        """The target's retries: its own numbers over the common ones over the defaults."""
        return RetryPolicy(**target.retry.over(self.retry).model_dump())


TABLES: Final[Mapping[str, type[Table]]] = {
    "targets": TargetConfig,
    "routes": RouteConfig,
    "timeout": TimeoutTable,
    "api_key": ApiKey,
    "breaker": BreakerTable,
    "retry": RetryTable,
    "receipts": ReceiptsTable,
    "telemetry": TelemetryConfig,
    "serve": ServeTable,
}
"""The tables that the documentation has a section for; each of their keys has an anchor there."""


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


def parse(
    data: Mapping[str, Any],
    where: str,
    file: Path | None = None,
    *,
    tried: Collection[tuple[str, ...]] | None = None,
) -> Config:
    """Check plain data; `where` is how errors name its origin, `file` the one it stands in.

    `tried` are the places of settings that are being tried out: only there is a value refused
    because it has no effect, for a setting may well switch off what other keys tune.  None:
    it is refused anywhere.

    Raises ConfigError for every wrong key or value.
    """
    try:
        config = Config.model_validate(data, context=file)
    except ValidationError as error:
        told = [explain(each, data, Config, toml=file is not None) for each in error.errors()]
        lines = [line for lines in told for line in lines]
    else:
        idle = idle_keys(config.targets, config.routes, config.breaker, config.retry)
        refused = [each for each in idle if tried is None or each.place in tried]
        lines = [
            f"{'.'.join(key)}: {why}{shown(key, data, toml=file is not None)}"
            for key, why in refused
        ]
        if not lines:
            return config
    wrong = ConfigError("\n".join(f"{where}: {line}" for line in lines))
    for each in dict.fromkeys(page_of(line, TABLES) for line in lines):
        if each is not None:
            wrong.add_note(f"see {each}")
    raise wrong from None


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
