"""The ASGI application of the gateway."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from typing import Any, Final

from pilotlight.app import Pilotlight
from pilotlight.dialects.base import Unreadable
from pilotlight.doors.exchange import AsyncReply, CallerRequest, aask, refusal_of, refused
from pilotlight.doors.gateway import embeddings, generate, life, recent, small_answers
from pilotlight.doors.gateway.access import Access, Scope, split_key
from pilotlight.doors.gateway.caller import MEGABYTE, Bodies, Caller, Left, Receive, Send
from pilotlight.doors.gateway.keys import Key
from pilotlight.doors.gateway.limits import Limits
from pilotlight.doors.gateway.metrics import Shared
from pilotlight.doors.gateway.names import Names
from pilotlight.doors.gateway.paths import OPEN, OPERATORS, Nowhere, Place, place_of
from pilotlight.doors.gateway.refuse import Refuse
from pilotlight.doors.gateway.request import Request, model_in, object_of
from pilotlight.errors import InvalidCall
from pilotlight.plain import logger
from pilotlight.routes.route import Route

RETRY: Final = 1.0  # seconds, told to callers while the gateway stops: another is there by then
JSON: Final = {"content-type": "application/json"}

_log = logger("pilotlight.gateway")


class Gateway:
    """An ASGI application that answers in five dialects; made by `pilotlight.asgi`.

    Thread-safe in `use`, `draining` and `in_flight`; requests belong to one event loop.
    `more_names` are names of models besides those of `serve.models`, each with its route.
    """

    def __init__(
        self,
        app: Pilotlight,
        access: Access,
        *,
        more_names: Mapping[str, str] | None = None,
        shared: Shared | None = None,
    ) -> None:
        self._access = access
        self._more_names = dict(more_names or {})
        self._shared = shared
        self._limits = Limits(time.monotonic)
        self._bodies = Bodies()
        self.draining = False
        self.in_flight = 0
        self.use(app)
        recent.listen()

    def use(self, app: Pilotlight) -> None:
        """Take another configuration for the calls from now on; those that run keep theirs."""
        names = {**app.config.serve.models, **self._more_names}
        self._app, self._names = app, Names(app.config.routes, names)

    @property
    def app(self) -> Pilotlight:
        """The configuration in use."""
        return self._app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close"})
            return
        request = Request(scope, Caller(receive, send, self._bodies))
        self.in_flight += 1
        try:
            await self._guarded(request)
        finally:
            self.in_flight -= 1
            request.caller.done()
            request.log()

    async def _guarded(self, request: Request) -> None:
        """Answer it, or say in its dialect why not."""
        try:
            await self._answer(request)
        except Nowhere as nowhere:
            request.dialect = nowhere.dialect
            wanted = f"use {nowhere.allow} here" if nowhere.allow else "nothing stands here"
            allow = {"allow": nowhere.allow} if nowhere.allow else {}
            told = f"{wanted}; docs/gateway.md lists the addresses"
            await _refuse(request, Refuse(405 if allow else 404, told, headers=allow, close=True))
        except Refuse as why:
            await _refuse(request, why)
        except Left:
            pass
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not request.caller.left or task is None:
                raise
            task.uncancel()  # it was our own word: the caller has left
        except Exception as bug:
            if request.caller.status:  # the answer has begun: break it off, never end it as whole
                raise
            _log.exception("the gateway failed on %s", request.shown)
            told = f"the gateway failed ({type(bug).__name__}); its log says where"
            await _refuse(request, Refuse(500, told))

    async def _answer(self, request: Request) -> None:
        in_path, path = split_key(request.path)
        google = "x-goog-api-client" in request.headers
        place = place_of(request.scope["method"], path, google=google)
        request.dialect, request.shown = place.dialect, place.shown
        if place.does in OPEN:
            await self._tell_anybody(request, place)
            return
        name, key = self._access.admit(request.scope, request.headers, in_path)
        request.key = name
        if place.does in OPERATORS:
            await self._tell_operator(request, place, key)
        elif place.does in _WITHOUT_BODY:
            await _say(request, self._listed(place, key))
        else:
            if self.draining:
                raise Refuse(503, "the gateway is stopping", retry_after=RETRY, close=True)
            with self._limits.admit(name, key):
                await self._carry_out(request, place, key)

    async def _tell_anybody(self, request: Request, place: Place) -> None:
        if place.does == "ready":
            told = await asyncio.to_thread(life.ready, self._app, self.draining)
            await request.caller.answer(*told)
            return
        body = b"Ollama is running" if place.does == "hello" else b"ok\n"
        await request.caller.answer(200, {"content-type": life.PLAIN}, body)

    async def _tell_operator(self, request: Request, place: Place, key: Key) -> None:
        if not key.operator:
            raise Refuse(403, "this key is no operator's; `pilotlight keys add NAME --operator`")
        query = request.scope.get("query_string", b"")
        told = await asyncio.to_thread(  # a shared board may have to be read
            life.tell, place.does, place.shown, query, self._app, self._shared
        )
        await request.caller.answer(*told)

    def _listed(self, place: Place, key: Key) -> Any:
        names = self._names.told(key.routes)
        if place.does == "models":
            return small_answers.models(place.dialect, names)
        if place.does == "model":
            self._route(place.model or "", key)
            return small_answers.model(place.dialect, place.model or "")
        return {"version": small_answers.OLLAMA} if place.does == "version" else {"models": []}

    async def _carry_out(self, request: Request, place: Place, key: Key) -> None:
        """Read the body, and do what the address says."""
        body = await self._read(request)
        said = object_of(body)
        if place.does == "count":
            try:
                await _say(request, small_answers.tokens(place.dialect, said))
            except Unreadable as odd:
                raise Refuse(400, str(odd)) from None
            return
        route = self._route(place.model or model_in(said), key)
        request.route = route.name
        if place.does == "show":
            await _say(request, small_answers.shown())
            return
        request.caller.watch(self._app.config.serve.send_timeout)
        if place.does == "embed":
            await _embed(request, place, route, key, said)
            return
        if place.does == "generate":
            said = _as_chat(said)
            body = json.dumps(said).encode()
        asked = CallerRequest(
            dialect=place.dialect,
            body=body,
            said=said,
            headers=request.headers,
            model=place.model,
            stream=place.stream,
            sse=b"alt=sse" in request.scope.get("query_string", b""),
            private=request.private(key),
            total_timeout=request.total_timeout(),
            priority=key.priority,
            tags=request.tags(),
        )
        async with await aask(route, asked) as reply:
            await _relay(request, reply, place)

    async def _read(self, request: Request) -> bytes:
        coding = request.headers.get("content-encoding", "identity")
        if coding != "identity":
            raise Refuse(
                415, f"content-encoding {coding[:20]!r}: send the body as it is", close=True
            )
        serve = self._app.config.serve
        return await request.caller.body(
            request.headers.get("content-length"),
            serve.max_body_mb * MEGABYTE,
            serve.max_bodies_mb * MEGABYTE,
            serve.body_timeout,
        )

    def _route(self, model: str, key: Key) -> Route:
        """Return the route that a caller means; raises Refuse."""
        name = self._names.route_of(model)
        known = ", ".join(self._names.told(key.routes)) or "none"
        if name is None:
            raise Refuse(
                404,
                f"no route for the model {model[:80]!r}; known: {known}; "
                "[serve.models] gives routes other names",
            )
        if key.routes and name not in key.routes:
            raise Refuse(403, f"this key may not use the route {name!r}; known: {known}")
        return self._app.route(name)


_WITHOUT_BODY: Final = ("models", "model", "version", "running")


async def _live(receive: Receive, send: Send) -> None:
    """There is nothing to begin and nothing to end: whoever made the configuration closes it."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


