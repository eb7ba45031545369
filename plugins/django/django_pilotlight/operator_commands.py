"""What operators command every worker of the site: trip, reset and drill.

Breakers live in the workers, so a management command can't reach them itself.  It writes an
operator command to the database; each worker reads the few that are in force every `EVERY`
seconds, in the background, and follows them until they end.  A drill is a game day, as
`pilotlight drill` makes it: calls skip the target, and its breaker sees nothing of it.  It
ends by its own time in a worker whose database is out of reach, too.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.utils import timezone

from django_pilotlight import settings

if TYPE_CHECKING:
    from django_pilotlight.models import OperatorCommand
    from pilotlight import Pilotlight
    from pilotlight.gamedays import GameDay

EVERY: Final = 2.0  # seconds between two looks of a worker
RESET_STANDS: Final = 60.0  # seconds within which every worker has looked
LONGEST: Final = 24 * 60  # minutes that a drill or a trip may last


def post(
    kind: str, target: str, seconds: float, *, rate: float = 1.0, route: str = ""
) -> OperatorCommand:
    """Command something of every worker, for so many seconds; `rate` and `route` are a drill's."""
    from django_pilotlight.models import OperatorCommand

    until = timezone.now() + timedelta(seconds=seconds)
    return OperatorCommand.objects.using(settings.own().database).create(
        kind=kind, target=target, until=until, rate=rate, route=route
    )


def withdraw(**which: Any) -> int:
    """Withdraw the commands that match, such as `kind="drill"`; return how many were in force."""
    from django_pilotlight.models import OperatorCommand

    found = OperatorCommand.objects.using(settings.own().database).filter(**which)
    count = found.filter(until__gt=timezone.now()).count()
    found.delete()
    return count


def game_days() -> tuple[GameDay, ...]:
    """Return the drills that are in force now."""
    from django_pilotlight.models import OperatorCommand

    standing = OperatorCommand.objects.using(settings.own().database).filter(
        until__gt=timezone.now(), kind="drill"
    )
    return tuple(map(_game_day, standing))


class OperatorCommands:
    """The commands that this process follows; `app` returns what carries them out."""

    def __init__(self, app: Callable[[], Pilotlight]) -> None:
        self._app = app
        self._done: frozenset[int] = frozenset()  # of those that stand

    def look(self, database: str) -> None:
        """Take over what stands in the database; raises what the database raises."""
        from django_pilotlight.models import OperatorCommand

        standing = list(
            OperatorCommand.objects.using(database).filter(until__gt=timezone.now()).order_by("pk")
        )
        for command in standing:
            if command.pk not in self._done and command.kind != "drill":
                _carry_out(command, self._app())
        self._done = frozenset(command.pk for command in standing)
        self._install([_game_day(command) for command in standing if command.kind == "drill"])

    def end(self) -> None:
        """Follow none any more."""
        if self._done:
            self._install([])

    def _install(self, days: list[GameDay]) -> None:
        self._app().game_days.install(days, "operators")


def _game_day(command: OperatorCommand) -> GameDay:
    from pilotlight.gamedays import GameDay

    until = command.until.timestamp()
    return GameDay(f"{command.pk:x}", command.target, command.rate, until, command.route or None)


def _carry_out(command: OperatorCommand, app: Pilotlight) -> None:
    target = app.targets.get(command.target)
    if target is None:  # of a configuration that this worker does not have yet
        return
    if command.kind == "trip":
        target.health.breaker.trip(
            "forced", max(0.0, (command.until - timezone.now()).total_seconds())
        )
    else:
        target.health.breaker.close()
