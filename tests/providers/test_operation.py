"""Whose time it was, when a clock has run out: ours, the event loop's, or the provider's."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import httpcore
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pilotlight.core.provider import Timeouts
from pilotlight.diagnosis.classify import classify
from pilotlight.testing import FakeClock
from pilotlight.vocabulary.faults import RULES, Effect, Fault
from pilotlight.wire.clocks import LENIENCE, LOOKS, RequestMonitor
from pilotlight.wire.network import AsyncStream, Stream
from pilotlight.wire.socket_operation import PERIOD, Allowance, Pulse
from pilotlight.wire.tap import Tap

REQUEST = b"GET / HTTP/1.1\r\n\r\n"
COLOURS = ["sync", "async"]
TOTAL = 8.0


@dataclass
class Wire(httpcore.NetworkStream):
    """A socket as the script has it: how long nothing comes, and how late the process wakes."""

    clock: FakeClock
    silence: float  # seconds from now until the answer lies here; inf: it never comes
    late: float = 0.0  # by how much the process misses the end of each wait
    answer_at: float = field(init=False)
    answers: int = 1

    def __post_init__(self) -> None:
        self.answer_at = self.clock() + self.silence

    def read(self, max_bytes, timeout=None):
        until = self.clock() + timeout
        if self.answer_at > until or not self.answers:
            self.clock.advance(max(0.0, until - self.clock()) + self.late)
            self.late = 0.0
            raise httpcore.ReadTimeout
        if self.answer_at > self.clock():
            self.clock.advance(self.answer_at - self.clock())
        self.answers -= 1
        return b"answer"

    def write(self, buffer, timeout=None):
        pass

    def close(self):
        pass


class AsyncWire(httpcore.AsyncNetworkStream):
    def __init__(self, wire: Wire) -> None:
        self.wire = wire

    async def read(self, max_bytes, timeout=None):
        return self.wire.read(max_bytes, timeout)

    async def write(self, buffer, timeout=None):
        pass

    async def aclose(self):
        pass


class Attempt:
    """One attempt over a scripted wire, in either colour."""

    def __init__(self, colour: str, clock: FakeClock, limits: Timeouts, **wire) -> None:
        self.clock, self.colour = clock, colour
        self.tap = Tap("openai", limits, clock)
        self.monitor = RequestMonitor(self.tap, "/v1/chat/completions", streaming=False)
        self.allowed = Allowance(None, self.monitor)
        self.wire = Wire(clock, **wire)
        self.stream = Stream(self.wire)

    def run(self, *steps) -> bytes | None:
        """Write or read in turn; return what was read last, None when time was over."""
        if self.colour == "sync":
            calls = {"write": self.stream.write, "read": self.stream.read}
            return self._settle(lambda step, *given: calls[step](*given), steps)
        return asyncio.run(self._async(steps))

    def _settle(self, call, steps):
        found = None
        try:
            for step in steps:
                if callable(step):
                    step()
                else:
                    found = call(step, REQUEST if step == "write" else 100, self.allowed)
        except httpcore.TimeoutException:
            return None
        return found

    async def _async(self, steps):
        loop = asyncio.get_running_loop()
        loop.time = self.clock  # the timers, too, see the scripted time
        stream = AsyncStream(AsyncWire(self.wire), Pulse())
        found = None
        try:
            for step in steps:
                if callable(step):
                    step()
                elif step == "write":
                    await stream.write(REQUEST, self.allowed)
                else:
                    found = await stream.read(100, self.allowed)
        except httpcore.TimeoutException:
            return None
        finally:
            del loop.time
        return found

    @property
    def fault(self) -> Fault:
        return classify(self.tap, None).fault


def counts(fault: Fault) -> bool:
    return RULES[fault].breaker is Effect.COUNTS


seconds = st.floats(0, 3 * TOTAL)
own = st.floats(0.0, 30.0)


@pytest.mark.parametrize("colour", COLOURS)
@given(late=own, late_to_ask=st.floats(0.0, TOTAL / 4))
def test_true_silence_counts_however_late_this_process_is(colour, late, late_to_ask):
    clock = FakeClock()
    attempt = Attempt(colour, clock, Timeouts(total=TOTAL), silence=float("inf"), late=late)
    assert attempt.run(lambda: clock.advance(late_to_ask), "write", "read") is None
    assert attempt.fault is Fault.TIMEOUT
    assert counts(attempt.fault)


@pytest.mark.parametrize("colour", COLOURS)
@given(silence=seconds, late=own)
def test_an_answer_that_lies_here_is_taken(colour, silence, late):
    assume(late >= 0.1)  # else it is punctual
    assume(not 0 < silence - TOTAL - late < 0.1)  # the second look itself takes a moment
    clock = FakeClock()
    attempt = Attempt(colour, clock, Timeouts(total=TOTAL), silence=silence, late=late)
    there = silence <= TOTAL + late  # when this process looks again
    found = attempt.run("write", "read")
    assert found == (b"answer" if there else None)
    assert attempt.tap.expired == (None if there else "total")


@pytest.mark.parametrize("colour", COLOURS)
@given(before=st.floats(TOTAL * 0.6, 50.0), write=st.booleans())
def test_what_this_process_took_before_it_asked_is_its_own(colour, before, write):
    clock = FakeClock()
    attempt = Attempt(colour, clock, Timeouts(total=TOTAL), silence=float("inf"))
    steps = ["write", "read"] if write else ["read"]
    assert attempt.run(lambda: clock.advance(before), *steps) is None
    assert attempt.fault is Fault.PROCESS_OVERLOADED
    assert not counts(attempt.fault)
    assert attempt.tap.written is (write and before < TOTAL)
    assert "this process took" in classify(attempt.tap, None).evidence


@pytest.mark.parametrize("colour", COLOURS)
def test_blocked_between_asking_and_reading(colour):
    clock = FakeClock()
    attempt = Attempt(colour, clock, Timeouts(total=TOTAL), silence=0.1)
    assert attempt.run("write", lambda: clock.advance(100.0), "read") == b"answer"
    assert attempt.tap.expired is None
    assert not attempt.tap.starved


@pytest.mark.parametrize("colour", COLOURS)
def test_what_is_let_through_is_bounded(colour):
    clock = FakeClock()
    attempt = Attempt(colour, clock, Timeouts(total=TOTAL), silence=0.0)
    attempt.wire.answers = 1000  # a server that never ends, and a reader who is always late
    began, read = clock(), 0
    while attempt.run(lambda: clock.advance(TOTAL), "read") is not None:
        read += 1
    assert read <= LOOKS
    assert attempt.tap.expired == "total"
    assert attempt.fault is Fault.PROCESS_OVERLOADED

    punctual = Attempt(colour, clock, Timeouts(total=TOTAL), silence=0.0)
    punctual.wire.answers = 1000
    began = clock()
    while punctual.run(lambda: clock.advance(0.04), "read") is not None:
        pass
    assert clock() - began < TOTAL + 2 * LENIENCE


def test_a_pulse_tells_how_late_its_loop_was_and_stops():
    class Loop:
        now, timers = 0.0, []

        def time(self):
            return self.now

        def call_at(self, when, call, *args):
            self.timers.append((when, call, args))

    loop = Loop()
    pulse = Pulse()
    asyncio.events._set_running_loop(loop)
    try:
        began = pulse.begin()
        for late in (0.0, 0.02, 1.5):
            [(when, call, args)] = loop.timers
            loop.timers.clear()
            loop.now = when + late
            call(*args)
        loop.now += 2.0 + PERIOD  # and blocked just now, with its beat still to come
        assert pulse.end() - began == pytest.approx(1.5 + 2.0)
        [(_, call, args)] = loop.timers
        loop.timers.clear()
        call(*args)
        assert not loop.timers  # nobody waits any more
    finally:
        asyncio.events._set_running_loop(None)
