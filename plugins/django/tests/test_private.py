"""What `llm_context` says holds for all that comes of a view, in whatever way Django gets at it.

Each test asks from one place in the life of a response and counts what the hosted target, "gpt",
was sent: nothing, ever.
"""

from __future__ import annotations

import asyncio
import contextvars
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from itertools import product
from time import monotonic
from typing import Any

import pytest
from asgiref.sync import async_to_sync, iscoroutinefunction, sync_to_async
from django.http import HttpResponse, StreamingHttpResponse
from django.template import engines
from django.template.response import SimpleTemplateResponse, TemplateResponse
from django.test import AsyncClient, Client
from django.urls import path
from django.utils.decorators import method_decorator
from django.views import View
from django.views.generic import TemplateView

from django_pilotlight import carrying, llm, llm_context
from django_pilotlight.context import NOTHING, LLMContext, current
from django_pilotlight.middleware import LLMContextMiddleware
from django_pilotlight.testing import override_llm
from pilotlight.privacy.residency import is_private

pytestmark = pytest.mark.django_db  # closing a response looks after Django's connections
HELLO = [{"role": "user", "content": "the patient"}]
KEPT = {"private": True, "total_timeout": 8, "priority": "low"}


@pytest.fixture(autouse=True)
def script():
    with override_llm() as given:
        yield given


def all_kept(script: override_llm, calls: int = 1) -> bool:
    """Tell whether so many calls were made, all at home, within the time and the rank."""
    [route] = script._routes.values()
    hosted, local = route.targets
    soon = monotonic() + 8
    return (
        not hosted.calls
        and len(local.calls) == calls
        and all(call.deadline <= soon and call.priority == "low" for call in local.calls)
    )


# How it asks.


async def _acomplete() -> None:
    await llm().acomplete(HELLO)


async def _astream() -> None:
    async with llm().astream(HELLO) as stream:
        async for _ in stream:
            pass


ASKS: dict[str, Callable[[], Any]] = {
    "complete": lambda: llm().complete(HELLO),
    "stream": lambda: list(llm().stream(HELLO)),
    "acomplete": async_to_sync(_acomplete),
    "astream": async_to_sync(_astream),
}
Ask = Callable[[], Any]


# Where it asks: each returns a view that is not decorated yet.


def _template(ask: Ask) -> tuple[Any, dict[str, Any]]:
    return engines["django"].from_string("{{ said }}"), {"said": lambda: ask() and ""}


def in_the_view(ask: Ask) -> Any:
    ask()
    return HttpResponse()


def in_a_template(ask: Ask) -> Any:
    return SimpleTemplateResponse(*_template(ask))


def after_rendering(ask: Ask) -> Any:
    response = SimpleTemplateResponse(engines["django"].from_string(""), {})
    response.add_post_render_callback(lambda _: ask() and None)
    return response


def in_another_response_made_after_rendering(ask: Ask) -> Any:
    response = SimpleTemplateResponse(engines["django"].from_string(""), {})
    other = HttpResponse()
    other._resource_closers.append(ask)
    response.add_post_render_callback(lambda _: other)
    return response


def in_a_closer(ask: Ask) -> Any:
    response = HttpResponse()
    response._resource_closers.append(ask)
    return response


def in_a_closer_of_a_template(ask: Ask) -> Any:
    response = SimpleTemplateResponse(engines["django"].from_string(""), {})
    response.add_post_render_callback(lambda it: it._resource_closers.append(ask))
    return response


def in_its_own_close(ask: Ask) -> Any:
    class Closing(HttpResponse):
        def close(self) -> None:
            ask()
            super().close()

    return Closing()


def in_a_close_that_was_set(ask: Ask) -> Any:
    response = HttpResponse()
    response.close = ask
    return response


def in_a_body(ask: Ask) -> Any:
    def body():
        yield "a"
        ask()
        yield "b"

    return StreamingHttpResponse(body())


def at_the_end_of_a_body(ask: Ask) -> Any:
    def body():
        try:
            yield "a"
        finally:
            ask()

    return StreamingHttpResponse(body())


def in_an_async_body(ask: Ask) -> Any:
    async def body():
        yield "a"
        await sync_to_async(ask)()
        yield "b"

    return StreamingHttpResponse(body())


PLACES = [
    in_the_view,
    in_a_template,
    after_rendering,
    in_another_response_made_after_rendering,
    in_a_closer,
    in_a_closer_of_a_template,
    in_its_own_close,
    in_a_close_that_was_set,
    in_a_body,
    at_the_end_of_a_body,
    in_an_async_body,
]


# Which kind of view, and how it is decorated.


def function(place: Any, ask: Ask) -> Any:
    return llm_context(**KEPT)(lambda _request: place(ask))


