"""Finds what the configured role can and cannot read, for `pgmcp setup-sql --check` and `pgmcp doctor`."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from pgmcp.cli.command_session import Session, read_settings_quietly, run_in_session, with_databases
from pgmcp.cli.exposing_views import exposing_views_sql
from pgmcp.cli.hidden_columns import ColumnName
from pgmcp.cli.terminal import Terminal
from pgmcp.errors import PgmcpError, UnknownDatabaseError
from pgmcp.execution.catalog_access import fetch_own, without
from pgmcp.execution.result import JsonScalar, RowLimits, Rows, StatementOrigin
from pgmcp.settings import Settings
from pgmcp.settings.address import find_dbname
from pgmcp.untrusted import escape_untrusted

Fetch = Callable[[str], Awaitable[Sequence[Sequence[JsonScalar]]]]

# Partitions are left out if the role cannot read them, or can read their parent: queries read them through
# the parent. The names of policies are NULL if none is permissive: restrictive policies alone show no row.
_RELATIONS_SQL: Final = """
SELECT n.nspname, c.relname,
       pg_catalog.has_any_column_privilege(c.oid, 'SELECT'),
       pg_catalog.row_security_active(c.oid),
       (SELECT CASE WHEN pg_catalog.bool_or(p.polpermissive)
                    THEN pg_catalog.string_agg(p.polname::pg_catalog.text, ', ' ORDER BY p.polname) END
          FROM pg_catalog.pg_policy AS p
         WHERE p.polrelid = c.oid AND p.polcmd IN ('r', '*')
           AND EXISTS (SELECT FROM pg_catalog.unnest(p.polroles) AS r (oid)
                        WHERE r.oid = 0::pg_catalog.oid OR pg_catalog.pg_has_role(r.oid, 'USAGE')))
  FROM pg_catalog.pg_class AS c
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
   AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
   AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
   AND NOT (c.relispartition AND (
       NOT pg_catalog.has_any_column_privilege(c.oid, 'SELECT')
       OR NOT EXISTS (
          SELECT FROM pg_catalog.pg_inherits AS i
           WHERE i.inhrelid = c.oid
             AND NOT pg_catalog.has_any_column_privilege(i.inhparent, 'SELECT'))))
 ORDER BY n.nspname, c.relname
"""
_COLUMNS_SQL: Final = """
SELECT n.nspname, c.relname, a.attname, pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT')
  FROM pg_catalog.pg_attribute AS a
  JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
 WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
   AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
"""
_SCHEMAS_SQL: Final = """
SELECT n.nspname FROM pg_catalog.pg_namespace AS n WHERE pg_catalog.has_schema_privilege(n.oid, 'USAGE')
"""
_DESCENDANTS_SQL: Final = """
WITH RECURSIVE families (parent, oid) AS (
  SELECT i.inhparent, i.inhrelid FROM pg_catalog.pg_inherits AS i
   UNION
  SELECT f.parent, i.inhrelid FROM families AS f JOIN pg_catalog.pg_inherits AS i ON i.inhparent = f.oid
)
SELECT m.nspname, p.relname, n.nspname, c.relname
  FROM families AS f
  JOIN pg_catalog.pg_class AS p ON p.oid = f.parent
  JOIN pg_catalog.pg_namespace AS m ON m.oid = p.relnamespace
  JOIN pg_catalog.pg_class AS c ON c.oid = f.oid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
 WHERE p.relkind IN ('r', 'p', 'f') AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
