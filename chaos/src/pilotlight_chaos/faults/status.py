"""An error status in the provider's words, where the words are all there is to it.

One entry a status; the words are in `wording/`, by dialect.
"""

from __future__ import annotations

from .base import HOSTED, Refusal, WithStatus


class ServerError(Refusal):
    kind = "server_error"
    about = "500 in the provider's words"


class BadGateway(Refusal):
    kind = "bad_gateway"
    about = "502 with a proxy's HTML page"


class Overloaded(Refusal):
    kind = "overloaded"
    about = "503; Anthropic 529; Ollama: queue full"


class Unavailable(Refusal):
    kind = "unavailable"
    about = "503 from the proxy in front, plain text"


class GatewayTimeout(Refusal):
    kind = "gateway_timeout"
    about = "504"


class HttpError(WithStatus):
    kind = "http_error"
    about = "any status (default 500), plain body"


class Permission(Refusal):
    kind = "permission"
    about = "403"


class NotFound(Refusal):
    kind = "not_found"
    about = "404, the model does not exist"


class Context(Refusal):
    kind = "context"
    about = "400, the prompt is too long"


class TooLarge(Refusal):
    kind = "too_large"
    about = "413"
    dialects = HOSTED


class BadRequest(Refusal):
    kind = "bad_request"
    about = "400, the caller's own mistake"
