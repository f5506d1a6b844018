from dataclasses import replace

import pytest

from pgmcp.catalog.catalog import Catalog, Column, Table, TableKind
from pgmcp.catalog.scope import CatalogScope
from pgmcp.errors import DeadlineExceededError
from pgmcp.execution.result import Column as ResultColumn
from pgmcp.execution.result import Rows
from pgmcp.lookup.value_check import Mismatch, check_listed, check_unlisted, find_spelling, resolve
from pgmcp.validation.references import find_references

pytestmark = pytest.mark.anyio

ORDERS = Table(
    "public",
    "orders",
    TableKind.TABLE,
    "",
    (
        Column("status", "text", nullable=False, values=("shipped", "paid", "returned")),
        Column("size", "order_size", nullable=False, enum_labels=("S", "M")),
        Column("city", "character varying(40)", nullable=True),
        Column("email", "text", nullable=True),
        Column("total", "numeric", nullable=True),
        Column("tags", "text[]", nullable=True),
    ),
)
CATALOG = Catalog((ORDERS,), ("public",), "18.1")


def listed(condition: str) -> list[Mismatch]:
    return check_listed(resolve(find_references(f"SELECT 1 FROM orders o WHERE {condition}"), CATALOG))


class HeldValues:
    """Answers each statement with the same values, and records the statements."""

    def __init__(self, *values: str) -> None:
        self.values = values
        self.statements: list[str] = []

    async def __call__(self, sql: str) -> Rows:
        self.statements.append(sql)
        return Rows((ResultColumn("value", "text"),), [[value] for value in self.values])


async def unlisted(condition: str, table: HeldValues, catalog: Catalog = CATALOG) -> list[Mismatch]:
    references = find_references(f"SELECT 1 FROM orders WHERE {condition}")
    return await check_unlisted(resolve(references, catalog), catalog, table)


@pytest.mark.parametrize(
    "condition",
    [
        "status = 'shipped'",
        "o.status LIKE 'ship%'",
        "status ILIKE 'SHIP%'",
        "lower(status) = 'shipped'",
        "size = 'S'",
        "total = '3'",
        "city = 'Rome'",
        "nowhere = 'x'",
        "'a' = ANY (tags)",
    ],
)
def test_a_listed_or_uncertain_text_is_not_a_mismatch(condition: str) -> None:
    assert listed(condition) == []


def test_a_listed_value_in_another_case_is_a_mismatch_with_the_right_spelling_first() -> None:
    (mismatch,) = listed("status = 'Shipped'")

    assert (mismatch.column, mismatch.text, mismatch.values) == ("orders.status", "Shipped", ("shipped",))
    assert mismatch.differs_in_case
    assert mismatch.describe() == "orders.status = 'Shipped' is not in the data; it holds 'shipped'"


def test_for_a_text_without_similar_values_all_values_are_shown() -> None:
    (mismatch,) = listed("status = 'xyz'")

    assert mismatch.values == ("shipped", "paid", "returned")
    assert not mismatch.differs_in_case


def test_a_pattern_in_the_wrong_case_is_a_mismatch() -> None:
    (mismatch,) = listed("status LIKE '%SHIP%'")

    assert mismatch.values[0] == "shipped"


@pytest.mark.parametrize("condition", ["lower(city) = 'Rome'", "upper(o.city) LIKE 'rom%'"])
def test_a_text_in_a_case_that_no_value_can_have_is_a_mismatch(condition: str) -> None:
    (mismatch,) = listed(condition)

    assert "is never" in mismatch.describe()
    assert mismatch.differs_in_case


async def test_with_a_row_limit_only_small_tables_are_read() -> None:
    small = replace(ORDERS, estimated_rows=100)
    comparisons = resolve(find_references("SELECT 1 FROM orders WHERE city = 'ROME'"), CATALOG)
    in_small = [replace(each, table=small) for each in comparisons]

    assert await check_unlisted(comparisons, CATALOG, HeldValues("Rome"), max_rows=100) == []
    assert len(await check_unlisted(in_small, CATALOG, HeldValues("Rome"), max_rows=100)) == 1
    assert await check_unlisted(in_small, CATALOG, HeldValues("Rome"), max_rows=99) == []


