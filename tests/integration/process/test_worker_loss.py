"""A worker dies or breaks the protocol: one clear error, no process remains, and the next call works."""

import functools
from collections.abc import Callable

import anyio
import anyio.lowlevel
import pytest

from pgmcp.errors import BusyError, DeadlineExceededError, UnreachableError, WorkerLostError
from pgmcp.execution.result import RowLimits
from pgmcp.execution.spawn import Child
from pgmcp.execution.supervisor import Supervisor
from pgmcp.execution.worker_starts import FIRST_DELAY_S, FREE_ATTEMPTS
from testing.processes import TIMEOUT_S, is_there, until, until_gone
from testing.scripted_worker import BREAKAGES, ScriptedWorkers, closed_gate
from worker.protocol import StatementOrigin

pytestmark = pytest.mark.anyio

Supervise = Callable[..., Supervisor]

SOON_S = 0.05
LIMITS = RowLimits(max_rows=10, max_bytes=1 << 20, max_cell_bytes=1 << 16)


class SlowToEnd:
    """A worker that, once killed, counts as ended only after the test has set `may_end`."""

    def __init__(self, child: Child) -> None:
        self._child = child
        self.pid = child.pid
        self.listen, self.send, self.close = child.listen, child.send, child.close
        self.killed = anyio.Event()
        self.may_end = anyio.Event()

    @property
    def has_ended(self) -> bool:
        return self._child.has_ended

    def kill(self) -> None:
        self._child.kill()
        self.killed.set()

    async def wait(self) -> None:
        await self._child.wait()
        if self.killed.is_set():
            await self.may_end.wait()


async def run(supervisor: Supervisor, statement: str, *, timeout_s: float = TIMEOUT_S) -> object:
    """Run a statement of `testing.scripted_worker`, and return the echoed words."""
    with anyio.fail_after(TIMEOUT_S):
        rows = await supervisor.execute(
            statement, LIMITS, origin=StatementOrigin.CALLER, can_be_wrapped=True, timeout_s=timeout_s
        )
    return rows.rows[0][0]


@pytest.mark.parametrize("breakage", BREAKAGES)
async def test_a_worker_that_dies_in_a_call_gives_one_clear_error(
    supervise: Supervise, breakage: str
) -> None:
    workers = ScriptedWorkers()
    supervisor = supervise(workers.spawn)

    with pytest.raises(WorkerLostError):
        await run(supervisor, breakage)
    await until_gone(workers.pids[0])

    assert await run(supervisor, "echo next") == "next"


@pytest.mark.parametrize("opening", ["die-at-once", *sorted(BREAKAGES.keys() - {"send-garbage-rows"})])
async def test_a_worker_that_dies_while_connecting_gives_one_clear_error(
    supervise: Supervise, opening: str
) -> None:
    workers = ScriptedWorkers(opening)
    supervisor = supervise(workers.spawn)

    with pytest.raises(WorkerLostError):
        await run(supervisor, "echo first")
    assert not is_there(workers.pids[0])

    assert await run(supervisor, "echo next") == "next"


async def test_a_refused_connection_is_reported_and_its_worker_ends(supervise: Supervise) -> None:
    workers = ScriptedWorkers("refuse")
    supervisor = supervise(workers.spawn)

    with pytest.raises(UnreachableError):
        await run(supervisor, "echo first")
    assert not is_there(workers.pids[0])

    assert await run(supervisor, "echo next") == "next"


async def test_a_worker_that_dies_between_statements_affects_no_call(supervise: Supervise) -> None:
    workers = ScriptedWorkers()
    supervisor = supervise(workers.spawn)

    assert await run(supervisor, "echo-and-die first") == "first"
    await until_gone(workers.pids[0])

    assert await run(supervisor, "echo next") == "next"


async def test_a_worker_that_asks_to_be_recycled_is_replaced_after_its_answer(supervise: Supervise) -> None:
    workers = ScriptedWorkers()
    supervisor = supervise(workers.spawn)

    assert await run(supervisor, "echo-recycle last") == "last"
    await until_gone(workers.pids[0])

    assert await run(supervisor, "echo next") == "next"


