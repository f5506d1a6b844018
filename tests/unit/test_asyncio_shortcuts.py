"""One timer serves many deadlines, the earliest first, and a prompt future resumes its task at once."""

import asyncio
from functools import partial

import anyio
import pytest

from pgmcp.asyncio_shortcuts import PromptFuture, SharedTimer
from testing.processes import TIMEOUT_S

pytestmark = pytest.mark.anyio


async def test_the_timer_calls_back_in_the_order_of_the_deadlines() -> None:
    timer, last = SharedTimer(), anyio.Event()
    reached: list[str] = []
    timer.set("late", 0.03, last.set)
    for key, left_s in (("second", 0.02), ("first", 0.0), ("cleared", 0.01)):
        timer.set(key, left_s, partial(reached.append, key))
    timer.clear("cleared")

    with anyio.fail_after(TIMEOUT_S):
        await last.wait()

    assert reached == ["first", "second"]


async def test_a_callback_can_set_the_next_deadline_of_its_key() -> None:
    timer, done = SharedTimer(), anyio.Event()
    timer.set("key", 0, lambda: timer.set("key", 0, done.set))

    with anyio.fail_after(TIMEOUT_S):
        await done.wait()


async def test_a_future_that_is_not_done_at_its_deadline_fails() -> None:
    timer = SharedTimer()
    waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    with anyio.fail_after(TIMEOUT_S), pytest.raises(TimeoutError), timer.fails(waiting, 0.01):
        await waiting


async def test_a_future_does_not_fail_after_its_block_has_ended() -> None:
    timer, later = SharedTimer(), anyio.Event()
    waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    with timer.fails(waiting, 0.01):
        pass
    timer.set("later", 0.02, later.set)

    with anyio.fail_after(TIMEOUT_S):
        await later.wait()

    assert not waiting.done()


async def _take(future: PromptFuture[int], taken: list[int]) -> None:
    taken.append(await future)


async def _begun(future: PromptFuture[int], taken: list[int]) -> asyncio.Task[None]:
    """Return a task that already waits for the future."""
    task = asyncio.create_task(_take(future, taken))
    await asyncio.sleep(0)
    return task


async def test_a_callback_of_the_loop_resumes_the_task_at_once() -> None:
    future: PromptFuture[int] = PromptFuture()
    taken: list[int] = []
    seen_by_callback: list[list[int]] = []

    def act() -> None:
        future.resolve(7)
        seen_by_callback.append(list(taken))

    task = await _begun(future, taken)
    asyncio.get_running_loop().call_soon(act)
    with anyio.fail_after(5):
        await task

    assert seen_by_callback == [[7]]


async def test_if_another_task_resolves_it_the_waiting_task_continues_later() -> None:
    future: PromptFuture[int] = PromptFuture()
    taken: list[int] = []
    task = await _begun(future, taken)

    future.resolve(7)
    before = list(taken)
    with anyio.fail_after(5):
        await task

    assert before == []
    assert taken == [7]


async def test_a_result_can_come_before_it_is_waited_for() -> None:
    future: PromptFuture[int] = PromptFuture()

    future.resolve(7)

    assert await future == 7


async def test_a_cancelled_wait_ends_as_usual() -> None:
    future: PromptFuture[int] = PromptFuture()
    task = await _begun(future, [])

    task.cancel()
    with anyio.fail_after(5), pytest.raises(asyncio.CancelledError):
        await task

    assert future.cancelled()
