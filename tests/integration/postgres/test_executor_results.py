"""Every value of a result has the form in `worker.encoding`, and omissions are reported exactly."""

import json
from collections.abc import Callable

import psycopg
import pytest

from pgmcp.errors import StatementFailedError
from pgmcp.execution.result import Column, EncodedRows, JsonScalar, RowLimits, Truncation
from pgmcp.execution.supervisor import Supervisor
from testing.statement_run import run, value
from worker.row_format import text_row

pytestmark = pytest.mark.anyio

SETUP = """
create type mood as enum ('sad', 'happy');
create domain short_text as text check (length(value) < 100);
create table numbers (n int, name text);
insert into numbers select n, 'name ' || n from generate_series(1, 20) as n;
"""


@pytest.fixture(scope="module")
def url(module_database: str) -> str:
    with psycopg.connect(module_database, autocommit=True) as connection:
        connection.execute(SETUP)
    return module_database


@pytest.fixture
def supervisor(supervise: Callable[..., Supervisor], url: str) -> Supervisor:
    return supervise(url, memory_limit_mb=768)


TYPED_VALUES: list[tuple[str, str, JsonScalar]] = [
    ("true", "boolean", True),
    ("(-32768)::smallint", "smallint", -32_768),
    ("2147483647", "integer", 2_147_483_647),
    ("9007199254740992", "bigint", 9_007_199_254_740_992),
    ("9007199254740993", "bigint", "9007199254740993"),
    ("(-9223372036854775808)::bigint", "bigint", "-9223372036854775808"),
    ("26::oid", "oid", 26),
    ("0.1::real", "real", 0.1),
    ("0.1::float8 + 0.2::float8", "double precision", 0.1 + 0.2),
    ("'NaN'::float8", "double precision", "NaN"),
    ("'-Infinity'::real", "real", "-Infinity"),
    ("12345678901234567890.10::numeric(30, 2)", "numeric", "12345678901234567890.10"),
    ("'NaN'::numeric", "numeric", "NaN"),
    ("'Grüße 🐘'::text", "text", "Grüße 🐘"),
    ("'ab'::char(4)", "character", "ab  "),
    ("'x'::varchar(9)", "character varying", "x"),
    ("date '0044-03-15 BC'", "date", "0044-03-15 BC"),
    ("date 'infinity'", "date", "infinity"),
    ("timestamp '2026-11-22 10:00:00.5'", "timestamp without time zone", "2026-11-22 10:00:00.5"),
    ("timestamptz '2026-11-22 10:00+02'", "timestamp with time zone", "2026-11-22 08:00:00+00"),
    ("timetz '10:00+05:30'", "time with time zone", "10:00:00+05:30"),
    ("interval '1 year -2 days 03:00'", "interval", "1 year -2 days +03:00:00"),
    ("'\\x00ff'::bytea", "bytea", "\\x00ff"),
    ("'{\"a\": [1, null]}'::jsonb", "jsonb", '{"a": [1, null]}'),
    ("'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid", "uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    ("array[1, null, 3]", "integer[]", "{1,NULL,3}"),
    ("array[['a b', '']]", "text[]", '{{"a b",""}}'),
    ("int4range(1, 5)", "int4range", "[1,5)"),
    ("row(1, 'a b', null)", "record", '(1,"a b",)'),
    ("'happy'::mood", "mood", "happy"),
    ("array['sad']::mood[]", "mood[]", "{sad}"),
    ("'x'::short_text", "text", "x"),
    ("'192.168.0.0/24'::inet", "inet", "192.168.0.0/24"),
    ("'fat & cat'::tsquery", "tsquery", "'fat' & 'cat'"),
    ("point '(1,2)'", "point", "(1,2)"),
    ("null", "text", None),
    ("null::int", "integer", None),
]


async def test_every_type_arrives_as_the_table_says(supervisor: Supervisor) -> None:
    expressions = ", ".join(expression for expression, _, _ in TYPED_VALUES)

    rows = await run(supervisor, f"select {expressions}")

    arrived = [(column.type, cell) for column, cell in zip(rows.columns, rows.rows[0], strict=True)]
    assert arrived == [(type_name, cell) for _, type_name, cell in TYPED_VALUES]
    assert [type(cell) for _, cell in arrived] == [type(cell) for _, _, cell in TYPED_VALUES]


async def test_numbers_that_json_cannot_carry_are_text_in_their_rows_alone(supervisor: Supervisor) -> None:
    rows = await run(
        supervisor,
        "select * from (values (1e308::float8, 1::bigint), (1e308, null), (null, 9007199254740993),"
        " ('-Infinity', -9007199254740993), (0.5, 9007199254740992)) as t (f, b)",
    )

    assert rows.rows == [
        [1e308, 1],
        [1e308, None],
        [None, "9007199254740993"],
        ["-Infinity", "-9007199254740993"],
        [0.5, 9007199254740992],
    ]


async def test_the_worker_writes_the_leading_rows_as_text(supervisor: Supervisor) -> None:
    expressions = ", ".join(expression for expression, _, _ in TYPED_VALUES)
    sql = f"select n, E'a\\tb' || chr(8238), {expressions} from generate_series(1, 600) as n"
    limits = RowLimits(max_rows=500, max_bytes=1 << 22, max_cell_bytes=1 << 16, max_text_bytes=60_000)

    rows = (await run(supervisor, sql, limits=limits)).rows

    assert isinstance(rows, EncodedRows)
    assert 0 < rows.text_rows < len(rows) == 500
    assert rows.text.split("\n") == [text_row(row) for row in rows[: rows.text_rows]]


async def test_column_names_may_repeat_and_be_strange(supervisor: Supervisor) -> None:
    rows = await run(supervisor, """select 1 as a, 2 as a, 3, 4, 5 as "Ünïcode "" x", 6 as " " """)

    assert [column.name for column in rows.columns] == ["a", "a", "?column?", "?column?", 'Ünïcode " x', " "]
    assert rows.rows == [[1, 2, 3, 4, 5, 6]]


async def test_rows_without_columns_are_counted(supervisor: Supervisor) -> None:
    rows = await run(supervisor, "select from generate_series(1, 3)")

    assert (rows.columns, rows.rows) == ((), [[], [], []])


async def test_1600_columns_arrive_with_their_names(supervisor: Supervisor) -> None:
    names = [
        f"a_column_with_a_rather_long_name_that_fills_sixty_three_byte_{n:04}"[:63] for n in range(1_600)
    ]
    listed = ", ".join(f"{n} as {name}" for n, name in enumerate(names))

    rows = await run(supervisor, f"select {listed}")

    assert [column.name for column in rows.columns] == names
    assert rows.rows == [list(range(1_600))]


async def test_a_result_without_rows_has_its_columns(supervisor: Supervisor) -> None:
    rows = await run(supervisor, "select n, name from numbers where false")

    assert rows.columns == (Column("n", "integer"), Column("name", "text"))
    assert (rows.rows, rows.truncated) == ([], None)


@pytest.mark.parametrize("wrapped", [True, False])
@pytest.mark.parametrize(
    ("max_rows", "count", "truncated"),
    [(19, 19, Truncation.ROWS), (20, 20, None), (21, 20, None), (1, 1, Truncation.ROWS)],
)
async def test_a_row_limit_is_exact_and_says_whether_there_are_more(
    supervisor: Supervisor, wrapped: bool, max_rows: int, count: int, truncated: Truncation | None
) -> None:
    limits = RowLimits(max_rows=max_rows, max_bytes=1 << 20, max_cell_bytes=1 << 10)

    rows = await run(supervisor, "select n from numbers order by n desc", limits=limits, wrapped=wrapped)

    assert [cell for (cell,) in rows.rows] == list(range(20, 20 - count, -1))
    assert rows.truncated is truncated


async def test_a_result_does_not_wait_for_rows_beyond_its_limit(supervisor: Supervisor) -> None:
    limits = RowLimits(max_rows=5, max_bytes=1 << 20, max_cell_bytes=1 << 10)

    for wrapped in (True, False):
        rows = await run(
            supervisor, "select generate_series(1, 1000000000000)", limits=limits, wrapped=wrapped
        )

        assert (rows.rows, rows.truncated) == ([[1], [2], [3], [4], [5]], Truncation.ROWS)

    assert await value(supervisor, "select 1") == 1


async def test_a_byte_limit_ends_the_result_between_rows(supervisor: Supervisor) -> None:
    limits = RowLimits(max_rows=1_000_000, max_bytes=1_000, max_cell_bytes=1 << 10)

    rows = await run(supervisor, "select repeat('x', 100) from generate_series(1, 500000)", limits=limits)

    assert rows.rows == [["x" * 100]] * 10
    assert rows.truncated is Truncation.BYTES
    assert await value(supervisor, "select 1") == 1


async def test_a_long_cell_is_cut_between_characters_and_counted(supervisor: Supervisor) -> None:
    limits = RowLimits(max_rows=10, max_bytes=1 << 20, max_cell_bytes=9)

    rows = await run(
        supervisor,
        "select 'short', repeat('ü', 100), repeat('x', 9), repeat('9', 30)::numeric",
        limits=limits,
    )

    assert rows.rows == [["short", "üüüü…", "x" * 9, "9" * 9 + "…"]]
    assert (rows.cut_cells, rows.truncated) == (2, None)


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("select 1 -- all of it", [[1]]),
        ("select 1 /* all /* of */ it */", [[1]]),
        ("select '--' -- )", [["--"]]),
        ("with a as (select 2 as n) select n from a", [[2]]),
        (
            "with recursive a(n) as (select 1 union all select n + 1 from a where n < 3) table a",
            [[1], [2], [3]],
        ),
        ("values (1, 'a'), (2, 'b')", [[1, "a"], [2, "b"]]),
        ("select n from numbers order by n desc limit 2", [[20], [19]]),
        ("select n from numbers order by n offset 18", [[19], [20]]),
        ("select n from numbers order by n fetch first 1 row only", [[1]]),
        ("(select 1) union all (select 2) order by 1 desc", [[2], [1]]),
        ("select distinct on (n % 2) n from numbers order by n % 2, n", [[2], [1]]),
        ("select 1 as limit", [[1]]),
    ],
)
async def test_the_query_around_a_statement_does_not_change_its_result(
    supervisor: Supervisor, sql: str, rows: list[list[JsonScalar]]
) -> None:
    assert (await run(supervisor, sql)).rows == rows


