"""What the configured role can and cannot read: for `pgmcp setup-sql --check` and `pgmcp doctor`."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from pgmcp.cli.session import Session, load_quiet_settings, run_in_session
from pgmcp.cli.setup_sql import ColumnName
from pgmcp.cli.terminal import Terminal
from pgmcp.execution.result import JsonScalar, RowLimits, StatementOrigin
from pgmcp.untrusted import escape_untrusted

Fetch = Callable[[str], Awaitable[Sequence[Sequence[JsonScalar]]]]

# A partition is read through its parent.
_RELATIONS_SQL: Final = """
SELECT n.nspname, c.relname,
       pg_catalog.has_any_column_privilege(c.oid, 'SELECT'),
       pg_catalog.row_security_active(c.oid),
       (SELECT pg_catalog.string_agg(p.polname::pg_catalog.text, ', ' ORDER BY p.polname)
          FROM pg_catalog.pg_policy AS p WHERE p.polrelid = c.oid)
  FROM pg_catalog.pg_class AS c
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
   AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
   AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
 ORDER BY n.nspname, c.relname
"""
_COLUMNS_SQL: Final = """
SELECT n.nspname, c.relname, a.attname
  FROM pg_catalog.pg_attribute AS a
  JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
 WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
   AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
   AND pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT')
"""
_TIMEOUT_S: Final = 20.0
_LIMITS: Final = RowLimits(max_rows=1_000_000, max_bytes=128 << 20, max_cell_bytes=1 << 16)


@dataclass(frozen=True, slots=True)
class Grants:
    """What a role can read in the schemas that it may use.

    Attributes:
        readable: tables and views, at least one column of each.
        unreadable: the others.
        policies: those of readable tables that filter what the role sees; "" for no policy, which hides all.
    """

    readable: list[str]
    unreadable: list[str]
    policies: dict[str, str]


async def read_grants(fetch: Fetch, includes: Callable[[str], bool]) -> Grants:
    """Return what the role can read.

    Args:
        fetch: runs a statement as the role.
        includes: whether a schema counts.
    """
    grants = Grants([], [], {})
    for schema, table, is_readable, is_filtered, policies in await fetch(_RELATIONS_SQL):
        if not includes(str(schema)):
            continue
        name = f"{schema}.{table}"
        (grants.readable if is_readable else grants.unreadable).append(name)
        if is_readable and is_filtered:
            grants.policies[name] = str(policies or "")
    return grants


async def find_readable(fetch: Fetch, columns: Sequence[ColumnName]) -> list[str]:
    """Return those of the columns that the role can read, though they should be hidden."""
    if not columns:
        return []
    readable = {tuple(map(str, row)) for row in await fetch(_COLUMNS_SQL)}
    return [
        f"{each.schema}.{each.table}.{each.column}"
        for each in columns
        if (each.schema, each.table, each.column) in readable
    ]


def describe_policies(policies: dict[str, str]) -> list[str]:
    """Return a phrase for each table whose rows are filtered."""
    return [f"{table}: {names or 'no policy, so no row is seen'}" for table, names in policies.items()]


def check_grants(schemas: Sequence[str], hidden: Sequence[ColumnName]) -> bool:
    """Print what the configured role can read in the schemas; return whether that is as it should be.

    Args:
        schemas: those that it should read.
        hidden: columns that it should not read.
    """
    terminal = Terminal()
    settings = load_quiet_settings(terminal.warning_handler(), None)

    async def check(session: Session) -> tuple[Grants, list[str]]:
        supervisor = session.pipeline.databases.get(None).supervisor

        async def fetch(sql: str) -> Sequence[Sequence[JsonScalar]]:
            rows = await supervisor.execute(
                sql, _LIMITS, origin=StatementOrigin.OWN, can_be_wrapped=False, timeout_s=_TIMEOUT_S
            )
            return list(rows.rows)

        return await read_grants(fetch, lambda schema: schema in schemas), await find_readable(fetch, hidden)

    grants, readable_columns = run_in_session(settings, check)
    lines = [f"readable: {len(grants.readable)} tables and views in {', '.join(schemas)}"]
    lines += [f"not readable: {name}" for name in grants.unreadable]
    lines += [f"readable, but to be hidden: {name}" for name in readable_columns]
    lines += [f"filtered by policies: {each}" for each in describe_policies(grants.policies)]
    for line in lines:
        terminal.say_line(escape_untrusted(line))
    terminal.flush()
    return bool(grants.readable) and not grants.unreadable and not readable_columns
