"""What a route does besides chat: embeddings and images, by the same road."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from pilotlight.core.clock import Clock
from pilotlight.core.flow import drivers
from pilotlight.core.flow.failover import CallContext, failover_flow
from pilotlight.core.provider import Answered, Attempt, Failed
from pilotlight.errors import InvalidCall
from pilotlight.privacy.residency import is_private
from pilotlight.routes.answer import EmbeddingAnswer, ImageAnswer
from pilotlight.scopes.tags import tags_of
from pilotlight.vocabulary.operations import Operation, Priority

if TYPE_CHECKING:
    from pilotlight.providers.replies import EmbeddingReply, ImageReply

Messages = list[dict[str, str]]


class _SetsOut(Protocol):
    """What is needed of a route."""

    @property
    def clock(self) -> Clock: ...

    @property
    def private(self) -> bool: ...

    def trip(
        self,
        messages: Sequence[Mapping[str, Any]],
        options: Mapping[str, Any],
        *,
        private: bool | None = None,
        timeout: float | None = None,
        total_timeout: float | None = None,
        priority: Priority | None = None,
        tags: Mapping[str, str] | None = None,
        operation: Operation = "chat",
        check: Callable[[Any], None] | None = None,
    ) -> CallContext: ...


class Modalities:
    """The part of `Route` that is no chat."""

    __slots__ = ()

    def embed(
        self: _SetsOut,
        texts: str | Sequence[str],
        *,
        private: bool | None = None,
        timeout: float | None = None,
        total_timeout: float | None = None,
        priority: Priority | None = None,
        tags: Mapping[str, str] | None = None,
        **options: Any,
    ) -> EmbeddingAnswer:
        """Return one vector for each text, all from one target.

        `options` are those of `litellm.embedding` (`dimensions=`, ...).  A target behind
        the first one is asked only where both declare the same `space`.  How many texts a
        provider takes at once is its own business; nothing is cut and nothing is split.

        Raises what `complete` raises; InvalidCall also for tokens in the place of texts.
        """
        messages = as_messages(texts)
        ctx = self.trip(
            messages,
            options,
            private=private,
            timeout=timeout,
            total_timeout=total_timeout,
            priority=priority,
            tags=tags,
            operation="embeddings",
            check=_as_many_as(messages),
        )
        reply: EmbeddingReply = _asked(ctx, self.clock)
        return EmbeddingAnswer(reply, ctx.recorder.receipt())

    def aembed(
        self: _SetsOut,
        texts: str | Sequence[str],
        *,
        private: bool | None = None,
        timeout: float | None = None,
        total_timeout: float | None = None,
        priority: Priority | None = None,
        tags: Mapping[str, str] | None = None,
        **options: Any,
    ) -> Coroutine[Any, Any, EmbeddingAnswer]:
        """Return one vector for each text; as `embed`, without blocking the event loop.

        Made inside `private()`, the call is private wherever it is awaited.
        """
        private = is_private() or private
        tags = tags_of(tags)

        async def embedded() -> EmbeddingAnswer:
            messages = as_messages(texts)
            ctx = self.trip(
                messages,
                options,
                private=private,
                timeout=timeout,
                total_timeout=total_timeout,
                priority=priority,
                tags=tags,
                operation="embeddings",
                check=_as_many_as(messages),
            )
            reply: EmbeddingReply = await _aasked(ctx, self.clock)
            return EmbeddingAnswer(reply, ctx.recorder.receipt())

        return embedded()

    def image(
        self: _SetsOut,
        prompt: str,
        *,
        private: bool | None = None,
        timeout: float | None = None,
        total_timeout: float | None = None,
        priority: Priority | None = None,
        tags: Mapping[str, str] | None = None,
        **options: Any,
    ) -> ImageAnswer:
        """Return the images that the first target able to makes of a prompt.

        `options` are those of `litellm.image_generation` (`n=`, `size=`, ...).

        Raises what `complete` raises.
        """
        ctx = self.trip(
            as_prompt(prompt),
            options,
            private=private,
            timeout=timeout,
            total_timeout=total_timeout,
            priority=priority,
            tags=tags,
            operation="image",
            check=check_prompt,
        )
        reply: ImageReply = _asked(ctx, self.clock)
        return ImageAnswer(reply, ctx.recorder.receipt())

    def aimage(
        self: _SetsOut,
        prompt: str,
        *,
        private: bool | None = None,
        timeout: float | None = None,
        total_timeout: float | None = None,
        priority: Priority | None = None,
        tags: Mapping[str, str] | None = None,
        **options: Any,
    ) -> Coroutine[Any, Any, ImageAnswer]:
        """Return the images of a prompt; as `image`, without blocking the event loop.

        Made inside `private()`, the call is private wherever it is awaited.
        """
        private = is_private() or private
        tags = tags_of(tags)

        async def pictured() -> ImageAnswer:
            ctx = self.trip(
                as_prompt(prompt),
                options,
                private=private,
                timeout=timeout,
                total_timeout=total_timeout,
                priority=priority,
                tags=tags,
                operation="image",
                check=check_prompt,
            )
            reply: ImageReply = await _aasked(ctx, self.clock)
            return ImageAnswer(reply, ctx.recorder.receipt())

        return pictured()


def _asked(ctx: CallContext, clock: Clock) -> Any:
    def ask(attempt: Attempt) -> Answered | Failed:
        return attempt.target.provider.complete(ctx.call, attempt)

    return drivers.complete(failover_flow(ctx), ask, clock)


async def _aasked(ctx: CallContext, clock: Clock) -> Any:
    async def ask(attempt: Attempt) -> Answered | Failed:
        return await attempt.target.provider.acomplete(ctx.call, attempt)

    return await drivers.acomplete(failover_flow(ctx), ask, clock)


# Texts and prompts travel as messages: what judges, hides and captures those does so with these.


def as_messages(texts: str | Sequence[str]) -> Messages:
    """Return the texts, each as a message; raises InvalidCall for what is no text."""
    given: Any = [texts] if isinstance(texts, str) else texts
    if isinstance(given, bytes) or not isinstance(given, Sequence):
        kind = type(texts).__name__
        raise InvalidCall(f"texts is a {kind}; it should be a text or a list of texts")
    if not given:
        raise InvalidCall("texts is empty; there is nothing to embed")
    for position, text in enumerate(given):
        if not isinstance(text, str):
            kind = type(text).__name__
            tokens = isinstance(text, int | list | tuple)
            mend = "tokens of one model mean nothing to another, so give the text" if tokens else ""
            raise InvalidCall(f"texts[{position}] is a {kind}; {mend or 'it should be a text'}")
    return [{"role": "user", "content": text} for text in given]


def as_prompt(prompt: str) -> Messages:
    """Return the prompt as a message; raises InvalidCall for what is no text."""
    messages = [{"role": "user", "content": prompt}]
    check_prompt(messages)
    return messages


def check_prompt(messages: Any) -> None:
    """Refuse what is no prompt in a message; raises InvalidCall."""
    (prompt,) = _contents(messages, 1)
    if not prompt.strip():
        raise InvalidCall("prompt is empty; say what the image should show")


def _as_many_as(messages: Messages) -> Callable[[Any], None]:
    """Return the check of texts: where a hook puts others in their place, they are as many."""

    def check(given: Any) -> None:
        _contents(given, len(messages))

    return check


def _contents(messages: Any, wanted: int) -> list[str]:
    if isinstance(messages, str | bytes) or not isinstance(messages, Sequence):
        raise InvalidCall(f"messages is a {type(messages).__name__}; it should be a list")
    if len(messages) != wanted:
        raise InvalidCall(f"{len(messages)} messages in the place of {wanted}")
    found = []
    for message in messages:
        content = message.get("content") if isinstance(message, Mapping) else None
        if not isinstance(content, str):
            raise InvalidCall(f"a prompt is a {type(content).__name__}; it should be a text")
        found.append(content)
    return found
