"""The tables in the documentation that are made from the code, so that they can't drift from it.

    python tools/docs_tables.py            write them into the pages
    python tools/docs_tables.py --check    only say which pages are out of date; exit 1 if any

A table stands between `<!-- table: NAME -->` and `<!-- end of table -->`; what is between the two
is replaced.  `TABLES` lists the names.
"""

from __future__ import annotations

import dataclasses
import inspect
import logging
import math
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import click
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from pilotlight import errors, events
from pilotlight.catalog.providers import CATALOG
from pilotlight.cli.app import cli
from pilotlight.config import tables, values
from pilotlight.config.budgets import BudgetTable, MaxPriceTable, PriceTable
from pilotlight.config.messages import anchor
from pilotlight.config.routes import RouteConfig
from pilotlight.config.schema import Config
from pilotlight.config.serve import ServeTable
from pilotlight.config.targets import LOCAL_TIMEOUTS, TargetConfig
from pilotlight.core.health.lifecycle import PRECEDENCE
from pilotlight.core.provider import Timeouts
from pilotlight.diagnosis.row import CLIENT, REFUSED, SERVER, Row, Statuses
from pilotlight.diagnosis.rows_faults import ROWS
from pilotlight.dialects.openai_chat.manners import MANNERS, Manner
from pilotlight.doors.gateway.paths import OPEN, OPERATORS, PLACES, VERBS
from pilotlight.state.url import StateUrl
from pilotlight.telemetry import names, words
from pilotlight.vocabulary import residency_rules
from pilotlight.vocabulary.faults import RULES, Effect, Elsewhere, Fault, Rule
from pilotlight.vocabulary.receipt import AttemptRecord, Receipt, SkipRecord

sys.path.append(str(Path(__file__).resolve().parent))
import dialect_tables

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


def _config_table(model: type[BaseModel], *defaults: object, of: str = "") -> str:
    """Return the keys of one table; `defaults` are what each kind of target has for None.

    Each key has an anchor, to which error messages lead; `of` is the name of the table.
    """
    heads = ["key", "type", "default", "meaning"]
    if len(defaults) > 1:
        heads = ["key", "type", "closed models", "Ollama", "meaning"]
    rows = []
    for key, field in model.model_fields.items():
        shown = [_default(getattr(each, key)) for each in defaults] or [_default_of(field)]
        kind = _type(field.annotation, *field.metadata)
        place = f'<a id="{anchor(of, key)}"></a>'
        rows.append([f"`{key}`", kind, *shown, place + (field.description or "")])
    return table(heads, rows)


def _default_of(field: FieldInfo) -> str:
    return "required" if field.is_required() else _default(field.default)


def _type(hint: Any, *extras: Any) -> str:
    """Return a type as a person writes TOML, with its range."""
    kind, arguments = get_origin(hint) or hint, get_args(hint)
    if kind is Annotated:
        return _type(arguments[0], *arguments[1:], *extras)
    if kind is Literal:
        return " or ".join(f'`"{value}"`' for value in arguments)
    if any(getattr(each, "func", None) is values.seconds for each in extras):
        return _ranged("duration", extras)
    if kind in (Union, UnionType):
        return " or ".join(_type(part) for part in arguments if part is not NoneType)
    if kind in _TYPES:
        return _ranged(_TYPES[kind], extras)
    return "table" if issubclass(kind, BaseModel) else str(kind.__name__)


_TYPES: Mapping[type, str] = {
    str: "string",
    SecretStr: "string",
    StateUrl: "string",
    int: "whole number",
    float: "number",
    bool: "true or false",
    tuple: "list of strings",
    Callable: "string",  # type: ignore[dict-item]
    dict: "table",
    tables.ApiKey: "string or table",
    tables.ReceiptsTable: "string or table",
    tables.TimeoutTable: "duration or table",
}


def _ranged(kind: str, extras: Iterable[Any]) -> str:
    """Return a type with its range; a limit that only keeps out the absurd is not told."""
    bounds = {
        name: value
        for extra in extras
        for each in getattr(extra, "metadata", [extra])
        for name in ("ge", "gt", "le")
        if (value := getattr(each, name, None)) is not None
    }
    least, above, most = bounds.get("ge"), bounds.get("gt"), bounds.get("le")
    if most in (values.MOST, values.LONGEST):
        most = None
    if kind == "duration" and above == 0:
        above = None  # of a duration that goes without saying
    if least is not None and most is not None:
        return f"{kind}, {least:.15g} to {most:.15g}"
    told = [
        f"{word} {value:.15g}"
        for word, value in (("from", least), ("above", above), ("up to", most))
        if value is not None
    ]
    return ", ".join([kind, *told])


