"""One endpoint over our own connections, in the dialect that it speaks.

A dialect writes the request and reads what comes back; what it can't write without losing what
must not be lost, and a call that tells litellm how to carry it, is litellm's.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from functools import cached_property, partial
from typing import Any, Final

from pilotlight.catalog import litellm_module
from pilotlight.catalog.providers import NO_KEY_NEEDED
from pilotlight.core.provider import Call
from pilotlight.dialects import openai_chat
from pilotlight.dialects.base import Asked, Json, Unable, Written
from pilotlight.dialects.openai_chat.models import by_responses_with_tools
from pilotlight.dialects.pivot import CARRIAGE
from pilotlight.providers.connection import Connection
from pilotlight.providers.native.asking import DirectProvider
from pilotlight.providers.native.hooks import litellm_has_hooks
from pilotlight.providers.native.manners import Manners, headers_of, is_openais, responses
from pilotlight.providers.native.plain_values import is_json, plain
from pilotlight.providers.native.prepared import Prepared
from pilotlight.providers.native.reading import NativeReader, read_answer
from pilotlight.providers.pictures.request import by_openai, no_stream
from pilotlight.wire.http import Post, dumped

_BETA: Final = "anthropic-beta"
_COUNT: Final = "stream_options"
# Of how a call is carried, what is done here, or not up to the call; the rest is litellm's.
_HERE: Final = frozenset(
    """
    stream_options timeout request_timeout api_key headers extra_headers num_retries max_retries
    """.split()  # noqa: SIM905 - a list of them reads worse
)


class NativeProvider(DirectProvider):
    """Asks one endpoint by itself, in a dialect of ours."""

    def __init__(self, connection: Connection, manners: Manners) -> None:
        super().__init__(connection)
        self._manners = manners
        self._posts: dict[tuple[str, bool], Post] = {}
        by_responses = responses(connection.spec)
        own = is_openais(connection.base_url) and manners.dialect is not by_responses.dialect
        # Some of OpenAI's models take tools there alone.
        self._with_tools = by_responses if own else None

    @property
    def speaks(self) -> tuple[str, ...]:
        """The dialects in which a caller's own words can go to this endpoint.

        Where OpenAI's own dialect has other words for some things, they have to be written.
        """
        if self._manners.dialect is openai_chat and openai_chat.is_particular(
            self.connection.spec.provider
        ):
            return ()
        return tuple(each.dialect.name for each in (self._manners, self._with_tools) if each)

    def manners_in(self, dialect: str) -> Manners:
        """Return how it is asked in one of the dialects that it speaks."""
        elsewhere = self._with_tools
        apart = elsewhere is not None and elsewhere.dialect.name == dialect
        return elsewhere if elsewhere is not None and apart else self._manners

    def unable(self, call: Call) -> str:
        """Return what of a call this API can't be told; empty where litellm is to tell it.

        litellm leaves such things out without a word: sound for Claude, the fifth stop sequence.
        """
        if not call.messages:  # a decorated function asks for itself
            return ""
        options = {**self.connection.spec.options, **call.options}
        if (absent := litellm_module.absent()) and _is_litellms(call, options):
            return absent
        manners = self._manners_for(options)
        if manners.tells(call.messages, options) or _is_litellms(call, options):
            return ""
        try:
            self._written(manners, call, plain(options), plain(call.messages))
        except Unable as told:
            return str(told) if is_json(options, call.messages) else ""
        except (TypeError, ValueError, RecursionError):
            pass
        return ""

    def asks_for_count(self, call: Call) -> bool:
        """Tell whether to ask for the tokens of a stream on our own behalf."""
        able = call.stream and self._manners.counts and self.counts is not False
        configured = self.connection.spec.options.get(_COUNT)
        return able and call.options.get(_COUNT, configured) is None

    def prepared(self, call: Call, *, counted: bool = True) -> Prepared | None:
        """Return the request as it is sent; None if litellm is to send it."""
        options = {**self.connection.spec.options, **call.options}
        if call.operation == "image":
            return self._picture(call, options)
        if _is_litellms(call, options):
            return None
        manners = self._manners_for(options)
        place = self._place(manners, call.stream)
        own = headers_of(options, place.headers)
        if own is None:
            return None
        if counted and self.asks_for_count(call):
            options[_COUNT] = {"include_usage": True}
        try:
            written, body = self._dumped(call, options, manners)
        except (Unable, TypeError, ValueError, RecursionError):
            return None
        headers = _together(place, own, written)
        return self._sent(manners, place, body, written, headers, options)

    def _picture(self, call: Call, options: Mapping[str, Any]) -> Prepared | None:
        """Return the request for a picture, of a server of the user's own."""
        connection = self.connection
        own = connection.given_base and not is_openais(connection.base_url)
        if not own or _carried(options) or not is_json(options):
            return None
        if options.get("headers") or options.get("extra_headers"):
            return None
        options = {name: value for name, value in options.items() if name not in _HERE}
        body = by_openai(connection.spec.bare_model, call.messages[0]["content"], options)
        return Prepared(self._pictures, dumped(body), lambda said: said, no_stream)

    @cached_property
    def _pictures(self) -> Post:
        pool = self.connection.pool
        assert pool is not None, "its address was given"
        headers = self._manners.headers(self.connection.api_key or NO_KEY_NEEDED)
        return Post(pool, f"{self.connection.base_url.rstrip('/')}/images/generations", headers)

    def _manners_for(self, options: Mapping[str, Any]) -> Manners:
        """Return the API that takes these options."""
        elsewhere, tools = self._with_tools, options.get("tools")
        if elsewhere is None or not tools:
            return self._manners
        model, effort = self.connection.spec.bare_model, options.get("reasoning_effort")
        apart = by_responses_with_tools(model, effort) and not options.get("stop")
        return elsewhere if apart else self._manners

    def _dumped(
        self, call: Call, options: dict[str, Any], manners: Manners
    ) -> tuple[Written, bytes]:
        """Write the request; one that looks as it should is first tried without a copy."""
        if manners.tells(call.messages, options):
            try:
                written = self._written(manners, call, options, list(call.messages))
                return written, dumped(written.body)
            except TypeError:
                pass  # it holds an SDK's own objects
        written = self._written(manners, call, plain(options), plain(call.messages))
        return written, dumped(written.body)

    def _written(self, manners: Manners, call: Call, options: Json, messages: list[Any]) -> Written:
        request = {**options, "model": self.connection.spec.bare_model, "messages": messages}
        if call.stream:
            request["stream"] = True
        return manners.write(request)

    def _sent(
        self,
        manners: Manners,
        place: Post,
        body: bytes,
        written: Written,
        headers: Mapping[str, str],
        options: Mapping[str, Any],
    ) -> Prepared:
        told = written.asked
        made = f"chatcmpl-{os.urandom(12).hex()}"
        asked = Asked(told.model, made, int(time.time()), told.names, told.json_tool)
        alone = options.get("n") in (None, 1)
        return Prepared(
            place,
            body,
            partial(read_answer, manners.dialect, asked),
            lambda: NativeReader(manners.dialect.reader(asked), manners.events(), alone),
            headers,
            written.lost,
        )

    def _place(self, manners: Manners, stream: bool) -> Post:
        """Return where chats are posted to; its connections are opened by the first request."""
        key = (manners.dialect.name, stream)
        if (found := self._posts.get(key)) is None:
            connection = self.connection
            pool = connection.pool
            assert pool is not None, "an endpoint without an address is litellm's"
            url = manners.url(connection.base_url, connection.spec.bare_model, stream)
            headers = manners.headers(connection.api_key or NO_KEY_NEEDED)
            found = self._posts[key] = Post(pool, url, headers)
        return found


def _is_litellms(call: Call, options: Mapping[str, Any]) -> bool:
    """Tell whether a call is none of a dialect's, or says how litellm is to carry it."""
    return call.operation != "chat" or _carried(options)


def _carried(options: Mapping[str, Any]) -> bool:
    """Tell whether litellm is to carry a call, by the program's word or the call's own."""
    return litellm_has_hooks() or any(
        (name in CARRIAGE and name not in _HERE)
        or name.startswith("litellm_")
        or isinstance(value, type)  # a class that stands for a schema
        for name, value in options.items()
        if value is not None and (name, value) != ("drop_params", True)
    )


def _together(place: Post, own: dict[str, str], written: Written) -> dict[str, str]:
    """Return the headers of one request; what is announced in two places is one list."""
    if not own:
        return dict(written.headers)
    found = {**own, **written.headers}
    betas = [each for each in (own.get(_BETA), written.headers.get(_BETA)) if each]
    return {**found, _BETA: ",".join(betas)} if len(betas) > 1 else found
