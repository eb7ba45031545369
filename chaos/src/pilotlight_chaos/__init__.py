"""pilotlight-chaos: a loopback server that plays model providers, and fails the way they fail."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .answers import Answer, Ask, Message, Tool, ToolCall, ToolChoice
    from .faults import DIALECTS, KINDS, Fault, FaultError, Kind, make_fault, parameters
    from .http import Traffic
    from .models import HOSTED_MODELS, HostedModel, LocalModel
    from .proxy import TcpProxy
    from .server import ChaosServer
    from .state import Counters, RequestRecord

__all__ = [
    "DIALECTS",
    "HOSTED_MODELS",
    "KINDS",
    "Answer",
    "Ask",
    "ChaosServer",
    "Counters",
    "Fault",
    "FaultError",
    "HostedModel",
    "Kind",
    "LocalModel",
    "Message",
    "RequestRecord",
    "TcpProxy",
    "Tool",
    "ToolCall",
    "ToolChoice",
    "Traffic",
    "make_fault",
    "parameters",
]

# Loaded when they are first used: the pytest plugin is imported in every test run.
_HOMES = {
    "answers": ("Answer", "Ask", "Message", "Tool", "ToolCall", "ToolChoice"),
    "faults": ("DIALECTS", "KINDS", "Fault", "FaultError", "Kind", "make_fault", "parameters"),
    "http": ("Traffic",),
    "models": ("HOSTED_MODELS", "HostedModel", "LocalModel"),
    "proxy": ("TcpProxy",),
    "server": ("ChaosServer",),
    "state": ("Counters", "RequestRecord"),
}


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            value: object = getattr(importlib.import_module(f".{home}", __name__), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
