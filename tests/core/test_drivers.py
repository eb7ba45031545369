"""The drivers give everything back themselves: nothing is left to the garbage collector."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from kit import fails, flow, target

from pilotlight.core.flow import drivers
from pilotlight.core.flow.failover import Policy
from pilotlight.core.flow.steps import StreamRestarted
from pilotlight.core.provider import Ended
from pilotlight.vocabulary.faults import Fault


class Source:
    """A stream of plain strings; what it ends with is told beforehand."""

    def __init__(self, *chunks: str, end: Any = None) -> None:
        self.chunks = iter(chunks)
        self.end = end or Ended()
        self.read: list[str] = []
        self.closed = 0

    def __iter__(self) -> Source:
        return self

    def __aiter__(self) -> Source:
        return self

    def __next__(self) -> str:
        self.read.append(next(self.chunks))
        return self.read[-1]

    async def __anext__(self) -> str:
        try:
            return next(self)
        except StopIteration:
            raise StopAsyncIteration from None

    def commits(self, chunk: str) -> bool:
        return chunk.strip() != ""

    def ended(self) -> Any:
        return self.end

    def failed(self, error: Exception) -> Any:
        return fails(Fault.STREAM_INTERRUPTED, error)

    def close(self) -> None:
        self.closed += 1

    async def aclose(self) -> None:
        self.closed += 1


class Reader:
    """Reads a stream in either colour, step by step."""

    def __init__(self, shape: str, talk: Any, sources: list[Source], clock: Any) -> None:
        waiting = iter(sources)
        self.asked: list[str] = []

        def ask(attempt: Any) -> Source:
            self.asked.append(attempt.target.name)
            return next(waiting)

        self.is_async = shape == "astream"
        self.items: Any = getattr(drivers, shape)(talk, ask, clock)
        self.loop = asyncio.new_event_loop()

    def next(self) -> Any:
        return (
            self.loop.run_until_complete(anext(self.items)) if self.is_async else next(self.items)
        )

    def throw(self, error: BaseException) -> None:
        if self.is_async:
            self.loop.run_until_complete(self.items.athrow(error))
        else:
            self.items.throw(error)

    def close(self) -> None:
        if self.is_async:
            self.loop.run_until_complete(self.items.aclose())
        else:
            self.items.close()

    def rest(self) -> list[Any]:
        found = []
        try:
            while True:
                found.append(self.next())
        except (StopIteration, StopAsyncIteration):
            return found


@pytest.fixture(params=["stream", "astream"])
def read(request, clock):
    """Start a stream over these targets and sources; the loops are closed at the end."""
    readers: list[Reader] = []

    def start(targets: Any, *sources: Source, **more: Any) -> tuple[Reader, Any]:
        talk, _ = flow(targets, clock, stream=True, **more)
        readers.append(Reader(request.param, talk, list(sources), clock))
        return readers[-1], talk

    yield start
    for reader in readers:
        reader.loop.close()


def is_over(talk: Any) -> bool:
    return talk.gi_frame is None


def test_closing_a_stream_closes_its_flow_and_its_source(read, clock):
    source = Source("one", "two")
    reader, talk = read([target("gpt", clock)], source)
    assert reader.next() == "one"
    assert not is_over(talk)
    reader.close()
    assert (is_over(talk), source.closed) == (True, 1)


@pytest.mark.parametrize("error", [KeyError("the reader's"), KeyboardInterrupt()])
def test_what_the_reader_throws_in_goes_through_and_closes_both(read, clock, error):
    source, gpt = Source("one", "two"), target("gpt", clock)
    reader, talk = read([gpt], source)
    reader.next()
    with pytest.raises(type(error)) as caught:
        reader.throw(error)
    assert caught.value is error
    assert (is_over(talk), source.closed, gpt.health.breaker.state.window.calls) == (True, 1, 0)


def test_a_stream_read_to_its_end_closes_both(read, clock):
    source = Source("one", "two")
    reader, talk = read([target("gpt", clock)], source)
    assert reader.rest() == ["one", "two"]
    assert (is_over(talk), source.closed) == (True, 1)


def test_the_broken_source_is_closed_before_the_next_target_is_asked(read, clock):
    first, second = Source(end=fails(Fault.SERVER_ERROR)), Source("two")
    reader, _ = read([target("a", clock), target("b", clock)], first, second)
    assert reader.next() == "two"
    assert (first.closed, second.closed, reader.asked) == (1, 0, ["a", "b"])


def test_chunks_before_the_first_text_are_held_back_and_dropped_with_their_target(read, clock):
    first = Source("", " ", end=fails(Fault.STREAM_TRUNCATED))
    second = Source("", "hello", "you")
    reader, _ = read([target("a", clock), target("b", clock)], first, second)
    assert reader.rest() == ["", "hello", "you"]


def test_nothing_is_read_ahead_of_the_reader(read, clock):
    source = Source("", "one", "two")
    reader, _ = read([target("gpt", clock)], source)
    reader.next(), reader.next()
    assert source.read == ["", "one"]
    reader.close()


def test_a_good_stream_without_any_text_is_handed_over_as_it_is(read, clock):
    reader, _ = read([target("gpt", clock)], Source("", ""))
    assert reader.rest() == ["", ""]


def test_a_restart_is_seen_between_the_two(read, clock):
    first = Source("one", end=fails(Fault.STREAM_TRUNCATED, partial="one"))
    targets = [target("a", clock), target("b", clock)]
    reader, _ = read(targets, first, Source("two"), policy=Policy(on_interrupt="restart"))
    assert reader.rest() == ["one", StreamRestarted("a", "b", "stream_truncated"), "two"]


def test_a_call_closes_its_flow_when_it_is_interrupted(clock):
    def ask(attempt):
        raise KeyboardInterrupt

    async def aask(attempt):
        raise KeyboardInterrupt

    talk, recorder = flow([target("gpt", clock)], clock)
    with pytest.raises(KeyboardInterrupt):
        drivers.complete(talk, ask, clock)
    assert is_over(talk)
    assert recorder.outcome == "cancelled"
    atalk, ajournal = flow([target("gpt", clock)], clock)

    async def main():
        with pytest.raises(KeyboardInterrupt):
            await drivers.acomplete(atalk, aask, clock)

    asyncio.run(main())
    assert is_over(atalk)
    assert ajournal.outcome == "cancelled"
