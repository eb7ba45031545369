# ruff: noqa: E501 - a body reads best in one line
"""The classifier against the corpus, against other providers' words, and against garbage.

Long, because it is a table: one line for each wording that a provider was seen to use.
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
import ssl
from pathlib import Path
from typing import Any

import anthropic
import google.genai.errors
import httpx
import ollama
import openai
import pydantic
import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pilotlight.catalog import retired
from pilotlight.core.provider import Timeouts
from pilotlight.diagnosis.classify import (
    AnswerView,
    Verdict,
    classify,
    classify_exception,
    judge,
    judge_wire,
    substituted,
)
from pilotlight.diagnosis.evidence import LIMIT, scrub
from pilotlight.diagnosis.rows_faults import ROWS
from pilotlight.vocabulary.faults import Fault
from pilotlight.wire.events.scanner import BodyScanner, Scanner
from pilotlight.wire.tap import Tap

CORPUS = json.loads((Path(__file__).parents[1] / "corpus.json").read_text("utf-8"))
WIRES = {
    "anthropic": "anthropic",
    "gemini": "gemini",
    "stability": "stability",
    "ollama": "ollama",
    "ollama_generate": "ollama",
}
GOOD = {"ok", "ok_slow", "ok_deprecated"}
PLAIN = {"sync", "async", "image_sync", "image_async"}
HEAD = 16 * 1024


# Building taps.


def new_tap(wire: str = "openai", status: int | None = None, body: bytes = b"", **more: Any) -> Tap:
    tap = Tap(wire, Timeouts(), clock=lambda: 100.0)  # type: ignore[arg-type]
    tap.requests, tap.status, tap.head = 1, status, body[:HEAD]
    tap.received, tap.complete = len(body), status is not None
    for name, value in more.items():
        setattr(tap, name, value)
    return tap


def scanned(tap: Tap, body: bytes, *, complete: bool = True) -> Tap:
    """Fill a tap as the transport does."""
    scanner = (Scanner if tap.streaming else BodyScanner)(tap.wire)
    scanner.feed(body)
    if complete:
        scanner.finish()
    tap.head, tap.received, tap.complete = body[:HEAD], len(body), complete
    tap.contents, tap.terminal = scanner.contents, scanner.terminal
    tap.in_band_error = scanner.error
    tap.last_content_at = 50.0 if tap.contents else None
    return tap


def wire_of(entry: dict[str, Any]) -> str:
    return WIRES.get(entry["provider"], "openai")


def body_of(entry: dict[str, Any]) -> bytes:
    body = entry.get("body")
    return body.encode() if isinstance(body, str) else json.dumps(body or {}).encode()


def sse(data: Any, event: str = "") -> str:
    return (f"event: {event}\n" if event else "") + f"data: {json.dumps(data)}\n\n"


def openai_events(texts: list[str], finish: str | None) -> list[str]:
    def chunk(delta: dict[str, Any], reason: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return sse({"id": "c", "object": "chat.completion.chunk", "choices": [choice]})

    events = [chunk({"role": "assistant", "content": ""})]
    events += [chunk({"content": text}) for text in texts]
    return [*events, chunk({}, finish), "data: [DONE]\n\n"] if finish else events


def anthropic_events(texts: list[str], finish: str | None) -> list[str]:
    def event(kind: str, **more: Any) -> str:
        return sse({"type": kind, **more}, kind)

    events = [
        event("message_start", message={"id": "m", "role": "assistant", "content": []}),
        event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
    ]
    events += [
        event("content_block_delta", index=0, delta={"type": "text_delta", "text": text})
        for text in texts
    ]
    if finish:
        events.append(event("content_block_stop", index=0))
        events.append(event("message_delta", delta={"stop_reason": finish}))
        events.append(event("message_stop"))
    return events


def gemini_events(texts: list[str], finish: str | None) -> list[str]:
    def event(text: str, **more: Any) -> str:
        content = {"parts": [{"text": text}], "role": "model"}
        data = {"candidates": [{"content": content, **more}], "modelVersion": "gemini-2.5-pro"}
        return f"data: {json.dumps(data)}\r\n\r\n"

    return [event(text) for text in texts] + ([event("", finishReason=finish)] if finish else [])


def ollama_events(texts: list[str], finish: str | None) -> list[str]:
    def line(text: str, **more: Any) -> str:
        message = {"role": "assistant", "content": text}
        return json.dumps({"model": "m", "message": message, "done": False, **more}) + "\n"

    return [line(text) for text in texts] + (
        [line("", done=True, done_reason=finish)] if finish else []
    )


EVENTS = {
    "openai": openai_events,
    "anthropic": anthropic_events,
    "gemini": gemini_events,
    "ollama": ollama_events,
}


def stream_tap(entry: dict[str, Any]) -> tuple[Tap, AnswerView, BaseException | None]:
    """Return what a streaming call sees of an entry: tap, litellm-like answer, exception."""
    spec, wire = entry["stream"], wire_of(entry)
    if "raw" in spec:
        parts, texts, finish = list(spec["raw"]), [], None
    else:
        texts, finish = spec["texts"], spec.get("finish")
        parts = EVENTS[spec["format"]](texts, finish) + spec.get("then", [])
    kind = "application/x-ndjson" if wire == "ollama" else "text/event-stream; charset=utf-8"
    tap = new_tap(wire, 200, streaming=True, headers={"content-type": kind})
    scanned(tap, "".join(parts).encode(), complete=spec["end"] in ("clean", "clean_noend", "eof"))
    error: BaseException | None = None
    if spec["end"] == "cut":
        error = httpx.RemoteProtocolError("peer closed connection (incomplete chunked read)")
    elif spec["end"] == "reset":
        error = caused(httpx.ReadError(""), ConnectionResetError(104, "reset by peer"))
    elif spec["end"] in ("stall", "keepalive"):
        tap.expired = "between_tokens"
        error = httpx.ReadTimeout("")
    view = AnswerView(1 if texts or finish else 0, "".join(texts), finish_reason=finish or "stop")
    return tap, view, error


def answer_view(entry: dict[str, Any]) -> AnswerView:
    """Read a healthy or a faulty 200 body as an SDK would."""
    body = entry.get("body")
    asked = entry["model"].partition("/")[2]
    if not isinstance(body, dict):
        return AnswerView(0, None, model_asked=asked)
    text, finish, choices = None, None, 0
    answered = body.get("model") or body.get("modelVersion")
    if body.get("choices"):
        choice = body["choices"][0]
        text, finish, choices = choice["message"]["content"], choice["finish_reason"], 1
    elif "stop_reason" in body:
        text = "".join(part["text"] for part in body["content"])
        finish, choices = body["stop_reason"], 1
    elif body.get("candidates"):
        candidate = body["candidates"][0]
        text = "".join(part["text"] for part in candidate.get("content", {}).get("parts", []))
        finish, choices = candidate["finishReason"], 1
    elif "done" in body:
        text, finish, choices = body["response"], body["done_reason"], 1
    elif "image" in body:
        return AnswerView(1, other_content=True, finish_reason=body["finish_reason"])
    return AnswerView(
        choices, text, finish_reason=finish, model_asked=asked, model_answered=answered
    )


def caused(error: BaseException, *causes: BaseException) -> BaseException:
    for outer, inner in zip((error, *causes), causes, strict=False):
        outer.__context__ = inner
    return error


def below_http(kind: str) -> BaseException:
    """Return what the openai SDK raises for a fault below HTTP."""
    root: BaseException
    if kind == "refused":
        root = ConnectionRefusedError(111, "Connection refused")
    elif kind == "dns":
        root = socket.gaierror(-2, "Name or service not known")
    else:
        root = ssl.SSLCertVerificationError(1, "certificate verify failed: self-signed")
    request = httpx.Request("POST", "http://x")
    return caused(openai.APIConnectionError(request=request), httpx.ConnectError("failed"), root)


def transport_case(entry: dict[str, Any]) -> Verdict | None:
    kind = entry["transport"]["kind"]
    if kind == "hang":
        tap = new_tap(wire_of(entry), expired="first_token")
        return classify(tap, httpx.ReadTimeout("read timed out"))
    return classify(new_tap(wire_of(entry)), below_http(kind))


def plain_case(entry: dict[str, Any]) -> Verdict | None:
    tap = new_tap(wire_of(entry), entry["status"], body_of(entry), headers=entry["headers"])
    if entry["status"] != 200:
        return classify(tap, None)
    scanned(tap, body_of(entry))
    return judge(tap, answer_view(entry))


def fault_name(verdict: Verdict | None) -> str:
    return "ok" if verdict is None else str(verdict.fault)


def expected(entry: dict[str, Any]) -> str:
    name = entry["expected_class"]
    # Whether another model may answer is the route's policy; `substituted` tells that it did.
    return "ok" if name in GOOD or name == "model_substituted" else name


def entries(*, stream: bool) -> list[Any]:
    """Return the entries that apply to a mode, and that are not below HTTP."""
    found = []
    for entry in CORPUS:
        kind = (entry.get("transport") or {}).get("kind", "delay")
        in_stream = bool(entry.get("stream")) and entry["status"] == 200
        in_mode = in_stream if stream else bool(PLAIN & set(entry["modes"]))
        if kind == "delay" and in_mode and (stream or entry.get("body") is not None):
            found.append(pytest.param(entry, id=entry["id"]))
    return found


# The corpus.


def test_the_corpus_is_whole_and_every_entry_is_covered() -> None:
    covered = {p.id for p in entries(stream=False)} | {p.id for p in entries(stream=True)}
    below = {e["id"] for e in CORPUS if e.get("transport")}
    assert len(CORPUS) == 141
    assert covered | below == {e["id"] for e in CORPUS}


@pytest.mark.parametrize("entry", entries(stream=False))
def test_corpus_plain(entry: dict[str, Any]) -> None:
    assert fault_name(plain_case(entry)) == expected(entry)


@pytest.mark.parametrize("entry", entries(stream=True))
def test_corpus_stream(entry: dict[str, Any]) -> None:
    tap, view, error = stream_tap(entry)
    if error is None:
        assert fault_name(judge(tap, view)) == expected(entry)
    if expected(entry) != "ok" and (error or tap.in_band_error):
        assert classify(tap, error).fault == expected(entry)


@pytest.mark.parametrize(
    "entry",
    [pytest.param(e, id=e["id"]) for e in CORPUS if (e.get("transport") or {}).get("kind")],
)
def test_corpus_below_http(entry: dict[str, Any]) -> None:
    if entry["transport"]["kind"] == "delay":
        assert plain_case(entry) is None
    else:
        assert fault_name(transport_case(entry)) == expected(entry)


@pytest.mark.parametrize("entry", [e for e in CORPUS if e["expected_class"] == "model_substituted"])
def test_corpus_substitutions(entry: dict[str, Any]) -> None:
    view = answer_view(entry)
    assert substituted(view.model_asked or "", view.model_answered or "")


def test_corpus_waits() -> None:
    waits = {
        e["id"]: getattr(plain_case(e), "retry_after", None) for e in CORPUS if e["status"] > 200
    }
    assert waits["openai.rate_limit.rpm"] == 1  # and 644 ms
    assert waits["openai.rate_limit.tpm"] == 10
    assert waits["anthropic.rate_limit.rpm"] == 23
    assert waits["gemini.rate_limit.rpm"] == pytest.approx(20.04466179)
    assert waits["gemini.rate_limit.rpd"] is None  # it names seconds and means hours
    assert waits["mistral.rate_limit.2026"] == 31


# Other providers, other words.

E = "error"
OTHERS: list[tuple[str, int, Any, Fault]] = [
    # quota
    ("openai", 429, {E: {"message": "You exceeded your current quota, please check your plan and billing details.", "type": "insufficient_quota", "code": "insufficient_quota"}}, Fault.QUOTA_EXHAUSTED),
    ("openai", 429, {E: {"message": "Your account is not active, please check your billing details", "type": "billing_not_active", "code": "billing_not_active"}}, Fault.QUOTA_EXHAUSTED),
    ("openai", 402, {E: {"message": "Insufficient Balance", "type": "unknown_error", "code": "invalid_request_error"}}, Fault.QUOTA_EXHAUSTED),
    ("openai", 429, {E: {"message": "Rate limit exceeded: free-models-per-day. Add 10 credits to unlock", "code": 429}}, Fault.QUOTA_EXHAUSTED),
    ("openai", 402, {E: {"message": "This request requires more credits, or fewer max_tokens.", "code": 402}}, Fault.QUOTA_EXHAUSTED),
    ("openai", 429, {E: {"message": "Rate limit reached for model `llama-3.3-70b-versatile` in organization `org_01` on tokens per day (TPD): Limit 100000, Used 99000. Please try again in 7m12s. Need more tokens? Upgrade at https://console.groq.com/settings/billing", "type": "tokens", "code": "rate_limit_exceeded"}}, Fault.QUOTA_EXHAUSTED),
    ("openai", 429, {E: {"message": "Rate limit reached for model `llama-3.3-70b-versatile` on tokens per minute (TPM): Limit 6000. Please try again in 12.5s. Need more tokens? Upgrade at https://console.groq.com/settings/billing", "type": "tokens", "code": "rate_limit_exceeded"}}, Fault.RATE_LIMITED),
    ("openai", 403, {"code": "The caller does not have permission", E: "Your newly created team doesn't have any credits yet."}, Fault.QUOTA_EXHAUSTED),
    ("openai", 412, {E: {"message": "Account x is suspended, possibly due to reaching the monthly spending limit or failure to pay past invoices."}}, Fault.QUOTA_EXHAUSTED),
    ("openai", 403, {"statusCode": 403, "message": "Out of call volume quota. Quota will be replenished in 2.00:10:00."}, Fault.QUOTA_EXHAUSTED),
    ("other", 400, {"__type": "ServiceQuotaExceededException", "message": "Your request exceeds the service quota for your account."}, Fault.QUOTA_EXHAUSTED),
    ("other", 429, {"message": "You are using a Trial key, which is limited to 1000 API calls / month."}, Fault.QUOTA_EXHAUSTED),
    ("other", 429, {"message": "You are using a Trial key, which is limited to 40 API calls / minute."}, Fault.RATE_LIMITED),
    ("gemini", 429, {E: {"code": 429, "message": "Your project has exceeded its monthly spending cap.", "status": "RESOURCE_EXHAUSTED"}}, Fault.QUOTA_EXHAUSTED),
    ("gemini", 403, {E: {"code": 403, "message": "This API method requires billing to be enabled.", "status": "PERMISSION_DENIED"}}, Fault.QUOTA_EXHAUSTED),
    ("openai", 429, [{E: {"code": 429, "message": "You exceeded your current quota, please check your plan and billing details. Please retry in 5s.", "status": "RESOURCE_EXHAUSTED"}}], Fault.RATE_LIMITED),
    ("ollama", 429, {E: "you've reached your weekly usage limit, please upgrade to continue: https://ollama.com/upgrade"}, Fault.QUOTA_EXHAUSTED),
    ("anthropic", 429, {"type": E, E: {"type": "rate_limit_error", "message": "Number of request tokens has exceeded your daily rate limit."}}, Fault.QUOTA_EXHAUSTED),
    # rate limits
    ("openai", 429, {E: {"code": "429", "message": "Requests to the ChatCompletions_Create Operation under Azure OpenAI API version 2024-10-21 have exceeded token rate limit of your current OpenAI S0 pricing tier. Please retry after 7 seconds. Please go here: https://aka.ms/oai/quotaincrease"}}, Fault.RATE_LIMITED),
    ("anthropic", 429, {"type": E, E: {"type": "rate_limit_error", "message": "This request would exceed your organization's rate limit of 40,000 input tokens per minute."}}, Fault.RATE_LIMITED),
    ("other", 429, {"message": "Too many tokens, please wait before trying again."}, Fault.RATE_LIMITED),
    ("other", 400, {"__type": "ThrottlingException", "message": "Rate exceeded"}, Fault.RATE_LIMITED),
    ("gemini", 429, {E: {"code": 429, "message": "Resource exhausted. Please try again later.", "status": "RESOURCE_EXHAUSTED"}}, Fault.RATE_LIMITED),
    ("openai", 429, "<html><title>429 Too Many Requests</title></html>", Fault.RATE_LIMITED),
    # capacity
    ("openai", 429, {"object": E, "message": "Service tier capacity exceeded for this model.", "type": "service_tier_capacity_exceeded", "code": "3505"}, Fault.OVERLOADED),
    ("openai", 429, {E: {"message": "The engine is currently overloaded, please try again later", "type": "engine_overloaded_error"}}, Fault.OVERLOADED),
    ("openai", 498, {E: {"message": "Flex tier capacity exceeded", "code": "capacity_exceeded"}}, Fault.OVERLOADED),
    ("anthropic", 529, {"type": E, E: {"type": "overloaded_error", "message": "Overloaded"}}, Fault.OVERLOADED),
    ("anthropic", 529, "", Fault.OVERLOADED),
    ("openai", 503, {E: {"code": 503, "message": "Loading model", "type": "unavailable_error"}}, Fault.OVERLOADED),
    ("other", 429, {"__type": "ModelNotReadyException", "message": "The model is not ready for inference."}, Fault.OVERLOADED),
    ("openai", 500, {E: {"message": "CUDA out of memory", "type": "internal_error"}}, Fault.OVERLOADED),
    # keys
    ("openai", 400, {"code": "Client specified an invalid argument", E: "Incorrect API key provided: xa***yz."}, Fault.AUTH_FAILED),
    ("openai", 401, {E: {"message": "Authentication Fails, Your api key is invalid", "type": "authentication_error"}}, Fault.AUTH_FAILED),
    ("openai", 401, {"statusCode": 401, "message": "Access denied due to invalid subscription key or wrong API endpoint."}, Fault.AUTH_FAILED),
    ("gemini", 400, {E: {"code": 400, "message": "API key expired. Please renew the API key.", "status": "INVALID_ARGUMENT", "details": [{"reason": "API_KEY_INVALID"}]}}, Fault.AUTH_FAILED),
    ("other", 403, {"__type": "UnrecognizedClientException", "message": "The security token included in the request is invalid."}, Fault.AUTH_FAILED),
    ("other", 400, {"code": "InvalidApiKey", "message": "Invalid API-key provided.", "request_id": "r"}, Fault.AUTH_FAILED),
    ("ollama", 401, "<html>401 Authorization Required</html>", Fault.AUTH_FAILED),
    # permission
    ("gemini", 400, {E: {"code": 400, "message": "User location is not supported for the API use.", "status": "FAILED_PRECONDITION"}}, Fault.PERMISSION_DENIED),
    ("anthropic", 403, {"type": E, E: {"type": "permission_error", "message": "Your API key does not have permission to use the specified resource."}}, Fault.PERMISSION_DENIED),
    ("openai", 403, "<html><title>Attention Required! | Cloudflare</title></html>", Fault.PERMISSION_DENIED),
    ("openai", 403, {E: {"code": "403", "message": "Access denied due to Virtual Network/Firewall rules."}}, Fault.PERMISSION_DENIED),
    # models
    ("openai", 400, {"object": E, "message": "Invalid model: mistral-lrage-latest", "type": "invalid_model", "code": "1500"}, Fault.MODEL_NOT_FOUND),
    ("openai", 400, {"object": E, "message": "Invalid model: mistral-large-2402", "type": "invalid_model", "code": "1500"}, Fault.MODEL_RETIRED),
    ("openai", 404, {E: {"code": "DeploymentNotFound", "message": "The API deployment for this resource does not exist."}}, Fault.MODEL_NOT_FOUND),
    ("openai", 400, {E: {"message": "Model Not Exist", "type": "invalid_request_error"}}, Fault.MODEL_NOT_FOUND),
    ("openai", 404, {E: {"message": "No endpoints found for foo/bar.", "code": 404}}, Fault.MODEL_NOT_FOUND),
    ("openai", 403, {E: {"message": "Project `proj_x` does not have access to model `gpt-5`", "code": "model_not_found"}}, Fault.MODEL_NOT_FOUND),
    ("other", 400, {"__type": "ValidationException", "message": "The provided model identifier is invalid."}, Fault.MODEL_NOT_FOUND),
    ("other", 404, {"__type": "ResourceNotFoundException", "message": "This model version has reached the end of its life. Please refer to the AWS documentation."}, Fault.MODEL_RETIRED),
    ("other", 404, {"message": "model 'command-x' was removed on September 15, 2025."}, Fault.MODEL_RETIRED),
    ("gemini", 404, {E: {"code": 404, "message": "This model models/gemini-2.0-flash is no longer available to new users.", "status": "NOT_FOUND"}}, Fault.MODEL_RETIRED),
    ("gemini", 404, {E: {"code": 404, "message": "models/gemini-9-pro is not found for API version v1beta, or is not supported for generateContent.", "status": "NOT_FOUND"}}, Fault.MODEL_NOT_FOUND),
    ("ollama", 410, {E: "model 'deepseek-v3.1:671b-cloud' was retired"}, Fault.MODEL_RETIRED),
    ("openai", 404, {"detail": "Not Found"}, Fault.MODEL_NOT_FOUND),
    # context and size
    ("anthropic", 400, {"type": E, E: {"type": "invalid_request_error", "message": "prompt is too long: 213462 tokens > 200000 maximum"}}, Fault.CONTEXT_EXCEEDED),
    ("gemini", 400, {E: {"code": 400, "message": "The input token count (1196265) exceeds the maximum number of tokens allowed (1048575).", "status": "INVALID_ARGUMENT"}}, Fault.CONTEXT_EXCEEDED),
    ("openai", 400, {E: {"message": "This model's maximum prompt length is 131072 but the request contains 537812 tokens.", "code": "x"}}, Fault.CONTEXT_EXCEEDED),
    ("openai", 400, {E: {"code": 400, "message": "the request exceeds the available context size, try increasing it", "type": "exceed_context_size_error"}}, Fault.CONTEXT_EXCEEDED),
    ("openai", 422, {E: "`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000", "error_type": "validation"}, Fault.CONTEXT_EXCEEDED),
    ("openai", 400, {E: "Trying to keep the first 5000 tokens when context the overflows. However, the model is loaded with context length of only 4096 tokens"}, Fault.CONTEXT_EXCEEDED),
    ("openai", 400, {E: {"message": "Your input exceeds the context window of this model.", "code": "context_length_exceeded"}}, Fault.CONTEXT_EXCEEDED),
    ("other", 400, {"message": "Input is too long for requested model."}, Fault.CONTEXT_EXCEEDED),
    ("other", 400, {"message": "too many tokens: total number of tokens in the prompt cannot exceed 4081"}, Fault.CONTEXT_EXCEEDED),
    ("openai", 400, {E: {"message": "Provider returned error", "code": 400, "metadata": {"raw": json.dumps({"type": E, E: {"type": "invalid_request_error", "message": "prompt is too long: 9 tokens > 8 maximum"}})}}}, Fault.CONTEXT_EXCEEDED),
    ("openai", 413, {E: {"message": "Request too large for model `x` on tokens per minute (TPM): Limit 6000, Requested 7000", "code": "rate_limit_exceeded"}}, Fault.PAYLOAD_TOO_LARGE),
    ("gemini", 400, {E: {"code": 400, "message": "Request payload size exceeds the limit: 20971520 bytes.", "status": "INVALID_ARGUMENT"}}, Fault.PAYLOAD_TOO_LARGE),
    ("anthropic", 400, {"type": E, E: {"type": "invalid_request_error", "message": "messages.0.content.1.image: image exceeds 5 MB maximum: 7340032 bytes > 5242880 bytes"}}, Fault.PAYLOAD_TOO_LARGE),
    # content
    ("openai", 400, {E: {"code": "content_filter", "message": "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.", "innererror": {"code": "ResponsibleAIPolicyViolation"}}}, Fault.CONTENT_BLOCKED),
    ("openai", 400, {E: {"message": "Content Exists Risk", "type": "invalid_request_error"}}, Fault.CONTENT_BLOCKED),
    ("openai", 400, {"code": "DataInspectionFailed", "message": "Input data may contain inappropriate content."}, Fault.CONTENT_BLOCKED),
    ("openai", 403, {E: {"message": "x requires moderation. Your input was flagged", "code": 403, "metadata": {"reasons": ["violence"]}}}, Fault.CONTENT_BLOCKED),
    ("stability", 403, {"id": "x", "name": "content_moderation", "errors": ["Your request was flagged by our content moderation system."]}, Fault.CONTENT_BLOCKED),
    ("openai", 400, {E: {"message": "Your request was rejected as a result of our safety system.", "code": "moderation_blocked"}}, Fault.CONTENT_BLOCKED),
    # the caller
    ("openai", 400, {E: {"message": "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.", "code": "unsupported_parameter"}}, Fault.INVALID_REQUEST),
    ("openai", 400, {E: {"message": "max_tokens is too large: 99999. This model supports at most 16384 completion tokens.", "code": "invalid_value"}}, Fault.INVALID_REQUEST),
    ("anthropic", 400, {"type": E, E: {"type": "invalid_request_error", "message": "`temperature` is deprecated for this model."}}, Fault.INVALID_REQUEST),
    ("openai", 400, {E: {"message": "For this model the parameter `functions` has been deprecated.", "code": None}}, Fault.INVALID_REQUEST),
    ("anthropic", 400, {"type": E, E: {"type": "invalid_request_error", "message": "max_tokens: 99999 > 64000, which is the maximum allowed number of output tokens for claude-x"}}, Fault.INVALID_REQUEST),
    ("openai", 422, {"detail": [{"loc": ["body", "n"], "msg": "Input should be less than 5", "type": "less_than"}]}, Fault.INVALID_REQUEST),
    ("openai", 404, {E: {"message": "Previous response with id 'resp_1' not found.", "code": "previous_response_not_found"}}, Fault.INVALID_REQUEST),
    ("ollama", 400, {E: "registry.ollama.ai/library/x:latest does not support tools"}, Fault.INVALID_REQUEST),
    ("openai", 405, "", Fault.INVALID_REQUEST),
    ("openai", 415, "", Fault.INVALID_REQUEST),
    # servers
    ("openai", 500, {E: {"message": "The server had an error while processing your request.", "type": "server_error"}}, Fault.SERVER_ERROR),
    ("openai", 524, "<html><title>524: A timeout occurred</title></html>", Fault.TIMEOUT),
    ("openai", 521, "<html>Web server is down</html>", Fault.SERVER_ERROR),
    ("anthropic", 408, "", Fault.TIMEOUT),
    ("other", 424, {"message": "The model returned an error"}, Fault.SERVER_ERROR),
    ("openai", 302, "", Fault.MALFORMED_RESPONSE),
    # Ollama
    ("ollama", 500, {E: "llama-server process has terminated: exit status 1: cudaMalloc failed: out of memory"}, Fault.LOCAL_OVERLOADED),
    ("ollama", 500, {E: "llama runner process has terminated: signal: killed"}, Fault.LOCAL_OVERLOADED),
    ("ollama", 500, {E: "llama runner process has terminated: signal: segmentation fault (core dumped)"}, Fault.LOCAL_RUNNER_CRASHED),
    ("ollama", 500, {E: "llama runner process no longer running: -1 error:CUDA error"}, Fault.LOCAL_RUNNER_CRASHED),
    ("ollama", 500, {E: "an error was encountered while running the model: unexpected EOF"}, Fault.LOCAL_RUNNER_CRASHED),
    ("ollama", 500, {E: 'POST predict: Post "http://127.0.0.1:39217/completion": EOF'}, Fault.LOCAL_RUNNER_CRASHED),
    ("ollama", 500, {E: "unexpected server status: llm busy - no slots available"}, Fault.LOCAL_OVERLOADED),
    ("ollama", 503, "", Fault.LOCAL_OVERLOADED),
    ("ollama", 404, {E: 'model "llama3.2" not found, try pulling it first'}, Fault.LOCAL_MODEL_MISSING),
    ("ollama", 400, {E: json.dumps({E: {"code": 400, "message": "request (5000 tokens) exceeds the available context size (4096 tokens), try increasing it", "type": "exceed_context_size_error"}})}, Fault.CONTEXT_EXCEEDED),
    ("ollama", 400, {E: "the prompt is longer than the context length currently available to the model; shorten the prompt"}, Fault.CONTEXT_EXCEEDED),
    ("ollama", 403, {E: "ollama cloud is disabled: remote model is unavailable"}, Fault.PRIVACY_BOUNDARY),
    ("ollama", 403, "", Fault.PERMISSION_DENIED),
    ("ollama", 500, {E: "something else"}, Fault.SERVER_ERROR),
    ("ollama", 502, {E: "dial tcp: lookup ollama.com: no such host"}, Fault.SERVER_ERROR),
    ("openai", 404, {E: {"message": "model 'x' not found", "type": "not_found_error"}}, Fault.MODEL_NOT_FOUND),
    ("openai", 500, {E: {"message": "llama runner process has terminated: exit status 2", "type": "api_error"}}, Fault.LOCAL_RUNNER_CRASHED),
    # traps among the words
    ("gemini", 403, {E: {"code": 403, "message": "Permission denied: Consumer 'api_key:AIza' has been suspended.", "details": [{"reason": "CONSUMER_SUSPENDED"}]}}, Fault.PERMISSION_DENIED),
    ("openai", 403, {E: {"message": "用户额度不足, 剩余额度: $0", "code": "insufficient_user_quota"}}, Fault.QUOTA_EXHAUSTED),
    ("anthropic", 429, {"type": E, E: {"type": "rate_limit_error", "message": "This request would exceed the rate limit for your organization of 40,000 input tokens per minute. You can see the response headers for current usage. Please reduce the prompt length or the maximum tokens requested. You may also contact sales to discuss a rate limit increase."}}, Fault.RATE_LIMITED),
    ("anthropic", 403, {"type": E, E: {"type": "permission_error", "message": "OAuth token has been revoked."}}, Fault.AUTH_FAILED),
    ("openai", 404, {E: {"message": "Your organization must be verified to use the model `gpt-5`.", "code": "model_not_found"}}, Fault.PERMISSION_DENIED),
    ("openai", 429, {E: {"message": "Provider returned error", "code": 429, "metadata": {"raw": "x is temporarily rate-limited upstream. Please retry shortly, or add your own key"}}}, Fault.RATE_LIMITED),
    ("stability", 404, {"name": "not_found", "message": "The specified engine (ID stable-diffusion-v1-5) was not found."}, Fault.MODEL_RETIRED),
    ("openai", 503, {E: {"message": "There is no available model provider that meets your routing requirements", "code": 503}}, Fault.OVERLOADED),
]  # fmt: skip


@pytest.mark.parametrize(("wire", "status", "body", "fault"), OTHERS)
def test_other_providers_words(wire: str, status: int, body: Any, fault: Fault) -> None:
    raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    kind = "text/html" if raw.startswith(b"<") else "application/json"
    tap = new_tap(wire, status, raw, headers={"content-type": kind})
    assert classify(tap, None).fault is fault


def test_bedrock_names_the_error_in_a_header() -> None:
    headers = {"x-amzn-errortype": "ExpiredTokenException:http://internal"}
    verdict = classify(new_tap("other", 403, b'{"message":"x"}', headers=headers), None)
    assert (verdict.fault, verdict.code) == (Fault.AUTH_FAILED, "expiredtokenexception")


@pytest.mark.parametrize(
    "body",
    [
        b'{"error": {"message": "You exceeded your quota", "type": "insufficient_quota", "co',
        b'\xff\xfe{"error": {"type": "insufficient_quota"}}',
        b'\xef\xbb\xbf{"error": {"code": "insufficient_quota"}}',
        b'event: error\ndata: {"error": {"code": "insufficient_quota", "message": "no"}}\n\n',
        b'[{"error": {"code": "insufficient_quota"}}]',
        b'{"error": {"code": "insufficient_quota"}}\n{"x": 1}',
    ],
)
def test_broken_and_odd_bodies_are_still_read(body: bytes) -> None:
    assert classify(new_tap("openai", 429, body), None).fault is Fault.QUOTA_EXHAUSTED


# The wire's own signs.


def test_the_clocks() -> None:
    def expired(clock: str, **more: Any) -> Fault:
        return classify(new_tap(expired=clock, **more), TimeoutError()).fault

    streaming = {"status": 200, "streaming": True, "contents": 3}
    assert expired("connect") is expired("first_token") is expired("total") is Fault.TIMEOUT
    assert expired("between_tokens", **streaming) is Fault.STREAM_STALLED
    assert expired("total", **streaming, last_content_at=100.0) is Fault.TIMEOUT
    tap = new_tap(**streaming, last_content_at=10.0, expired="total")
    tap.started = 5.0
    assert classify(tap, None).fault is Fault.STREAM_STALLED


def test_a_refused_host_never_saw_the_prompt() -> None:
    tap = new_tap("ollama", refused_host="ollama.com", requests=0)
    verdict = classify(tap, RuntimeError("refused"))
    assert verdict.fault is Fault.PRIVACY_BOUNDARY
    assert "ollama.com" in verdict.evidence


def test_an_error_status_beats_clock_and_exception() -> None:
    tap = new_tap("openai", 401, b"{}", expired="total")
    assert classify(tap, httpx.ReadTimeout("x")).fault is Fault.AUTH_FAILED


def test_the_status_of_the_wire_beats_litellms() -> None:
    class InternalServerError(Exception):
        status_code = 500

    tap = new_tap("anthropic", 529, b'{"type":"error","error":{"type":"overloaded_error"}}')
    verdict = classify(tap, InternalServerError())
    assert (verdict.fault, verdict.status) == (Fault.OVERLOADED, 529)


def test_a_read_timeout_within_a_stream_is_a_stall() -> None:
    tap = new_tap("openai", 200, b"data: x", streaming=True, contents=2, complete=False)
    assert classify(tap, httpx.ReadTimeout("")).fault is Fault.STREAM_STALLED


def test_an_error_without_any_sign_is_unknown() -> None:
    assert classify(new_tap(), None).fault is Fault.UNKNOWN
    assert classify(new_tap(), RuntimeError("?")).fault is Fault.UNKNOWN


@pytest.mark.parametrize(
    ("wire", "event", "fault"),
    [
        ("anthropic", {"type": "error", "error": {"type": "rate_limit_error", "message": "slow"}}, Fault.RATE_LIMITED),
        ("anthropic", {"type": "error", "error": {"type": "api_error", "message": "Internal"}}, Fault.SERVER_ERROR),
        ("anthropic", {"type": "error", "error": {"type": "timeout_error", "message": "late"}}, Fault.TIMEOUT),
        ("openai", {"error": {"message": "The server had an error", "type": "server_error"}}, Fault.SERVER_ERROR),
        ("openai", {"error": {"message": "Upstream", "code": 502}}, Fault.SERVER_ERROR),
        ("openai", {"error": {"message": "quota exceeded"}}, Fault.MALFORMED_RESPONSE),
        ("gemini", {"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}, Fault.OVERLOADED),
        ("ollama", {"error": "model runner has unexpectedly stopped"}, Fault.LOCAL_RUNNER_CRASHED),
    ],
)  # fmt: skip
def test_an_error_inside_a_stream(wire: str, event: Any, fault: Fault) -> None:
    raw = json.dumps(event).encode()
    tap = new_tap(wire, 200, raw, streaming=True, in_band_error=raw)
    assert classify(tap, None).fault is fault
    verdict = judge(tap, AnswerView(0))
    assert verdict is not None
    assert verdict.fault is fault
    tap.contents = 1
    told = fault if fault is Fault.LOCAL_RUNNER_CRASHED else Fault.STREAM_INTERRUPTED
    assert classify(tap, None).fault is told


# Judging answers.


@pytest.mark.parametrize(
    ("view", "fault"),
    [
        (AnswerView(1, "hello", finish_reason="stop"), None),
        (AnswerView(1, None, tool_calls=True, finish_reason="tool_calls"), None),
        (AnswerView(1, "", other_content=True, finish_reason="length"), None),
        (AnswerView(1, "cut", finish_reason="length"), None),
        (AnswerView(1, "", finish_reason="length"), Fault.EMPTY_RESPONSE),
        (AnswerView(1, " \n", finish_reason="stop"), Fault.EMPTY_RESPONSE),
        (AnswerView(0), Fault.EMPTY_RESPONSE),
        (AnswerView(1, "par", finish_reason="content_filter"), Fault.CONTENT_BLOCKED),
        (AnswerView(1, None, finish_reason="PROHIBITED_CONTENT"), Fault.CONTENT_BLOCKED),
        (AnswerView(1, None, finish_reason="BLOCKLIST"), Fault.CONTENT_BLOCKED),
        (AnswerView(1, None, finish_reason="error"), Fault.MALFORMED_RESPONSE),
        (AnswerView(1, "x", model_asked="gpt-4o", model_answered="gpt-4o-mini"), None),
    ],
)
def test_answers_without_a_wire(view: AnswerView, fault: Fault | None) -> None:
    verdict = judge(new_tap(requests=0), view)
    assert (verdict.fault if verdict else None) is fault


def test_a_filtered_answer_that_litellm_raised_over() -> None:
    raw = b'{"image": "aGVsbG8=", "finish_reason": "CONTENT_FILTERED", "seed": 1}'
    tap = scanned(new_tap("stability", 200), raw)
    assert classify(tap, ValueError("bad")).fault is Fault.CONTENT_BLOCKED


def test_ollama_not_done_is_cut_off() -> None:
    raw = b'{"model":"m","message":{"role":"assistant","content":"Hi"},"done":false}'
    verdict = judge(scanned(new_tap("ollama", 200), raw), AnswerView(1, "Hi", finish_reason="stop"))
    assert verdict is not None
    assert verdict.fault is Fault.STREAM_TRUNCATED


def test_a_stream_that_was_left_after_its_end_mark_is_good() -> None:
    tap = new_tap("openai", 200, b"data: {}", streaming=True, contents=2, terminal=True)
    tap.complete = False
    assert judge(tap, AnswerView(1, "hi", finish_reason="stop")) is None


@pytest.mark.parametrize(("contents", "fault"), [(0, "empty_response"), (2, "stream_truncated")])
def test_done_is_an_end_even_if_nobody_read_to_the_end_of_the_body(
    contents: int, fault: str
) -> None:
    tap = new_tap("openai", 200, b'data: {"choices":[]}\n\ndata: [DONE]\n\n', streaming=True)
    tap.contents, tap.complete = contents, False
    assert fault_name(judge_wire(tap)) == fault


def test_streams_of_unknown_dialects_end_with_their_body() -> None:
    tap = new_tap("other", 200, b"hello", streaming=True, contents=1)
    assert judge_wire(tap) is None
    tap.complete = False
    verdict = judge_wire(tap)
    assert verdict is not None
    assert verdict.fault is Fault.STREAM_INTERRUPTED


def test_an_answer_that_talks_about_errors_is_an_answer() -> None:
    text = 'Say {"error": {"message": "x"}, "finish_reason": "content_filter"}'
    message = {"role": "assistant", "content": text}
    raw = json.dumps({"choices": [{"message": message, "finish_reason": "stop"}], "error": None})
    tap = scanned(new_tap("openai", 200), raw.encode())
    assert judge(tap, AnswerView(1, text, finish_reason="stop")) is None


def test_a_long_answer_is_not_called_broken() -> None:
    raw = json.dumps({"choices": [{"message": {"content": "x" * 50_000}}]}).encode()
    tap = new_tap("openai", 200, raw, terminal=True)
    assert judge(tap, AnswerView(1, "x" * 50_000, finish_reason="stop")) is None


# Exceptions without a wire.

REQUEST = httpx.Request("POST", "https://api.example.com/v1/chat/completions")
QUOTA = {"error": {"message": "no", "type": "insufficient_quota", "code": "insufficient_quota"}}


def response(status: int, body: Any = None, **headers: str) -> httpx.Response:
    return httpx.Response(status, json=body, headers=headers, request=REQUEST)


class Odd(Exception):
    """A user's own or an unknown library's exception."""

    def __init__(self, text: str = "", **more: Any) -> None:
        super().__init__(text)
        for name, value in more.items():
            setattr(self, name, value)


def requests_error() -> BaseException:
    answer = requests.Response()
    answer.status_code = 503
    answer._content = b"busy"
    return requests.HTTPError("503", response=answer)


def litellm_like(name: str, text: str, **more: Any) -> BaseException:
    kind = type(name, (Odd,), {"__module__": "litellm.exceptions"})
    return kind(text, **more)


def langchain_like(name: str, **more: Any) -> BaseException:
    kind = type(name, (Odd,), {"__module__": "langchain_core.exceptions"})
    return type("PartnerError", (kind,), {"__module__": "partner"})("no", **more)


EXCEPTIONS: list[tuple[BaseException, Fault | None]] = [
    (openai.RateLimitError("no", response=response(429, QUOTA), body=QUOTA["error"]), Fault.QUOTA_EXHAUSTED),
    (openai.RateLimitError("slow", response=response(429, {}), body=None), Fault.RATE_LIMITED),
    (openai.APITimeoutError(REQUEST), Fault.TIMEOUT),
    (openai.APIError("overloaded", REQUEST, body={"type": "overloaded_error", "message": "x"}), Fault.OVERLOADED),
    (anthropic.APIStatusError("x", response=response(529, {"type": "error", "error": {"type": "overloaded_error"}}), body=None), Fault.OVERLOADED),
    (anthropic.NotFoundError("x", response=response(404), body={"type": "error", "error": {"type": "not_found_error", "message": "model: claude-3-opus-20240229"}}), Fault.MODEL_RETIRED),
    (google.genai.errors.ServerError(503, {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}), Fault.OVERLOADED),
    (google.genai.errors.ClientError(400, {"error": {"code": 400, "message": "API key not valid. Please pass a valid API key.", "status": "INVALID_ARGUMENT"}}), Fault.AUTH_FAILED),
    (ollama.ResponseError("model 'x' not found", 404), Fault.LOCAL_MODEL_MISSING),
    (ollama.ResponseError("an error was encountered while running the model"), Fault.LOCAL_RUNNER_CRASHED),
    (ollama.ResponseError("something else"), Fault.STREAM_INTERRUPTED),
    (httpx.HTTPStatusError("x", request=REQUEST, response=response(502)), Fault.SERVER_ERROR),
    (httpx.ConnectTimeout("x"), Fault.TIMEOUT),
    (httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed"), Fault.TLS_ERROR),
    (httpx.RemoteProtocolError("peer closed connection"), Fault.CONNECTION_ERROR),
    (requests_error(), Fault.OVERLOADED),
    (requests.ConnectionError("refused"), Fault.CONNECTION_ERROR),
    (requests.exceptions.SSLError("x"), Fault.TLS_ERROR),
    (requests.exceptions.JSONDecodeError("Expecting value", "<html>", 0), Fault.MALFORMED_RESPONSE),
    (below_http("refused"), Fault.CONNECTION_ERROR),
    (below_http("dns"), Fault.CONNECTION_ERROR),
    (below_http("tls"), Fault.TLS_ERROR),
    (ConnectionRefusedError(), Fault.CONNECTION_ERROR),
    (OSError(113, "No route to host"), Fault.CONNECTION_ERROR),
    (TimeoutError(), Fault.TIMEOUT),
    (asyncio.TimeoutError(), Fault.TIMEOUT),
    (json.JSONDecodeError("Expecting value", "<html>", 0), Fault.MALFORMED_RESPONSE),
    (litellm_like("APIError", "", status_code="invalid_api_key", body={"message": ""}), Fault.AUTH_FAILED),
    (litellm_like("RateLimitError", 'litellm.RateLimitError: OpenAIException - {"error": {"code": "insufficient_quota"}}', status_code=429), Fault.QUOTA_EXHAUSTED),
    (caused(litellm_like("InternalServerError", "Connection error.", status_code=500), ConnectionRefusedError()), Fault.CONNECTION_ERROR),
    (litellm_like("MidStreamFallbackError", "x", status_code=500, is_pre_first_chunk=False, original_exception=Odd("y", status_code=500)), Fault.STREAM_INTERRUPTED),
    (litellm_like("MidStreamFallbackError", "x", status_code=429, is_pre_first_chunk=True, original_exception=Odd("slow down", status_code=429)), Fault.RATE_LIMITED),
    (litellm_like("MidStreamFallbackError", "Stream ended before a finish_reason was received", status_code=500, is_pre_first_chunk=False), Fault.STREAM_TRUNCATED),
    (caused(litellm_like("InternalServerError", "x", status_code=500), httpx.HTTPStatusError("x", request=REQUEST, response=response(529))), Fault.OVERLOADED),
    (Odd("x", status_code=429), Fault.RATE_LIMITED),
    (Odd("x", status="503"), Fault.OVERLOADED),
    (Odd("x", code="insufficient_quota", body="{}"), Fault.QUOTA_EXHAUSTED),
    (Odd("x", response={"Error": {"Code": "ThrottlingException", "Message": "slow"}, "ResponseMetadata": {"HTTPStatusCode": 400}}), Fault.RATE_LIMITED),
    (Odd("what"), Fault.UNKNOWN),
    (RuntimeError("what"), Fault.UNKNOWN),
    (caused(KeyError("x"), httpx.ReadTimeout("")), Fault.TIMEOUT),
    (ExceptionGroup("g", [httpx.ConnectError("refused")]), Fault.CONNECTION_ERROR),
    (langchain_like("ModelRateLimitError"), Fault.RATE_LIMITED),
    (langchain_like("ModelInvalidRequestError"), Fault.INVALID_REQUEST),
    (langchain_like("ModelRefusalError"), Fault.CONTENT_BLOCKED),
    (langchain_like("ModelAPIError", status_code=429), Fault.RATE_LIMITED),
    (langchain_like("ModelTimeoutError"), Fault.TIMEOUT),
    (langchain_like("ModelError"), Fault.UNKNOWN),
    (DeprecationWarning("x"), None),
    (TypeError("x"), None),
    (ValueError("x"), None),
    (KeyError("x"), None),
    (IndexError("x"), None),
    (AttributeError("x"), None),
    (AssertionError("x"), None),
    (NotImplementedError("x"), None),
    (ZeroDivisionError("x"), None),
    (FileNotFoundError(2, "no such file"), None),
    (json.JSONDecodeError("Expecting value", '{"settings": ', 13), None),
    (asyncio.CancelledError(), None),
    (KeyboardInterrupt(), None),
]  # fmt: skip


@pytest.mark.parametrize(("error", "fault"), EXCEPTIONS)
def test_exceptions(error: BaseException, fault: Fault | None) -> None:
    verdict = classify_exception(error)
    assert (verdict.fault if verdict else None) is fault


def test_a_pydantic_validation_error_is_a_bug() -> None:
    class Model(pydantic.BaseModel):
        x: int

    with pytest.raises(pydantic.ValidationError) as caught:
        Model(x="y")  # type: ignore[arg-type]
    assert classify_exception(caught.value) is None


def test_json_that_a_client_library_could_not_parse_is_the_providers() -> None:
    with pytest.raises(json.JSONDecodeError) as caught:
        httpx.Response(200, content=b'{"choices": [').json()
    verdict = classify_exception(caught.value)
    assert verdict is not None
    assert verdict.fault is Fault.MALFORMED_RESPONSE


def test_retry_after_of_an_sdk_exception() -> None:
    error = openai.RateLimitError("x", response=response(429, {}, **{"retry-after": "17"}), body={})
    verdict = classify_exception(error)
    assert verdict is not None
    assert (verdict.retry_after, verdict.status) == (17, 429)


def test_cycles_and_endless_chains_end() -> None:
    one, other = Odd("a"), Odd("b")
    one.__context__, other.__context__ = other, one
    one.original_exception = one  # type: ignore[attr-defined]
    assert classify_exception(one) is not None
    deep: BaseException = ConnectionResetError()
    for _ in range(3000):
        outer = Odd("x")
        outer.__context__ = deep
        deep = outer
    assert classify_exception(deep) is not None


def test_exceptions_that_raise_when_looked_at() -> None:
    class Vicious(Exception):
        @property
        def response(self) -> Any:
            raise RuntimeError("no")

        @property
        def status_code(self) -> Any:
            raise KeyError("no")

        def __str__(self) -> str:
            raise ValueError("no")

    verdict = classify_exception(Vicious())
    assert verdict is not None
    assert verdict.fault is Fault.UNKNOWN


# Evidence.


@pytest.mark.parametrize(
    "secret",
    [
        "sk-proj-abcdEFGH1234", "sk-ant-api03-xyzXYZ_123", "AIzaSyA1234567890abcdef", "gsk_abc123def456",
        "org-abc", "proj_12345", "jane.doe@example.com", "Bearer abc.def-123",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIi.sig", "AKIAIOSFODNN7EXAMPLE",
        "123e4567-e89b-12d3-a456-426614174000", "d41d8cd98f00b204e9800998ecf8427e",
    ],
)  # fmt: skip
def test_secrets_are_scrubbed(secret: str) -> None:
    body = json.dumps({"error": {"message": f"Bad thing with {secret} here", "code": "oops"}})
    verdict = classify(new_tap("openai", 401, body.encode()), None)
    assert secret not in verdict.evidence
    assert verdict.evidence.startswith("HTTP 401 oops: Bad thing with")


def test_a_key_that_is_quoted_is_scrubbed_whatever_it_looks_like() -> None:
    assert "hunter2" not in scrub("Incorrect API key provided: hunter2. You can find it")


@pytest.mark.parametrize(
    "message",
    [
        "Invalid value: the patient John Smith has diabetes type two in messages",
        "Invalid value: THE PATIENT  john smith has\\ndiabetes type two",
        "Cannot parse 'The patient John Smith",
    ],
)
def test_the_prompt_is_scrubbed(message: str) -> None:
    prompt = "Summarise: The patient John Smith has diabetes type two. Be brief."
    body = json.dumps({"error": {"message": message}}).encode()
    said = classify(new_tap("openai", 400, body), None, prompt_texts=[prompt]).evidence.lower()
    assert "smith" not in said
    assert "patient" not in said
    assert "diabetes" not in said


def test_a_huge_prompt_costs_the_words_not_the_time() -> None:
    body = b'{"error": {"message": "secret words", "code": "bad"}}'
    verdict = classify(new_tap("openai", 400, body), None, prompt_texts=["x" * 10**7])
    assert verdict.evidence == "HTTP 400 bad"


def test_evidence_of_a_stream_error_is_scrubbed_too() -> None:
    raw = b'{"error": {"message": "cannot read my secret diary", "type": "server_error"}}'
    tap = new_tap("openai", 200, raw, streaming=True, in_band_error=raw, contents=1)
    verdict = classify(tap, None, prompt_texts=["this is my secret diary"])
    assert verdict.fault is Fault.STREAM_INTERRUPTED
    assert "diary" not in verdict.evidence


# Substitution.


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("gpt-4o", "gpt-4o-2024-08-06"),
        ("gpt-4-turbo", "gpt-4-turbo-2024-04-09"),
        ("gpt-4", "gpt-4-0613"),
        ("gpt-35-turbo", "gpt-3.5-turbo-0125"),
        ("openai/gpt-4o", "GPT-4o"),
        ("models/gemini-2.5-pro", "gemini-2.5-pro"),
        ("gemini-2.0-flash", "gemini-2.0-flash-001"),
        ("gemini-2.5-pro", "gemini-2.5-pro-preview-06-05"),
        ("gemini-flash-latest", "gemini-2.5-flash"),
        ("mistral-large-latest", "mistral-large-2411"),
        ("claude-sonnet-4-5", "claude-sonnet-4-5-20250929"),
        ("claude-sonnet-4-0", "claude-sonnet-4-20250514"),
        ("anthropic/claude-3.5-sonnet", "claude-3-5-sonnet-20241022"),
        ("us.anthropic.claude-3-5-sonnet-20241022-v2:0", "claude-3-5-sonnet-20241022"),
        ("claude-3-5-sonnet@20240620", "claude-3-5-sonnet-20240620"),
        ("llama3.2", "llama3.2:latest"),
        ("ollama_chat/llama3.2:local", "llama3.2"),
        ("meta-llama/Llama-3.1-8B-Instruct", "llama-3.1-8b-instruct"),
        ("deepseek/deepseek-r1:free", "deepseek/deepseek-r1"),
        ("ft:gpt-4o-mini-2024-07-18:org::id", "gpt-4o-mini-2024-07-18"),
        ("my-deployment", "gpt-4o-2024-08-06"),
        ("openrouter/auto", "anthropic/claude-sonnet-4.5"),
        ("local", "local"),
        ("deepseek-chat", "deepseek-v3.1"),
        ("", "gpt-4o"),
        ("gpt-4o", ""),
        ("o1", "o1-2024-12-17"),
    ],
)  # fmt: skip
def test_the_same_model_by_another_name(asked: str, answered: str) -> None:
    assert not substituted(asked, answered)


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("gpt-4o", "gpt-4o-mini"),
        ("gpt-4o", "gpt-6-luna"),
        ("gpt-4", "gpt-3.5-turbo"),
        ("gpt-4o-2024-05-13", "gpt-4o-2024-08-06"),
        ("gemini-2.5-pro", "gemini-3.8-flash"),
        ("gemini-2.5-flash", "gemini-2.0-flash-001"),
        ("claude-opus-4", "claude-opus-4-1-20250805"),
        ("claude-opus-4-5", "claude-sonnet-4-5"),
        ("mistral-large-latest", "mistral-small-2501"),
        ("gpt-4o", "claude-sonnet-4-5"),
        ("llama3.2:3b", "llama3.2:1b"),
        ("o1", "o1-mini-2024-09-12"),
        ("o3", "o4-mini"),
    ],
)
def test_another_model(asked: str, answered: str) -> None:
    assert substituted(asked, answered)


def test_a_body_that_is_text_or_nothing_is_no_answer() -> None:
    told = {"content-type": "text/plain"}
    verdict = judge_wire(new_tap("openai", 200, b"Ollama is running", headers=told))
    assert verdict is not None
    assert verdict.fault is Fault.MALFORMED_RESPONSE
    assert (
        judge_wire(new_tap("openai", 200, b"RIFF....", headers={"content-type": "audio/wav"}))
        is None
    )
    assert classify(new_tap("openai", 200), ValueError()).fault is Fault.EMPTY_RESPONSE


def test_the_judge_quotes_nothing_where_it_does_not_know_the_prompt() -> None:
    raw = b'{"error": {"message": "cannot read my secret diary", "code": "bad"}}'
    tap = new_tap("openai", 200, raw, headers={"content-type": "application/json"})
    verdict = judge_wire(tap)
    assert verdict is not None
    assert verdict.evidence == "HTTP 200 bad"
    verdict = judge_wire(tap, ["my secret diary"])
    assert verdict is not None
    assert "cannot read" in verdict.evidence
    assert "diary" not in verdict.evidence


def test_retired_models() -> None:
    assert retired.lookup("anthropic/claude-3-opus-20240229") is not None
    assert retired.lookup("us.anthropic.claude-3-sonnet-20240229-v1:0") is not None
    assert retired.lookup("models/gemini-1.5-flash-8b") is not None
    for alive in (
        "claude-sonnet-4-5-20250929",
        "claude-opus-4-1",
        "gemini-2.5-pro",
        "gpt-4o",
        "gpt-4.1",
        "llama3.2",
    ):
        assert retired.lookup(alive) is None, alive


# Garbage.

texts = st.text(max_size=60)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["error", "code", "message", "details", "type", "errors", "x"]), inner
        )
    ),
    max_leaves=12,
)
bodies = (
    st.binary(max_size=300)
    | json_values.map(lambda v: json.dumps(v).encode())
    | st.builds(lambda v, cut: json.dumps(v).encode()[:cut], json_values, st.integers(0, 80))
)
names = st.sampled_from(
    ["retry-after", "retry-after-ms", "content-type", "x-ratelimit-reset-tokens", "x-amzn-errortype",
     "x-ratelimit-remaining-tokens", "anthropic-ratelimit-tokens-reset", "x"]
)  # fmt: skip
wires = st.sampled_from(["openai", "anthropic", "gemini", "ollama", "stability", "other"])
plain_errors = st.sampled_from([error for error, _ in EXCEPTIONS] + [None])
odd_errors = st.builds(
    lambda text, status, code, body: Odd(text, status_code=status, code=code, body=body),
    texts, json_values, json_values, json_values,
)  # fmt: skip


@settings(
    max_examples=settings().max_examples * 7, deadline=None, suppress_health_check=list(HealthCheck)
)
@given(
    wires, st.none() | st.integers(-1, 700), st.dictionaries(names, texts), bodies,
    plain_errors | odd_errors, st.integers(0, 255), st.lists(texts, max_size=2),
)  # fmt: skip
def test_nothing_makes_it_raise(
    wire: str, status: int | None, headers: dict[str, str], body: bytes, error: Any, bits: int,
    prompts: list[str],
) -> None:  # fmt: skip
    tap = new_tap(wire, status, body, headers=headers)
    tap.streaming, tap.terminal, tap.complete = bool(bits & 1), bool(bits & 2), bool(bits & 4)
    tap.contents = bits >> 6
    tap.in_band_error = body if bits & 8 else b""
    tap.expired = "total" if bits & 16 else None
    verdicts = [
        classify(tap, error, prompt_texts=prompts),
        judge(tap, AnswerView(bits & 1, "x" if bits & 32 else None)),
        classify_exception(error, prompt_texts=prompts) if error else None,
    ]
    for verdict in filter(None, verdicts):
        assert isinstance(verdict.fault, Fault)
        assert len(verdict.evidence) <= LIMIT
        assert verdict.retry_after is None or 0 <= verdict.retry_after <= 3600


def test_ten_thousand_random_errors_take_seconds() -> None:
    """Broken by chance: real bodies with bytes flipped, cut and swapped between dialects."""
    dice = random.Random(7)
    known = [body_of(e) for e in CORPUS if e.get("body")]
    for _ in range(10_000):
        body = bytearray(dice.choice(known)[: dice.choice((10_000, 40, 120))])
        for _ in range(dice.randrange(3)):
            body[dice.randrange(len(body))] = dice.randrange(256)
        wire = dice.choice(["openai", "anthropic", "gemini", "ollama", "stability", "other"])
        status = dice.choice([None, 200, 400, 401, 403, 404, 429, 500, 503])
        tap = new_tap(wire, status, bytes(body), streaming=dice.random() < 0.3)
        tap.in_band_error = bytes(body) if dice.random() < 0.2 else b""
        assert isinstance(classify(tap, None).fault, Fault)


@settings(max_examples=settings().max_examples * 5, deadline=None)
@given(texts, texts)
def test_substituted_never_raises(asked: str, answered: str) -> None:
    assert not substituted(asked, asked)
    substituted(asked, answered)


@pytest.mark.parametrize("body", [b"[" * 60_000, b'{"error":' * 9_000, b'{"a":"' + b'\\"' * 30_000])
def test_hostile_bodies_are_diagnosed_all_the_same(body: bytes) -> None:
    assert isinstance(classify(new_tap("openai", 400, body), None).fault, Fault)


def test_every_row_names_its_source() -> None:
    assert all(row.source for row in ROWS)
