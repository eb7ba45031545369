"""pilotlight for LangChain: the models you have, with failover that remembers.

    from langchain_pilotlight import guard

    model = guard(ChatOpenAI(model="gpt-4o"), fallback=ChatOllama(model="llama3.2"))

`FailoverMiddleware` needs the package `langchain`, and is loaded when it is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_pilotlight._errors import AllTargetsFailed, DeadlineExceeded, StreamInterrupted
from langchain_pilotlight.chat_models import ChatPilotlight
from langchain_pilotlight.embeddings import GuardedEmbeddings, guard_embeddings
from langchain_pilotlight.guard import GuardedChatModel, guard

if TYPE_CHECKING:
    from langchain_pilotlight.middleware import Failover, FailoverMiddleware

__all__ = [
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


def __getattr__(name: str) -> Any:
    if name not in ("Failover", "FailoverMiddleware"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from langchain_pilotlight import middleware

    return getattr(middleware, name)
