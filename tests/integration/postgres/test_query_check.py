"""Remarks about rows that joins repeat and about missing default filters, judged by keys and by the data."""

from collections.abc import Awaitable, Callable

import psycopg
import pytest

from pgmcp.catalog.catalog import Catalog
from pgmcp.catalog.introspection import read_catalog
from pgmcp.errors import BusyError, DeadlineExceededError, PgmcpError
from pgmcp.execution.result import Rows
from pgmcp.lookup.default_filters import MissingFilter, drop_without_effect, find_missing_filters
from pgmcp.lookup.fan_out import FanOut, confirm_repeated_rows, find_suspects
from pgmcp.validation.references import find_references
from testing.own_statements import fetch_with, resolve_as_own

pytestmark = pytest.mark.anyio

Fetch = Callable[[str], Awaitable[Rows]]

TABLES = """
CREATE TABLE clients (id int PRIMARY KEY, name text, credit numeric, deleted_at date);
CREATE TABLE orders (id int PRIMARY KEY, client_id int REFERENCES clients, total numeric, placed_on date);
CREATE TABLE goods (id int PRIMARY KEY, name text, price numeric, stock_value numeric);
CREATE TABLE order_items (
    order_id int REFERENCES orders,
    goods_id int REFERENCES goods,
    amount int,
    PRIMARY KEY (order_id, goods_id)
);
CREATE TABLE parcels (id int PRIMARY KEY, order_id int UNIQUE REFERENCES orders, weight_g int);
CREATE TABLE payments (id int PRIMARY KEY, client_id int REFERENCES clients, paid numeric, paid_on date);
CREATE TABLE "Ledger" ("Nr" int PRIMARY KEY, "Sum" numeric);
CREATE TABLE lines (ledger int REFERENCES "Ledger", pos int, PRIMARY KEY (ledger, pos));
CREATE TABLE whole (whole_id int PRIMARY KEY, total numeric);
CREATE TABLE whole_parts (whole_id int REFERENCES whole, nr int, part numeric, PRIMARY KEY (whole_id, nr));
CREATE TABLE whole_labels (whole_id int PRIMARY KEY REFERENCES whole, label text);
CREATE TABLE sales (id int PRIMARY KEY, client_id int REFERENCES clients, sale_price numeric);
CREATE TABLE refunds (id int PRIMARY KEY, sale_id int REFERENCES sales);
INSERT INTO whole VALUES (1, 5);
INSERT INTO whole_parts VALUES (1, 1, 2), (1, 2, 3);
INSERT INTO whole_labels VALUES (1, 'a');
INSERT INTO clients VALUES (1, 'Ada', 10, NULL), (2, 'Bob', 20, '2024-01-01');
INSERT INTO sales VALUES (1, 1, 5);
INSERT INTO refunds VALUES (1, 1), (2, 1);
INSERT INTO orders VALUES (1, 1, 5, '2024-01-01'), (2, 1, 6, '2024-02-01'), (3, 2, 7, '2024-02-01');
INSERT INTO goods VALUES (1, 'pen', 1, 100), (2, 'ink', 2, 200);
INSERT INTO order_items VALUES (1, 1, 1), (1, 2, 1), (2, 1, 3), (3, 2, 1);
INSERT INTO parcels VALUES (1, 1, 900), (2, 2, 800);
INSERT INTO payments VALUES (1, 1, 4, '2024-01-01'), (2, 1, 7, '2024-02-01'), (3, 2, 7, '2024-02-01');
INSERT INTO "Ledger" VALUES (1, 1);
INSERT INTO lines VALUES (1, 1), (1, 2);
"""


@pytest.fixture(scope="module")
def url(module_database: str) -> str:
    with psycopg.connect(module_database, autocommit=True) as connection:
        connection.execute(TABLES.encode())
    return module_database


async def with_database(url: str, check: Callable[[Catalog, Fetch], Awaitable[None]]) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        resolve_as_own(connection)
        fetch = fetch_with(connection)
        catalog = await read_catalog(fetch)
        connection.execute("SET search_path = public")
        await check(catalog, fetch)


async def fan_outs(url: str, sql: str) -> list[FanOut]:
    found: list[FanOut] = []

    async def check(catalog: Catalog, fetch: Fetch) -> None:
        found.extend(await confirm_repeated_rows(find_suspects(sql, catalog), fetch))

    await with_database(url, check)
    return found


JOINED = "orders AS o JOIN order_items AS i ON i.order_id = o.id"


