"""What is known of a failure, and how it is found from a status and a body."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from pilotlight.catalog import retired
from pilotlight.diagnosis.context_words import told_window
from pilotlight.diagnosis.error_body import Said, read_body
from pilotlight.diagnosis.evidence import evidence
from pilotlight.diagnosis.retry_after import retry_after
from pilotlight.diagnosis.row import Case
from pilotlight.diagnosis.rows_faults import diagnose
from pilotlight.vocabulary.faults import Fault
from pilotlight.wire.tap import Wire

_URL: Final = re.compile(r"https?://\S+")
_LIMITS: Final = frozenset({Fault.RATE_LIMITED, Fault.QUOTA_EXHAUSTED})


@dataclass(frozen=True, slots=True)
class Verdict:
    """The diagnosis of one attempt.

    `retry_after` is in seconds and bounded; `code` is the provider's own name for
    the problem; `evidence` is short and holds neither keys nor prompt text.
    `window` is the context in tokens, where a refused prompt was told it.
    """

    fault: Fault
    retry_after: float | None = None
    status: int | None = None
    code: str | None = None
    evidence: str = ""
    window: int | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """An error as a server sent it: everything that the tables need to know."""

    wire: Wire
    status: int | None
    said: Said
    headers: Mapping[str, str] = field(default_factory=dict)  # names in lower case
    raw: str = ""  # the body as it was sent, for the hints on when to ask again
    hints: tuple[str, ...] = ()  # names from elsewhere: of the exception's class


def reply_of(
    wire: Wire,
    status: int | None,
    body: bytes | str | object,
    headers: Mapping[str, str],
    hints: tuple[str, ...] = (),
) -> Reply:
    """Read a response; without a status of its own the one that the body names counts."""
    said = read_body(body, str(headers.get("content-type", "")))
    if status is None and said.status is not None and said.status >= 300:
        status = said.status
    kind = str(headers.get("x-amzn-errortype", "")).partition(":")[0].lower()
    if kind:  # Bedrock names the error in a header only
        said = replace(said, codes=(kind, *said.codes))
    if isinstance(body, bytes | bytearray):
        raw = bytes(body[:8192]).decode("utf-8", "replace")
    else:
        raw = str(body)[:8192] if isinstance(body, str) else said.text
    return Reply(wire, status, said, headers, raw, hints)


def fault_of(reply: Reply) -> Fault:
    """Look an error up in the tables."""
    names = (name.lower().replace(" ", "_") for name in (*reply.said.codes, *reply.hints))
    text = _URL.sub(" ", reply.said.text).lower()
    found = diagnose(Case(reply.wire, reply.status, " ".join(names), text))
    if found is None:
        return Fault.UNKNOWN
    if found.fault is Fault.MODEL_NOT_FOUND and _is_retired(reply):
        return Fault.MODEL_RETIRED
    return found.fault


def _is_retired(reply: Reply) -> bool:
    """Tell a retired name from a typo, at the providers that answer both alike.

    Others serve models of many makers, or say "or you have no access to it": there
    a name proves nothing.
    """
    alike = reply.wire in ("anthropic", "gemini", "stability") or any(
        code.startswith("invalid_model") for code in reply.said.codes
    )
    return alike and retired.mentioned(reply.said.text) is not None


def verdict_of(
    reply: Reply, prompt_texts: Sequence[str] | None = (), *, fault: Fault | None = None
) -> Verdict:
    """Return the verdict on an error reply; `fault` if it is known already.

    With `prompt_texts=None` the prompt is unknown, and only a proxy's page is quoted.
    """
    fault = fault_of(reply) if fault is None else fault
    code = reply.said.code
    message = reply.said.message if prompt_texts is not None or reply.said.markup else ""
    said = evidence(reply.status, code, message, prompt_texts or ())
    window = None
    if fault is Fault.CONTEXT_EXCEEDED:
        window = told_window(f"{reply.said.text}\n{reply.raw}", prompt_texts)
    return Verdict(fault, _wait(reply, fault), reply.status, code, said, window)


def _wait(reply: Reply, fault: Fault) -> float | None:
    """Return when to ask again, as far as the provider's word can be trusted."""
    now = time.time()  # dates in headers are wall-clock dates
    if fault is Fault.QUOTA_EXHAUSTED and "resource_exhausted" in reply.said.codes:
        return None  # Gemini names seconds for a quota of a day
    if fault in _LIMITS:
        return retry_after(reply.headers, reply.raw, now)
    # The counters of rate limits are sent with every answer and explain no other fault.
    plain = {name: value for name, value in reply.headers.items() if "retry-after" in name}
    return retry_after(plain, reply.raw if reply.status in (429, 503, 529, None) else "", now)
