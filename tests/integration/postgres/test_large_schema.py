"""A small generated schema: it is created as described, and its measurement runs from end to end."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import anyio
import psycopg
import pytest

from scripts.evaluation.databases import grant_reading
from scripts.large.company import TableSpec, read_company, read_known_questions
from scripts.large.growth import grow
from scripts.large.loading import load
from scripts.large.measure import measure
from scripts.large.report import Scale, as_json
from testing.mcp_server import server_environment

pytestmark = pytest.mark.anyio

TABLE_COUNT = 260
RELATIONS = """
select n.nspname || '.' || c.relname, count(k.oid)
from pg_class c join pg_namespace n on n.oid = c.relnamespace
left join pg_constraint k on k.conrelid = c.oid and k.contype = 'f'
where c.relkind in ('r', 'p') and not c.relispartition and n.nspname !~ '^(pg_|information_schema)'
group by 1"""

ANALYSED = """
select distinct schemaname || '.' || tablename from pg_stats
where schemaname !~ '^(pg_|information_schema)'"""


@pytest.fixture
def tables() -> list[TableSpec]:
    return grow(read_company(), TABLE_COUNT)


def test_every_question_needs_existing_tables() -> None:
    there = {f"{table.schema}.{table.name}" for table in read_company().tables}
    questions = read_known_questions()

    assert len(questions) >= 40
    assert {name for question in questions for name in question.needed} <= there
    assert all(question.subjects for question in questions)


def test_every_reference_leads_to_a_table() -> None:
    company = read_company().tables
    there = {(table.schema, table.name) for table in company}

    assert {column.target for table in company for column in table.columns if column.target} <= there


def test_a_schema_of_one_seed_is_always_the_same(tables: list[TableSpec]) -> None:
    assert grow(read_company(), TABLE_COUNT) == tables
    assert grow(read_company(), TABLE_COUNT, seed=2) != tables


@pytest.mark.parametrize("count", [260, 2_000, 10_000])
def test_a_schema_has_as_many_tables_as_asked_for_and_no_name_twice(count: int) -> None:
    tables = grow(read_company(), count)

    assert len({(table.schema, table.name) for table in tables}) == len(tables) == count
    assert all(len(table.name) <= 63 for table in tables)
    for table in tables:
        assert max(Counter(column.name for column in table.columns).values()) == 1, table.name


async def test_the_loaded_schema_equals_the_generated_one(
    new_database: Callable[[], str], tables: list[TableSpec]
) -> None:
    url = new_database()

    load(url, tables, lambda done, count: None)

    with psycopg.connect(url) as connection:
        relations: dict[str, int] = dict(connection.execute(RELATIONS).fetchall())
        comment = connection.execute("select obj_description('billing.inv_hdr'::regclass)").fetchone()
        states = connection.execute("select count(distinct status) from sales.orders").fetchone()
    assert set(relations) == {f"{table.schema}.{table.name}" for table in tables}
    assert relations["sales.order_lines"] == 2
    assert relations["hr.timesheet"] == 0
    assert comment == ("Customer invoices",)
    assert states == (5,)


async def test_a_schema_can_have_rows_in_every_table_that_is_not_partitioned(
    new_database: Callable[[], str], tables: list[TableSpec]
) -> None:
    url = new_database()

    load(url, tables, lambda done, count: None, is_filled=True)

    with psycopg.connect(url) as connection:
        analysed = connection.execute(ANALYSED).fetchall()
    assert {name for (name,) in analysed} == {
        f"{table.schema}.{table.name}" for table in tables if not table.partitions
    }


@pytest.mark.measuring
async def test_a_measurement_says_of_every_question_which_tables_its_prompt_lacks(
    new_database: Callable[[], str], tables: list[TableSpec], tmp_path: Path
) -> None:
    url = new_database()
    load(url, tables, lambda done, count: None)
    questions = read_known_questions()[:6]

    reader_url = grant_reading(url)
    with anyio.fail_after(300):
        whole = await measure(reader_url, questions, 200_000, server_environment(), tmp_path)
        part = await measure(reader_url, questions, 3_000, server_environment(), tmp_path)

    assert whole.recall == 1
    assert {prompt.tables for prompt in whole.prompts} == {TABLE_COUNT}
    assert all(0 < prompt.tables < TABLE_COUNT and prompt.tokens <= 3_000 for prompt in part.prompts)
    report = as_json([Scale(TABLE_COUNT, 1.0, (whole, part))])["scales"][0]["runs"]
    assert [run["budget_tokens"] for run in report] == [200_000, 3_000]
