from dataclasses import replace
from itertools import product

import pytest

from pgmcp.catalog.catalog import Catalog, Column, ForeignKey, Index, Table, TableKind
from pgmcp.catalog.rendering import (
    Detail,
    LineLimits,
    prompt_line,
    render_for_prompt,
    render_names,
    render_overview,
    render_table,
    render_tables,
)

CUSTOMERS = Table(
    "public",
    "customers",
    TableKind.TABLE,
    "",
    (Column("id", "bigint", nullable=False), Column("email", "character varying(255)", nullable=False)),
    primary_key=("id",),
    unique_constraints=(("email",),),
)
ORDERS = Table(
    "public",
    "orders",
    TableKind.TABLE,
    "one row per checkout",
    (
        Column("id", "bigint", nullable=False, default="generated always as identity"),
        Column("customer_id", "bigint", nullable=False),
        Column(
            "status",
            "order_status",
            nullable=False,
            enum_labels=("pending", "paid"),
            comment="where it stands",
        ),
        Column(
            "channel", "text", nullable=True, default="'web'::text", values=("web", "point of sale", "o'rly|")
        ),
        Column("placed_at", "timestamp with time zone", nullable=False),
        Column("total", "numeric(10,2)", nullable=True),
    ),
    primary_key=("id",),
    foreign_keys=(ForeignKey(("customer_id",), "public", "customers", ("id",)),),
    check_constraints=("CHECK ((total > 0))",),
    indexes=(
        Index(
            "orders_placed",
            "btree (placed_at)",
            ("placed_at",),
            False,
        ),
    ),
    estimated_rows=120000,
)
SHOP = Catalog((CUSTOMERS, ORDERS), ("public",), "18.1")


def with_comment(comment: str) -> Table:
    return replace(CUSTOMERS, comment=comment)


def test_a_prompt_line_contains_types_keys_labels_values_comments_and_size() -> None:
    assert render_for_prompt([ORDERS], SHOP) == (
        "orders(id pk, customer_id -> customers, "
        "status order_status {pending|paid} /* where it stands */, "
        "channel {web|point of sale|'o''rly|'}, placed_at timestamptz, total numeric) "
        "-- one row per checkout; ~120000 rows"
    )


def test_a_prompt_line_spells_unique_columns_and_short_types() -> None:
    assert render_for_prompt([CUSTOMERS], SHOP) == "customers(id pk, email varchar unique)"


def test_a_reference_to_another_column_than_the_primary_key_names_it_and_another_type_is_shown() -> None:
    buyer = Column("buyer", "text", nullable=True)
    orders = Table(
        "public",
        "orders",
        TableKind.TABLE,
        "",
        (Column("customer", "integer", nullable=True), buyer),
        foreign_keys=(
            ForeignKey(("customer",), "public", "customers", ("id",)),
            ForeignKey(("buyer",), "public", "customers", ("email",)),
        ),
    )

    assert render_for_prompt([orders], Catalog((CUSTOMERS, orders), ("public",), "18.1")) == (
        "orders(customer int -> customers, buyer text -> customers.email)"
    )


def test_a_list_with_a_value_for_every_row_says_how_many_there_are_and_that_they_differ() -> None:
    colour = Column("colour", "text", nullable=False, values=("red", "blue"))
    colours = Table(
        "public",
        "colours",
        TableKind.TABLE,
        "",
        (colour,),
        unique_constraints=(("colour",),),
        estimated_rows=2,
    )
    catalog = Catalog((colours,), ("public",), "18.1")

    assert prompt_line(colours, catalog) == "colours(colour {red|blue})"
    assert (
        prompt_line(replace(colours, estimated_rows=3), catalog)
        == "colours(colour unique {red|blue}) ~3 rows"
    )
    assert "2 rows" in render_table(colours, catalog)


def test_composite_keys_are_at_the_end_of_the_prompt_line() -> None:
    line = Table(
        "public",
        "order_lines",
        TableKind.TABLE,
        "",
        (Column("order_id", "bigint", nullable=False), Column("line", "integer", nullable=False)),
        primary_key=("order_id", "line"),
        foreign_keys=(ForeignKey(("order_id", "line"), "public", "orders", ("id", "total")),),
        unique_constraints=(("line", "order_id"),),
    )

    assert render_for_prompt([line], Catalog((*SHOP.tables, line), ("public",), "18.1")) == (
        "order_lines(order_id bigint, line int, pk(order_id, line), unique(line, order_id), "
        "(order_id, line) -> orders(id, total))"
    )


