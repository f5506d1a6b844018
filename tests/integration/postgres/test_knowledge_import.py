"""A dbt project and an Ossie model from public examples are imported, and then asked for their own metrics.

The expected numbers come from the publishers' own SQL for PostgreSQL, run on their rows.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pgmcp.answers.answer import Source
from pgmcp.cli.command_session import Session
from pgmcp.cli.context_changes import ImportRequest, find_entries
from pgmcp.composition import open_pipeline
from pgmcp.generation.context_check import find_unknown_names
from pgmcp.generation.context_edit import replace_context
from pgmcp.generation.context_file import load_context
from pgmcp.knowledge.changes import plan_changes
from pgmcp.knowledge.importing import Imported
from pgmcp.pipeline import CallOptions, Pipeline
from pgmcp.settings.load import load_settings

pytestmark = pytest.mark.anyio

DATA = Path(__file__).parents[2] / "data/knowledge"
_TYPES = {"TIME": "timestamp", "STRING": "text", "FLOAT": "float8", "BOOLEAN": "boolean", "INT": "bigint"}
_MORE = """
alter table warehouse.dim_listings_latest add unique (listing_id);
comment on table warehouse.fct_revenue is 'Revenue';
create domain warehouse.eur as numeric; comment on domain warehouse.eur is 'in euro';
create table warehouse.prices (price warehouse.eur, low int, constraint fair check (low > 0));
comment on constraint fair on warehouse.prices is 'no free products';
"""


@pytest.fixture(scope="module")
def url(module_database: str) -> str:
    with psycopg.connect(module_database, autocommit=True) as connection:
        run(connection, (DATA / "ossie/rows.sql").read_text("utf-8"))
        orders = (DATA / "dbt_core/orders.sql").read_text("utf-8")
        run(connection, orders.replace("DOUBLE", "double precision"))
        run(connection, "create schema warehouse")
        for name, table in json.loads((DATA / "metricflow/tables.json").read_text("utf-8")).items():
            columns = ", ".join(f"{column} {_TYPES[kind]}" for column, kind in table["columns"].items())
            run(connection, f"create table warehouse.{name} ({columns})")
            marks = ", ".join(["%s"] * len(table["columns"]))
            connection.cursor().executemany(
                f"insert into warehouse.{name} values ({marks})".encode(), table["rows"]
            )
        run(connection, _MORE)
    return module_database


def run(connection: psycopg.Connection[Any], sql: str) -> None:
    connection.execute(sql.encode())


def public_answer(url: str, file: str) -> list[tuple[Any, ...]]:
    """Return the rows of a publisher's SQL.

    In the publishers' snapshot files, a comment comes before the statement, and the schema is masked.
    """
    sql = (DATA / file).read_text("utf-8").rpartition("\n---\n")[2]
    sql = sql.replace("***************************", "warehouse").replace('"main".', "")
    with psycopg.connect(url) as connection:
        return connection.execute(sql.encode()).fetchall()


@dataclass
class Import:
    """The result of an import, and a pipeline to ask.

    Attributes:
        answers: the pipeline, which reads the context file `context`.
    """

    answers: Pipeline
    imported: Imported
    context: Path


@asynccontextmanager
async def importing(url: str, folder: Path, *files: str, comments: bool = False) -> AsyncIterator[Import]:
    """Import files into a context file that contained only a comment."""
    context = folder / "context.yaml"
    context.write_text("# by hand\n", encoding="utf-8")
    variables = {
        "PG_MCP_DATABASE_URL": url,
        "PG_MCP_CONTEXT_FILE": str(context),
        "PG_MCP_DATABASE_MIN_POOL_SIZE": "0",
        "PG_MCP_RATE_LIMIT_ENABLED": "false",
    }
    settings = load_settings(variables, env_file=None)
    async with open_pipeline(settings, None) as (pipeline, counter):
        request = ImportRequest([DATA / file for file in files], {}, comments)
        imported = await find_entries(request, Session(settings, pipeline, counter))
        changes = plan_changes(context, "main", imported.entries)
        replace_context(context, changes.after, changes.wanted)
        yield Import(pipeline, imported, context)


async def ask(pipeline: Pipeline, question: str) -> Any:
    """Return the one value that answers a question with imported SQL, without a model."""
    answer = await pipeline.answer(question)
    assert answer.source is Source.VERIFIED
    assert answer.rows is not None
    ((value,),) = answer.rows.rows
    return value


def close_to(expected: Any) -> Any:
    return pytest.approx(float(expected), rel=1e-9)


async def test_the_examples_of_dbt_core_and_ossie_give_their_own_numbers(url: str, tmp_path: Path) -> None:
    files = ("dbt_core/semantic_manifest.json", "ossie/tpcds_semantic_model.yaml")
    async with importing(url, tmp_path, *files, comments=True) as done:
        total = await ask(done.answers, "What is the order count?")
        completed = await ask(done.answers, "what is completed order count")
        revenue = await ask(done.answers, "Revenue")
        share = await ask(done.answers, "What is completion rate?")
        sales = await ask(done.answers, "What is gross sales?")
        value = await ask(done.answers, "CLV")
        context = load_context(done.context)["main"]
        catalog = await done.answers.databases.catalog(None)

    by_day = public_answer(url, "dbt_core/multi_metric_by_day.sql")
    assert [(total,)] == public_answer(url, "dbt_core/order_count_total.sql")
    assert [(completed,)] == public_answer(url, "dbt_core/order_count_where_completed.sql")
    assert float(revenue) == sum(row[2] for row in by_day)
    assert float(share) == close_to(completed / total)
    assert (float(sales), float(value)) == (233, close_to(233 / 2))

    assert done.context.read_text("utf-8").startswith("# by hand\n")
    assert find_unknown_names(context, catalog) == ()
    assert "running total over the last 2 day; needs a calendar" in context.terms["trailing_2_day_revenue"]
    assert "SQL" not in context.terms["store_productivity"]
    assert "sum over store would count its rows once for each row of store_sales" in str(
        done.imported.left_out
    )
    assert all("by brand" not in verified.question for verified in context.verified)
    assert context.joins[0] == (
        "store_sales.ss_sold_date_sk = date_dim.d_date_sk -- "
        "at most one row of date_dim for each of store_sales"
    )
    assert context.notes["warehouse.prices.price"] == "in euro"
    assert context.notes["warehouse.prices.low"] == "no free products"


async def test_the_snapshots_of_metricflow_are_reproduced(url: str, tmp_path: Path) -> None:
    async with importing(url, tmp_path, "metricflow/semantic_manifest.json") as done:
        nested = await ask(done.answers, "What is instant lux booking value rate?")
        per_listing = await ask(done.answers, "What is bookings per listing?")
        context = load_context(done.context)["main"]
        catalog = await done.answers.databases.catalog(None)
        metric = next(
            entry.check
            for entry in done.imported.entries
            if entry.name == "instant_plus_non_referred_bookings_pct"
        )
        by_day = await done.answers.execute_sql(
            metric.replace("SELECT ", "SELECT ds, ", 1) + " GROUP BY ds", CallOptions(limit=1000)
        )

    assert [(close_to(nested),)] == public_answer(url, "metricflow/instant_lux_booking_value_rate.sql")
    assert [(close_to(per_listing),)] == public_answer(url, "metricflow/bookings_per_listing.sql")
    snapshot = public_answer(url, "metricflow/instant_plus_non_referred_bookings_pct.sql")
    assert by_day.rows is not None
    assert sorted(float(str(value)) for _, value in by_day.rows.rows) == [
        close_to(value) for value in sorted(value for _, value in snapshot)
    ]
    assert find_unknown_names(context, catalog) == ()
    assert len(context.verified) == 45
    assert done.imported.remarks == (
        "tables of the schema dbt_alice were not found; those of the same names in warehouse were used",
    )
