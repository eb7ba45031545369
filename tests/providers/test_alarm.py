"""One deadline for many awaits: what it ends, what it lets be, and what it leaves behind."""

from __future__ import annotations

import asyncio

import pytest

from pilotlight.wire.alarm import Alarm


async def rung(alarm: Alarm) -> None:
    """Enter a first block, and come back when the alarm's time is over."""
    with alarm:
        pass
    while not alarm.rang:
        await asyncio.sleep(0)


def never() -> asyncio.Future[None]:
    return asyncio.get_running_loop().create_future()


def test_a_block_that_waits_longer_ends():
    async def main():
        alarm = Alarm(0.0)
        with pytest.raises(TimeoutError):
            with alarm:
                await never()
        task = asyncio.current_task()
        assert task.cancelling() == 0
        await asyncio.sleep(0)  # and nothing comes after it
        alarm.stop()

    asyncio.run(main())


def test_a_later_block_ends_where_it_waits_and_not_before():
    async def main():
        alarm = Alarm(0.0)
        await rung(alarm)
        with alarm:
            reached = True
        with pytest.raises(TimeoutError):
            with alarm:
                await never()
        for _ in range(3):
            await asyncio.sleep(0)  # the ringing for the block that did not wait is off
        return reached

    assert asyncio.run(main())


def test_without_a_limit_it_never_rings():
    async def main():
        alarm = Alarm(None)
        with alarm:
            await asyncio.sleep(0)
        alarm.stop()
        assert alarm._timer is None

    asyncio.run(main())


@pytest.mark.parametrize("rings", [False, True])
def test_somebody_elses_cancellation_is_theirs(rings):
    """Even where the alarm rings at the same moment."""

    async def block(alarm, inside):
        with alarm:
            inside.set()
            await never()

    async def main():
        alarm, inside = Alarm(100.0), asyncio.Event()
        task = asyncio.create_task(block(alarm, inside))
        await inside.wait()
        if rings:
            alarm._ring()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()

    asyncio.run(main())


def test_what_the_block_raises_by_itself_comes_out_as_it_is():
    async def main():
        alarm = Alarm(100.0)
        with pytest.raises(ValueError, match="its own"):
            with alarm:
                raise ValueError("its own")
        with pytest.raises(ValueError, match="on its way out"):
            with alarm:
                alarm._ring()
                try:
                    await never()
                except asyncio.CancelledError:
                    raise ValueError("on its way out") from None
        assert asyncio.current_task().cancelling() == 0

    asyncio.run(main())


def test_a_stopped_alarm_leaves_no_timer():
    async def main():
        alarm = Alarm(100.0)
        with alarm:
            await asyncio.sleep(0)
        timer = alarm._timer
        assert isinstance(timer, asyncio.TimerHandle)
        alarm.stop()
        assert timer.cancelled()

    asyncio.run(main())
