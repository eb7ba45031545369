"""How each provider words its refusals: one module a dialect, one builder a fault kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from ..answers import Ask
from ..faults import Context, Fault, RateLimit, WithStatus
from ..http import Reply

Builder: TypeAlias = Callable[[Ask, Fault], Reply]

CLOUDFLARE_PAGE = (
    "<html>\n<head><title>{title}</title></head>\n<body>\n<center><h1>{title}</h1></center>\n"
    "<hr><center>cloudflare</center>\n</body>\n</html>\n"
)
ENVOY_OVERFLOW = "upstream connect error or disconnect/reset before headers. reset reason: overflow"


def status_of(fault: Fault, default: int) -> int:
    """Return the status that was asked for, or the usual one."""
    wanted = fault.status if isinstance(fault, WithStatus) else None
    return default if wanted is None else wanted


def wait_of(fault: Fault) -> float | None:
    return fault.retry_after if isinstance(fault, RateLimit) else None


def sizes_of(ask: Ask, fault: Fault, usual: tuple[int, int]) -> tuple[int, int]:
    """Return the tokens of a prompt that is too long and of the context: real or the usual ones."""
    limit = fault.limit if isinstance(fault, Context) else None
    return usual if limit is None else (ask.prompt_tokens, limit)


def cloudflare(title: str, status: int) -> Reply:
    page = CLOUDFLARE_PAGE.format(title=title)
    headers = {"content-type": "text/html; charset=UTF-8", "server": "cloudflare"}
    return Reply(page, status, headers)
