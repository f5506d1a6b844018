"""Checks of safety: the role, the roles of callers, read-only transaction, timeout, cancellation."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from pgmcp.cli.doctor.check_context import STATEMENT_TIMEOUT_S, CheckContext
from pgmcp.cli.doctor.report import CheckResult, Status, enumerate_some
from pgmcp.errors import DeadlineExceededError, ExecutionError, StatementFailedError
from pgmcp.execution.catalog_access import INSUFFICIENT_PRIVILEGE, find_unreadable, grant
from pgmcp.execution.mapped_roles import MappedRole
from pgmcp.execution.result import JsonScalar, StatementOrigin
from pgmcp.execution.role import UNKNOWN_ATTRIBUTES, RolePrivileges
from pgmcp.execution.supervisor import SHARED_SESSION
from pgmcp.pipeline import Database
from pgmcp.plural import count_of
from pgmcp.untrusted import escape_untrusted

_PROOF_SQL: Final = "CREATE TEMPORARY TABLE pgmcp_doctor_proof ()"
"""Harmless if it is not refused: a table of this session only, and rolled back."""

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
"""Login event triggers, which exist since PostgreSQL 17."""

SHORT_DEADLINES_S: Final = (0.5, 2.0)
"""Tried in order: on a busy machine a worker may be killed before the server's answer arrives."""

_SHORT_SLEEP_SQL: Final = "SELECT pg_catalog.pg_sleep('4')"
"""The sleep is short, because an engine that cannot stop it runs it to its end."""

SERVED_WITHIN_S: Final = 30.0
SLEEP_S: Final = 60
DEADLINES_S: Final = (1.0, 4.0)
"""Long enough to observe the sleep over a slow network; the longer one for a busy machine."""

SEEN_WITHIN_S: Final = 5.0
GONE_WITHIN_S: Final = 3.0
_POLL_INTERVAL_S: Final = 0.02

_UNKNOWN_BY_PART: Final = {
    "pg_largeobject_metadata": "whether it may write large objects",
    "pg_parameter_acl": "whether it may change settings of the server",
    "pg_proc": "whether it owns functions",
}
"""What is not known of a role that may not read these parts of the catalog."""

_CAN_DO_LESS: Final = "map callers to roles that can only read what their policies and grants let them"


async def check_role(context: CheckContext, check: str) -> CheckResult:
    """Report what the role could do without the other guards."""
    privileges = await context.database.role.privileges()
    if not privileges.risks:
        unknown = [
            _UNKNOWN_BY_PART[part]
            for part in sorted(await find_unreadable(context.fetch_rows))
            if part in _UNKNOWN_BY_PART
        ]
        is_required = context.settings.server.require_readonly_role
        return _judge_reader(privileges, check, unknown, is_required=is_required)
    text = f"{privileges.role} can do more than read: {'; '.join(privileges.risks)}"
    if context.settings.server.require_readonly_role:
        return CheckResult(
            Status.FAIL,
            check,
            f"role_refused: {text}; this database is not served",
            "connect as a role that can only read (`pgmcp setup-sql` prints a script that makes one); "
            "PG_MCP_SERVER_REQUIRE_READONLY_ROLE=false would only warn",
        )
    return CheckResult(
        Status.WARN,
        check,
        text,
        "connect as a role that can only read (`pgmcp setup-sql` prints a script that makes one); "
        "PG_MCP_SERVER_REQUIRE_READONLY_ROLE=true refuses any other",
    )


def _judge_reader(
    privileges: RolePrivileges, check: str, unknown: Sequence[str], *, is_required: bool
) -> CheckResult:
    """Return the result for a role without known risks.

    Args:
        unknown: privileges of the role that could not be read, besides its attributes.
    """
    if privileges.knows_attributes:
        text = f"{privileges.role} can only read"
        if unknown:
            text = f"{privileges.role} has no known right to change anything; not known: {', '.join(unknown)}"
        return CheckResult(Status.OK, check, text)
    text = f"{privileges.role} may not write, but {UNKNOWN_ATTRIBUTES}"
    if is_required:
        text = f"catalog_denied: {text}; this database is not served (PG_MCP_SERVER_REQUIRE_READONLY_ROLE)"
    return CheckResult(Status.FAIL if is_required else Status.WARN, check, text, grant(["pg_roles"]))


