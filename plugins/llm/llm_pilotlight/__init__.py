"""Routes of pilotlight as models of the `llm` command line: `llm -m pilotlight/chat`."""

from __future__ import annotations

import warnings
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Any

import llm
from pydantic import Field

import pilotlight

__all__ = ["AsyncPilotlight", "Pilotlight", "register_models"]


@llm.hookimpl
def register_models(register: Callable[..., None]) -> None:
    """Register a model for each route of the configuration; without one there is none."""
    try:
        routes = pilotlight.load().config.routes
    except pilotlight.ConfigError as error:  # it must not keep other models from working
        warnings.warn(f"pilotlight: {error}", stacklevel=2)
        return
    for name in routes:
        register(Pilotlight(name), AsyncPilotlight(name))


class Options(llm.Options):
    """What `-o` takes."""

    private: bool = Field(default=False, description="Ask local targets only")
    temperature: float | None = Field(default=None, description="How freely it is answered")
    max_tokens: int | None = Field(default=None, description="The longest answer, in tokens")
    total_timeout: float | None = Field(default=None, description="Seconds for the whole call")


class _Shared:
    """What both colours have."""

    can_stream = True
    supports_schema = True
    attachment_types = frozenset({"image/png", "image/jpeg", "image/webp", "image/gif"})
    Options = Options

    def __init__(self, route: str) -> None:
        self.route = route
        self.model_id = f"pilotlight/{route}"

    def __str__(self) -> str:
        return f"pilotlight: {self.model_id}"

    def _asked(self, prompt: Any, conversation: Any) -> tuple[list[Any], dict[str, Any]]:
        """Return the messages and the options of a call."""
        messages: list[Any] = []
        for earlier in conversation.responses if conversation else ():
            messages += _said(earlier.prompt, first=not messages)
            messages.append({"role": "assistant", "content": earlier.text_or_raise()})
        messages += _said(prompt, first=not messages)
        options = {key: value for key, value in prompt.options.model_dump().items() if value}
        if prompt.schema:
            schema = {"name": "answer", "schema": prompt.schema}
            options["response_format"] = {"type": "json_schema", "json_schema": schema}
        return messages, options


class Pilotlight(_Shared, llm.Model):  # type: ignore[misc]
    """A route, asked synchronously."""

    def execute(
        self, prompt: Any, stream: bool, response: Any, conversation: Any = None
    ) -> Iterator[str]:
        """Yield the answer's text, as it comes or at once."""
        messages, options = self._asked(prompt, conversation)
        route = pilotlight.load().route(self.route)
        if not stream:
            answer = route.complete(messages, **options)
            _note(response, answer.receipt)
            yield answer.text
            return
        with route.stream(messages, **options) as chunks:
            for chunk in chunks:
                yield _text(chunk)
            _note(response, chunks.receipt)


class AsyncPilotlight(_Shared, llm.AsyncModel):  # type: ignore[misc]
    """The same for async code."""

    async def execute(
        self, prompt: Any, stream: bool, response: Any, conversation: Any = None
    ) -> AsyncGenerator[str, None]:
        """Yield the answer's text, as it comes or at once."""
        messages, options = self._asked(prompt, conversation)
        route = pilotlight.load().route(self.route)
        if not stream:
            answer = await route.acomplete(messages, **options)
            _note(response, answer.receipt)
            yield answer.text
            return
        async with route.astream(messages, **options) as chunks:
            async for chunk in chunks:
                yield _text(chunk)
            _note(response, chunks.receipt)


def _said(prompt: Any, *, first: bool) -> list[dict[str, Any]]:
    """Return the messages of one prompt; the system's stands first or nowhere."""
    system = [{"role": "system", "content": prompt.system}] if prompt.system and first else []
    text = prompt.prompt or ""
    if not prompt.attachments:
        return [*system, {"role": "user", "content": text}]
    parts: list[dict[str, Any]] = [{"type": "text", "text": text}] if text else []
    for each in prompt.attachments:
        url = each.url or f"data:{each.resolve_type()};base64,{each.base64_content()}"
        parts.append({"type": "image_url", "image_url": {"url": url}})
    return [*system, {"role": "user", "content": parts}]


def _text(chunk: Any) -> str:
    if isinstance(chunk, pilotlight.StreamRestarted):
        return "\n\n"  # another target starts anew, where the route allows it
    return next((each.delta.content or "" for each in chunk.choices if not each.index), "")


def _note(response: Any, receipt: pilotlight.Receipt) -> None:
    """Keep with the answer who gave it, and what it took."""
    response.response_json = {"served_by": receipt.served_by, "receipt": receipt.to_dict()}
    last = receipt.attempts[-1] if receipt.attempts else None
    if last is not None and last.prompt_tokens is not None:
        response.set_usage(input=last.prompt_tokens, output=last.completion_tokens)
