"""Actions for chaostoolkit: what befalls a gateway's processes (`traffic: {door: gateway}`)."""

from __future__ import annotations

from .actions import begin
from .lab.current import current


def kill_worker() -> None:
    """Kill one worker of the gateway with SIGKILL."""
    begin("gateway: a worker is killed")
    current().serving.kill_worker()


def break_configuration() -> None:
    """Write a configuration that can't be used, and tell the gateway to read it anew."""
    current().serving.break_configuration()