def coroutine(place: Any, ask: Ask) -> Any:
    @llm_context(**KEPT)
    async def view(_request):
        return await sync_to_async(place)(ask)

    return view


def in_two_contexts(place: Any, ask: Ask) -> Any:
    inner = llm_context(private=True)(lambda _request: place(ask))
    return llm_context(total_timeout=8, priority="low")(inner)


def class_based(place: Any, ask: Ask) -> Any:
    @method_decorator(llm_context(**KEPT), name="dispatch")
    class Page(View):
        def get(self, _request):
            return place(ask)

    return Page.as_view()


def async_class_based(place: Any, ask: Ask) -> Any:
    @method_decorator(llm_context(**KEPT), name="dispatch")  # `dispatch` is a plain function
    class Page(View):
        async def get(self, _request):
            return await sync_to_async(place)(ask)

    return Page.as_view()


def as_view_decorated(place: Any, ask: Ask) -> Any:
    class Page(View):
        def get(self, _request):
            return place(ask)

    return llm_context(**KEPT)(Page.as_view())


KINDS = [function, coroutine, in_two_contexts, class_based, async_class_based, as_view_decorated]


def urls(view: Any) -> type:
    class Urls:
        urlpatterns = (path("it", view),)

    return Urls


def under_wsgi() -> None:
    reply = Client().get("/it")
    if not reply.streaming:
        return
    if reply.is_async:
        list(reply)  # Django reads it to the end
    else:
        b"".join(reply.streaming_content)
    reply.close()


def under_asgi() -> None:
    async def asked():
        reply = await AsyncClient().get("/it")
        if reply.streaming:
            async for _ in reply:
                pass
            await sync_to_async(reply.close)()

    asyncio.run(asked())


@pytest.mark.parametrize(
    ("place", "kind", "client"),
    list(product(PLACES, KINDS, [under_wsgi, under_asgi])),
    ids=lambda each: each.__name__,
)
@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")
def test_nothing_that_comes_of_a_private_view_leaves(place, kind, client, settings, script):
    def ask():
        for each in ASKS.values():
            each()

    settings.ROOT_URLCONF = urls(kind(place, ask))
    client()
    assert all_kept(script, len(ASKS))
    assert current() == NOTHING
    assert not is_private()


def test_the_generic_views_are_lazy_and_are_covered(settings, script):
    template, context = _template(ASKS["complete"])

    @method_decorator(llm_context(**KEPT), name="dispatch")
    class Page(TemplateView):
        def render_to_response(self, *_: Any, **__: Any) -> TemplateResponse:
            return TemplateResponse(self.request, template, context)

    settings.ROOT_URLCONF = urls(Page.as_view())
    assert Client().get("/it").status_code == 200
    assert all_kept(script)


def test_a_rendering_that_is_a_coroutine_function(script):
    class Page(SimpleTemplateResponse):
        async def render(self):
            await _acomplete()
            return self

    response = llm_context(**KEPT)(lambda _request: Page("x"))(None)
    assert iscoroutinefunction(response.render)
    asyncio.run(response.render())
    assert all_kept(script)


def test_the_middleware_carries_its_request_id_into_rendering_and_closing(rf):
    seen = []

    def note():
        seen.append(current().request_id)

    reply = LLMContextMiddleware(lambda _request: in_a_closer(note))(
        rf.get("/", headers={"x-request-id": "r-1"})
    )
    reply.close()
    assert seen == ["r-1"]


def test_a_response_can_be_cached(rf):
    """Django's cache pickles responses once they are rendered."""
    kept = []

    def view(_request):
        response = SimpleTemplateResponse(engines["django"].from_string("text"), {})
        response.add_post_render_callback(lambda it: kept.append(pickle.dumps(it)))
        return response

    response = llm_context(private=True)(view)(None)
    response.render()
    kept.append(pickle.dumps(response))
    kept.append(pickle.dumps(llm_context(private=True)(lambda _: HttpResponse("text"))(None)))
    for each in map(pickle.loads, kept):
        assert each.content == b"text"
        each.close()
        assert each.closed


def test_a_response_that_was_closed_refers_to_itself_no_more():
    response = llm_context(private=True)(lambda _request: HttpResponse())(None)
    response.close()
    assert "close" not in vars(response)


# Blocks, in whatever code they stand.


@llm_context(**KEPT)
def decorated_body():
    yield "a"
    yield llm().complete(HELLO)


@llm_context(**KEPT)
async def adecorated_body():
    yield "a"
    yield await llm().acomplete(HELLO)


def body():
    with llm_context(**KEPT):
        yield "a"
        yield llm().complete(HELLO)


def stacked_body():
    with ExitStack() as stack:
        stack.enter_context(llm_context(**KEPT))
        yield "a"
        yield llm().complete(HELLO)