async def test_a_refusal_does_not_fail_calls_that_another_worker_can_serve(supervise: Supervise) -> None:
    workers = ScriptedWorkers("open", "refuse")
    supervisor = supervise(workers.spawn, max_workers=2)
    answers: list[object] = []

    async def call(statement: str) -> None:
        answers.append(await run(supervisor, statement))

    async with closed_gate() as gate, anyio.create_task_group() as callers:
        callers.start_soon(call, gate.hold())
        await gate.arrival()
        callers.start_soon(call, "echo waited")
        await until(lambda: len(workers.pids) == 2, "a second worker is started")
        await until_gone(workers.pids[1])
        gate.open()

    assert answers == ["held", "waited"]


async def test_attempts_pause_after_repeated_refusals(supervise: Supervise) -> None:
    workers = ScriptedWorkers(*["refuse"] * (FREE_ATTEMPTS + 1))
    now_s = 0.0
    supervisor = supervise(workers.spawn, clock=lambda: now_s)

    for _ in range(FREE_ATTEMPTS + 3):
        with pytest.raises(UnreachableError):
            await run(supervisor, "echo first")
    assert len(workers.pids) == FREE_ATTEMPTS + 1

    now_s = FIRST_DELAY_S
    assert await run(supervisor, "echo next") == "next"


async def test_a_program_that_cannot_be_started_is_a_lost_worker(supervise: Supervise) -> None:
    async def spawn() -> None:
        raise FileNotFoundError(2, "No such file or directory")

    with pytest.raises(WorkerLostError, match="No such file"):
        await run(supervise(spawn), "echo first")


async def test_a_worker_silent_at_its_deadline_is_dead_when_its_caller_gets_the_error(
    supervise: Supervise,
) -> None:
    workers = ScriptedWorkers()
    supervisor = supervise(workers.spawn)
    await run(supervisor, "echo ready")

    async with closed_gate() as gate:
        with pytest.raises(DeadlineExceededError, match=r"0\.05 s"):
            await run(supervisor, gate.hold(), timeout_s=SOON_S)
        assert not is_there(workers.pids[0])

        assert await run(supervisor, "echo next") == "next"


async def test_a_worker_that_obeys_a_cancel_is_kept(supervise: Supervise) -> None:
    workers = ScriptedWorkers()
    supervisor = supervise(workers.spawn)
    await run(supervisor, "echo ready")

    with pytest.raises(DeadlineExceededError):
        await run(supervisor, "fail-on-cancel", timeout_s=SOON_S)

    assert await run(supervisor, "echo next") == "next"
    assert len(workers.pids) == 1


async def test_an_answer_that_comes_with_the_cancel_is_still_an_answer(supervise: Supervise) -> None:
    supervisor = supervise(ScriptedWorkers().spawn)
    await run(supervisor, "echo ready")

    assert await run(supervisor, "echo-on-cancel late", timeout_s=SOON_S) == "late"
    assert await run(supervisor, "echo next") == "next"


@pytest.mark.parametrize("statement", ["echo-on-cancel stale", "fail-on-cancel"])
async def test_no_other_call_gets_the_late_reply_of_a_cancelled_one(
    supervise: Supervise, statement: str
) -> None:
    workers = ScriptedWorkers()
    supervisor = supervise(workers.spawn)
    await run(supervisor, "echo ready")

    with anyio.move_on_after(SOON_S):
        await run(supervisor, statement)

    assert await run(supervisor, "echo next") == "next"
    assert len(workers.pids) == 1


async def test_a_worker_that_ignores_the_cancel_of_its_caller_is_killed(supervise: Supervise) -> None:
    workers = ScriptedWorkers()
    supervisor = supervise(workers.spawn)

    async with closed_gate() as gate:
        async with anyio.create_task_group() as callers:
            callers.start_soon(run, supervisor, gate.hold())
            await gate.arrival()
            callers.cancel_scope.cancel()
        await until_gone(workers.pids[0])

        assert await run(supervisor, "echo next") == "next"


