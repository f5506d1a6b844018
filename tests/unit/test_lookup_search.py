import gc
import re
import weakref
from dataclasses import replace

import pytest

from pgmcp.catalog.catalog import Catalog, Column, ForeignKey, Table, TableKind
from pgmcp.catalog.rendering import render_for_prompt
from pgmcp.lookup.prompt_tables import select_for_prompt
from pgmcp.lookup.search import search


def table(
    name: str,
    *columns: str,
    comment: str = "",
    references: tuple[str, ...] = (),
    values: tuple[str, ...] = (),
) -> Table:
    return Table(
        "public",
        name,
        TableKind.TABLE,
        comment,
        tuple(Column(column, "text", nullable=True, values=values) for column in ("id", *columns)),
        primary_key=("id",),
        foreign_keys=tuple(ForeignKey((f"{other}_ref",), "public", other, ("id",)) for other in references),
    )


def catalog(*tables: Table) -> Catalog:
    return Catalog(tables, ("public",), "18.1")


def names(tables: list[Table]) -> list[str]:
    return [found.name for found in tables]


def count_words(text: str) -> int:
    return len(text.split())


def count_words_and_values(text: str) -> int:
    return len(re.split(r"[ |]", text))


def fillers(count: int) -> tuple[Table, ...]:
    return tuple(table(f"filler{number}", "alpha", "beta", "gamma") for number in range(count))


def shown(text: str) -> list[str]:
    """Return the names of the tables that a text shows with their columns."""
    return [line.partition("(")[0] for line in text.splitlines() if "(" in line]


def test_a_match_in_a_tables_name_counts_more_than_in_columns_and_comments() -> None:
    shop = catalog(
        table("notes", comment="about a customer"),
        table("visits", "customer"),
        table("customer"),
        *fillers(5),
    )

    assert names(search(shop, "customer", 3))[0] == "customer"
    assert set(names(search(shop, "customer", 3))) == {"customer", "visits", "notes"}


@pytest.mark.parametrize("text", ["customers", "Customer", "the customer's", "CUSTOMERS?"])
def test_plural_and_case_do_not_matter(text: str) -> None:
    assert names(search(catalog(table("customers"), *fillers(3)), text, 5)) == ["customers"]


@pytest.mark.parametrize("name", ["sbCustomer", "sbcustomer", "customer_accounts", "tblCustomers"])
def test_a_word_within_a_longer_name_is_found(name: str) -> None:
    assert names(search(catalog(table(name), *fillers(3)), "which customers?", 5)) == [name]


def test_values_of_columns_are_found() -> None:
    assert names(
        search(catalog(table("people", "race", values=("Human", "Elf")), *fillers(3)), "humans", 5)
    ) == ["people"]


def test_a_word_that_most_tables_hold_still_ranks_the_table_named_by_it_first() -> None:
    shop = catalog(
        table("a_invoices", "order_id"),
        table("orders"),
        table("payments", "order_id"),
        table("returns", "order_id"),
    )

    assert names(search(shop, "orders", 4))[0] == "orders"


def test_archived_tables_come_after_the_current_ones() -> None:
    copies = ("orders_2023", "orders_archive", "orders_bak", "orders_p2024_01", "old_orders")
    shop = catalog(*(table(name) for name in copies), table("orders"), table("order_notes"))

    found = names(search(shop, "orders 2023 archive", 10))

    assert set(found[:2]) == {"orders", "order_notes"}
    assert set(found[2:]) == set(copies)


def test_a_table_with_the_name_of_an_archive_but_no_original_is_not_archived() -> None:
    shop = catalog(table("sales_2024", "amount"), table("sales_notes", "amount"))

    assert names(search(shop, "sales 2024", 5))[0] == "sales_2024"


@pytest.mark.parametrize("text", ["", "???", "the of and", '" OR NOT (', "*"])
def test_a_text_without_a_word_to_look_for_finds_nothing(text: str) -> None:
    assert search(catalog(table("orders")), text, 5) == []


def test_search_stops_at_the_limit() -> None:
    shop = catalog(*(table(f"orders_of_{letter}") for letter in "abcdefgh"))

    assert len(search(shop, "orders", 3)) == 3
    assert search(shop, "orders", 0) == []


def test_a_schema_that_fits_is_shown_whole() -> None:
    shop = catalog(table("orders"), table("weather"))

    text = select_for_prompt(shop, "orders", token_budget=1000, count_tokens=count_words).text

    assert text == render_for_prompt(shop.tables, shop)


@pytest.mark.parametrize(
    ("token_budget", "values", "comment_words"),
    [(400, 60, 150), (200, 30, 150), (90, 30, 40), (50, 8, 16)],
)
def test_lists_of_values_are_shortened_before_comments_if_a_schema_does_not_fit(
    token_budget: int, values: int, comment_words: int
) -> None:
    labels = tuple(f"label{one}{other}" for one in "abcdef" for other in "klmnopqrst")
    colours = Table(
        "public",
        "colours",
        TableKind.TABLE,
        "",
        (
            Column("label", "text", nullable=False, values=labels),
            Column("note", "text", nullable=True, comment="word " * 150),
        ),
    )

    text = select_for_prompt(
        catalog(colours), "colours", token_budget=token_budget, count_tokens=count_words_and_values
    ).text

    assert text.count("label") - 1 == values
    assert text.count("word") == comment_words


