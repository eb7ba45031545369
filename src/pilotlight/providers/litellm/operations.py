"""What litellm is asked for: a table of its functions, their main argument, and the judge."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pilotlight.core.provider import Answered, Attempt, Call, Failed
from pilotlight.diagnosis.answer_view import facts_of, view_of
from pilotlight.diagnosis.prompt_texts import Texts
from pilotlight.diagnosis.report import verdict_failure
from pilotlight.errors import ProviderFault
from pilotlight.providers.connection import Connection
from pilotlight.providers.replies import (
    EmbeddingReply,
    ImageReply,
    images_in,
    judge_images,
    judge_vectors,
    spoken,
    vectors_in,
)
from pilotlight.vocabulary.operations import Operation
from pilotlight.wire.field_types import check_head, has_halves
from pilotlight.wire.tap import Tap

if TYPE_CHECKING:
    from litellm import ModelResponse

Judge = Callable[[Connection, Call, Attempt, Tap, Any], Answered | Failed]


@dataclass(frozen=True, slots=True)
class LiteLLMReply:
    """litellm's answer, as it came."""

    response: ModelResponse

    @property
    def text(self) -> str:
        """The text of the first choice, or its refusal in words."""
        choices = self.response.choices
        return spoken(choices[0].message) if choices else ""


@dataclass(frozen=True, slots=True)
class Work:
    """One operation: litellm's functions for it, what they are given, how the answer is judged."""

    ask: str
    aask: str
    put: Callable[[Call], dict[str, Any]]
    judged: Judge


def _chat(
    connection: Connection, call: Call, attempt: Attempt, tap: Tap, response: Any
) -> Answered | Failed:
    from pilotlight.diagnosis.classify import judge

    _hold(tap, response)
    if connection.spec.provider in _COHERE:
        _mend_finish(response)
    view = view_of(response, connection.spec.bare_model, tap)
    if (verdict := judge(tap, view, prompt_texts=Texts(call.messages))) is not None:
        return verdict_failure(attempt.target, verdict)
    return Answered(LiteLLMReply(response), facts_of(view, tap, response))


def _hold(tap: Tap, response: Any) -> None:
    """Refuse what litellm hands on although nobody could write it down again.

    Raises ProviderFault (malformed_response).
    """
    check_head(response)
    if has_halves(tap.whole):
        raise ProviderFault("malformed_response", evidence="a text with half a character")


_COHERE: Final = frozenset({"cohere", "cohere_chat"})


def _mend_finish(response: Any) -> None:
    """Give back Cohere's `TOOL_CALL`, of which litellm makes a "stop"."""
    for choice in response.choices:
        if choice.message.tool_calls and choice.finish_reason == "stop":
            choice.finish_reason = "tool_calls"


def _embeddings(
    connection: Connection, call: Call, attempt: Attempt, tap: Tap, response: Any
) -> Answered | Failed:
    _hold(tap, response)
    vectors = vectors_in(response.data)
    asked = {**connection.spec.options, **call.options}.get("dimensions")
    if (verdict := judge_vectors(call, attempt, tap, vectors, asked)) is not None:
        return verdict_failure(attempt.target, verdict)
    view = view_of(response, connection.spec.bare_model, tap)
    return Answered(EmbeddingReply(vectors or [], response), facts_of(view, tap, response))


def _image(
    connection: Connection, call: Call, attempt: Attempt, tap: Tap, response: Any
) -> Answered | Failed:
    _hold(tap, response)
    images = images_in(response.data)
    if (verdict := judge_images(call, tap, images)) is not None:
        return verdict_failure(attempt.target, verdict)
    view = view_of(response, connection.spec.bare_model, tap)
    return Answered(ImageReply(images, response), facts_of(view, tap, response))


WORK: Final[Mapping[Operation, Work]] = {
    "chat": Work(
        "completion", "acompletion", lambda call: {"messages": list(call.messages)}, _chat
    ),
    "embeddings": Work(
        "embedding",
        "aembedding",
        lambda call: {
            "input": [message["content"] for message in call.messages],
            # Dropped where litellm's table lacks it, it would give vectors of another length.
            "allowed_openai_params": ["dimensions"],
        },
        _embeddings,
    ),
    "image": Work(
        "image_generation",
        "aimage_generation",
        lambda call: {"prompt": call.messages[0]["content"]},
        _image,
    ),
}
