"""The connection to one endpoint: its address, its key, and its pool."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from pilotlight.catalog import providers
from pilotlight.catalog.providers import Spec
from pilotlight.core.fork import GATE
from pilotlight.core.headers import clean_key
from pilotlight.errors import ConfigError
from pilotlight.providers.ollama.context import asked_context
from pilotlight.providers.streamable import Streamable
from pilotlight.wire.played import stages
from pilotlight.wire.tap import Wire

if TYPE_CHECKING:
    from pilotlight.wire.pool import Pool

# Options with which a call may ask for a larger window, as with Anthropic's beta header.
WIDENING: Final = frozenset({"extra_headers", "extra_body", "extra_query", "headers", "betas"})


class Connection:
    """One endpoint: its address, its key, and the pool of connections to it.

    Making one contacts nobody; the pool is opened by the first request.
    """

    def __init__(self, spec: Spec) -> None:
        known = providers.info(spec.provider)
        if spec.api_key:
            where = f"target {spec.name!r}: api_key"
            spec = replace(spec, api_key=clean_key(spec.api_key, where) or None)
        self.spec = spec
        self.wire: Wire = known.wire
        self.api_key = spec.api_key or providers.environment_key(spec.provider)
        self.given_base = spec.api_base or providers.environment_base(spec.provider)
        if self.given_base and not self.given_base.isprintable():
            raise ConfigError(
                f"target {spec.name!r}: its address {self.given_base!r} holds a line end or "
                f"another control character; look at api_base and {' '.join(known.bases)}"
            )
        if self.wire == "ollama":
            from pilotlight.providers.ollama.http import normalise_host

            self.base_url = normalise_host(spec.api_base)
        else:
            self.base_url = self.given_base or known.base_url
        self.streamable = Streamable(self)
        self.relays: dict[str, Any] = {}  # who asks it in a caller's own words, by the dialect
        self.training_context: int | None = None  # an Ollama model's, as a health check has found
        self.home: tuple[str, ...] | None = None  # the addresses of a local target besides loopback
        self._pool: Pool | None = None
        self._retired = False
        self.forked()
        GATE.inherits(self)

    def forked(self) -> None:
        """In a child: nobody holds the lock there."""
        self._lock = threading.Lock()

    @property
    def keyless(self) -> str | None:
        """What to do about a key that is missing; None when there is one, or none is needed."""
        known = providers.info(self.spec.provider)
        if self.api_key or self.wire == "ollama" or not known.keys or stages:
            return None
        if self.given_base and known.wire == "openai":  # a server of the user's own: vLLM, ...
            return None
        if (named := self.spec.key_variable) is not None:
            return f"no API key: set {named}, which its api_key names"
        return f"no API key: set {known.keys[0]}, or api_key = {{ env = ... }}"

    @property
    def pool(self) -> Pool | None:
        """The connections; None where the address is not known, and so can't be watched."""
        if self._pool is None and self.base_url:
            with self._lock:
                if self._pool is None:
                    self._pool = self._open()
                    if self._retired:
                        self._pool.retire()
        return self._pool

    def _open(self) -> Pool:
        from pilotlight.wire.network import pin_for
        from pilotlight.wire.pool import Pool

        if self.home is None:
            return Pool(self.base_url, wire=self.wire, proxy=self.wire != "ollama")
        host = urlsplit(self.base_url).hostname or ""
        return Pool(self.base_url, wire=self.wire, pin=pin_for(host, self.home))

    def close(self) -> None:
        """Close the idle connections."""
        if self._pool is not None:
            self._pool.close()

    def retire(self) -> None:
        """Keep no connection any more: idle ones are closed, others as their requests end."""
        with self._lock:
            self._retired = True
            if self._pool is not None:
                self._pool.retire()

    @property
    def context(self) -> int:
        """The `num_ctx` for Ollama: as configured, else the default that the model allows."""
        from pilotlight.providers.ollama.loading import default_context

        return self.spec.context or default_context(self.training_context)

    def window(self, told: int | None = None) -> int | None:
        """Return the context length in tokens: sent to Ollama, configured, told, or of a table.

        `told` is the server's own word, from a refusal; litellm's table knows less.
        """
        if self.wire == "ollama":
            return self._capped(asked_context(self.context, self.spec.options, {}))
        if self.spec.context is not None:
            return self.spec.context
        if told is not None:
            return told
        from pilotlight.catalog import models

        return models.window(self.spec.model)

    def room(self, options: Mapping[str, Any], told: int | None = None) -> int | None:
        """Return how many tokens a call can have at most, where that is certain.

        litellm's table is not: it knows nothing of larger windows that are asked for.
        For the same reason what was `told` to another call is not, where this one
        brings something of its own that may ask for one.
        """
        if self.wire == "ollama":
            return self._capped(asked_context(self.context, self.spec.options, options))
        if self.spec.context is None and WIDENING.isdisjoint(options):
            return told
        return self.spec.context

    def _capped(self, asked: int | None) -> int | None:
        """Return what the server gives: of any `num_ctx`, no more than the model was made for."""
        trained = self.training_context
        return min(asked, trained) if asked and trained else asked