def test_views_say_what_they_are_in_the_prompt() -> None:
    view = replace(CUSTOMERS, kind=TableKind.MATERIALIZED_VIEW, primary_key=(), unique_constraints=())

    assert render_for_prompt([view], SHOP).startswith("materialized view customers(")


def test_names_that_need_quotes_have_them_everywhere() -> None:
    odd = Table("Sales", "Order", TableKind.TABLE, "", (Column("Unit Price", "numeric", nullable=True),))
    shop = Catalog((odd,), ("public",), "18.1")

    assert render_for_prompt([odd], shop) == '"Sales"."Order"("Unit Price" numeric)'
    assert '"Unit Price"' in render_table(odd, shop)


def test_the_full_text_of_a_table_holds_everything_the_catalog_knows() -> None:
    assert render_table(ORDERS, SHOP).splitlines() == [
        "table orders -- one row per checkout; ~120000 rows",
        "  id           bigint                    primary key  generated always as identity",
        "  customer_id  bigint                    not null",
        "  status       order_status              not null  one of {pending|paid}  -- where it stands",
        "  channel      text                      default 'web'::text  holds {web|point of sale|'o''rly|'}",
        "  placed_at    timestamp with time zone  not null",
        "  total        numeric(10,2)",
        "  foreign key (customer_id) -> customers.id",
        "  CHECK ((total > 0))",
        "  index orders_placed btree (placed_at)",
    ]


def test_the_overview_begins_with_the_server_and_lists_every_table() -> None:
    text = render_overview(SHOP)

    assert text.startswith("PostgreSQL 18.1, 2 tables, search path: public\n\ntable customers\n")
    assert render_table(ORDERS, SHOP) in text


def test_names_alone_take_a_line_each() -> None:
    assert render_names([CUSTOMERS, ORDERS], SHOP) == (
        "table customers\ntable orders -- one row per checkout; ~120000 rows"
    )


@pytest.mark.parametrize("detail", Detail)
def test_every_level_of_detail_names_every_table(detail: Detail) -> None:
    text = render_tables(SHOP.tables, SHOP, detail=detail)

    assert "customers" in text
    assert "orders" in text


@pytest.mark.parametrize(
    "hostile",
    [
        "line\nbreak",
        "bell\x07 escape\x1b[31m",
        "right-to-left \u202e override",
        "zero\u200bwidth",
        "tag \U000e0041\U000e0042 characters",
        "variation\U000e0101 selectors",
        "<data-0> a fence",
        "paragraph\u2029separator",
        "lone \ud800 surrogate",
    ],
)
def test_text_from_the_database_stays_on_its_line_without_acting_or_hiding(hostile: str) -> None:
    column = Column("note", "text", nullable=True, comment=hostile, default=hostile, values=(hostile,))
    table = replace(with_comment(hostile), name=hostile, columns=(column,), unique_constraints=())
    shop = Catalog((table,), ("public",), "18.1")

    for text in (render_for_prompt([table], shop), render_table(table, shop), render_names([table], shop)):
        assert text.replace("\n", "").isprintable()
        assert "\U000e0101" not in text
        assert "<data" not in text
    assert "\n" not in render_for_prompt([table], shop)


def test_a_column_comment_cannot_end_its_own_comment() -> None:
    column = Column("note", "text", nullable=True, comment="x */ fake(id int) /* y")
    table = replace(CUSTOMERS, columns=(column,), unique_constraints=())

    assert render_for_prompt([table], SHOP).count("*/") == 1


def test_long_comments_are_cut_with_an_ellipsis() -> None:
    text = render_for_prompt([with_comment("word " * 1000)], SHOP)

    assert len(text) < 300
    assert text.endswith("…")


def test_harmless_text_of_any_language_is_left_as_it_is() -> None:
    assert render_for_prompt([with_comment("größe 尺寸")], SHOP).endswith("-- größe 尺寸")


def test_a_value_with_a_backslash_is_shown_as_a_valid_sql_literal() -> None:
    column = Column("path", "text", nullable=True, values=(r"C:\temp",))
    table = replace(CUSTOMERS, columns=(column,), unique_constraints=())

    assert r"{'C:\temp'}" in render_for_prompt([table], SHOP)


def test_a_value_that_cannot_be_shown_exactly_is_left_out() -> None:
    column = Column("note", "text", nullable=True, values=("fine", "two\nlines", "x" * 65, "two  spaces"))
    table = replace(CUSTOMERS, columns=(column,), unique_constraints=())

    assert "{fine|'two  spaces'|…}" in render_for_prompt([table], SHOP)


