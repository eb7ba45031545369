"""Cohere's v2 chat over our own connections.

litellm takes no client of ours for Cohere, and dies at every stream of its v2 API.  What
`cohere` can't write, an option that it does not know, is litellm's as before.
"""

from __future__ import annotations

import time
from typing import Any

from pilotlight.core.provider import Call
from pilotlight.providers.cohere import translation
from pilotlight.providers.connection import Connection
from pilotlight.providers.openai.prepared import Reader
from pilotlight.providers.openai.provider import DirectProvider
from pilotlight.providers.openai.rules import Dialect
from pilotlight.wire.tap import Wire

_NOTHING = Dialect(frozenset())  # is sent as litellm would


class CohereProvider(DirectProvider):
    """Asks Cohere by itself, in its own words."""

    wire: Wire = "cohere"

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, _NOTHING)

    @property
    def url(self) -> str:
        """The address that chats are posted to."""
        return translation.address(self.connection.base_url)

    def request(self, call: Call) -> dict[str, Any] | None:
        """Return the JSON of the request; None if litellm is to write it."""
        spec = self.connection.spec
        if call.operation != "chat" or spec.bare_model.startswith("v1/"):
            return None
        options = {**spec.options, **call.options}
        return translation.request(spec.bare_model, call.messages, options, stream=call.stream)

    def shaped(self, data: dict[str, Any]) -> dict[str, Any]:
        """Return an answer in OpenAI's shape."""
        return translation.answer(data, **self._told())

    def reader(self) -> Reader:
        """Return what makes chunks of the events of one stream."""
        return translation.Reader(**self._told())

    def _told(self) -> dict[str, Any]:
        """What OpenAI's shape has, and Cohere does not say."""
        return {"model": self.connection.spec.bare_model, "created": int(time.time())}
