"""pilotlight-chaos: a loopback server that plays model providers, and fails the way they fail."""

from .answers import Answer, Ask, Message, Tool, ToolCall, ToolChoice
from .faults import DIALECTS, KINDS, Fault, FaultError, Kind, make_fault, parameters
from .models import HOSTED_MODELS, HostedModel, LocalModel
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
    "Tool",
    "ToolCall",
    "ToolChoice",
    "make_fault",
    "parameters",
]
