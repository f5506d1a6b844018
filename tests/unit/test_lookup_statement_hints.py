import pytest

from pgmcp.catalog.catalog import Catalog, Column, Table, TableKind
from pgmcp.errors import StatementFailedError
from pgmcp.lookup.statement_hints import (
    UNDEFINED_COLUMN,
    UNDEFINED_TABLE,
    hint_for_failure,
    hint_for_missing_name,
    is_outdated,
    name_at,
)

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
    ("sqlstate", "sql", "at", "beginning"),
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
    sqlstate: str, sql: str, at: str, beginning: str
) -> None:
    hint = hint_for_failure(failure(sqlstate, sql, at), sql, CATALOG)

    assert hint.startswith(beginning)
    assert bool(hint) == bool(beginning)


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


def table(name: str, *columns: str, schema: str = "public") -> Table:
    return Table(
        schema,
        name,
        TableKind.TABLE,
        "",
        tuple(Column(column, "text", nullable=True) for column in columns),
    )


NAMES = Catalog(
    (
        table("customers", "id", "full_name", "Email"),
        table("orders", "id", "customer_id", "placed_at", "status"),
        table("invoices", "id", "due_on", schema="billing"),
    ),
    ("public",),
    "18.1",
)


@pytest.mark.parametrize(
    ("sql", "position", "name"),
    [
        ("SELECT statuss FROM orders", 7, ("statuss",)),
        ("SELECT O.Statuss FROM orders o", 7, ("o", "statuss")),
        ('SELECT o . "Sta""tus" FROM orders o', 7, ("o", 'Sta"tus')),
        ("SELECT Größe, 1", 7, ("größe",)),
        ("SELECT 1", 7, ()),
        ("SELECT 1", None, ()),
        ("SELECT 1", 99, ()),
    ],
)
def test_the_name_at_a_position_is_read_as_postgresql_reads_it(
    sql: str, position: int | None, name: tuple[str, ...]
) -> None:
    assert name_at(sql, position) == name


def test_similar_columns_and_those_of_the_table_are_suggested_for_a_misspelt_one() -> None:
    hint = hint_for_missing_name(UNDEFINED_COLUMN, ("o", "state"), ["orders"], NAMES)

    assert hint == "near: orders.status; columns of orders: id, customer_id, placed_at, status"


def test_a_column_of_another_table_is_suggested_as_valid_sql() -> None:
    hint = hint_for_missing_name(UNDEFINED_COLUMN, ("email",), ["orders"], NAMES)

    assert hint.startswith('near: customers."Email"; ')


def test_a_column_of_an_unknown_relation_has_no_suggestions() -> None:
    assert hint_for_missing_name(UNDEFINED_COLUMN, ("zzz",), ["x"], NAMES) == ""


def test_similar_tables_are_suggested_for_a_misspelt_one() -> None:
    hint = hint_for_missing_name(UNDEFINED_TABLE, ("customer",), [], NAMES)

    assert hint.startswith("tables near customer: customers")


def test_a_table_outside_the_search_path_is_named_with_its_schema() -> None:
    hint = hint_for_missing_name(UNDEFINED_TABLE, ("invoices",), [], NAMES)

    assert hint == "tables near invoices: billing.invoices"


def test_a_table_without_similar_names_gets_no_hint() -> None:
    assert hint_for_missing_name(UNDEFINED_TABLE, ("zzz",), [], NAMES) == ""
