"""What a check's result changes: the breaker, the abilities, the retirement, and who is told."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from pilotlight import events
from pilotlight.core.breaker.breaker import Permit
from pilotlight.core.breaker.policy import CALLS_FAILED, HEALTH_CHECK
from pilotlight.core.fork import GATE
from pilotlight.core.health.lifecycle import Notice
from pilotlight.core.provider import Timeouts
from pilotlight.core.target import Health, Target
from pilotlight.errors import CircuitOpen
from pilotlight.health.checks import LocalCheck, embeds
from pilotlight.health.hosted import HostedCheck
from pilotlight.health.server import NotAsExpected, Server, connection_of, visiting
from pilotlight.plain import logger
from pilotlight.providers.ollama.embeddings import embed_request
from pilotlight.providers.ollama.loading import load_request

if TYPE_CHECKING:
    from pilotlight.providers.connection import Connection

Check = LocalCheck | HostedCheck

LONGEST: Final = 60.0  # seconds that one bad check may keep a target out
TRIAL: Final = Timeouts(connect=2.0, first_token=None, between_tokens=None, total=20.0)

_log = logger("pilotlight.health")


def apply(targets: Sequence[Target], check: Check) -> None:
    """Take over a result for all targets of one endpoint; they share its health."""
    if check.starved:
        return  # it tells of this process, and of nobody else
    target = targets[0]
    health = target.health
    health.check = check
    learn(targets, check)
    opened = False
    with GATE:  # no fork while a breaker's lock may be held
        if check.failed is not None:
            opened = _open(health, check.failed, min(1.5 * target.care.interval, LONGEST))
        elif (permit := health.breaker.early_trial(check.refutes)) is not None:
            permit.success()
    if opened:
        events.alert(target.name, check.failed or "", _told(check))
    if events.listeners:
        for each in targets:
            events.emit(events.HealthChecked(each.name, check.state, check.duration, check.problem))


def _told(check: Check) -> str:
    return "; ".join(part for part in (check.problem, check.mend) if part)


def learn(targets: Sequence[Target], check: Check) -> None:
    """Take over what a result tells of the model; the breaker stays as it is."""
    health = targets[0].health
    if isinstance(check, LocalCheck):
        if check.failed is None:  # else the server has said nothing of the model
            health.away = check.state == "cloud"
            health.lacks = check.lacks
            for target in targets:
                if (connection := connection_of(target)) is not None:
                    connection.training_context = check.training_context
    elif check.retires is not None:
        health.lifecycle.note(Notice(check.retires, "provider", check.replacement))
        if (near := health.lifecycle.due_warning(time.time())) is not None:
            use = f"; use {near.replacement}" if near.replacement else ""
            message = f"{targets[0].model} retires on {near.day} (by {near.source}){use}"
            events.alert(targets[0].name, "retirement_near", message)


def _open(health: Health, reason: str, seconds: float) -> bool:
    """Open an idle target's breaker, or keep it open; return whether it opened just now.

    Where calls end, they are the better witnesses: a check may fail for its own reasons.
    """
    breaker = health.breaker
    busy = health.bulkhead is not None and health.bulkhead.inside > 0
    if breaker.idle and not busy:
        breaker.trip(reason, seconds)
        return True
    if breaker.reason in (HEALTH_CHECK, reason):
        breaker.prolong(seconds)
    return False


def try_again(target: Target, check: Check) -> None:
    """Where a break after failed calls is over, let one token of our own be the trial.

    That the server is up refutes no such break: an answer does.
    The prompt is a full stop: a user's is never used again.  Only of a model that is
    loaded, so that the trial can't be the load.
    """
    breaker, connection = target.health.breaker, connection_of(target)
    if connection is None or check.state != "loaded" or breaker.reason not in CALLS_FAILED:
        return
    if breaker.state.name != "open" or breaker.ask() is not None:  # its fleet hears of it
        return
    try:
        with GATE:
            permit = breaker.acquire(TRIAL.total or 0.0)
    except CircuitOpen:  # somebody's call was quicker
        return
    try:
        _ask(connection, permit, *_trial(connection, embeds(target)))
    finally:
        permit.release()


def _trial(connection: Connection, vectors: bool) -> tuple[str, dict[str, Any]]:
    """Return the least that the model can be asked for: one token, or the vector of one."""
    spec = connection.spec
    if vectors:
        body = embed_request(
            spec.bare_model,
            ["."],
            spec.options,
            context=connection.context,
            keep_alive=spec.keep_alive,
        )
        return "/api/embed", body
    body = load_request(
        spec.bare_model,
        context=connection.context,
        keep_alive=spec.keep_alive,
        options=spec.options,
    )
    body["messages"] = [{"role": "user", "content": "."}]
    body["options"] = {**body.get("options", {}), "num_predict": 1}
    return "/api/chat", body


def _ask(connection: Connection, permit: Permit, path: str, body: dict[str, Any]) -> None:
    """Settle the trial by what comes."""
    import httpx

    spec = connection.spec
    try:
        with visiting(connection, TRIAL) as client:
            said = Server(client, connection.base_url, spec.api_key).post(path, body)
    except httpx.TimeoutException:
        return  # busy with others' calls, perhaps: no verdict
    except (httpx.HTTPError, NotAsExpected) as error:
        _log.info("%s: the trial failed: %s", spec.name, type(error).__name__)
        with GATE:
            permit.failure(error)
        return
    with GATE:
        if said is not None and (said.get("done") is True or said.get("embeddings")):
            permit.success()
        else:
            permit.failure()
