"""Which endpoints are asked in a caller's own words: those that speak its dialect."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pilotlight.core.provider import Call, Original
from pilotlight.core.target import able


def is_relayed(provider: Any, call: Call) -> bool:
    """Tell whether a provider's endpoint is asked in the caller's own words."""
    original = call.original
    if original is None:
        return False
    return is_home(provider, original) or original.dialect in _spoken(provider)


def is_home(provider: Any, original: Original) -> bool:
    """Tell whether this is the endpoint that the caller's own client would have asked."""
    return original.home is not None and original.home.target.provider is provider


def _spoken(provider: Any) -> tuple[str, ...]:
    """Return the dialects that a provider's endpoint is known to speak.

    Options of a target are OpenAI's by name: with some, any other dialect is written for it.
    """
    spoken: tuple[str, ...] = getattr(provider, "speaks", ())
    if not spoken or provider.connection.keyless:
        return ()
    plain = not provider.connection.spec.options
    return tuple(name for name in spoken if plain or name == "openai_chat")


def unable_of(provider: Any) -> Callable[[Call], str]:
    """Return what tells what of a call its API can't be told: of the caller's own words, all can.

    Empty: nothing.
    """
    untold: Callable[[Call], str] = getattr(provider, "unable", able)
    if untold is able:
        return able
    return lambda call: "" if is_relayed(provider, call) else untold(call)
