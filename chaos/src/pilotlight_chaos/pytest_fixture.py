"""What the fixture `llm_chaos` is: the providers played, the SDKs' variables set, the questions.

Owns which variables each SDK and litellm read.  Works without pilotlight; where pilotlight is in
use, its breakers are forgotten before and after the test.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .faults import KINDS, Act, FaultError, nearest
from .models import is_cloud_name
from .server import ChaosServer
from .state import RequestRecord

if TYPE_CHECKING:
    import pytest


@dataclass(frozen=True, slots=True)
class Provider:
    """How clients are told where a provider is."""

    name: str
    path: str  # what its SDK wants at the end of a base address
    addresses: tuple[str, ...]
    keys: tuple[str, ...] = ()


PROVIDERS = {
    each.name: each
    for each in (
        Provider("openai", "/v1", ("OPENAI_BASE_URL", "OPENAI_API_BASE"), ("OPENAI_API_KEY",)),
        Provider(
            "anthropic",
            "",
            ("ANTHROPIC_BASE_URL", "ANTHROPIC_API_BASE"),
            ("ANTHROPIC_API_KEY",),
        ),
        # litellm takes GEMINI_API_BASE; google-genai takes the other, and adds the version itself.
        Provider("gemini", "", ("GOOGLE_GEMINI_BASE_URL", "GEMINI_API_BASE"), ("GEMINI_API_KEY",)),
        Provider("ollama", "", ("OLLAMA_HOST", "OLLAMA_API_BASE")),
    )
}
CLOSED = ("openai", "anthropic", "gemini")
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
KEY = "chaos-dummy-key"


class LlmChaos:
    """Model providers that break on demand.

    A `provider` is `"openai"`, `"anthropic"`, `"gemini"`, `"ollama"`, or a name of your own whose
    address you take from `base`.  Without one, a fault strikes every closed provider, and spares
    the local Ollama.  Faults of one provider add up, until `heal`.
    """

    def __init__(self, server: ChaosServer) -> None:
        self.server = server
        self._primary: str | None = None

    def base(self, provider: str) -> str:
        """Return the base address for a client that is not told by variables."""
        known = PROVIDERS.get(provider)
        return self.server.base(provider) + (known.path if known else "")

    # Faults.

    def fault(self, provider: str | None, kind: str, **params: object) -> None:
        """Set any fault that `pilotlight-chaos kinds` lists."""
        for name in (provider,) if provider else CLOSED:
            if not isinstance(name, str) or name in KINDS:
                hint = nearest(str(name), PROVIDERS)
                raise FaultError(f"a provider is a name such as 'openai', not {name!r}{hint}")
            self.server.fault(name, kind, add=True, **params)
            self._primary = self._primary or name

    def outage(
        self, provider: str | None = None, kind: str = "server_error", **params: object
    ) -> None:
        """Let every call fail."""
        self.fault(provider, kind, **params)

    def rate_limit(self, retry_after: float = 20.0, provider: str | None = None) -> None:
        """Answer 429, and say in how many seconds to come back."""
        self.fault(provider, "rate_limit", retry_after=retry_after)

    def slow(self, seconds: float, provider: str | None = None, *, jitter: float = 0.0) -> None:
        """Let so many seconds pass before each answer."""
        self.fault(provider, "slow", seconds=seconds, jitter=jitter)

    def cut_stream(self, after: int = 3, provider: str | None = None) -> None:
        """Close the connection when so many tokens of an answer are sent."""
        self.fault(provider, "cut", after=after)

    def retire(self, provider: str | None = None) -> None:
        """Say that the model has been taken out of service."""
        self.fault(provider, "retired")

    def heal(self, provider: str | None = None) -> None:
        """Remove the faults of a provider, or all."""
        self.server.heal(provider)

    # Questions.

    def hits(self, provider: str) -> int:
        """Count the requests to a model of a provider."""
        return self.server.hits(provider)

    def assert_survived(self, text: str) -> None:
        """Fail unless `text` holds the whole answer of a provider that was well."""
        __tracebackhide__ = True
        if not isinstance(text, str):
            raise TypeError(f"assert_survived wants the answer's text, not {type(text).__name__}")
        answered = [each for each in self.server.requests() if each.said]
        whole = [each.said for each in answered if _was_well(each)]
        rest = text
        for said in whole:
            rest = rest.replace(said, "")
        for each in answered:
            if not _was_well(each) and _first_words(each.said) in rest:
                raise AssertionError(
                    f"the text holds part of an answer of {each.name} that broke off "
                    f"({each.fault}): {self._seen()}"
                )
        if not whole:
            raise AssertionError(f"no provider answered in full: {self._seen()}")
        if rest == text:
            told = "the text is empty" if not text else f"the text is {text[:80]!r}"
            raise AssertionError(f"{told}, no provider's whole answer: {self._seen()}")

    def assert_stayed_local(self) -> None:
        """Fail if a prompt was sent to a closed provider, or to a cloud model of Ollama."""
        __tracebackhide__ = True
        left = [each for each in self.server.requests() if _left_the_machine(each)]
        if left:
            where = ", ".join(sorted({f"{each.name} ({each.model})" for each in left}))
            raise AssertionError(
                f"{len(left)} prompt(s) left the machine, to {where}: {self._seen()}"
            )
        if not self.server.requests():
            raise AssertionError("no model was asked at all, so nothing is proven")

    def assert_primary_hits(self, at_most: int, provider: str | None = None) -> None:
        """Fail if the provider, by default the first that got a fault, was asked more often."""
        __tracebackhide__ = True
        name = provider or self._primary
        if name is None:
            raise FaultError("which is the primary? set a fault first, or give provider=")
        hits = self.server.hits(name)
        if hits > at_most:
            raise AssertionError(
                f"{name} was asked {hits} times, at most {at_most} allowed: {self._seen()}"
            )

    def _seen(self) -> str:
        """Tell what was asked, without any prompt."""
        counts = Counter(
            f"{each.name} {each.fault or each.status or each.outcome}"
            for each in self.server.requests()
        )
        told = ", ".join(f"{count}x {what}" for what, count in counts.items())
        return f"asked were {told}" if told else "no model was asked"


@contextmanager
def playing(models: Sequence[str], patch: pytest.MonkeyPatch) -> Iterator[LlmChaos]:
    """Play the providers, with the variables of the SDKs set, until the test is over."""
    with ChaosServer(models=models or None) as server:
        chaos = LlmChaos(server)
        for provider in PROVIDERS.values():
            for variable in provider.addresses:
                patch.setenv(variable, chaos.base(provider.name))
            for variable in provider.keys:
                patch.setenv(variable, KEY)
        for variable in PROXIES:
            patch.delenv(variable, raising=False)
        _forget_breakers()
        try:
            yield chaos
        finally:
            _forget_breakers()


def _forget_breakers() -> None:
    if "pilotlight" in sys.modules:
        from pilotlight.testing import reset

        reset()


def _was_well(record: RequestRecord) -> bool:
    kind = KINDS[record.fault].params if record.fault is not None else None
    spoilt = kind is not None and issubclass(kind, Act) and kind.spoils
    return record.status == 200 and record.outcome == "completed" and not spoilt


def _first_words(text: str) -> str:
    return " ".join(text.split()[:4])


def _left_the_machine(record: RequestRecord) -> bool:
    return record.dialect in CLOSED or is_cloud_name(record.model or "")
