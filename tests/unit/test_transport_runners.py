"""Requests run in reused tasks, and begin at once."""

import asyncio
from functools import partial

import anyio
import pytest

from pgmcp.transport.stdio.runners import Runners

pytestmark = pytest.mark.anyio


class _Caller:
    """Starts work in a callback of the event loop, as the transport does."""

    def __init__(self) -> None:
        self.runners = Runners()
        self.tasks: list[asyncio.Task[None]] = []
        self.log: list[str] = []

    async def start(self, name: str, gate: asyncio.Event | None = None) -> None:
        called = asyncio.Event()

        def call() -> None:
            self.runners.start(partial(self._work, name, gate), self.tasks.append)
            self.log.append(f"{name} called")
            called.set()

        asyncio.get_running_loop().call_soon(call)
        with anyio.fail_after(5):
            await called.wait()

    async def _work(self, name: str, gate: asyncio.Event | None) -> None:
        self.log.append(f"{name} begins")
        if gate is not None:
            await gate.wait()
        self.log.append(f"{name} ends")


async def test_a_second_coroutine_runs_in_the_first_ones_task_before_start_returns() -> None:
    caller = _Caller()

    await caller.start("first")
    await asyncio.sleep(0)
    await caller.start("second")
    await caller.runners.close()

    assert caller.tasks[0] is caller.tasks[1]
    assert caller.log[:3] == ["first called", "first begins", "first ends"]
    assert caller.log[3:] == ["second begins", "second ends", "second called"]
    assert caller.tasks[0].done()


async def test_coroutines_that_wait_have_separate_tasks() -> None:
    caller, gate = _Caller(), asyncio.Event()

    await caller.start("first", gate)
    await caller.start("second", gate)
    first, second = caller.tasks
    gate.set()
    await asyncio.sleep(0)
    await caller.runners.close()

    assert first is not second
    assert sorted(caller.log[-2:]) == ["first ends", "second ends"]


async def test_a_cancelled_task_is_not_used_again() -> None:
    caller, gate = _Caller(), asyncio.Event()
    await caller.start("first", gate)
    await asyncio.sleep(0)

    caller.tasks[0].cancel()
    with anyio.fail_after(5):
        await asyncio.wait(caller.tasks)
    await caller.start("second")
    await asyncio.sleep(0)
    await caller.runners.close()

    assert caller.tasks[0].cancelled()
    assert caller.tasks[1] is not caller.tasks[0]
    assert caller.log[-1] == "second ends"
