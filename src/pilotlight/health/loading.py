"""The requests that load a model and that let go of it, without a word of prompt."""

from __future__ import annotations

from typing import Final

from pilotlight.core.provider import Timeouts
from pilotlight.core.target import Target
from pilotlight.health.checks import CHECK_TIMEOUTS, _entry, embeds
from pilotlight.health.server import NotAsExpected, Server, connection_of, visiting
from pilotlight.providers.ollama.embeddings import embed_request
from pilotlight.providers.ollama.loading import load_request

HOLD: Final = "15m"  # for a model that is wanted soon; longer than the time until the release
FOREVER: Final = -1
SERVER_DEFAULT: Final = "5m"


def keep_alive(target: Target) -> str | float:
    """Return how long the server is to keep the model: as configured, or as the warm-up needs."""
    connection = connection_of(target)
    given = connection.spec.keep_alive if connection is not None else None
    if given is not None:
        return given
    return FOREVER if target.care.warm == "always" else HOLD


def load(target: Target, keep: str | float, limits: Timeouts) -> str | None:
    """Load the model as the target's calls will want it; return what went wrong, if anything."""
    import httpx

    connection = connection_of(target)
    assert connection is not None
    spec = connection.spec
    context, own = connection.context, spec.options
    if vectors := embeds(target):
        body = embed_request(spec.bare_model, (), own, context=context, keep_alive=keep)
    else:
        body = load_request(spec.bare_model, context=context, keep_alive=keep, options=own)
    try:
        with visiting(connection, limits) as client:
            server = Server(client, connection.base_url, spec.api_key, limits.total or 600.0)
            said = server.post("/api/embed" if vectors else "/api/chat", body)
    except httpx.TimeoutException:
        return f"not loaded within {limits.total:g} s"
    except httpx.HTTPError as error:
        return f"no connection ({type(error).__name__})"
    except NotAsExpected as odd:
        return str(odd)
    if said is None:
        return "the model is not there"
    done = said.get("done") is True or "embeddings" in said
    return None if done else "the server broke the load off"


def release(target: Target) -> bool:
    """Let the server unload the model in its usual time; tell whether there was need to.

    A model that is gone from memory is let be: the request would load it.
    """
    connection = connection_of(target)
    assert connection is not None
    with visiting(connection, CHECK_TIMEOUTS) as client:
        server = Server(client, connection.base_url, connection.spec.api_key)
        if _entry(server.optional("/api/ps"), connection.spec.bare_model) is None:
            return False
    return load(target, SERVER_DEFAULT, CHECK_TIMEOUTS) is None
