"""Lets PostgreSQL plan the SQL of entries, through the same guards as for any caller."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from pgmcp.errors import ExecutionError, PgmcpError, SqlRejectedError
from pgmcp.knowledge.entries import Entry, LeftOut, Origin, Section, one_line

Explain = Callable[[str], Awaitable[object]]
"""Plans a statement with all guards; raises the reason if it cannot be planned."""


async def keep_what_plans(entries: Sequence[Entry], explain: Explain) -> tuple[list[Entry], list[LeftOut]]:
    """Return the entries whose SQL PostgreSQL can plan, and those that were left out.

    A term stays in words. Each statement is planned once.

    Raises:
        PgmcpError: statements cannot be checked at all, for example because there is no connection.
    """
    kept: list[Entry] = []
    left_out: list[LeftOut] = []
    reason_by_sql: dict[str, str] = {}
    for entry in entries:
        if entry.check and entry.check not in reason_by_sql:
            reason_by_sql[entry.check] = await _reason(entry.check, explain)
        reason = reason_by_sql.get(entry.check, "") if entry.check else ""
        if not reason:
            kept.append(entry)
            continue
        if entry.section is not Section.VERIFIED or entry.origin is Origin.DRAFT:
            left_out.append(LeftOut(f"SQL of {entry.section}: {entry.name}", reason))
        if entry.without_sql and entry.without_sql != entry.name:
            kept.append(replace(entry, text=entry.without_sql, check=""))
    return kept, left_out


async def _reason(sql: str, explain: Explain) -> str:
    """Return why a statement cannot be planned; "" if it can."""
    try:
        await explain(sql)
    except (SqlRejectedError, ExecutionError) as error:
        if _ends_the_check(error):
            raise
        return one_line(f"PostgreSQL cannot plan it: {error}", 300)
    return ""


def _ends_the_check(error: PgmcpError) -> bool:
    """Return whether the error is not about the statement."""
    return error.code.value not in ("rejected", "statement_failed", "too_expensive", "timeout")
