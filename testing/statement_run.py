"""Runs one statement through a supervisor, with a time limit that the test sets."""

import anyio

from pgmcp.execution.result import RowLimits, Rows
from pgmcp.execution.supervisor import Supervisor
from testing.processes import TIMEOUT_S
from worker.protocol import StatementOrigin

LIMITS = RowLimits(max_rows=1_000, max_bytes=8 << 20, max_cell_bytes=1 << 20)


async def run(
    supervisor: Supervisor,
    sql: str,
    *,
    limits: RowLimits = LIMITS,
    wrapped: bool = True,
    timeout_s: float = TIMEOUT_S,
    origin: StatementOrigin = StatementOrigin.CALLER,
    principal: str | None = None,
) -> Rows:
    """Run a statement; fail if the supervisor takes much longer than its deadline allows."""
    with anyio.fail_after(timeout_s + TIMEOUT_S):
        return await supervisor.execute(
            sql,
            limits,
            origin=origin,
            can_be_wrapped=wrapped,
            timeout_s=timeout_s,
            principal=principal,
        )


async def value(supervisor: Supervisor, sql: str, *, wrapped: bool = True) -> object:
    """Run a statement and return the first cell of its first row."""
    return (await run(supervisor, sql, wrapped=wrapped)).rows[0][0]
