"""An outage to try a recipe in: OpenAI is down, and a local Ollama answers in its place.

In production there is no stage: the SDK's own key and address, and Ollama on its own port.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from pilotlight_chaos import ChaosServer


@contextmanager
def outage() -> Iterator[ChaosServer]:
    """Play both; the SDKs are led here by the variables that they read themselves."""
    with ChaosServer(models=["llama3.2"]) as server:
        os.environ["OPENAI_BASE_URL"] = f"{server.base('openai')}/v1"
        os.environ["OPENAI_API_KEY"] = "sk-not-a-real-key"
        os.environ["OLLAMA_HOST"] = server.base("house")
        server.fault("openai", "server_error")
        yield server
