"""Whether an endpoint's unstreamed chats can be streamed underneath, and nothing be lost."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Protocol

from pilotlight.catalog.providers import Spec
from pilotlight.core.provider import Call
from pilotlight.wire.tap import Tap, Wire

if TYPE_CHECKING:
    from pilotlight.wire.pool import Pool

# Options that a stream can't be given, or is given in another form.
_WHOLE_ONLY: Final = frozenset({"audio", "modalities", "stream", "stream_options"})
# It tells the tokens of a stream where litellm does not look, which then makes a count up.
_MISCOUNTED: Final = frozenset({"groq"})
# Their reasoning models send nothing until they have thought, which may take minutes.
_UNHEARD: Final = frozenset({"azure", "azure_ai", "gemini", "openai", "vertex_ai", "xai"})
_BRIEF: Final = ("none", "minimal", "low", "disable")
_STREAMING: Final = re.compile(rb"stream|include_usage", re.IGNORECASE)
_UNKNOWN: Final = re.compile(
    rb"(?:un(?:known|recogni[sz]ed|expected|supported)|extra|additional)"
    rb"\W+(?:\w+\W+)?(?:field|param|argument|input|propert|option|key)",
    re.IGNORECASE,
)
_OTHERS: Final = frozenset({401, 408, 409, 413, 425, 429})  # refusals that are not about the form
_MOST: Final = 100  # kinds of calls that are kept: their options' names come from callers


class Endpoint(Protocol):
    """What has to be known of a connection (`providers.connection.Connection`)."""

    spec: Spec
    wire: Wire

    @property
    def pool(self) -> Pool | None:
        """The connections; None where they can't be watched."""


class Streamable:
    """What is known of one endpoint's streams."""

    def __init__(self, connection: Endpoint) -> None:
        self._connection = connection
        self._refused: set[frozenset[str]] = set()  # by the names of a call's options
        self.lossy = False  # its streams have not told the tokens, or were none

    def suits(self, call: Call, even_so: bool) -> bool:
        """Tell whether this chat can be; `even_so`: although the model may think unheard."""
        spec = self._connection.spec
        if self.lossy or not self._watched() or frozenset(call.options) in self._refused:
            return False
        options = {**spec.options, **call.options}
        if any(options.get(name) is not None for name in _WHOLE_ONLY):
            return False
        return even_so or not self._thinks_unheard(options.get("reasoning_effort"))

    def refuses(self, call: Call, tap: Tap) -> bool:
        """Tell whether the stream itself was refused, as to who may only have whole answers.

        Then such calls are not streamed any more.  Examples: OpenAI's "Your organization must
        be verified to stream this model", a gateway that knows no `stream_options`.
        """
        status = tap.status or 0
        if not (400 <= status < 500 and status not in _OTHERS) and status != 501:
            return False
        if not _STREAMING.search(tap.head) and not _UNKNOWN.search(tap.head):
            return False
        if len(self._refused) < _MOST:
            self._refused.add(frozenset(call.options))
        return True

    def _watched(self) -> bool:
        """Tell whether a stream's clocks hold: litellm lets us see most providers, not all."""
        connection, provider = self._connection, self._connection.spec.provider
        if connection.wire == "ollama":
            return True
        from pilotlight.providers.litellm.clients import kind_of

        known = kind_of(provider) is not None and connection.pool is not None
        return known and provider not in _MISCOUNTED

    def _thinks_unheard(self, effort: object) -> bool:
        from pilotlight.catalog import models

        spec = self._connection.spec
        if spec.provider not in _UNHEARD or effort in _BRIEF:
            return False
        return bool(models.row(spec.model).get("supports_reasoning"))