async def abody():
    with llm_context(**KEPT):
        yield "a"
        yield await llm().acomplete(HELLO)


def _here(step: Ask) -> None:
    step()


def _thread(step: Ask) -> None:
    thread = threading.Thread(target=step)
    thread.start()
    thread.join()


def _executor(step: Ask) -> None:
    with ThreadPoolExecutor(1) as executor:
        executor.submit(step).result()


def _copy(step: Ask) -> None:
    contextvars.copy_context().run(step)


def _new_context(step: Ask) -> None:
    contextvars.Context().run(step)


CARRIERS = [_here, _thread, _executor, _copy, _new_context]


@pytest.mark.parametrize("made", [body, stacked_body, decorated_body])
@pytest.mark.parametrize(("first", "second"), list(product(CARRIERS, CARRIERS)))
def test_a_body_keeps_its_block_wherever_it_is_resumed(made, first, second, script):
    """A server may run each step of a body in another thread, or another copy of the context."""

    def steps():
        one, other = made(), made()
        first(partial(next, one))
        first(partial(next, other))
        second(one.close)  # the end of one is not the end of the other
        second(partial(next, other))
        first(other.close)
        assert all_kept(script)
        if first is not _here:
            assert current() == NOTHING
            assert not is_private()

    contextvars.Context().run(steps)


@pytest.mark.parametrize("made", [abody, adecorated_body])
def test_an_async_body_keeps_its_block_in_every_task(made, script):
    async def steps():
        one, other = made(), made()
        for each in (one, other):
            await asyncio.create_task(anext(each))
        await asyncio.create_task(one.aclose())
        await asyncio.create_task(anext(other))
        await other.aclose()
        assert current() == NOTHING

    asyncio.run(steps())
    assert all_kept(script)


@pytest.mark.parametrize("ask", ["acomplete", "gather", "astream"])
def test_what_is_made_in_a_block_holds_where_it_is_awaited(ask, script):
    async def asked():
        with llm_context(**KEPT):
            made = [llm().acomplete(HELLO) for _ in range(3)]
            stream = llm().astream(HELLO)
        if ask == "gather":
            await asyncio.gather(*made)
        else:
            await made.pop()
            for each in made:
                each.close()
        async for _ in stream:
            pass

    asyncio.run(asked())
    assert all_kept(script, 4 if ask == "gather" else 2)


@pytest.mark.parametrize("wait", [0.0, 5.0])
def test_the_time_runs_from_the_block_not_from_the_await(wait, script, monkeypatch):
    monkeypatch.setattr("django_pilotlight.context.monotonic", lambda: monotonic() + shift)
    shift = 0.0

    async def asked():
        nonlocal shift
        with llm_context(total_timeout=8):
            made = llm().acomplete(HELLO)
        shift = wait
        await made

    asyncio.run(asked())
    [route] = script._routes.values()
    assert route.targets[0].calls[0].deadline <= monotonic() + 8 - wait


def test_what_is_carried_into_a_thread_may_be_of_every_colour(script):
    async def asked():
        await llm().acomplete(HELLO)

    def steps():
        yield llm().complete(HELLO)

    with llm_context(**KEPT):
        functions = [carrying(asked), carrying(steps), carrying(lambda: llm().complete(HELLO))]
    assert iscoroutinefunction(functions[0])
    _thread(lambda: asyncio.run(functions[0]()))
    _thread(lambda: list(functions[1]()))
    _thread(functions[2])
    assert all_kept(script, 3)


def test_one_object_is_used_by_many_threads_and_tasks_at_once():
    shared, seen = llm_context(private=True, total_timeout=8), []
    together = threading.Barrier(4)

    def threads():
        for _ in range(20):
            with shared:
                together.wait()
                seen.append(is_private() and current().private and current().until is not None)
            seen.append(not is_private() and current() == NOTHING)

    with ThreadPoolExecutor(4) as executor:
        for each in [executor.submit(contextvars.Context().run, threads) for _ in range(4)]:
            each.result()

    async def tasks():
        gate = asyncio.Barrier(5)

        async def one(number):
            with shared:
                await gate.wait()
                for _ in range(number):  # so that they end in another order than they began
                    await asyncio.sleep(0)
                seen.append(is_private())
                with shared:
                    seen.append(is_private())
                seen.append(is_private())
            seen.append(not is_private() and current() == NOTHING)

        await asyncio.gather(*map(one, (3, 0, 4, 1, 2)))

    asyncio.run(tasks())
    assert all(seen)
    assert (len(seen), shared._open, shared._private) == (160 + 20, [], [])


def test_the_inner_block_wins_where_both_may_not_hold():
    with llm_context(priority="low", request_id="a"), llm_context(priority="high"):
        held = current()
        assert (held.priority, held.request_id) == ("high", "a")
    assert current() == LLMContext()
