"""What keeps a database as it is: its role, the transaction, and the end of what runs too long."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from pgmcp.cli.doctor.check_context import STATEMENT_TIMEOUT_S, CheckContext
from pgmcp.cli.doctor.report import CheckResult, Status, enumerate_some
from pgmcp.errors import DeadlineExceededError, ExecutionError, StatementFailedError
from pgmcp.execution.catalog_access import INSUFFICIENT_PRIVILEGE, grant
from pgmcp.execution.result import JsonScalar, StatementOrigin
from pgmcp.execution.role import UNKNOWN_ATTRIBUTES, RolePosture
from pgmcp.execution.supervisor import SHARED_SESSION
from pgmcp.untrusted import escape_untrusted

_PROOF_SQL: Final = "CREATE TEMPORARY TABLE pgmcp_doctor_proof ()"
"""Harmless where it is not refused: a table of this session alone, and rolled back."""

_READ_ONLY_SQLSTATE: Final = "25006"

_ACTIVITY_SQL: Final = """
SELECT pg_catalog.count(*)
  FROM pg_catalog.pg_stat_activity
 WHERE state = 'active' AND pid <> pg_catalog.pg_backend_pid() AND pg_catalog.strpos(query, '{mark}') > 0
"""

_LOGIN_TRIGGERS_SQL: Final = """
SELECT t.evtname
  FROM pg_catalog.pg_event_trigger AS t
 WHERE t.evtevent = 'login' AND t.evtenabled IN ('O', 'A')
 ORDER BY 1
"""
"""Those that run for a client's session; before PostgreSQL 17 there is no such event."""

SHORT_DEADLINES_S: Final = (0.5, 2.0)
"""Tried in turn: on a busy machine a worker may be killed before the server's answer arrives."""

_SHORT_SLEEP_SQL: Final = "SELECT pg_catalog.pg_sleep(4)"
"""Short, because an engine that cannot stop it has to finish it."""

SERVED_WITHIN_S: Final = 30.0
SLEEP_S: Final = 60
DEADLINES_S: Final = (1.0, 4.0)
"""Long enough for the sleep to be seen running from afar; the longer one for a busy machine."""

SEEN_WITHIN_S: Final = 5.0
GONE_WITHIN_S: Final = 3.0
_LOOK_EVERY_S: Final = 0.02


async def check_role(context: CheckContext, check: str) -> CheckResult:
    """Report what the role could do if every other guard failed."""
    posture = await context.database.role.posture()
    if not posture.risks:
        return _judge_reader(posture, check, is_required=context.settings.server.require_readonly_role)
    text = f"{posture.role} can do more than read: {'; '.join(posture.risks)}"
    if context.settings.server.require_readonly_role:
        return CheckResult(
            Status.FAIL,
            check,
            f"role_refused: {text}; this database is not served",
            "connect as a role that can only read, `pgmcp setup-sql` prints the script for one; "
            "PG_MCP_SERVER_REQUIRE_READONLY_ROLE=false would only warn",
        )
    return CheckResult(
        Status.WARN,
        check,
        text,
        "connect as a role that can only read, `pgmcp setup-sql` prints the script for one; "
        "PG_MCP_SERVER_REQUIRE_READONLY_ROLE=true refuses any other",
    )


def _judge_reader(posture: RolePosture, check: str, *, is_required: bool) -> CheckResult:
    """Return the result on a role of which no risk is known."""
    if posture.knows_attributes:
        return CheckResult(Status.OK, check, f"{posture.role} can only read")
    text = f"{posture.role} may not write, but {UNKNOWN_ATTRIBUTES}"
    if is_required:
        text = f"catalog_denied: {text}; this database is not served (PG_MCP_SERVER_REQUIRE_READONLY_ROLE)"
    return CheckResult(Status.FAIL if is_required else Status.WARN, check, text, grant(["pg_roles"]))


async def check_login_triggers(context: CheckContext, check: str) -> CheckResult | None:
    """Report event triggers that run at each login, before any guard of ours."""
    rows = await context.fetch(_LOGIN_TRIGGERS_SQL)
    if not rows:
        return None
    names = enumerate_some([escape_untrusted(str(name)) for (name,) in rows])
    return CheckResult(
        Status.WARN,
        check,
        f"an event trigger runs at each login, before a read-only transaction can begin: {names}",
        "see as the database's owner that its function changes nothing that it should not",
    )


async def check_read_only(context: CheckContext, check: str) -> CheckResult:
    """Try to make a table in the transaction that every statement runs in; it is rolled back in any case."""
    if not context.settings.server.use_readonly_transactions:
        return CheckResult(
            Status.WARN,
            check,
            "read-only transactions are switched off; every other guard stays",
            "set PG_MCP_SERVER_USE_READONLY_TRANSACTIONS=true",
        )
    try:
        await context.fetch_rows(_PROOF_SQL, origin=StatementOrigin.CALLER)
    except StatementFailedError as error:
        if error.sqlstate != _READ_ONLY_SQLSTATE:
            raise
        return CheckResult(
            Status.OK, check, f"proved: a CREATE TABLE was refused (SQLSTATE {error.sqlstate})"
        )
    return CheckResult(
        Status.FAIL,
        check,
        "a temporary table could be made inside a read-only transaction; it was rolled back",
        "something between here and the server splits or changes transactions: connect past it",
    )


