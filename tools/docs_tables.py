"""The tables in the documentation that are made from the code, so that they can't drift from it.

    python tools/docs_tables.py            write them into the pages
    python tools/docs_tables.py --check    only say which pages are out of date; exit 1 if any

A table stands between `<!-- table: NAME -->` and `<!-- end of table -->`; what is between the two
is replaced.  `TABLES` lists the names.  The file is long: the meaning of every key stands in it.
"""

from __future__ import annotations

import dataclasses
import inspect
import logging
import math
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import click
from pydantic import BaseModel

from pilotlight import events
from pilotlight.catalog.providers import CATALOG
from pilotlight.cli.app import cli
from pilotlight.config import schema
from pilotlight.core.breaker.breaker import BreakerPolicy
from pilotlight.core.health.lifecycle import PRECEDENCE
from pilotlight.core.provider import Timeouts
from pilotlight.core.retry.policy import RetryPolicy
from pilotlight.diagnosis.row import CLIENT, REFUSED, SERVER, Row, Statuses
from pilotlight.diagnosis.rows_faults import ROWS
from pilotlight.providers.openai import rules
from pilotlight.telemetry import names, words
from pilotlight.vocabulary import residency_rules
from pilotlight.vocabulary.faults import RULES, Effect, Elsewhere, Fault, Rule
from pilotlight.vocabulary.receipt import AttemptRecord, Receipt, SkipRecord

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("README.md", "docs/*.md")
_MARKED = re.compile(
    r"<!-- table: (?P<name>[\w-]+) -->\n(?:(?!<!-- table: ).)*?<!-- end of table -->", re.DOTALL
)


def render(text: str) -> str:
    """Return a page with every marked table written anew."""

    def marked(found: re.Match[str]) -> str:
        name = found["name"]
        return f"<!-- table: {name} -->\n\n{TABLES[name]()}\n\n<!-- end of table -->"

    return _MARKED.sub(marked, text)


def pages() -> list[Path]:
    """Return the pages that may hold tables."""
    return sorted(path for pattern in PAGES for path in ROOT.glob(pattern))


