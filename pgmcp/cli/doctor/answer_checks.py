"""Checks of the basis of answers: statistics, names, verified questions, and data sent to the model."""

import asyncio
from collections.abc import Collection
from typing import Final

from pgmcp.catalog.catalog import UNREADABLE_CHARACTER, Catalog
from pgmcp.cli.doctor.check_context import CheckContext
from pgmcp.cli.doctor.report import CheckResult, Status, enumerate_some
from pgmcp.cli.grants import Grants, count_relations, describe_policies, read_grants
from pgmcp.execution.catalog_access import USE_BY_PART, describe_use, find_unreadable, grant
from pgmcp.execution.policy import find_vital
from pgmcp.generation.context_check import (
    conditions_to_plan,
    explain_unknown_names,
    find_unknown_names,
)
from pgmcp.generation.context_file import DatabaseContext
from pgmcp.generation.verified import VerifiedQuestion
from pgmcp.lookup.scope_check import find_unmatched_columns, find_unmatched_schemas
from pgmcp.lookup.statement_hints import MISSING_NAME_SQLSTATES
from pgmcp.plural import count_of
from pgmcp.quoting import quote_identifier
from pgmcp.surface.verified_tools import define, estimate_definition, offer_tools
from pgmcp.untrusted import escape_untrusted

_STATISTICS_SQL: Final = """
SELECT pg_catalog.format('%I.%I', n.nspname, c.relname),
       EXISTS (SELECT FROM pg_catalog.pg_stats AS s
                WHERE s.schemaname = n.nspname AND s.tablename = c.relname)
  FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'm') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
   AND pg_catalog.has_any_column_privilege(c.oid, 'SELECT') AND NOT pg_catalog.row_security_active(c.oid)
   AND pg_catalog.pg_relation_size(c.oid::pg_catalog.regclass) > 0
 ORDER BY 1
"""
"""Tables with rows, and whether the role can see their statistics.

Tables with row-level security are left out, because it hides their statistics.
"""


_VIEWS_WITHOUT_POLICIES_SQL: Final = """
WITH RECURSIVE views AS (
  SELECT c.oid, c.relowner, r.oid AS rule, c.relkind = 'v' AND EXISTS (
           SELECT FROM pg_catalog.pg_options_to_table(c.reloptions) AS o
            WHERE CASE o.option_name WHEN 'security_invoker' THEN o.option_value::pg_catalog.bool END)
         AS is_callers
    FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_rewrite AS r ON r.ev_class = c.oid AND r.ev_type = '1'
   WHERE c.relkind IN ('v', 'm') AND c.oid >= 16384::pg_catalog.oid
), reads AS (
  SELECT DISTINCT v.oid, v.relowner, v.is_callers, d.refobjid AS relation
    FROM views AS v
    JOIN pg_catalog.pg_depend AS d ON d.classid = 2618::pg_catalog.oid AND d.objid = v.rule  -- pg_rewrite
         AND d.refclassid = 1259::pg_catalog.oid AND d.refobjid <> v.oid  -- pg_class
), unfiltered (oid, relation) AS (
  SELECT r.oid, r.relation
    FROM reads AS r
    JOIN pg_catalog.pg_class AS c ON c.oid = r.relation
    JOIN pg_catalog.pg_roles AS o ON o.oid = r.relowner
   WHERE NOT r.is_callers AND c.relrowsecurity AND pg_catalog.row_security_active(c.oid)
     AND (o.rolsuper OR o.rolbypassrls
          OR (NOT c.relforcerowsecurity AND pg_catalog.pg_has_role(r.relowner, c.relowner, 'USAGE')))
   UNION
  SELECT r.oid, u.relation FROM unfiltered AS u JOIN reads AS r ON r.relation = u.oid
)
SELECT pg_catalog.format('%I.%I', n.nspname, v.relname), pg_catalog.format('%I.%I', m.nspname, c.relname)
  FROM unfiltered AS u
  JOIN pg_catalog.pg_class AS v ON v.oid = u.oid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = v.relnamespace
  JOIN pg_catalog.pg_class AS c ON c.oid = u.relation
  JOIN pg_catalog.pg_namespace AS m ON m.oid = c.relnamespace
 WHERE pg_catalog.has_schema_privilege(n.oid, 'USAGE')
   AND pg_catalog.has_any_column_privilege(v.oid, 'SELECT')
 ORDER BY 1, 2
"""


