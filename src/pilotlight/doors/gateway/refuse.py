"""What the gateway itself refuses, before a call begins."""

from __future__ import annotations

from collections.abc import Mapping


class Refuse(Exception):
    """A request that is not carried out; written to the caller in its own dialect.

    `retry_after` is in seconds.  `close`: the connection is of no more use, for a body that was
    not read may still be on its way.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        retry_after: float | None = None,
        headers: Mapping[str, str] | None = None,
        close: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.retry_after = retry_after
        self.headers = dict(headers or {})
        self.close = close
