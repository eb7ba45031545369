"""What every provider stands on: the connection to one endpoint, and how failures are told."""

from __future__ import annotations

import difflib
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import urlsplit

from pilotlight.core.boundary import ResidencyRule
from pilotlight.core.faults import RULES, Effect, Fault
from pilotlight.core.fork import GATE
from pilotlight.core.headers import clean_key
from pilotlight.core.steps import Failed, Provider, Report, Timeouts
from pilotlight.errors import ConfigError, InvalidCall, PilotlightError, ProviderFault
from pilotlight.providers import catalog, retired
from pilotlight.providers.catalog import Spec
from pilotlight.providers.ollama_context import asked_context
from pilotlight.providers.tap import Tap, Wire, current_tap

if TYPE_CHECKING:
    from pilotlight.providers.classify import Verdict
    from pilotlight.providers.wire import Pool

# Options with which a call may ask for a larger window, as with Anthropic's beta header.
WIDENING: Final = frozenset({"extra_headers", "extra_body", "extra_query", "headers", "betas"})


class Named(Protocol):
    """What a diagnosis needs to know of a target."""

    @property
    def name(self) -> str:
        """The target's name."""

    @property
    def model(self) -> str:
        """The model asked for."""


class Connection:
    """One endpoint: its address, its key, and the pool of connections to it.

    Making one contacts nobody; the pool is opened by the first request.
    """

    def __init__(self, spec: Spec) -> None:
        known = catalog.info(spec.provider)
        if spec.api_key:
            where = f"target {spec.name!r}: api_key"
            spec = replace(spec, api_key=clean_key(spec.api_key, where) or None)
        self.spec = spec
        self.wire: Wire = known.wire
        self.api_key = spec.api_key or catalog.environment_key(spec.provider)
        self.given_base = spec.api_base or catalog.environment_base(spec.provider)
        if self.given_base and not self.given_base.isprintable():
            raise ConfigError(
                f"target {spec.name!r}: its address {self.given_base!r} holds a line end or "
                f"another control character; look at api_base and {' '.join(known.bases)}"
            )
        if self.wire == "ollama":
            from pilotlight.providers.ollama_http import normalise_host

            self.base_url = normalise_host(spec.api_base)
        else:
            self.base_url = self.given_base or known.base_url
        self.provider: Provider = _provider(self)
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
        known = catalog.info(self.spec.provider)
        if self.api_key or self.wire == "ollama" or not known.keys:
            return None
        if self.given_base and known.wire == "openai":  # a server of the user's own: vLLM, ...
            return None
        if (named := self.spec.key_variable) is not None:
            return f"no API key: set {named}, which its api_key names"
        return f"no API key: set {known.keys[0]}, or api_key = {{ env = ... }}{_meant(self.spec)}"

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
        from pilotlight.providers.backend import pin_for
        from pilotlight.providers.wire import Pool

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
        from pilotlight.providers.ollama_load import default_context

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
        from pilotlight.providers import model_table

        return model_table.window(self.spec.model)

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


def _meant(spec: Spec) -> str:
    """Return a hint at the provider whose name was probably meant."""
    near = difflib.get_close_matches(spec.provider, catalog.CATALOG, n=1, cutoff=0.8)
    if spec.provider in catalog.CATALOG or not near:
        return ""
    return f"; did you mean {near[0]}/{spec.bare_model}?"


def _provider(connection: Connection) -> Provider:
    if connection.wire == "ollama":
        from pilotlight.providers.ollama import OllamaProvider

        return OllamaProvider(connection)
    if connection.wire == "cohere" and connection.spec.via is None:
        from pilotlight.providers.direct_cohere import CohereProvider

        return CohereProvider(connection)
    if connection.base_url and connection.spec.via is None:
        from pilotlight.providers.direct_rules import dialect_of

        if (dialect := dialect_of(connection.spec, bool(connection.given_base))) is not None:
            from pilotlight.providers.direct import DirectProvider

            return DirectProvider(connection, dialect)
    from pilotlight.providers.litellm import LiteLLMProvider

    return LiteLLMProvider(connection)


class listening:  # noqa: N801  # a context manager, and around every chunk: a class is cheaper
    """Let the requests made inside the block write to this attempt's tap."""

    __slots__ = ("_tap", "_token")

    def __init__(self, tap: Tap) -> None:
        self._tap = tap

    def __enter__(self) -> Tap:
        self._token = current_tap.set(self._tap)
        return self._tap

    def __exit__(self, *error: object) -> None:
        current_tap.reset(self._token)


def new_tap(
    wire: Wire,
    timeouts: Timeouts,
    *,
    watched: bool = False,
    checks: bool = True,
    skips: bool = False,
) -> Tap:
    """Return the record of an attempt that starts now; the flags are those of `Tap`."""
    return Tap(wire, timeouts, time.monotonic, watched=watched, checks=checks, skips=skips)


