"""A plain chat answer read from the wire itself: any dialect's JSON in OpenAI's shape.

For answers that only the wire has shown (somebody else's code has read them), and for those
that the wire shows to be good while litellm fell over them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from pilotlight.core.provider import Answered, Attempt, Call, Failed
from pilotlight.diagnosis.answer_view import facts_of, view_of
from pilotlight.diagnosis.prompt_texts import Texts
from pilotlight.diagnosis.report import verdict_failure
from pilotlight.dialects import (
    anthropic_messages,
    gemini,
    ollama,
    openai_chat,
    openai_responses,
)
from pilotlight.dialects.base import Asked, Unreadable
from pilotlight.errors import ProviderFault
from pilotlight.providers.cohere import translation
from pilotlight.providers.connection import Connection
from pilotlight.providers.replies import ChatReply
from pilotlight.wire.http import parsed
from pilotlight.wire.tap import Tap

Json = dict[str, Any]


def shown(
    connection: Connection, call: Call, attempt: Attempt, tap: Tap
) -> Answered | Failed | None:
    """Return the chat's answer that the wire shows, good or bad, whoever has read it; None: none.

    Raises ProviderFault (malformed_response) where the wire shows none that can be read.
    """
    if not (body := tap.whole) or (tap.status or 0) >= 300:
        return None
    data = as_openai(parsed(body))
    return None if data is None else judged(connection, call, attempt, tap, data)


def judged(
    connection: Connection, call: Call, attempt: Attempt, tap: Tap, data: Json
) -> Answered | Failed:
    """Hold a chat's answer in OpenAI's shape against the wire."""
    from pilotlight.diagnosis.classify import judge

    spec = connection.spec
    view = view_of(data, spec.bare_model, tap)
    if (verdict := judge(tap, view, prompt_texts=Texts(call.messages))) is not None:
        return verdict_failure(attempt.target, verdict)
    return Answered(ChatReply(data, spec.provider), facts_of(view, tap, data))


def as_openai(said: Any) -> Json | None:
    """Return the answer in OpenAI's shape; None for what is no chat answer of a known dialect.

    Raises ProviderFault (malformed_response) where it is one that can't be read.
    """
    if not isinstance(said, dict) or (dialect := _dialect_of(said)) is None:
        return None
    if dialect is translation:
        return translation.answer(said)
    try:
        return dialect.read_answer(said, Asked())  # type: ignore[no-any-return]
    except Unreadable as odd:
        raise ProviderFault("malformed_response", evidence=str(odd)) from None


def _dialect_of(said: Json) -> Any:
    """Tell by its form whose answer it is."""
    return next((dialect for dialect, fits in _FORMS if fits(said)), None)


_FORMS: Final[tuple[tuple[Any, Callable[[Json], bool]], ...]] = (
    (openai_chat, lambda said: "choices" in said),
    (gemini, lambda said: "candidates" in said or "usageMetadata" in said),
    (anthropic_messages, lambda said: said.get("type") == "message"),
    (openai_responses, lambda said: said.get("object") == "response"),
    (ollama, lambda said: "message" in said and "done" in said),
    (translation, lambda said: "message" in said and "finish_reason" in said),
)
