"""One experiment's world: played providers, a route under test, traffic, and what was seen.

Two servers: `hosted` plays the closed providers, `home` the local machine, so that the one can
go away without the other.  Nothing is patched: the configuration under test is an ordinary one,
with addresses that point at these servers.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import pilotlight
from pilotlight import testing
from pilotlight.core.clock import SystemClock
from pilotlight.events import BreakerChanged, Event

from ..answers import Ask
from ..models import CLOUD_HOST, LocalModel
from ..server import ChaosServer
from ..state import RequestRecord
from .doors import Door, asking, guarded, images, plain
from .gateway import Gateway
from .notes import Notes
from .setting import Plain, Setting
from .store import Store, make_store
from .traffic import CANARY, Stream, answer_to

BASELINE = 12  # calls that are answered before an experiment begins
BASELINES = 10  # tries; after the last, the hypothesis judges what there is
STALL = 1.0  # seconds that no healthy call takes, but one on a machine that stalls
PATIENCE = 60.0  # seconds for the baseline: a cold, busy machine
PATHS = {"openai": "/v1", "gemini": "/v1beta"}
FAULT = "fault"  # the mark that the first fault sets; measures count from there


class World:
    """Built by `open`, ended by `close`; both are called once."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.zero = time.monotonic()
        self.epoch = time.time()
        self.baseline = 0.0  # the moment from which calls count as healthy ones
        self.rolling_back = False
        self.repriced: dict[str, Any] = {}  # rows of litellm's table that were replaced
        self.jumped = 0.0  # seconds that the clock under test has been set forward
        self.marks: dict[str, float] = {}
        self.spans: list[tuple[str, float, float | None]] = []  # fault windows, for the report
        self.workers: list[dict[str, Any]] = []  # what restarted processes reported
        self.aborted = threading.Event()
        self.why_aborted = ""
        self.spilt: list[str] = []  # log lines with private text in them
        servers = setting.servers
        local = list(installed(setting))
        self.hosted = ChaosServer(latency=servers.hosted_latency, reply=reply, seed=setting.seed)
        self.home = ChaosServer(
            latency=servers.local_latency, reply=reply, seed=setting.seed, models=local
        )
        self.notes = Notes(self.now, frozenset(setting.pilotlight["targets"]))
        self.store: Store | None = None
        self.gateway: Gateway | None = None
        self._stack = ExitStack()
        self.app: pilotlight.Pilotlight
        self.traffic: Stream

    # Life.

    def open(self) -> None:
        """Start everything, and wait for the first healthy calls."""
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        pilotlight.preload().join()  # takes seconds, and is no part of the experiment
        self.zero, self.epoch = time.monotonic(), time.time()
        testing.reset()
        self.store = make_store(self.setting.store)
        if self.store is not None:
            self._stack.callback(self.store.close)
        self._stack.callback(testing.reset)
        for server in (self.hosted, self.home):
            server.start()
            self._stack.callback(server.close)
        self.app = pilotlight.load(self.config(), clock=Clock(self))
        self._stack.callback(self.app.close)
        self._stack.enter_context(self._listening())
        self._stack.enter_context(self._reading_logs())
        plan = self.setting.traffic
        self.traffic = Stream(plan, self.door(plan.route), self.notes, self.now, self.setting.seed)
        self._stack.callback(self._end_traffic)
        self.traffic.start()
        self._wait_healthy()

    def _wait_healthy(self) -> None:
        """Wait for a baseline of healthy calls; one with a stall in it is begun anew."""
        for _ in range(BASELINES):
            self.baseline = self.now()
            if not self.traffic.wait_steady(len(self.notes.calls) + BASELINE, PATIENCE):
                raise RuntimeError(self._unsteady())
            own = [call for call in tuple(self.notes.calls) if call.began >= self.baseline]
            if not any(call.error or call.took(self.now()) > STALL for call in own):
                return

    def _unsteady(self) -> str:
        calls, out = tuple(self.notes.calls), self.traffic.under_way
        lost = sum(bool(call.error) for call in calls)
        return (
            f"the traffic does not run: of {len(calls)} calls in {PATIENCE:g} s {out} are out "
            f"and {lost} were lost; a machine that does not carry {self.setting.traffic.rate:g} a "
            "second needs a lower world.traffic.rate, or less to do"
        )

    def close(self) -> None:
        """End the traffic and the servers; may be called twice."""
        self._stack.close()

    def _end_traffic(self) -> None:
        self.traffic.pause()
        for server in (self.hosted, self.home):
            server.heal()
        self.traffic.settle(1.0)
        for server in (self.hosted, self.home):  # lets go of calls that hang, and of idle sockets
            server.refuse()
        self.traffic.settle(PATIENCE)
        self.traffic.close()

    @contextmanager
    def _listening(self) -> Iterator[None]:
        pilotlight.listeners.append(self._hear)
        try:
            yield
        finally:
            pilotlight.listeners.remove(self._hear)

    def _hear(self, event: Event) -> None:
        self.notes.listen(event)
        match event:
            case BreakerChanged(target=target, new="open") if target in self.setting.hold_closed:
                self.app.target(target).health.breaker.close()
            case BreakerChanged(target=target, old="closed", new="open"):
                if target in self.setting.hold_open:
                    self.app.target(target).health.breaker.open()

    @contextmanager
    def _reading_logs(self) -> Iterator[None]:
        reader = LogReader(self.spilt)
        root = logging.getLogger()
        root.addHandler(reader)
        try:
            yield
        finally:
            root.removeHandler(reader)

    # The clock of the world; the one under test may be set forward.

    def now(self) -> float:
        """Return the seconds since this world began."""
        return time.monotonic() - self.zero

    def mark(self, name: str) -> None:
        """Remember this moment, the first time that it is named."""
        self.marks.setdefault(name, self.now())

    # What is under test.

    def config(self) -> dict[str, Any]:
        """Return the configuration under test, with the servers' addresses in it."""
        config = self.setting.pilotlight
        targets = {
            name: {"api_base": self.base(name, target["model"])} | target
            for name, target in config["targets"].items()
        }
        if "tls" in targets:  # a TLS handshake with a server that speaks none
            targets["tls"]["api_base"] = targets["tls"]["api_base"].replace("http:", "https:")
        for target in targets.values():
            if not target["model"].startswith("ollama"):
                target.setdefault("api_key", f"key-{uuid.uuid4().hex}")
        shared = {} if self.store is None else {"state": self.store.url}
        return config | shared | {"targets": targets}

    def base(self, name: str, model: str) -> str:
        """Return the address at which a target is played."""
        provider = model.partition("/")[0]
        return f"{self.server(name).base(name)}{PATHS.get(provider, '')}"

    def server(self, name: str) -> ChaosServer:
        """Return the server that plays a target: home if its model is Ollama's, else hosted."""
        target = self.setting.pilotlight["targets"].get(name)
        if target is None:
            known = ", ".join(self.setting.pilotlight["targets"])
            raise ValueError(f"no target {name!r} in this world; it has: {known}")
        return self.home if is_local(target) or "local_addresses" in target else self.hosted

    def door(self, name: str) -> Door:
        """Return the way in to a route, as the traffic takes it."""
        plan, route = self.setting.traffic, self.app.route(name)
        if plan.door == "images":
            return images(route)
        if plan.door == "gateway":
            self.gateway = Gateway(self.config(), plan.workers, name)
            self._stack.callback(self.gateway.close)
            return self.gateway.door()
        if plan.door != "litellm":
            door = guarded(route, private=plan.private)
            return asking(door, self.shared.url) if plan.door == "asks store" else door
        return plain(self.plainly(route.targets[0].name))

    @property
    def shared(self) -> Store:
        """The store; raises ValueError when the experiment has none."""
        if self.store is None:
            raise ValueError("this world shares no store: say `store: sqlite` in `configuration`")
        return self.store

    @property
    def serving(self) -> Gateway:
        """The gateway; raises ValueError when the traffic does not go through one."""
        if self.gateway is None:
            raise ValueError("this world has no gateway: say `traffic: {door: gateway}`")
        return self.gateway

    def plainly(self, name: str) -> Plain:
        """Return a target as litellm alone would be told of it."""
        target = self.config()["targets"][name]
        model = target["model"].replace("ollama/", "ollama_chat/")
        key = target.get("api_key", "none")
        plan = self.setting.traffic
        return Plain(model, target["api_base"], key, plan.timeout, plan.sdk_retries)

    # What was asked of the servers.

    def requests(self, name: str, since: float) -> list[RequestRecord]:
        """Return the model requests that reached a target since a moment."""
        return [r for r in self.server(name).requests(name) if r.time - self.epoch >= since]

    # The abort rule.

    def check(self) -> None:
        """Abort when more calls are lost than the experiment may lose, or its time is up."""
        lost = sum(bool(call.error) for call in tuple(self.notes.calls))
        rule = self.setting.abort
        if lost > rule.lost_calls:
            self.abort(f"{lost} calls were lost, {rule.lost_calls} is the budget")
        elif self.now() > rule.seconds:
            self.abort(f"it has taken more than {rule.seconds:g} s")

    def abort(self, why: str) -> None:
        """Stop the experiment; whoever waits is woken."""
        self.why_aborted = self.why_aborted or why
        self.aborted.set()


