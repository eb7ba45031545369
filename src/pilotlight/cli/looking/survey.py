"""How targets and routes are now: the facts that `status` and `doctor` show.

Each target is looked at by the functions of the background prober, so that the two
can't disagree.  All are looked at at once, each for a bounded time, in threads that
nobody has to wait for.  Breakers and queues belong to the processes that make the
calls; of them only what those processes share is told (`state/facts.py`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import Future, as_completed, wait
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from pilotlight import extras
from pilotlight.cli.drill import board_of, described
from pilotlight.cli.looking.facts import (
    Context,
    DrillFacts,
    Looked,
    Retirement,
    RouteFacts,
    State,
    Survey,
    TargetFacts,
)
from pilotlight.cli.looking.gaps import gaps
from pilotlight.cli.looking.setting import Place
from pilotlight.errors import ConfigError
from pilotlight.health.checks import CHECK_TIMEOUTS, LocalCheck, check_target
from pilotlight.health.lifecycle import outlook
from pilotlight.health.server import connection_of, visiting
from pilotlight.health.verdict import Check, learn
from pilotlight.providers.abilities import from_ollama
from pilotlight.providers.ollama.context import asked_context
from pilotlight.state.facts import FleetFacts

if TYPE_CHECKING:
    from pilotlight.app import Pilotlight
    from pilotlight.core.drills.schedule import GameDay
    from pilotlight.providers.connection import Connection

PATIENCE: Final = 8.0  # seconds for all looks: a check's own 5, and a name server's silence
HEAD_START: Final = 1.0  # seconds in which healthy targets have answered
IMPORT_PATIENCE: Final = 60.0  # seconds for litellm on a slow disk

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Look:
    """What one look at a target has found."""

    state: State
    check: Check | None = None
    problem: str | None = None
    seconds: float | None = None


def survey(
    app: Pilotlight, places: Collection[Place], *, ask: bool, tell: Callable[[], None]
) -> Survey:
    """Look at all targets; `ask` closed ones for their models.  `tell` hears of each step's end.

    litellm, whose tables know windows and retirements of closed models, is imported after them or
    beside slow ones: the work would lengthen the times that the looks take.  Where all targets are
    local it is not imported.
    """
    began = datetime.now(UTC).isoformat(timespec="seconds")
    fleet, drills = begin(app.fleet), begin(partial(_drills, app))
    looks = {begin(partial(_look, place, ask)): place for place in places}
    wait(looks, HEAD_START)
    imported = begin(_import_litellm if any(map(needs_litellm, places)) else _no_import)
    found = {place.name: _late() for place in places}
    for done in _ended(looks):
        found[looks[done].name] = done.result()
        tell()
    litellm = litellm_problem(imported)
    tell()
    learned = {name: from_ollama(able) for name, able in _abilities(found)}
    lost = {(route, name): gap for route, name, gap in gaps(app, places, learned)}
    return Survey(
        tuple(_target(place, found[place.name], began) for place in places),
        tuple(_route(app, name, lost) for name in app.config.routes),
        litellm,
        _fleet(app, fleet),
        _known(drills),
        app.drills.problem if app.drills else None,
        None if app.path is None else str(app.path),
    )


def _fleet(app: Pilotlight, reading: Future[FleetFacts | None]) -> FleetFacts | None:
    try:
        return reading.result(PATIENCE)
    except TimeoutError:
        return FleetFacts(str(app.config.state), f"no answer within {PATIENCE:g} s")


def _drills(app: Pilotlight) -> tuple[DrillFacts, ...]:
    if app.drills is None and not app.config.state.shared:
        return ()
    return tuple(map(_drill, board_of(app).days.under_way))


def _known(drills: Future[tuple[DrillFacts, ...]]) -> tuple[DrillFacts, ...]:
    """Return what was read; a store that can't be read is told of as the fleet's."""
    try:
        return drills.result(PATIENCE)
    except (TimeoutError, ConfigError):
        return ()


def _drill(day: GameDay) -> DrillFacts:
    until = datetime.fromtimestamp(day.until, UTC).isoformat(timespec="seconds")
    return DrillFacts(day.id, day.target, day.route, day.rate, until, described(day))


def begin(run: Callable[[], T]) -> Future[T]:
    """Run in a daemon thread: who leaves by Ctrl-C need not wait for it, as for a pool's."""
    future: Future[T] = Future()

    def work() -> None:
        try:
            future.set_result(run())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    return future