async def check_timeout(context: CheckContext, check: str) -> CheckResult:
    """Let a sleep exceed its deadline, and see whether the server itself reports that it was stopped."""
    for deadline_s in SHORT_DEADLINES_S:
        try:
            await context.fetch(_SHORT_SLEEP_SQL, deadline_s)
        except DeadlineExceededError as error:
            if error.is_stopped:
                return CheckResult(Status.OK, check, "proved: the server stopped a sleep at its deadline")
        await _wait_until_served(context)
    return CheckResult(
        Status.FAIL,
        check,
        "this engine does not stop a statement at its deadline: "
        f"statement_timeout of {SHORT_DEADLINES_S[-1]:g} s and a cancel request had no effect on a sleep",
        "serve from PostgreSQL where limits have to hold; here one slow statement holds up its session",
    )


async def _wait_until_served(context: CheckContext) -> None:
    """Wait until the sleep that could not be stopped is over, so that it fails no other check."""
    async with asyncio.timeout(SERVED_WITHIN_S):
        while True:
            try:
                await context.fetch("SELECT 1")
            except ExecutionError:
                await asyncio.sleep(_LOOK_EVERY_S)
            else:
                return


async def _end_by_deadline(context: CheckContext) -> tuple[bool, float | None]:
    """Return whether a sleep was seen running, and how long after its deadline it ended in milliseconds."""
    is_seen, ended_ms = False, None
    for deadline_s in DEADLINES_S:
        async with _sleeping(context, deadline_s) as late:
            is_seen = await late.has_begun()
            await asyncio.wait([late.task])
        ended_ms = await late.ms_until_ended()
        if is_seen:
            break
    return is_seen, ended_ms


async def check_cancel(context: CheckContext, check: str) -> CheckResult:
    """End one sleep on the server by its deadline and one by leaving, and see both gone there."""
    if context.database.supervisor.pooler == SHARED_SESSION:
        text = "not tried: the server has one session for all connections, so nothing can look while it runs"
        return CheckResult(Status.WARN, check, text, "see what the timeout check found")
    ((shows_statements,),) = await context.fetch("SHOW track_activities")
    if shows_statements != "on":
        text = "not seen: the server does not show what runs"
        return CheckResult(Status.WARN, check, text, "set track_activities = on at the server")
    is_late_seen, late_ms = await _end_by_deadline(context)
    async with _sleeping(context, STATEMENT_TIMEOUT_S) as left:
        is_left_seen = await left.has_begun()
    left_ms = await left.ms_until_ended()
    if not (is_late_seen and is_left_seen):
        return CheckResult(
            Status.WARN,
            check,
            "not seen: a statement did not show in pg_stat_activity in time",
            "let the role have two connections at once, one to run a statement and one to look at it",
        )
    if late_ms is None or left_ms is None:
        event = "its deadline" if late_ms is None else "its caller left"
        return CheckResult(
            Status.FAIL,
            check,
            f"a statement still ran on the server {GONE_WITHIN_S:g} s after {event}",
            "let cancel requests through to the database's host and port: firewalls or poolers drop them",
        )
    text = f"on the server a sleep ended at its deadline, and another {left_ms:.0f} ms after its caller left"
    return CheckResult(Status.OK, check, f"proved: {text}")


@dataclass(frozen=True, slots=True)
class _Sleep:
    """A statement that only sleeps.

    Attributes:
        mark: a name in its text, by which pg_stat_activity has it.
        task: whoever waits for it.
    """

    context: CheckContext
    mark: str
    task: asyncio.Task[list[list[JsonScalar]]]

    async def has_begun(self) -> bool:
        """Wait for it to run on the server; tell whether it did."""
        return await self._ms_until(runs=True, within_s=SEEN_WITHIN_S) is not None

    async def ms_until_ended(self) -> float | None:
        """Wait for it to run no more; return the milliseconds that took, or None if it goes on."""
        return await self._ms_until(runs=False, within_s=GONE_WITHIN_S)

    async def _ms_until(self, *, runs: bool, within_s: float) -> float | None:
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        while loop.time() - started_s < within_s:
            ((count,),) = await self.context.fetch(_ACTIVITY_SQL.format(mark=self.mark))
            if bool(count) == runs:
                return (loop.time() - started_s) * 1000
            if runs and self.task.done():
                self._raise_refusal()
                return None
            await asyncio.sleep(_LOOK_EVERY_S)
        return None

    def _raise_refusal(self) -> None:
        """Raise the error if PostgreSQL refused the sleep, as where the role may not execute pg_sleep()."""
        error = None if self.task.cancelled() else self.task.exception()
        if isinstance(error, StatementFailedError) and error.sqlstate == INSUFFICIENT_PRIVILEGE:
            raise error


@asynccontextmanager
async def _sleeping(context: CheckContext, timeout_s: float) -> AsyncIterator[_Sleep]:
    """Start a sleep; whoever waits for it leaves at the end."""
    mark = f"pgmcp_doctor_{secrets.token_hex(4)}"
    task = asyncio.create_task(context.fetch(f"SELECT pg_catalog.pg_sleep({SLEEP_S}) AS {mark}", timeout_s))
    try:
        yield _Sleep(context, mark, task)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
