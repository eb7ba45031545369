"""What the standard suites of langchain-tests share here: the providers, and who is down."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import pytest

from pilotlight_chaos import ChaosServer
from pilotlight_chaos.answers import Ask, answer

from ..conftest import LOCAL


class Suite:
    """A class of the suite has a server of its own; in an outage its primary answers 503."""

    outage: ClassVar[bool] = False
    server: ClassVar[ChaosServer]


def said(ask: Ask) -> str:
    """JSON mode is asked for a joke, without a schema to make one up from."""
    joke = '{"setup": "Why do cats purr?", "punchline": "The pilot light is on."}'
    return joke if ask.schema == {} else answer(ask, None).text


@pytest.fixture(autouse=True, scope="class")
def providers(request: pytest.FixtureRequest) -> Iterator[None]:
    outage = request.cls.outage
    with ChaosServer(models=[LOCAL], eager_tools=True, reply=said) as server:
        request.cls.server = server
        if outage:
            server.fault("primary", "http_error", status=503, everywhere=True)
        yield
        assert server.hits("primary") > 0
        assert (server.hits("local") > 0) is outage
