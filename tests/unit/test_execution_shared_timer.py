"""One timer serves many deadlines, and the earliest first."""

import asyncio
from functools import partial

import anyio
import pytest

from pgmcp.execution.shared_timer import SharedTimer
from testing.facts import TIMEOUT_S

pytestmark = pytest.mark.anyio


async def test_deadlines_are_reached_in_their_order() -> None:
    timer, last = SharedTimer(), anyio.Event()
    reached: list[str] = []
    timer.set("late", 0.03, last.set)
    for key, left_s in (("second", 0.02), ("first", 0.0), ("cleared", 0.01)):
        timer.set(key, left_s, partial(reached.append, key))
    timer.clear("cleared")

    with anyio.fail_after(TIMEOUT_S):
        await last.wait()

    assert reached == ["first", "second"]


async def test_an_act_can_set_the_next_deadline_of_its_key() -> None:
    timer, done = SharedTimer(), anyio.Event()
    timer.set("key", 0, lambda: timer.set("key", 0, done.set))

    with anyio.fail_after(TIMEOUT_S):
        await done.wait()


async def test_a_future_that_is_not_done_in_time_fails() -> None:
    timer = SharedTimer()
    waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    with anyio.fail_after(TIMEOUT_S), pytest.raises(TimeoutError), timer.fails(waiting, 0.01):
        await waiting


async def test_a_future_that_was_left_in_time_does_not_fail() -> None:
    timer, later = SharedTimer(), anyio.Event()
    waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    with timer.fails(waiting, 0.01):
        pass
    timer.set("later", 0.02, later.set)

    with anyio.fail_after(TIMEOUT_S):
        await later.wait()

    assert not waiting.done()