@pytest.mark.parametrize(
    ("sql", "aggregated"),
    [
        (f"SELECT sum(o.total) FROM {JOINED}", "sum(orders.total)"),
        (f"SELECT AVG(total) + 1 FROM {JOINED}", "avg(orders.total)"),
        ("SELECT sum(total) FROM order_items AS i, orders AS o WHERE i.order_id = o.id", "sum(orders.total)"),
        (
            f"SELECT placed_on, percentile_cont(0.5) WITHIN GROUP (ORDER BY total) AS mid FROM {JOINED}"
            " GROUP BY placed_on ORDER BY 1 LIMIT 3",
            "percentile_cont(orders.total)",
        ),
        (
            f"SELECT date_trunc('month', placed_on) AS m, sum(total) FROM {JOINED} GROUP BY m",
            "sum(orders.total)",
        ),
        (
            f"SELECT g.name, sum(o.total) FROM {JOINED} JOIN goods AS g ON g.id = i.goods_id"
            " WHERE EXISTS (SELECT FROM clients AS c WHERE c.id = o.client_id) GROUP BY o.client_id, 1"
            " HAVING sum(o.total) > 0 UNION SELECT 'all', sum(o.total) FROM " + JOINED,
            "sum(orders.total)",
        ),
        (
            "WITH x AS (SELECT o.client_id, sum(o.total) AS t FROM orders AS o LEFT JOIN"
            " (order_items AS i JOIN goods AS g ON g.id = i.goods_id) ON i.order_id = o.id GROUP BY 1)"
            " SELECT c.name, x.t FROM clients AS c JOIN x ON x.client_id = c.id",
            "sum(orders.total)",
        ),
        ('SELECT sum("Sum") FROM "Ledger" JOIN lines ON ledger = "Nr"', 'sum("Ledger"."Sum")'),
        (f"SELECT sum(o.total) FILTER (WHERE i.amount < 3) FROM {JOINED}", "sum(orders.total)"),
        (
            f"SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY total) FILTER (WHERE total > 0 -- all\n)"
            f" FROM {JOINED}",
            "percentile_cont(orders.total)",
        ),
        ("SELECT sum(total) FROM whole NATURAL JOIN whole_parts", "sum(whole.total)"),
        (
            "SELECT whole_id, sum(total) FROM whole JOIN whole_parts USING (whole_id) GROUP BY whole_id",
            "sum(whole.total)",
        ),
        # The join is in a query of WITH or in a subquery, which need not select the keys.
        (
            f"WITH x AS (SELECT o.*, i.amount FROM {JOINED} ORDER BY 1) SELECT sum(x.total) FROM x",
            "sum(orders.total)",
        ),
        (
            f"WITH x AS (SELECT o.client_id AS who, o.total AS t, i.amount FROM {JOINED})"
            " SELECT name, avg(t) FROM clients AS c JOIN x ON x.who = c.id WHERE x.amount < 3 GROUP BY name",
            "avg(orders.total)",
        ),
        (
            "SELECT who IS DISTINCT FROM 1 AS other, sum(t * 2) FROM"
            f" (SELECT client_id AS who, total AS t FROM {JOINED}) AS x GROUP BY x.who",
            "sum(orders.total)",
        ),
        (
            "WITH x AS (SELECT id, total FROM orders)"
            " SELECT sum(total) FROM x JOIN order_items ON order_id = id",
            "sum(orders.total)",
        ),
        (
            "SELECT c.name, sum(o.total) FROM clients AS c LEFT JOIN orders AS o ON o.client_id = c.id"
            " LEFT JOIN payments AS p ON p.client_id = c.id GROUP BY c.id, c.name",
            "sum(orders.total)",
        ),
    ],
)
async def test_an_amount_that_a_join_repeats_is_offered_for_a_repair(
    url: str, sql: str, aggregated: str
) -> None:
    found = await fan_outs(url, sql)

    assert [each.aggregated[0] for each in found if each.is_offered][:1] == [aggregated]


@pytest.mark.parametrize(
    "sql",
    [
        f"SELECT count(o.id) FROM {JOINED}",
        "SELECT sum(c.credit) FROM clients AS c JOIN orders AS o ON o.client_id = c.id WHERE o.total > 1",
        "SELECT avg(g.price) FROM goods AS g JOIN order_items AS i ON i.goods_id = g.id",
        # Refunds refer to sales alone, so they are not uses of a price, as order items are of a product's.
        "SELECT sum(s.sale_price) FROM sales AS s JOIN refunds AS r ON r.sale_id = s.id",
    ],
)
async def test_an_aggregate_that_may_be_intended_is_only_noted(url: str, sql: str) -> None:
    (found,) = await fan_outs(url, sql)

    assert not found.is_offered
    assert "more than once, because the join with" in found.describe()