def litellm_problem(imported: Future[object] | None = None) -> str | None:
    """Wait until litellm is imported, but not for ever; return why it can't be, if so.

    Where it is not installed nothing here needs it: a target that does is refused when it is made.
    """
    if not extras.installed("litellm"):
        return None
    try:
        (imported or begin(_import_litellm)).result(IMPORT_PATIENCE)
    except TimeoutError:
        return f"its import takes longer than {IMPORT_PATIENCE:g} s"
    except Exception as error:
        return f"can't be imported: {type(error).__name__}: {error}"
    return None


def needs_litellm(place: Place) -> bool:
    """Tell whether litellm is used with a target, be it for its window alone."""
    return not (place.is_ollama or place.target.local)


def _no_import() -> object:
    return None


def _import_litellm() -> object:
    if not extras.installed("litellm"):
        return None
    from pilotlight.catalog.litellm_module import litellm

    return litellm()


def _ended(looks: Collection[Future[_Look]]) -> Iterator[Future[_Look]]:
    try:
        yield from as_completed(looks, PATIENCE - HEAD_START)
    except TimeoutError:
        return


def _late() -> _Look:
    return _Look("unreachable", problem=f"no answer within {PATIENCE:g} s")


def _look(place: Place, ask: bool) -> _Look:
    """Look at one target; what goes wrong in here is ours, and said of that target alone."""
    connection = connection_of(place.target)
    if connection is None or not connection.base_url:
        return _Look("unknown", problem="its address is not known")
    if place.key == "missing":
        return _Look("no_key", problem="no API key")
    try:
        if not (place.is_ollama or ask or place.target.care.health):
            return _knock(connection)
        check = check_target(place.target)
        if check is None:
            return _Look("unknown", problem="it can't be looked at")
        learn([place.target], check)
        return _Look(_state(check), check, check.problem, check.duration)
    except Exception as error:
        return _Look("unknown", problem=f"it can't be looked at ({type(error).__name__})")


def _state(check: Check) -> State:
    if check.problem and check.state in ("loaded", "installed"):
        return "cant_chat"
    return "reachable" if check.problem and check.state == "ok" else check.state


def _knock(connection: Connection) -> _Look:
    """Ask a closed provider's front door, without a key, by the way that calls take.

    Any answer will do: it says that name, network, proxy and certificate are good.
    """
    import httpx

    state: State = "unreachable"
    problem: str | None = "no answer in time"
    with visiting(connection, CHECK_TIMEOUTS) as client:
        began = time.monotonic()
        try:
            client.head(connection.base_url)
            state, problem = "reachable", None
        except httpx.TimeoutException:
            pass
        except httpx.HTTPError as error:
            problem = f"no connection ({error or type(error).__name__})"
    return _Look(state, None, problem, time.monotonic() - began)


def _abilities(found: Mapping[str, _Look]) -> Iterator[tuple[str, frozenset[str]]]:
    for name, look in found.items():
        if isinstance(look.check, LocalCheck) and look.check.capabilities is not None:
            yield name, look.check.capabilities


def _target(place: Place, look: _Look, began: str) -> TargetFacts:
    check, ahead = look.check, outlook(place.target)
    local = check if isinstance(check, LocalCheck) else LocalCheck("unreachable")
    state = look.state
    if ahead.gone and state in ("reachable", "missing") and not place.is_ollama:
        state = "retired"  # unless its provider itself says that it is there
    return TargetFacts(
        place.name,
        place.config.model,
        state,
        place.target.is_local,
        place.connection.base_url,
        place.key,
        place.config.concurrency,
        place.config.queue if place.config.concurrency else None,
        local.version,
        local.remote_host,
        Context(_sent(place), local.effective_context, local.training_context),
        local.size,
        local.vram_share,
        None if look.seconds is None else Looked(began, look.seconds),
        Retirement.of(ahead),
        look.problem,
        check.mend if check else None,
    )


def _sent(place: Place) -> int | None:
    """Return the context that calls ask for; a closed model's is in litellm's table."""
    connection = connection_of(place.target)
    if place.is_ollama and connection is not None:
        return asked_context(connection.context, connection.spec.options, {})
    return place.target.window()


def _route(
    app: Pilotlight, name: str, lost: Mapping[tuple[str, str], tuple[str, ...]]
) -> RouteFacts:
    route = app.config.routes[name]
    gaps_of = {each: lost[name, each] for each in route.targets if (name, each) in lost}
    return RouteFacts(name, route.targets, route.total_timeout, route.private, gaps_of)
