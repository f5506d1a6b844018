"""A task that begins at once behaves like any other task, on every Python."""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from typing import Any

import anyio
import pytest

from pgmcp.transport.stdio.eager_task import _EagerTask, start_task

pytestmark = pytest.mark.anyio

Start = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]

STARTERS = [start_task, _EagerTask]
mark: ContextVar[str] = ContextVar("mark", default="outside")


@pytest.fixture(params=STARTERS, ids=["as here", "as on 3.11"])
def start(request: pytest.FixtureRequest) -> Start:
    starter: Start = request.param
    return starter


async def test_what_waits_for_nothing_is_done_at_once(start: Start) -> None:
    done = []

    async def work() -> None:
        done.append(asyncio.current_task())

    task = start(work())

    assert task.done()
    assert done == [task]
    assert asyncio.current_task() is not task


async def test_it_goes_on_after_a_wait_and_keeps_its_context(start: Start) -> None:
    gate = asyncio.Event()
    seen = []

    async def work() -> None:
        mark.set("inside")
        await asyncio.sleep(0)
        await gate.wait()
        seen.extend([mark.get(), asyncio.current_task()])

    task = start(work())
    assert mark.get() == "outside"
    gate.set()
    with anyio.fail_after(5):
        await task

    assert seen == ["inside", task]


async def test_it_can_be_cancelled_where_it_waits(start: Start) -> None:
    cleaned = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append(True)

    task = start(work())
    task.cancel()
    with anyio.fail_after(5):
        await asyncio.wait([task])

    assert task.cancelled()
    assert cleaned == [True]
    assert not task.cancel()


async def test_a_cancel_that_is_caught_does_not_end_it(start: Start) -> None:
    caught = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            caught.append(True)
        await asyncio.sleep(0)

    task = start(work())
    task.cancel()
    with anyio.fail_after(5):
        await task

    assert caught == [True]


async def test_it_is_cancelled_at_its_next_wait_if_it_cancels_itself(start: Start) -> None:
    async def work() -> None:
        current = asyncio.current_task()
        assert current is not None
        current.cancel()
        await asyncio.Event().wait()

    task = start(work())
    with anyio.fail_after(5):
        await asyncio.wait([task])

    assert task.cancelled()


async def test_an_error_is_raised_where_it_is_awaited(start: Start) -> None:
    async def work() -> None:
        await asyncio.sleep(0)
        raise ZeroDivisionError

    with anyio.fail_after(5), pytest.raises(ZeroDivisionError):
        await start(work())


async def test_time_limits_work_in_it(start: Start) -> None:
    outcomes = []

    async def work() -> None:
        try:
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()
        except TimeoutError:
            outcomes.append("late")
        with anyio.move_on_after(0.01):
            await anyio.sleep_forever()
        outcomes.append("moved on")
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(0))
        outcomes.append(await asyncio.to_thread(lambda: "from a thread"))

    with anyio.fail_after(5):
        await start(work())

    assert outcomes == ["late", "moved on", "from a thread"]