def failure(
    target: Named,
    tap: Tap,
    error: Exception,
    messages: Sequence[Mapping[str, Any]] = (),
    partial: str = "",
    tool_begun: bool = False,
    *,
    own: bool = False,
) -> Failed:
    """Diagnose what an attempt raised; raises the error itself where it is a bug.

    The wire is the first witness.  Where nothing reached it, the exception is the
    only one, and one that is no provider's is the caller's or ours: nothing that counts
    against an endpoint is believed without a witness.  `own`: the call was put together
    by a provider of ours, so an InvalidCall says that it could not be sent.
    """
    from pilotlight.providers.classify import classify, classify_exception, has_witness

    texts = Texts((*messages, partial))  # what was answered is no more to be quoted
    verdict: Verdict | None
    if tap.requests or tap.refused_host or tap.starved:
        verdict = classify(tap, error, prompt_texts=texts)
    else:
        verdict = classify_exception(error, wire=tap.wire, prompt_texts=texts)
    if verdict is None:
        if not own or tap.written or isinstance(error, PilotlightError):
            raise error
        return _unsendable(target, error)
    if RULES[verdict.fault].breaker is not Effect.IGNORES and not has_witness(tap, error):
        if not own:
            raise error
        return _unsendable(target, error)
    return Failed(_report(target, verdict, error, tap), partial, tool_begun)


def _unsendable(target: Named, error: Exception) -> Failed:
    """The failure of a call that a library refused before a byte was written.

    The library's words may quote the call, so they stay with the cause.
    """
    from pilotlight.providers.failures import chain

    kinds = dict.fromkeys(type(each).__name__ for each in (error, chain(error)[-1]))
    said = f"refused before anything was sent: {' from '.join(kinds)}"
    told = InvalidCall(f"{target.name}: the call was {said}")
    told.__cause__ = error
    return Failed(Report(Fault.INVALID_REQUEST, told, evidence=said))


def verdict_failure(
    target: Named, verdict: Verdict, partial: str = "", tool_begun: bool = False
) -> Failed:
    """Turn a verdict on an answer that raised nothing into a failure."""
    error = ProviderFault(verdict.fault, target.name, verdict.evidence)
    return Failed(_report(target, verdict, error), partial, tool_begun)


def diagnosed(
    target: Named, tap: Tap, verdict: Verdict, error: Exception, partial: str = ""
) -> Failed:
    """The failure of an attempt whose verdict is known already."""
    return Failed(_report(target, verdict, error, tap), partial)


def keyless_failure(name: str, mend: str) -> Failed:
    """The failure of a target that has no key: nothing was sent."""
    error = ProviderFault(Fault.AUTH_FAILED, name, mend)
    return Failed(Report(Fault.AUTH_FAILED, error, evidence=mend))


def _report(target: Named, verdict: Verdict, error: Exception, tap: Tap | None = None) -> Report:
    """Return the diagnosis; for a retired model with what its provider offers instead."""
    evidence = verdict.evidence
    if verdict.fault is Fault.MODEL_RETIRED:
        known = retired.lookup(target.model)
        if known is not None and known.replacement:
            evidence = f"{evidence}; use {known.replacement}"
    return Report(
        verdict.fault,
        _told(target, verdict, error, tap, evidence),
        verdict.retry_after,
        verdict.status,
        evidence,
        verdict.code,
        rule=_rule(verdict, tap),
        window=verdict.window,
    )


def _told(
    target: Named, verdict: Verdict, error: Exception, tap: Tap | None, evidence: str
) -> Exception:
    """Return what a caller may be shown: the refusal, where only the rest of it went amiss."""
    from pilotlight.providers.failures import chain, status_of, transport_fault

    if tap is None or (tap.status or 0) < 300 or status_of(error) == tap.status:
        return error
    half = not tap.complete and transport_fault(chain(error)) is not None
    if not (half or isinstance(error, TimeoutError)):
        return error
    refusal = ProviderFault(verdict.fault, target.name, evidence, verdict.retry_after)
    refusal.__cause__ = error
    return refusal


def _rule(verdict: Verdict, tap: Tap | None) -> ResidencyRule | None:
    """Return the rule where residency refused: the socket's word comes before the reply's."""
    if tap is not None and tap.strayed:
        return ResidencyRule.STRAYED_ADDRESS
    if tap is not None and tap.refused_host:
        return ResidencyRule.FOREIGN_HOST
    return ResidencyRule.CLOUD_REPLY if verdict.fault is Fault.PRIVACY_BOUNDARY else None


class Texts(Sequence[str]):
    """The prompt's texts, gathered only if the scrubber asks for them."""

    def __init__(self, messages: Sequence[Any]) -> None:
        self._messages = messages
        self._texts: list[str] | None = None

    def _all(self) -> list[str]:
        if self._texts is None:
            self._texts = [text for message in self._messages for text in _strings(message)]
        return self._texts

    def __getitem__(self, index: Any) -> Any:
        return self._all()[index]

    def __len__(self) -> int:
        return len(self._all())


def _strings(value: Any) -> Iterator[str]:
    """Yield every string inside a message, whatever its shape."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            if key not in ("role", "type"):
                yield from _strings(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _strings(inner)
    elif (dump := getattr(value, "model_dump", None)) is not None:
        yield from _strings(dump())
