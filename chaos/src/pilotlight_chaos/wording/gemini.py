"""Gemini's refusals.  The delay of a rate limit is in the body only; a bad key is a 400."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..answers import Ask
from ..faults import Fault
from ..http import Json, Reply, html
from . import ENVOY_OVERFLOW, Builder, sizes_of, status_of, wait_of

HEADERS = {
    "content-type": "application/json; charset=UTF-8",
    "server": "scaffolding on HTTPServer2",
}
TYPE = "type.googleapis.com/google.rpc."
OVERLOADED = "The model is overloaded. Please try again later."
INTERNAL = (
    "An internal error has occurred. Please retry or report in "
    "https://developers.generativeai.google/guide/troubleshooting"
)
PLAN = (
    "You exceeded your current quota, please check your plan and billing details. For more "
    "information on this error, head to: https://ai.google.dev/gemini-api/docs/rate-limits. "
    "To monitor your current usage, head to: https://ai.dev/rate-limit. "
)


def error_body(code: int, message: str, status: str, details: Sequence[Json] = ()) -> Json:
    body: Json = {"code": code, "message": message, "status": status}
    if details:
        body["details"] = list(details)
    return {"error": body}


def error(code: int, message: str, status: str, details: Sequence[Json] = ()) -> Reply:
    return Reply(error_body(code, message, status, details), code, HEADERS)


def refusal(ask: Ask, fault: Fault) -> Reply:
    return TABLE[fault.kind](ask, fault)


def _exceeded(ask: Ask, metric: str, limit: int, quota_id: str, wait: float | None) -> Reply:
    metric = f"generativelanguage.googleapis.com/{metric}"
    retry = "" if wait is None else f"\nPlease retry in {wait:g}s."
    message = f"{PLAN}\n* Quota exceeded for metric: {metric}, limit: {limit}, model: {ask.model}"
    violation = {
        "quotaMetric": metric,
        "quotaId": quota_id,
        "quotaDimensions": {"location": "global", "model": ask.model},
        "quotaValue": str(limit),
    }
    details: list[Json] = [{"@type": f"{TYPE}QuotaFailure", "violations": [violation]}]
    if wait is not None:
        details.append({"@type": f"{TYPE}RetryInfo", "retryDelay": f"{wait:g}s"})
    return error(429, message + retry, "RESOURCE_EXHAUSTED", details)


def rate_limit(ask: Ask, fault: Fault) -> Reply:
    quota_id = "GenerateRequestsPerMinutePerProjectPerModel"
    metric = "generate_content_paid_tier_requests"
    return _exceeded(ask, metric, 150, quota_id, wait_of(fault))


def quota(ask: Ask, fault: Fault) -> Reply:
    # A quota of the day carries a delay of seconds all the same: a trap worth playing.
    quota_id = "GenerateRequestsPerDayPerProjectPerModel-FreeTier"
    return _exceeded(ask, "generate_content_free_tier_requests", 50, quota_id, 38.9)


def auth(ask: Ask, fault: Fault) -> Reply:
    details = {
        "@type": f"{TYPE}ErrorInfo",
        "reason": "API_KEY_INVALID",
        "domain": "googleapis.com",
        "metadata": {"service": "generativelanguage.googleapis.com"},
    }
    message = "API key not valid. Please pass a valid API key."
    return error(400, message, "INVALID_ARGUMENT", [details])


def model_unknown(ask: Ask, fault: Fault) -> Reply:
    message = (
        f"models/{ask.model} is not found for API version v1beta, or is not supported for "
        "generateContent. Call ListModels to see the list of available models and their "
        "supported methods."
    )
    return error(status_of(fault, 404), message, "NOT_FOUND")


def bad_gateway(ask: Ask, fault: Fault) -> Reply:
    return html(
        "<!DOCTYPE html>\n<html lang=en>\n  <title>Error 502 (Server Error)!!1</title>\n"
        "  <p><b>502.</b> <ins>That's an error.</ins>\n"
        "  <p>The server encountered a temporary error and could not complete your request.",
        502,
    )


def context(ask: Ask, fault: Fault) -> Reply:
    tokens, limit = sizes_of(ask, fault, (1300005, 1048576))
    message = (
        f"The input token count ({tokens}) exceeds the maximum number of tokens allowed ({limit})."
    )
    return error(400, message, "INVALID_ARGUMENT")


def bad_request(ask: Ask, fault: Fault) -> Reply:
    message = (
        "Invalid JSON payload received. Unknown name \"foo\" at 'generation_config': "
        "Cannot find field."
    )
    violations = [{"field": "generation_config"}]
    details = {"@type": f"{TYPE}BadRequest", "fieldViolations": violations}
    return error(400, message, "INVALID_ARGUMENT", [details])


def permission(ask: Ask, fault: Fault) -> Reply:
    return error(403, "The caller does not have permission", "PERMISSION_DENIED")


def too_large(ask: Ask, fault: Fault) -> Reply:
    message = "Request payload size exceeds the limit: 20971520 bytes."
    return error(400, message, "INVALID_ARGUMENT")


TABLE: Mapping[str, Builder] = {
    "server_error": lambda ask, fault: error(500, INTERNAL, "INTERNAL"),
    "bad_gateway": bad_gateway,
    "overloaded": lambda ask, fault: error(503, OVERLOADED, "UNAVAILABLE"),
    "unavailable": lambda ask, fault: Reply(ENVOY_OVERFLOW, 503),
    "gateway_timeout": lambda ask, fault: error(
        504, "The request timed out. Please try again.", "DEADLINE_EXCEEDED"
    ),
    "http_error": lambda ask, fault: error(status_of(fault, 500), "Scripted error", "UNKNOWN"),
    "rate_limit": rate_limit,
    "quota": quota,
    "auth": auth,
    "permission": permission,
    "retired": model_unknown,
    "not_found": model_unknown,
    "context": context,
    "too_large": too_large,
    "bad_request": bad_request,
    # No entry for content_filter: Gemini blocks under status 200, by its finish reason.
}
