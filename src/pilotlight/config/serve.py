"""The table of the gateway, `[serve]`."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Annotated

from pydantic import Field

from pilotlight.config.messages import nearest
from pilotlight.config.values import Count, Seconds, Table

Megabytes = Annotated[float, Field(gt=0, le=1_000_000)]


class ServeTable(Table):
    """Where the gateway listens, who may come in, and what one caller may take of it."""

    host: str = Field(
        default="127.0.0.1",
        description="the address to listen on; one that is not loopback needs keys",
    )
    port: Annotated[int, Field(ge=0, le=65535)] = Field(
        default=8484, description="the port to listen on; 0: a free one, which is told at the start"
    )
    keys: str | None = Field(
        default=None,
        description="the file of keys (`pilotlight keys`), as seen from the configuration's "
        "folder; not set: `pilotlight-keys.json` there, if it exists",
    )
    models: dict[str, str] = Field(
        default={},
        description="the route of each model name that callers use; a name may end in `*`",
    )
    max_body_mb: Megabytes = Field(
        default=32.0, description="megabytes of one request's body; a larger one is refused (413)"
    )
    max_bodies_mb: Megabytes = Field(
        default=256.0,
        description="megabytes of all bodies that one worker holds at a time; above, requests "
        "are refused (503)",
    )
    max_connections: Count = Field(
        default=1000,
        description="connections of one worker at a time; for one more, the connection is closed "
        "that has asked nothing for longest, or else the new one",
    )
    head_timeout: Seconds = Field(
        default=10.0, description="seconds in which the head of a request has to come"
    )
    body_timeout: Seconds = Field(
        default=30.0, description="seconds in which the body of a request has to come"
    )
    send_timeout: Seconds = Field(
        default=60.0,
        description="seconds for which a caller may take nothing of its answer; then the call is "
        "cancelled",
    )
    grace: Seconds = Field(
        default=30.0,
        description="seconds that running calls have to end when the gateway is told to stop",
    )


def bad_models(serve: ServeTable, routes: Collection[str]) -> Iterable[str]:
    """Yield each mistake in `serve.models` as a line: its key, what is wrong, and the mend."""
    for name, route in serve.models.items():
        if "*" in name[:-1] or not name:
            yield f'serve.models: {name!r}: a name is not empty, and has a "*" at its end only'
        if route not in routes:
            mend = nearest(route, routes) or f"add a table [routes.{route}]"
            yield f"serve.models.{name}: unknown route {route!r}; {mend}"
