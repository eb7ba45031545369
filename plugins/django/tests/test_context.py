"""What a request says holds for its calls: in threads, `sync_to_async`, bodies and signals."""

from __future__ import annotations

import asyncio
import threading

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.http import HttpResponse, StreamingHttpResponse
from django.test import AsyncClient, Client, RequestFactory
from hypothesis import given
from hypothesis import strategies as st

import pilotlight
from django_pilotlight import carrying, llm, llm_context, signals
from django_pilotlight.context import LLMContext, current, entered
from django_pilotlight.middleware import LLMContextMiddleware
from django_pilotlight.testing import override_llm
from pilotlight.testing import FakeClock

HELLO = [{"role": "user", "content": "Hello"}]
SHAPES = ("complete", "acomplete", "stream", "astream")


def served_by(calls, shape: str, **options) -> str:
    """Make a call in one of the four shapes."""
    if shape == "complete":
        return calls.complete(HELLO, **options).served_by
    if shape == "stream":
        with calls.stream(HELLO, **options) as stream:
            list(stream)
        return stream.served_by

    async def run():
        if shape == "acomplete":
            return (await calls.acomplete(HELLO, **options)).served_by
        async with calls.astream(HELLO, **options) as stream:
            async for _ in stream:
                pass
        return stream.served_by

    return asyncio.run(run())


@pytest.fixture(autouse=True)
def scripted():
    with override_llm() as script:
        yield script


@pytest.mark.parametrize("shape", SHAPES)
def test_a_private_block_stays_at_home(shape):
    at_import = llm()
    assert served_by(at_import, shape) == "gpt"
    with llm_context(private=True):
        assert served_by(at_import, shape) == "local"
        assert served_by(llm(), shape) == "local"
    assert served_by(at_import, shape) == "gpt"


@pytest.mark.parametrize("shape", SHAPES)
def test_private_can_not_be_lifted(shape):
    with llm_context(private=True), llm_context(private=False):
        assert served_by(llm(), shape, private=False) == "local"


@pytest.mark.parametrize("shape", SHAPES)
def test_calls_made_in_a_private_request_stay_private_in_a_thread(shape):
    said = []
    with llm_context(private=True):
        calls = llm()
        threads = [threading.Thread(target=lambda: said.append(served_by(calls, shape)))]

        def asked_there():
            said.append(served_by(llm(), shape))

        threads.append(threading.Thread(target=carrying(asked_there)))
        for each in threads:
            each.start()
            each.join()
    assert said == ["local", "local"]


def test_a_bare_thread_has_the_routes_default():
    said = []
    with llm_context(private=True):
        thread = threading.Thread(target=lambda: said.append(served_by(llm(), "complete")))
        thread.start()
        thread.join()
    assert said == ["gpt"]


def test_it_crosses_between_sync_and_async():
    async def there():
        return await sync_to_async(lambda: llm().complete(HELLO).served_by)()

    with llm_context(private=True):
        assert async_to_sync(there)() == "local"


def test_it_holds_for_the_other_doors():
    from pilotlight.privacy.residency import is_private

    with llm_context(private=True):
        assert is_private()
    assert not is_private()


@pytest.mark.parametrize("path", ["/private", "/body", "/aprivate"])
def test_a_private_view_under_wsgi(path):
    reply = Client().get(path)
    text = b"".join(reply.streaming_content) if reply.streaming else reply.content
    assert b"local" in text
    assert b"gpt" not in text


@pytest.mark.parametrize("path", ["/private", "/aprivate", "/abody"])
def test_a_private_view_under_asgi(path):
    async def asked():
        reply = await AsyncClient().get(path)
        if reply.streaming:
            return b"".join([part async for part in reply.streaming_content])
        return reply.content

    text = asyncio.run(asked())
    assert b"local" in text
    assert b"gpt" not in text


def test_the_middleware_carries_a_body_written_by_hand(rf: RequestFactory):
    def view(_request):
        def pieces():
            yield current().request_id

        return StreamingHttpResponse(pieces())

    reply = LLMContextMiddleware(view)(rf.get("/", headers={"x-request-id": "abc-1"}))
    assert current() == LLMContext()
    assert b"".join(reply.streaming_content) == b"abc-1"


def test_a_body_is_closed_and_its_iterator_with_it(rf, db):
    closed = []

    def pieces():
        try:
            yield "one"
            yield "two"
        finally:
            closed.append(current().request_id)

    middleware = LLMContextMiddleware(lambda _request: StreamingHttpResponse(pieces()))
    reply = middleware(rf.get("/", headers={"x-request-id": "abc-1"}))
    assert next(iter(reply)) == b"one"
    reply.close()
    assert closed == ["abc-1"]


@pytest.mark.parametrize("said", ["", "a b", "x" * 65, "{}", "a\nb"])
def test_a_request_id_that_is_none_is_not_taken(said, rf):
    middleware = LLMContextMiddleware(lambda request: HttpResponse(request.llm_request_id))
    request = rf.get("/")
    request.META["HTTP_X_REQUEST_ID"] = said
    reply = middleware(request)
    assert reply.content.decode() != said
    assert reply["X-Request-ID"] == reply.content.decode()
    assert len(reply.content) == 32


