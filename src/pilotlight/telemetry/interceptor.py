"""The shield: the context that a provider's code runs in.

Children find the attempt's span as their parent and its traceparent, yet foreign code
that decorates "the current span" with prompts writes to nothing, and instrumentations of
the same model call stand down, so that it is counted once.  HTTP client spans stay.

It is attached around each piece of provider code and let go before a chunk is handed
over: the consumer's own spans never land under ours, and a stream may be closed from
another thread or task.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import context as otel
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN, NonRecordingSpan, Span

from pilotlight.wire.trace_context import AT_HOME

if TYPE_CHECKING:
    from contextvars import Token

    from opentelemetry.trace import SpanContext

    from pilotlight.core.provider import AsyncSource, Source
    from pilotlight.telemetry.content import Content

OPENLLMETRY: Final = "suppress_language_model_instrumentation"
GENAI: Final = "opentelemetry.util.genai.invocation"

# The key that a context has its span under, so that a context can be made in one step.
(SPAN,) = trace.set_span_in_context(INVALID_SPAN, Context())


def provider_context(span: Span, base: Context | None = None, *, is_local: bool = False) -> Context:
    """Return the context to run provider code in: `span` is the parent, but can't be written to.

    `base` is the context that the call was made in, None for the current one;
    `at_home` allows our own client to send the traceparent, for a proven local target.

    Sources of the two marks: OpenLLMetry's semantic-conventions-ai 0.5 and
    opentelemetry-util-genai 1.3, which is used only where the application has loaded it.
    """
    found: dict[str, object] = {**(otel.get_current() if base is None else base)}
    found[SPAN] = NonRecordingSpan(span.get_span_context())
    found[OPENLLMETRY] = True
    if is_local:
        found[AT_HOME] = True
    genai = sys.modules.get(GENAI)
    if genai is not None and hasattr(genai, "InferenceData"):
        found[genai.CLIENT_INFERENCE_CONTEXT_KEY] = genai.InferenceData()
    return Context(found)


def exemplar_context(context: SpanContext) -> Context:
    """Return a context that says where a measurement was made, and keeps nothing else alive."""
    return Context({SPAN: NonRecordingSpan(context)})


def detach(token: Token[Context], context: Context) -> None:
    """Let the context go, where it is still ours to let go.

    It is not in a coroutine that somebody else closes, from another task or thread: the
    context it was attached in is then gone, and asking for it back would be an error.
    """
    if otel.get_current() is context:
        otel.detach(token)


class attached:  # noqa: N801  # a context manager, and around every chunk: a class is cheaper
    """Make the context current for the block; may be entered again, one block after another."""

    __slots__ = ("_context", "_token")

    def __init__(self, context: Context) -> None:
        self._context = context

    def __enter__(self) -> None:
        self._token = otel.attach(self._context)

    def __exit__(self, *error: object) -> None:
        detach(self._token, self._context)


class _Shielded:
    """What the two colours of a stream behind the interceptor share."""

    def __init__(self, source: Any, context: Context, content: Content | None) -> None:
        self._source = source
        self._attached = attached(context)
        self._content = content
        self._next: Any = None  # once it is read
        self.commits = source.commits
        self.ended = source.ended
        self.failed = source.failed


class ShieldedSource(_Shielded):
    """A stream whose every `next` runs behind the interceptor."""

    def __init__(self, source: Source, context: Context, content: Content | None) -> None:
        super().__init__(source, context, content)
        self.close = source.close

    def __iter__(self) -> Iterator[Any]:
        self._next = iter(self._source).__next__
        return self

    def __next__(self) -> Any:
        with self._attached:
            chunk = self._next()
        if self._content is not None:
            self._content.heard_chunk(chunk)
        return chunk


class ShieldedAsyncSource(_Shielded):
    """The same for `async for`."""

    def __init__(self, source: AsyncSource, context: Context, content: Content | None) -> None:
        super().__init__(source, context, content)
        self.aclose = source.aclose

    def __aiter__(self) -> AsyncIterator[Any]:
        self._next = aiter(self._source).__anext__
        return self

    async def __anext__(self) -> Any:
        with self._attached:
            chunk = await self._next()
        if self._content is not None:
            self._content.heard_chunk(chunk)
        return chunk
