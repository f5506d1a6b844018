"""Calls get workers in order and within their deadline, or a clear error."""

from collections.abc import Callable

import anyio
import pytest

from pgmcp.errors import BusyError, DeadlineExceededError
from pgmcp.execution.result import RowLimits
from pgmcp.execution.supervisor import Supervisor
from testing.processes import TIMEOUT_S
from testing.scripted_worker import ScriptedWorkers, closed_gate
from worker.protocol import StatementOrigin

pytestmark = pytest.mark.anyio

Supervise = Callable[..., Supervisor]

SOON_S = 0.05
LIMITS = RowLimits(max_rows=10, max_bytes=1 << 20, max_cell_bytes=1 << 16)


class Callers:
    """Concurrent calls.

    Attributes:
        ended: the outcome of each call, in the order in which the calls ended.
    """

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self.ended: list[object] = []

    async def call(self, statement: str, timeout_s: float = TIMEOUT_S) -> None:
        try:
            rows = await self._supervisor.execute(
                statement, LIMITS, origin=StatementOrigin.CALLER, can_be_wrapped=False, timeout_s=timeout_s
            )
        except (BusyError, DeadlineExceededError) as error:
            self.ended.append(type(error))
        else:
            self.ended.append(rows.rows[0][0])


async def test_a_full_queue_refuses_at_once_and_says_when_to_retry(supervise: Supervise) -> None:
    supervisor = supervise(ScriptedWorkers().spawn, max_workers=1, max_waiting=1)
    callers = Callers(supervisor)

    async with closed_gate() as gate, anyio.create_task_group() as tasks:
        tasks.start_soon(callers.call, gate.hold())
        await gate.arrival()
        tasks.start_soon(callers.call, "echo waited")
        await anyio.wait_all_tasks_blocked()
        with anyio.fail_after(TIMEOUT_S), pytest.raises(BusyError) as raised:
            await supervisor.execute(
                "echo third", LIMITS, origin=StatementOrigin.CALLER, can_be_wrapped=False, timeout_s=TIMEOUT_S
            )
        gate.open()

    assert raised.value.retry_after_s > 0
    assert callers.ended == ["held", "waited"]


async def test_without_a_queue_all_workers_can_still_be_used(supervise: Supervise) -> None:
    callers = Callers(supervise(ScriptedWorkers().spawn, max_workers=2, max_waiting=0))

    async with closed_gate() as gate, anyio.create_task_group() as tasks:
        with anyio.fail_after(TIMEOUT_S):
            for _ in range(2):
                tasks.start_soon(callers.call, gate.hold())
            for _ in range(2):
                await gate.arrival()
            await callers.call("echo third")
        gate.open()

    assert callers.ended == [BusyError, "held", "held"]


async def test_waiting_callers_are_served_in_order(supervise: Supervise) -> None:
    callers = Callers(supervise(ScriptedWorkers().spawn))

    async with closed_gate() as gate, anyio.create_task_group() as tasks:
        tasks.start_soon(callers.call, gate.hold())
        await gate.arrival()
        for number in range(5):
            tasks.start_soon(callers.call, f"echo {number}")
        await anyio.wait_all_tasks_blocked()
        gate.open()

    assert callers.ended == ["held", "0", "1", "2", "3", "4"]


async def test_waiting_counts_against_the_deadline(supervise: Supervise) -> None:
    callers = Callers(supervise(ScriptedWorkers().spawn))

    async with closed_gate() as gate, anyio.create_task_group() as tasks:
        tasks.start_soon(callers.call, gate.hold())
        await gate.arrival()
        with anyio.fail_after(TIMEOUT_S):
            await callers.call("echo late", SOON_S)
        assert callers.ended == [DeadlineExceededError]
        gate.open()

    assert callers.ended == [DeadlineExceededError, "held"]


async def test_a_caller_that_leaves_the_queue_is_skipped(supervise: Supervise) -> None:
    callers = Callers(supervise(ScriptedWorkers().spawn))

    async with closed_gate() as gate, anyio.create_task_group() as tasks:
        tasks.start_soon(callers.call, gate.hold())
        await gate.arrival()
        async with anyio.create_task_group() as leaving:
            leaving.start_soon(callers.call, "echo gone")
            await anyio.wait_all_tasks_blocked()
            tasks.start_soon(callers.call, "echo stays")
            await anyio.wait_all_tasks_blocked()
            leaving.cancel_scope.cancel()
        gate.open()

    assert callers.ended == ["held", "stays"]


async def test_the_place_of_a_caller_that_left_can_be_taken(supervise: Supervise) -> None:
    callers = Callers(supervise(ScriptedWorkers().spawn, max_waiting=1))

    async with closed_gate() as gate, anyio.create_task_group() as tasks:
        tasks.start_soon(callers.call, gate.hold())
        await gate.arrival()
        with anyio.move_on_after(SOON_S):
            await callers.call("echo gone")
        tasks.start_soon(callers.call, "echo stays")
        await anyio.wait_all_tasks_blocked()
        gate.open()

    assert callers.ended == ["held", "stays"]


async def test_callers_that_wait_for_a_killed_worker_get_its_successor(
    supervise: Supervise,
) -> None:
    callers = Callers(supervise(ScriptedWorkers().spawn))
    await callers.call("echo ready")

    async with closed_gate() as gate, anyio.create_task_group() as tasks:
        tasks.start_soon(callers.call, gate.hold(), SOON_S)
        await gate.arrival()
        for number in range(3):
            tasks.start_soon(callers.call, f"echo {number}")

    assert callers.ended == ["ready", DeadlineExceededError, "0", "1", "2"]


async def test_no_more_workers_run_than_are_allowed(supervise: Supervise) -> None:
    workers = ScriptedWorkers()
    callers = Callers(supervise(workers.spawn, max_workers=2, max_waiting=20))

    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(callers.call, f"echo {number}")

    assert set(callers.ended) == {str(number) for number in range(20)}
    assert len(workers.pids) == 2
