import pytest

from pgmcp.catalog.catalog import Column, Table, TableKind
from pgmcp.lookup.archived_tables import find_archived


def table(name: str, *columns: str) -> Table:
    schema, _, bare = name.rpartition(".")
    named = tuple(Column(column, "text", nullable=True) for column in columns or ("id", "placed_at"))
    return Table(schema or "public", bare, TableKind.TABLE, "", named)


def copies(*tables: Table) -> list[str]:
    return [tables[number].name for number in sorted(find_archived(tables))]


@pytest.mark.parametrize(
    "name", ["orders_archive", "orders_2023_07", "old_orders", "orders_bak", "orders_v2"]
)
def test_a_table_named_as_a_copy_is_one_whatever_its_columns(name: str) -> None:
    assert copies(table("orders"), table(name, "other")) == [name]


@pytest.mark.parametrize("name", ["staging.sap_orders", "orders_delta", "dwh.x_orders_migr"])
def test_a_table_with_columns_and_name_of_another_is_a_copy(name: str) -> None:
    assert copies(table("sales.orders"), table(name)) == [name.rpartition(".")[2]]


def test_a_longer_name_with_other_columns_is_not_a_copy() -> None:
    assert copies(table("orders"), table("order_lines", "line"), table("orders_summary", "total")) == []


def test_a_table_of_the_same_name_in_an_archive_schema_is_a_copy() -> None:
    tables = (table("sales.orders"), table("archive.orders"), table("sandbox_anna.orders"))

    assert find_archived(tables) == {1, 2}


def test_schemas_with_the_same_tables_are_not_copies() -> None:
    assert copies(table("spain.orders"), table("italy.orders")) == []


def test_a_table_that_is_only_in_the_archive_is_not_a_copy() -> None:
    assert copies(table("archive.orders"), table("sales.quotes", "other")) == []


def test_similar_lookup_tables_are_not_copies() -> None:
    assert copies(table("colour", "code", "label"), table("size", "code", "label")) == []
