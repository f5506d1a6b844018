"""The completions that the shell offers at the cursor."""

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
def test_completion_depends_on_the_text_before_the_cursor(
    before: str, after: str, expected: list[str]
) -> None:
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


SHOP = Catalog(
    (
        table("public", "authors", "id"),
        replace(
            table("public", "customers", "id"),
            columns=(
                Column("id", "integer", nullable=True),
                Column("mood", "mood", nullable=True, enum_labels=("calm", "it's fine", "crazy")),
                Column("status", "text", nullable=True, values=("paid", "shipped")),
                Column("shipped_at", "date", nullable=True),
                Column("moods", "mood[]", nullable=True, enum_labels=("calm",)),
            ),
        ),
        replace(
            table("public", "orders", "id", "customer_id"),
            foreign_keys=(ForeignKey(("customer_id",), "public", "customers", ("id",)),),
        ),
    ),
    ("public",),
    "18.1",
)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("select * from customers where status = 'sh", "", ["shipped'"]),
        ("select * from customers where status = 'sh", "'", ["shipped"]),
        ("select * from customers c where c.mood <> '", "", ["calm'", "it''s fine'", "crazy'"]),
        ("select * from customers where mood = 'it''", "", ["it''s fine'"]),
        ("select * from customers where status not in ('paid', 's", "", ["shipped'"]),
        ("select * from customers where shipped_at = 's", "", []),
        ("select * from customers where moods = 'c", "", []),
        ("select 'sh", " from customers", []),
        ("select * from customers where status = E'sh", "", []),
        ("select $$ sh", " from customers", []),
        ("select * from orders where status = 'sh", "", []),
    ],
)
def test_in_a_string_only_listed_values_are_offered(before: str, after: str, expected: list[str]) -> None:
    assert offered(before, after, SHOP) == expected


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ("select * from customers where status = ", ["'paid'", "'shipped'", "id"]),
        ("select * from customers where status in (", ["'paid'", "'shipped'", "id"]),
        ("select * from customers where status in ('paid', ", ["'paid'", "'shipped'", "id"]),
        ("select * from customers where status = sh", ["'shipped'", "shipped_at"]),
        ("select * from customers where mood = it", ["'it''s fine'"]),
    ],
)
def test_listed_values_come_first_after_a_comparison(before: str, expected: list[str]) -> None:
    assert offered(before, catalog=SHOP)[: len(expected)] == expected


def test_after_join_related_tables_come_first() -> None:
    assert offered("select * from customers c join ", catalog=SHOP)[0] == "orders"
    assert offered("select * from orders o left join ", catalog=SHOP)[:2] == ["customers", "authors"]


@pytest.mark.parametrize(
    ("typed", "first"),
    [("", "o.customer_id = c.id"), ("o", "o.customer_id = c.id"), ("c", "c.id = o.customer_id")],
)
@pytest.mark.parametrize("dot", ["", "."])
def test_a_join_condition_begins_with_what_was_typed(typed: str, first: str, dot: str) -> None:
    word = typed and typed + dot
    (found, *_) = complete(f"select * from customers c join orders o on {word}", "", SHOP)

    assert (found.text, found.replaces) == (first, len(word))


def test_a_quote_in_a_question_does_not_begin_a_string() -> None:
    assert offered("What's the number of ord", catalog=SHOP) == ["order", "orders"]


_RECENT = "with recent as (select id, status as state_now, count(*), o.placed_at from orders o) "


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (_RECENT + "select * from re", "", ["recent"]),
        (_RECENT + "select r.", " from recent r", ["id", "state_now", "count", "placed_at"]),
        (_RECENT + "select sta", " from recent", ["status", "state_now"]),
        (
            _RECENT + ", older (a, b) as (select * from recent) select older.",
            " from older",
            ["a", "b", "count"],
        ),
        ("with recursive t as (select * from sales.invoices) select t.", " from t", ["number", "state"]),
        ("with orders as (select 1 as One) select orders.", " from orders", ["one"]),
        ('select x."T', " from (select id, lower('(') as \"The Text\" from orders) as x", ['"The Text"']),
        ("select x.", " from (select i.* from sales.invoices i) x where true", ["number", "state"]),
        ("select x.", " from (select 1, 2) as x (one, two)", ["one", "two"]),
        ("select status from orders order b", "", ["by"]),
        ("select status from orders group ", "", ["by"]),
        ("select sum(id) over (PARTITION B", "", ["BY"]),
        ("with half as (select id from orders where st", "", ["status"]),
        (
            "with v as (values (1, (2), f(3, 4)), (5, 6, 7)) select v.",
            " from v",
            ["column1", "column2", "column3"],
        ),
        ("with v (a, b) as (values (1, 2)) select v.", " from v", ["a", "b"]),
        ("with v (a, b) as (values (1, 2)) select v.", "", ["a", "b"]),
        ("with v (a, b) as (values (1, 2)) select ", "", ["a", "b"]),
        ("with t as (table orders) select t.", " from t", ["id", "status", "placed_at"]),
        ("select x.", " from (values (1, 2)) x (one, two)", ["one", "two"]),
        ("select x.", " from (values (1, 2)) x", ["column1", "column2"]),
        ("select x.", " from (table orders) as x", ["id", "status", "placed_at"]),
        ("with p as ((select id as one from orders) union (select 2)) select p.", " from p", ["one"]),
        ("with a as (with b as (values (1)) select * from b) select a.", " from a", ["column1"]),
        ("with a as (select * from (select id as i from orders) s) select a.", " from a", ["i"]),
        (
            "with a as (select * from orders where id in (select number from sales.invoices)) select a.",
            "",
            ["id", "status", "placed_at"],
        ),
        ("select x.", " from generate_series(1, 3) as x (number)", ["number"]),
        ("select x.", " from json_to_recordset('[]') as x (one integer, \"Two\" text)", ["one", '"Two"']),
    ],
)
def test_names_and_columns_of_queries_in_with_and_from_are_completed(
    before: str, after: str, expected: list[str]
) -> None:
    assert offered(before, after)[: len(expected)] == expected


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("with t as (table orders) select t.", " from t", ["id", "status", "placed_at"]),
        ("with a as (select * from (select id as i from orders) s) select a.", " from a", ["i"]),
        ("select x.", " from generate_series(1, 3) as x (number)", ["number"]),
        ("select f.", ", count(*) as f from orders", []),
    ],
)
def test_only_the_columns_of_a_derived_table_are_offered(
    before: str, after: str, expected: list[str]
) -> None:
    assert offered(before, after) == expected
