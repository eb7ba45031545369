"""For your tests: a site whose models follow a script, without a network.

    @override_llm(fail="openai", reply="Hello")
    def test_outage(self):
        self.client.get("/summary/1")
        assert_failed_over("default", to="local")

For code that uses pilotlight's other doors there is `pilotlight.testing.outage`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from django.test.utils import TestContextDecorator

from django_pilotlight import current_app, settings, signals

if TYPE_CHECKING:
    from pilotlight import Receipt, Route

__all__ = ["assert_failed_over", "override_llm"]

Fail = str | Iterable[str] | Mapping[str, str]


class override_llm(TestContextDecorator):  # noqa: N801 - as Django's override_settings
    """Let the routes of the settings answer by script: a decorator and a context manager.

    Targets, residency and deadlines are those of the settings; without any there is a
    route "default" of `primary` and `local`.  `reply` is what a target says.  `fail` names
    targets, models or providers that fail, or maps them to their faults
    (`{"openai": "rate_limited"}`); others fail with a server error.  As a context manager
    it gives itself: `.receipts` of the calls that ended, and `.prompts` by target.

    Sends nothing, needs no database, and logs no events; signals are sent.
    """

    def __init__(self, reply: str = "ok", *, fail: Fail = ()) -> None:
        super().__init__()
        self.reply = reply
        self.faults = _faults(fail)
        self.receipts: list[Receipt] = []
        self._routes: dict[str, Route] = {}
        self._lock = threading.Lock()
        self._before: Any = None

    def enable(self) -> override_llm:
        """Begin."""
        import pilotlight

        self.receipts.clear()
        self._routes.clear()
        self._before, current_app.HOLDER.route = current_app.HOLDER.route, self._route
        pilotlight.listeners.append(self._note)
        signals.listen()
        _active.append(self)
        return self

    def disable(self) -> None:
        """End."""
        import pilotlight

        _active.remove(self)
        pilotlight.listeners.remove(self._note)
        current_app.HOLDER.route = self._before

    @property
    def prompts(self) -> dict[str, list[Any]]:
        """The messages that each target was asked with, one entry a call."""
        return {
            target.name: [call.messages for call in getattr(target, "calls", ())]
            for route in self._routes.values()
            for target in route.targets
        }

    def _note(self, event: Any) -> None:
        if type(event).__name__ == "CallEnded":
            self.receipts.append(event.receipt)

    def _route(self, name: str) -> Route:
        with self._lock:
            if name not in self._routes:
                self._routes[name] = self._make(name)
            return self._routes[name]

    def _make(self, name: str) -> Route:
        import pilotlight
        from pilotlight.testing import ScriptedTarget

        targets: tuple[tuple[str, str, bool], ...]
        if settings.source() is None and not current_app.app().config.routes:
            targets = (("primary", "openai/primary", False), ("local", "ollama/local", True))
            real: Any = None
        else:
            real = current_app.app().route(name)
            targets = tuple((each.name, each.model, each.local) for each in real.targets)
        scripted = []
        for each, model, local in targets:
            one = ScriptedTarget(each, self._line(each, model), local=local)
            one.model = model
            scripted.append(one)
        if real is None:
            return pilotlight.Route(name, tuple(scripted))
        return pilotlight.Route(
            real.name,
            tuple(scripted),
            total_timeout=real.total_timeout,
            private=real.private,
            priority=real.priority,
            sensitive=real.sensitive,
        )

    def _line(self, name: str, model: str) -> Any:
        from pilotlight import Fault

        for pattern in (name, model, model.partition("/")[0]):
            if pattern in self.faults:
                return Fault(self.faults[pattern])
        return self.reply


_active: list[override_llm] = []


def assert_failed_over(route: str = "default", *, to: str | None = None) -> Receipt:
    """Assert that a call of the route was answered by another than its first target; return it.

    Of the `override_llm` in force, the innermost.  `to` is the target that should have
    answered.  Raises AssertionError with what happened instead.
    """
    if not _active:
        raise AssertionError("assert_failed_over needs an override_llm around it")
    receipts = _active[-1].receipts
    name = current_app.route(route).name
    found = [
        each
        for each in receipts
        if each.route == name and each.failed_over and to in (None, each.served_by)
    ]
    if not found:
        told = ", ".join(f"{each.route}: {each.outcome} ({each.served_by})" for each in receipts)
        wanted = f" to {to!r}" if to else ""
        raise AssertionError(f"no failover of {name!r}{wanted}; calls: {told or 'none'}")
    return found[-1]


def _faults(fail: Fail) -> dict[str, str]:
    from pilotlight import Fault

    if isinstance(fail, Mapping):
        return {pattern: Fault(fault) for pattern, fault in fail.items()}
    names = [fail] if isinstance(fail, str) else fail
    return dict.fromkeys(names, Fault.SERVER_ERROR)