async def check_login_triggers(context: CheckContext, check: str) -> CheckResult | None:
    """Report event triggers that run at each login, before any guard."""
    rows = await context.fetch(_LOGIN_TRIGGERS_SQL)
    if not rows:
        return None
    names = enumerate_some([escape_untrusted(str(name)) for (name,) in rows])
    return CheckResult(
        Status.WARN,
        check,
        f"event triggers run at each login, before a read-only transaction can begin: {names}",
        "as the database's owner, check that their functions change nothing unintended",
    )


async def check_read_only(context: CheckContext, check: str) -> CheckResult:
    """Try to create a temporary table as a statement of a caller would; it is rolled back in any case."""
    if not context.settings.server.use_readonly_transactions:
        return CheckResult(
            Status.WARN,
            check,
            "read-only transactions are disabled; the other guards remain",
            "set PG_MCP_SERVER_USE_READONLY_TRANSACTIONS=true",
        )
    try:
        await context.fetch_rows(_PROOF_SQL, origin=StatementOrigin.CALLER)
    except StatementFailedError as error:
        if error.sqlstate != _READ_ONLY_SQLSTATE:
            raise
        return CheckResult(
            Status.OK, check, f"tested: a CREATE TABLE was refused (SQLSTATE {error.sqlstate})"
        )
    return CheckResult(
        Status.FAIL,
        check,
        "a temporary table could be created in a read-only transaction; it was rolled back",
        "a proxy between pgmcp and the server splits or changes transactions: connect without it",
    )


async def check_timeout(context: CheckContext, check: str) -> CheckResult:
    """Check that the server stops a statement at its deadline and reports that."""
    for deadline_s in SHORT_DEADLINES_S:
        try:
            await context.fetch(_SHORT_SLEEP_SQL, deadline_s)
        except DeadlineExceededError as error:
            if error.is_stopped:
                return CheckResult(Status.OK, check, "tested: the server stopped a sleep at its deadline")
        await _wait_until_served(context)
    return CheckResult(
        Status.FAIL,
        check,
        "this engine does not stop a statement at its deadline: "
        f"statement_timeout of {SHORT_DEADLINES_S[-1]:g} s and a cancel request had no effect on a sleep",
        "use PostgreSQL if limits must hold; with this engine one slow statement blocks its session",
    )


async def _wait_until_served(context: CheckContext) -> None:
    """Wait until a sleep that could not be stopped has ended, so that other checks do not fail."""
    async with asyncio.timeout(SERVED_WITHIN_S):
        while True:
            try:
                await context.fetch("SELECT 1")
            except ExecutionError:
                await asyncio.sleep(_POLL_INTERVAL_S)
            else:
                return


async def _end_by_deadline(context: CheckContext) -> tuple[bool, float | None]:
    """Return whether a sleep was seen running, and how many milliseconds after its deadline it ended."""
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
    """Check that statements end on the server at a deadline and after a cancellation."""
    if context.database.supervisor.pooler == SHARED_SESSION:
        text = "not tested: the server has one session for all connections, so a statement cannot be observed"
        return CheckResult(Status.WARN, check, text, "see the timeout check")
    ((shows_statements,),) = await context.fetch("SHOW track_activities")
    if shows_statements != "on":
        text = "not tested: the server does not show running statements"
        return CheckResult(Status.WARN, check, text, "set track_activities = on on the server")
    is_late_seen, late_ms = await _end_by_deadline(context)
    async with _sleeping(context, STATEMENT_TIMEOUT_S) as left:
        is_left_seen = await left.has_begun()
    left_ms = await left.ms_until_ended()
    if not (is_late_seen and is_left_seen):
        return CheckResult(
            Status.WARN,
            check,
            "not tested: a statement did not appear in pg_stat_activity in time",
            "allow the role two connections, one to run a statement and one to observe it",
        )
    if late_ms is None or left_ms is None:
        event = "its deadline" if late_ms is None else "it was cancelled"
        return CheckResult(
            Status.FAIL,
            check,
            f"a statement was still running on the server {GONE_WITHIN_S:g} s after {event}",
            "allow cancel requests to the database's host and port: a firewall or pooler may drop them",
        )
    text = f"a sleep ended on the server at its deadline, and another {left_ms:.0f} ms after it was cancelled"
    return CheckResult(Status.OK, check, f"tested: {text}")