@pytest.mark.parametrize(
    "sql",
    [
        # The keys show that nothing is repeated.
        "SELECT sum(i.amount) FROM order_items AS i JOIN orders AS o ON o.id = i.order_id",
        "SELECT sum(o.total) FROM orders AS o JOIN clients AS c ON c.id = o.client_id",
        "SELECT sum(o.total) FROM orders AS o JOIN parcels AS p ON p.order_id = o.id",
        f"SELECT sum(o.total) FROM {JOINED} AND i.goods_id = 2",
        "SELECT sum(part) FROM whole NATURAL JOIN whole_parts",
        "SELECT sum(total) FROM whole NATURAL JOIN whole_labels",
        # The data shows that no order remains twice, or not twice in one group.
        f"SELECT sum(o.total) FROM {JOINED} WHERE i.amount = 3",
        f"SELECT i.goods_id, sum(o.total) FROM {JOINED} GROUP BY i.goods_id",
        f"SELECT g.name AS n, avg(o.total) FROM {JOINED} JOIN goods AS g ON g.id = i.goods_id GROUP BY n",
        f"SELECT sum(o.total) FILTER (WHERE i.goods_id = 2) FROM {JOINED}",
        f"WITH x AS (SELECT o.total, i.amount FROM {JOINED}) SELECT sum(total) FROM x WHERE amount = 3",
        f"SELECT g, sum(t) FROM (SELECT i.goods_id AS g, o.total AS t FROM {JOINED}) AS x GROUP BY g",
        # Repeated rows do not change the result, or they are intended.
        f"SELECT max(o.total), sum(DISTINCT o.total), count(DISTINCT o.id), count(*) FROM {JOINED}",
        f"SELECT o.id, count(o.id) FROM {JOINED} GROUP BY o.id",
        f"SELECT sum(o.total * i.amount) FROM {JOINED}",
        "SELECT sum(price * amount), sum(price) FROM goods AS g JOIN order_items AS i ON i.goods_id = g.id",
        "SELECT sum(g.stock_value) FROM order_items AS i JOIN goods AS g ON i.goods_id = g.id",
        "SELECT c.name, count(c.id) FROM clients AS c JOIN orders AS o ON o.client_id = c.id GROUP BY c.name",
        f"WITH x AS (SELECT DISTINCT o.id, o.total FROM {JOINED}) SELECT sum(total) FROM x",
        f"WITH x AS (SELECT o.total FROM {JOINED} LIMIT 1) SELECT sum(total) FROM x",
        f"WITH x (a) AS (SELECT o.total FROM {JOINED}) SELECT sum(a) FROM x",
        # The aggregate comes before the join.
        "SELECT sum(o.total) FROM orders AS o WHERE o.id IN (SELECT order_id FROM order_items)",
        "SELECT c.name, x.t FROM clients AS c JOIN"
        " (SELECT client_id, sum(total) AS t FROM orders GROUP BY 1) AS x ON x.client_id = c.id",
        "SELECT sum(sum(o.total)) OVER () FROM orders AS o",
        "SELECT 1",
        "no query",
    ],
)
async def test_a_correct_aggregate_gets_no_note(url: str, sql: str) -> None:
    assert await fan_outs(url, sql) == []


