"""An error status in the provider's words, where the words are all there is to it.

One entry a status; the words are in `wording/`, by dialect.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .base import HOSTED, Provider, Refusal, WithStatus

if TYPE_CHECKING:
    from ..answers import Ask
    from ..http import Reply


@dataclass(frozen=True, kw_only=True)
class Trouble(Refusal):
    """The provider's own trouble, of which it may say when it is over (RFC 9110, 10.2.3)."""

    retry_after: float | None = None  # seconds; None: say nothing

    def refuse(self, provider: Provider, ask: Ask) -> Reply | None:
        reply = super().refuse(provider, ask)
        if reply is None or self.retry_after is None:
            return reply
        return replace(reply, headers={**reply.headers, "retry-after": f"{self.retry_after:g}"})


class ServerError(Trouble):
    kind = "server_error"
    about = "500 in the provider's words"


class BadGateway(Trouble):
    kind = "bad_gateway"
    about = "502 with a proxy's HTML page"


class Overloaded(Trouble):
    kind = "overloaded"
    about = "503; Anthropic 529; Ollama: queue full"


class Unavailable(Trouble):
    kind = "unavailable"
    about = "503 from the proxy in front, plain text"


class GatewayTimeout(Trouble):
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


@dataclass(frozen=True, kw_only=True)
class Context(Refusal):
    kind = "context"
    about = "400, the prompt is too long"

    limit: int | None = None  # tokens, and shorter prompts are answered; None: no prompt is

    def refuse(self, provider: Provider, ask: Ask) -> Reply | None:
        if self.limit is not None and ask.prompt_tokens <= self.limit:
            return None
        return super().refuse(provider, ask)


class TooLarge(Refusal):
    kind = "too_large"
    about = "413"
    dialects = HOSTED


class BadRequest(Refusal):
    kind = "bad_request"
    about = "400, the caller's own mistake"
