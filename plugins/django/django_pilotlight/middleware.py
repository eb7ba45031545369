"""The middleware: every request is a context for its LLM calls, with a request id."""

from __future__ import annotations

import re
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, Final

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponseBase

from django_pilotlight.context import LLMContext, carried, entered

HEADER: Final = "X-Request-ID"
_SAFE: Final = re.compile(r"[\w.:+/=-]{1,64}", re.ASCII)


class LLMContextMiddleware:
    """Opens a context for each request; sync and async, streaming bodies included.

    The request id is the header `X-Request-ID`, where it is of at most 64 harmless
    characters, else made here.  It is `request.llm_request_id`, goes back as the same
    header, and stands with the logged events.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self._async = iscoroutinefunction(get_response)
        if self._async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        context = LLMContext(request_id=_request_id(request))
        request.llm_request_id = context.request_id
        if self._async:
            return self._acall(request, context)
        with entered(context):
            return _sent(self.get_response(request), context)

    async def _acall(self, request: HttpRequest, context: LLMContext) -> HttpResponseBase:
        with entered(context):
            return _sent(await self.get_response(request), context)


def _request_id(request: HttpRequest) -> str:
    said = request.headers.get(HEADER, "")
    return said if _SAFE.fullmatch(said) else uuid.uuid4().hex


def _sent(response: HttpResponseBase, context: LLMContext) -> HttpResponseBase:
    response.headers.setdefault(HEADER, context.request_id)
    return carried(response, context)