async def check_statistics(context: CheckContext, check: str) -> CheckResult:
    """Check whether tables have planner statistics, which hints on values rely on."""
    needed = {"pg_stats", "row_security_active", "pg_relation_size"}
    if missing := needed & await find_unreadable(context.fetch_rows):
        return CheckResult(
            Status.WARN,
            check,
            f"unknown: the role may not {describe_use(missing)}",
            grant(missing),
        )
    found = await context.fetch(_STATISTICS_SQL)
    unknown = [escape_untrusted(str(name)) for name, is_known in found if not is_known]
    if not unknown:
        text = "all tables with rows have statistics" if found else "no table has rows"
        return CheckResult(Status.OK, check, text)
    return CheckResult(
        Status.WARN,
        check,
        f"{len(unknown)} of {count_of(len(found), 'table')} with rows have no statistics: "
        + enumerate_some(unknown),
        "run ANALYZE as the owner of the tables: values, ranges and plans depend on statistics",
    )


async def check_catalog(context: CheckContext, check: str) -> CheckResult:
    """Report parts of the catalog that the role may not use, and the consequences."""
    unreadable = sorted(await find_unreadable(context.fetch_rows))
    if not unreadable:
        return CheckResult(Status.OK, check, "the role may use all required parts of the catalog")
    less = "; ".join(f"{describe_use([part])}: {USE_BY_PART[part]}" for part in unreadable)
    status = Status.FAIL if find_vital(unreadable) else Status.WARN
    return CheckResult(status, check, f"the role may not {less}", grant(unreadable))


async def check_grants(context: CheckContext, check: str) -> CheckResult:
    """Report tables in the schemas of the role that it may not read, and policies that filter rows."""
    catalog = await context.database.schema.get()
    unreadable = await find_unreadable(context.fetch_rows)
    grants = await read_grants(context.fetch, catalog.scope.includes, unreadable)
    if not grants.readable:
        return await _advise_to_grant(context, check, grants)
    text = f"the role may read {count_relations(grants.readable)}{_describe_filters(grants, unreadable)}"
    if not grants.unreadable:
        return CheckResult(Status.OK, check, f"{text}; its schemas contain no others")
    return CheckResult(
        Status.WARN,
        check,
        f"{text}, but not {count_of(len(grants.unreadable), 'other')} in its schemas: "
        f"{escape_untrusted(enumerate_some(grants.unreadable))}",
        "if they are hidden on purpose, change nothing; otherwise run the script of `pgmcp setup-sql` again, "
        "which also grants later tables of their owners",
    )


def _describe_filters(grants: Grants, unreadable: Collection[str]) -> str:
    """Return what is known of the policies that filter rows, as the end of a clause; "" if there are none."""
    if "row_security_active" in unreadable:
        return "; it is not known where row policies filter rows"
    if not grants.policies:
        return ""
    by_name = "pg_policy" not in unreadable
    filtered = describe_policies(grants.policies) if by_name else list(grants.policies)
    listed = escape_untrusted(enumerate_some(filtered))
    subject = "row policies filter" if by_name else "row policies, which the role may not read, filter"
    return f"; {subject} {len(grants.policies)} of them: {listed}"


async def _advise_to_grant(context: CheckContext, check: str, grants: Grants) -> CheckResult:
    role = (await context.database.role.privileges()).role
    schema = next(iter((await context.database.schema.get()).search_path), "public")
    names = [escape_untrusted(quote_identifier(name)) for name in (role, schema)]
    if not grants.unreadable:
        return CheckResult(
            Status.WARN,
            check,
            f"there is no table or view in the schemas that the role {names[0]} may use",
            "check the name of the database; if its tables are in another schema, as their owner: "
            f"GRANT USAGE ON SCHEMA … TO {names[0]}, or run the script of `pgmcp setup-sql`",
        )
    return CheckResult(
        Status.WARN,
        check,
        f"the role {names[0]} may read none of the {count_relations(grants.unreadable)} in its schemas",
        f"as the owner of the tables: GRANT USAGE ON SCHEMA {names[1]} TO {names[0]}; "
        f"GRANT SELECT ON ALL TABLES IN SCHEMA {names[1]} TO {names[0]}; and likewise for other schemas, "
        "or run the script of `pgmcp setup-sql`",
    )


