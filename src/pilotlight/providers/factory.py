"""Which provider asks an endpoint: the only file that knows all of them."""

from __future__ import annotations

from pilotlight.catalog import litellm_module
from pilotlight.core.provider import Provider
from pilotlight.providers.connection import Connection


def provider_for(connection: Connection) -> Provider:
    """Return who asks this endpoint; nobody is contacted.

    Raises MissingExtra for one that only litellm can ask, where it is not installed.
    """
    if connection.wire == "ollama":
        from pilotlight.providers.ollama.provider import OllamaProvider

        return OllamaProvider(connection)
    if connection.wire == "cohere" and connection.spec.via is None:
        from pilotlight.providers.cohere.provider import CohereProvider

        return CohereProvider(connection)
    if connection.spec.provider == "automatic1111":
        from pilotlight.providers.pictures.automatic1111 import Automatic1111Provider

        return Automatic1111Provider(connection)
    if connection.spec.via is None:
        from pilotlight.providers.native.manners import manners_of

        if (manners := manners_of(connection)) is not None:
            from pilotlight.providers.native.provider import NativeProvider

            return NativeProvider(connection, manners)
    litellm_module.need(f"target {connection.spec.name!r} ({connection.spec.model})")
    from pilotlight.providers.litellm.provider import LiteLLMProvider

    return LiteLLMProvider(connection)
