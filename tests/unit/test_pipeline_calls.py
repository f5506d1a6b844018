"""One timer for the time limit of all calls: only late calls are cancelled."""

import asyncio

import anyio
import pytest

from pgmcp.execution.shared_timer import SharedTimer
from pgmcp.pipeline.calls import TimeLimit

pytestmark = pytest.mark.anyio

SHORT_S = 0.01


async def wait_for_ever() -> None:
    await asyncio.Event().wait()


async def test_a_late_call_ends_in_a_timeout() -> None:
    timer = SharedTimer()
    task = asyncio.current_task()

    with anyio.fail_after(5), pytest.raises(TimeoutError), TimeLimit(timer, SHORT_S):
        await wait_for_ever()

    assert task is not None
    assert task.cancelling() == 0


async def test_each_of_many_late_calls_ends() -> None:
    timer = SharedTimer()

    async def call() -> None:
        with TimeLimit(timer, SHORT_S):
            await wait_for_ever()

    with anyio.fail_after(5):
        ends = await asyncio.gather(*(call() for _ in range(5)), return_exceptions=True)
        ends += await asyncio.gather(call(), return_exceptions=True)  # after the timer has run

    assert [type(end) for end in ends] == [TimeoutError] * 6


async def test_a_call_that_has_ended_is_not_cancelled_later() -> None:
    timer = SharedTimer()
    with TimeLimit(timer, SHORT_S):
        pass

    with anyio.fail_after(5), pytest.raises(TimeoutError), TimeLimit(timer, SHORT_S):
        await wait_for_ever()  # its deadline comes after that of the first


async def test_a_cancelled_call_stays_cancelled() -> None:
    timer = SharedTimer()
    begun = asyncio.Event()

    async def call() -> None:
        with TimeLimit(timer, 60):
            begun.set()
            await wait_for_ever()

    task = asyncio.create_task(call())
    await begun.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_error_of_a_late_call_is_not_hidden() -> None:
    timer = SharedTimer()

    async def call() -> None:
        with TimeLimit(timer, SHORT_S):
            try:
                await wait_for_ever()
            except asyncio.CancelledError:
                raise ZeroDivisionError from None

    with anyio.fail_after(5), pytest.raises(ZeroDivisionError):
        await call()
