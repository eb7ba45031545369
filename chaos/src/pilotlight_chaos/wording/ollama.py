"""Ollama's refusals: `{"error": "<text>"}`, told apart by the text alone."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

from ..answers import Ask
from ..faults import Fault
from ..http import Json, Reply
from . import Builder, cloudflare, sizes_of, status_of, wait_of

JSON_HEADERS = {"content-type": "application/json; charset=utf-8"}
BUSY = "server busy, please try again.  maximum pending requests exceeded"
CRASH = (
    "model runner has unexpectedly stopped, this may be due to resource limitations or an "
    "internal error, check ollama server logs for details"
)
OOM = "llama-server process has terminated: exit status 1: cudaMalloc failed: out of memory"
MID_STREAM = "an error was encountered while running the model: unexpected EOF"
TOO_LONG = (
    "the prompt is longer than the context length currently available to the model; shorten the "
    "prompt, adjust the context length in settings, or use a model with a longer context length"
)
IN_A_200 = "unexpected server status: llm busy - no slots available"
BAD_THINK = 'invalid think value: "x" (must be "high", "medium", "low", "max", true, or false)'
CLOUD_DISABLED = "ollama cloud is disabled: remote model is unavailable"
SIGN_IN = "https://ollama.com/connect?name=chaos&key=Y2hhb3M"


def error(status: int, text: str, **extra: str) -> Reply:
    return Reply({"error": text, **extra}, status, JSON_HEADERS)


def refusal(ask: Ask, fault: Fault) -> Reply:
    return TABLE[fault.kind](ask, fault)


def not_found(ask: Ask, fault: Fault | None = None) -> Reply:
    if ask.variant == "embed":
        return error(404, f'model "{ask.model}" not found, try pulling it first')
    return error(404, f"model '{ask.model}' not found")


def rate_limit(ask: Ask, fault: Fault) -> Reply:
    """Only cloud models are ever throttled."""
    wait = wait_of(fault)
    headers = {} if wait is None else {"retry-after": str(math.ceil(wait))}
    reply = error(429, "too many concurrent requests")
    return Reply(reply.body, 429, {**JSON_HEADERS, **headers})


def too_long(ask: Ask, num_ctx: int) -> Reply:
    """Refuse a prompt: llama-server's error as a JSON string in ours."""
    if ask.variant.startswith("embed"):
        return error(400, "the input length exceeds the context length")
    return context(ask.prompt_tokens, num_ctx)


def context(tokens: int, num_ctx: int) -> Reply:
    inner: Json = {
        "code": 400,
        "message": f"request ({tokens} tokens) exceeds the available context size "
        f"({num_ctx} tokens), try increasing it",
        "type": "exceed_context_size_error",
        "n_prompt_tokens": tokens,
        "n_ctx": num_ctx,
    }
    return error(400, json.dumps({"error": inner}))


def retired(ask: Ask, fault: Fault) -> Reply:
    return error(status_of(fault, 410), f"model '{ask.model}' was retired and is not available")


def quota(ask: Ask, fault: Fault) -> Reply:
    text = "you've reached your weekly usage limit, please upgrade to continue"
    return error(status_of(fault, 429), text)


def permission(ask: Ask, fault: Fault) -> Reply:
    text = "this model requires a subscription, upgrade for access: https://ollama.com/upgrade"
    return error(403, text)


def unauthorized(ask: Ask, fault: Fault | None = None) -> Reply:
    return error(401, "unauthorized", signin_url=SIGN_IN)


TABLE: Mapping[str, Builder] = {
    "server_error": lambda ask, fault: error(500, "llama-server chat error: internal error"),
    "bad_gateway": lambda ask, fault: cloudflare("502 Bad Gateway", 502),
    "overloaded": lambda ask, fault: error(503, BUSY),
    "unavailable": lambda ask, fault: Reply("no healthy upstream", 503),
    "gateway_timeout": lambda ask, fault: cloudflare("504 Gateway Time-out", 504),
    "http_error": lambda ask, fault: error(status_of(fault, 500), "scripted error"),
    "rate_limit": rate_limit,
    "quota": quota,
    "auth": unauthorized,
    "permission": permission,
    "retired": retired,
    "not_found": not_found,
    "context": lambda ask, fault: (
        too_long(ask, 4096)
        if ask.variant == "embed"
        else context(*sizes_of(ask, fault, (5120, 4096)))
    ),
    "bad_request": lambda ask, fault: error(400, BAD_THINK),
    "busy": lambda ask, fault: error(503, BUSY),
    "oom": lambda ask, fault: error(500, OOM),
    "crash": lambda ask, fault: error(500, CRASH),
}
