"""What a decorated function is given: the target of this attempt, ready for any SDK."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache, cached_property
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, overload

from pilotlight.catalog import providers
from pilotlight.core.provider import Attempt
from pilotlight.errors import ConfigError
from pilotlight.providers.connection import Connection
from pilotlight.wire.tap import Tap, current_tap, new_tap

if TYPE_CHECKING:
    import httpx

Transports = Callable[[Tap, bool], Any]
"""Makes the transport of an attempt's HTTP clients; its second argument: for async code."""

LOCAL_KEY = "ollama"  # the SDKs insist on a key, Ollama ignores it


def current_target() -> AttemptTarget:
    """Return the target of this attempt, inside a function that `@failover` runs.

    It is the same object that a `target` parameter gets; in nested functions the innermost
    one's.  It crosses `await`, tasks and `asyncio.to_thread`, and stays with a generator that
    is resumed elsewhere; a thread that you start yourself needs
    `contextvars.copy_context().run`.

    Raises LookupError where no decorated function runs, and once its attempt is over.
    """
    tap = current_tap.get()
    target: AttemptTarget | None = tap.target() if tap is not None and tap.target else None
    if target is None:
        raise LookupError(
            "current_target(): no function under @failover runs here; call it inside one, and in "
            "a thread of your own by contextvars.copy_context().run"
        )
    return target


@cache
def family_of(kind: type) -> str:
    """Return the family that a class of HTTP client is of: `httpx` or `httpx2`."""
    roots = (each.__module__.partition(".")[0] for each in kind.__mro__)
    return next((root for root in roots if root in ("httpx", "httpx2")), "httpx")


def _httpx2() -> ModuleType:
    from pilotlight.wire import httpx2_clients

    return httpx2_clients