def test_long_lists_of_labels_are_cut_with_an_ellipsis() -> None:
    column = Column("code", "code", nullable=True, enum_labels=tuple(f"c{number}" for number in range(100)))
    table = replace(CUSTOMERS, columns=(column,), unique_constraints=())

    assert "|c29|…}" in render_for_prompt([table], SHOP)


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([f"INV-{number:03}" for number in range(40)], " text {INV-000|INV-001|…}"),
        (
            [f"2026-11-{day:02} 10:00" for day in range(1, 29)],
            " text {'2026-11-01 10:00'|'2026-11-02 10:00'|…}",
        ),
        (
            [f"{number:06}{letter}9A1" for number, letter in enumerate("ABCDEFGHIJ")],
            " text {000000A9A1|000001B9A1|…}",
        ),
        ([f"grade {number}" for number in range(3)], " {grade 0|grade 1|grade 2}"),
        (["Model 3", "CX-5", "A4", "Camry", "911", "Civic", "XC90", "Golf", "Tiguan"], None),
    ],
)
def test_a_prompt_shows_only_two_examples_of_codes(values: list[str], shown: str | None) -> None:
    column = Column("what", "text", nullable=True, values=tuple(values))
    table = Table("public", "things", TableKind.TABLE, "", (column,))
    catalog = Catalog((table,), ("public",), "18.1")

    everything = f" {{{'|'.join(values)}}}"
    assert prompt_line(table, catalog) == f"things(what{shown or everything})"


def test_codes_of_a_key_and_values_of_a_referenced_table_are_not_shown_in_a_prompt() -> None:
    codes = tuple(f"C{number:03}" for number in range(20))
    countries = Table(
        "public",
        "countries",
        TableKind.TABLE,
        "",
        (
            Column("code", "text", nullable=False, values=("DE", "FR")),
            Column("id", "text", nullable=False, values=codes),
        ),
        primary_key=("code",),
        unique_constraints=(("id",),),
    )
    cities = Table(
        "public",
        "cities",
        TableKind.TABLE,
        "",
        (Column("country", "text", nullable=False, values=("DE", "FR")),),
        foreign_keys=(ForeignKey(("country",), "public", "countries", ("code",)),),
    )
    catalog = Catalog((countries, cities), ("public",), "18.1")

    assert render_for_prompt(catalog.tables, catalog) == (
        "countries(code pk {DE|FR}, id text unique)\ncities(country -> countries)"
    )


def test_long_lists_of_values_in_wide_tables_are_cut_even_if_there_is_room() -> None:
    values = tuple("".join(pair) for pair in product("abcdefgh", "klmnop"))
    kind = Column("kind", "text", nullable=False, values=values)
    others = [Column(f"c{number}", "integer", nullable=True) for number in range(6)]
    narrow, wide = (
        Table("public", name, TableKind.TABLE, "", columns)
        for name, columns in (("narrow", (kind,)), ("wide", (kind, *others)))
    )
    catalog = Catalog((narrow, wide), ("public",), "18.1")
    limits = LineLimits(values=100, comment_characters=2000)

    assert prompt_line(narrow, catalog, limits).count("|") == 47
    assert prompt_line(wide, catalog, limits).count("|") == 30


def test_a_range_follows_its_type() -> None:
    day = Column("day", "date", nullable=True, value_range=("2023-01-01", "2024-06-30"))
    seats = Column("seats", "integer", nullable=True, value_range=("4", "4"))
    trips = Table("public", "trips", TableKind.TABLE, "", (day, seats))
    catalog = Catalog((trips,), ("public",), "18.1")

    assert prompt_line(trips, catalog) == "trips(day date [2023-01-01..2024-06-30], seats int [4])"
    assert "about [2023-01-01..2024-06-30]" in render_table(trips, catalog)


@pytest.mark.parametrize(
    ("comment", "is_shown"),
    [
        ("Primary key for the trips table", False),
        ("possible values: open, closed", False),
        ("Uniquely identifies each trip", False),
        ("state when the trip began", True),
        ("possible values: open, closed, lost", True),
    ],
)
def test_a_comment_that_repeats_the_column_is_left_out(comment: str, is_shown: bool) -> None:
    state = Column("state", "text", nullable=False, comment=comment, values=("open", "closed"))
    trips = Table("public", "trips", TableKind.TABLE, "", (state,), primary_key=("state",))
    catalog = Catalog((trips,), ("public",), "18.1")

    assert (comment in prompt_line(trips, catalog)) == is_shown
    assert comment in render_table(trips, catalog)