async def test_a_caller_that_leaves_while_its_worker_is_killed_frees_its_place(supervise: Supervise) -> None:
    workers = ScriptedWorkers()
    children: list[SlowToEnd] = []

    async def spawn() -> Child:
        children.append(SlowToEnd(await workers.spawn()))
        return children[-1]

    supervisor = supervise(spawn)
    await run(supervisor, "echo ready")

    async with closed_gate() as gate, anyio.create_task_group() as callers:
        callers.start_soon(functools.partial(run, supervisor, gate.hold(), timeout_s=SOON_S))
        await children[0].killed.wait()
        callers.cancel_scope.cancel()
    children[0].may_end.set()

    assert await run(supervisor, "echo next") == "next"


async def test_text_that_cannot_be_sent_does_not_end_the_worker(supervise: Supervise) -> None:
    workers = ScriptedWorkers()
    supervisor = supervise(workers.spawn)

    with pytest.raises(UnicodeEncodeError):
        await run(supervisor, "echo \ud800")

    assert await run(supervisor, "echo next") == "next"


@pytest.mark.parametrize("opening", ["open", "die"])
async def test_closing_leaves_no_process(supervise: Supervise, opening: str) -> None:
    workers = ScriptedWorkers(opening)
    supervisor = supervise(workers.spawn, max_workers=3)
    supervisor.prestart()
    await until(lambda: len(workers.pids) > 0, "a worker is started")

    with anyio.fail_after(TIMEOUT_S):
        await supervisor.close()

    assert [pid for pid in workers.pids if is_there(pid)] == []


async def test_closing_ends_a_statement_that_runs_with_one_clear_error(supervise: Supervise) -> None:
    workers = ScriptedWorkers()
    supervisor = supervise(workers.spawn)
    errors: list[WorkerLostError] = []

    async def call(statement: str) -> None:
        with pytest.raises(WorkerLostError) as raised:
            await run(supervisor, statement)
        errors.append(raised.value)

    async with closed_gate() as gate, anyio.create_task_group() as callers:
        callers.start_soon(call, gate.hold())
        await gate.arrival()
        callers.start_soon(call, "echo waits")
        await anyio.wait_all_tasks_blocked()
        with anyio.fail_after(TIMEOUT_S):
            await supervisor.close()
        assert [pid for pid in workers.pids if is_there(pid)] == []

    assert len(errors) == 2


async def test_a_call_after_closing_is_refused_and_starts_nothing(supervise: Supervise) -> None:
    workers = ScriptedWorkers()
    supervisor = supervise(workers.spawn)
    await supervisor.close()

    with pytest.raises(WorkerLostError):
        await run(supervisor, "echo first", timeout_s=1)
    assert workers.pids == []


async def test_only_an_end_that_the_server_reported_counts_as_stopped(supervise: Supervise) -> None:
    supervisor = supervise(ScriptedWorkers().spawn)
    await run(supervisor, "echo ready")

    with pytest.raises(DeadlineExceededError, match="on the server too") as stopped:
        await run(supervisor, "fail-on-cancel", timeout_s=SOON_S)
    async with closed_gate() as gate:
        with pytest.raises(DeadlineExceededError, match="may still be running") as given_up:
            await run(supervisor, gate.hold(), timeout_s=SOON_S)

    assert (stopped.value.is_stopped, given_up.value.is_stopped) == (True, False)


async def test_calls_do_not_wait_for_a_statement_that_blocks_a_shared_session(
    supervise: Supervise,
) -> None:
    async with closed_gate() as gate:
        workers = ScriptedWorkers("shared", gate.shared_opening())
        supervisor = supervise(workers.spawn)
        await run(supervisor, "echo ready")
        async with closed_gate() as other_gate:
            with pytest.raises(DeadlineExceededError, match="may still be running"):
                await run(supervisor, other_gate.hold(), timeout_s=SOON_S)

        with pytest.raises(BusyError, match="one session for all connections"):
            await run(supervisor, "echo refused")
        with anyio.fail_after(TIMEOUT_S):
            await gate.arrival()
        gate.open()

        with anyio.fail_after(TIMEOUT_S):
            while not await _is_served(supervisor):
                await anyio.lowlevel.checkpoint()


async def _is_served(supervisor: Supervisor) -> bool:
    try:
        return await run(supervisor, "echo served") == "served"
    except BusyError:
        return False
