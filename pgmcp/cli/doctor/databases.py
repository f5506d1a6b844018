"""The checks of one database: connection, safety, and the basis of answers.

Each check is one function, and runs its statements on workers, as the server runs those of hosts. A failed
connection ends the checks of its database only.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from pgmcp.cli.doctor.answer_checks import (
    check_catalog,
    check_conditions,
    check_context_names,
    check_data_sharing,
    check_grants,
    check_names,
    check_patterns,
    check_statistics,
    check_verified_questions,
    check_verified_tools,
    check_views_without_policies,
)
from pgmcp.cli.doctor.check_context import CheckContext
from pgmcp.cli.doctor.connection_checks import (
    CONNECT_TIMEOUT_S,
    check_connection,
    check_pooler,
    check_tls,
    check_tunnel,
    check_version,
)
from pgmcp.cli.doctor.report import CheckResult, Status, failed_check, unexpected_failure
from pgmcp.cli.doctor.safety_checks import (
    check_cancel,
    check_login_triggers,
    check_mapped_roles,
    check_read_only,
    check_role,
    check_timeout,
)
from pgmcp.errors import (
    ConnectionLimitError,
    DatabaseAuthError,
    PgmcpError,
    StatementFailedError,
    UnreachableError,
    WorkerLostError,
)
from pgmcp.execution.catalog_access import INSUFFICIENT_PRIVILEGE, grant_for

CHECK_TIMEOUT_S: Final = 60.0
"""Timeout of each check except `connection`. It takes seconds to read a catalog of ten thousand tables."""

Found = CheckResult | list[CheckResult] | None
Check = Callable[[CheckContext, str], Awaitable[Found]]
"""Takes the context and the check's full name; returns None if the check does not apply."""

_NO_CONNECTION: Final = (UnreachableError, ConnectionLimitError, DatabaseAuthError, WorkerLostError)

_Checks = tuple[tuple[str, Check, float], ...]

_LOGIN_CHECKS: Final[_Checks] = (
    ("connection", check_connection, CONNECT_TIMEOUT_S),
    ("tunnel", check_tunnel, CHECK_TIMEOUT_S),
    ("pooler", check_pooler, CHECK_TIMEOUT_S),
    ("TLS", check_tls, CHECK_TIMEOUT_S),
    ("version", check_version, CHECK_TIMEOUT_S),
    ("role", check_role, CHECK_TIMEOUT_S),
    ("login triggers", check_login_triggers, CHECK_TIMEOUT_S),
    ("read-only", check_read_only, CHECK_TIMEOUT_S),
    ("timeout", check_timeout, CHECK_TIMEOUT_S),
    ("cancel", check_cancel, CHECK_TIMEOUT_S),
    ("mapped roles", check_mapped_roles, CHECK_TIMEOUT_S),
)
"""Run with the role that pgmcp logs in with, in order: later checks rely on earlier ones."""

_ANSWER_CHECKS: Final[_Checks] = (
    ("catalog", check_catalog, CHECK_TIMEOUT_S),
    ("grants", check_grants, CHECK_TIMEOUT_S),
    ("row security", check_views_without_policies, CHECK_TIMEOUT_S),
    ("names", check_names, CHECK_TIMEOUT_S),
    ("patterns", check_patterns, CHECK_TIMEOUT_S),
    ("statistics", check_statistics, CHECK_TIMEOUT_S),
    ("data sent", check_data_sharing, CHECK_TIMEOUT_S),
    ("context names", check_context_names, CHECK_TIMEOUT_S),
    ("context conditions", check_conditions, CHECK_TIMEOUT_S),
    ("verified questions", check_verified_questions, CHECK_TIMEOUT_S),
    ("verified tools", check_verified_tools, CHECK_TIMEOUT_S),
)
"""Run with the role of callers without a token; if they have none, with that of the first mapped caller."""


async def examine_database(context: CheckContext) -> AsyncIterator[CheckResult]:
    """Yield the result of each check; stop if the connection fails."""
    for name, check, timeout_s in (*_LOGIN_CHECKS, *_ANSWER_CHECKS):
        if check is check_catalog:
            context = context.as_caller()
        check_name = f"database {context.database.name}: {name}"
        try:
            found = await _run(check, context, check_name, timeout_s)
        except _NO_CONNECTION as error:
            where = f"{context.address.hosts}, ssl mode {context.address.ssl_mode}"
            yield CheckResult(Status.FAIL, check_name, f"{error.code}: {error} ({where})", error.hint)
            return
        for result in _listed(found):
            yield result
            if check is check_connection and result.status is Status.FAIL:
                return


def _listed(found: Found) -> list[CheckResult]:
    if found is None:
        return []
    return found if isinstance(found, list) else [found]


async def _run(check: Check, context: CheckContext, check_name: str, timeout_s: float) -> Found:
    """Return the result of a check; errors other than connection errors become results."""
    try:
        async with asyncio.timeout(timeout_s):
            return await check(context, check_name)
    except _NO_CONNECTION:
        raise
    except StatementFailedError as error:
        return _judge_refusal(check_name, error)
    except PgmcpError as error:
        return failed_check(check_name, error)
    except TimeoutError:
        return CheckResult(
            Status.FAIL,
            check_name,
            f"timeout: no answer within {timeout_s:g} s",
            "check in pg_stat_activity what the database is doing, and try again",
        )
    except Exception as error:  # the other checks must still be reported
        return unexpected_failure(
            check_name,
            error,
            "the server may differ from PostgreSQL; please report this with the engine and its version",
        )


def _judge_refusal(check: str, error: StatementFailedError) -> CheckResult:
    """Return the result for a statement that PostgreSQL refused."""
    if error.sqlstate != INSUFFICIENT_PRIVILEGE:
        return failed_check(check, error)
    return CheckResult(Status.WARN, check, f"unknown: {error}", grant_for(str(error)))
