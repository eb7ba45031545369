"""From configuration to routes and targets that can be called.

A little long: it is the one place where all rooms meet, and a table of what each target is given.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self
from weakref import WeakSet

from pilotlight.catalog.prices import Locked
from pilotlight.config.checks import bad_model
from pilotlight.config.lookup import find_config, working_folder
from pilotlight.config.messages import nearest
from pilotlight.config.price_lock import locked_beside, price_of
from pilotlight.config.routes import RouteConfig
from pilotlight.config.schema import Config, load_config
from pilotlight.config.targets import TargetConfig, timeouts
from pilotlight.core.clock import SYSTEM_CLOCK, Clock
from pilotlight.core.drills.schedule import GameDays
from pilotlight.core.flow.failover import Policy
from pilotlight.core.fork import GATE
from pilotlight.core.health.lifecycle import Notice
from pilotlight.core.recent import Recent
from pilotlight.core.spending.ledger import Ledger
from pilotlight.core.spending.price import Price
from pilotlight.core.target import Checked, Target
from pilotlight.errors import ConfigError
from pilotlight.privacy.residency import refusing_rule, unwatched
from pilotlight.providers.abilities import lacks
from pilotlight.providers.connection import Connection
from pilotlight.providers.factory import provider_for
from pilotlight.providers.relay.spoken import is_relayed, unable_of
from pilotlight.registry import REGISTRY, Endpoint, Registry
from pilotlight.routes.answer import Answer
from pilotlight.routes.route import Route
from pilotlight.state.drill_file import DrillFile
from pilotlight.state.url import StateUrl, open_accounts
from pilotlight.vocabulary.faults import Fault
from pilotlight.vocabulary.residency_rules import ResidencyRule

LENT: Final = 64  # routes that the configuration doesn't know; each may have a pool of its own
IDLE: Final = 300.0  # seconds

if TYPE_CHECKING:
    from pilotlight.records.log import Log
    from pilotlight.state.facts import FleetFacts
    from pilotlight.state.fleet import Fleet
    from pilotlight.state.treasury import Treasury


class Pilotlight:
    """A configuration at work: its targets and routes, each made at first use.

    Thread-safe.  Two of them with the same endpoint share its circuit breaker.  `drills` is
    where `pilotlight drill` says what it wants, if that is not the board of a shared `state`.
    `path` is the file that the configuration was read from, if it was.
    """

    def __init__(
        self,
        config: Config,
        *,
        clock: Clock = SYSTEM_CLOCK,
        registry: Registry = REGISTRY,
        drills: DrillFile | None = None,
        path: Path | None = None,
    ) -> None:
        self.config = config
        self.path = path
        self.drills = drills
        self.clock = clock
        self.registry = registry
        self._targets: dict[str, Target] = {}
        self._routes: dict[str, Route] = {}
        self._lent: Recent[object, _Lent] = Recent(LENT, IDLE, _let_go, clock)
        self._connections: WeakSet[Connection] = WeakSet()
        self._days = GameDays()
        self.ledgers, self._treasury = _ledgers_of(config, registry)
        self._locked = {} if path is None else locked_beside(path)
        self.forked()
        GATE.inherits(self)
        self._log = self._keep_receipts()
        self._fleet = None if not config.state.shared else _fleet_of(config.state)

    def forked(self) -> None:
        """In a child: nobody holds the lock there, and no call of its is in flight."""
        self._lock = threading.RLock()

    def _keep_receipts(self) -> Log | None:
        """Begin the log of receipts, if one is wanted; it opens its file with the first of them."""
        wanted = self.config.receipts
        if wanted.path is None:
            return None
        from pilotlight.records.log import keep_receipts

        return keep_receipts(Path(wanted.path), wanted.max_mb, wanted.keep)

    def close(self) -> None:
        """Close the idle connections; a later call opens new ones.

        Waits a second at most for the last receipts to be written, where they are kept.
        """
        if self._log is not None:
            self._log.flush(1.0)
        if self._treasury is not None:
            self._treasury.settle()
        with self._lock:
            lent = [target for each in self._lent.values() for target in each.own]
            if targets := {*self._targets.values(), *lent}:
                from pilotlight.health import forget  # brings httpx

                forget(targets)
            for connection in list(self._connections):
                connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def routes(self) -> Mapping[str, Route]:
        """Every route of the configuration, by name."""
        return {name: self.route(name) for name in self.config.routes}

    @property
    def targets(self) -> Mapping[str, Target]:
        """Every target of the configuration, by name."""
        return {name: self.target(name) for name in self.config.targets}

    def route(
        self, name: str = "default", *, accept: Callable[[Answer], bool] | None = None
    ) -> Route:
        """Return a route by its name; the only route there is also answers to "default".

        `accept` may refuse an answer, which is then failed over (`Route.accepting`).
        Raises ConfigError for an unknown name.
        """
        route = self._named(name)
        return route if accept is None else route.accepting(accept)

    def _named(self, name: str) -> Route:
        known = self.config.routes
        if not isinstance(name, str):
            raise ConfigError(f"route({name!r}): it should be the name of a route, a text")
        if name == "default" and name not in known and len(known) == 1:
            name = next(iter(known))
        if name not in known:
            raise ConfigError(_unknown_route(name, known))
        with self._lock:
            if name not in self._routes:
                self._routes[name] = self._make_route(name, known[name])
            return self._routes[name]

    def target(self, name: str) -> Target:
        """Return a target by its name; raises ConfigError for an unknown one."""
        if name not in self.config.targets:
            name = str(name)
            mend = nearest(name, self.config.targets) or f"add a table [targets.{name}]"
            raise ConfigError(f"unknown target {name!r}; {mend}")
        with self._lock:
            if name not in self._targets:
                self._targets[name] = self.make_target(name, self.config.targets[name])
            return self._targets[name]

    def look(self, name: str) -> Checked | None:
        """Look at a target now, without a call of its model; None where that can't be done.

        Takes up to five seconds.  What is learnt of the model is kept; the circuit
        breaker stays as it is.  Raises ConfigError for an unknown target.
        """
        from pilotlight.health.checks import check_target  # bring httpx
        from pilotlight.health.verdict import learn

        target = self.target(name)
        check = check_target(target)
        if check is not None:
            target.health.check = check
            learn([target], check)
        return check

    def fleet(self) -> FleetFacts | None:
        """Read what the processes that share `state` know; None where nothing is shared.

        One round trip, a quarter of a second at most; nothing is written.  A store that
        can't be read is told of as the facts' `problem`.
        """
        if not self.config.state.shared:
            return None
        from pilotlight.state.facts import read_fleet

        names: dict[str, list[str]] = {}
        for endpoint, health in self.registry.records.items():
            here = [name for name, target in self.targets.items() if target.health is health]
            names.setdefault(endpoint.board_key, []).extend(here)
        return read_fleet(
            self.config.state, {key: ", ".join(here) for key, here in names.items() if here}
        )

    def missing_key(self, name: str) -> str | None:
        """Return what to do about a target's missing API key; None when none is missing.

        Raises ConfigError for an unknown target.
        """
        from pilotlight.health.server import connection_of

        connection = connection_of(self.target(name))
        return None if connection is None else connection.keyless

    def adhoc(self, models: Sequence[str]) -> Route:
        """Return a route of bare model strings, with the defaults for everything else.

        A string that names a target of the configuration stands for that target.
        """
        return self.lent(("adhoc", *models), lambda: self._adhoc(models))

    def lent(
        self, key: object, make: Callable[[], Route], shared: Collection[Target] = ()
    ) -> Route:
        """Return a route that the configuration doesn't know, made at first use.

        Of such routes the last 64 are kept, each until it has not been asked for in five
        minutes; then the connections of its own targets, less the `shared` and the
        configured ones, are closed as their calls end.
        """

        def made() -> _Lent:
            route = make()
            others = {*shared, *self._targets.values()}
            return _Lent(route, tuple(each for each in route.targets if each not in others))

        return self._lent.get(key, made).route

    def _adhoc(self, models: Sequence[str]) -> Route:
        with self._lock:
            # Two strings may stand for one target: its name, and the model it asks.
            targets = tuple(dict.fromkeys(map(self._adhoc_target, dict.fromkeys(models))))
        return self.plain_route(" > ".join(models), targets)

    def plain_route(self, name: str, targets: tuple[Target, ...]) -> Route:
        """Return a route without a table of its own: what holds for all routes holds for it."""
        return Route(
            name,
            targets,
            clock=self.clock,
            sensitive=self.config.sensitive,
            game_days=self.game_days,
            budgets=tuple(self.ledgers.values()),
        )

    def _adhoc_target(self, model: str) -> Target:
        if model in self.config.targets:
            return self.target(model)
        if (problem := bad_model(model)) is not None:
            raise ConfigError(problem)
        same = [n for n, target in self.config.targets.items() if target.model == model]
        if same:  # configured once: its address, key and limits hold here too
            return self.target(same[0])
        return self.make_target(model, TargetConfig(model=model))

    def _make_route(self, name: str, config: RouteConfig) -> Route:
        policy = Policy(
            on_interrupt=config.on_interrupt,
            on_broken_event=config.on_broken_event,
            fail_over_on=frozenset(Fault(fault) for fault in config.fail_over_on),
            rate_limit_wait=config.rate_limit_wait,
            sit_out=config.sit_out,
            gather=config.gather,
        )
        targets = tuple(self.target(each) for each in config.targets)
        sensitive = self.config.sensitive if config.sensitive is None else config.sensitive
        return Route(
            name,
            targets,
            policy,
            config.total_timeout,
            config.private,
            self.clock,
            config.priority,
            sensitive,
            self.game_days,
            budgets=tuple(self.ledgers.values()),
        )

    @property
    def game_days(self) -> GameDays:
        """The game days that hold for its routes: the fleet's, where `state` is shared."""
        if self._fleet is not None:
            return self._fleet.days
        return self._days if self.drills is None else self.drills.days

    def make_target(self, name: str, config: TargetConfig) -> Target:
        """Build a target; nothing is contacted and no SDK is imported."""
        connection = Connection(config.spec(name))
        rule = refusing_rule(
            config.provider, config.model, connection.base_url, config.local_addresses
        )
        if rule is None:
            connection.home = config.local_addresses
        self._connections.add(connection)
        retry = self.config.retry_policy(config)
        endpoint = Endpoint.of(connection.base_url, config.model, connection.api_key, self.clock)
        health = self.registry.health(
            endpoint,
            name,
            self.config.breaker_policy(config),
            retry,
            config.concurrency,
            config.queue,
        )
        if config.retires is not None:
            notice = Notice(config.retires, "configuration", config.replacement)
            health.lifecycle.note(notice)
        if self._fleet is not None:
            self._fleet.join(endpoint.board_key, health)
        provider = provider_for(connection)
        return Target(
            name=name,
            model=config.model,
            provider=provider,
            health=health,
            local=rule is None,
            outside=rule or ResidencyRule.NOT_LOCAL,
            unwatched=unwatched(config.provider) if rule is None else frozenset(),
            timeouts=timeouts(config),
            retry=retry,
            time_reserve=config.time_reserve,
            lacks=lacks(connection, config.abilities, lambda: health.lacks),
            unable=unable_of(provider),
            window=lambda: connection.window(health.window),
            care=config.care(),
            room=lambda options: connection.room(options, health.window),
            base_url=connection.base_url,
            # Whoever gives a model's `first_token` knows how long it may think unheard.
            gathers=lambda call, even_so: (
                (even_so or not is_relayed(provider, call))
                and connection.streamable.suits(
                    call, even_so or "first_token" in config.timeout.model_fields_set
                )
            ),
            price=self._price_of(name, config, local=rule is None),
            max_price=None if config.max_price is None else config.max_price.cap(),
            space=None if config.space is None else self.registry.space(config.space),
        )

    def _price_of(self, name: str, config: TargetConfig, *, local: bool) -> Callable[[], Price]:
        """Return what tells a target's price; one that is locked tells when it changes."""
        price = price_of(config, local=local)
        locked = self._locked.get(name)
        known = locked is not None and locked.model == config.model
        return Locked(name, config.model, price, locked.price) if locked and known else price


