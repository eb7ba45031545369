"""The table that turns a status, a code and a wording into a fault.

First match wins, so each group stands before those it would be mistaken for: a
429 that never clears before the 429 that does, wording before bare statuses.
The patterns match shapes, not texts: providers reword, gateways rewrap, and what
is listed here stands for its kind.  `source` says where the kind was seen.

Wording is matched in lower case without URLs: a link to a billing page is no
statement about money.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from pilotlight.diagnosis.row import SERVER, Case, Row, matches, row
from pilotlight.diagnosis.rows_local import LOCAL_ROWS
from pilotlight.diagnosis.rows_refusals import BLOCKED, KEY, MODEL, MONEY, TOO_LARGE
from pilotlight.vocabulary.faults import Fault
from pilotlight.wire.tap import Wire

_BUSY: Final = (
    row(
        Fault.OVERLOADED,
        "Anthropic 529; Mistral 3505 (continue#6185); Bedrock; OpenAI slow_down",
        {429, 498, 424, None} | SERVER,
        code=r"overloaded|capacity|slow_down|modelnotready|unreachable_backend|serviceunavailable|"
        r"service_unavailable|\bunavailable|no_available|server_busy|insufficientinstance"
        r"|model_loading",
    ),
    row(
        Fault.OVERLOADED,
        "node-chatgpt-api#34; continue#10639; dify#34280; Envoy; Groq 498",
        {424, 429, 498, None} | SERVER,
        r"overload|high (?:demand|load|traffic|volume)|heavy (?:load|traffic|demand)"
        r"|(?:no|at|over|out of|insufficient|not enough|lacks?|exceed\w*|limited"
        r"|full) (?:\w+ ){0,3}"
        r"capacity|capacity (?:\w+ ){0,3}(?:exceeded|constraint|unavailable|limit|reached|full"
        r"|error)"
        r"|no (?:available|healthy) (?:channel|upstream|worker|instance|endpoint|server|backend"
        r"|model)"
        r"|(?:server|service|system|engine|model)s? (?:is|are) (?:currently |temporarily )?"
        r"(?:too )?(?:busy|full|loading|not ready)|loading model|too busy|no instances"
        r"|queue is full"
        r"|(?:cuda )?out of memory|no slots? available|无可用渠道|负载",
    ),
    row(Fault.OVERLOADED, "Anthropic 529; Groq 498 flex tier; generic 503", {498, 503, 529}),
)

_SLOW_DOWN: Final = (
    row(
        Fault.RATE_LIMITED,
        "OpenAI, Anthropic, Mistral, Bedrock, DashScope codes",
        {400, 403, 409, 420, 422, 429, None},
        code=r"rate_?limit|too_?many_?requests|throttl|request_limit|rate_exceeded",
    ),
    row(Fault.RATE_LIMITED, "RFC 6585", {420, 429}),
    row(
        Fault.RATE_LIMITED,
        "MetaGPT#523; raycast#31107; quotas of GitHub-like gateways",
        {400, 403, None},
        r"rate[- ]?limit|too many requests|requests per (?:second|minute)|throttl",
    ),
)

_LATE: Final = (
    row(
        Fault.TIMEOUT,
        "RFC 9110; Cloudflare 522, 524; Ollama and Google 499",
        {408, 499, 504, 522, 524, 598, 599},
    ),
    row(
        Fault.TIMEOUT,
        "Anthropic timeout_error; Google DEADLINE_EXCEEDED; Bedrock",
        {500, 502, None},
        code=r"time_?out|deadline_exceeded|timedout",
    ),
    row(
        Fault.TIMEOUT,
        "LiteLLM proxy, vLLM, gateways",
        {500, 502, None},
        r"timed out|time-?out\b|deadline exceeded",
    ),
)

_BY_STATUS: Final = (
    row(Fault.AUTH_FAILED, "RFC 9110", {401, 407}),
    row(Fault.PERMISSION_DENIED, "RFC 9110; RFC 7725", {403, 451}),
    row(
        Fault.MODEL_NOT_FOUND, "Anthropic not_found_error; vLLM NotFoundError; a wrong path", {404}
    ),
    row(
        Fault.SERVER_ERROR,
        "Bedrock 424 ModelErrorException; OpenAI SDK retries 409",
        {409, 421, 423, 424, 425},
    ),
    row(Fault.INVALID_REQUEST, "RFC 9110: the rest of 4xx blames the caller", range(400, 500)),
    row(Fault.SERVER_ERROR, "RFC 9110; Cloudflare 520-530", SERVER),
    row(
        Fault.MALFORMED_RESPONSE,
        "a redirect is no answer: a captive portal or a wrong base URL",
        range(300, 400),
    ),
)

# For errors inside a stream, which have no status.
_BY_CODE: Final = (
    row(
        Fault.PERMISSION_DENIED,
        "Anthropic, Google",
        {None},
        code=r"permission|forbidden|accessdenied|access_denied",
    ),
    row(
        Fault.MODEL_NOT_FOUND,
        "Anthropic, Google, Bedrock",
        {None},
        code=r"not_?found|resourcenotfound",
    ),
    row(
        Fault.SERVER_ERROR,
        "Anthropic api_error; OpenAI server_error; maxx#284",
        {None},
        code=r"server_?error|api_error|\binternal|internal_?server|bad_gateway|modelstreamerror|"
        r"upstream|serviceerror",
    ),
    row(
        Fault.INVALID_REQUEST,
        "OpenAI, Anthropic, Google",
        {None},
        code=r"invalid_?request|invalid_argument|bad_?request|failed_precondition|validation|"
        r"unprocessable|out_of_range",
    ),
    row(
        Fault.SERVER_ERROR,
        "gateways",
        {None},
        r"internal (?:server )?error|bad gateway|upstream|provider returned error|server error",
    ),
    row(Fault.OVERLOADED, "Mistral 1100 in a stream", {None}, r"service unavailable|unavailable"),
)

ROWS: Final[tuple[Row, ...]] = (
    *LOCAL_ROWS,
    *KEY,
    *BLOCKED,
    *TOO_LARGE,
    *MODEL[:3],
    *MONEY,
    *_BUSY[:2],
    *MODEL[3:],
    *_SLOW_DOWN,
    *_LATE,
    *_BUSY[2:],
    *_BY_STATUS,
    *_BY_CODE,
)


@lru_cache(maxsize=512)
def _rows_for(wire: Wire, status: int | None) -> tuple[Row, ...]:
    """Return the rows that a wire and a status leave possible."""
    return tuple(
        candidate
        for candidate in ROWS
        if (candidate.wires is None or wire in candidate.wires)
        and (candidate.statuses is None or status in candidate.statuses)
    )


def diagnose(case: Case) -> Row | None:
    """Return the first row that fits, or None."""
    return next(
        (found for found in _rows_for(case.wire, case.status) if matches(found, case)), None
    )
