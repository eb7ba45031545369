"""One line round an SDK's client: `client = guard(OpenAI(), fallback="ollama/llama3.2")`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar, cast

from pilotlight.app import default
from pilotlight.doors.guard.clients import sdk_of
from pilotlight.doors.guard.home import Behind, Protection
from pilotlight.errors import ConfigError
from pilotlight.routes.call_rules import FOREVER
from pilotlight.routes.route import Route

C = TypeVar("C")


def guard(
    client: C,
    *,
    route: str | Route | None = None,
    fallback: str | Sequence[str] | None = None,
    total_timeout: float | None = None,
    private: bool | None = None,
) -> C:
    """Return a client of the same class whose model calls survive their provider.

    The client's own endpoint, key and `model=` are asked first; then the targets of `fallback`
    (`provider/model`, or names of the configuration), or those of `route`.  It goes by the HTTP
    client that the SDK lets one choose: nothing is patched, and the client that was given stays as
    it is.  Who has answered stands in the headers `x-pilotlight-served-by`, `-failed-over` and
    `-receipt`.  `total_timeout` bounds a call with all its attempts, in seconds.  With `private`
    every call stays on local targets, and nothing else is sent.

    Clients: OpenAI, AzureOpenAI, Anthropic and Groq in both colours, `google.genai.Client`,
    Mistral, and both of Ollama.  Raises ConfigError for anything else.
    """
    sdk = sdk_of(client)
    _check_terms(total_timeout, private)
    app = default()
    protection = Protection(app, sdk.endpoint(client), _behind(route, fallback))
    backing = protection.backing()
    private = private or (backing is not None and backing.private)
    from pilotlight.doors.guard.making import maker  # brings httpx

    return cast("C", sdk.remade(client, maker(protection, sdk.dialects, private, total_timeout)))


def _check_terms(total_timeout: Any, private: Any) -> None:
    if private is not None and type(private) is not bool:
        raise ConfigError(f"guard(private={private!r}): it should be True or False")
    if total_timeout is None:
        return
    number = isinstance(total_timeout, int | float) and type(total_timeout) is not bool
    if not (number and 0 < total_timeout <= FOREVER):
        raise ConfigError(
            f"guard(total_timeout={total_timeout!r}): a time limit is a positive number of "
            "seconds; leave it out for none"
        )


def _behind(route: Any, fallback: Any) -> Behind:
    """Return what stands behind the client; raises ConfigError, naming the mend."""
    if route is not None and fallback is not None:
        raise ConfigError(
            "guard() was given route= and fallback=; give one: a route has its own targets"
        )
    if route is not None:
        if not isinstance(route, str | Route):
            kind = type(route).__name__
            raise ConfigError(f"guard(route=...) is a {kind}; it should be a route's name")
        return cast("Behind", route)
    if fallback is None:
        return None
    models = (fallback,) if isinstance(fallback, str) else fallback
    if not isinstance(models, Sequence) or not all(isinstance(each, str) for each in models):
        raise ConfigError(
            f"guard(fallback={fallback!r}): it should be a model, or a list of models, such as "
            '"ollama/llama3.2"'
        )
    if not models:
        raise ConfigError('guard(fallback=[]) names no model; such as "ollama/llama3.2"')
    return tuple(models)
