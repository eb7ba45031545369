"""What an application is given: its configuration, its routes, its operators' pages, its errors."""

from __future__ import annotations

import math
import os
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response

import pilotlight
from pilotlight.status import page, snapshot

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[Any]]
Source = str | os.PathLike[str] | Mapping[str, Any] | None


def lifespan(source: Source = None, around: Lifespan | None = None) -> Lifespan:
    """Return a lifespan that loads the configuration and closes its connections at the end.

    `source` is what `pilotlight.load` takes; `around` a lifespan of the application's own, which
    stands inside of it.  Raises ConfigError as the application starts.
    """

    @asynccontextmanager
    async def living(app: FastAPI) -> AsyncGenerator[Any, None]:
        pilot = pilotlight.load(source)
        for name in pilot.routes:  # whatever is wrong with a target is found now
            pilot.route(name)
        app.state.pilotlight = pilot
        inside = nullcontext() if around is None else around(app)
        try:
            async with inside as state:
                yield state
        finally:
            pilot.close()

    return living


def _pilot(request: Request) -> pilotlight.Pilotlight:
    found = getattr(request.app.state, "pilotlight", None)
    if found is None:
        raise RuntimeError("no configuration: FastAPI(lifespan=fastapi_pilotlight.lifespan(...))")
    return found  # type: ignore[no-any-return]


def UseRoute(name: str = "default") -> Any:  # noqa: N802 - it stands where a type does
    """Return the type of a parameter that is given the route of this name."""

    def route(request: Request) -> pilotlight.Route:
        return _pilot(request).route(name)

    return Annotated[pilotlight.Route, Depends(route)]


def setup(
    app: FastAPI, *, status: str | None = "/pilotlight", dependencies: Sequence[Any] = ()
) -> None:
    """Add handlers for pilotlight's errors, and the operators' addresses below `status`.

    `dependencies` say who may see the page, as in `[Depends(require_staff)]`; without any there
    is only `/ready`, which names nothing.  `status=None`: no address at all.
    """
    for kind, handler in _HANDLERS.items():
        app.add_exception_handler(kind, handler)
    if status is not None:
        app.include_router(_ready(), prefix=status)
        if dependencies:
            app.include_router(_pages(status), prefix=status, dependencies=list(dependencies))


def _ready() -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/ready")
    def ready(request: Request) -> Response:
        """Answer 503 only where no route has anybody: on a fallback the service is ready."""
        now = snapshot.take(_pilot(request))
        down = bool(now.routes) and all(route.standing == "down" for route in now.routes)
        return JSONResponse({"standing": now.standing}, 503 if down else 200)

    return router


def _pages(prefix: str) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("")
    def shown(request: Request) -> Response:
        pilot = _pilot(request)
        live = page.live(snapshot.take(pilot), pilot.fleet(), ())
        if "live" in request.query_params:
            return HTMLResponse(live)
        here = request.scope.get("root_path", "") + prefix
        files = [f"{here}/files/{name}" for name in page.FILES]
        return HTMLResponse(page.document(page.Links(here, f"{here}/status.json", *files), live))

    @router.get("/status.json")
    def told(request: Request) -> Response:
        return JSONResponse(snapshot.take(_pilot(request)).to_dict())

    @router.get("/files/{name}")
    def file(name: str) -> Response:
        if name not in page.FILES:
            raise HTTPException(404)
        return Response(page.file(name), media_type=page.FILES[name])

    return router


# Errors: what a client is told names no target, no key and no mend.


def _told(status: int, detail: str, retry_after: float | None = None) -> Response:
    headers = {}
    if retry_after is not None and math.isfinite(retry_after):
        headers["retry-after"] = str(max(1, math.ceil(retry_after)))
    return JSONResponse({"detail": detail}, status, headers)


async def _nobody(_request: Request, error: Any) -> Response:
    return _told(503, "no model answers just now", error.retry_after)


async def _late(_request: Request, _error: Exception) -> Response:
    return _told(504, "no model answered in time")


async def _wrong(_request: Request, error: Exception) -> Response:
    return _told(422, str(error))  # our own words, with the place and never its text


async def _refused(_request: Request, _error: Exception) -> Response:
    return _told(502, "the model's provider refused the call")


_HANDLERS: dict[type[Exception], Any] = {
    pilotlight.AllTargetsFailed: _nobody,
    pilotlight.BudgetSpent: _nobody,
    pilotlight.DeadlineExceeded: _late,
    pilotlight.InvalidCall: _wrong,
    pilotlight.ProviderRefusal: _refused,
}
