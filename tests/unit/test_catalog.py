import pytest

from pgmcp.catalog.catalog import Catalog, Column, Table, TableKind
from pgmcp.catalog.identifiers import parse_name, split_words


def table(name: str, schema: str = "public") -> Table:
    return Table(schema, name, TableKind.TABLE, "", (Column("id", "integer", nullable=False),))


def catalog(*tables: Table, search_path: tuple[str, ...] = ("public",)) -> Catalog:
    return Catalog(tables, search_path, "18.1")


def test_an_unqualified_name_is_found_in_the_first_schema_of_the_search_path_that_has_it() -> None:
    shop = catalog(table("orders", "public"), table("orders", "sales"), search_path=("sales", "public"))

    found = shop.find("orders")

    assert found is not None
    assert found.schema == "sales"


def test_an_unqualified_name_outside_the_search_path_is_not_found() -> None:
    assert catalog(table("orders", "sales")).find("orders") is None


@pytest.mark.parametrize("name", ["sales.orders", "SALES.Orders", '"sales"."orders"', "sales.ORDERS"])
def test_a_qualified_name_is_found_in_any_schema_and_in_any_case(name: str) -> None:
    orders = table("orders", "sales")

    assert catalog(orders).find(name) is orders


def test_the_exact_spelling_wins_over_one_that_differs_in_case() -> None:
    exact, folded = table("Orders"), table("orders")

    assert catalog(exact, folded).find("Orders") is exact


def test_a_spelling_that_differs_only_in_case_from_several_tables_is_ambiguous() -> None:
    assert catalog(table("Orders"), table("orders")).find("ORDERS") is None


@pytest.mark.parametrize("name", ["", ".", "a.b.c", '"', "public."])
def test_a_text_that_is_not_a_name_is_not_found(name: str) -> None:
    assert catalog(table("orders")).find(name) is None


def test_the_most_similar_names_are_found_for_a_misspelt_name() -> None:
    shop = catalog(table("orders"), table("order_items"), table("customers"))

    assert [near.name for near in shop.nearest("ordrs")] == ["orders", "order_items"]


def test_a_name_in_the_wrong_schema_is_nearest_to_the_same_name_in_the_right_one() -> None:
    shop = catalog(table("orders", "sales"), table("borders", "sales"))

    assert shop.nearest("public.orders")[0].name == "orders"


def test_no_similar_name_is_found_for_an_unknown_name() -> None:
    assert catalog(table("orders")).nearest("zygote") == []


def test_a_display_name_leaves_out_a_schema_the_search_path_finds() -> None:
    orders, elsewhere = table("orders"), table("orders", "sales")
    shop = catalog(orders, elsewhere)

    assert [shop.display_name(orders), shop.display_name(elsewhere)] == ["orders", "sales.orders"]


def test_a_display_name_keeps_the_schema_when_two_schemas_on_the_search_path_have_the_table() -> None:
    first, second = table("orders"), table("orders", "sales")
    shop = catalog(first, second, search_path=("public", "sales"))

    assert [shop.display_name(first), shop.display_name(second)] == ["public.orders", "sales.orders"]


def test_dots_within_quotes_do_not_separate_schema_and_table() -> None:
    assert parse_name('sales."a.b"') == ("sales", "a.b")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("order_items", ["order", "items"]),
        ("sbTxCustId", ["sb", "tx", "cust", "id"]),
        ("HTTPServer2", ["http", "server", "2"]),
        ("größe_cm", ["größe", "cm"]),
        ("total-revenue (EUR)", ["total", "revenue", "eur"]),
    ],
)
def test_a_name_is_split_at_underscores_case_changes_and_digits(name: str, words: list[str]) -> None:
    assert split_words(name) == words
