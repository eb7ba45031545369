"""OpenAI's refusals, and under `status=` those of the compatible: Groq 400, NVIDIA 410."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ..answers import Ask
from ..faults import Fault
from ..http import Json, Reply
from . import ENVOY_OVERFLOW, Builder, cloudflare, sizes_of, status_of, wait_of

HEADERS = {
    "openai-organization": "org-chaos",
    "openai-processing-ms": "57",
    "openai-version": "2020-10-01",
    "server": "cloudflare",
    "x-request-id": "req_bf2eadd66b9f5c652172871aebf34737",
}
INVALID = "invalid_request_error"
OVERLOADED = (
    "That model is currently overloaded with other requests. You can retry your request, or "
    "contact us through our help center at help.openai.com if the error persists."
)
SERVER_ERROR = "The server had an error while processing your request. Sorry about that!"


def error_body(message: str, kind: str, code: str | None = None, param: str | None = None) -> Json:
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def error(
    status: int,
    message: str,
    kind: str,
    code: str | None = None,
    param: str | None = None,
    **headers: str,
) -> Reply:
    return Reply(error_body(message, kind, code, param), status, {**HEADERS, **headers})


def refusal(ask: Ask, fault: Fault) -> Reply:
    return TABLE[fault.kind](ask, fault)


def rate_limit(ask: Ask, fault: Fault) -> Reply:
    wait = wait_of(fault)
    headers = {
        "x-ratelimit-limit-requests": "500",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "120ms" if wait is None else f"{wait:g}s",
    }
    hint = ""
    if wait is not None:
        headers |= {"retry-after": str(math.ceil(wait)), "retry-after-ms": str(int(wait * 1000))}
        hint = f" Please try again in {wait:g}s."
    message = (
        f"Rate limit reached for {ask.model} in organization org-chaos on requests per min (RPM):"
        f" Limit 500, Used 500, Requested 1.{hint}"
        " Visit https://platform.openai.com/account/rate-limits to learn more."
    )
    return error(429, message, "requests", "rate_limit_exceeded", None, **headers)


def quota(ask: Ask, fault: Fault) -> Reply:
    if status_of(fault, 429) == 400:
        return error(400, "Billing hard limit has been reached", INVALID,
                     "billing_hard_limit_reached")  # fmt: skip
    message = (
        "You exceeded your current quota, please check your plan and billing details. For more "
        "information on this error, read the docs: "
        "https://platform.openai.com/docs/guides/error-codes/api-errors."
    )
    return error(status_of(fault, 429), message, "insufficient_quota", "insufficient_quota")


def retired(ask: Ask, fault: Fault) -> Reply:
    match status_of(fault, 404):
        case 400:
            message = (
                f"The model `{ask.model}` has been decommissioned and is no longer supported. "
                "Please refer to https://console.groq.com/docs/deprecations for a recommendation "
                "on which model to use instead."
            )
            return Reply(
                {"error": {"message": message, "type": INVALID, "code": "model_decommissioned"}},
                400,
            )
        case 410:
            detail = (
                f"The model '{ask.model}' has reached its end of life on 2026-08-07T09:00:00Z "
                "and is no longer available."
            )
            gone = {"type": "about:blank", "title": "Gone", "status": 410, "detail": detail}
            return Reply(gone, 410, {"content-type": "application/problem+json"})
        case status:
            message = (
                f"The model `{ask.model}` has been deprecated, learn more here: "
                "https://platform.openai.com/docs/deprecations"
            )
            return error(status, message, INVALID, "model_not_found")


def context(ask: Ask, fault: Fault) -> Reply:
    tokens, limit = sizes_of(ask, fault, (202868, 128000))
    message = (
        f"This model's maximum context length is {limit} tokens. However, your messages resulted "
        f"in {tokens} tokens. Please reduce the length of the messages."
    )
    return error(400, message, INVALID, "context_length_exceeded", "messages")


def content_filter(ask: Ask, fault: Fault) -> Reply:
    message = (
        "Invalid prompt: your prompt was flagged as potentially violating our usage policy. "
        "Please try again with a different prompt: "
        "https://platform.openai.com/docs/guides/reasoning#advice-on-prompting"
    )
    return error(status_of(fault, 400), message, INVALID, "invalid_prompt")


def auth(ask: Ask, fault: Fault) -> Reply:
    message = (
        "Incorrect API key provided: sk-false. You can find your API key at "
        "https://platform.openai.com/account/api-keys."
    )
    return error(401, message, INVALID, "invalid_api_key")


def permission(ask: Ask, fault: Fault) -> Reply:
    message = "Country, region, or territory not supported"
    return error(403, message, "request_forbidden", "unsupported_country_region_territory")


def not_found(ask: Ask, fault: Fault) -> Reply:
    message = f"The model `{ask.model}` does not exist or you do not have access to it."
    return error(404, message, INVALID, "model_not_found")


def bad_request(ask: Ask, fault: Fault) -> Reply:
    message = "Invalid value for 'temperature': expected a number between 0 and 2."
    return error(400, message, INVALID, None, "temperature")


TABLE: Mapping[str, Builder] = {
    "server_error": lambda ask, fault: error(500, SERVER_ERROR, "server_error"),
    "bad_gateway": lambda ask, fault: cloudflare("502 Bad Gateway", 502),
    "overloaded": lambda ask, fault: error(503, OVERLOADED, "server_error"),
    "unavailable": lambda ask, fault: Reply(ENVOY_OVERFLOW, 503),
    "gateway_timeout": lambda ask, fault: cloudflare("504 Gateway Time-out", 504),
    "http_error": lambda ask, fault: error(status_of(fault, 500), "Scripted error", "api_error"),
    "rate_limit": rate_limit,
    "quota": quota,
    "auth": auth,
    "permission": permission,
    "retired": retired,
    "not_found": not_found,
    "context": context,
    "too_large": lambda ask, fault: cloudflare("413 Request Entity Too Large", 413),
    "bad_request": bad_request,
    "content_filter": content_filter,
}
