"""Views that call models, in every shape."""

import os

from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse

from django_pilotlight import app, llm, llm_context, stream_response

HELLO = [{"role": "user", "content": "Hello"}]
AT_IMPORT = llm()  # made outside of any request

if "TESTAPP_JOURNAL" in os.environ:
    from testapp import journal

    journal.keep(os.environ["TESTAPP_JOURNAL"])


def _told(request, answer):
    receipt = answer.receipt
    return JsonResponse(
        {
            "text": answer.text,
            "served_by": answer.served_by,
            "private": receipt.private,
            "request_id": request.llm_request_id,
        }
    )


def ask(request: HttpRequest) -> HttpResponse:
    return _told(request, AT_IMPORT.complete(HELLO))


async def aask(request: HttpRequest) -> HttpResponse:
    return _told(request, await AT_IMPORT.acomplete(HELLO))


@llm_context(private=True)
def private(request: HttpRequest) -> HttpResponse:
    return _told(request, AT_IMPORT.complete(HELLO))


@llm_context(private=True)
async def aprivate(request: HttpRequest) -> HttpResponse:
    return _told(request, await AT_IMPORT.acomplete(HELLO))


def stream(request: HttpRequest) -> HttpResponse:
    return stream_response(request, HELLO)


async def astream(request: HttpRequest) -> HttpResponse:
    return stream_response(request, HELLO)


def events(request: HttpRequest) -> HttpResponse:
    return stream_response(request, HELLO, sse=True)


@llm_context(private=True)
def body(request: HttpRequest) -> HttpResponse:
    def pieces():  # asks only when it is read: the view has returned by then
        yield llm().complete(HELLO).served_by

    return StreamingHttpResponse(pieces())


@llm_context(private=True)
async def abody(request: HttpRequest) -> HttpResponse:
    async def pieces():
        yield (await llm().acomplete(HELLO)).served_by

    return StreamingHttpResponse(pieces())


def inside(request: HttpRequest) -> HttpResponse:
    """How this worker's breakers and bulkheads stand."""
    gpt = app().target("gpt").health
    assert gpt.bulkhead is not None
    return JsonResponse({"inside": gpt.bulkhead.inside, "strain": gpt.breaker.strain})
