"""Each name on an allow-list has a valid use that the validator accepts and that runs on a real server."""

from collections.abc import Callable, Iterator
from importlib.resources import files
from typing import Any, NamedTuple

import psycopg
import pytest

from pgmcp.validation import (
    FunctionPolicy,
    SqlRejectedError,
    bounds,
    grammar,
    secret_relations,
    statement_kind,
    validate,
)
from pgmcp.validation.secret_columns import SECRET_COLUMNS
from pgmcp.validation.shipped_lists import is_known_operator
from scripts.generate_function_list import ListedFunction, judge, read_server
from testing.statements import honest_statements

_POLICY = FunctionPolicy()
_READ_ONLY = "-c default_transaction_read_only=on -c statement_timeout=10s"

# These SQLSTATEs mean that a call can never work; all others depend on the values.
_NEVER_WORKS = frozenset({"42601", "42883", "42725", "42809", "42P13"})

_VALUE_BY_PSEUDO_TYPE = {
    "anyarray": "null::int[]",
    "anycompatiblearray": "null::int[]",
    "anyenum": "null::a_mood",
    "anyrange": "null::int4range",
    "anycompatiblerange": "null::int4range",
    "anymultirange": "null::int4multirange",
    "anycompatiblemultirange": "null::int4multirange",
    "record": "null::a_row",
} | dict.fromkeys(["any", "anyelement", "anynonarray", "anycompatible", "anycompatiblenonarray"], "null::int")

_FUNCTIONS = """
select case n.nspname when 'pg_catalog' then p.proname else n.nspname || '.' || p.proname end,
       n.nspname, p.proname, p.prokind::text, a.aggkind::text, coalesce(a.aggnumdirectargs, 0), p.proretset,
       p.prorettype = 'record'::regtype and p.proargmodes is null,
       array(select t.typname from unnest(p.proargtypes) with ordinality as u (id, place)
             join pg_type t on t.oid = u.id order by u.place),
       array(select case when t.typtype = 'p' then '' else format_type(t.oid, null) end
             from unnest(p.proargtypes) with ordinality as u (id, place)
             join pg_type t on t.oid = u.id order by u.place),
       p.provariadic <> 0 and p.provariadic <> '"any"'::regtype
from pg_proc p join pg_namespace n on n.oid = p.pronamespace left join pg_aggregate a on a.aggfnoid = p.oid
where n.nspname in ('pg_catalog', 'information_schema') and p.prokind <> 'p'
order by 1, p.oid
"""


class _Function(NamedTuple):
    listed_name: str
    schema: str
    name: str
    kind: str
    aggregate_kind: str | None
    direct_arguments: int
    returns_set: bool
    needs_columns: bool
    type_names: list[str]
    spelled_types: list[str]
    is_variadic: bool

    def call(self) -> str:
        """Return a statement that calls it with NULL for each argument."""
        arguments = [
            f"null::{spelled}" if spelled else _VALUE_BY_PSEUDO_TYPE.get(name, f"null::{name}")
            for name, spelled in zip(self.type_names, self.spelled_types, strict=True)
        ]
        if self.is_variadic and self.aggregate_kind not in ("o", "h"):
            arguments[-1] = f"variadic {arguments[-1]}"
        called = f'{self.schema}."{self.name}"'
        if self.aggregate_kind in ("o", "h"):
            direct = arguments[: self.direct_arguments] if self.aggregate_kind == "o" else arguments
            ordered = arguments[self.direct_arguments :] if self.aggregate_kind == "o" else arguments
            return f"select {called}({', '.join(direct)}) within group (order by {', '.join(ordered)})"
        if self.needs_columns:
            return f"select * from {called}({', '.join(arguments)}) as r (a int)"
        window = " over ()" if self.kind == "w" else ""
        return f"select {called}({', '.join(arguments)}){window}"


@pytest.fixture(scope="module")
def connection(module_database: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(module_database, autocommit=True) as admin:
        admin.execute(
            "create type a_mood as enum ('sad'); create table a_row (id int); insert into a_row values (1)"
        )
        admin.execute("create extension tsm_system_rows; create extension tsm_system_time")
    with psycopg.connect(module_database, autocommit=True, options=_READ_ONLY) as reading_connection:
        yield reading_connection


def _passes(statement: str) -> bool:
    try:
        validate(statement, functions=_POLICY)
    except SqlRejectedError:
        return False
    return True


def _works(connection: psycopg.Connection[Any], statement: str) -> bool:
    """Return whether a statement runs, or fails only because of the given values."""
    try:
        connection.execute(statement.encode())
    except psycopg.Error as error:
        return error.sqlstate not in _NEVER_WORKS
    return True


def _shipped_functions() -> dict[str, tuple[str, str]]:
    text = files("pgmcp.validation").joinpath("builtin_functions.tsv").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in text.splitlines()[2:])
    return {name: (verdict, majors) for name, verdict, majors in rows}