async def test_a_table_command_is_answered(supervisor: Supervisor) -> None:
    assert len((await run(supervisor, "table numbers")).rows) == 20


@pytest.mark.parametrize("format_name", ["text", "json", "yaml", "xml"])
async def test_a_plan_is_shown_in_every_format(supervisor: Supervisor, format_name: str) -> None:
    rows = await run(supervisor, f"explain (format {format_name}) select * from numbers", wrapped=False)

    assert "numbers" in "\n".join(str(cell) for (cell,) in rows.rows)
    if format_name == "json":
        assert json.loads(str(rows.rows[0][0]))[0]["Plan"]["Relation Name"] == "numbers"


async def test_a_setting_can_be_shown(supervisor: Supervisor) -> None:
    rows = await run(supervisor, "show server_encoding", wrapped=False)

    assert (rows.columns, rows.rows) == ((Column("server_encoding", "text"),), [["UTF8"]])


@pytest.mark.parametrize("wrapped", [True, False])
@pytest.mark.parametrize(
    ("sql", "offending", "sqlstate"),
    [
        ("select nam from numbers", "nam", "42703"),
        ("select 'ü🐘', nam from numbers", "nam", "42703"),
        ("select *\nfrom nowhere", "nowhere", "42P01"),
        ("select 1 form numbers", "numbers", "42601"),
    ],
)
async def test_an_error_points_into_the_text_of_the_caller(
    supervisor: Supervisor, sql: str, offending: str, sqlstate: str, wrapped: bool
) -> None:
    with pytest.raises(StatementFailedError) as raised:
        await run(supervisor, sql, wrapped=wrapped)

    error = raised.value
    assert error.sqlstate == sqlstate
    assert error.position is not None
    assert sql[error.position :].startswith(offending)


