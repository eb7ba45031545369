"""Beside other instrumentations of model calls: what our shield prevents, and what it does not.

The table in docs/telemetry.md says the same.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from .conftest import INSTRUMENTORS, ROOT

pytestmark = pytest.mark.instrumentors

OURS = [("chat gpt-4o-mini", "pilotlight.call chat"), ("pilotlight.call chat", None)]
WAYS = [
    ("complete", "direct"),
    ("complete", "litellm"),
    ("stream", "direct"),
    ("stream", "litellm"),
    ("sdk", "direct"),
]
STANDS_DOWN = ("httpx", "genai", "openllmetry")
UNSEEN = ("openinference-openai", "openinference-litellm")  # by them: a target asked directly
DOES_NOT = {  # its span, and its parent
    ("openinference-openai", "complete"): ("ChatCompletion", "chat gpt-4o-mini"),
    ("openinference-openai", "stream"): ("ChatCompletion", "chat gpt-4o-mini"),
    ("openinference-openai", "sdk"): ("ChatCompletion", "chat gpt-4o-mini"),
    ("openinference-litellm", "complete"): ("completion", "chat gpt-4o-mini"),
    ("openinference-litellm", "stream"): ("completion", "chat gpt-4o-mini"),
    ("litellm-callback", "complete"): ("raw_gen_ai_request", "chat gpt-4o-mini"),
    ("litellm-callback", "stream"): ("litellm_request", None),
}


def spans(name: str, shape: str, via: str) -> list[dict[str, Any]]:
    """Every span of one call that is about a model."""
    path = os.pathsep.join([*filter(None, sys.path), str(INSTRUMENTORS)])
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PILOTLIGHT_", "OTEL_"))}
    done = subprocess.run(
        [sys.executable, "-m", "tests.backends.instrumented", name, shape, via],
        cwd=ROOT,
        env=kept | {"PYTHONPATH": path, "PILOTLIGHT_BACKGROUND": "off"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert set(told["usage"]) <= {"pilotlight"}  # tokens are metered by nobody else
    return [each for each in told["spans"] if each["name"] not in ("GET", "POST")]


def check_ours(found: list[dict[str, Any]]) -> None:
    ours = [each for each in found if each["ours"]]
    assert [(each["name"], each["parent"]) for each in ours] == OURS
    assert not any(each["shows"] for each in ours)  # nobody writes prompts on our spans


@pytest.mark.parametrize(("shape", "via"), WAYS)
@pytest.mark.parametrize("name", STANDS_DOWN)
def test_these_stand_down(name, shape, via):
    found = spans(name, shape, via)
    check_ours(found)
    assert all(each["ours"] for each in found)


@pytest.mark.parametrize("shape", ["complete", "stream"])
@pytest.mark.parametrize("name", UNSEEN)
def test_these_do_not_see_what_does_not_go_through_the_library_they_patch(name, shape):
    found = spans(name, shape, "direct")
    check_ours(found)
    assert all(each["ours"] for each in found)


@pytest.mark.parametrize(("name", "shape"), DOES_NOT)
def test_these_count_a_call_twice_and_show_its_prompt_in_spans_of_their_own(name, shape):
    """Documented, for it can't be prevented from here; a version that mends it fails this test."""
    found = spans(name, shape, "litellm")
    check_ours(found)
    theirs = [each for each in found if not each["ours"]]
    assert DOES_NOT[name, shape] in [(each["name"], each["parent"]) for each in theirs]
    assert any(each["shows"] for each in theirs)