def test_every_built_in_function_that_is_allowed_can_be_called(connection: psycopg.Connection[Any]) -> None:
    calls: dict[str, list[str]] = {}
    for row in connection.execute(_FUNCTIONS):
        function = _Function(*row)
        calls.setdefault(function.listed_name, []).append(function.call())

    unusable = []
    for name, (verdict, majors) in _shipped_functions().items():
        if verdict == "allowed" and majors.endswith("18"):
            candidates = calls.get(name) or [f'select pg_catalog."{name}"(null)']  # the name of a type
            if not any(_passes(call) and _works(connection, call) for call in candidates):
                unusable.append(candidates)

    assert unusable == []


def test_every_option_of_explain_has_a_use(connection: psycopg.Connection[Any]) -> None:
    needs_analyze = {"serialize", "timing", "wal"}
    assert needs_analyze <= statement_kind.EXPLAIN_OPTIONS

    for option in statement_kind.EXPLAIN_OPTIONS:
        value = {"format": " json", "serialize": " text"}.get(option, "")
        analyze = "analyze, " if option in needs_analyze else ""
        statement = f"explain ({analyze}{option}{value}) select * from a_row where id = 1"
        assert _passes(statement), option
        assert connection.execute(statement.encode()).fetchall(), option


def test_every_setting_except_secret_ones_can_be_shown(connection: psycopg.Connection[Any]) -> None:
    names = [name for (name,) in connection.execute("select name from pg_settings")]

    refused = {name for name in names if not _passes(f"show {name}")}

    assert refused == statement_kind.SECRET_SETTINGS


def test_every_operator_of_postgresql_is_known(connection: psycopg.Connection[Any]) -> None:
    operands = connection.execute(
        "select oprname, min(case when oprleft <> 0 then format_type(oprleft, null) else '' end),"
        " min(format_type(oprright, null)) from pg_operator where oprnamespace = 'pg_catalog'::regnamespace"
        " and (oprleft, oprright) in (select o.oprleft, o.oprright from pg_operator o"
        " where o.oprname = pg_operator.oprname order by o.oid limit 1) group by oprname"
    ).fetchall()
    statements = {
        symbol: f"select {f'null::{left} ' if left else ''}operator(pg_catalog.{symbol}) null::{right}"
        for symbol, left, right in operands
    }

    assert len(statements) > 70
    assert [symbol for symbol in statements if not is_known_operator(symbol)] == []
    assert [each for each in statements.values() if not (_passes(each) and _works(connection, each))] == []


def test_every_system_relation_except_those_with_secrets_can_be_read(
    connection: psycopg.Connection[Any],
) -> None:
    names = connection.execute(
        "select relnamespace::regnamespace::text, relname from pg_class where relkind in ('r', 'v')"
        " and relnamespace in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)"
    ).fetchall()

    refused = {(schema, name) for schema, name in names if not _passes(f"select * from {schema}.{name}")}

    guarded = {(schema, name) for schema, name, _ in SECRET_COLUMNS}
    assert (
        refused - guarded
        == {
            (schema, name) for schema, name in names if secret_relations.secret_relation_refusal(schema, name)
        }
        - guarded
    )
    assert refused >= guarded
    assert len(names) - len(refused) > 180


@pytest.mark.parametrize("method", sorted(statement_kind.SAMPLING_METHODS))
def test_every_sampling_method_runs(connection: psycopg.Connection[Any], method: str) -> None:
    statement = f"select * from a_row tablesample {method} (100)"

    assert _passes(statement)
    assert connection.execute(statement.encode()).fetchall() == [(1,)]


def test_every_kind_of_node_is_in_a_statement_that_must_pass() -> None:
    found: set[str] = set()
    for statement in [*honest_statements(), "show all"]:
        text, _ = bounds.trim_and_bound(statement)
        pending: list[Any] = [{each.kind: each.fields} for each in grammar.parse(text)]
        while pending:
            value = pending.pop()
            if isinstance(value, dict):
                found |= value.keys()
                pending.extend(value.values())
            elif isinstance(value, list):
                pending.extend(value)

    assert statement_kind.NODES_OF_A_READ - found == set()


def test_the_shipped_list_of_built_ins_judges_no_function_of_this_server_more_mildly(
    new_database: Callable[[], str],
) -> None:
    shipped = _shipped()
    read = [function for function in judge([read_server(new_database())]) if not function.extension]

    assert {function.name for function in read} == {
        name for name, (_, majors) in shipped.items() if majors.endswith("18")
    }
    assert [function.name for function in read if _is_milder(shipped[function.name][0], function)] == []


def _shipped() -> dict[str, tuple[str, str]]:
    """Return verdict and majors by name."""
    text = files("pgmcp.validation").joinpath("builtin_functions.tsv").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in text.splitlines()[2:])
    return {name: (verdict, majors) for name, verdict, majors in rows}


def _is_milder(shipped_verdict: str, function: ListedFunction) -> bool:
    return shipped_verdict == "allowed" and function.refusal is not None
