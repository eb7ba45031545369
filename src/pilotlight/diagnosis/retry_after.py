"""When to ask again: the provider's own word for it, from any of a dozen places.

Every value is checked and bounded, because a wait that a server can choose freely
is a way to be stopped by a server.
"""

from __future__ import annotations

import email.utils
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Final

# An hour: no per-minute limit lasts longer, and a longer break than that is asked for by
# mistake (an epoch as seconds, a broken clock) or is a quota, which has a break of its own.
LONGEST: Final = 3600.0

_BODY_LIMIT: Final = 8192
_NUMBER: Final = re.compile(r"[0-9]{1,15}(?:\.[0-9]{0,12})?|\.[0-9]{1,12}")
_UNITS: Final[Mapping[str, float]] = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "μs": 1e-6,
    "ms": 1e-3,
    "millisecond": 1e-3,
    "s": 1.0,
    "sec": 1.0,
    "second": 1.0,
    "m": 60.0,
    "min": 60.0,
    "minute": 60.0,
    "h": 3600.0,
    "hr": 3600.0,
    "hour": 3600.0,
    "d": 86400.0,
    "day": 86400.0,
}
_PART: Final = re.compile(
    r"([0-9]{1,12}(?:\.[0-9]{1,12})?)\s?"
    r"(milliseconds?|seconds?|minutes?|hours?|days?|secs?|mins?|hrs?|ns|us|µs|μs|ms|s|m|h|d)"
    r"(?![A-Za-z])(?:,?\s(?=[0-9]))?"
)
# "Please try again in 9.816s", "Please retry after 7 seconds", "available in about 2 minutes"
_WORDS: Final = re.compile(
    r"(?:try(?:ing)? again|retry(?:ing)?|wait|available|resets?|replenished|regain access)\b"
    r"(?:[^.\n;0-9]{0,40}?\b(?:in|after|for))?[:\s]+"
    r"(?:about |approximately |~ ?|at least )?(?=[0-9])",
    re.IGNORECASE,
)
_RETRY_DELAY: Final = re.compile(
    r'"retry_?(?:delay|after)(?:_?(?:ms|seconds|s))?\\?"\s*:\s*\\?"?'
    r"([0-9.]{1,20})(ms|s|)(?![\w.])",
    re.IGNORECASE,
)
_IN_MS: Final = re.compile(r"(?i)ms\\?\"")
_RATELIMIT_T: Final = re.compile(r"\br=([0-9]{1,12})\b.*?\bt=([0-9]{1,12})\b")
_RESET: Final = "x-ratelimit-reset-"
_EPOCH: Final = 1e9  # larger numbers are moments, not lengths; from here on in milliseconds:
_EPOCH_MS: Final = 1e12


def retry_after(headers: Mapping[str, str], body_text: str, now_epoch: float) -> float | None:
    """Return how many seconds to wait, from 0 to `LONGEST`, or None if nothing says so.

    Headers and body may contradict one another, and to come back too early is to be refused
    again: the longest wait counts.  The counters of single rate-limit buckets are a guess, and
    are asked only where nothing else is said.
    """
    lower = {str(name).lower(): str(value)[:200] for name, value in headers.items()}
    told = [*_plain_headers(lower, now_epoch), *_from_body(body_text[:_BODY_LIMIT])]
    wait = max(told) if told else _from_counters(lower, now_epoch)
    return None if wait is None else min(max(wait, 0.0), LONGEST)


def _plain_headers(headers: Mapping[str, str], now_epoch: float) -> Iterator[float]:
    """Yield what `Retry-After` and its millisecond relatives say; names in lower case."""
    for name in ("retry-after-ms", "x-ms-retry-after-ms", "x-retry-after-ms"):
        for value in _each(headers.get(name, "")):
            if (number := _number(value)) is not None:
                yield number / 1000
    for name in ("retry-after", "x-retry-after"):
        for value in _each(headers.get(name, "")):
            if (wait := _moment_or_length(value, now_epoch)) is not None:
                yield wait


def _each(value: str) -> list[str]:
    """Part what a header that was sent twice says; a date has a comma of its own."""
    return [value] if "GMT" in value else value.split(",")


def _number(text: str) -> float | None:
    """Return a plain decimal number; no signs, no exponents, no digits of other scripts."""
    text = text.strip()
    if not text.isascii() or not _NUMBER.fullmatch(text):
        return None
    return float(text)


