"""The small tables: clocks, breaker, retries, keys, receipts and telemetry.

Each key says in its `description` what it means, in which unit and under which condition;
`docs/configuration.md` is made of them, by `tools/docs_tables.py`.
"""

from __future__ import annotations

import os
from typing import Annotated, Final

from pydantic import Field, SecretStr

from pilotlight.config.values import Amount, Count, LogPath, Rate, Seconds, Table
from pilotlight.core.breaker.breaker import BreakerPolicy
from pilotlight.core.retry.budget import CEILING
from pilotlight.core.retry.policy import RetryPolicy

_BREAKER: Final = BreakerPolicy()
_RETRY: Final = RetryPolicy()


class TimeoutTable(Table):
    """The clocks of one attempt, in seconds; what is not given keeps the default of its kind."""

    connect: Seconds | None = Field(
        default=None, description="seconds for the handshakes of TCP and TLS"
    )
    first_token: Seconds | None = Field(
        default=None,
        description="seconds until the first content of a stream, or of a gathered answer",
    )
    between_tokens: Seconds | None = Field(
        default=None,
        description="seconds of silence between two pieces of content; keep-alives do not count",
    )
    total: Seconds | None = Field(default=None, description="seconds for the whole attempt")


class BreakerTable(Table):
    """Numbers of the circuit breaker; what is not given keeps its default."""

    failure_rate: Rate = Field(
        default=_BREAKER.failure_rate,
        description="opens when this share of the calls in the window has failed",
    )
    minimum_calls: Count = Field(
        default=_BREAKER.minimum_calls,
        description="never opens by a rate while there are fewer calls in the window",
    )
    window: Seconds = Field(
        default=_BREAKER.window, description="how many seconds back calls are counted"
    )
    reset_timeout: Seconds = Field(
        default=_BREAKER.reset_timeout,
        description="seconds that a break lasts after a failure that came fast",
    )
    max_reset_timeout: Seconds = Field(
        default=_BREAKER.max_reset_timeout,
        description="seconds that a break lasts at most after failures that made callers wait",
    )
    trial_calls: Count = Field(
        default=_BREAKER.trial_calls,
        description="calls admitted when a break is over; all must succeed",
    )
    slow_call_duration: Seconds | None = Field(
        default=_BREAKER.slow_call_duration,
        description="a success that takes so many seconds counts as slow; not set: none does",
    )
    slow_call_rate: Rate = Field(
        default=_BREAKER.slow_call_rate,
        description="opens when this share of the calls in the window was slow; "
        "only with `slow_call_duration`",
    )
    consecutive_failures: Count = Field(
        default=_BREAKER.consecutive_failures,
        description="opens when so many calls in a row have failed",
    )
    suspicion: bool = Field(
        default=_BREAKER.suspicion,
        description="after two failures in a row, calls that other targets can answer are kept "
        "from this one",
    )


class RetryTable(Table):
    """Numbers of the retries; what is not given keeps its default."""

    max_retries: Amount = Field(
        default=_RETRY.max_retries,
        description="retries at one target within one call, at most; 0: none",
    )
    wait_initial: Seconds = Field(
        default=_RETRY.wait_initial,
        description="the first pause is random between 0 and so many seconds; twice as many for "
        "each further one",
    )
    wait_max: Seconds = Field(
        default=_RETRY.wait_max, description="seconds that a pause takes at most"
    )
    budget_ratio: float = Field(
        default=_RETRY.budget_ratio,
        ge=0,
        le=1,
        description="retries that each success earns: with 0.2, five pay for one",
    )
    budget_reserve: float = Field(
        default=_RETRY.budget_reserve,
        ge=0,
        le=CEILING,
        description="retries in hand at the start",
    )
    only_under: Seconds = Field(
        default=_RETRY.only_under,
        description="an attempt that took more seconds than this, or more than a tenth of the "
        "time left, is not made again while another target could answer",
    )


class ApiKey(Table):
    """An API key: itself (`api_key = "..."`), or the environment variable it is kept in."""

    value: SecretStr | None = Field(default=None, description="the key itself")
    env: str | None = Field(
        default=None, description="the environment variable that holds the key; instead of `value`"
    )

    def reveal(self) -> str | None:
        """Return the key, if there is one."""
        if self.value is not None:
            return self.value.get_secret_value()
        return os.environ.get(self.env) if self.env else None


class ReceiptsTable(Table):
    """Where the receipts of all calls are kept, and how much of them; see `pilotlight.records`."""

    path: LogPath | None = Field(
        default=None,
        description="the file, as seen from the configuration's folder; it ends in `.jsonl`, or "
        "for SQLite in `.db`, `.sqlite` or `.sqlite3`; not set: receipts are not kept",
    )
    max_mb: Annotated[float, Field(gt=0, le=1_000_000)] = Field(
        default=10.0,
        description="megabytes; a JSONL file of this size is moved to `.1`, that one to `.2`",
    )
    keep: Annotated[int, Field(ge=0, le=10_000)] = Field(
        default=5,
        description="older files that are kept; an SQLite file may have the size of all of them",
    )


class TelemetryConfig(Table):
    """What `configure_telemetry` is given when the configuration is loaded."""

    service_name: str = Field(description="the application's name in traces and metrics")
    otlp_endpoint: str | None = Field(
        default=None,
        description="a collector's address (OTLP over HTTP), such as `http://localhost:4318`; "
        "not set: nothing is sent",
    )
    prometheus_port: Annotated[int, Field(ge=1, le=65535)] | None = Field(
        default=None, description="the port where Prometheus reads the metrics; not set: none"
    )
    json_logs: bool = Field(
        default=True, description="pilotlight's lines go to stderr as JSON, from level INFO"
    )
    openinference: bool = Field(
        default=False, description="calls are marked as chains, for Phoenix"
    )
    trace_health_checks: bool = Field(default=False, description="each health check makes a span")
    spend_tags: tuple[str, ...] = Field(
        default=(),
        description="tags of calls that the metric `pilotlight.spend` has as attributes "
        "`pilotlight.tag.NAME`; such as have few values",
    )
