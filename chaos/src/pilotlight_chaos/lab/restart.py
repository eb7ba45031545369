"""A process of its own with the configuration under test: started, let work, ended."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .world import World

COMMAND = [sys.executable, "-m", "pilotlight_chaos.lab.worker"]
LOOK = 0.1  # seconds between two looks whether the experiment is over
PATIENCE = 180.0  # seconds: most of it is the import of litellm


def run_worker(world: World, calls: int) -> dict[str, Any]:
    """Run a worker to its end; return what it reported and whom it asked how often.

    Its requests are told from the traffic's by a word in its prompts.
    """
    began, tag = world.now(), f"worker-{uuid.uuid4().hex}"
    config = world.config()
    order = {"config": config, "route": world.setting.traffic.route, "calls": calls, "tag": tag}
    code, said, complaint = _carried_out(world, json.dumps(order))
    if code:
        raise RuntimeError(f"the worker ended with {code}: {complaint[-400:]}")
    asked = {
        name: sum(tag in str(record.body) for record in world.requests(name, began))
        for name in config["targets"]
    }
    report: dict[str, Any] = json.loads(said)
    return report | {"began": began, "requests": asked}


def _carried_out(world: World, order: str) -> tuple[int, str, str]:
    """Run the process, and not beyond the end of the experiment."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    until = time.monotonic() + PATIENCE
    given: str | None = order
    with subprocess.Popen(COMMAND, text=True, **pipes) as worker:  # type: ignore[call-overload]
        while True:
            try:
                said, complaint = worker.communicate(given, timeout=LOOK)
                return worker.returncode, said, complaint
            except subprocess.TimeoutExpired:
                given = None  # it goes on where it stopped
                if world.aborted.is_set() or time.monotonic() > until:
                    worker.kill()
            except BaseException:
                worker.kill()
                raise
