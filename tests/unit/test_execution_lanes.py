import asyncio
from collections.abc import Callable

import anyio
import pytest

from pgmcp.execution.lanes import BLOCKED_AFTER_S, Lanes

pytestmark = pytest.mark.anyio


class Time:
    """A clock that a test advances; `advance` calls the timers that are due."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._timers: list[tuple[float, Callable[[], None]]] = []

    def call_later(self, delay_s: float, call: Callable[[], None], /) -> None:
        self._timers.append((self.now_s + delay_s, call))

    def advance(self, seconds: float) -> None:
        self.now_s += seconds
        due = [timer for timer in self._timers if timer[0] <= self.now_s]
        self._timers = [timer for timer in self._timers if timer[0] > self.now_s]
        for _, call in due:
            call()


def lanes_of(workers: int, time: Time) -> Lanes:
    return Lanes(workers, clock=lambda: time.now_s, call_later=time.call_later)


async def enter(lanes: Lanes, *, is_patient: bool = True) -> bool:
    return await lanes.wait(lanes.ask(is_patient=is_patient))


async def entering(lanes: Lanes) -> asyncio.Task[bool]:
    """Return a task that waits for the lane or has entered it."""
    task = asyncio.create_task(enter(lanes))
    await anyio.wait_all_tasks_blocked()
    return task


async def test_the_longest_waiter_enters_first() -> None:
    lanes = Lanes(1)
    lanes.try_enter()
    first, second = await entering(lanes), await entering(lanes)

    lanes.leave()
    await anyio.wait_all_tasks_blocked()

    assert (first.done(), second.done(), lanes.waiting_count) == (True, False, 1)
    lanes.leave()
    await second


async def test_no_caller_overtakes_waiting_ones() -> None:
    lanes = Lanes(1)
    lanes.try_enter()
    waiting = await entering(lanes)

    assert not lanes.try_enter()

    lanes.leave()
    await waiting


async def test_no_principal_gets_the_last_place_while_others_might_need_it() -> None:
    lanes = Lanes(4)  # three places
    assert lanes.try_enter("alice")
    assert lanes.try_enter("alice")
    assert not lanes.try_enter("alice")
    third = lanes.ask(principal="alice")

    assert lanes.try_enter("bob")
    of_bob, of_carol = lanes.ask(principal="bob"), lanes.ask(principal="carol")
    lanes.leave("bob")
    assert (third.done(), of_bob.done(), of_carol.done()) == (False, True, False)
    lanes.leave("alice")

    assert (third.done(), of_carol.done()) == (True, False)
    lanes.leave("bob")
    assert of_carol.done()


async def test_a_principal_that_waits_for_its_own_statements_finds_the_lane_blocked() -> None:
    time = Time()
    lanes = lanes_of(4, time)
    lanes.try_enter("alice")
    lanes.try_enter("alice")
    impatient = lanes.ask(is_patient=False, principal="alice")
    time.advance(BLOCKED_AFTER_S)

    assert await lanes.wait(impatient, "alice") is False
    assert lanes.try_enter("bob")


async def test_a_caller_that_stops_waiting_loses_its_place() -> None:
    lanes = Lanes(1)
    lanes.try_enter()
    leaver, stayer = await entering(lanes), await entering(lanes)

    leaver.cancel()
    await anyio.wait_all_tasks_blocked()
    lanes.leave()

    await stayer
    assert lanes.waiting_count == 0


async def test_the_place_of_a_caller_that_leaves_meanwhile_goes_to_the_next() -> None:
    lanes = Lanes(1)
    lanes.try_enter()
    leaver, stayer = await entering(lanes), await entering(lanes)

    lanes.leave()
    leaver.cancel()

    await stayer
    lanes.leave()
    assert lanes.try_enter()


async def test_an_impatient_caller_does_not_wait_for_a_blocked_lane() -> None:
    time = Time()
    lanes = lanes_of(3, time)
    assert lanes.try_enter()
    assert lanes.try_enter()
    time.advance(BLOCKED_AFTER_S)

    assert not await enter(lanes, is_patient=False)


async def test_a_caller_that_waits_in_a_moving_lane_enters_it() -> None:
    time = Time()
    lanes = lanes_of(1, time)
    lanes.try_enter()
    waiting = [asyncio.create_task(enter(lanes, is_patient=False)) for _ in range(3)]
    await anyio.wait_all_tasks_blocked()

    for _ in waiting:
        time.advance(BLOCKED_AFTER_S * 0.9)
        lanes.leave()

    assert await asyncio.gather(*waiting) == [True] * 3


async def test_an_impatient_caller_stops_waiting_when_the_lane_gets_blocked() -> None:
    time = Time()
    lanes = lanes_of(1, time)
    lanes.try_enter()
    impatient = asyncio.create_task(enter(lanes, is_patient=False))
    patient = await entering(lanes)

    time.advance(BLOCKED_AFTER_S)

    assert await impatient is False
    assert lanes.waiting_count == 1
    lanes.leave()
    await patient


async def test_a_lane_that_moved_meanwhile_is_checked_again() -> None:
    time = Time()
    lanes = lanes_of(1, time)
    lanes.try_enter()
    first = await entering(lanes)
    impatient = asyncio.create_task(enter(lanes, is_patient=False))
    await anyio.wait_all_tasks_blocked()
    time.advance(BLOCKED_AFTER_S * 0.9)
    lanes.leave()
    await first

    time.advance(BLOCKED_AFTER_S * 0.2)
    assert not impatient.done()
    time.advance(BLOCKED_AFTER_S)

    assert await impatient is False