"""
_TIMEOUT_S: Final = 20.0
_LIMITS: Final = RowLimits(max_rows=1_000_000, max_bytes=128 << 20, max_cell_bytes=1 << 16)


@dataclass(frozen=True, slots=True)
class Grants:
    """What a role can read in the schemas that it may use.

    Attributes:
        readable: tables and views, at least one column of each.
        unreadable: the others.
        policies: the names of the policies that choose the role's rows, by readable table with row-level
            security; "" if no policy lets the role see a row.
    """

    readable: list[str]
    unreadable: list[str]
    policies: dict[str, str]


async def read_grants(
    fetch: Fetch, includes: Callable[[str], bool], unreadable: Collection[str] = ()
) -> Grants:
    """Return what the role can read.

    Args:
        fetch: runs a statement as the role.
        includes: returns whether relations of a schema count.
        unreadable: the parts of the catalog that the role may not use. Without pg_policy, no policy has a
            name; without row_security_active(), every table counts as filtered.
    """
    grants = Grants([], [], {})
    for schema, table, is_readable, is_filtered, policies in await fetch(without(_RELATIONS_SQL, unreadable)):
        if not includes(str(schema)):
            continue
        name = f"{schema}.{table}"
        (grants.readable if is_readable else grants.unreadable).append(name)
        if is_readable and is_filtered:
            grants.policies[name] = str(policies or "")
    return grants


async def with_descendants(fetch: Fetch, columns: Sequence[ColumnName]) -> list[ColumnName]:
    """Return the columns, and the same columns of the tables' partitions and children."""
    if not columns:
        return []
    names = [tuple(map(str, row)) for row in await fetch(_DESCENDANTS_SQL)]
    return [
        *columns,
        *(
            replace(each, schema=schema, table=table)
            for each in columns
            for parent_schema, parent, schema, table in names
            if (parent_schema, parent) == (each.schema, each.table)
        ),
    ]


async def read_usable_schemas(fetch: Fetch) -> set[str]:
    """Return the schemas that the role has USAGE on."""
    return {str(name) for (name,) in await fetch(_SCHEMAS_SQL)}


async def check_hidden(fetch: Fetch, columns: Sequence[ColumnName]) -> list[str]:
    """Return a line for each column that should be hidden but can be read, or does not exist."""
    if not columns:
        return []
    readable = {tuple(map(str, row[:3])): bool(row[3]) for row in await fetch(_COLUMNS_SQL)}
    lines = []
    for name in dict.fromkeys((each.schema, each.table, each.column) for each in columns):
        if name not in readable:
            lines.append(f"to be hidden, but not in the database: {'.'.join(name)}")
        elif readable[name]:
            lines.append(f"readable, but to be hidden: {'.'.join(name)}")
    return lines


async def find_wholly_hidden(fetch: Fetch, columns: Sequence[ColumnName]) -> set[str]:
    """Return the tables and views that have hidden columns only."""
    if not columns:
        return set()
    hidden = {(each.schema, each.table, each.column) for each in columns}
    rows = [tuple(map(str, row[:3])) for row in await fetch(_COLUMNS_SQL)]
    shown = {row[:2] for row in rows if row not in hidden}
    return {f"{schema}.{table}" for schema, table, _ in rows if (schema, table) not in shown}


@dataclass(frozen=True, slots=True)
class ExposingView:
    """A view that uses a hidden column with its owner's rights.

    Attributes:
        name: with its schema.
        column: the hidden column, with schema and table.
    """

    name: str
    column: str
    is_readable: bool

    def __str__(self) -> str:
        return f"{self.name} ({self.column})"


async def find_exposing_views(fetch: Fetch, columns: Sequence[ColumnName]) -> list[ExposingView]:
    """Return the views of any schema that show one of the columns, whether or not the role can read them."""
    if not columns:
        return []
    names = [(each.schema, each.table, each.column) for each in columns]
    return [
        ExposingView(f"{schema}.{view}", ".".join(map(str, column)), bool(is_readable))
        for schema, view, *column, is_readable, _, _ in await fetch(exposing_views_sql(names))
    ]


def count_relations(names: Sequence[str]) -> str:
    """Return the number of tables and views, in words."""
    return "1 table or view" if len(names) == 1 else f"{len(names)} tables and views"


