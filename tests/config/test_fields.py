"""Each key says itself what it means, and the page of the keys shows what it says."""

from __future__ import annotations

import sys
import types
from typing import Any, Union, get_args, get_origin

import pytest
from pydantic import BaseModel

from pilotlight.config.schema import Config
from pilotlight.config.tables import BreakerTable, RetryTable
from pilotlight.config.targets import TargetConfig
from pilotlight.core.breaker.breaker import BreakerPolicy
from pilotlight.core.retry.policy import RetryPolicy
from tests.docs.pages import ROOT

sys.path.append(str(ROOT / "tools"))
import docs_tables  # noqa: E402


def tables(hint: Any) -> set[type[BaseModel]]:
    """The tables that can stand at a key of this type, and all within."""
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        within = (tables(field.annotation) for field in hint.model_fields.values())
        return {hint}.union(*within)
    if get_origin(hint) in (Union, types.UnionType, dict):
        return set().union(*map(tables, get_args(hint)))
    return set()


TABLES = sorted(tables(Config), key=lambda table: table.__name__)
KEYS = [(table, key) for table in TABLES for key in table.model_fields]
PAGE = (ROOT / "docs" / "configuration.md").read_text("utf-8")
TELEMETRY = (ROOT / "docs" / "telemetry.md").read_text("utf-8")


def test_no_table_is_missed():
    assert {"Config", "TargetConfig", "RouteConfig", "ApiKey", "TelemetryConfig"} <= {
        table.__name__ for table in TABLES
    }


@pytest.mark.parametrize(
    ("table", "key"), KEYS, ids=[f"{table.__name__}.{key}" for table, key in KEYS]
)
def test_each_key_says_what_it_means_and_is_on_a_page(table, key):
    said = table.model_fields[key].description
    assert said
    assert said == said.strip().rstrip(".")
    row = next(
        line for line in docs_tables._config_table(table).splitlines() if f"| `{key}` |" in line
    )
    assert said in row
    assert any(f"| `{key}` |" in line and said in line for line in (PAGE + TELEMETRY).splitlines())


@pytest.mark.parametrize("policy", [BreakerPolicy, RetryPolicy])
def test_the_defaults_of_the_file_are_those_of_the_core(policy):
    made = {BreakerPolicy: Config().breaker_policy, RetryPolicy: Config().retry_policy}[policy]
    assert made(TargetConfig(model="openai/x")) == policy()


@pytest.mark.parametrize("table", [BreakerTable, RetryTable])
def test_a_number_that_is_not_given_is_told_with_its_default(table):
    rows = docs_tables._config_table(table)
    for key, field in table.model_fields.items():
        default = "not set" if field.default is None else f"`{str(field.default).lower()}`"
        assert f"| `{key}` | " in rows
        assert f"| {default.replace('.0`', '`')} |" in rows
