import pytest

from pgmcp.catalog.catalog import Catalog, Column, Table, TableKind
from pgmcp.lookup.advice import UNDEFINED_COLUMN, UNDEFINED_TABLE, advise_missing_name, name_at


def table(name: str, *columns: str, schema: str = "public") -> Table:
    return Table(
        schema,
        name,
        TableKind.TABLE,
        "",
        tuple(Column(column, "text", nullable=True) for column in columns),
    )


CATALOG = Catalog(
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


def test_a_misspelt_column_gets_the_near_ones_and_those_of_the_table() -> None:
    advice = advise_missing_name(UNDEFINED_COLUMN, ("o", "state"), ["orders"], CATALOG)

    assert advice == "near: orders.status; columns of orders: id, customer_id, placed_at, status"


def test_a_column_of_another_table_is_found_there_and_spelled_as_sql_must_spell_it() -> None:
    advice = advise_missing_name(UNDEFINED_COLUMN, ("email",), ["orders"], CATALOG)

    assert advice.startswith('near: customers."Email"; ')


def test_a_column_of_an_unknown_relation_has_no_near_ones() -> None:
    assert advise_missing_name(UNDEFINED_COLUMN, ("zzz",), ["x"], CATALOG) == ""


def test_a_misspelt_table_gets_the_near_ones() -> None:
    advice = advise_missing_name(UNDEFINED_TABLE, ("customer",), [], CATALOG)

    assert advice.startswith("tables near customer: customers")


def test_a_table_outside_the_search_path_is_named_with_its_schema() -> None:
    advice = advise_missing_name(UNDEFINED_TABLE, ("invoices",), [], CATALOG)

    assert advice == "tables near invoices: billing.invoices"


def test_a_table_like_none_other_gets_no_advice() -> None:
    assert advise_missing_name(UNDEFINED_TABLE, ("zzz",), [], CATALOG) == ""