def main(arguments: list[str]) -> int:
    """Write the tables, or say which are out of date."""
    stale = []
    for page in pages():
        text = page.read_text("utf-8")
        if (new := render(text)) != text:
            stale.append(page.relative_to(ROOT))
            if "--check" not in arguments:
                page.write_text(new, "utf-8")
    verb = "out of date" if "--check" in arguments else "written"
    for name in stale:
        print(f"{name}: {verb}")
    return 1 if stale and "--check" in arguments else 0


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table; a bar inside a cell is escaped."""
    heads = list(heads)
    lines = [heads, ["---"] * len(heads), *map(list, rows)]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") or " " for cell in line) + " |" for line in lines
    )


# The configuration.

MEANING: Mapping[str, str] = {
    "targets.model": "litellm's `provider/model`, such as `openai/gpt-4o` or `ollama/llama3.2:3b`",
    "targets.api_base": "the address; not set: the provider's variable, else its own address",
    "targets.api_key": 'the key, or `{ env = "NAME" }`; not set: the provider\'s variable',
    "targets.timeout": "the clocks of one attempt, see below; a bare number is `total`",
    "targets.concurrency": "calls at once; not set: as many as come",
    "targets.queue": "calls that may wait for a place; only with `concurrency`",
    "targets.context": "window in tokens; for Ollama the `num_ctx` that is sent (not set: 8192)",
    "targets.space": "where its embeddings lie; there a target stands in for the first one only "
    "where both name the same space",
    "targets.abilities": "all that the model can do, of `tools images json_schema thinking audio "
    "files embeddings image_generation`; "
    "not set: what its server or litellm's table says, the rest is assumed",
    "targets.keep_alive": "Ollama only: how long the model stays loaded after a call",
    "targets.time_reserve": "time kept free for this target while earlier ones are asked; "
    "not set: a quarter of what is left",
    "targets.local_addresses": "hosts that are yours, so that this target counts as local",
    "targets.health": "whether the target is checked between calls: `on`, `off`, or for a closed "
    "model `models`, by its provider's free list; not set: Ollama `on`, closed only while its "
    "breaker is open",
    "targets.probe_interval": "time between two checks; not set: Ollama 30 s, closed 300 s",
    "targets.warm": "Ollama only: when the model is loaded ahead of its first call; not set: "
    "`when-degraded`, as soon as a target ahead is half-way to its trip",
    "targets.warm_timeout": "Ollama only: how long that load may take",
    "targets.pull": "Ollama only: whether a model that is missing is pulled in the background",
    "targets.retires": "the first day without the model; from then on the target is passed over",
    "targets.replacement": "what to use instead; named in the warning",
    "targets.breaker": "this target's own breaker numbers",
    "targets.retry": "this target's own retry numbers",
    "targets.options": "provider options added to every call, such as `api_version`",
    "targets.via": "`litellm` sends every call through litellm; not set: straight to an "
    "OpenAI-style server where that is the same",
    "routes.targets": "names of targets, in the order in which they are asked",
    "routes.total_timeout": "time for a call with all its attempts, a stream's end included",
    "routes.priority": "the rank of its calls in the queue of a target that is full",
    "routes.on_interrupt": "what to do when a stream breaks after its first text",
    "routes.on_broken_event": "what to do with an event of a stream that can't be read",
    "routes.private": "local targets only",
    "routes.sensitive": "a function that decides whether a call is private, as "
    '`"package.module:function"`; not set: the one at the top of the file, if there is one',
    "routes.fail_over_on": "faults left to policy that shall fail over: "
    "`content_blocked`, `model_substituted`",
    "routes.rate_limit_wait": "the longest wait that a target may ask for, and get, when nobody "
    "else can answer",
    "routes.sit_out": "the longest wait for which the first target is waited for, although others "
    "could answer; 0: none",
    "routes.gather": "when an unstreamed chat is streamed underneath, so that `first_token` and "
    "`between_tokens` hold: `auto`, while others could answer and the target has not just "
    "answered; see [streaming.md](streaming.md#unstreamed-calls)",
    "timeout.connect": "TCP and TLS handshake",
    "timeout.first_token": "until the first content of a stream, or of a gathered answer",
    "timeout.between_tokens": "silence between two pieces of content; keep-alives do not count",
    "timeout.total": "the whole attempt",
    "breaker.failure_rate": "opens at this share of failed calls in the window",
    "breaker.minimum_calls": "never opens by a rate on fewer calls in the window",
    "breaker.window": "how far back calls are counted",
    "breaker.reset_timeout": "length of a break after a failure that came fast",
    "breaker.max_reset_timeout": "the longest break after failures that made callers wait",
    "breaker.trial_calls": "calls admitted when a break is over; all must succeed",
    "breaker.slow_call_duration": "a success that takes so long counts as slow; not set: none does",
    "breaker.slow_call_rate": "opens at this share of slow calls",
    "breaker.suspicion": "after two failures in a row, spare it calls that others can answer",
    "breaker.consecutive_failures": "opens when so many calls in a row have failed",
    "retry.max_retries": "retries at one target within one call, at most; 0: never",
    "retry.wait_initial": "the first pause is random from 0 to this; doubled for each further one",
    "retry.wait_max": "the longest pause",
    "retry.budget_ratio": "the share of successes that may be spent on retries",
    "retry.budget_reserve": "retries in hand at the start",
    "retry.only_under": "what took longer than this, or than a tenth of the time left, is not "
    "tried again while another target could answer",
    "receipts.path": "the file, as seen from the configuration's folder; it ends in `.jsonl`, or "
    "for SQLite in `.db` or `.sqlite`; not set: receipts are not kept",
    "receipts.max_mb": "megabytes; a JSONL file of this size is moved to `.1`, that to `.2`, ...",
    "receipts.keep": "older files that are kept; an SQLite file may have the size of all of them",
    "telemetry.service_name": "the application's name in traces and metrics",
    "telemetry.otlp_endpoint": "a collector's address (OTLP over HTTP), such as "
    "`http://localhost:4318`; not set: nothing is sent",
    "telemetry.prometheus_port": "where Prometheus reads the metrics; not set: nowhere",
    "telemetry.json_logs": "pilotlight's lines go to stderr as JSON, from level INFO",
    "telemetry.openinference": "calls are marked as chains, for Phoenix",
    "telemetry.trace_health_checks": "each health check makes a span",
}


def _config_table(name: str, model: type[BaseModel], *defaults: object) -> str:
    """Return the keys of one table; `defaults` hold the numbers that a None stands for."""
    hints = get_type_hints(model, include_extras=True)
    heads = ["key", "type", "default", "meaning"]
    if len(defaults) > 1:
        heads = ["key", "type", "closed models", "Ollama", "meaning"]
    rows = []
    for key, field in model.model_fields.items():
        if defaults:
            shown = [_default(getattr(each, key)) for each in defaults]
        elif field.is_required():
            shown = ["required"]
        else:
            shown = [_default(field.default)]
        rows.append([f"`{key}`", _type(hints[key]), *shown, _meaning(f"{name}.{key}")])
    return table(heads, rows)


def _meaning(key: str) -> str:
    if key not in MEANING:
        raise SystemExit(f"{key} is new: say what it means in MEANING of tools/docs_tables.py")
    return MEANING[key]


def _type(hint: Any) -> str:
    """Return a type as a person writes TOML."""
    kind, arguments = get_origin(hint) or hint, get_args(hint)
    if kind is Annotated:
        return _bounded(*arguments)
    if kind is Literal:
        return " or ".join(f'`"{value}"`' for value in arguments)
    if parts := [part for part in arguments if type(None) in arguments and part is not type(None)]:
        return " or ".join(map(_type, parts))
    if kind in _TYPES:
        return _TYPES[kind]
    return "table" if issubclass(kind, BaseModel) else str(kind.__name__)


_TYPES: Mapping[type, str] = {
    str: "string",
    int: "whole number",
    float: "number",
    bool: "true or false",
    tuple: "list of strings",
    Callable: "string",  # type: ignore[dict-item]
    dict: "table",
    schema.ApiKey: "string or table",
}


def _bounded(inner: Any, *extras: Any) -> str:
    """Return a type with what else is asked of it."""
    if any(getattr(each, "func", None) is schema._seconds for each in extras):
        return "duration"
    kind = _type(inner)
    if inner is schema.TimeoutTable:
        return "duration or table"
    if inner is float and any(_bound(each, "le") == 1 for each in extras):
        return f"{kind}, 0 to 1"
    least = [bound for each in extras if (bound := _bound(each, "ge")) is not None]
    return f"{kind}, from {least[0]}" if least else kind


def _bound(extra: Any, name: str) -> Any:
    """Return a bound that a pydantic Field sets, if it does."""
    for each in getattr(extra, "metadata", [extra]):
        if (value := getattr(each, name, None)) is not None:
            return value
    return None


def _default(value: Any) -> str:
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, int | float):
        return f"`{value:g}`"
    if isinstance(value, str):
        return f'`"{value}"`'
    return "not set" if isinstance(value, BaseModel) else "empty"


def _providers() -> str:
    rows = []
    for name, known in CATALOG.items():
        address = f"`{known.base_url}`" if known.base_url else "you say: `api_base`"
        if known.wire == "ollama":
            address = "`http://127.0.0.1:11434`"
        rows.append([f"`{name}/`", _codes(known.keys), address, _codes(known.bases)])
    return table(("prefix", "key variable", "address", "address variable"), rows)


def _direct() -> str:
    rows = [
        [f"`{name}/`", _codes(sorted(dialect.options)), "yes" if dialect.parts else "no"]
        for name, dialect in rules.DIALECTS.items()
    ]
    reasoning = rules.REASONING
    rows.insert(1, ["`openai/gpt-5`", _codes(sorted(reasoning.options)), "yes"])
    return table(("prefix", "options", "images"), rows)


def _codes(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


# The faults.


def _faults() -> str:
    rows = [
        [f"`{fault}`", rule.meaning, *_effects(rule), "yes" if rule.alert else ""]
        for fault, rule in RULES.items()
    ]
    heads = ("fault", "meaning", "breaker", "retries here", "fails over", "alert")
    return table(heads, rows)


def _effects(rule: Rule) -> list[str]:
    breaker = {Effect.COUNTS: "counts", Effect.IGNORES: "ignores"}.get(rule.breaker)
    if breaker is None:
        usual = rule.break_for is None
        breaker = "opens for a break" if usual else f"opens for {_lasting(rule.break_for)}"
    elsewhere = {Elsewhere.YES: "yes", Elsewhere.NO: "no: raised"}.get(rule.elsewhere)
    return [breaker, "yes" if rule.retried else "no", elsewhere or rule.elsewhere.value]


def _lasting(seconds: float | None) -> str:
    if seconds is None or seconds == math.inf:
        return "good"
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= length and seconds % length == 0:
            return f"{seconds / length:g} {unit}"
    return f"{seconds:g} s"


def _faults_short() -> str:
    """Group the faults that do the same."""
    groups: dict[tuple[str, ...], list[Fault]] = {}
    for fault, rule in RULES.items():
        breaker, retries, elsewhere = _effects(rule)
        effect = "opens" if breaker.startswith("opens") else breaker
        once = retries
        groups.setdefault((effect, once, elsewhere), []).append(fault)
    rows = [[_codes(faults), *effects] for effects, faults in groups.items()]
    return table(("fault", "breaker", "retried", "fails over"), rows)


def _rows() -> str:
    rows = [
        [
            str(number),
            f"`{each.fault}`",
            ", ".join(sorted(each.wires)) if each.wires else "any",
            _statuses(each.statuses),
            "; ".join(_looks_for(each)) or "the status alone",
            _source(each.source),
        ]
        for number, each in enumerate(ROWS, 1)
    ]
    return table(("#", "fault", "wire", "status", "looks for", "seen at"), rows)


def _looks_for(each: Row) -> Iterable[str]:
    if each.code is not None:
        yield f"code: {readable(each.code.pattern)}"
    if each.wording is not None:
        yield f"words: {readable(each.wording.pattern)}"


_KNOWN_STATUSES: Mapping[Statuses, str] = {
    CLIENT: "4xx or in a stream",
    SERVER: "5xx",
    REFUSED: "refusals",
    frozenset(range(400, 500)): "4xx",
    frozenset(range(300, 400)): "3xx",
}


def _statuses(statuses: Statuses | None) -> str:
    if statuses is None:
        return "any"
    if statuses in _KNOWN_STATUSES:
        return _KNOWN_STATUSES[statuses]
    left, parts = set(statuses), []
    for group in (CLIENT, REFUSED, SERVER):
        if len(group & left) > len(group) * 3 // 4:
            missing = sorted(str(status) for status in group - left)
            but = f" (not {', '.join(missing)})" if missing else ""
            parts.append(f"{_KNOWN_STATUSES[group]}{but}")
            left -= group
            break
    if len(left & SERVER) == len(SERVER):
        parts.append("5xx")
        left -= SERVER
    parts += [str(status) for status in sorted(s for s in left if s is not None)]
    return ", ".join([*parts, *(["in a stream"] if None in left else [])])


# Notes of the project's own in a source; what is shown names public places only.
_PRIVATE_NOTE = re.compile(r"\.md\b|\bREADME\b|\bA\d+\b")


def _source(source: str) -> str:
    parts = re.split(r";\s*", source)
    kept = [part for part in parts if not _PRIVATE_NOTE.search(part)]
    if kept:
        return "; ".join(kept)
    return re.sub(r"[,;]?\s*" + _PRIVATE_NOTE.pattern + r".*", "", source).strip(" ;,:")


_SIMPLER = (
    (re.compile(r"\(\?<?!(?:[^()]|\([^()]*\))*\)"), ""),  # what must not follow, or stand before
    (re.compile(r"\(\?:"), "("),
    (re.compile(r"\\W\{[^}]*\}"), " "),
    (re.compile(r"(?:\([^()]{1,12}\)|\.|\[\^\\n\])\{0,\d+\}\??"), " … "),
    (re.compile(r"\\w[*+]"), "…"),
    (re.compile(r"\((?:\\w\+|…) ?\)(?:\?|\{[^}]*\})?"), " … "),
    (re.compile(r"\\b"), ""),
    (re.compile(r"\\[.]"), "."),
    (re.compile(r"\[- \]\?|\[ -\]\?|\[_ \]\?"), "-"),
    (re.compile(r"_\?"), "_"),
    (re.compile(r"\\d"), "N"),
    (re.compile(r" {2,}"), " "),
)


def readable(pattern: str) -> str:
    """Return a pattern as words, one kind after the other; the code has it exactly."""
    for old, new in _SIMPLER:
        pattern = old.sub(new, pattern)
    return " · ".join(f"`{part.strip()}`" for part in _alternatives(pattern) if part.strip())


def _alternatives(pattern: str) -> Iterable[str]:
    """Split at the bars that stand outside of brackets; inside, a bar becomes a slash."""
    depth, word = 0, ""
    for character in pattern:
        depth += (character in "([") - (character in ")]")
        if character == "|" and depth <= 0:
            yield word
            word = ""
        else:
            word += "/" if character == "|" else character
    yield word


# Events and receipts.


def _events() -> str:
    rows = [
        [f"`{each.__name__}`", _first_line(each), _codes(_fields(each))]
        for each in get_args(events.Event)
    ]
    return table(("event", "when", "fields"), rows)


def _residency() -> str:
    rows = [[f"`{rule}`", meaning] for rule, meaning in residency_rules.MEANING.items()]
    return table(("rule", "what it refused"), rows)


def _spans() -> str:
    rows = [
        [f"`{each.name}`", each.kind, _codes(each.at_start), _codes(each.at_end)]
        for each in names.SPANS
    ]
    return table(("span", "kind", "from its start", "at its end"), rows)


def _happenings() -> str:
    rows = [
        [
            f"`{each.name}`",
            logging.getLevelName(each.level).lower(),
            f"{each.meaning}{'' if each.on_span else ' (a line only)'}",
            ", ".join(
                f"`{key}` (`{name}`)" if name and each.on_span else f"`{key}`"
                for key, name in each.keys.items()
            ),
        ]
        for each in names.HAPPENINGS
    ]
    return table(("event", "level", "when", "keys of the line (attributes of the event)"), rows)


def _metrics() -> str:
    rows = [
        [f"`{each.name}`", each.kind, f"`{each.unit}`", each.meaning, _codes(each.attributes)]
        for each in names.METRICS
    ]
    return table(("metric", "kind", "unit", "meaning", "attributes"), rows)


def _closed_sets() -> str:
    sets: Mapping[str, Iterable[str]] = {
        names.OUTCOME: sorted(words.OUTCOMES),
        names.REASON: ["a fault", "a skip reason"],
        names.SKIP_REASON: sorted(words.SKIP_REASONS),
        names.STATE: list(words.STATES),
        names.STATE_REASON: sorted(words.BREAKER_REASONS),
        names.ROLE: list(words.ROLES),
        names.RULE: sorted(residency_rules.ResidencyRule),
        names.PLACE: list(words.PLACES),
        names.SOURCE: list(PRECEDENCE),
    }
    return table(
        ("attribute", "values"), ([f"`{name}`", ", ".join(found)] for name, found in sets.items())
    )


def _record(record: type) -> Callable[[], str]:
    def rows() -> str:
        types = {each.name: str(each.type) for each in dataclasses.fields(record)}
        return table(
            ("field", "type"),
            ([f"`{name}`", f"`{kind}`"] for name, kind in types.items()),
        )

    return rows


def _fields(record: type) -> list[str]:
    return [each.name for each in dataclasses.fields(record)]


def _first_line(each: type) -> str:
    return (inspect.getdoc(each) or "").partition("\n")[0]


# The command line.


def _commands() -> Iterable[tuple[str, click.Command]]:
    context = click.Context(cli)
    for name in cli.list_commands(context):
        if (command := cli.get_command(context, name)) is not None:
            yield name, command
            if isinstance(command, click.Group):
                yield from ((f"{name} {sub}", each) for sub, each in command.commands.items())


def _commands_short() -> str:
    rows = []
    for name, command in _commands():
        first = " ".join((command.help or "").split("\n\n")[0].split())
        rows.append([f"`pilotlight {name}`", first])
    return table(("command", "what it does"), rows)


def _options() -> str:
    parts = []
    for name, command in _commands():
        about = [" ".join(part.split()) for part in (command.help or "").split("\n\n")]
        usage = " ".join(command.collect_usage_pieces(click.Context(command)))
        parts += [f"### `pilotlight {name}`", f"`pilotlight {name} {usage}`", *about]
        records = (option.get_help_record(click.Context(command)) for option in command.params)
        told = [record for record in records if record and record[1]]
        rows = [[f"`{flags}`", " ".join(said.split())] for flags, said in told]
        if rows:
            parts.append(table(("option", "meaning"), rows))
    return "\n\n".join(parts)


TABLES: Mapping[str, Callable[[], str]] = {
    "targets": lambda: _config_table("targets", schema.TargetConfig),
    "routes": lambda: _config_table("routes", schema.RouteConfig),
    "timeout": lambda: _config_table(
        "timeout", schema.TimeoutTable, Timeouts(), schema.LOCAL_TIMEOUTS
    ),
    "breaker": lambda: _config_table("breaker", schema.BreakerTable, BreakerPolicy()),
    "retry": lambda: _config_table("retry", schema.RetryTable, RetryPolicy()),
    "receipts": lambda: _config_table("receipts", schema.ReceiptsTable),
    "telemetry": lambda: _config_table("telemetry", schema.TelemetryConfig),
    "telemetry-spans": _spans,
    "telemetry-events": _happenings,
    "telemetry-metrics": _metrics,
    "telemetry-words": _closed_sets,
    "providers": _providers,
    "direct": _direct,
    "faults": _faults,
    "faults-short": _faults_short,
    "rows": _rows,
    "events": _events,
    "receipt": _record(Receipt),
    "attempt": _record(AttemptRecord),
    "skip": _record(SkipRecord),
    "residency": _residency,
    "commands": _commands_short,
    "options": _options,
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
