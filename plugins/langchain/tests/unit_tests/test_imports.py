"""What the package shows, and what importing it costs."""

from __future__ import annotations

import subprocess
import sys

import langchain_pilotlight

NAMES = [
    "AllTargetsFailed",
    "ChatPilotlight",
    "DeadlineExceeded",
    "Failover",
    "FailoverMiddleware",
    "GuardedChatModel",
    "GuardedEmbeddings",
    "StreamInterrupted",
    "guard",
    "guard_embeddings",
]


def test_the_public_names():
    assert langchain_pilotlight.__all__ == NAMES
    for name in NAMES:
        assert getattr(langchain_pilotlight, name).__doc__


def test_importing_brings_neither_litellm_nor_an_agent_framework():
    code = (
        "import langchain_pilotlight, sys\n"
        "print([n for n in ('litellm', 'langchain', 'langgraph', 'openai') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
