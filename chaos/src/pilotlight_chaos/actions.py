"""Actions for chaostoolkit: set faults and take them away again, and let time pass.

A target is named as in the configuration under test.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .lab.current import current, is_built
from .lab.restart import run_worker
from .lab.world import FAULT

FLAP = "up and down"


def fault(target: str, kind: str, params: dict[str, Any] | None = None, add: bool = False) -> None:
    """Let a target fail; `kind` and `params` as `ChaosServer.fault` has them."""
    world = current()
    world.server(target).fault(target, kind, add=add, **(params or {}))
    begin(f"{target}: {kind}")


def heal(target: str | None = None) -> None:
    """Take the faults of a target away, or all of them; sets the mark `heal`."""
    world = current()
    if target is None:
        world.hosted.heal()
        world.home.heal()
    else:
        world.server(target).heal(target)
    end(target)
    if FAULT in world.marks:
        world.mark("heal")


def refuse(target: str) -> None:
    """Let the server of a target refuse every connection, and reset the open ones."""
    current().server(target).refuse()
    begin(f"{target}: refused")


def accept_again(target: str) -> None:
    """Let the server of a target accept connections again."""
    current().server(target).accept_again()
    end(target)


def undo() -> None:
    """Take away whatever was done: the rollback of every experiment."""
    if not is_built():
        return
    world = current()
    for server in (world.hosted, world.home):
        server.heal()
        server.accept_again()
    if world.store is not None:
        world.store.mend()
    world.jumped = 0.0
    _restore_prices()
    end(None)


def mark(name: str) -> None:
    """Name this moment, so that a probe can count from it."""
    current().mark(name)


def let_run(seconds: float) -> None:
    """Let the traffic go on; ends at once when the experiment is aborted."""
    current().aborted.wait(seconds)


def flap(target: str, kind: str, up: float, down: float, times: int) -> None:
    """Let a target fail and recover in turn: `down` seconds ill, `up` seconds well."""
    for _ in range(times):
        fault(target, kind)
        let_run(down)
        current().server(target).heal(target)
        end(target)
        let_run(up)


def in_turn(target: str, kinds: Sequence[str], seconds: float) -> None:
    """Let a target fail in one way after the other, each for so many seconds."""
    for kind in kinds:
        fault(target, kind)
        let_run(seconds)


def divert(route: str) -> None:
    """Send the traffic down another route from now on."""
    world = current()
    world.traffic.door = world.door(route)
    begin(f"{route}: in use")


def jump_clock(seconds: float) -> None:
    """Set the clock that is under test forward, as a machine that was suspended finds it."""
    world = current()
    world.jumped += seconds
    at = world.now()
    world.mark(FAULT)
    world.spans.append((f"clock +{seconds:g} s", at, at))


def raise_price(target: str, factor: float) -> None:
    """Let litellm's table have a target's price times `factor`, as a newer table would."""
    import litellm

    world = current()
    model = world.app.config.targets[target].model
    known = litellm.model_cost
    row = known.get(model) or known[model.partition("/")[2]]
    world.repriced[model] = known.get(model)
    known[model] = {
        key: value * factor if "_cost_per_" in key and isinstance(value, float) else value
        for key, value in row.items()
    }
    begin(f"{target}: price times {factor:g}")


def _restore_prices() -> None:
    world = current()
    if not world.repriced:
        return
    import litellm

    for model, row in world.repriced.items():
        litellm.model_cost.pop(model, None)
        if row is not None:
            litellm.model_cost[model] = row
    world.repriced.clear()


def restart(process_calls: int) -> None:
    """Run a new process with the configuration under test, and let it make its calls."""
    world = current()
    world.mark(FAULT)
    world.workers.append(run_worker(world, process_calls))


def begin(what: str) -> None:
    """Open the fault window of what is named before the colon; sets the mark `fault`."""
    world = current()
    target = what.partition(":")[0]
    end(target)
    world.mark(FAULT)
    world.spans.append((what, world.now(), None))


def end(target: str | None) -> None:
    """Close the fault windows of a target, or all."""
    world = current()
    world.spans = [
        (what, at, world.now())
        if end is None and (target is None or what.startswith(f"{target}:"))
        else (what, at, end)
        for what, at, end in world.spans
    ]
