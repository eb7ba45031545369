"""Claude and Gemini over our own connections, in their own dialects.

A dialect writes the request and reads what comes back; what it can't write without losing what
must not be lost, and a call that tells litellm how to carry it, is litellm's.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import Any, Final

from pilotlight.catalog.providers import NO_KEY_NEEDED
from pilotlight.core.provider import Call
from pilotlight.dialects.base import Unable, Written
from pilotlight.dialects.pivot import CARRIAGE
from pilotlight.providers.connection import Connection
from pilotlight.providers.native.manners import MANNERS, headers_of
from pilotlight.providers.native.reading import NativeReader, read_answer
from pilotlight.providers.openai.prepared import Prepared
from pilotlight.providers.openai.provider import DirectProvider
from pilotlight.providers.openai.rules import Dialect, litellm_has_hooks
from pilotlight.wire.http import Post, dumped

_NOTHING: Final = Dialect(frozenset())  # is sent as litellm would
_BETA: Final = "anthropic-beta"
# Of how a call is carried, what is done here, or not up to the call; the rest is litellm's.
_HERE: Final = frozenset(
    """
    stream_options timeout request_timeout api_key headers extra_headers num_retries max_retries
    """.split()  # noqa: SIM905 - a list of them reads worse
)


# What a call may have that is not worth a second look.
_SIMPLE: Final = frozenset({"temperature", "top_p", "max_tokens", "seed", "stream_options"})
_TEXT: Final = frozenset({"role", "content"})


class NativeProvider(DirectProvider):
    """Asks one endpoint by itself, in the dialect of its wire."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, _NOTHING)
        self.wire = connection.wire
        self._manners = MANNERS[connection.wire]

    def unable(self, call: Call) -> str:
        """Return what of a call this API can't be told; empty where litellm is to tell it.

        litellm leaves such things out without a word: sound for Claude, the fifth stop sequence.
        """
        options = {**self.connection.spec.options, **call.options}
        if _is_simple(call.messages, options) or _is_litellms(call, options):
            return ""
        try:
            self._written(call, options)
        except Unable as told:
            return str(told)
        except (TypeError, ValueError, RecursionError):
            pass
        return ""

    def prepared(self, call: Call, *, counted: bool = True) -> Prepared | None:
        """Return the request as it is sent; None if litellm is to send it."""
        options = {**self.connection.spec.options, **call.options}
        if _is_litellms(call, options):
            return None
        place = self._places[call.stream]
        own = headers_of(options, place.headers)
        if own is None:
            return None
        try:
            written = self._written(call, options)
            body = dumped(written.body)
        except (Unable, TypeError, ValueError, RecursionError):
            return None
        return self._sent(place, body, written, _together(place, own, written), options)

    def _written(self, call: Call, options: Mapping[str, Any]) -> Written:
        request = plain(options) | {
            "model": self.connection.spec.bare_model,
            "messages": plain(call.messages),
            "stream": call.stream,
        }
        return self._manners.dialect.write_request(request)

    def _sent(
        self,
        place: Post,
        body: bytes,
        written: Written,
        headers: Mapping[str, str],
        options: Mapping[str, Any],
    ) -> Prepared:
        asked = replace(
            written.asked, id=f"chatcmpl-{os.urandom(12).hex()}", created=int(time.time())
        )
        manners, alone = self._manners, options.get("n") in (None, 1)
        return Prepared(
            place,
            body,
            partial(read_answer, manners.dialect, asked),
            lambda: NativeReader(manners.dialect.reader(asked), manners.events(), alone),
            headers,
            written.lost,
        )

    @cached_property
    def _places(self) -> dict[bool, Post]:
        """Where chats are posted to, by whether they are streamed."""
        connection, manners = self.connection, self._manners
        pool = connection.pool
        assert pool is not None, "an endpoint without an address is litellm's"
        base, model = connection.base_url, connection.spec.bare_model
        headers = manners.headers(connection.api_key or NO_KEY_NEEDED)
        return {
            stream: Post(pool, manners.url(base, model, stream), headers)
            for stream in (False, True)
        }


def _is_simple(messages: Sequence[Any], options: Mapping[str, Any]) -> bool:
    """Tell a call of plain texts, which every API can be told, without writing it."""
    return _SIMPLE.issuperset(options) and all(
        type(each) is dict and _TEXT.issuperset(each) and type(each.get("content")) is str
        for each in messages
    )


def _is_litellms(call: Call, options: Mapping[str, Any]) -> bool:
    """Tell whether a call is none of a dialect's, or says how litellm is to carry it."""
    if call.operation != "chat" or litellm_has_hooks():
        return True
    return any(
        (name in CARRIAGE and name not in _HERE)
        or name.startswith("litellm_")
        or isinstance(value, type)  # a class that stands for a schema
        for name, value in options.items()
        if value is not None and (name, value) != ("drop_params", True)
    )


def _together(place: Post, own: dict[str, str], written: Written) -> dict[str, str]:
    """Return the headers of one request; what is announced in two places is one list."""
    found = {**own, **written.headers}
    betas = [each for each in (own.get(_BETA), written.headers.get(_BETA)) if each]
    return {**found, _BETA: ",".join(betas)} if len(betas) > 1 else found


def plain(value: Any) -> Any:
    """Return JSON in plain dicts and lists; an SDK's own objects as they say it themselves."""
    kind = type(value)
    if kind in _SCALARS:
        return value
    if kind is dict or isinstance(value, Mapping):
        return {name: plain(value[name]) for name in value}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    dump = None if isinstance(value, type) else getattr(value, "model_dump", None)
    return value if dump is None else plain(dump(exclude_none=True))


_SCALARS: Final = frozenset((str, int, float, bool, type(None)))
