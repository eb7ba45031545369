"""A process of its own with the configuration under test: started, let work, ended."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .world import World

PATIENCE = 180.0  # seconds: most of it is the import of litellm


def run_worker(world: World, calls: int) -> dict[str, Any]:
    """Run a worker to its end; return what it reported and whom it asked how often.

    Its requests are told from the traffic's by a word in its prompts.
    """
    began, tag = world.now(), f"worker-{uuid.uuid4().hex}"
    config = world.config()
    order = {"config": config, "route": world.setting.traffic.route, "calls": calls, "tag": tag}
    done = subprocess.run(
        [sys.executable, "-m", "pilotlight_chaos.lab.worker"],
        input=json.dumps(order),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the worker ended with {done.returncode}: {done.stderr[-400:]}")
    asked = {
        name: sum(tag in str(record.body) for record in world.requests(name, began))
        for name in config["targets"]
    }
    report: dict[str, Any] = json.loads(done.stdout)
    return report | {"began": began, "requests": asked}
