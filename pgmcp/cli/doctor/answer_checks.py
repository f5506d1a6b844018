"""What answers rely on: statistics, verified questions; and what the model's provider is told for them."""

import asyncio
from typing import Final

from pgmcp.catalog.catalog import UNREADABLE_CHARACTER, Catalog
from pgmcp.cli.doctor.check_context import CheckContext
from pgmcp.cli.doctor.report import CheckResult, Status, enumerate_some
from pgmcp.errors import ExecutionError, PgmcpError, StatementFailedError
from pgmcp.execution.catalog_access import USE_BY_PART, describe_use, find_unreadable, grant
from pgmcp.generation.context_check import explain_unknown_names, find_unknown_names
from pgmcp.generation.context_file import DatabaseContext
from pgmcp.generation.verified import ParameterKind, VerifiedQuestion
from pgmcp.lookup.scope_check import find_unmatched_columns, find_unmatched_schemas
from pgmcp.untrusted import escape_untrusted

_STATISTICS_SQL: Final = """
SELECT pg_catalog.format('%I.%I', n.nspname, c.relname),
       EXISTS (SELECT FROM pg_catalog.pg_stats AS s
                WHERE s.schemaname = n.nspname AND s.tablename = c.relname)
  FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'm') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
   AND pg_catalog.has_any_column_privilege(c.oid, 'SELECT') AND NOT pg_catalog.row_security_active(c.oid)
   AND pg_catalog.pg_relation_size(c.oid) > 0
 ORDER BY 1
"""
"""Tables that hold rows, and whether the role is told of them; where row security applies, it never is."""

# What stands for a parameter when its question's SQL is planned; no row has to match.
_SAMPLE_BY_KIND: Final = {
    ParameterKind.DATE: "2026-01-01",
    ParameterKind.NUMBER: "1",
    ParameterKind.TEXT: "any",
    ParameterKind.VALUE: "any",
}


async def check_statistics(context: CheckContext, check: str) -> CheckResult:
    """See whether the planner, and so our hints on values, know what the tables hold."""
    needed = {"pg_stats", "row_security_active", "pg_relation_size"}
    if missing := needed & await find_unreadable(context.fetch_rows):
        return CheckResult(
            Status.WARN,
            check,
            f"not known: the role may not {describe_use(missing)}",
            grant(missing),
        )
    found = await context.fetch(_STATISTICS_SQL)
    unknown = [escape_untrusted(str(name)) for name, is_known in found if not is_known]
    if not unknown:
        text = (
            f"the planner has them for all {len(found)} tables that hold rows"
            if found
            else "no table holds rows"
        )
        return CheckResult(Status.OK, check, text)
    return CheckResult(
        Status.WARN,
        check,
        f"{len(unknown)} of {len(found)} tables that hold rows have none: {enumerate_some(unknown)}",
        "run ANALYZE there as the tables' owner: values, ranges and plans come from them",
    )


async def check_catalog(context: CheckContext, check: str) -> CheckResult:
    """Report which parts of the catalog the role may not use, and what is missing without them."""
    unreadable = sorted(await find_unreadable(context.fetch_rows))
    if not unreadable:
        return CheckResult(Status.OK, check, "the role may use all parts that pgmcp needs")
    less = "; ".join(f"{describe_use([part])}: {USE_BY_PART[part]}" for part in unreadable)
    return CheckResult(Status.WARN, check, f"the role may not {less}", grant(unreadable))


async def check_names(context: CheckContext, check: str) -> CheckResult | None:
    """Report names of tables and columns with bytes that mean nothing in the encoding they are read in."""
    catalog = await context.database.schema.get()
    unreadable = [
        f"{catalog.display_name(table)}.{column.name}"
        for table in catalog.tables
        for column in table.columns
        if UNREADABLE_CHARACTER in f"{table.schema} {table.name} {column.name}"
    ]
    if not unreadable:
        return None
    return CheckResult(
        Status.WARN,
        check,
        f"no statement can name {len(unreadable)} columns, because bytes of their names, or of their tables' "
        f"names, mean nothing in this encoding: {escape_untrusted(enumerate_some(unreadable))}",
        "add client_encoding to the connection string, for example client_encoding=latin1: it says in which "
        "encoding the database's text is",
    )


async def check_patterns(context: CheckContext, check: str) -> CheckResult | None:
    """Report patterns for schemas and hidden values that match nothing."""
    catalog = await context.database.schema.get()
    scope = catalog.scope
    if not (scope.include_schemas or scope.exclude_schemas or scope.hidden_values):
        return None
    schemas = await asyncio.to_thread(find_unmatched_schemas, catalog)
    columns = await asyncio.to_thread(find_unmatched_columns, catalog)
    if not schemas and not columns:
        return CheckResult(Status.OK, check, "every pattern for schemas and hidden values matches something")
    # The patterns for columns hold for all databases, and may be meant for another one.
    is_only_one = len(context.settings.databases) == 1
    certain = [each for each in (*schemas, *(columns if is_only_one else ())) if not each.has_wildcard]
    return CheckResult(
        Status.FAIL if certain else Status.WARN,
        check,
        "; ".join(each.describe() for each in (*schemas, *columns)),
        "correct or remove the pattern; only names that this role may read count",
    )


