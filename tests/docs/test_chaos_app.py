"""The sample application of examples/chaos_app: its tests pass, and catch the bugs planted."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parents[2]

# One process for all of them: most of the time goes into importing litellm.
RUNS = """
import os, pytest
os.environ["COLUMNS"] = "300"  # or the summary is cut
for variant in ("HelpDesk", "NoFallback", "Swallows", "Leaks"):
    os.environ["HELPDESK"] = variant
    print(">>>", variant, flush=True)
    pytest.main(["-p", "pilotlight_chaos.pytest_plugin", "-p", "no:cacheprovider", "-q",
                 "-rf", "examples/chaos_app"])
"""


def test_the_good_passes_and_each_bug_fails_with_its_message():
    done = subprocess.run(
        [sys.executable, "-c", RUNS], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    good, without, swallows, leaks = done.stdout.split(">>> ")[1:]
    assert "3 passed" in good, done.stdout
    assert "test_an_outage_is_not_noticed - pilotlight.errors.AllTargetsFailed" in without
    assert "1 failed, 2 passed" in swallows
    assert "the text holds part of an answer of openai that broke off (cut)" in swallows
    assert "1 failed, 2 passed" in leaks
    assert "1 prompt(s) left the machine, to openai (gpt-4o)" in leaks
    assert "4711" not in leaks.split("AssertionError")[1]