@dataclass(frozen=True, slots=True)
class _Sleep:
    """A running sleep.

    Attributes:
        mark: a name in the statement's text, which finds the statement in pg_stat_activity.
        task: waits for the statement.
    """

    context: CheckContext
    mark: str
    task: asyncio.Task[list[list[JsonScalar]]]

    async def has_begun(self) -> bool:
        """Wait until the sleep runs on the server; return whether it did in time."""
        return await self._ms_until(runs=True, within_s=SEEN_WITHIN_S) is not None

    async def ms_until_ended(self) -> float | None:
        """Wait until the sleep has ended; return the milliseconds, or None if it is still running."""
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
            await asyncio.sleep(_POLL_INTERVAL_S)
        return None

    def _raise_refusal(self) -> None:
        """Raise the error if PostgreSQL refused the sleep, for example because pg_sleep() is revoked."""
        error = None if self.task.cancelled() else self.task.exception()
        if isinstance(error, StatementFailedError) and error.sqlstate == INSUFFICIENT_PRIVILEGE:
            raise error


@asynccontextmanager
async def _sleeping(context: CheckContext, timeout_s: float) -> AsyncIterator[_Sleep]:
    """Start a sleep; cancel it at the end."""
    mark = f"pgmcp_doctor_{secrets.token_hex(4)}"
    task = asyncio.create_task(context.fetch(f"SELECT pg_catalog.pg_sleep('{SLEEP_S}') AS {mark}", timeout_s))
    try:
        yield _Sleep(context, mark, task)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def check_mapped_roles(context: CheckContext, check: str) -> list[CheckResult]:
    """Take each role that a caller may get, and report its problems."""
    identities = context.database.identities
    if identities is None:
        return []
    results = []
    for role in await context.database.mapped_roles():
        name = f"{check}: {escape_untrusted(role.name)}"
        if role.problem:
            results.append(CheckResult(Status.FAIL, name, role.problem, role.hint))
        else:
            results.append(await _describe_role(context, name, role, identities.for_role(role.name)))
    default = context.settings.databases[context.database.name].default_role
    if default is None:
        text = "no default role: callers without a role in PG_MCP_DATABASE_ROLES are refused, also over stdio"
        results.append(CheckResult(Status.OK, check, text))
    return results


async def _describe_role(context: CheckContext, check: str, role: MappedRole, seen: Database) -> CheckResult:
    privileges = await seen.role.privileges()  # of a worker that has taken the role
    risks = role.risks + tuple(risk for risk in privileges.risks if not _is_reported_by(risk, role.risks))
    if risks:
        is_required = context.settings.server.require_readonly_role and bool(privileges.risks)
        status = Status.FAIL if is_required else Status.WARN
        return CheckResult(status, check, f"it can be taken, but {'; '.join(risks)}", _CAN_DO_LESS)
    tables = (await seen.schema.get()).tables
    text = f"it can be taken, can only read, and sees {count_of(len(tables), 'table')}"
    filtered = sorted(table.name for table in tables if table.has_active_policies)
    if filtered:
        text += (
            f"; policies choose its rows of {enumerate_some([escape_untrusted(each) for each in filtered])}"
        )
    return CheckResult(Status.OK, check, text)


def _is_reported_by(risk: str, risks: tuple[str, ...]) -> bool:
    """Return whether a risk begins like one of the others: "it has BYPASSRLS: …"."""
    return any(risk.partition(":")[0] == other.partition(":")[0] for other in risks)
