"""What is offered at the cursor."""

from dataclasses import replace

import pytest

from pgmcp.catalog.catalog import Catalog, Column, ForeignKey, Table, TableKind
from pgmcp.cli.shell.completion import complete


def table(schema: str, name: str, *columns: str) -> Table:
    return Table(
        schema, name, TableKind.TABLE, "", tuple(Column(each, "integer", nullable=True) for each in columns)
    )


CATALOG = Catalog(
    (
        table("public", "orders", "id", "status", "placed_at"),
        replace(
            table("public", "Order Lines", "order_id", "Unit Price"),
            foreign_keys=(ForeignKey(("order_id",), "public", "orders", ("id",)),),
        ),
        table("sales", "invoices", "number", "state"),
    ),
    ("public",),
    "18.1",
)


def offered(before: str, after: str = "", catalog: Catalog | None = CATALOG) -> list[str]:
    found = complete(before, after, catalog, commands=(r"\dt", r"\d", r"\csv"), databases=("shop", "sales"))
    return [candidate.text for candidate in found]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("select * from or", "", ["orders", '"Order Lines"']),
        ("select * from sa", "", ["sales.invoices", "sales"]),
        ("select * from sales.", "", ["invoices"]),
        ('select * from "Or', "", ["orders", '"Order Lines"']),
        ("select o.st", " from orders o", ["status"]),
        ("select orders.", " from orders", ["id", "status", "placed_at"]),
        ("select * from sales.invoices as i where i.st", "", ["state"]),
        ("select * from orders where pl", "", ["placed_at"]),
        ('select l."Un', ' from "Order Lines" l', ['"Unit Price"']),
        ("selec", "", ["select"]),
        ("How many ord", "", ["order", "orders", '"Order Lines"']),
        ("SEL", "", ["SELECT"]),
        ("SELECT * FROM OR", "", ["orders", '"Order Lines"']),
        ("select pl", "", ["placed_at"]),
        ("select num", "", ["number"]),
        ("select ", "", ["id", "status", "placed_at", "order_id", '"Unit Price"', "number", "state"]),
        ("select id, status from orders where pl", "", ["placed_at"]),
        ("select ", " from orders o", ["id", "status", "placed_at", "o"]),
        ("select * from orders, sa", "", ["sales.invoices", "sales"]),
        ("select * from orders o join lines l on o.i", "", ["id"]),
        (
            'select * from orders o join "Order Lines" l on ',
            "",
            ["l.order_id = o.id", "id", "status", "placed_at", "order_id", '"Unit Price"', "o", "l"],
        ),
        ("select * from orders a join orders b on true where pl", "", ["a.placed_at", "b.placed_at"]),
        ("select * from inv", "", ["sales.invoices"]),
        (r"\d", "", [r"\dt", r"\d"]),
        (r"\d or", "", ["orders", '"Order Lines"']),
        (r"\d sales.i", "", ["invoices"]),
        (r"\c s", "", ["shop", "sales"]),
        (r"\dv ", "", []),
        ("select * from orders where ", "", ["id", "status", "placed_at"]),
        ("select * from orders where id ", "", []),
    ],
)
def test_the_text_before_the_cursor_decides(before: str, after: str, expected: list[str]) -> None:
    assert offered(before, after) == expected


def test_a_column_of_the_statement_comes_before_keywords() -> None:
    assert offered("select * from orders group by s")[0] == "status"


def test_without_a_catalog_keywords_and_commands_remain() -> None:
    assert offered("selec", catalog=None) == ["select"]
    assert offered(r"\cs", catalog=None) == [r"\csv"]
    assert offered("select * from o", catalog=None) == []


def test_only_the_word_at_the_cursor_is_replaced() -> None:
    (found,) = complete("select o.st", " from orders o", CATALOG)

    assert (found.text, found.replaces, found.meaning) == ("status", 2, "integer")
