"""The ask page, and the answer as it is written."""

from contextlib import nullcontext

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_POST

from django_pilotlight import llm_context, stream_response

LONGEST = 2000


def page(request: HttpRequest) -> HttpResponse:
    """Show the form."""
    return render(request, "helpdesk/ask.html")


@require_POST
@llm_context(total_timeout=60)
def ask(request: HttpRequest) -> HttpResponseBase:
    """Answer; what the customer marked as private is answered in the house."""
    question = request.POST.get("question", "").strip()[:LONGEST]
    if not question:
        return HttpResponse("Ask something.", status=400, content_type="text/plain")
    script = "text/event-stream" in request.headers.get("Accept", "")
    with llm_context(private=True) if "private" in request.POST else nullcontext():
        return stream_response(request, [{"role": "user", "content": question}], sse=script)
