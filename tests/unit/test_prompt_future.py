"""A task that waits for a prompt future goes on before `resolve` returns."""

import asyncio

import anyio
import pytest

from pgmcp.prompt_future import PromptFuture

pytestmark = pytest.mark.anyio


async def _take(future: PromptFuture[int], taken: list[int]) -> None:
    taken.append(await future)


async def _begun(future: PromptFuture[int], taken: list[int]) -> asyncio.Task[None]:
    """Return a task that waits for the future."""
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


async def test_another_task_lets_it_go_on_later() -> None:
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