async def check_views_without_policies(context: CheckContext, check: str) -> CheckResult | None:
    """Report readable views that show rows of tables which row-level security hides from the role."""
    if {"pg_rewrite", "pg_depend", "pg_roles", "row_security_active"} & await find_unreadable(
        context.fetch_rows
    ):
        return None
    found = await context.fetch(_VIEWS_WITHOUT_POLICIES_SQL)
    if not found:
        return None
    listed = escape_untrusted(enumerate_some([f"{view} (of {table})" for view, table in found]))
    noun, verb = ("view", "shows") if len(found) == 1 else ("views", "show")
    return CheckResult(
        Status.WARN,
        check,
        f"{len(found)} readable {noun} of tables with row-level security {verb} all rows, because the "
        f"policies do not apply to the view's owner: {listed}",
        "ALTER VIEW … SET (security_invoker = true) applies the role's policies (PostgreSQL 15 and later; no "
        "materialized views); or revoke SELECT on the view; or leave it if that is intended",
    )


async def check_names(context: CheckContext, check: str) -> CheckResult | None:
    """Report names of tables and columns that are invalid in the client encoding."""
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
        f"no statement can name {count_of(len(unreadable), 'column')}, because the name, or the table's "
        f"name, is invalid in this encoding: {escape_untrusted(enumerate_some(unreadable))}",
        "add client_encoding to the connection string, for example client_encoding=latin1, to declare the "
        "encoding of the database's text",
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
    # Patterns for columns apply to all databases, and may be intended for another one.
    is_only_one = len(context.settings.databases) == 1
    certain = [each for each in (*schemas, *(columns if is_only_one else ())) if not each.has_wildcard]
    return CheckResult(
        Status.FAIL if certain else Status.WARN,
        check,
        "; ".join(each.describe() for each in (*schemas, *columns)),
        "correct or remove the pattern; it is compared only with names that this role may read",
    )


async def check_data_sharing(context: CheckContext, check: str) -> CheckResult:
    """Report which data of this database is sent to the model's provider, and how to prevent that."""
    catalog = await context.database.schema.get()
    if not catalog.tables:
        return CheckResult(
            Status.WARN,
            check,
            "nothing: the role may read no table",
            "GRANT USAGE on the schema and SELECT on its tables (`pgmcp setup-sql` prints the script); "
            "PG_MCP_DATABASE_INCLUDE_SCHEMAS and _EXCLUDE_SCHEMAS may also exclude all schemas",
        )
    if not context.model_endpoint:
        text = "nothing: no model is configured; the host's own model sees what the tools return"
        return CheckResult(Status.OK, check, text)
    text = f"with a question to {context.model_endpoint}, never rows: {_describe(catalog)}"
    server = context.settings.server
    if server.sample_rows and server.send_values:
        text += "; samples of tables without statistics (PG_MCP_SERVER_SAMPLE_ROWS=0 turns sampling off)"
    if await asyncio.to_thread(context.database.context) != DatabaseContext():
        text += "; terms, notes and similar verified questions of the context file"
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
        f"names and types of {count_of(len(catalog.tables), 'table')} in {enumerate_some(schemas)} "
        "(PG_MCP_DATABASE_EXCLUDE_SCHEMAS excludes schemas), enum labels, "
        f"{count_of(comments, 'comment')}, and {_describe_values(valued)}"
    )


def _describe_values(columns: list[str]) -> str:
    if not columns:
        return "no values"
    return (
        f"values or ranges of {count_of(len(columns), 'column')}: {enumerate_some(columns)} "
        "(PG_MCP_SERVER_HIDDEN_VALUES excludes columns, PG_MCP_SERVER_SEND_VALUES=false excludes all)"
    )