def _moment_or_length(text: str, now_epoch: float) -> float | None:
    """Read seconds, a duration like 1m30s, an epoch, an HTTP date or RFC 3339."""
    value = _number(text)
    if value is None:
        value = _duration(text)
    if value is None:
        moment = _moment(text)
        return None if moment is None else max(moment - now_epoch, 0.0)
    if value >= _EPOCH_MS:
        return max(value / 1000 - now_epoch, 0.0)
    return max(value - now_epoch, 0.0) if value >= _EPOCH else value


def _moment(text: str) -> float | None:
    """Read a date, as HTTP or as RFC 3339 writes it."""
    text = text.strip()
    if not text.isascii() or not 10 <= len(text) <= 40:
        return None
    try:
        if text[:4].isdigit():
            when = datetime.fromisoformat(text)
        else:
            when = email.utils.parsedate_to_datetime(text)
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError, TypeError, IndexError, OSError):
        return None


def _duration(text: str) -> float | None:
    """Read a duration such as 120ms, 6m0s or 1h2m3.5s, and nothing but that."""
    text = text.strip()
    length, end = _leading_duration(text)
    return length if length is not None and end == len(text) else None


def _leading_duration(text: str) -> tuple[float | None, int]:
    """Read a duration at the beginning of a text; return it and where it ends."""
    total: float | None = None
    end = 0
    while (part := _PART.match(text, end)) and part.end() > end:
        unit = part[2] if part[2] in _UNITS else part[2].removesuffix("s")
        total = (total or 0.0) + float(part[1]) * _UNITS[unit]
        end = part.end()
    return total, end


def _from_body(body: str) -> Iterator[float]:
    """Yield all that the body names: Gemini rounds one of its two numbers down."""
    yield from _structured(body)
    yield from _worded(body)


def _structured(body: str) -> Iterator[float]:
    for match in _RETRY_DELAY.finditer(body):
        value = _number(match[1])
        if value is not None:
            in_ms = match[2] == "ms" or _IN_MS.search(match[0]) is not None
            yield value / 1000 if in_ms else value


def _worded(body: str) -> Iterator[float]:
    for match in _WORDS.finditer(body):
        rest = body[match.end() : match.end() + 60].lower()
        length, _ = _leading_duration(rest)
        if length is not None:
            yield length


def _from_counters(headers: Mapping[str, str], now_epoch: float) -> float | None:
    for read in (_from_buckets, _from_anthropic, _from_reset):
        wait = read(headers, now_epoch)
        if wait is not None:
            return wait
    return None


def _from_buckets(headers: Mapping[str, str], now_epoch: float) -> float | None:
    """Read the OpenAI family's buckets: the empty ones, or those of which nothing is told."""
    empty: list[float] = []
    untold: list[float] = []
    for name, value in headers.items():
        wait = _moment_or_length(value, now_epoch) if name.startswith(_RESET) else None
        if wait is None:
            continue
        remaining = headers.get(name.replace("-reset-", "-remaining-"))
        if remaining is None:
            untold.append(wait)
        elif _number(remaining) == 0:
            empty.append(wait)
    return max(empty or untold, default=None)


def _from_anthropic(headers: Mapping[str, str], now_epoch: float) -> float | None:
    """Read Anthropic's buckets, whose ends are moments; some send no end of their own."""
    waits: list[float] = []
    for name, value in headers.items():
        if not (name.startswith("anthropic-") and name.endswith("-remaining")):
            continue
        moment = _moment(headers.get(name.removesuffix("-remaining") + "-reset", ""))
        if _number(value) == 0 and moment is not None:
            waits.append(max(moment - now_epoch, 0.0))
    return max(waits) if waits else None


def _from_reset(headers: Mapping[str, str], now_epoch: float) -> float | None:
    """Read the single-bucket headers of Kong, OpenRouter and the IETF drafts."""
    for stem in ("ratelimit", "ratelimitbysize", "x-ratelimit"):
        if _number(headers.get(f"{stem}-remaining", "0")) != 0:
            continue
        value = _moment_or_length(headers.get(f"{stem}-reset", ""), now_epoch)
        if value is not None:
            return value
    match = _RATELIMIT_T.search(headers.get("ratelimit", ""))
    return float(match[2]) if match and int(match[1]) == 0 else None
