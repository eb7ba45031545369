"""litellm's own HTTP handlers over a client of ours.  Importing this module imports litellm."""

from __future__ import annotations

import sys
from typing import Any

import httpx
from litellm.llms.custom_httpx.http_handler import AsyncHTTPHandler, HTTPHandler

__all__ = ["HTTPHandler", "OneShotHandler"]


class OneShotHandler(AsyncHTTPHandler):
    """An async handler that never opens a client of its own.

    litellm's handler answers a refused or dropped connection by sending the request
    again over a fresh client: a hidden retry, past the attempt's clocks and past the
    check of the host.
    """

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._ours = client
        super().__init__()
        self.client = client  # by way of the setter, which says that it is not litellm's to close

    def create_client(self, *args: Any, **kwargs: Any) -> httpx.AsyncClient:
        """Return ours when the handler is made; put the error back where a retry is made."""
        error = sys.exc_info()[1]
        if error is not None and hasattr(self, "_client"):
            raise error
        return self._ours