class AttemptTarget:
    """The target of one attempt.

    Whatever SDK the function uses, give it one of

        litellm.completion(**target.litellm_kwargs, messages=...)
        openai.OpenAI(**target.openai_kwargs).chat.completions.create(model=target.model, ...)
        httpx: target.http_client()     async: target.ahttp_client()

    so that hidden retries are off, the attempt's clocks hold, the truth on the wire
    is seen, and no host but the target's can be reached.  `timeout` is the total
    in seconds that this attempt may take (None: no limit).
    """

    def __init__(
        self,
        connection: Connection,
        attempt: Attempt,
        asynchronous: bool,
        transports: Transports | None = None,
    ) -> None:
        self._connection = connection
        self._transports = transports
        self._asynchronous = asynchronous
        self._attempt = attempt
        self.tap: Tap = new_tap(connection.wire, attempt.timeouts)
        self.name = attempt.target.name
        self.model = connection.spec.bare_model
        self.local = attempt.target.local
        self.attempt = attempt.number
        self.timeout = attempt.timeouts.total

    def __repr__(self) -> str:
        return f"<target {self.name!r}: {self._connection.spec.model}>"

    @property
    def provider(self) -> str:
        """The litellm prefix, such as `openai` or `ollama`."""
        return self._connection.spec.provider

    @property
    def api_base(self) -> str:
        """The address of the endpoint, as an OpenAI-style client wants it where it can be one."""
        connection = self._connection
        if connection.wire == "ollama":
            return f"{connection.base_url}/v1"
        return connection.given_base or connection.base_url

    @property
    def api_key(self) -> str:
        """The key itself; empty when there is none."""
        return self._connection.api_key or (LOCAL_KEY if self._connection.wire == "ollama" else "")

    @overload
    def http_client(self, family: Literal["httpx"] = "httpx") -> httpx.Client: ...
    @overload
    def http_client(self, family: str) -> Any: ...
    def http_client(self, family: str = "httpx") -> Any:
        """Return an HTTP client for this attempt; closing it is allowed and not needed.

        `family` is what the SDK that is given it was built with: `httpx`, or `httpx2` (openai 3,
        anthropic 1, google-genai 3 and later).  Raises ImportError where that is not installed.
        """
        pool, own = self._pool(), self._transports and self._transports(self.tap, False)
        two = family == "httpx2"
        made = _httpx2().bound(pool, self.tap, own) if two else pool.bound(self.tap, own)
        self.tap.watched = True
        return made

    @overload
    def ahttp_client(self, family: Literal["httpx"] = "httpx") -> httpx.AsyncClient: ...
    @overload
    def ahttp_client(self, family: str) -> Any: ...
    def ahttp_client(self, family: str = "httpx") -> Any:
        """Return an async HTTP client for this attempt, of the same two families."""
        pool, own = self._pool(), self._transports and self._transports(self.tap, True)
        two = family == "httpx2"
        made = _httpx2().abound(pool, self.tap, own) if two else pool.abound(self.tap, own)
        self.tap.watched = True
        return made

    @cached_property
    def litellm_kwargs(self) -> dict[str, Any]:
        """Everything `litellm.completion` or `acompletion` needs but the messages.

        An Ollama model is asked as an OpenAI-style server (`/v1`), which the target's HTTP client
        turns into its own API: litellm's Ollama path would ask other hosts behind one's back.
        """
        from pilotlight.catalog.litellm_module import litellm
        from pilotlight.catalog.providers import NO_KEY_NEEDED
        from pilotlight.providers.native.plain_values import own_copy

        if "litellm" not in sys.modules:
            litellm()
            self.tap.restart()  # the seconds of its first import are not theirs
        self.tap.keeps_lines = True
        litellm()  # shuts its network traps, whoever has imported it
        local = self._connection.wire == "ollama"
        kwargs: dict[str, Any] = {
            **own_copy(dict(self._connection.spec.options)),
            "model": f"openai/{self.model}" if local else self._connection.spec.model,
            "api_key": self.api_key or NO_KEY_NEEDED,
            "timeout": self.timeout,
            "num_retries": 0,
            "max_retries": 0,
        }
        if local or self._connection.given_base or self._connection.wire == "openai":
            kwargs["api_base"] = self.api_base
        if (client := self._litellm_client(kwargs["api_key"])) is not None:
            kwargs["client"] = client
        return kwargs

    @cached_property
    def openai_kwargs(self) -> dict[str, Any]:
        """Everything `openai.OpenAI` or `AsyncOpenAI` needs; the model is `target.model`.

        Raises ConfigError for a provider that the openai SDK can't reach.
        """
        base = self.api_base
        if not self._connection.given_base and self._connection.wire != "ollama":
            known = providers.info(self.provider).openai_url
            if not known:
                raise ConfigError(
                    f"target {self.name!r}: {self.provider} does not speak the openai SDK's "
                    "language; use target.litellm_kwargs"
                )
            base = known
        return {
            "base_url": base,
            "api_key": self.api_key or "not-needed",
            "timeout": self.timeout,
            "max_retries": 0,
            "http_client": self._openai_client(),
        }

    def _openai_client(self) -> Any:
        """Return a client of the family that the openai SDK is of, where it is imported."""
        sdk = sys.modules.get("openai")
        family = family_of(sdk.DefaultHttpxClient) if sdk else "httpx"
        return self.ahttp_client(family) if self._asynchronous else self.http_client(family)

    def _litellm_client(self, api_key: str) -> object | None:
        if self._connection.pool is None:
            return None
        from pilotlight.providers.litellm.clients import litellm_client

        return litellm_client(
            self.ahttp_client() if self._asynchronous else self.http_client(),
            "openai" if self._connection.wire == "ollama" else self.provider,
            asynchronous=self._asynchronous,
            api_key=api_key,
            base_url=self.api_base or None,
            api_version=self._connection.spec.options.get("api_version"),
        )

    def _pool(self) -> Any:
        pool = self._connection.pool
        if pool is None:
            raise ConfigError(
                f"target {self.name!r}: the address of {self.provider} is not known; "
                f"set targets.{self.name}.api_base"
            )
        return pool
