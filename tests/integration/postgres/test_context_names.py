"""Names in a context file are compared with the catalog of a real database."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import anyio
import psycopg
import pytest

from pgmcp.cli.doctor.answer_checks import check_conditions, check_context_names
from pgmcp.cli.doctor.check_context import CheckContext
from pgmcp.cli.doctor.databases import Check
from pgmcp.cli.doctor.report import CheckResult, Status
from pgmcp.composition import open_pipeline
from pgmcp.settings.address import find_address
from pgmcp.settings.load import load_settings

pytestmark = pytest.mark.anyio

SCHEMA = """
create table orders (id int primary key, total numeric, buyer int, address jsonb, placed_at date);
create table customers (number int primary key, full_name text, deleted_at date);
create table "OldOrders" (id int, "Total" numeric);
create schema hr; create table hr.people (id int, name text);
create schema sales; create table sales.targets (id int, amount numeric);
create table events (at date) partition by range (at);
create table events_2026 partition of events for values from ('2026-01-01') to ('2027-01-01');
"""
TRUE_CONTEXT = """
databases:
  main:
    terms: {anything at all: is not a name}
    notes:
      orders: one row per checkout
      Orders.Total: in euro
      public.orders.total: in euro
      orders.address.city: where the parcel goes
      OldOrders: before 2020
      '"OldOrders"."Total"': in marks
      sales.targets.amount: per quarter
      targets: per quarter
      pg_stat_activity: sessions
    filters:
      customers: deleted_at IS NULL and customers.number > 0 and ctid is not null
      orders: >
        placed_at < current_date or buyer in (select number from customers where full_name is not null) or
        id in (with w as (select n.number as x, count(*) as many from customers as n group by 1)
               select w.x from w where many > 1 and exists (select from (values (1)) as v (y) where y = w.x))
    joins: [orders.buyer = customers.number, orders.buyer = number, 'orders join customers on so and so']
    verified:
      - question: What has {customer} spent?
        parameters: {customer: customers.full_name}
        sql: select sum(total) from orders join customers on buyer = number where full_name = {customer}
"""


async def examine_names(url: str, folder: Path, contents: str, **variables: str) -> CheckResult:
    """Return what doctor reports about the names in a context file."""
    return await examine_context(check_context_names, url, folder, contents, **variables)


async def examine_context(
    check: Check, url: str, folder: Path, contents: str, /, **variables: str
) -> CheckResult:
    """Return the result of one of doctor's checks of a context file."""
    file = folder / "context.yaml"
    file.write_text(contents)
    environ = {"PG_MCP_DATABASE_URL": url, "PG_MCP_CONTEXT_FILE": str(file), **variables}
    settings = load_settings({**environ, "PG_MCP_DATABASE_MIN_POOL_SIZE": "0"}, env_file=None)
    async with open_pipeline(settings, None) as (pipeline, _):
        address = find_address(settings.databases["main"])
        context = CheckContext(pipeline.databases.get("main"), pipeline, address, settings, "")
        result = await check(context, "database main: context")
    assert isinstance(result, CheckResult)
    return result


def context_with(part: str) -> str:
    return f"databases:\n  main:\n    {part}\n"


@pytest.fixture(scope="module")
def url(module_database: str) -> str:
    return with_schema(module_database)


def with_schema(url: str) -> str:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(SCHEMA.encode())
    return url


async def test_existing_names_in_the_context_file_are_accepted_in_any_spelling(
    url: str, tmp_path: Path
) -> None:
    result = await examine_names(url, tmp_path, TRUE_CONTEXT)

    assert (result.status, result.text) == (
        Status.OK,
        "all tables and columns in the context file exist",
    )


@pytest.mark.parametrize(
    ("part", "problem"),
    [
        ("notes: {order: x}", "notes: there is no table order (tables near order: orders"),
        ("notes: {orders.totl: x}", "notes: orders.totl: orders has no column totl (near: orders.total"),
        ("notes: {public.orders.totl: x}", "orders has no column totl (near: orders.total"),
        ("notes: {sales.target: x}", "there is no table sales.target (tables near target: sales.targets"),
        ("notes: {shop.orders: x}", "there is no table shop.orders (tables near orders: orders"),
        ("notes: {shop.orders.total: x}", "there is no table shop.orders.total (tables near orders: orders"),
        ("notes: {db.sales.targets: x}", "no table db.sales.targets (tables near targets: sales.targets"),
        ("filters: {customer: deleted_at is null}", "filters: there is no table customer (tables near"),
        (
            "filters: {customers: removed_at is null}",
            "filters: customers.removed_at: customers has no column",
        ),
        (
            "filters: {customers: customers.deletd_at is null}",
            "no column deletd_at (near: customers.deleted_at",
        ),
        ("joins: [orders.buyer = customers.no]", "joins: customers.no: customers has no column no"),
        (
            "joins: [order_s.buyer = customers.number]",
            "joins: there is no table order_s.buyer (tables near order_s: orders",
        ),
        ("joins: [orders.buyer = customr_number]", "joins: no table has a column customr_number"),
        (
            "filters: {orders: buyer in (select number from customers where full_nam is not null)}",
            "filters: no table has a column full_nam",
        ),
        (
            "filters: {orders: exists (select from customers as c where c.numbr = buyer)}",
            "filters: customers.numbr: customers has no column numbr (near: customers.number",
        ),
        ("filters: {orders: buyer in (select number from customer)}", "filters: there is no table customer"),
        ("filters: {orders: only paid ones}", "filters: orders: its condition is not SQL that WHERE accepts"),
        (
            "verified: [{question: 'Spent by {c}?', parameters: {c: customers.name}, sql: 'select {c}'}]",
            "parameters: customers.name: customers has no column name (near: customers.full_name",
        ),
    ],
)
async def test_a_missing_name_in_the_context_file_is_an_error_with_similar_names(
    part: str, problem: str, url: str, tmp_path: Path
) -> None:
    result = await examine_names(url, tmp_path, context_with(part))

    assert result.status is Status.FAIL
    assert problem in result.text
    assert "PG_MCP_CONTEXT_FILE" in result.hint


