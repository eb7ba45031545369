"""Every place a provider says "later" in, and every way of saying it wrongly."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pilotlight.diagnosis.retry_after import LONGEST, retry_after

NOW = 1_795_000_000.0  # 2026-11-18


def http_date(offset: float) -> str:
    return format_datetime(datetime.fromtimestamp(NOW + offset, UTC), usegmt=True)


def rfc3339(offset: float) -> str:
    return datetime.fromtimestamp(NOW + offset, UTC).isoformat().replace("+00:00", "Z")


def info(delay: object) -> str:
    detail = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}
    return json.dumps({"error": {"code": 429, "details": [detail]}})


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"retry-after": "17"}, 17),
        ({"Retry-After": " 17 "}, 17),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "0"}, 0),
        ({"retry-after": "1m30s"}, 90),
        ({"retry-after": "20s"}, 20),
        ({"retry-after": http_date(45)}, 45),
        ({"retry-after": http_date(-45)}, 0),
        ({"retry-after": str(int(NOW + 30))}, 30),
        ({"retry-after": "999999"}, LONGEST),
        ({"retry-after": http_date(10**7)}, LONGEST),
        ({"retry-after": "1", "retry-after-ms": "644"}, 1),
        ({"retry-after": "1", "retry-after-ms": "0"}, 1),
        ({"retry-after": "0", "retry-after-ms": "2500"}, 2.5),
        ({"retry-after": "2, 7"}, 7),  # sent twice
        ({"x-ms-retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "junk", "retry-after": "3"}, 3),
    ],
)
def test_retry_after_headers(headers: dict[str, str], wait: float) -> None:
    assert retry_after(headers, "", NOW) == pytest.approx(wait)


@pytest.mark.parametrize(
    "value",
    ["", " ", "-5", "nan", "NaN", "inf", "-inf", "1e400", "1e3", "٣", "１２", "soon", "0x10",
     "1_000",
     "5; 6", "--", ".", "9" * 400, "Thu, 99 Foo 2026", "2026-13-45T99:99:99Z", "\x00", "1m30"],
)  # fmt: skip
@pytest.mark.parametrize(
    "name", ["retry-after", "retry-after-ms", "ratelimit-reset", "x-ratelimit-reset-tokens"]
)
def test_what_is_no_time_is_ignored(name: str, value: str) -> None:
    assert retry_after({name: value}, "", NOW) is None


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"x-ratelimit-reset-requests": "120ms", "x-ratelimit-remaining-requests": "0"}, 0.12),
        ({"x-ratelimit-reset-tokens": "6m0s", "x-ratelimit-remaining-tokens": "0"}, 360),
        ({"x-ratelimit-reset-tokens": "1h2m3.5s"}, LONGEST),
        (
            {
                "x-ratelimit-reset-requests": "6m0s",
                "x-ratelimit-remaining-requests": "499",
                "x-ratelimit-reset-tokens": "9.8s",
                "x-ratelimit-remaining-tokens": "0",
            },
            9.8,
        ),
        # Where one bucket is known to be empty, those of which nothing is known do not count.
        (
            {
                "x-ratelimit-reset-requests": "2m",
                "x-ratelimit-reset-tokens": "3s",
                "x-ratelimit-remaining-tokens": "0",
            },
            3,
        ),
        ({"x-ratelimit-reset-requests": "2m", "x-ratelimit-reset-tokens": "3s"}, 120),
        ({"x-ratelimit-reset-requests": "2m", "x-ratelimit-remaining-requests": "5"}, None),
        (
            {
                "anthropic-ratelimit-requests-remaining": "0",
                "anthropic-ratelimit-requests-reset": rfc3339(12),
                "anthropic-ratelimit-tokens-remaining": "100",
                "anthropic-ratelimit-tokens-reset": rfc3339(50),
            },
            12,
        ),
        (
            {
                "anthropic-ratelimit-tokens-remaining": "9",
                "anthropic-ratelimit-tokens-reset": rfc3339(9),
            },
            None,
        ),
        ({"ratelimitbysize-remaining": "0", "ratelimitbysize-reset": "31"}, 31),
        ({"ratelimit-reset": "8"}, 8),
        ({"ratelimit-remaining": "3", "ratelimit-reset": "8"}, None),
        ({"x-ratelimit-reset": str(int((NOW + 20) * 1000)), "x-ratelimit-remaining": "0"}, 20),
        ({"ratelimit": '"default";r=0;t=30'}, 30),
        ({"ratelimit": '"default";r=5;t=30'}, None),
    ],
)
def test_counters(headers: dict[str, str], wait: float | None) -> None:
    assert retry_after(headers, "", NOW) == (None if wait is None else pytest.approx(wait))


@pytest.mark.parametrize(
    ("body", "wait"),
    [
        (info("17s"), 17),
        (info("0.5s"), 0.5),
        (info("1e400s"), None),
        (info("-3s"), None),
        (info(None), None),
        (json.dumps({"error": {"message": info("9s")}}), 9),
        ('{"retry_after_ms": 1500}', 1.5),
        ('{"retry_after": 30}', 30),
        ("Please try again in 1m30s. Visit us", 90),
        ("Please try again in 9.816s.", 9.816),
        ("Please try again in 120ms.", 0.12),
        ("Please retry in 37.2s", 37.2),
        ("retry in 20 ms", 0.02),
        ("Please retry after 7 seconds.", 7),
        ("Please wait 20 seconds", 20),
        ("Try again in about 2 minutes", 120),
        ("try again in 1 hour, 5 minutes", LONGEST),
        ("Limit 10000, Used 8554. Please try again later.", None),
        ("you may try again in a moment", None),
        ("try again in ９s", None),
        ("the 30s limit", None),
        ("", None),
    ],
)
def test_bodies(body: str, wait: float | None) -> None:
    assert retry_after({}, body, NOW) == (None if wait is None else pytest.approx(wait))


WAITS = st.integers(0, 3000)


@given(WAITS, WAITS, WAITS, WAITS)
def test_of_contradicting_words_the_longest_wait_counts(header, ms, body, counter):
    headers = {
        "retry-after": str(header),
        "retry-after-ms": str(ms * 1000),
        "x-ratelimit-reset-tokens": f"{counter}s",  # a guess beside them
        "x-ratelimit-remaining-tokens": "0",
    }
    assert retry_after(headers, f"Please try again in {body}s.", NOW) == max(header, ms, body)


def test_the_counters_are_asked_last() -> None:
    counters = {"x-ratelimit-reset-tokens": "30s", "x-ratelimit-remaining-tokens": "0"}
    assert retry_after({**counters}, "", NOW) == 30
    assert retry_after({**counters}, "Please try again in 9.816s.", NOW) == pytest.approx(9.816)


def test_gemini_rounds_its_delay_down_so_the_longer_counts() -> None:
    body = info("20s") + " Please retry in 20.04466179s."
    assert retry_after({}, body, NOW) == pytest.approx(20.04466179)


NAMES = st.sampled_from(
    [
        "retry-after", "retry-after-ms", "x-ratelimit-reset-tokens", "x-ratelimit-remaining-tokens",
        "anthropic-ratelimit-tokens-reset", "anthropic-ratelimit-tokens-remaining",
        "ratelimit-reset", "ratelimit", "x-ratelimit-reset",
    ]
)  # fmt: skip
VALUES = (
    st.text(max_size=30)
    | st.integers().map(str)
    | st.floats().map(str)
    | st.datetimes().map(lambda d: d.isoformat())
    | st.from_regex(r"[0-9]{1,4}(h|m|s|ms)([0-9]{1,4}(m|s|ms))?", fullmatch=True)
)


@settings(max_examples=settings().max_examples * 5, deadline=None)
@given(st.dictionaries(NAMES, VALUES), VALUES.map("try again in {}".format) | VALUES.map(info))
@example({"anthropic-ratelimit-tokens-remaining": "0"}, "")
@example({"retry-after": "0001-01-01T00:00:00"}, "")
def test_it_never_raises_and_stays_within_bounds(headers: dict[str, str], body: str) -> None:
    wait = retry_after(headers, body, NOW)
    assert wait is None or 0 <= wait <= LONGEST


@pytest.mark.parametrize("filler", ["try again ", "1m", "retry in ", "9", '"retryDelay":'])
def test_hostile_bodies_are_read_to_the_end(filler: str) -> None:
    wait = retry_after({}, filler * 20_000, NOW)  # a pattern that backtracks would hang here
    assert wait is None or 0 <= wait <= LONGEST
