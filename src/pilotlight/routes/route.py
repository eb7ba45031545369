"""A route: the four call shapes of one ordered list of targets, and the trip of every call.

Embeddings and images are in `embeddings_images.py`.

It builds a `Call`, picks a driver, and wraps what comes back; it decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from pilotlight.core.clock import SYSTEM_CLOCK, Clock
from pilotlight.core.drills.schedule import GameDays
from pilotlight.core.flow import drivers
from pilotlight.core.flow.failover import CallContext, Policy, failover_flow
from pilotlight.core.flow.recorder import CallRecorder
from pilotlight.core.provider import Answered, AsyncSource, Attempt, Call, Failed, Original, Source
from pilotlight.core.requirements import needs, prompt_size_of
from pilotlight.core.sendable import check_call
from pilotlight.core.spending.ledger import Ledger
from pilotlight.core.target import Target
from pilotlight.errors import ConfigError
from pilotlight.health.trouble import await_trouble
from pilotlight.privacy.classification import NOTHING, Finding, Hook, hook_from, sense
from pilotlight.privacy.residency import is_private
from pilotlight.routes.answer import Answer, AnswerStream, AsyncAnswerStream
from pilotlight.routes.call_rules import (
    check_kinds,
    check_messages,
    check_names,
    check_terms,
    seconds_of,
)
from pilotlight.routes.embeddings_images import Modalities
from pilotlight.scopes.tags import tags_of
from pilotlight.telemetry import switch as telemetry
from pilotlight.vocabulary.operations import Operation, Priority
from pilotlight.vocabulary.residency_rules import MEANING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from pilotlight.health import HealthMonitor

Message = Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Route(Modalities):
    """An ordered list of targets and the policy of a call.

    Made by `Pilotlight.route`; in tests also of `pilotlight.testing.ScriptedTarget`s.
    `total_timeout` is in seconds from the start of each call, a stream's end included.
    `sensitive` is given each call's messages before anything is sent, and may make it
    private or send others; see `pilotlight.privacy.classification`.
    """

    name: str
    targets: tuple[Target, ...]
    policy: Policy = Policy()
    total_timeout: float | None = None
    private: bool = False
    clock: Clock = SYSTEM_CLOCK
    priority: Priority = "normal"
    sensitive: Hook | None = None
    game_days: GameDays | None = None
    budgets: tuple[Ledger, ...] = ()
    _attend: HealthMonitor | None = field(init=False, default=None, repr=False)
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
            from pilotlight.health import HealthMonitor  # brings httpx

            object.__setattr__(self, "_attend", HealthMonitor(self.targets))
        await_trouble(self.targets)
        fleets = (target.health.attend for target in self.targets)
        object.__setattr__(self, "_fleets", tuple(dict.fromkeys(filter(None, fleets))))

    def accepting(self, accept: Callable[[Answer], bool]) -> Route:
        """Return this route with a validator: an answer that it refuses is failed over.

        `accept` is given what the target answered (`.text`, `.response`), before the
        caller is; streams are not judged, for their text is with the caller already.
        """
        given: Any = accept
        if not callable(given):
            kind = type(given).__name__
            raise ConfigError(f"accept= is a {kind}; it should be a function of an answer")
        return replace(self, policy=replace(self.policy, accept=cast("Any", accept)))

    def complete(
        self,
        messages: Sequence[Message],
        *,
        private: bool | None = None,
        timeout: float | None = None,
        total_timeout: float | None = None,
        priority: Priority | None = None,
        tags: Mapping[str, str] | None = None,
        **options: Any,
    ) -> Answer:
        """Return the first good answer of the route's targets.

        `messages` and `options` are OpenAI-shaped (`temperature=`, `tools=`, ...).
        `private=True` keeps the call on local targets; `total_timeout` bounds the whole call in
        seconds, `timeout` each attempt;
        `priority` is its rank where it must queue ("high", "normal" or "low"); `tags` are your own,
        by which [budgets] and receipts tell calls apart.

        Raises AllTargetsFailed, DeadlineExceeded, BudgetSpent, InvalidCall, ConfigError (a
        private call without a local target), or the provider's own exception when
        the mistake is the caller's.
        """
        ctx = self.trip(
            messages,
            options,
            private=private,
            timeout=timeout,
            total_timeout=total_timeout,
            priority=priority,
            tags=tags,
        )
        call = ctx.call

        def ask(attempt: Attempt) -> Answered | Failed:
            return attempt.target.provider.complete(call, attempt)

        reply = drivers.complete(failover_flow(ctx), ask, self.clock)
        return Answer(reply, ctx.recorder.receipt())

    def acomplete(
        self,
        messages: Sequence[Message],
        *,
        private: bool | None = None,
        timeout: float | None = None,
        total_timeout: float | None = None,
        priority: Priority | None = None,
        tags: Mapping[str, str] | None = None,
        **options: Any,
    ) -> Coroutine[Any, Any, Answer]:
        """Return the first good answer; as `complete`, without blocking the event loop.

        Made inside `private()`, the call is private wherever it is awaited.
        """
        private = is_private() or private
        tags = tags_of(tags)  # they too are those of the moment when the call is made

        async def answered() -> Answer:
            ctx = self.trip(
                messages,
                options,
                private=private,
                timeout=timeout,
                total_timeout=total_timeout,
                priority=priority,
                tags=tags,
            )

            async def ask(attempt: Attempt) -> Answered | Failed:
                return await attempt.target.provider.acomplete(ctx.call, attempt)

            reply = await drivers.acomplete(failover_flow(ctx), ask, self.clock)
            return Answer(reply, ctx.recorder.receipt())

        return answered()

    def stream(
        self,
        messages: Sequence[Message],
        *,
        private: bool | None = None,
        timeout: float | None = None,
        total_timeout: float | None = None,
        priority: Priority | None = None,
        tags: Mapping[str, str] | None = None,
        **options: Any,
    ) -> AnswerStream:
        """Return an iterator of OpenAI-shaped chunks; nothing is sent before the first `next`.

        While iterating, raises as `complete` does, and StreamInterrupted once text
        has been handed over.
        """
        ctx = self.trip(
            messages,
            options,
            private=private,
            timeout=timeout,
            total_timeout=total_timeout,
            priority=priority,
            tags=tags,
            stream=True,
        )
        call = ctx.call

        def ask(attempt: Attempt) -> Source:
            return attempt.target.provider.stream(call, attempt)

        return AnswerStream(drivers.stream(failover_flow(ctx), ask, self.clock), ctx.recorder)

    def astream(
        self,
        messages: Sequence[Message],
        *,
        private: bool | None = None,
        timeout: float | None = None,
        total_timeout: float | None = None,
        priority: Priority | None = None,
        tags: Mapping[str, str] | None = None,
        **options: Any,
    ) -> AsyncAnswerStream:
        """Return an async iterator of OpenAI-shaped chunks; as `stream`, for `async for`."""
        ctx = self.trip(
            messages,
            options,
            private=private,
            timeout=timeout,
            total_timeout=total_timeout,
            priority=priority,
            tags=tags,
            stream=True,
        )
        call = ctx.call

        def ask(attempt: Attempt) -> AsyncSource:
            return attempt.target.provider.astream(call, attempt)

        chunks = drivers.astream(failover_flow(ctx), ask, self.clock)
        return AsyncAnswerStream(cast("AsyncGenerator[Any]", chunks), ctx.recorder)

    def trip(
        self,
        messages: Sequence[Message],
        options: Mapping[str, Any],
        *,
        private: bool | None = None,
        timeout: float | None = None,
        total_timeout: float | None = None,
        priority: Priority | None = None,
        tags: Mapping[str, str] | None = None,
        stream: bool = False,
        operation: Operation = "chat",
        check: Callable[[Any], None] | None = None,
        policy: Policy | None = None,
        original: Original | None = None,
    ) -> CallContext:
        """Check a call and put it on its way; the doors share this.

        `check` raises InvalidCall for messages that are none of this operation.  `original` is
        what the caller has said in a dialect of its own, whose names are none of ours.
        """
        check = check or check_messages
        check(messages)
        check_call(messages, options, operation)
        if original is None:
            check_names(options)
        check_kinds(options)
        finding = NOTHING
        if self.sensitive is not None and not is_private(private, self.private):
            finding = sense(self.sensitive, messages, check, self.clock)
            if finding.messages is not None:
                messages = finding.messages
                original = None  # its own words are not to be sent
                check_call(messages, None, operation)
        return self.journey(
            messages,
            options,
            private=private,
            timeout=timeout,
            total_timeout=total_timeout,
            priority=priority,
            tags=tags,
            stream=stream,
            policy=policy,
            finding=finding,
            operation=operation,
            checked=True,
            original=original,
        )

    def journey(
        self,
        messages: Sequence[Message] = (),
        options: Mapping[str, Any] | None = None,
        *,
        private: bool | None = None,
        timeout: float | None = None,
        total_timeout: float | None = None,
        priority: Priority | None = None,
        tags: Mapping[str, str] | None = None,
        stream: bool = False,
        policy: Policy | None = None,
        finding: Finding = NOTHING,
        operation: Operation = "chat",
        checked: bool = False,
        original: Original | None = None,
    ) -> CallContext:
        """As `trip`, for callers whose messages are of their own kind, or who have none.

        `checked`: they were looked through already.
        """
        if not checked:
            check_call(messages, options, operation, plain=False)
        seconds = self.total_timeout if total_timeout is None else total_timeout
        timeout = seconds_of(timeout)
        asked_priority = self.priority if priority is None else priority
        check_terms(private, seconds, asked_priority, timeout)
        asked_private = is_private(private, self.private) or finding.private
        tags = tags_of(tags)
        if asked_private:
            self._check_for_local(finding, operation)
        at_home = original is not None and original.home is not None  # an SDK is loaded already
        if not at_home:  # an import is not at the expense of the deadline, nor of one behind
            for target in self.targets:
                if target.local or not asked_private:
                    target.provider.prepare()
        call = Call(
            route=self.name,
            messages=messages,
            options=options or {},
            private=asked_private,
            deadline=None if seconds is None else self.clock() + seconds - finding.seconds,
            timeout=timeout,
            needs=needs(messages, options, operation),
            stream=stream,
            priority=asked_priority,
            operation=operation,
            skip_broken=(policy or self.policy).on_broken_event == "skip",
            original=original,
            tags=tags,
        )
        if self._attend is not None:
            self._attend()  # its health checks begin with the first call
        for attend in self._fleets:
            attend()  # and so does the reading of a shared board
        if self.game_days is not None:
            self.game_days.refresh_soon()
        recorder = CallRecorder(
            self.name,
            self.targets[0].name,
            asked_private,
            self.clock,
            operation=operation,
            tags=tags,
        )
        prompt_size = prompt_size_of(messages, operation)
        ctx = CallContext(
            call,
            self.targets,
            policy or self.policy,
            self.clock,
            recorder,
            prompt_size=prompt_size,
            game_days=self.game_days,
            budgets=self._held_to(tags),
        )
        telemetry.attend(ctx)
        return ctx

    def _held_to(self, tags: Mapping[str, str]) -> tuple[Ledger, ...]:
        """Return the budgets that a call with such tags is held to."""
        if not self.budgets:
            return ()
        return tuple(each for each in self.budgets if each.budget.is_about(self.name, tags))

    def _check_for_local(self, finding: Finding, operation: Operation) -> None:
        """Raise ConfigError for a private call that no target of the route may be asked."""
        rules = {target.name: target.rule_for(operation) for target in self.targets}
        refused = {name: rule for name, rule in rules.items() if rule is not None}
        if len(refused) < len(rules):
            return
        recorder = CallRecorder(self.name, self.targets[0].name, True, self.clock)
        telemetry.attend_refusal(recorder)
        for name, rule in refused.items():
            recorder.residency_refused(name, rule)
        why = "".join(f"; {name}: {MEANING[rule]}" for name, rule in refused.items())
        because = f" ({finding.why})" if finding.why else ""
        raise ConfigError(
            f"route {self.name!r} has no local target, and this call is private{because}: nothing "
            f"was sent; add an Ollama model to routes.{self.name}.targets, such as "
            f'[targets.local] model = "ollama/llama3.2"{why}'
        )
