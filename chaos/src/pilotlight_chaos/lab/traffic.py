"""Background traffic: calls begun at an open-loop rate, in all shapes, from a seed.

Open loop: a call is begun when its time has come, whether or not the earlier ones have ended.
A system that answers slowly is not spared by it.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from pilotlight import receipts

from .doors import BLOCKING, Door
from .notes import CallNote, Notes, Verdict
from .setting import Traffic

WORKERS = 96  # threads for the blocking shapes; more calls than that are never under way
CANARY = "CANARY-7f3a"  # what no closed provider and no log may see of a private call
GREETING = "Are you there?"
FEW = 6  # calls under way, of a system that keeps up
CROWD = 18  # and of one that has stalled: until it is steady, no more are begun than that
SOON = 0.05  # seconds until the next look at it


def prompt_of(number: int, long: int = 0) -> str:
    """Return the question of a call; every third has so many words before it."""
    before = "word " * long + "\n" if long and number % 3 == 0 else ""
    return f"{before}question {number} {CANARY}"


def answer_to(prompt: str) -> str:
    """Return the one right answer to a question, which the played models give."""
    prompt = prompt.rpartition("\n")[2]
    return f"To {prompt.replace(CANARY, '').strip()}: one two three four five six seven."


class Stream:
    """The traffic of one world; `start` begins it, `stop` ends it."""

    def __init__(
        self, plan: Traffic, door: Door, notes: Notes, now: Callable[[], float], seed: int
    ) -> None:
        self.plan = plan
        self.door = door
        self.notes = notes
        self._now = now
        self._dice = random.Random(seed)
        self._numbers = itertools.count(1)
        self._stopped = threading.Event()
        self._ended = threading.Condition()
        self._steady = False
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="traffic")
        self._loop = asyncio.new_event_loop()
        self._looper = threading.Thread(target=self._loop.run_forever, name="traffic-async")
        self._dispatcher = threading.Thread(target=self._dispatch, name="traffic-dispatch")

    def start(self) -> None:
        """Warm up, and begin; returns then."""
        self._looper.start()
        self.warm_up()
        self._dispatcher.start()

    def pause(self) -> None:
        """Begin no further calls."""
        self._stopped.set()
        if self._dispatcher.ident is not None:
            self._dispatcher.join()

    def settle(self, seconds: float) -> bool:
        """Wait for the calls that are under way; return whether all have ended."""
        with self._ended:
            return self._ended.wait_for(lambda: not self.under_way, seconds)

    def close(self) -> None:
        """Stop threads and loop; what still hangs must have been let go of before."""
        self.pause()
        self._pool.shutdown(wait=True)
        if self._looper.ident is None:
            self._loop.close()
            return
        asyncio.run_coroutine_threadsafe(_finish_tasks(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._looper.join()
        self._loop.close()

    @property
    def under_way(self) -> int:
        """How many calls have begun and not ended."""
        return sum(call.ended is None for call in tuple(self.notes.calls))

    def warm_up(self) -> None:
        """Call once in each shape: the first calls of a process build clients for a second.

        On a busy machine that may be too long for a tight deadline. Nothing hangs on these calls:
        whether the world is well is asked of the hypothesis, before the fault.
        """
        for shape in self.plan.shapes:
            with suppress(Exception):
                if shape in BLOCKING:
                    self.door.ask(shape, GREETING, lambda piece: None)
                else:
                    self._run(self.door.aask(shape, GREETING, lambda piece: None)).result()

    def wait_steady(self, count: int, seconds: float) -> bool:
        """Wait until so many calls have ended, and few are under way; open loop from then on."""
        with self._ended:
            self._steady = False  # after a stall, too, no crowd may gather while it is waited for
            self._steady = self._ended.wait_for(
                lambda: len(self.notes.calls) - count >= self.under_way <= FEW, seconds
            )
        return self._steady

    def _run(self, work: Awaitable[Any]) -> Future[Any]:
        async def wait() -> Any:
            return await work

        return asyncio.run_coroutine_threadsafe(wait(), self._loop)

    def _dispatch(self) -> None:
        due = self._now()
        while not self._stopped.wait(max(0.0, due - self._now())):
            if not self._steady and self.under_way >= CROWD:
                due = self._now() + SOON  # or one stall at the start is never worked off
                continue
            self._begin(self._dice.choice(self.plan.shapes))
            due += (0.5 + self._dice.random()) / self.plan.rate

    def _begin(self, shape: str) -> None:
        call = CallNote(next(self._numbers), shape, self._now())
        self.notes.calls.append(call)
        if shape in BLOCKING:
            self._pool.submit(self._ask, call)
        else:
            self._run(self._aask(call))

    def _ask(self, call: CallNote) -> None:
        heard: list[str] = []
        with receipts() as log:
            try:
                text = self.door.ask(call.shape, self._prompt(call), heard.append)
            except BaseException as error:
                self._end(call, log, "".join(heard), error)
            else:
                self._end(call, log, text, None)

    async def _aask(self, call: CallNote) -> None:
        heard: list[str] = []
        with receipts() as log:
            try:
                text = await self.door.aask(call.shape, self._prompt(call), heard.append)
            except BaseException as error:
                self._end(call, log, "".join(heard), error)
            else:
                self._end(call, log, text, None)

    def _prompt(self, call: CallNote) -> str:
        return prompt_of(call.number, self.plan.long)

    def _end(self, call: CallNote, log: list[Any], text: str, error: BaseException | None) -> None:
        if log:
            call.fill(log[0])
        if error is not None:
            call.error = type(error).__name__
        call.verdict = judge(text, answer_to(prompt_of(call.number)))
        with self._ended:
            call.ended = self._now()
            self._ended.notify_all()


def judge(text: str, expected: str) -> Verdict:
    """Tell what a caller was shown, against the one right answer."""
    if text == expected:
        return "whole"
    if not text:
        return "none"
    return "partial" if expected.startswith(text) else "wrong"


async def _finish_tasks() -> None:
    """End what is left on this loop as `asyncio.run` does: tasks, then connections."""
    from litellm.llms.custom_httpx.async_client_cleanup import close_litellm_async_clients

    left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    await close_litellm_async_clients()  # type: ignore[no-untyped-call]  # pilotlight-less calls
    await asyncio.get_running_loop().shutdown_asyncgens()  # pilotlight's connections end by it
