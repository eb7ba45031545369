"""One server a test: it costs a few milliseconds."""

from __future__ import annotations

import os
from collections.abc import Iterator

import httpx
import pytest

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # before anybody imports litellm

from pilotlight_chaos import ChaosServer


@pytest.fixture
def server() -> Iterator[ChaosServer]:
    with ChaosServer(reply="one two three four five") as running:
        yield running


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=5, trust_env=False, verify=False) as client:
        yield client
