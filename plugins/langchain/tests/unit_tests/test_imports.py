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


def test_making_one_opens_no_socket_and_brings_no_litellm():
    code = """
import sys
from langchain_ollama import ChatOllama, OllamaEmbeddings
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

models = ChatOpenAI(model="gpt-4o", api_key="k"), ChatOllama(model="llama3.2")
embedders = OpenAIEmbeddings(model="m", api_key="k"), OllamaEmbeddings(model="m")
opened = []
sys.addaudithook(lambda event, _: opened.append(event) if event.startswith("socket.") else None)

from langchain_pilotlight import ChatPilotlight, FailoverMiddleware, guard, guard_embeddings

guard(*models).bind_tools([])
ChatPilotlight(route="chat").bind_tools([])
FailoverMiddleware(models[1])
guard_embeddings(*embedders, space="m")
print(opened, "litellm" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] False"
