"""Which endpoints are asked in a caller's own words: those that speak its dialect."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from pilotlight.core.provider import Call, Original
from pilotlight.core.target import able
from pilotlight.dialects.openai_chat import MANNERS
from pilotlight.providers.connection import Connection
from pilotlight.wire.tap import Wire

_OWN: Final[Mapping[Wire, str]] = {
    "anthropic": "anthropic_messages",
    "gemini": "gemini",
    "ollama": "ollama",
    "openai": "openai_chat",
}
_OTHERWISE: Final = frozenset({"azure", "azure_ai"})  # their addresses name the model, and more


def is_relayed(provider: Any, call: Call) -> bool:
    """Tell whether a provider's endpoint is asked in the caller's own words."""
    original = call.original
    connection = getattr(provider, "connection", None)
    if original is None or not isinstance(connection, Connection):
        return False
    return is_home(connection, original) or original.dialect in _spoken(connection)


def is_home(connection: Connection, original: Original) -> bool:
    """Tell whether this is the endpoint that the caller's own client would have asked."""
    home = original.home
    return home is not None and getattr(home.target.provider, "connection", None) is connection


def _spoken(connection: Connection) -> tuple[str, ...]:
    """Return the dialects that an endpoint is known to speak as a caller of its API does.

    Options of a target are OpenAI's by name: with some, any other dialect is written for it.
    So is OpenAI's own for a server that calls an option otherwise, or refuses one.
    """
    spec = connection.spec
    own = _OWN.get(connection.wire)
    if own is None or not connection.base_url or spec.via is not None or connection.keyless:
        return ()
    if spec.provider in _OTHERWISE or (spec.options and own != "openai_chat"):
        return ()
    if own == "openai_chat" and spec.provider != "openai" and spec.provider in MANNERS:
        return ()
    if spec.by_responses:
        return () if spec.options else ("openai_responses",)
    if spec.provider == "openai" and not connection.given_base and not spec.options:
        return (own, "openai_responses")
    return (own,)


def unable_of(provider: Any) -> Callable[[Call], str]:
    """Return what tells what of a call its API can't be told: of the caller's own words, all can.

    Empty: nothing.
    """
    untold: Callable[[Call], str] = getattr(provider, "unable", able)
    if untold is able:
        return able
    return lambda call: "" if is_relayed(provider, call) else untold(call)