@pytest.mark.parametrize("path", ["/ask", "/aask"])
def test_a_request_id_goes_there_and_back(path):
    reply = Client().get(path, headers={"x-request-id": "trace-7"})
    assert (reply["X-Request-ID"], reply.json()["request_id"]) == ("trace-7", "trace-7")


@pytest.mark.parametrize("shape", SHAPES)
def test_signal_handlers_are_in_the_requests_context(shape):
    heard = []

    def receiver(sender, event, request_id, **kwargs):
        heard.append((event.from_target, request_id, current().private, llm().made_in.private))

    signals.failed_over.connect(receiver)
    try:
        with entered(LLMContext(private=True, request_id="r-1")):
            served_by(llm(), shape)
    finally:
        signals.failed_over.disconnect(receiver)
    assert heard == [("gpt", "r-1", True, True)]


def test_a_receiver_that_raises_breaks_no_call(caplog):
    def receiver(**kwargs):
        raise RuntimeError("mine")

    signals.failed_over.connect(receiver)
    try:
        with llm_context(private=True):
            assert served_by(llm(), "complete") == "local"
    finally:
        signals.failed_over.disconnect(receiver)
    assert "mine" in caplog.text


def asked_with(scripted, name: str):
    """The last call that the scripted target has seen."""
    [route] = scripted._routes.values()
    return next(each for each in route.targets if each.name == name).calls[-1]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_deadline_is_shared_by_the_calls_of_a_request(shape, scripted, monkeypatch):
    clock = FakeClock()
    monkeypatch.setattr("django_pilotlight.context.monotonic", clock)
    seen = []
    monkeypatch.setattr(pilotlight.Route, shape, _noting(seen, getattr(pilotlight.Route, shape)))
    with llm_context(total_timeout=8):
        served_by(llm(), shape)
        clock.advance(3)
        served_by(llm(), shape)
        served_by(llm(), shape, total_timeout=2)
        served_by(llm(), shape, total_timeout=20)
        with llm_context(total_timeout=60):
            served_by(llm(), shape)
    with llm_context(total_timeout=100):
        served_by(llm(), shape)
    served_by(llm(), shape)
    assert seen == [8, 5, 2, 5, 5, 30, 30]


def _noting(seen, method):
    def noted(self, messages, *, total_timeout=None, **options):
        seen.append(total_timeout)
        return method(self, messages, **options)

    return noted


def test_a_deadline_that_has_passed_is_one(monkeypatch):
    clock = FakeClock()
    monkeypatch.setattr("django_pilotlight.context.monotonic", clock)
    with llm_context(total_timeout=8):
        clock.advance(9)
        assert current().left() == 0.001


@pytest.mark.parametrize("shape", SHAPES)
def test_a_priority_is_inherited(shape, scripted):
    with llm_context(priority="low"):
        served_by(llm(), shape)
        assert asked_with(scripted, "gpt").priority == "low"
        served_by(llm(), shape, priority="high")
        assert asked_with(scripted, "gpt").priority == "high"
    served_by(llm(), shape)
    assert asked_with(scripted, "gpt").priority == "normal"


@pytest.mark.parametrize(
    "wrong", [{"total_timeout": 0}, {"total_timeout": -1}, {"priority": "urgent"}]
)
def test_what_is_no_deadline_or_priority_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        llm_context(**wrong)


contexts = st.builds(
    LLMContext,
    private=st.booleans(),
    until=st.none() | st.floats(0, 100),
    priority=st.sampled_from([None, "high", "normal", "low"]),
)


@pytest.mark.parametrize(
    ("slip", "told"),
    [
        ("privat", "privat=; did you mean private=?"),
        ("total_timout", "total_timout=; did you mean total_timeout=?"),
        ("priorty", "priorty=; did you mean priority=?"),
        ("temperature", "temperature=$"),
    ],
)
def test_a_slip_of_the_keyboard_is_told(slip, told):
    with pytest.raises(TypeError, match=told.replace("?", r"\?")):
        llm_context(**{slip: True})


@given(st.lists(contexts, max_size=5))
def test_no_nesting_lifts_a_residency_or_lengthens_a_deadline(nested):
    inner = LLMContext()
    for each in nested:
        inner = each.within(inner)
    assert inner.private == any(each.private for each in nested)
    ends = [each.until for each in nested if each.until is not None]
    assert inner.until == min(ends, default=None)


def test_requests_at_the_same_time_do_not_mix():
    async def together():
        both = asyncio.Barrier(2)

        async def one(private):
            with llm_context(private=private):
                await both.wait()
                return (await llm().acomplete(HELLO)).served_by

        return await asyncio.gather(one(True), one(False))

    assert asyncio.run(together()) == ["local", "gpt"]


def test_tags_of_a_context_are_those_of_every_doors_calls():
    from pilotlight.scopes.tags import tags_of

    @llm_context(tags={"tenant": "acme", "team": "a"})
    def view():
        with llm_context(tags={"team": "b"}):
            inner = dict(tags_of())
        return inner, dict(tags_of())

    assert view() == ({"tenant": "acme", "team": "b"}, {"tenant": "acme", "team": "a"})
    assert tags_of() == {}


def test_tags_that_are_no_short_texts_are_refused_where_they_are_said():
    with pytest.raises(ValueError, match="tags"):
        llm_context(tags={"tenant": 7})
