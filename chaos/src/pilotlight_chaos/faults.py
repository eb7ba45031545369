"""Every fault that can be set, one entry each: its name, its parameters, who can have it.

Owns the vocabulary.  What a fault looks like on the wire is in `wording/` (error replies, by
dialect) and `play.py` (broken connections and bodies); where faults are set is `book.py`.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields
from enum import Enum, auto

DIALECTS = ("openai", "anthropic", "gemini", "ollama")
HOSTED = frozenset({"openai", "anthropic", "gemini"})
EVERY = frozenset(DIALECTS)
OLLAMA = frozenset({"ollama"})


class FaultError(ValueError):
    """A fault that cannot be set: an unknown kind, parameter, or value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What every fault has."""

    kind: str
    rate: float = 1.0  # how often it strikes: 0 never, 1 always
    times: int | None = None  # only the next n requests; None: until healed
    everywhere: bool = False  # also strikes side requests (models, tags, show, version, ...)

    def __post_init__(self) -> None:
        for each in fields(self):
            _check_value(self.kind, each, getattr(self, each.name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttle(Fault):
    retry_after: float | None = 20.0  # seconds; None: say nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class WithStatus(Fault):
    status: int | None = None  # another of the statuses under which the provider says this


@dataclass(frozen=True, slots=True, kw_only=True)
class Slow(Fault):
    seconds: float = 1.0  # before the answer
    per_token: float = 0.0  # and before each token of a stream


@dataclass(frozen=True, slots=True, kw_only=True)
class MidStream(Fault):
    after: int = 2  # tokens sent before it strikes


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepAlive(MidStream):
    every: float = 0.05  # seconds between heartbeats


@dataclass(frozen=True, slots=True, kw_only=True)
class Reset(Fault):
    after: int = 0  # tokens sent before it strikes; 0: before any byte


@dataclass(frozen=True, slots=True, kw_only=True)
class Empty(Fault):
    what: str = "content"  # "content": an answer without text; "choices": no answer at all

    def __post_init__(self) -> None:
        Fault.__post_init__(self)
        if self.what not in ("content", "choices"):
            raise FaultError(f'{self.kind}: what is "content" or "choices", not {self.what!r}')


@dataclass(frozen=True, slots=True, kw_only=True)
class Substituted(Fault):
    model: str = "another-model-1"  # what the answer says it was made by


@dataclass(frozen=True, slots=True, kw_only=True)
class OfModel(Fault):
    model: str | None = None  # only this model; None: every installed one


@dataclass(frozen=True, slots=True, kw_only=True)
class Cold(Fault):
    seconds: float = 3.0  # what loading takes


class Stage(Enum):
    """Where in the life of a request a fault strikes."""

    DELAY = auto()  # then the answer comes
    SILENCE = auto()  # nothing comes
    REFUSAL = auto()  # an error reply in place of the answer
    BODY = auto()  # status 200 with the wrong content
    STREAM = auto()  # the transfer breaks
    STANDING = auto()  # a state of the Ollama server, not an act


@dataclass(frozen=True, slots=True)
class Kind:
    """One entry of the table."""

    name: str
    params: type[Fault]
    stage: Stage
    dialects: frozenset[str]
    what: str


_TABLE = (
    Kind("server_error", Fault, Stage.REFUSAL, EVERY, "500 in the provider's words"),
    Kind("bad_gateway", Fault, Stage.REFUSAL, EVERY, "502 with a proxy's HTML page"),
    Kind("overloaded", Fault, Stage.REFUSAL, EVERY, "503; Anthropic 529; Ollama: queue full"),
    Kind("unavailable", Fault, Stage.REFUSAL, EVERY, "503 from the proxy in front, plain text"),
    Kind("gateway_timeout", Fault, Stage.REFUSAL, EVERY, "504"),
    Kind("http_error", WithStatus, Stage.REFUSAL, EVERY, "any status (default 500), plain body"),
    Kind("rate_limit", Throttle, Stage.REFUSAL, EVERY, "429 that clears by waiting"),
    Kind("quota", WithStatus, Stage.REFUSAL, EVERY, "money or allowance is used up"),
    Kind("auth", Fault, Stage.REFUSAL, EVERY, "the key is not valid (401; Gemini 400)"),
    Kind("permission", Fault, Stage.REFUSAL, EVERY, "403"),
    Kind("retired", WithStatus, Stage.REFUSAL, EVERY, "model retired (404; 400 and 410 forms)"),
    Kind("not_found", Fault, Stage.REFUSAL, EVERY, "404, the model does not exist"),
    Kind("context", Fault, Stage.REFUSAL, EVERY, "400, the prompt is too long"),
    Kind("too_large", Fault, Stage.REFUSAL, HOSTED, "413"),
    Kind("bad_request", Fault, Stage.REFUSAL, EVERY, "400, the caller's own mistake"),
    Kind("content_filter", WithStatus, Stage.REFUSAL, HOSTED, "400, or status=200: cut answer"),
    Kind("hang", Fault, Stage.SILENCE, EVERY, "reads the request and never answers"),
    Kind("slow", Slow, Stage.DELAY, EVERY, "waits, then answers"),
    Kind("stall", MidStream, Stage.STREAM, EVERY, "the stream stops; the connection stays open"),
    Kind("keepalive_stall", KeepAlive, Stage.STREAM, EVERY, "the same, with heartbeats"),
    Kind("cut", MidStream, Stage.STREAM, EVERY, "closed mid-stream without the final chunk"),
    Kind("reset", Reset, Stage.STREAM, EVERY, "RST"),
    Kind("eof", MidStream, Stage.STREAM, EVERY, "a clean end without the terminal signal"),
    Kind("error_event", MidStream, Stage.STREAM, EVERY, "an error inside the stream, status 200"),
    Kind("garbage", Fault, Stage.BODY, EVERY, "200 with an HTML login page"),
    Kind("truncated_json", Fault, Stage.BODY, EVERY, "200 with half a JSON document"),
    Kind("empty", Empty, Stage.BODY, EVERY, "200 with an empty answer"),
    Kind("error_body", Fault, Stage.BODY, EVERY, "200 with an error object"),
    Kind("substituted", Substituted, Stage.BODY, EVERY, "another model answers"),
    Kind("missing", OfModel, Stage.STANDING, OLLAMA, "the model is not installed"),
    Kind("cloud_stub", OfModel, Stage.STANDING, OLLAMA, "a local-looking name runs in a cloud"),
    Kind("cold", Cold, Stage.STANDING, OLLAMA, "must load first; a client that leaves aborts it"),
    Kind("busy", Fault, Stage.REFUSAL, OLLAMA, "503, queue full"),
    Kind("oom", Fault, Stage.REFUSAL, OLLAMA, "500, out of memory at load"),
    Kind("crash", Fault, Stage.REFUSAL, OLLAMA, "500, the runner died"),
    Kind("done_false", MidStream, Stage.STREAM, OLLAMA, "ends without done:true"),
)

KINDS: Mapping[str, Kind] = {kind.name: kind for kind in _TABLE}


def make_fault(kind: str, params: Mapping[str, object]) -> Fault:
    """Build a checked fault from its name and parameters."""
    entry = KINDS.get(kind)
    if entry is None:
        raise FaultError(f"unknown fault {kind!r}{nearest(kind, KINDS)}")
    known = parameters(kind)
    for name in params:
        if name not in known:
            hint = nearest(name, known) or f" (it has: {', '.join(known)})"
            raise FaultError(f"fault {kind!r} has no parameter {name!r}{hint}")
    return entry.params(kind=kind, **params)  # type: ignore[arg-type]  # checked in __post_init__


def parameters(kind: str) -> dict[str, object]:
    """Name the parameters of a fault kind, with their defaults."""
    own = (each for each in fields(KINDS[kind].params) if each.name != "kind")
    return {each.name: None if each.default is MISSING else each.default for each in own}


def nearest(word: str, known: Mapping[str, object]) -> str:
    """Say which known word was probably meant, as the end of an error message."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


def _check_value(kind: str, param: Field[object], value: object) -> None:
    declared = str(param.type)
    if value is None and "None" in declared:
        return
    if declared.startswith("str"):
        good, wanted = isinstance(value, str), "a string"
    elif declared.startswith("bool"):
        good, wanted = isinstance(value, bool), "true or false"
    elif param.name == "rate":
        good, wanted = _is_number(value) and 0 <= float(str(value)) <= 1, "a number from 0 to 1"
    elif param.name == "times":
        good, wanted = _is_whole(value) and int(str(value)) >= 1, "a whole number from 1"
    elif param.name == "status":
        good, wanted = _is_whole(value) and 200 <= int(str(value)) <= 599, "an HTTP status"
    elif declared.startswith("int"):
        good, wanted = _is_whole(value) and int(str(value)) >= 0, "a whole number from 0"
    else:
        good, wanted = _is_number(value) and float(str(value)) >= 0, "a number from 0"
    if not good:
        raise FaultError(f"fault {kind!r}: {param.name} is {wanted}, not {value!r}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