def _default(value: Any) -> str:
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, int | float):
        return f"`{value:g}`"
    if isinstance(value, str):
        return f'`"{value}"`'
    return "not set" if isinstance(value, BaseModel | StateUrl) else "empty"


def _providers() -> str:
    rows = []
    for name, known in CATALOG.items():
        address = f"`{known.base_url}`" if known.base_url else "you say: `api_base`"
        if known.wire == "ollama":
            address = "`http://127.0.0.1:11434`"
        rows.append([f"`{name}/`", _codes(known.keys), address, _codes(known.bases)])
    return table(("prefix", "key variable", "address", "address variable"), rows)


def _servers() -> str:
    rows = [
        [
            f"`{name}/`",
            ", ".join(f"`{ours}` is `{theirs}`" for ours, theirs in manner.names.items()),
            _left_out(manner),
        ]
        for name, manner in MANNERS.items()
        if name in CATALOG
    ]
    return table(("prefix", "called otherwise", "left out"), rows)


def _left_out(manner: Manner) -> str:
    if manner.options is not None:
        return "what it does not know"
    some = [name for _, names in manner.picky for name in sorted(names - manner.refuses)]
    of_some = f"; of some models {_codes(some)}" if some else ""
    return (_codes(sorted(manner.refuses)) or "nothing") + of_some


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


def _errors() -> str:
    """Return a section for each class of error that users can meet."""
    found = [
        each
        for each in vars(errors).values()
        if isinstance(each, type)
        and issubclass(each, Exception)
        and each.__module__ == errors.__name__
    ]
    return "\n\n".join(map(_error, sorted(found, key=lambda each: each.__name__)))


def _error(each: type) -> str:
    bases = ", ".join(f"`{base.__name__}`" for base in each.__bases__ if base is not Exception)
    told = inspect.cleandoc(each.__doc__ or "")
    return f"### {each.__name__}\n\n" + (f"A {bases}. " if bases else "") + told


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


def _carried(caller: str) -> str:
    return table(dialect_tables.heads(), dialect_tables.carried(caller))


def _addresses() -> str:
    """Return the addresses of the gateway, by what is spoken there."""
    found: dict[tuple[str, str], list[str]] = {}
    for (method, path), place in PLACES.items():
        spoken = "`gateway`" if place.does in OPERATORS | OPEN else f"`{place.dialect}`"
        found.setdefault((spoken, method), []).append(path)
    found["`gemini`", "POST"] = [f"/v1beta/models/NAME:{verb}" for verb in VERBS]
    return table(
        ("dialect", "method", "addresses"),
        [[spoken, method, _codes(paths)] for (spoken, method), paths in sorted(found.items())],
    )


TABLES: Mapping[str, Callable[[], str]] = {
    "configuration": lambda: _config_table(Config),
    "errors": _errors,
    "targets": lambda: _config_table(TargetConfig, of="targets"),
    "routes": lambda: _config_table(RouteConfig, of="routes"),
    "timeout": lambda: _config_table(tables.TimeoutTable, Timeouts(), LOCAL_TIMEOUTS, of="timeout"),
    "api-key": lambda: _config_table(tables.ApiKey, of="api_key"),
    "breaker": lambda: _config_table(tables.BreakerTable, of="breaker"),
    "retry": lambda: _config_table(tables.RetryTable, of="retry"),
    "receipts": lambda: _config_table(tables.ReceiptsTable, of="receipts"),
    "telemetry": lambda: _config_table(tables.TelemetryConfig, of="telemetry"),
    "serve": lambda: _config_table(ServeTable, of="serve"),
    "price": lambda: _config_table(PriceTable, of="price"),
    "max_price": lambda: _config_table(MaxPriceTable, of="max_price"),
    "budgets": lambda: _config_table(BudgetTable, of="budgets"),
    "addresses": _addresses,
    "telemetry-spans": _spans,
    "telemetry-events": _happenings,
    "telemetry-metrics": _metrics,
    "telemetry-words": _closed_sets,
    "providers": _providers,
    "servers": _servers,
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
    **{
        f"carried-{name}": partial(_carried, caller)
        for name, caller in (
            ("openai-chat", "OpenAI chat"),
            ("openai-responses", "Responses"),
            ("anthropic-messages", "Claude"),
            ("gemini", "Gemini"),
            ("ollama", "Ollama"),
        )
    },
    "call-ids": lambda: table(("API", "takes", "made of"), dialect_tables.call_ids()),
    "strict-rules": lambda: table(
        ("API", "what has to be so", "source"), dialect_tables.strict_rules()
    ),
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
