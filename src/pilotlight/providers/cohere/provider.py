"""Cohere's v2 chat over our own connections.

litellm takes no client of ours for Cohere, and dies at every stream of its v2 API.  What
`cohere` can't write, an option that it does not know, is litellm's as before.
"""

from __future__ import annotations

import time
from functools import cached_property, partial
from typing import Any

from pilotlight.catalog import litellm_module
from pilotlight.catalog.providers import NO_KEY_NEEDED
from pilotlight.core.provider import Call
from pilotlight.providers.cohere import translation
from pilotlight.providers.native.asking import DirectProvider
from pilotlight.providers.native.hooks import litellm_has_hooks
from pilotlight.providers.native.prepared import Prepared
from pilotlight.wire.http import Post, dumped


class CohereProvider(DirectProvider):
    """Asks Cohere by itself, in its own words."""

    def unable(self, call: Call) -> str:
        """Return what of a call only litellm could tell Cohere, where it is not installed."""
        absent = litellm_module.absent()
        return absent if absent and call.messages and self.prepared(call) is None else ""

    def prepared(self, call: Call, *, counted: bool = True) -> Prepared | None:
        """Return the request as it is sent; None if litellm is to write it."""
        spec = self.connection.spec
        old = spec.bare_model.startswith("v1/")
        if call.operation != "chat" or old or litellm_has_hooks():
            return None
        options = {**spec.options, **call.options}
        body = translation.request(spec.bare_model, call.messages, options, stream=call.stream)
        if body is None:
            return None
        # What OpenAI's shape has, and Cohere does not say.
        told: dict[str, Any] = {"model": spec.bare_model, "created": int(time.time())}
        read, reader = partial(translation.answer, **told), partial(translation.Reader, **told)
        try:
            return Prepared(self._place, dumped(body), read, reader)
        except (TypeError, ValueError, RecursionError):  # an SDK's own objects, for instance
            return None

    @cached_property
    def _place(self) -> Post:
        """Where chats are posted to; its connections are opened by the first request."""
        connection = self.connection
        pool = connection.pool
        assert pool is not None, "Cohere's address is known"
        headers = {"authorization": f"Bearer {connection.api_key or NO_KEY_NEEDED}"}
        return Post(pool, translation.address(connection.base_url), headers)