async def check_context_names(context: CheckContext, check: str) -> CheckResult | None:
    """Check that the tables and columns in the context file exist."""
    notes = await asyncio.to_thread(context.database.context)
    if notes == DatabaseContext():
        return None
    catalog = await context.database.schema.get()
    unknown = await asyncio.to_thread(find_unknown_names, notes, catalog)
    if not unknown:
        return CheckResult(
            Status.OK, check, "all tables and columns that the context file names are in the schema"
        )
    explanation = await explain_unknown_names(unknown, catalog, context.database.find_hidden)
    if not explanation.text:  # PostgreSQL's own relations
        return CheckResult(Status.OK, check, "all tables and columns in the context file exist")
    return CheckResult(
        Status.WARN if explanation.all_exist else Status.FAIL,
        check,
        explanation.text,
        "correct the names in PG_MCP_CONTEXT_FILE; put texts about anything else under `terms`",
    )


async def check_conditions(context: CheckContext, check: str) -> CheckResult | None:
    """Plan the default filters and joins of the context file; `check_context_names` reports unknown names."""
    notes = await asyncio.to_thread(context.database.context)
    catalog = await context.database.schema.get()
    conditions = await asyncio.to_thread(lambda: list(conditions_to_plan(notes, catalog)))
    if not conditions:
        return None
    problems = []
    for place, sql in conditions:
        error = await context.pipeline.plan_verified(
            VerifiedQuestion(place, sql), context.database.name, context.principal
        )
        if error and getattr(error, "sqlstate", "") not in MISSING_NAME_SQLSTATES:
            problems.append(f"{place} ({error.code}: {error})")
    if not problems:
        return CheckResult(Status.OK, check, f"all {len(conditions)} filters and joins can run")
    return CheckResult(
        Status.FAIL,
        check,
        escape_untrusted(f"{len(problems)} of {len(conditions)} cannot run: {'; '.join(problems)}"),
        "correct the conditions under `filters` and `joins` in PG_MCP_CONTEXT_FILE",
    )


async def check_verified_questions(context: CheckContext, check: str) -> CheckResult | None:
    """Plan the SQL of every verified question against the current schema."""
    questions = (await asyncio.to_thread(context.database.context)).verified
    if not questions:
        return None
    problems = [
        problem for question in questions if (problem := await _find_problem(context, question)) is not None
    ]
    if not problems:
        return CheckResult(
            Status.OK, check, "it can run" if len(questions) == 1 else f"all {len(questions)} can run"
        )
    return CheckResult(
        Status.FAIL,
        check,
        f"{len(problems)} of {len(questions)} cannot run: {'; '.join(problems)}",
        "fix their SQL in PG_MCP_CONTEXT_FILE",
    )


async def _find_problem(context: CheckContext, verified: VerifiedQuestion) -> str | None:
    """Return why the SQL of a question cannot run, or None if it can.

    Raises:
        ExecutionError: the cause is not the SQL.
    """
    error = await context.pipeline.plan_verified(verified, context.database.name, context.principal)
    return None if error is None else f"{verified.question!r} ({error.code}: {error})"


async def check_verified_tools(context: CheckContext, check: str) -> CheckResult | None:
    """Report the tools of the context file that are offered, and the mistakes in others."""
    databases = context.pipeline.databases
    contexts = {name: await asyncio.to_thread(databases.get(name).context) for name in databases.names}
    offer = offer_tools(contexts, databases.names, max_tools=context.settings.server.verified_tools)
    own = [tool for tool in offer.tools if tool.database == context.database.name]
    problems = list(contexts[context.database.name].problems)
    problems += [each.text for each in offer.problems if each.database == context.database.name]
    if problems:
        return CheckResult(
            Status.FAIL,
            check,
            escape_untrusted("; ".join(problems)),
            "correct the entry in PG_MCP_CONTEXT_FILE; until then the tool is not offered",
        )
    if not own:
        return None
    tokens = sum(estimate_definition(define(tool.verified)) for tool in own)
    return CheckResult(
        Status.OK,
        check,
        f"{enumerate_some([tool.name for tool in own])}: about {tokens} tokens of each conversation",
    )
