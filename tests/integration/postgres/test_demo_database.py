"""The demo shop: its content, its reader's rights, and its verified answers.

The tests compute each verified answer a second time in Python, from the rows of the tables.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib import resources
from statistics import correlation, mean
from typing import Any, NamedTuple

import psycopg
import pytest
import yaml
from psycopg.rows import namedtuple_row

from pgmcp.demo.postgres import EmbeddedPostgres
from pgmcp.demo.shop import create_shop

_TABLES = ("categories", "products", "customers", "orders", "order_items", "payments")
_REVENUE_STATUSES = {"paid", "shipped", "delivered"}

Row = tuple[Any, ...]


class OrderTotal(NamedTuple):
    """An order with the sum of its items, computed in Python."""

    id: int
    customer_id: int
    status: str
    placed_at: datetime
    item_count: int
    total: Decimal


@dataclass(frozen=True)
class ShopRows:
    """All rows of the shop and the answers to its verified questions, from the same moment."""

    now: datetime
    tables: dict[str, list[Any]]
    answers: dict[str, list[Row]]

    @property
    def totals(self) -> list[OrderTotal]:
        """All orders, by number."""
        items = defaultdict(list)
        for item in self.tables["order_items"]:
            items[item.order_id].append(item)
        return [
            OrderTotal(
                order.id,
                order.customer_id,
                order.status,
                order.placed_at,
                sum(item.quantity for item in items[order.id]),
                sum((item.quantity * item.unit_price for item in items[order.id]), Decimal(0)),
            )
            for order in self.tables["orders"]
        ]

    @property
    def sales(self) -> list[OrderTotal]:
        """The orders that count as revenue."""
        return [order for order in self.totals if order.status in _REVENUE_STATUSES]

    def by_id(self, table: str) -> dict[int, Any]:
        """Return the rows of a table by their numbers."""
        return {row.id: row for row in self.tables[table]}


def _verified() -> list[dict[str, Any]]:
    text = resources.files("pgmcp.demo").joinpath("shop_context.yaml").read_text("utf-8")
    verified: list[dict[str, Any]] = yaml.safe_load(text)["databases"]["shop"]["verified"]
    return verified


@pytest.fixture(scope="module")
def rows(shop_url: str) -> ShopRows:
    with psycopg.connect(shop_url) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        named = connection.cursor(row_factory=namedtuple_row)
        tables = {table: named.execute(f"select * from {table}".encode()).fetchall() for table in _TABLES}
        now = connection.execute("select now()").fetchone()
        assert now is not None
        answers = {
            pair["question"]: connection.execute(pair["sql"].encode()).fetchall() for pair in _verified()
        }
    return ShopRows(now[0], tables, answers)


def _month(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m}"


def test_active_users_are_open_accounts_with_a_login_in_the_last_30_days(rows: ShopRows) -> None:
    since = rows.now - timedelta(days=30)
    active = [
        c for c in rows.tables["customers"] if c.is_active and c.last_login_at and c.last_login_at >= since
    ]

    assert rows.answers["How many active users do we have?"] == [(len(active),)]


def test_revenue_of_last_quarter_leaves_out_unpaid_and_refunded_orders(rows: ShopRows) -> None:
    this_quarter = (rows.now.year, (rows.now.month - 1) // 3 + 1)
    year, quarter = (
        (this_quarter[0] - 1, 4) if this_quarter[1] == 1 else (this_quarter[0], this_quarter[1] - 1)
    )
    revenue = sum(
        order.total
        for order in rows.sales
        if (order.placed_at.year, (order.placed_at.month - 1) // 3 + 1) == (year, quarter)
    )

    assert revenue > 0
    assert rows.answers["What was the total revenue last quarter?"] == [(f"{year} Q{quarter}", revenue)]


def test_average_order_value_is_given_for_each_month(rows: ShopRows) -> None:
    totals_by_month = defaultdict(list)
    for order in rows.sales:
        totals_by_month[_month(order.placed_at)].append(order.total)
    expected = [
        (month, len(totals), round(mean(totals), 2)) for month, totals in sorted(totals_by_month.items())
    ]

    answer = rows.answers["What is the average order value by month?"]

    assert [(row[0], row[1]) for row in answer] == [(row[0], row[1]) for row in expected]
    assert [row[2] for row in answer] == pytest.approx([row[2] for row in expected], abs=Decimal("0.01"))


def test_orders_of_the_last_7_days_are_listed_newest_first(rows: ShopRows) -> None:
    customers = rows.by_id("customers")
    recent = [order for order in rows.totals if order.placed_at >= rows.now - timedelta(days=7)]
    recent.sort(key=lambda order: (order.placed_at, order.id), reverse=True)

    assert len(recent) > 100
    assert rows.answers["Which orders were placed in the last 7 days?"] == [
        (o.id, o.placed_at, o.status, customers[o.customer_id].full_name, o.item_count, o.total)
        for o in recent
    ]


def test_users_away_for_30_days_include_those_who_never_came_back(rows: ShopRows) -> None:
    since = rows.now - timedelta(days=30)
    away = {c.id for c in rows.tables["customers"] if (c.last_login_at or c.signed_up_at) < since}

    answer = rows.answers["Which users have not logged in for 30 days?"]

    assert {row[0] for row in answer} == away
    assert len(answer) == len(away)
    assert any(row[3] is None for row in answer)


def test_products_below_10_pieces_are_listed_scarcest_first(rows: ShopRows) -> None:
    categories = rows.by_id("categories")
    scarce = [product for product in rows.tables["products"] if product.inventory_quantity < 10]
    scarce.sort(key=lambda product: (product.inventory_quantity, product.name, product.id))

    assert len(scarce) > 10
    assert rows.answers["Which products have an inventory below 10?"] == [
        (p.id, p.sku, p.name, categories[p.category_id].name, p.inventory_quantity, p.is_discontinued)
        for p in scarce
    ]


def test_users_with_more_than_5_orders_are_counted_regardless_of_the_orders_status(rows: ShopRows) -> None:
    orders = Counter(order.customer_id for order in rows.tables["orders"])
    frequent = {customer_id: number for customer_id, number in orders.items() if number > 5}

    answer = rows.answers["Which users have placed more than 5 orders?"]

    assert {row[0]: row[3] for row in answer} == frequent
    assert len(answer) == len(frequent)


def test_products_never_ordered_are_in_no_order_at_all(rows: ShopRows) -> None:
    ordered = {item.product_id for item in rows.tables["order_items"]}
    never = {product.id for product in rows.tables["products"]} - ordered

    answer = rows.answers["Which products have never been ordered?"]

    assert len(never) > 10
    assert {row[0] for row in answer} == never
    assert len(answer) == len(never)


def test_total_spend_is_given_for_every_customer_even_those_who_bought_nothing(rows: ShopRows) -> None:
    spend = dict.fromkeys(rows.by_id("customers"), Decimal(0))
    orders: Counter[int] = Counter()
    for order in rows.sales:
        spend[order.customer_id] += order.total
        orders[order.customer_id] += 1

    answer = rows.answers["What is the total spend of each customer?"]

    assert {row[0]: row[4] for row in answer} == spend
    assert {row[0]: row[3] for row in answer} == {customer_id: orders[customer_id] for customer_id in spend}
    assert [row[4] for row in answer] == sorted(spend.values(), reverse=True)


def test_the_top_10_products_are_ranked_by_revenue_within_each_category(rows: ShopRows) -> None:
    products, categories = rows.by_id("products"), rows.by_id("categories")
    sold = {order.id for order in rows.sales}
    pieces: Counter[int] = Counter()
    revenue: dict[int, Decimal] = defaultdict(Decimal)
    for item in rows.tables["order_items"]:
        if item.order_id in sold:
            pieces[item.product_id] += item.quantity
            revenue[item.product_id] += item.quantity * item.unit_price
    expected: list[Row] = []
    for category in sorted({products[id].category_id for id in pieces}, key=lambda id: categories[id].name):
        ids = [id for id in pieces if products[id].category_id == category]
        ids.sort(key=lambda id: (-revenue[id], id))
        expected += [
            (categories[category].name, place, products[id].name, pieces[id], revenue[id])
            for place, id in enumerate(ids[:10], start=1)
        ]

    assert rows.answers["What are the top 10 products in each category?"] == expected


def test_growth_of_new_users_compares_each_month_with_the_one_before(rows: ShopRows) -> None:
    signed_up = Counter(_month(customer.signed_up_at) for customer in rows.tables["customers"])
    before: int | None = None

    for row, month in zip(
        rows.answers["What is the month-over-month growth of new users?"], sorted(signed_up), strict=True
    ):
        assert row[:2] == (month, signed_up[month])
        if before is None:
            assert row[2:] == (None, None)
        else:
            assert row[2] == signed_up[month] - before
            assert float(row[3]) == pytest.approx(100 * (signed_up[month] / before - 1), abs=0.051)
        before = signed_up[month]


def test_order_value_correlates_a_little_with_customer_lifetime(rows: ShopRows) -> None:
    customers = rows.by_id("customers")
    totals = defaultdict(list)
    for order in rows.sales:
        totals[order.customer_id].append(float(order.total))
    lifetimes_s = [(rows.now - customers[customer_id].signed_up_at).total_seconds() for customer_id in totals]
    expected = correlation([mean(values) for values in totals.values()], lifetimes_s)

    [(answer, customers_counted)] = rows.answers[
        "What is the correlation between order value and customer lifetime?"
    ]

    assert float(answer) == pytest.approx(expected, abs=0.001)
    assert customers_counted == len(totals)
    assert 0.05 < answer < 0.5


def test_the_shop_has_at_least_200_000_rows(rows: ShopRows) -> None:
    assert sum(len(table) for table in rows.tables.values()) >= 200_000


def test_nothing_in_the_shop_happens_after_it_was_loaded(rows: ShopRows) -> None:
    moments = [
        value
        for table in rows.tables.values()
        for row in table
        for value in row
        if isinstance(value, datetime)
    ]

    assert max(moments) <= rows.now


def test_a_sold_order_is_paid_in_full_and_no_other_is(rows: ShopRows) -> None:
    paid: dict[int, Decimal] = defaultdict(Decimal)
    for payment in rows.tables["payments"]:
        paid[payment.order_id] += payment.amount

    due = {o.id: o.total for o in rows.totals if o.status in _REVENUE_STATUSES | {"refunded"}}

    assert paid == due


def test_every_table_view_column_and_type_has_a_comment(shop_admin_url: str) -> None:
    uncommented = """
        select c.relname || coalesce('.' || a.attname, '')
        from pg_class as c
        left join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0
        where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'v')
          and (col_description(c.oid, a.attnum) is null or obj_description(c.oid, 'pg_class') is null)
        union all
        select typname from pg_type
        where typnamespace = 'public'::regnamespace and typtype = 'e'
          and obj_description(oid, 'pg_type') is null
    """
    with psycopg.connect(shop_admin_url) as connection:
        assert connection.execute(uncommented).fetchall() == []


@pytest.mark.parametrize(
    "statement",
    [
        "insert into categories (id, name) values (99, 'Gifts')",
        "update products set price = 1",
        "delete from payments",
        "truncate order_items",
        "drop view order_totals",
        "create table mine (id integer)",
        "create temporary table mine (id integer)",
        "create schema mine",
        "create extension dblink",
        "alter role pgmcp_reader superuser",
        "copy categories to '/tmp/categories'",
        "select pg_read_file('PG_VERSION')",
        "select rolpassword from pg_authid",
        "select lo_create(0)",
        "select lo_from_bytea(0, 'kept')",
        "select pg_logical_emit_message(true, 'pgmcp', 'kept')",
        "do 'begin end'",
    ],
)
def test_the_reader_can_change_nothing_even_in_a_transaction_that_could(
    shop_url: str, statement: str
) -> None:
    with psycopg.connect(shop_url) as connection:
        connection.execute("set transaction read write")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement.encode())


def test_the_reader_starts_read_only_and_with_a_statement_timeout(shop_url: str) -> None:
    with psycopg.connect(shop_url) as connection:
        row = connection.execute(
            "select current_setting('transaction_read_only'), current_setting('statement_timeout')"
        ).fetchone()

    assert row == ("on", "1min")


def test_the_reader_has_no_attribute_and_is_in_no_role(shop_admin_url: str) -> None:
    with psycopg.connect(shop_admin_url) as connection:
        attributes = connection.execute(
            """select rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls,
                      exists (select from pg_auth_members where member = r.oid)
               from pg_roles as r where rolname = 'pgmcp_reader'"""
        ).fetchone()

    assert attributes == (False,) * 6


@pytest.fixture
def own_server(cluster: EmbeddedPostgres) -> Iterator[EmbeddedPostgres]:
    """A server whose shop may be loaded again."""
    folder = cluster.data_dir.parents[1] / "reloaded"
    folder.mkdir(mode=0o755)
    with EmbeddedPostgres(folder, settings={"fsync": "off"}) as server:
        yield server


def _load(server: EmbeddedPostgres, as_of: datetime) -> tuple[list[str], object]:
    """Create the shop; return the steps that this took, and a digest of its orders."""
    steps: list[str] = []
    create_shop(server.url(), steps.append, as_of=lambda: as_of)
    with psycopg.connect(server.url("pgmcp_shop")) as connection:
        digest = connection.execute(
            """select md5(string_agg(o::text || t.total, ',' order by o.id))
               from orders as o join order_totals as t on t.order_id = o.id"""
        ).fetchone()
    return steps, digest


def test_a_shop_is_loaded_once_a_day_and_is_the_same_for_the_same_moment(
    own_server: EmbeddedPostgres,
) -> None:
    moment = datetime(2026, 7, 1, 12, tzinfo=UTC)
    first_steps, first = _load(own_server, moment)
    steps_within_a_day, _ = _load(own_server, moment + timedelta(hours=23))
    with psycopg.connect(own_server.url()) as connection:
        yesterday = (moment - timedelta(hours=25)).isoformat()
        connection.execute(
            f"comment on database pgmcp_shop is 'pgmcp demo shop, version 1, as of {yesterday}'".encode()
        )
    later_steps, again = _load(own_server, moment)

    assert first_steps == later_steps != []
    assert steps_within_a_day == []
    assert again == first