class _Lent(NamedTuple):
    route: Route
    own: tuple[Target, ...]


def _let_go(lent: _Lent) -> None:
    for target in lent.own:
        connection = getattr(target.provider, "connection", None)
        if isinstance(connection, Connection):
            connection.retire()


def _fleet_of(url: StateUrl) -> Fleet:
    from pilotlight.state.fleet import fleet_of  # only who shares pays for it

    return fleet_of(url)


def _ledgers_of(config: Config, registry: Registry) -> tuple[Mapping[str, Ledger], Treasury | None]:
    budgets = [table.budget(name) for name, table in config.budgets.items()]
    if not budgets or not config.state.shared:
        return {each.name: registry.ledger(each) for each in budgets}, None
    from pilotlight.state.treasury import Treasury  # only who shares pays for it

    treasury = Treasury(budgets, lambda: open_accounts(config.state), str(config.state))
    return treasury.ledgers, treasury


def _unknown_route(name: str, known: Mapping[str, Any]) -> str:
    if not known:
        return (
            f"unknown route {name!r}: no routes are configured; `pilotlight init` writes a "
            "starter pilotlight.toml"
        )
    mend = nearest(name, known) or f"known routes: {', '.join(sorted(known))}"
    return f"unknown route {name!r}; {mend}"


