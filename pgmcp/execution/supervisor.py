"""Decides which worker runs a statement, and how long the statement waits for one.

There is one supervisor for each database. Its workers connect only to that database. `exchange` runs the
statement on its worker. The time that a statement waits for a worker counts towards its deadline.

If long-running statements block the general lane (see `lanes`), the planner estimates the cost of the next
statement. A cheap statement runs in the express lane, on a reserved worker; any other waits for the general
lane. A statement that differs from a cheap one only in literals is tried in the express lane for a moment,
without an estimate.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from pgmcp.asyncio_shortcuts import SharedTimer
from pgmcp.errors import (
    BusyError,
    ConnectionLimitError,
    DatabaseAuthError,
    ExecutionError,
    StatementFailedError,
    TooExpensiveError,
    UnreachableError,
    WorkerLostError,
)
from pgmcp.execution.allocation import PoolSize
from pgmcp.execution.connecting import ConnectionTarget
from pgmcp.execution.exchange import DisconnectedError, Exchanges, Statement
from pgmcp.execution.lanes import Lanes
from pgmcp.execution.plan import BRIEF_S, EXPLAIN, CheapStatements, Plan, read_plan
from pgmcp.execution.pool import WorkerPool
from pgmcp.execution.replies import no_worker, read_rows
from pgmcp.execution.result import Identity, RowLimits, Rows
from pgmcp.execution.spawn import Spawn
from pgmcp.execution.worker_process import WorkerProcess
from pgmcp.plural import count_of
from worker.protocol import (
    SHARED_SESSION,
    Failure,
    FailureCode,
    Reply,
    StatementMode,
    StatementOrigin,
)

T = TypeVar("T")

__all__ = ["SHARED_SESSION", "Supervisor"]

_LOCK_NOT_AVAILABLE: Final = "55P03"
_PLAN_LIMITS: Final = RowLimits(max_rows=1, max_bytes=8 << 20, max_cell_bytes=8 << 20)


class Supervisor:
    """Runs statements on the workers of one database."""

    def __init__(
        self,
        target: ConnectionTarget,
        *,
        spawn: Spawn,
        min_workers: int,
        max_workers: int,
        max_waiting: int,
        memory_limit_mb: int = 0,
        max_cost: float | None = None,
        read_only: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare to serve; nothing is started before `prestart` or the first statement.

        Args:
            target: where to connect.
            spawn: starts a worker process.
            min_workers: number of workers to keep while the database is in use.
            max_workers: maximum number of workers; each is one process with one connection.
            max_waiting: maximum number of statements that wait for a worker.
            memory_limit_mb: limit of one worker's address space in mebibytes; 0 sets no limit.
            max_cost: in planner units; statements with a higher estimate are refused. None: no limit.
            read_only: open transactions as READ ONLY.
            clock: returns monotonic seconds.
        """
        self._pool = WorkerPool(
            target,
            PoolSize(min_workers, max_workers, max_waiting),
            spawn=spawn,
            memory_limit_mb=memory_limit_mb,
            clock=clock,
        )
        self._tunnel = target.tunnel
        self._limit_timeout_s = target.statement_timeout_s
        self._lanes = Lanes(max_workers)
        self._timer = SharedTimer()
        self._exchanges = Exchanges(self._pool, self._timer, read_only=read_only, clock=clock)
        self._cheap_statements = CheapStatements()
        self._max_waiting = max_waiting
        self._max_of_one = max_workers + max_waiting // 2
        self._count_by_principal: Counter[str] = Counter()
        self._max_cost = max_cost
        self._clock = clock

    @property
    def pooler(self) -> str:
        """The pooler that the last connected worker found; "" for a direct connection."""
        return self._pool.pooler

    @property
    def tunnel_state(self) -> str:
        """The state of the SSH tunnel; "" if connections are direct."""
        return self._tunnel.state if self._tunnel else ""

    def prestart(self) -> None:
        """Start the first workers in the background."""
        self._pool.prestart()

    def execute(
        self,
        sql: str,
        limits: RowLimits,
        *,
        origin: StatementOrigin,
        can_be_wrapped: bool,
        timeout_s: float,
        identity: Identity | None = None,
        principal: str | None = None,
    ) -> Coroutine[Any, Any, Rows]:
        """Run one validated statement and return its bounded rows.

        Args:
            sql: the statement, without a trailing semicolon.
            limits: limits of the result.
            origin: who wrote the statement (`worker.protocol.StatementOrigin`).
            can_be_wrapped: whether it can be a subquery in FROM, so that a row limit can be put around it;
                False for EXPLAIN and SHOW, and for pgmcp's reads of the catalog.
            timeout_s: seconds from now, including the wait for a worker.
            identity: the role and settings with which it runs; None for the login role.
            principal: the caller, so that one caller cannot use all workers and the whole queue; None if it
                is not known.

        Raises:
            ExecutionError: see `pgmcp.errors`; `DeadlineExceededError.is_stopped` says whether the server
                confirmed the end of a late statement.
        """
        statement = Statement(
            sql.encode("utf8"),
            origin,
            can_be_wrapped,
            limits,
            self._clock() + timeout_s,
            timeout_s,
            identity,
            principal,
        )
        if principal is None:
            return self._execute_connected(statement)
        return self._execute_counted(statement, principal)

    @property
    def _is_barred(self) -> bool:
        """Whether there is no worker, because a limit of connections is reached."""
        return isinstance(self._pool.refusal, ConnectionLimitError)

    async def _execute_counted(self, statement: Statement, principal: str) -> Rows:
        with self._counted(principal):
            return await self._execute_connected(statement)

    @contextmanager
    def _counted(self, principal: str) -> Iterator[None]:
        """Count a statement of a principal.

        Raises:
            BusyError: the principal already has as many statements as all workers and half of the queue hold.
        """
        if self._count_by_principal[principal] >= self._max_of_one:
            raise BusyError(
                f"{self._max_of_one} of your statements are already running or waiting", retry_after_s=1
            )
        self._count_by_principal[principal] += 1
        try:
            yield
        finally:
            self._count_by_principal[principal] -= 1
            if not self._count_by_principal[principal]:
                del self._count_by_principal[principal]

    async def _execute_connected(self, statement: Statement) -> Rows:
        while True:
            try:
                return await self._execute(statement)
            except DisconnectedError:  # nothing has run yet
                continue
            except UnreachableError as error:
                if self._tunnel is None:
                    raise
                raise await self._tunnel.explain(error, was_connecting=False) from error

    async def _execute(self, statement: Statement) -> Rows:
        refusal = self._pool.refusal
        if not self._lanes.try_enter(statement.principal):
            rows = await self._wait_for_lane(statement)
            if rows is not None:
                return rows
        try:
            # A new server begins with pgmcp's own reads. As express statements, they start only two workers.
            is_express = statement.is_catalog_read
            worker = self._pool.take(is_express=is_express)
            if worker is None:
                self._fail_if_login_was_refused(refusal)
            if worker is None or worker.escapes_backslashes:
                worker = await self._acquire(statement, worker, is_express=is_express)
            return await self._run(worker, statement)
        finally:
            self._lanes.leave(statement.principal)

    async def close(self) -> None:
        """End every worker; running statements are cancelled on the server first."""
        await self._pool.close()
        self._timer.close()

    def _fail_if_login_was_refused(self, earlier: ExecutionError | None) -> None:
        """Raise the refusal of a login that happened while a statement waited in its lane.

        The same login would be refused once more, with another line in the server's log.

        Args:
            earlier: what `WorkerPool.refusal` was when the statement began to wait.
        """
        refusal = self._pool.refusal
        if isinstance(refusal, DatabaseAuthError) and refusal is not earlier:
            raise refusal

    async def _wait_for_lane(self, statement: Statement) -> Rows | None:
        """Enter the general lane and return None, or run a cheap statement at once and return its rows."""
        if self._lanes.reserved and statement.is_catalog_read:
            return await self._run(await self._acquire(statement, is_express=True), statement)
        if self._lanes.reserved and statement.can_be_wrapped:
            has_room = self._lanes.waiting_count < self._max_waiting
            if has_room and await self._ask_lane(statement, is_patient=False):
                return None
            rows = await self._run_if_cheap(statement)
            if rows is not None:
                return rows
        await self._enter_lane(statement)
        return None

    async def _run_if_cheap(self, statement: Statement) -> Rows | None:
        """Run a cheap statement on a reserved worker; return None if the statement has to wait."""
        worker = await self._acquire(statement, is_express=True)
        if self._max_cost is None and self._cheap_statements.knows(statement.sql):
            return await self._try_briefly(worker, statement)
        plan = await self._explain(worker, statement)
        if not plan.is_cheap:
            self._pool.release(worker)
            return None
        rows = await self._run(worker, statement, plan)
        if rows.elapsed_ms < BRIEF_S * 1000:
            self._cheap_statements.add(statement.sql)
        return rows

    async def _try_briefly(self, worker: WorkerProcess, statement: Statement) -> Rows | None:
        """Run a statement that is probably cheap; return None after a moment if it is not."""
        reply, body = await self._exchanges.run(
            worker,
            statement,
            statement.sql,
            StatementMode.WRAPPABLE,
            statement.limits,
            statement_timeout_s=BRIEF_S,
        )
        if _is_own_timeout(reply) and self._clock() < statement.deadline_s:
            self._pool.release(worker)
            self._cheap_statements.forget(statement.sql)
            return None
        return self._read_and_release(worker, reply, body, statement)

    async def _enter_lane(self, statement: Statement) -> None:
        if self._lanes.waiting_count >= self._max_waiting:
            waiting = count_of(self._lanes.waiting_count, "statement")
            raise BusyError(f"{waiting} already waiting", retry_after_s=1)
        await self._ask_lane(statement)

    async def _ask_lane(self, statement: Statement, *, is_patient: bool = True) -> bool:
        waiter = self._lanes.ask(is_patient=is_patient, principal=statement.principal)
        if waiter.done():
            return waiter.result()
        waiting = self._lanes.wait(waiter, statement.principal)
        return await self._before_deadline(waiter, waiting, statement)

    async def _acquire(
        self, statement: Statement, worker: WorkerProcess | None = None, *, is_express: bool = False
    ) -> WorkerProcess:
        """Return a worker that may run the statement; wait for one unless it is given."""
        worker = worker or self._pool.take(is_express=is_express)
        if worker is None:
            waiter = self._pool.ask(is_express=is_express)
            if waiter.done():
                worker = waiter.result()
            else:
                with self._timer.fails(waiter, self._limit_timeout_s, only_if=lambda: self._is_barred):
                    worker = await self._before_deadline(waiter, self._pool.wait(waiter), statement)
        if worker.escapes_backslashes:
            try:
                statement.refuse_backslashes()
            except StatementFailedError:
                self._pool.release(worker)
                raise
        return worker

    async def _before_deadline(
        self, waiter: asyncio.Future[T], waiting: Coroutine[Any, Any, T], statement: Statement
    ) -> T:
        """Wait for a place in a queue until the statement's deadline."""
        try:
            with self._timer.fails(waiter, statement.deadline_s - self._clock()):
                return await waiting
        except TimeoutError:
            waited_s = statement.timeout_s
            if self._is_barred:
                waited_s = min(waited_s, self._limit_timeout_s)
            raise no_worker(waited_s, shortage=self._pool.shortage, is_full=self._pool.is_full) from None

    async def _run(self, worker: WorkerProcess, statement: Statement, plan: Plan | None = None) -> Rows:
        if self._max_cost is not None and statement.can_be_wrapped:
            plan = plan or await self._explain(worker, statement)
            if plan.cost > self._max_cost:
                self._pool.release(worker)
                raise TooExpensiveError(plan.summary(), max_cost=self._max_cost)
        mode = StatementMode.WRAPPABLE if statement.can_be_wrapped else StatementMode.AS_IS
        reply, body = await self._exchanges.run(worker, statement, statement.sql, mode, statement.limits)
        return self._read_and_release(worker, reply, body, statement)

    def _read_and_release(
        self, worker: WorkerProcess, reply: Reply, body: bytes, statement: Statement
    ) -> Rows:
        """Return the rows of a reply, and release the worker."""
        try:
            return _read_from(worker, reply, body, statement)
        finally:
            self._pool.release(worker)

    async def _explain(self, worker: WorkerProcess, statement: Statement) -> Plan:
        """Return the planner's estimate; the caller keeps the worker unless this raises."""
        text = EXPLAIN.encode() + statement.sql
        reply, body = await self._exchanges.run(worker, statement, text, StatementMode.AS_IS, _PLAN_LIMITS)
        try:
            return read_plan(_read_from(worker, reply, body, statement))
        except ExecutionError as error:
            self._pool.release(worker)
            if isinstance(error, StatementFailedError) and error.position is not None:
                error.position -= len(EXPLAIN)
            raise


def _read_from(worker: WorkerProcess, reply: Reply, body: bytes, statement: Statement) -> Rows:
    """Return the rows of a worker's reply; a worker whose rows cannot be read is never reused."""
    try:
        return read_rows(reply, body, timeout_s=statement.timeout_s)
    except WorkerLostError:
        worker.is_whole = False
        raise


def _is_own_timeout(reply: Reply) -> bool:
    """Return whether the statement reached the timeout that pgmcp set, not a limit of the role.

    A lock timeout counts too, because pgmcp sets it at most as long as the statement's timeout.
    """
    if not isinstance(reply, Failure) or reply.limit:
        return False
    return reply.code is FailureCode.TIMEOUT or reply.sqlstate == _LOCK_NOT_AVAILABLE
