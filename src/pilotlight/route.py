"""A route: the four call shapes of one ordered list of targets, and the trip of every call.

Embeddings and images are in `modalities.py`.

It builds a `Call`, picks a driver, and wraps what comes back; it decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from pilotlight.answer import Answer, AnswerStream, AsyncAnswerStream
from pilotlight.core import drivers
from pilotlight.core.clock import SYSTEM_CLOCK, Clock
from pilotlight.core.flow import Policy, Trip, failover_flow
from pilotlight.core.gameday import GameDays
from pilotlight.core.line import PRIORITIES, Priority
from pilotlight.core.needs import Operation, bulk_of, needs
from pilotlight.core.receipt import Journal
from pilotlight.core.steps import Answered, AsyncSource, Attempt, Call, Failed, Source
from pilotlight.core.target import Target
from pilotlight.errors import ConfigError, InvalidCall
from pilotlight.modalities import Modalities
from pilotlight.residency import is_private
from pilotlight.sensitive import NOTHING, Finding, Hook, hook_from, sense
from pilotlight.telemetry import switch as telemetry
from pilotlight.trouble import await_trouble

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from pilotlight.health import Attendance

Message = Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Route(Modalities):
    """An ordered list of targets and the policy of a call.

    Made by `Pilotlight.route`; in tests also of `pilotlight.testing.ScriptedTarget`s.
    `deadline` is in seconds from the start of each call, a stream's end included.
    `sensitive` is given each call's messages before anything is sent, and may make it
    private or send others; see `pilotlight.sensitive`.
    """

    name: str
    targets: tuple[Target, ...]
    policy: Policy = Policy()
    deadline: float | None = None
    private: bool = False
    clock: Clock = SYSTEM_CLOCK
    priority: Priority = "normal"
    sensitive: Hook | None = None
    game_days: GameDays | None = None
    _attend: Attendance | None = field(init=False, default=None, repr=False)
    _fleets: tuple[Callable[[], None], ...] = field(init=False, default=(), repr=False)

    def __post_init__(self) -> None:
        if not self.targets:
            raise ConfigError(f"route {self.name!r} has no targets; it needs at least one")
        names = [target.name for target in self.targets]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ConfigError(f"route {self.name!r} names {twice!r} twice; name it once")
        if self.sensitive is not None:
            object.__setattr__(self, "sensitive", hook_from(self.sensitive))
        if any(target.care.wanted for target in self.targets):
            from pilotlight.health import Attendance  # brings httpx

            object.__setattr__(self, "_attend", Attendance(self.targets))
        await_trouble(self.targets)
        fleets = (target.health.attend for target in self.targets)
        object.__setattr__(self, "_fleets", tuple(dict.fromkeys(filter(None, fleets))))

    def accepting(self, accept: Callable[[Answer], bool]) -> Route:
        """Return this route with a validator: an answer that it refuses is failed over.

        `accept` is given what the target answered (`.text`, `.response`), before the
        caller is; streams are not judged, for their text is with the caller already.
        """
        return replace(self, policy=replace(self.policy, accept=cast("Any", accept)))

    def complete(
        self,
        messages: Sequence[Message],
        *,
        private: bool | None = None,
        deadline: float | None = None,
        priority: Priority | None = None,
        **options: Any,
    ) -> Answer:
        """Return the first good answer of the route's targets.

        `messages` and `options` are OpenAI-shaped (`temperature=`, `tools=`, ...).
        `private=True` keeps the call on local targets; `deadline` is in seconds;
        `priority` is its rank where it must queue ("high", "normal" or "low").

        Raises AllTargetsFailed, DeadlineExceeded, InvalidCall, ConfigError (a
        private call without a local target), or the provider's own exception when
        the mistake is the caller's.
        """
        trip = self.trip(messages, options, private=private, deadline=deadline, priority=priority)
        call = trip.call

        def ask(attempt: Attempt) -> Answered | Failed:
            return attempt.target.provider.complete(call, attempt)

        reply = drivers.complete(failover_flow(trip), ask, self.clock)
        return Answer(reply, trip.journal.receipt())

    async def acomplete(
        self,
        messages: Sequence[Message],
        *,
        private: bool | None = None,
        deadline: float | None = None,
        priority: Priority | None = None,
        **options: Any,
    ) -> Answer:
        """Return the first good answer; as `complete`, without blocking the event loop."""
        trip = self.trip(messages, options, private=private, deadline=deadline, priority=priority)
        call = trip.call

        async def ask(attempt: Attempt) -> Answered | Failed:
            return await attempt.target.provider.acomplete(call, attempt)

        reply = await drivers.acomplete(failover_flow(trip), ask, self.clock)
        return Answer(reply, trip.journal.receipt())

    def stream(
        self,
        messages: Sequence[Message],
        *,
        private: bool | None = None,
        deadline: float | None = None,
        priority: Priority | None = None,
        **options: Any,
    ) -> AnswerStream:
        """Return an iterator of OpenAI-shaped chunks; nothing is sent before the first `next`.

        While iterating, raises as `complete` does, and StreamInterrupted once text
        has been handed over.
        """
        trip = self.trip(
            messages, options, private=private, deadline=deadline, priority=priority, stream=True
        )
        call = trip.call

        def ask(attempt: Attempt) -> Source:
            return attempt.target.provider.stream(call, attempt)

        return AnswerStream(drivers.stream(failover_flow(trip), ask, self.clock), trip.journal)

    def astream(
        self,
        messages: Sequence[Message],
        *,
        private: bool | None = None,
        deadline: float | None = None,
        priority: Priority | None = None,
        **options: Any,
    ) -> AsyncAnswerStream:
        """Return an async iterator of OpenAI-shaped chunks; as `stream`, for `async for`."""
        trip = self.trip(
            messages, options, private=private, deadline=deadline, priority=priority, stream=True
        )
        call = trip.call

        def ask(attempt: Attempt) -> AsyncSource:
            return attempt.target.provider.astream(call, attempt)

        chunks = drivers.astream(failover_flow(trip), ask, self.clock)
        return AsyncAnswerStream(cast("AsyncGenerator[Any]", chunks), trip.journal)

    def trip(
        self,
        messages: Sequence[Message],
        options: Mapping[str, Any],
        *,
        private: bool | None = None,
        deadline: float | None = None,
        priority: Priority | None = None,
        stream: bool = False,
        operation: Operation = "chat",
        check: Callable[[Any], None] | None = None,
    ) -> Trip:
        """Check a call and put it on its way; the doors share this.

        `check` raises InvalidCall for messages that are none of this operation.
        """
        check = check or check_messages
        check(messages)
        finding = NOTHING
        if self.sensitive is not None and not is_private(private, self.private):
            finding = sense(self.sensitive, messages, check, self.clock)
        return self.journey(
            messages if finding.messages is None else finding.messages,
            options,
            private=private,
            deadline=deadline,
            priority=priority,
            stream=stream,
            finding=finding,
            operation=operation,
        )

    def journey(
        self,
        messages: Sequence[Message] = (),
        options: Mapping[str, Any] | None = None,
        *,
        private: bool | None = None,
        deadline: float | None = None,
        priority: Priority | None = None,
        stream: bool = False,
        policy: Policy | None = None,
        finding: Finding = NOTHING,
        operation: Operation = "chat",
    ) -> Trip:
        """As `trip`, for callers that have no messages to check: decorated functions."""
        seconds = self.deadline if deadline is None else deadline
        if seconds is not None and not (isinstance(seconds, int | float) and seconds > 0):
            raise InvalidCall(f"deadline={seconds!r}: a deadline is a positive number of seconds")
        asked_priority = self.priority if priority is None else priority
        if asked_priority not in PRIORITIES:
            raise InvalidCall(
                f"priority={asked_priority!r}: a priority is one of {', '.join(PRIORITIES)}"
            )
        asked_private = is_private(private, self.private) or finding.private
        if asked_private:
            self._check_for_local(finding)
        if not (asked_private and not self.targets[0].local):
            self.targets[0].provider.prepare()  # not at the expense of the deadline
        call = Call(
            route=self.name,
            messages=messages,
            options=options or {},
            private=asked_private,
            deadline=None if seconds is None else self.clock() + seconds - finding.seconds,
            needs=needs(messages, options, operation),
            stream=stream,
            priority=asked_priority,
            operation=operation,
        )
        if self._attend is not None:
            self._attend()  # its health checks begin with the first call
        for attend in self._fleets:
            attend()  # and so does the reading of a shared board
        if self.game_days is not None:
            self.game_days.knock()
        journal = Journal(
            self.name, self.targets[0].name, asked_private, self.clock, operation=operation
        )
        bulk = bulk_of(messages, operation)
        trip = Trip(
            call,
            self.targets,
            policy or self.policy,
            self.clock,
            journal,
            bulk=bulk,
            game_days=self.game_days,
        )
        telemetry.attend(trip)
        return trip

    def _check_for_local(self, finding: Finding) -> None:
        """Raise ConfigError for a private call that no target of the route may be asked."""
        if any(target.local for target in self.targets):
            return
        journal = Journal(self.name, self.targets[0].name, True, self.clock)
        telemetry.attend_refusal(journal)
        for target in self.targets:
            journal.kept_home(target.name, target.outside)
        because = f" ({finding.why})" if finding.why else ""
        raise ConfigError(
            f"route {self.name!r} has no local target, and this call is private{because}: nothing "
            f"was sent; add an Ollama model to routes.{self.name}.targets, such as "
            '[targets.local] model = "ollama/llama3.2"'
        )


def check_messages(messages: Any) -> None:
    """Refuse what no provider could answer; raises InvalidCall."""
    if isinstance(messages, str | bytes) or not isinstance(messages, Sequence):
        kind = type(messages).__name__
        raise InvalidCall(
            f"messages is a {kind}; it should be a list, such as "
            '[{"role": "user", "content": "Hello"}]'
        )
    if not messages:
        raise InvalidCall('messages is empty; say something, such as {"role": "user", ...}')
    for position, message in enumerate(messages):
        role = (
            message.get("role") if isinstance(message, Mapping) else getattr(message, "role", None)
        )
        if not isinstance(role, str) or not role:
            raise InvalidCall(f'messages[{position}] has no role; add "role": "user"')
