"""A refusal as the caller knows it: the exception of the library that the program uses.

A mistake of the caller reaches it as the provider's own exception.  Where no SDK stands in
between there is none, so it is made: litellm's if litellm is imported, for whoever catches it
has imported it; else the openai SDK's; else the provider's own SDK's; else httpx's.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import httpx

from pilotlight.catalog.litellm_module import litellm
from pilotlight.providers.shapes import litellm_loaded

if TYPE_CHECKING:
    from pilotlight.wire.http import Said


def status_error(said: Said, url: str, provider: str, model: str) -> Exception:
    """Return the exception of an answer with an error status."""
    response = httpx.Response(
        said.status_code,
        headers=[(n, v) for n, v in said.headers if n.lower() not in _OF_THE_WIRE],
        content=said.content,
        request=httpx.Request("POST", url),
    )
    return _own(lambda sdk: _by_sdk(sdk, response), provider, model) or _by_httpx(response)


def in_band_error(event: Mapping[str, Any], url: str, provider: str, model: str) -> Exception:
    """Return the exception of an error that stands in a stream under status 200."""
    request = httpx.Request("POST", url)
    error = event.get("error")
    told = error.get("message") if isinstance(error, Mapping) else error
    message = str(told or "an error in the stream")
    own = _own(lambda sdk: sdk.APIError(message, request, body=error), provider, model)
    return own or httpx.RemoteProtocolError(message, request=request)


_OF_THE_WIRE = frozenset({b"content-encoding", b"content-length", b"transfer-encoding"})


_SDKS = {"anthropic": "anthropic"}  # of the openai SDK's make


def _by_httpx(response: httpx.Response) -> Exception:
    said = f"HTTP {response.status_code} from {response.request.url.host}"
    return httpx.HTTPStatusError(said, request=response.request, response=response)


def _by_sdk(sdk: Any, response: httpx.Response) -> Exception:
    """Let the SDK choose its class, and word its message, as for a request of its own."""
    kind = getattr(sdk, "OpenAI", None) or sdk.Anthropic
    client = kind.__new__(kind)  # it needs no key and no connections for that
    made: Exception = client._make_status_error_from_response(response)
    return made


def _own(made: Callable[[Any], Exception], provider: str, model: str) -> Exception | None:
    """Return litellm's exception, or the SDK's; None where neither is imported."""
    try:
        if litellm_loaded():
            import openai  # litellm has it

            return _mapped(made(openai), provider, model)
        sdk = sys.modules.get("openai") or sys.modules.get(_SDKS.get(provider, ""))
        return None if sdk is None else made(sdk)
    except Exception:  # an SDK of another age: httpx's exception tells the same
        return None


def _mapped(error: Exception, provider: str, model: str) -> Exception:
    """Return what litellm makes of the SDK's exception; it tells by raising."""
    try:
        litellm().exception_type(
            model=model, original_exception=error, custom_llm_provider=provider
        )
    except Exception as mapped:
        return mapped
    return error