async def test_a_text_without_a_list_of_values_is_looked_up_in_the_table() -> None:
    table = HeldValues("New York", "Newark", "Rome")

    (mismatch,) = await unlisted("city = 'new york'", table)

    assert mismatch.values == ("New York", "Newark")
    assert "FROM public.orders AS t" in table.statements[0]


async def test_a_text_is_put_into_the_lookup_as_a_literal() -> None:
    table = HeldValues()

    await unlisted("city = 'it''s '' ; drop table x --'", table)

    assert "lower('it''s '' ; drop table x --')" in table.statements[0]


async def test_a_text_that_exists_or_resembles_nothing_is_not_a_mismatch() -> None:
    assert await unlisted("city = 'Rome'", HeldValues("Rome", "rome")) == []
    assert await unlisted("city = 'Rome'", HeldValues("Paris")) == []


async def test_only_a_difference_in_case_of_a_hidden_column_is_reported() -> None:
    (mismatch,) = await unlisted(
        "email = 'ANN@EXAMPLE.COM'", HeldValues("ann@example.com", "anna@example.com")
    )

    assert mismatch.describe() == (
        "orders.email = 'ANN@EXAMPLE.COM' is in the data in another case only: compare without regard to case"
    )
    assert await unlisted("email = 'ANN@EXAMPLE.CO'", HeldValues("ann@example.com")) == []
    assert len(await unlisted("email LIKE '%.COM'", HeldValues("ann@example.com"))) == 1


async def test_no_value_is_shown_if_values_are_switched_off() -> None:
    catalog = Catalog((ORDERS,), ("public",), "18.1", scope=CatalogScope(with_values=False))

    (mismatch,) = await unlisted("city = 'ROME'", HeldValues("Rome", "Romeo"), catalog)

    assert mismatch.values == ()


async def test_a_failed_lookup_reports_nothing() -> None:
    async def fetch(_: str) -> Rows:
        raise DeadlineExceededError("too slow")

    comparisons = resolve(find_references("SELECT 1 FROM orders WHERE city = 'x'"), CATALOG)

    assert await check_unlisted(comparisons, CATALOG, fetch) == []


async def test_at_most_three_texts_of_a_query_are_looked_up() -> None:
    table = HeldValues("a")

    await unlisted("city IN ('1', '2', '3', '4', '5', '6')", table)

    assert len(table.statements) == 3


@pytest.mark.parametrize(
    ("held", "spelling"),
    [
        (("Acme Inc.", "Acme"), "Acme Inc."),
        (("ACME INC", "Acme Inc."), "ACME INC"),
        (("Acme inc", "ACME INC"), None),
        (("Acme Inc. & Sons",), None),
        ((), None),
    ],
)
async def test_a_value_is_found_in_the_spelling_of_the_column(
    held: tuple[str, ...], spelling: str | None
) -> None:
    assert await find_spelling("orders.city", "acme inc", CATALOG, HeldValues(*held)) == spelling


@pytest.mark.parametrize("column", ["orders.nowhere", "nowhere.city", "city"])
async def test_a_missing_column_has_no_value(column: str) -> None:
    assert await find_spelling(column, "Rome", CATALOG, HeldValues("Rome")) is None


async def test_a_listed_value_is_found_without_reading_the_table() -> None:
    table = HeldValues()

    assert await find_spelling("public.orders.status", "PAID", CATALOG, table) == "paid"
    assert table.statements == []


async def test_a_value_that_came_after_the_list_was_made_is_found_in_the_table() -> None:
    assert await find_spelling("orders.status", "LOST", CATALOG, HeldValues("lost")) == "lost"
    assert await find_spelling("orders.size", "XL", CATALOG, HeldValues("XL")) is None
