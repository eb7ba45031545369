"""A Stable Diffusion web UI with AUTOMATIC1111's API, as Forge and SD.Next have it: pictures."""

from __future__ import annotations

from functools import cached_property

from pilotlight.core.provider import Call
from pilotlight.errors import InvalidCall
from pilotlight.providers.native.asking import DirectProvider
from pilotlight.providers.native.plain_values import is_json
from pilotlight.providers.native.prepared import Prepared
from pilotlight.providers.pictures.request import by_txt2img, no_stream, of_txt2img
from pilotlight.wire.http import Post, dumped


class Automatic1111Provider(DirectProvider):
    """Asks for pictures over the target's own connections; litellm does not know this API."""

    def prepared(self, call: Call, *, counted: bool = True) -> Prepared | None:
        """Return the request as it is sent; raises InvalidCall for what can't be asked."""
        spec = self.connection.spec
        options = {**spec.options, **call.options}
        prompt = call.messages[0]["content"]
        body, lost = by_txt2img(spec.bare_model, prompt, options)
        return Prepared(self._place, dumped(body), of_txt2img, no_stream, lost=lost)

    def unable(self, call: Call) -> str:
        """Return what of a call this server can't be told."""
        if call.operation != "image":
            return f"{call.operation}: it makes pictures" if call.messages else ""
        try:
            by_txt2img("", "", {**self.connection.spec.options, **call.options})
        except InvalidCall as told:
            return str(told) if is_json(call.options) else ""
        return ""

    def prepare(self) -> None:
        """Nothing is slow to load here."""

    @cached_property
    def _place(self) -> Post:
        connection = self.connection
        pool, key = connection.pool, connection.api_key
        assert pool is not None, "its address is known"
        headers = {"authorization": f"Basic {key}"} if key else {}
        url = f"{connection.base_url.rstrip('/').removesuffix('/sdapi/v1')}/sdapi/v1/txt2img"
        return Post(pool, url, headers)