def _as_chat(said: dict[str, Any]) -> dict[str, Any]:
    try:
        return generate.as_chat(said)
    except InvalidCall as wrong:
        raise Refuse(400, str(wrong)) from None


async def _say(request: Request, said: Any) -> None:
    await request.caller.answer(200, JSON, json.dumps(said).encode())


async def _refuse(request: Request, why: Refuse) -> None:
    """Answer with a refusal in the caller's dialect, if it has not been answered yet."""
    if request.caller.status:
        return
    reply = refused(request.dialect, why.status, why.message, retry_after=why.retry_after)
    send = request.caller.refuse if why.close else request.caller.answer
    await send(reply.status, {**reply.headers, **why.headers}, reply.body)


async def _relay(request: Request, reply: AsyncReply, place: Place) -> None:
    request.served_by = reply.headers.get("x-pilotlight-served-by", "")
    headers = {name: value for name, value in reply.headers.items() if name not in _NOT_PASSED}
    older = place.does == "generate" and reply.status == 200
    if reply.streamed:
        pieces = generate.generated(reply) if older else reply
        await request.caller.stream(reply.status, headers, pieces)
        return
    body = generate.as_generated(reply.body) if older else reply.body
    await request.caller.answer(reply.status, headers, body)


# Whose account it is at a provider is none of a caller's business; the rest our server says itself.
_NOT_PASSED: Final = frozenset(
    {"openai-organization", "openai-project", "anthropic-organization-id", "server", "date"}
)


async def _embed(
    request: Request, place: Place, route: Route, key: Key, said: dict[str, Any]
) -> None:
    try:
        texts, options = embeddings.asked(place.dialect, said)
        answer = await route.aembed(
            texts,
            private=request.private(key),
            total_timeout=request.total_timeout(),
            priority=key.priority,
            tags=request.tags(),
            **options,
        )
    except Refuse:
        raise
    except Exception as error:
        reply = refusal_of(place.dialect, error)
        await request.caller.answer(reply.status, reply.headers, reply.body)
        return
    request.served_by = answer.served_by
    served = {
        "x-pilotlight-served-by": answer.served_by,
        "x-pilotlight-failed-over": str(answer.failed_over).lower(),
        "x-pilotlight-receipt": answer.receipt.call_id,
    }
    body = json.dumps(embeddings.written(place.dialect, said, answer)).encode()
    await request.caller.answer(200, {**JSON, **served}, body)