def load(
    source: str | os.PathLike[str] | Mapping[str, Any] | None = None,
    *,
    clock: Clock = SYSTEM_CLOCK,
) -> Pilotlight:
    """Return the configuration of a file or a mapping, ready to use.

    Without a source: the file named by `PILOTLIGHT_CONFIG`, else `pilotlight.toml`
    or `[tool.pilotlight]` in `pyproject.toml` here or in a folder above, else an
    empty configuration.  One of those that somebody else may have written is passed over,
    with a warning: file and folders have to belong to this user or to root, and may not be
    writable by others.  A file that is named is used as it is, but for a `sensitive` in it.

    A `[telemetry]` table is put to use at once, see `configure_telemetry`.

    Raises ConfigError, naming file, key, value and mend.
    """
    path = None
    given: Any = source
    if not isinstance(given, str | os.PathLike | Mapping | None):
        kind = type(given).__name__
        raise ConfigError(f"load() takes a path or a mapping, not a {kind}; or nothing, to look")
    if not isinstance(source, Mapping):
        path = find_config() if source is None else Path(source)
    config = load_config(source if path is None else path)
    if config.telemetry is not None:
        from pilotlight.telemetry.setup import configure_telemetry  # brings OpenTelemetry's SDK

        configure_telemetry(**config.telemetry.model_dump())
    drills = None if path is None or config.state.shared else DrillFile.beside(path)
    if drills is not None:
        drills.look()  # the disk is being read anyway; later looks are made in the background
    return Pilotlight(
        config, clock=clock, drills=drills, path=None if path is None else path.absolute()
    )


def default() -> Pilotlight:
    """Return the process's own configuration, read once for each folder and environment."""
    return _default(os.environ.get("PILOTLIGHT_CONFIG"), working_folder())


@lru_cache(maxsize=8)
def _default(named: str | None, folder: Path | None) -> Pilotlight:
    return load()
