"""What a guarded client may do: its route and terms, and what a private call keeps back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from pilotlight.core.provider import Attempt
from pilotlight.core.target import Target
from pilotlight.doors.exchange import Reply, refused
from pilotlight.doors.exchange.asking import BadRequest, read_body
from pilotlight.doors.guard.home import USUAL, Patience, Protection
from pilotlight.privacy.residency import is_private, refusing_rule

_KEPT_BACK: Final = (
    "this request is private and would leave the machine: only calls of a model can go to a local "
    "one in its place; send it outside `private()`"
)


@dataclass(frozen=True, slots=True)
class Rules:
    """One guarded client; `dialects` are those in which its SDK asks models."""

    protection: Protection
    dialects: frozenset[str]
    host: str
    private: bool
    total_timeout: float | None

    def may_ask(self, request: Any) -> bool:
        """Tell whether a request has to be looked at; an upload is not read for it."""
        kind: str = request.headers.get("content-type", "")
        return bool(request.method == "POST" and kind.startswith("application/json"))

    def refusal(self, request: Any, body: bytes) -> Reply | None:
        """Return the refusal of a request that may not go out as it is; None: it may."""
        if not self._is_private():
            return None
        target = self._local(request, body)
        if isinstance(target, Target):
            attempt = Attempt(target, target.timeouts)
            target = None if target.provider.verify_local(attempt) is None else False
        return None if target is None else self._refused()

    async def arefusal(self, request: Any, body: bytes) -> Reply | None:
        """As `refusal`, for async."""
        if not self._is_private():
            return None
        target = self._local(request, body)
        if isinstance(target, Target):
            attempt = Attempt(target, target.timeouts)
            target = None if await target.provider.averify_local(attempt) is None else False
        return None if target is None else self._refused()

    def _is_private(self) -> bool:
        return is_private(self.private)

    def _refused(self) -> Reply:
        return refused(min(self.dialects), 403, _KEPT_BACK)

    def _local(self, request: Any, body: bytes) -> Target | bool | None:
        """Tell whether a request stays at home: None, it does; False, it does not.

        A target: if its server proves that it is there.
        """
        endpoint = self.protection.endpoint
        addresses = {
            host
            for config in self.protection.app.config.targets.values()
            for host in config.local_addresses
        }
        rule = refusing_rule(endpoint.prefix, endpoint.prefix, endpoint.base_url, addresses)
        if rule is not None or request.url.host != self.host:
            return False
        if endpoint.prefix != "ollama" or request.method == "GET":
            return None
        try:
            model = read_body(body).get("model")
        except BadRequest:
            return False
        if type(model) is not str:
            return None
        target = self.protection.route(model, False, Patience(None, USUAL)).targets[0]
        return target if target.is_local else False
