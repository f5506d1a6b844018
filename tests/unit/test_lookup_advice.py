import pytest

from pgmcp.catalog.catalog import Catalog, Column, Table, TableKind
from pgmcp.errors import StatementFailedError
from pgmcp.lookup.advice import advise, is_outdated

ORDERS = Table(
    "public",
    "orders",
    TableKind.TABLE,
    "",
    (
        Column("id", "integer", nullable=False),
        Column("status", "order_status", nullable=False, enum_labels=("open", "paid")),
    ),
)
CATALOG = Catalog((ORDERS,), ("public",), "18.1")


def failure(sqlstate: str, sql: str, at: str) -> StatementFailedError:
    return StatementFailedError("as the server says", sqlstate=sqlstate, position=sql.index(at))


@pytest.mark.parametrize(
    ("sqlstate", "sql", "at", "advice"),
    [
        (
            "42703",
            "SELECT o.state FROM orders o",
            "o.state",
            "near: orders.status; columns of orders: id, status",
        ),
        (
            "42703",
            "WITH x AS (SELECT * FROM orders) SELECT x.state FROM x",
            "x.state",
            "near: orders.status; ",
        ),
        ("42P01", "SELECT 1 FROM order", "order", "tables near order: orders"),
        ("42P01", "SELECT 1 FROM sales.order", "sales", "tables near sales.order: orders"),
        ("42P01", "SELECT p.id FROM orders o, items", "p.id", "FROM has o, items"),
        (
            "22P02",
            "SELECT 1 FROM orders WHERE status = 'PAID'",
            "'PAID'",
            "orders.status = 'PAID' is not in the",
        ),
        ("22P02", "SELECT 'x'::int", "'x'", ""),
    ],
)
def test_existing_names_are_suggested_for_a_missing_one(
    sqlstate: str, sql: str, at: str, advice: str
) -> None:
    said = advise(failure(sqlstate, sql, at), sql, CATALOG)

    assert said.startswith(advice)
    assert bool(said) == bool(advice)


@pytest.mark.parametrize(
    ("sqlstate", "sql", "at"),
    [
        ("42P01", "SELECT 1 FROM public.orders", "public"),
        ("42703", "SELECT o.status FROM orders o", "o.status"),
        ("42703", "SELECT status FROM orders", "status"),
    ],
)
def test_a_catalog_with_a_name_that_postgresql_does_not_find_is_outdated(
    sqlstate: str, sql: str, at: str
) -> None:
    assert is_outdated(failure(sqlstate, sql, at), sql, CATALOG)


@pytest.mark.parametrize(
    ("sqlstate", "sql", "at"),
    [
        ("42P01", "SELECT 1 FROM orderz", "orderz"),
        ("42P01", 'SELECT 1 FROM "Orders"', '"Orders"'),
        ("42703", "SELECT o.state FROM orders o", "o.state"),
        ("22P02", "SELECT status FROM orders", "status"),
    ],
)
def test_an_unknown_name_does_not_make_a_catalog_outdated(sqlstate: str, sql: str, at: str) -> None:
    assert not is_outdated(failure(sqlstate, sql, at), sql, CATALOG)
