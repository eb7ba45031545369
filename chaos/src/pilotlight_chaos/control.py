"""The control for chaostoolkit: builds the world before an experiment, tears it down after it,
stops it by the abort rule, and writes into the journal what was seen.

An experiment names it once, at its top:

    controls:
      - name: world
        provider: {type: python, module: pilotlight_chaos.control}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from chaoslib.exceptions import InterruptExecution

from .lab.current import current, enter, is_built, leave
from .lab.interrupt import PRESSED, WHY, opening
from .lab.setting import read
from .lab.world import World

Json = dict[str, Any]

_unbuilt: Json = {}  # what the journal says when the latest world could not be built


def before_experiment_control(context: Json, configuration: Mapping[str, Any]) -> None:
    """Build the world; one that can't be built ends the experiment."""
    _unbuilt.clear()
    _unbuilt.update(
        seed=int(configuration.get("seed", 0)),
        negative=bool(int(configuration.get("negative", 0))),
    )
    world: World | None = None
    try:
        with opening():
            world = World(read(configuration))
            world.open()
    except Exception as error:
        _unbuilt["aborted"] = f"the world was not built: {error}"
        raise InterruptExecution(_unbuilt["aborted"]) from error
    except KeyboardInterrupt:
        if world is not None:
            world.close()
        _unbuilt["aborted"] = WHY
        raise InterruptExecution(WHY) from None
    enter(world)
    _check()


def before_activity_control(context: Json) -> None:
    """Look at the abort rule before each action and probe."""
    _check()


def after_activity_control(context: Json, state: Json) -> None:
    """Look at the abort rule after each action and probe."""
    _check()


def before_rollback_control(context: Json) -> None:
    """From here on nothing is aborted: the rollbacks are what an abort is for."""
    if is_built():
        current().rolling_back = True


def after_experiment_control(context: Json, state: Json) -> None:
    """Tear the world down, and write it into the journal.

    A deviation during the fault counts as one after it; a hypothesis that did not hold before
    it fails the experiment, and so does an action that failed: the fault was not played.
    chaostoolkit itself lets all three pass.
    """
    if not is_built():
        state["pilotlight"] = {"aborted": ""} | _unbuilt
        return
    world = leave()
    try:
        state["pilotlight"] = told(world)
        steady = state["steady_states"]
        if any(each and not each["steady_state_met"] for each in steady["during"]):
            state["deviated"] = True
        if steady["before"] and not steady["before"]["steady_state_met"]:
            state["status"] = "failed"
        broken = [each["activity"]["name"] for each in state["run"] if each["status"] == "failed"]
        if broken:
            state["status"] = "failed"
            state["pilotlight"]["broken"] = broken[0]
    finally:
        world.close()


def _check() -> None:
    if not is_built() or (world := current()).rolling_back:
        return
    world.check()
    if PRESSED.is_set():
        world.abort(WHY)
    if world.aborted.is_set():
        raise InterruptExecution(f"aborted: {world.why_aborted}")


def told(world: World) -> Json:
    """Return what was seen, as plain data; no prompt, no answer and no key is in it."""
    setting, notes = world.setting, world.notes
    return {
        "seed": setting.seed,
        "negative": setting.negative,
        "aborted": world.why_aborted,
        "route": [t.name for t in world.app.route(setting.traffic.route).targets],
        "seconds": round(world.now(), 3),
        "marks": dict(world.marks),
        "spans": [list(span) for span in world.spans],
        "calls": [_told_call(call, world.now()) for call in tuple(notes.calls)],
        "changes": [asdict(change) for change in notes.changes],
        "alerts": [asdict(alert) for alert in notes.alerts],
        "workers": world.workers,
    }


def _told_call(call: Any, now: float) -> Json:
    return {
        "shape": call.shape,
        "began": round(call.began, 4),
        "took": round(call.took(now), 4),
        "ended": call.ended is not None,
        "served_by": call.served_by or ("plain" if call.answered else ""),
        "error": call.error,
        "verdict": call.verdict,
        "faults": [each.fault for each in call.tries if each.fault],
    }
