import asyncio

import anyio
import pytest

from pgmcp.execution.lanes import Lanes

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(("workers", "reserved"), [(1, 0), (2, 0), (3, 1), (4, 1), (8, 2), (20, 5)])
def test_one_worker_in_four_is_reserved_where_there_are_enough(workers: int, reserved: int) -> None:
    lanes = Lanes(workers)

    entered = sum(lanes.try_enter() for _ in range(workers))

    assert (lanes.reserved, entered) == (reserved, workers - reserved)


async def entering(lanes: Lanes) -> asyncio.Task[None]:
    """Return a task that waits for the lane, or is in it."""
    task = asyncio.create_task(lanes.enter())
    await anyio.wait_all_tasks_blocked()
    return task


async def test_whoever_waits_longest_enters_first() -> None:
    lanes = Lanes(1)
    lanes.try_enter()
    first, second = await entering(lanes), await entering(lanes)

    lanes.leave()
    await anyio.wait_all_tasks_blocked()

    assert (first.done(), second.done(), lanes.waiting_count) == (True, False, 1)
    lanes.leave()
    await second


async def test_nobody_enters_past_those_who_wait() -> None:
    lanes = Lanes(1)
    lanes.try_enter()
    waiting = await entering(lanes)

    assert not lanes.try_enter()

    lanes.leave()
    await waiting


async def test_whoever_stops_waiting_gives_up_the_place() -> None:
    lanes = Lanes(1)
    lanes.try_enter()
    leaver, stayer = await entering(lanes), await entering(lanes)

    leaver.cancel()
    await anyio.wait_all_tasks_blocked()
    lanes.leave()

    await stayer
    assert lanes.waiting_count == 0


async def test_a_place_given_to_one_who_leaves_at_that_moment_goes_to_the_next() -> None:
    lanes = Lanes(1)
    lanes.try_enter()
    leaver, stayer = await entering(lanes), await entering(lanes)

    lanes.leave()
    leaver.cancel()

    await stayer
    lanes.leave()
    assert lanes.try_enter()
