"""Every name that telemetry uses, as tables: spans, attributes, events, metrics.

The `gen_ai.*` names follow the OpenTelemetry GenAI conventions 1.41, which are in
development; renames are pending (`gen_ai.client.inference.*`, `cache_write`), and a
switch is an edit of this file.  Their constants stand in no package that may be relied
on, so the strings are kept here; all of them, which makes the file a little long.

Source: opentelemetry.io/docs/specs/semconv 1.41, `gen-ai/gen-ai-spans` and `gen-ai-metrics`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pilotlight.vocabulary.operations import Operation

SCOPE: Final = "pilotlight"
SCHEMA: Final = "https://opentelemetry.io/schemas/1.41.0"

# Spans and their attributes.

CALL_SPAN: Final = "pilotlight.call"
CHECK_SPAN: Final = "pilotlight.health_check"
CHAT: Final = "chat"
OPERATIONS: Final[Mapping[Operation, str]] = {
    "chat": CHAT,
    "embeddings": "embeddings",
    "image": "generate_content",  # the conventions have no word for images alone
}

OPERATION: Final = "gen_ai.operation.name"
PROVIDER: Final = "gen_ai.provider.name"
REQUEST_MODEL: Final = "gen_ai.request.model"
RESPONSE_ID: Final = "gen_ai.response.id"
RESPONSE_MODEL: Final = "gen_ai.response.model"
FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
CACHED_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
REASONING_TOKENS: Final = "gen_ai.usage.reasoning.output_tokens"
COST: Final = "pilotlight.cost"  # US dollars; the conventions have no name for it
TOKEN_TYPE: Final = "gen_ai.token.type"  # noqa: S105 - no password
STREAM: Final = "gen_ai.request.stream"
OUTPUT_TYPE: Final = "gen_ai.output.type"
CHOICES: Final = "gen_ai.request.choice.count"
STOP: Final = "gen_ai.request.stop_sequences"
INPUT: Final = "gen_ai.input.messages"
OUTPUT: Final = "gen_ai.output.messages"
TOOLS: Final = "gen_ai.tool.definitions"
DETAILS: Final = "gen_ai.client.inference.operation.details"
SERVER: Final = "server.address"
PORT: Final = "server.port"
ERROR: Final = "error.type"

ROUTE: Final = "pilotlight.route"
TARGET: Final = "pilotlight.target"
ROLE: Final = "pilotlight.target.role"
INDEX: Final = "pilotlight.attempt.index"
RETRIES: Final = "pilotlight.attempt.retry_count"
ATTEMPT_OUTCOME: Final = "pilotlight.attempt.outcome"
LOST: Final = "pilotlight.attempt.lost"
STATE: Final = "pilotlight.breaker.state"
REASON: Final = "pilotlight.failover.reason"
OUTCOME: Final = "pilotlight.call.outcome"
ATTEMPTS: Final = "pilotlight.attempt.count"
FAILOVERS: Final = "pilotlight.failover.count"
SERVED_TARGET: Final = "pilotlight.served.target"
SERVED_PROVIDER: Final = "pilotlight.served.provider"
SERVED_MODEL: Final = "pilotlight.served.model"
LINK: Final = "pilotlight.link.type"
SKIP_REASON: Final = "pilotlight.skip.reason"
OTHER_MODEL: Final = "other"  # in metrics, beyond so many of one target
FROM, TO = "pilotlight.failover.from", "pilotlight.failover.to"
STATE_FROM, STATE_TO = "pilotlight.breaker.from", "pilotlight.breaker.to"
STATE_REASON: Final = "pilotlight.breaker.reason"
RULE: Final = "pilotlight.residency.rule"
PLACE: Final = "pilotlight.bulkhead.state"
SOURCE: Final = "pilotlight.retirement.source"

NUMBERS: Final[Mapping[str, str]] = {
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "top_k": "gen_ai.request.top_k",
    "max_tokens": "gen_ai.request.max_tokens",
    "max_completion_tokens": "gen_ai.request.max_tokens",
    "frequency_penalty": "gen_ai.request.frequency_penalty",
    "presence_penalty": "gen_ai.request.presence_penalty",
    "seed": "gen_ai.request.seed",
    "dimensions": "gen_ai.embeddings.dimension.count",
}
"""Options of a call that are numbers, and the attribute of each."""


@dataclass(frozen=True, slots=True)
class SpanRow:
    """A span and what it carries."""

    name: str
    kind: str
    at_start: tuple[str, ...]
    at_end: tuple[str, ...]


SPANS: Final = (
    SpanRow(
        f"{CALL_SPAN} {{route}}",
        "INTERNAL",
        (ROUTE,),
        (
            OUTCOME,
            ATTEMPTS,
            FAILOVERS,
            SERVED_TARGET,
            SERVED_PROVIDER,
            SERVED_MODEL,
            ERROR,
        ),
    ),
    SpanRow(
        f"{CHAT} {{model}}",
        "CLIENT",
        (
            OPERATION,
            PROVIDER,
            REQUEST_MODEL,
            STREAM,
            CHOICES,
            STOP,
            OUTPUT_TYPE,
            *dict.fromkeys(NUMBERS.values()),
            SERVER,
            PORT,
            ROUTE,
            TARGET,
            ROLE,
            INDEX,
            STATE,
        ),
        (
            RESPONSE_ID,
            RESPONSE_MODEL,
            FINISH_REASONS,
            FIRST_CHUNK,
            INPUT_TOKENS,
            OUTPUT_TOKENS,
            CACHED_TOKENS,
            REASONING_TOKENS,
            COST,
            RETRIES,
            REASON,
            ATTEMPT_OUTCOME,
            LOST,
            ERROR,
            INPUT,
            OUTPUT,
            TOOLS,
        ),
    ),
    SpanRow(f"{CHECK_SPAN} {{target}}", "INTERNAL", (TARGET, ERROR), ()),
)


# Events: a span event and a log line of the same name.


@dataclass(frozen=True, slots=True)
class Happening:
    """An event: its name, the level of its log line, and the line's keys as attributes.

    `said` is the line's message, with its keys in it.  A happening without `on_span` is a log
    line only.
    """

    name: str
    level: int
    keys: Mapping[str, str]
    meaning: str
    said: str
    on_span: bool = True
    logger: str = SCOPE


RETRY: Final = Happening(
    "pilotlight.retry",
    logging.INFO,
    {"error_type": ERROR, "delay_s": "pilotlight.retry.delay", "retries": RETRIES},
    "the same target is asked again",
    "retry {route}: {target} is asked again in {delay_s} s ({error_type})",
)
ATTEMPT_FAILED: Final = Happening(
    "pilotlight.attempt.failed",
    logging.INFO,
    {"error_type": ERROR, "reason": REASON},
    "a target was left after its last try",
    "{route}: {target} failed ({reason}, {error_type})",
)
SKIPPED: Final = Happening(
    "pilotlight.target.skipped",
    logging.INFO,
    {"target": TARGET, "reason": SKIP_REASON},
    "a target was not asked",
    "{route}: {target} is not asked ({reason})",
)
REFUSED: Final = Happening(
    "pilotlight.residency.refused",
    logging.INFO,
    {"target": TARGET, "rule": RULE},
    "a private prompt was kept from a target",
    "{route}: a private prompt is kept from {target} ({rule})",
)
FAILOVER: Final = Happening(
    "pilotlight.failover",
    logging.INFO,
    {"from_target": FROM, "to_target": TO, "reason": REASON},
    "the call moves on to the next target",
    "{route}: {from_target} -> {to_target} ({reason})",
)
TRANSITION: Final = Happening(
    "pilotlight.breaker.transition",
    logging.INFO,  # a warning when it opens
    {
        "target": TARGET,
        "from_state": STATE_FROM,
        "to_state": STATE_TO,
        "reason": STATE_REASON,
    },
    "a breaker moved",
    "breaker {target}: {from_state} -> {to_state} ({reason})",
    logger="pilotlight.breaker",
)
INTERRUPTED: Final = Happening(
    "pilotlight.stream.interrupted",
    logging.INFO,
    {"error_type": ERROR, "reason": REASON},
    "a stream broke after its first text",
    "{route}: the stream of {target} broke off ({reason})",
    on_span=False,
)
COMPLETED: Final = Happening(
    "pilotlight.call.completed",
    logging.INFO,  # debug when the first target answered
    {"outcome": OUTCOME, "attempts": ATTEMPTS, "failovers": FAILOVERS, "duration_s": ""},
    "a call is over",
    "{route}: {outcome}, targets asked: {attempts}, {duration_s} s",
    on_span=False,
)
EXHAUSTED: Final = Happening(
    "pilotlight.call.exhausted",
    logging.INFO,
    {"outcome": OUTCOME, "attempts": ATTEMPTS, "failovers": FAILOVERS, "duration_s": ""},
    "nobody answered, or the time ran out",
    "{route}: {outcome}, targets asked: {attempts}, {duration_s} s",
    on_span=False,
)
CHECK_FAILED: Final = Happening(
    "pilotlight.health_check.failed",
    logging.WARNING,
    {"target": TARGET, "error_type": ERROR, "duration_s": ""},
    "a health check finds a target ill that was well",
    "health of {target}: {error_type}",
    on_span=False,
    logger="pilotlight.health",
)
CHECK_RECOVERED: Final = Happening(
    "pilotlight.health_check.recovered",
    logging.INFO,
    {"target": TARGET, "duration_s": ""},
    "a health check finds it well again",
    "health of {target}: well again",
    on_span=False,
    logger="pilotlight.health",
)
WARM_UP: Final = Happening(
    "pilotlight.warm_up",
    logging.INFO,
    {"target": TARGET, "outcome": "", "duration_s": ""},
    "a local model is being loaded, is loaded, or is let go of",
    "warm-up of {target}: {outcome} ({duration_s} s)",
    on_span=False,
    logger="pilotlight.health",
)
HAPPENINGS: Final = (
    RETRY,
    ATTEMPT_FAILED,
    SKIPPED,
    REFUSED,
    FAILOVER,
    TRANSITION,
    INTERRUPTED,
    COMPLETED,
    EXHAUSTED,
    CHECK_FAILED,
    CHECK_RECOVERED,
    WARM_UP,
)


# Metrics.

SECONDS: Final = tuple(0.01 * 2**power for power in range(14))  # 0.01 to 81.92
TOKENS: Final = tuple(float(4**power) for power in range(14))  # 1 to 67108864


@dataclass(frozen=True, slots=True)
class Metric:
    """An instrument; `buckets` are the bounds of a histogram."""

    name: str
    kind: str
    unit: str
    attributes: tuple[str, ...]
    meaning: str
    buckets: tuple[float, ...] = ()


_LEG: Final = (OPERATION, PROVIDER, REQUEST_MODEL, RESPONSE_MODEL, SERVER, PORT)

DURATION: Final = Metric(
    "gen_ai.client.operation.duration",
    "histogram",
    "s",
    (*_LEG, ERROR),
    "how long a target took, retries included",
    SECONDS,
)
USAGE: Final = Metric(
    "gen_ai.client.token.usage",
    "histogram",
    "{token}",
    (*_LEG, TOKEN_TYPE),
    "tokens read and written",
    TOKENS,
)
TIME_TO_FIRST: Final = Metric(
    "gen_ai.client.operation.time_to_first_chunk",
    "histogram",
    "s",
    (OPERATION, PROVIDER, REQUEST_MODEL, SERVER, PORT),
    "until a stream's first content",
    SECONDS,
)
CALLS: Final = Metric(
    "pilotlight.call.duration",
    "histogram",
    "s",
    (ROUTE, OUTCOME, SERVED_TARGET, ERROR),
    "how long a call took, with all its attempts",
    SECONDS,
)
FAILOVER_COUNT: Final = Metric(
    "pilotlight.failovers",
    "counter",
    "{failover}",
    (ROUTE, FROM, TO, REASON),
    "moves to the next target",
)
RETRY_COUNT: Final = Metric(
    "pilotlight.retries", "counter", "{retry}", (TARGET, ERROR), "retries at the same target"
)
TAG: Final = "pilotlight.tag."  # and the tag's own name, of those in `spend_tags`
SPEND: Final = Metric(
    "pilotlight.spend",
    "counter",
    "{USD}",
    (ROUTE, TARGET),
    "what attempts cost, where it is known",
)
SKIPS: Final = Metric(
    "pilotlight.target.skips",
    "counter",
    "{skip}",
    (TARGET, SKIP_REASON),
    "targets that were not asked",
)
TRANSITIONS: Final = Metric(
    "pilotlight.breaker.transitions",
    "counter",
    "{transition}",
    (TARGET, STATE_FROM, STATE_TO, STATE_REASON),
    "moves of the breakers",
)
STATUS: Final = Metric(
    "pilotlight.breaker.status",
    "observable",
    "{state}",
    (TARGET, STATE),
    "1 for the state that a breaker is in, 0 for the others",
)
BULKHEAD_CALLS: Final = Metric(
    "pilotlight.bulkhead.calls",
    "observable",
    "{call}",
    (TARGET, PLACE),
    "calls at a target of limited concurrency, and in its queue",
)
BULKHEAD_LIMIT: Final = Metric(
    "pilotlight.bulkhead.limit",
    "observable",
    "{call}",
    (TARGET, PLACE),
    "how many there may be",
)
RETIREMENT: Final = Metric(
    "pilotlight.target.retirement",
    "gauge",
    "d",
    (TARGET, SOURCE),
    "days until the model is gone, where that is known; 0 or less when it is",
)
CHECKS: Final = Metric(
    "pilotlight.health_check.duration",
    "histogram",
    "s",
    (TARGET, ERROR),
    "how long a health check took",
    SECONDS,
)
METRICS: Final = (
    DURATION,
    USAGE,
    TIME_TO_FIRST,
    CALLS,
    FAILOVER_COUNT,
    RETRY_COUNT,
    SPEND,
    SKIPS,
    TRANSITIONS,
    STATUS,
    BULKHEAD_CALLS,
    BULKHEAD_LIMIT,
    RETIREMENT,
    CHECKS,
)
