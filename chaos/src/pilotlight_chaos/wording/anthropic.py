"""Anthropic's refusals."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ..answers import Ask
from ..faults import Fault
from ..http import Json, Reply
from . import ENVOY_OVERFLOW, Builder, cloudflare, sizes_of, status_of, wait_of

REQUEST_ID = "req_011CcR9mkMvXdaiWP4739PSN"
HEADERS = {"request-id": REQUEST_ID, "server": "cloudflare", "via": "1.1 google"}
INVALID = "invalid_request_error"


def error_body(kind: str, message: str) -> Json:
    return {
        "type": "error",
        "error": {"type": kind, "message": message},
        "request_id": REQUEST_ID,
    }


def error(status: int, kind: str, message: str, **headers: str) -> Reply:
    return Reply(error_body(kind, message), status, {**HEADERS, **headers})


def refusal(ask: Ask, fault: Fault) -> Reply:
    return TABLE[fault.kind](ask, fault)


def rate_limit(ask: Ask, fault: Fault) -> Reply:
    wait = wait_of(fault)
    headers = {
        "anthropic-ratelimit-requests-limit": "50",
        "anthropic-ratelimit-requests-remaining": "0",
    }
    if wait is not None:
        headers["retry-after"] = str(math.ceil(wait))
    message = "This request would exceed your account's rate limit. Please try again later."
    return error(429, "rate_limit_error", message, **headers)


def quota(ask: Ask, fault: Fault) -> Reply:
    if status_of(fault, 400) == 402:
        message = (
            "There's an issue with your billing or payment information. "
            "Check your payment details in the Console."
        )
        return error(402, "billing_error", message)
    message = (
        "Your credit balance is too low to access the Anthropic API. "
        "Please go to Plans & Billing to upgrade or purchase credits."
    )
    return error(status_of(fault, 400), INVALID, message)


def permission(ask: Ask, fault: Fault) -> Reply:
    # The region block comes from the edge, in another envelope than the API's own errors.
    return Reply({"error": {"type": "forbidden", "message": "Request not allowed"}}, 403, HEADERS)


def model_unknown(ask: Ask, fault: Fault) -> Reply:
    """Retired and never heard of: the provider says the same."""
    return error(status_of(fault, 404), "not_found_error", f"model: {ask.model}")


def gateway_timeout(ask: Ask, fault: Fault) -> Reply:
    message = "Request timed out. Consider using streaming for long-running requests."
    return error(504, "timeout_error", message)


def context(ask: Ask, fault: Fault) -> Reply:
    tokens, limit = sizes_of(ask, fault, (210037, 200000))
    return error(400, INVALID, f"prompt is too long: {tokens} tokens > {limit} maximum")


def content_filter(ask: Ask, fault: Fault) -> Reply:
    return error(status_of(fault, 400), INVALID, "Output blocked by content filtering policy")


TABLE: Mapping[str, Builder] = {
    "server_error": lambda ask, fault: error(500, "api_error", "Internal server error"),
    "bad_gateway": lambda ask, fault: cloudflare("502 Bad Gateway", 502),
    "overloaded": lambda ask, fault: error(529, "overloaded_error", "Overloaded"),
    "unavailable": lambda ask, fault: Reply(ENVOY_OVERFLOW, 503, HEADERS),
    "gateway_timeout": gateway_timeout,
    "http_error": lambda ask, fault: error(status_of(fault, 500), "api_error", "Scripted error"),
    "rate_limit": rate_limit,
    "quota": quota,
    "auth": lambda ask, fault: error(401, "authentication_error", "invalid x-api-key"),
    "permission": permission,
    "retired": model_unknown,
    "not_found": model_unknown,
    "context": context,
    "too_large": lambda ask, fault: error(
        413, "request_too_large", "Request exceeds the maximum size"
    ),
    "bad_request": lambda ask, fault: error(
        400, INVALID, "temperature: Input should be less than or equal to 1"
    ),
    "content_filter": content_filter,
}