async def check_data_sharing(context: CheckContext, check: str) -> CheckResult:
    """Say what of this database is sent to the model's provider, and what keeps it here."""
    catalog = await context.database.schema.get()
    if not catalog.tables:
        return CheckResult(
            Status.WARN,
            check,
            "nothing: the role may read no table here",
            "GRANT USAGE on the schema and SELECT on its tables, `pgmcp setup-sql` prints the script; "
            "PG_MCP_DATABASE_INCLUDE_SCHEMAS and _EXCLUDE_SCHEMAS may leave all out, too",
        )
    if not context.model_endpoint:
        text = "nothing: no model is configured; the host's own model sees what the tools return"
        return CheckResult(Status.OK, check, text)
    text = f"with a question to {context.model_endpoint}, never rows: {_describe(catalog)}"
    server = context.settings.server
    if server.sample_rows and server.send_values:
        text += "; more of tables without statistics, once sampled (PG_MCP_SERVER_SAMPLE_ROWS=0 reads none)"
    if await asyncio.to_thread(context.database.context) != DatabaseContext():
        text += "; of the context file its terms, notes and the nearest verified questions"
    return CheckResult(Status.OK, check, text)


def _describe(catalog: Catalog) -> str:
    schemas = sorted({escape_untrusted(table.schema) for table in catalog.tables})
    columns = [(table, column) for table in catalog.tables for column in table.columns]
    comments = sum(bool(each.comment) for each in catalog.tables)
    comments += sum(bool(column.comment) for _, column in columns)
    valued = [
        escape_untrusted(f"{table.name}.{column.name}")
        for table, column in columns
        if column.values or column.value_range
    ]
    return (
        f"names and types of {len(catalog.tables)} tables in {enumerate_some(schemas)} "
        "(PG_MCP_DATABASE_EXCLUDE_SCHEMAS leaves schemas out), enum labels, "
        f"{comments} comments, and {_describe_values(valued)}"
    )


def _describe_values(columns: list[str]) -> str:
    if not columns:
        return "no values"
    return (
        f"values or ranges of {len(columns)} columns: {enumerate_some(columns)} "
        "(PG_MCP_SERVER_HIDDEN_VALUES keeps single columns here, PG_MCP_SERVER_SEND_VALUES=false all)"
    )


async def check_context_names(context: CheckContext, check: str) -> CheckResult | None:
    """Look up every table and column that the context file names."""
    notes = await asyncio.to_thread(context.database.context)
    if notes == DatabaseContext():
        return None
    catalog = await context.database.schema.get()
    unknown = await asyncio.to_thread(find_unknown_names, notes, catalog)
    if not unknown:
        return CheckResult(Status.OK, check, "every table and column that the context file names is listed")
    explanation = await explain_unknown_names(unknown, catalog, context.database.find_hidden)
    if not explanation.text:  # PostgreSQL's own relations
        return CheckResult(Status.OK, check, "every table and column that the context file names exists")
    return CheckResult(
        Status.WARN if explanation.all_exist else Status.FAIL,
        check,
        explanation.text,
        "correct the names in PG_MCP_CONTEXT_FILE; what describes no table or column belongs under `terms`",
    )


async def check_verified_questions(context: CheckContext, check: str) -> CheckResult | None:
    """Plan the SQL of every verified question against the schema as it is now."""
    questions = (await asyncio.to_thread(context.database.context)).verified
    if not questions:
        return None
    problems = [
        problem for question in questions if (problem := await _find_problem(context, question)) is not None
    ]
    if not problems:
        return CheckResult(Status.OK, check, f"all {len(questions)} can run")
    return CheckResult(
        Status.FAIL,
        check,
        f"{len(problems)} of {len(questions)} cannot run: {'; '.join(problems)}",
        "mend their SQL in PG_MCP_CONTEXT_FILE",
    )


async def _find_problem(context: CheckContext, verified: VerifiedQuestion) -> str | None:
    """Return why a question's SQL cannot run, or None if it can.

    Raises:
        ExecutionError: not because of its SQL.
    """
    samples = {name: _SAMPLE_BY_KIND[each.kind] for name, each in verified.parameters.items()}
    sql = f"EXPLAIN {verified.bind(samples)}"
    try:
        await context.pipeline.execute_sql(sql, database=context.database.name)
    except PgmcpError as error:
        if isinstance(error, ExecutionError) and not isinstance(error, StatementFailedError):
            raise
        return f"{verified.question!r} ({error.code}: {error})"
    return None