class Clock(SystemClock):
    """The clock that is given to pilotlight: the machine's own, until it is set forward."""

    def __init__(self, world: World) -> None:
        self._world = world

    def __call__(self) -> float:
        return time.monotonic() + self._world.jumped


class LogReader(logging.Handler):
    """Reads every log line of the process for private text."""

    def __init__(self, spilt: list[str]) -> None:
        super().__init__()
        self._spilt = spilt

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the name of a logger that wrote private text; never the line."""
        if CANARY in record.getMessage() or CANARY in str(record.exc_info or ""):
            self._spilt.append(record.name)


def installed(setting: Setting) -> Iterator[LocalModel]:
    """Yield the models of the local machine: those of the targets, and all of them loaded."""
    targets = setting.pilotlight["targets"].values()
    for name in {target["model"].partition("/")[2] for target in targets if is_local(target)}:
        model = LocalModel(name, slots=setting.servers.local_slots, loaded=True)
        if name in setting.servers.stubs:
            model = replace(model, remote_host=CLOUD_HOST, remote_model=f"{name}-cloud")
        yield model


def is_local(target: Mapping[str, Any]) -> bool:
    """Tell whether a target is an Ollama's."""
    return str(target["model"]).startswith("ollama")


def reply(ask: Ask) -> str:
    """Answer as the played models do."""
    return answer_to(ask.last_user_text)