async def test_filters_and_joins_that_cannot_run_are_named(url: str, tmp_path: Path) -> None:
    part = (
        "filters: {orders: total > 'x', customers: deleted_at is null -- sold, targets: amont > 0}\n"
        "    joins: [orders.buyer = customers.number, orders.buyer = public.customers.full_name, in words]"
    )

    result = await examine_context(check_conditions, url, tmp_path, context_with(part))

    assert result.status is Status.FAIL
    assert result.text.startswith(
        "2 of 5 cannot run: filters: orders (statement_failed: invalid input syntax"
    )
    assert (
        "; joins: orders.buyer = public.customers.full_name (statement_failed: operator does" in result.text
    )


async def test_filters_and_joins_that_can_run_pass(url: str, tmp_path: Path) -> None:
    result = await examine_context(check_conditions, url, tmp_path, TRUE_CONTEXT)

    assert (result.status, result.text) == (Status.OK, "all 4 filters and joins can run")


async def test_an_excluded_schema_differs_from_a_missing_table(url: str, tmp_path: Path) -> None:
    part = "notes: {hr.people: x, people.name: x, hr.persons: x}"

    result = await examine_names(url, tmp_path, context_with(part), PG_MCP_DATABASE_EXCLUDE_SCHEMAS="hr")

    assert result.status is Status.FAIL
    assert "notes: hr.people exists, but hr.people is in the schema hr, which PG_MCP" in result.text
    assert "people.name exists, but hr.people is in the schema hr" in result.text
    assert "there is no table hr.persons" in result.text


async def test_a_name_that_exists_but_is_not_listed_is_a_warning(url: str, tmp_path: Path) -> None:
    result = await examine_names(url, tmp_path, context_with("notes: {events_2026: x}"))

    assert result.status is Status.WARN
    assert "events_2026 exists, but public.events_2026 is a partition of public.events" in result.text


async def test_a_table_the_role_may_not_read_is_reported_as_existing(
    url: str, tmp_path: Path, shop_url: str
) -> None:
    reader = psycopg.conninfo.conninfo_to_dict(shop_url)
    variables = {
        "PG_MCP_DATABASE_USER": str(reader["user"]),
        "PG_MCP_DATABASE_PASSWORD": str(reader["password"]),
    }
    target = psycopg.conninfo.conninfo_to_dict(url)
    plain_url = f"postgresql://{target['host']}:{target['port']}/{target['dbname']}"

    result = await examine_names(plain_url, tmp_path, context_with("notes: {orders: x}"), **variables)

    assert result.status is Status.WARN
    assert "orders exists, but public.orders may not be read by this role" in result.text


class Warnings(logging.Handler):
    """The warnings on context names, which the event loop logs."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []
        self._logged = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())
        self._logged.set()

    async def next(self) -> str:
        """Wait for another warning and return it."""
        with anyio.fail_after(30):
            await self._logged.wait()
        self._logged.clear()
        return self.texts[-1]


@pytest.fixture
async def warnings() -> AsyncIterator[Warnings]:
    handler = Warnings()
    logger = logging.getLogger("pgmcp.generation.context_check")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


async def test_a_server_warns_once_for_each_change_of_schema_or_file(
    new_database: Callable[[], str], tmp_path: Path, warnings: Warnings
) -> None:
    url = with_schema(new_database())
    file = tmp_path / "context.yaml"
    file.write_text(context_with("notes: {order: x}"))
    environ = {"PG_MCP_DATABASE_URL": url, "PG_MCP_CONTEXT_FILE": str(file)}
    async with open_pipeline(load_settings(environ, env_file=None), None) as (pipeline, _):
        database = pipeline.databases.get("main")

        await database.schema.get()
        first = await warnings.next()
        await database.schema.refresh()
        await asyncio.to_thread(database.context)
        file.write_text(context_with("notes: {order: x, orders.totl: x}"))
        await asyncio.to_thread(database.context)
        second = await warnings.next()
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("alter table orders add totl numeric")
        await database.schema.refresh()
        third = await warnings.next()

    assert "database main does not have: notes: there is no table order (" in first
    assert "orders has no column totl" in second
    assert "orders has no column totl" not in third
    assert len(warnings.texts) == 3