@pytest.mark.parametrize(
    ("error", "logged"),
    [
        (DeadlineExceededError("too slow"), []),
        (BusyError("busy", retry_after_s=1), ["a check for repeated rows failed (busy)"]),
    ],
)
async def test_a_suspect_that_cannot_be_checked_is_noted_but_not_offered(
    url: str, error: PgmcpError, logged: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(_: str) -> Rows:
        raise error

    async def check(catalog: Catalog, _: Fetch) -> None:
        (kept,) = await confirm_repeated_rows(
            find_suspects(f"SELECT sum(o.total) FROM {JOINED}", catalog), fail
        )

        assert not kept.is_offered
        assert "may take rows of orders more than once" in kept.describe()

    await with_database(url, check)
    assert caplog.messages == logged


async def test_many_aggregates_over_the_same_rows_take_one_query_and_one_note(url: str) -> None:
    sums = ", ".join(f"sum(o.total + {number} * o.id)" for number in range(3))
    asked: list[str] = []

    async def check(catalog: Catalog, fetch: Fetch) -> None:
        async def count(sql: str) -> Rows:
            asked.append(sql)
            return await fetch(sql)

        sql = f"SELECT {sums}, sum(total), avg(total), stddev(total), variance(total) FROM {JOINED}"
        (found,) = await confirm_repeated_rows(find_suspects(sql, catalog), count)

        assert found.describe().startswith(
            "sum(orders.total, orders.id) and sum(orders.total) and avg(orders.total) and "
            "stddev(orders.total) and variance(orders.total) take rows of orders more than once"
        )

    await with_database(url, check)
    assert len(asked) == 1


async def test_aggregates_beyond_the_number_of_checks_are_noted_without_certainty(url: str) -> None:
    blocks = [f"(SELECT sum(o.total) FROM {JOINED} WHERE o.id > {-number})" for number in range(10)]

    found = await fan_outs(url, f"SELECT {', '.join(blocks)} FROM goods")

    assert [each.is_certain for each in found] == [True, False]


async def missing_filters(
    url: str, sql: str, condition: str, question: str = "How many?"
) -> list[MissingFilter]:
    found: list[MissingFilter] = []

    async def check(catalog: Catalog, fetch: Fetch) -> None:
        suspects = find_missing_filters(find_references(sql), {"clients": condition}, catalog, question)
        found.extend(await drop_without_effect(suspects, fetch))

    await with_database(url, check)
    return found


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) FROM clients",
        "SELECT c.deleted_at, count(*) FROM public.clients AS c GROUP BY c.deleted_at ORDER BY deleted_at",
        "SELECT o.total FROM orders AS o JOIN clients ON clients.id = o.client_id",
    ],
)
async def test_a_default_filter_that_the_query_lacks_is_found(url: str, sql: str) -> None:
    (found,) = await missing_filters(url, sql, "deleted_at IS NULL")

    assert found.is_offered
    assert found.describe() == "clients is read without its default filter: deleted_at IS NULL"


async def test_a_question_that_names_the_filter_is_not_asked_again(url: str) -> None:
    (found,) = await missing_filters(
        url, "SELECT count(*) FROM clients", "deleted_at IS NULL", "How many, deleted ones included?"
    )

    assert not found.is_offered


@pytest.mark.parametrize(
    "question", ["What is the number of clients at this date?", "How many have not ordered, or like us?"]
)
async def test_stop_words_of_a_question_name_no_filter(url: str, question: str) -> None:
    (found,) = await missing_filters(
        url,
        "SELECT count(*) FROM clients",
        "deleted_at IS NULL AND NOT name LIKE 'x' OR id IS NULL",
        question,
    )

    assert found.is_offered


@pytest.mark.parametrize(
    ("sql", "condition"),
    [
        ("SELECT count(*) FROM clients WHERE deleted_at IS NULL", "deleted_at IS NULL"),
        ("SELECT count(*) FROM clients WHERE deleted_at > now()", "deleted_at IS NULL"),
        (
            "SELECT count(*) FILTER (WHERE c.deleted_at IS NULL) FROM clients AS c",
            "clients.deleted_at IS NULL",
        ),
        (
            "WITH x AS (SELECT * FROM clients) SELECT * FROM x WHERE x.deleted_at IS NULL",
            "deleted_at IS NULL",
        ),
        ("SELECT count(*) FROM orders", "deleted_at IS NULL"),
        ("SELECT count(*) FROM clients", "credit > 0"),  # the filter excludes no row
        ("SELECT count(*) FROM clients", "leave out the deleted ones"),
        ("SELECT count(*) FROM clients", "archived"),
        ("SELECT count(*) FROM clients", "credit / 0 > 1"),
    ],
)
async def test_a_filter_that_is_present_or_changes_nothing_gets_no_note(
    url: str, sql: str, condition: str
) -> None:
    assert await missing_filters(url, sql, condition) == []


async def test_a_default_filter_that_cannot_be_evaluated_is_logged(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert await missing_filters(url, "SELECT count(*) FROM clients", "credit / 0 > 1") == []
    assert caplog.messages == ["the default filter of clients could not be evaluated (statement_failed)"]


async def test_a_missing_default_filter_is_only_noted_if_there_is_no_time_to_evaluate_it() -> None:
    async def too_slow(_: str) -> Rows:
        raise DeadlineExceededError("too slow")

    missing = MissingFilter("clients", "deleted_at IS NULL", is_offered=True, probe="SELECT true")

    (kept,) = await drop_without_effect([missing], too_slow)

    assert not kept.is_offered
