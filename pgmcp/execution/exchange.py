"""Exchanges a statement and its reply with a worker, and ends the statement when its deadline D has passed.

    D            PostgreSQL    statement_timeout ends the statement
    D +  50 ms   worker        sends a cancel request to the server
    D + 150 ms   the front     SIGKILL; the caller gets its answer now
    next         the pool      another worker ends the backend that the killed one left behind

The front is pgmcp's main process. A cancelled call starts the same steps at once, and its caller does not
wait for them. A worker whose reply was not complete is never reused.
"""

import asyncio
import logging
import math
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from msgspec import Struct

from pgmcp.asyncio_shortcuts import SharedTimer
from pgmcp.errors import ExecutionError, StatementFailedError
from pgmcp.execution.pool import WorkerPool
from pgmcp.execution.replies import given_up
from pgmcp.execution.result import Identity, RowLimits
from pgmcp.execution.worker_process import WorkerProcess
from pgmcp.validation.lexer import TokenKind, tokenize
from worker.protocol import Execute, Failure, FailureCode, Reply, StatementMode, StatementOrigin

logger = logging.getLogger(__name__)

CANCEL_AFTER_S: Final = 0.05
KILL_AFTER_S: Final = 0.15

_NONSTANDARD_USE_OF_ESCAPE: Final = "22P06"
_NOT_SENT: Final = frozenset({FailureCode.DISCONNECTED, FailureCode.LIMITED})
"""Failures of a worker that lost its connection and got no other one, so it has not sent the statement."""


class Statement(Struct, frozen=True):
    """A validated statement and its limits.

    Attributes:
        sql: in UTF-8.
        origin: who wrote the statement.
        deadline_s: on the supervisor's clock.
        can_be_wrapped: whether it can be a subquery in FROM, so that a row limit can be put around it.
        timeout_s: the timeout that the caller set, for messages.
        identity: the role and settings with which it runs; None for the login role.
        principal: the caller against whose share of the workers and the queue it counts; None if it counts
            against no share.
    """

    sql: bytes
    origin: StatementOrigin
    can_be_wrapped: bool
    limits: RowLimits
    deadline_s: float
    timeout_s: float
    identity: Identity | None = None
    principal: str | None = None

    @property
    def is_catalog_read(self) -> bool:
        """Whether it is one of pgmcp's reads of the catalog, which callers' statements wait for."""
        return self.origin is StatementOrigin.OWN and not self.can_be_wrapped

    def refuse_backslashes(self) -> None:
        """Raise if this is a caller's statement with a backslash in a plain string.

        It is called for roles for which standard_conforming_strings is off. Other clients of such a role read
        escapes in plain strings (PostgreSQL manual, "String Constants with C-Style Escapes"). In pgmcp's
        transactions the setting is on, because the checks read strings that way. So the string would not
        have the meaning that the database's owner expects.

        Raises:
            StatementFailedError: names the position, and says how to write the string.
        """
        if self.origin is not StatementOrigin.CALLER:
            return
        for token in tokenize(self.sql.decode()):
            if token.kind is TokenKind.STRING and token.text[0] in "'nN" and "\\" in token.text:
                raise StatementFailedError(
                    "a backslash in a plain string has two meanings here: standard_conforming_strings is off "
                    "for this role, so other clients read an escape",
                    sqlstate=_NONSTANDARD_USE_OF_ESCAPE,
                    hint=r"write E'...', with \\ for a backslash, or with the intended escape",
                    position=token.start,
                )


class DisconnectedError(Exception):
    """The worker had lost its connection before the statement was sent. Another worker has to run it."""


class Exchanges:
    """Sends statements to workers, one at a time to each.

    Args:
        pool: takes back workers that are lost or given up.
        timer: runs the steps of each deadline.
        read_only: open transactions as READ ONLY.
        clock: returns monotonic seconds.
    """

    def __init__(
        self, pool: WorkerPool, timer: SharedTimer, *, read_only: bool, clock: Callable[[], float]
    ) -> None:
        self._pool = pool
        self._timer = timer
        self._read_only = read_only
        self._clock = clock

    async def run(
        self,
        worker: WorkerProcess,
        statement: Statement,
        text: bytes,
        mode: StatementMode,
        limits: RowLimits,
        *,
        statement_timeout_s: float = math.inf,
    ) -> tuple[Reply, bytes]:
        """Send a statement and return its reply; cancel it after its deadline, then kill the worker.

        If this returns, the caller still has the worker. If it raises, the pool has taken the worker back.

        Args:
            text: the SQL to run: the statement, or an EXPLAIN of it.
            mode: whether the worker puts a row limit around the text.
            limits: limits of the result of `text`.
            statement_timeout_s: PostgreSQL ends the statement after this time, if that is before its
                deadline.

        Raises:
            DisconnectedError: the worker had lost its connection; another worker has to run the statement.
            ExecutionError: the worker was lost, or it did not answer at the deadline and was killed.
        """
        left_s = max(0.0, statement.deadline_s - self._clock())
        request = self._request(statement, mode, limits, min(left_s, statement_timeout_s))
        worker.begin(request, text)
        self._schedule_deadline_steps(worker, request.id, left_s)
        try:
            reply, body = await worker.reply()
        except TimeoutError:
            logger.warning("worker %d is killed: it did not answer at its deadline", worker.pid)
            # Shielded: if the caller is cancelled now, the worker is still killed and replaced.
            await asyncio.shield(self._pool.in_background(self._pool.discard(worker)))
            raise given_up(statement.timeout_s) from None
        except asyncio.CancelledError:
            self._pool.in_background(self._stop_cancelled(worker, request.id))
            raise
        except ExecutionError:
            self._pool.release(worker)
            raise
        finally:
            self._timer.clear(worker)
        if isinstance(reply, Failure) and reply.code in _NOT_SENT:
            await asyncio.shield(self._pool.in_background(self._pool.end_idle(worker)))
            raise DisconnectedError
        return reply, body

    def _request(
        self, statement: Statement, mode: StatementMode, limits: RowLimits, timeout_s: float
    ) -> Execute:
        return Execute(
            id=self._pool.next_id(),
            origin=statement.origin,
            mode=mode,
            statement_timeout_ms=max(1, int(timeout_s * 1000)),
            max_rows=limits.max_rows,
            max_bytes=limits.max_bytes,
            max_cell_bytes=limits.max_cell_bytes,
            read_only=self._read_only,
            max_text_bytes=limits.max_text_bytes,
            identity=statement.identity,
        )

    def _schedule_deadline_steps(self, worker: WorkerProcess, request_id: int, left_s: float) -> None:
        """Schedule the cancel request shortly after the deadline, and `give_up` shortly after that."""

        def cancel() -> None:
            self._timer.set(worker, KILL_AFTER_S - CANCEL_AFTER_S, worker.give_up)
            worker.cancel(request_id)

        self._timer.set(worker, left_s + CANCEL_AFTER_S, cancel)

    async def _stop_cancelled(self, worker: WorkerProcess, request_id: int) -> None:
        """Stop a statement whose caller was cancelled."""
        worker.cancel(request_id)
        with suppress(ExecutionError, TimeoutError):
            async with asyncio.timeout(KILL_AFTER_S - CANCEL_AFTER_S):
                await worker.reply()
        self._pool.release(worker)
