"""One contract, two servers: the Ollama that `chaos/` plays, and a real one.

The simulator is asked in every run.  The real one is asked by `make test-live`; its address
comes from OLLAMA_HOST, and PILOTLIGHT_LIVE_MODEL names any small chat model that it has.
That model is loaded and unloaded in the course; nothing is pulled, made or deleted.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import httpx
import pytest

from pilotlight.providers.ollama.names import normalise_host
from pilotlight_chaos import ChaosServer, LocalModel

from .ollama import Ollama

HOST = os.environ.get("OLLAMA_HOST", "")  # read now: each test starts without it
MODEL = os.environ.get("PILOTLIGHT_LIVE_MODEL", "")
UNSET = (
    "the live tests need a running Ollama and a small chat model that it has: set OLLAMA_HOST"
    " and PILOTLIGHT_LIVE_MODEL, as in\n"
    "    OLLAMA_HOST=127.0.0.1:11434 PILOTLIGHT_LIVE_MODEL=llama3.2:1b make test-live"
)
LONGEST = 300.0  # seconds, for the load of a real model on a slow machine


def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuse to pass for want of a server: who asks for live tests gets them or an error."""
    wanted = any(item.get_closest_marker("live") for item in session.items)
    if wanted and not (HOST and MODEL):
        raise pytest.UsageError(UNSET)


@pytest.fixture(
    params=["simulator", pytest.param("real", marks=pytest.mark.live)],
)
def server(request: pytest.FixtureRequest) -> Iterator[Ollama]:
    """One Ollama with one chat model, which is not loaded."""
    with httpx.Client(timeout=LONGEST, trust_env=False) as http:
        if request.param == "real":
            found = Ollama(http, normalise_host(HOST), MODEL)
            found.unload()
            yield found
            found.unload()
            return
        model = LocalModel("tiny:1b", ("completion",), context_length=2048)
        with ChaosServer(models=[model]) as chaos:
            yield Ollama(http, chaos.base("ollama"), model.name)