def describe_policies(policies: dict[str, str]) -> list[str]:
    """Return a phrase for each table whose rows are filtered."""
    return [
        f"{table}: {names or 'no policy allows rows for this role, so it sees none'}"
        for table, names in policies.items()
    ]


def check_grants(databases: Sequence[str], schemas: Sequence[str], hidden: Sequence[ColumnName]) -> bool:
    """Print what the configured roles can read; return whether they lack nothing and read no hidden column.

    Args:
        databases: names of databases, PostgreSQL's or those of the settings; none means all configured ones.
        schemas: the schemas that the roles should read, in each of these databases.
        hidden: columns that the roles should not read.
    """
    terminal = Terminal()
    settings = read_settings_quietly(terminal.warning_handler())
    settings = with_databases(
        settings, find_configured(settings, databases) if databases else list(settings.databases)
    )
    has_several = len(settings.databases) > 1
    is_right = True
    for name, (lines, is_database_right) in run_in_session(
        settings, partial(_check, schemas, hidden)
    ).items():
        is_right = is_right and is_database_right
        for line in lines:
            terminal.say_line(escape_untrusted(f"{name}: {line}" if has_several else line))
    terminal.flush()
    return is_right


def find_configured(settings: Settings, databases: Sequence[str]) -> list[str]:
    """Return the configured names of databases, each given by this name or by PostgreSQL's name.

    Raises:
        UnknownDatabaseError: a name is neither.
    """
    found = dict.fromkeys(
        name
        for database in databases
        for name in settings.databases
        if database in (name, find_dbname(settings.databases[name]))
    )
    known = {*found, *(find_dbname(settings.databases[name]) for name in found)}
    for database in databases:
        if database not in known:
            raise UnknownDatabaseError(database, list(settings.databases))
    return list(found)


async def _check(
    schemas: Sequence[str], hidden: Sequence[ColumnName], session: Session
) -> dict[str, tuple[list[str], bool]]:
    """Return the lines about each configured database, and whether its role reads what it should.

    Raises:
        PgmcpError: the only database could not be asked.
    """
    found = {}
    for name in session.pipeline.databases.names:
        try:
            found[name] = await _check_database(session, name, schemas, hidden)
        except PgmcpError as error:
            if len(session.pipeline.databases.names) == 1:
                raise
            found[name] = ([f"not checked: {error.code}: {error}"], False)
    return found


async def _check_database(
    session: Session, name: str, schemas: Sequence[str], hidden: Sequence[ColumnName]
) -> tuple[list[str], bool]:
    supervisor = session.pipeline.databases.get(name).supervisor

    async def run(sql: str) -> Rows:
        return await supervisor.execute(
            sql, _LIMITS, origin=StatementOrigin.OWN, can_be_wrapped=False, timeout_s=_TIMEOUT_S
        )

    async def fetch(sql: str) -> Sequence[Sequence[JsonScalar]]:
        return list((await fetch_own(run, sql)).rows)

    grants = await read_grants(fetch, lambda schema: schema in schemas)
    hidden = await with_descendants(fetch, hidden)
    usable = await read_usable_schemas(fetch)
    problems = [
        f"not usable: schema {schema}: it does not exist, or the role has no USAGE on it"
        for schema in schemas
        if schema not in usable
    ]
    views = await find_exposing_views(fetch, hidden)
    left_out = {view.name for view in views} | await find_wholly_hidden(fetch, hidden)
    problems += [f"not readable: {table}" for table in grants.unreadable if table not in left_out]
    problems += await check_hidden(fetch, hidden)
    problems += [f"shown by a view: {view}" for view in views if view.is_readable]
    lines = [f"readable: {count_relations(grants.readable)} in {', '.join(schemas)}", *problems]
    lines += [f"left out, because of a hidden column: {view}" for view in views if not view.is_readable]
    lines += [f"filtered by policies: {each}" for each in describe_policies(grants.policies)]
    return lines, bool(grants.readable) and not problems