@pytest.mark.parametrize("sql", ["select 1)", "select (1", "select 1 limit 1) as q limit 5 --"])
async def test_an_error_outside_the_text_of_the_caller_has_no_position_outside_it(
    supervisor: Supervisor, sql: str
) -> None:
    with pytest.raises(StatementFailedError) as raised:
        await run(supervisor, sql)

    position = raised.value.position
    assert position is None or 0 <= position < len(sql)


async def test_the_servers_hint_is_passed_on(supervisor: Supervisor) -> None:
    with pytest.raises(StatementFailedError) as raised:
        await run(supervisor, "select nme from numbers")

    assert 'Perhaps you meant to reference the column "numbers.name"' in raised.value.hint


async def test_a_very_long_error_is_shortened(supervisor: Supervisor) -> None:
    with pytest.raises(StatementFailedError, match="invalid input syntax for type integer") as raised:
        await run(supervisor, "select repeat('x', 3000000)::int")

    assert raised.value.sqlstate == "22P02"
    assert len(str(raised.value)) < 10_000


async def test_an_error_half_way_through_the_rows_is_an_error(supervisor: Supervisor) -> None:
    with pytest.raises(StatementFailedError, match="division by zero"):
        await run(supervisor, "select 1 / (15 - n) from numbers")

    assert await value(supervisor, "select 1") == 1


async def test_a_copy_that_got_past_validation_gives_an_error(supervisor: Supervisor) -> None:
    with pytest.raises(StatementFailedError):
        await run(supervisor, "copy numbers to stdout", wrapped=False, timeout_s=2)

    assert await value(supervisor, "select 1") == 1