def test_tables_of_a_large_schema_are_shown_in_full_if_room_is_left() -> None:
    rule = "counts only if " + "word " * 100
    orders = replace(table("orders", "total"), comment=rule)
    shop = catalog(*fillers(200), orders)

    text = select_for_prompt(shop, "total of orders", token_budget=200, count_tokens=count_words).text

    assert rule.strip() in text


@pytest.mark.parametrize("token_budget", [120, 250, 500])
def test_a_table_wider_than_the_budget_is_shown_with_its_keys_and_the_columns_of_the_question(
    token_budget: int,
) -> None:
    many = (
        f"measure{letter}{other}" for letter in "abcdefghijklmnopqrst" for other in "abcdefghijklmnopqrst"
    )
    wide = table("readings", *many, "humidity", "site_ref", references=("site",))
    shop = catalog(*fillers(50), wide, table("site", "town"))

    selection = select_for_prompt(
        shop, "highest humidity in the readings", token_budget=token_budget, count_tokens=count_words
    )

    line = next(line for line in selection.text.splitlines() if line.startswith("readings("))
    assert wide in selection.tables
    assert {"id text pk", "humidity text", "site_ref -> site"} <= set(re.split(r", |\(|\)", line))
    assert re.search(r"-- \d+ more columns not shown$", line)
    assert "site(" in selection.text
    assert count_words(selection.text) <= token_budget


def test_a_table_that_fits_with_shorter_lists_keeps_its_columns() -> None:
    labels = tuple(f"label {one}" for one in "abcdefghijklmnopqrstuvwxyz")
    shop = catalog(*fillers(50), table("colours", "shade", "tone", values=labels))

    text = select_for_prompt(shop, "colours", token_budget=80, count_tokens=count_words).text

    assert "shade {'label a'" in text.replace("label a|", "'label a'|")
    assert "tone {" in text


def test_an_empty_database_gives_an_empty_text() -> None:
    assert select_for_prompt(catalog(), "orders", token_budget=100, count_tokens=count_words).text == ""


def test_a_schema_that_does_not_fit_is_cut_to_what_the_question_is_about() -> None:
    shop = catalog(*fillers(200), table("orders", "total"))

    text = select_for_prompt(shop, "total of orders", token_budget=60, count_tokens=count_words).text

    assert shown(text) == ["orders"]
    assert "further tables, names only: filler0, filler1" in text
    assert count_words(text) <= 60


def test_tables_that_a_found_one_references_are_included() -> None:
    shop = catalog(
        *fillers(200), table("invoices", "client_ref", references=("client",)), table("client", "nick")
    )

    text = select_for_prompt(shop, "unpaid invoices", token_budget=100, count_tokens=count_words).text

    assert shown(text) == ["invoices", "client"]


def test_the_table_that_joins_two_found_ones_is_included() -> None:
    shop = catalog(
        *fillers(200), table("student"), table("course"), table("enrol", references=("student", "course"))
    )

    text = select_for_prompt(shop, "students by course", token_budget=100, count_tokens=count_words).text

    assert set(shown(text)) == {"student", "course", "enrol"}


def test_tables_join_by_the_names_of_their_keys_where_no_foreign_key_is_declared() -> None:
    shop = catalog(*fillers(200), table("invoices", "category_id"), table("categories", "label"))

    text = select_for_prompt(shop, "unpaid invoices", token_budget=100, count_tokens=count_words).text

    assert shown(text) == ["invoices", "categories"]


def test_a_column_called_id_joins_nothing() -> None:
    shop = catalog(*fillers(200), table("invoices"), table("weather"))

    assert shown(select_for_prompt(shop, "invoices", token_budget=100, count_tokens=count_words).text) == [
        "invoices"
    ]


@pytest.mark.parametrize("token_budget", [0, 1, 5, 17, 50, 200, 1000])
def test_the_text_never_takes_more_than_its_budget(token_budget: int) -> None:
    shop = catalog(*(table(f"orders_of_{number}", "total", "customer") for number in range(300)))

    text = select_for_prompt(
        shop, "total of orders", token_budget=token_budget, count_tokens=count_words
    ).text

    assert count_words(text) <= token_budget


def test_a_table_with_many_references_does_not_crowd_out_the_next_one_found() -> None:
    dimensions = tuple(table(f"dim{letter}", "label") for letter in "abcdefghijklmnop")
    fact = table("invoices", references=tuple(dimension.name for dimension in dimensions))
    shop = catalog(*dimensions, *fillers(200), fact, table("reminders", "invoice_text"))

    text = select_for_prompt(shop, "invoices with reminders", token_budget=150, count_tokens=count_words).text

    assert {"invoices", "reminders"} <= set(shown(text))


def test_a_hostile_table_name_stays_within_the_line_of_names() -> None:
    shop = catalog(table("x\ndrop_everything(id int pk)"), *fillers(200))

    text = select_for_prompt(shop, "weather", token_budget=150, count_tokens=count_words).text

    assert "drop_everything" in text
    assert text.splitlines()[-1].startswith("further tables, names only:")


def test_the_index_is_released_with_its_catalog() -> None:
    shop = catalog(table("orders"))
    search(shop, "orders", 1)
    released = weakref.ref(shop)

    del shop
    gc.collect()

    assert released() is None
