import json

import pytest

from pgmcp.catalog.assembly import Assembly
from pgmcp.catalog.catalog import Catalog, ForeignKey
from pgmcp.catalog.rows import Row, Types, decode_cut_array, decode_ids
from pgmcp.catalog.scope import CatalogScope

SESSION: Row = ["18.1 (Packager 7)", "Europe/Berlin", "shop", '["public", "pg_temp_3"]']
BIGINT, TEXT, MOOD, PRICE = 20, 25, 90_001, 90_002
ORDERS: Row = [1, "public", "orders", "r", "", 10, None]
BUYERS: Row = [2, "public", "buyers", "r", "", None, None]


def column(number: int, name: str, type_id: int = BIGINT) -> list[object]:
    type_name = {BIGINT: "bigint", TEXT: "text", MOOD: "mood", PRICE: "price"}[type_id]
    return [number, name, type_name, type_id, type_id == TEXT, True, None, "", "", ""]


def assemble(
    *relations: Row,
    columns: dict[int, list[list[object]]],
    constraints: dict[int, list[list[object]]] | None = None,
    statistics: dict[int, list[list[object]]] | None = None,
    scope: CatalogScope | None = None,
    old: Catalog | None = None,
) -> Catalog:
    types = Types([[MOOD, 0, '["calm", "cross"]']], [[PRICE, TEXT, "text"]])
    assembly = Assembly(relations, types, scope or CatalogScope(), old)
    assembly.add_columns(rows(columns), rows(statistics or {}))
    assembly.add_tables(relations, rows(constraints or {}), [])
    return assembly.catalog(SESSION)


def rows(parts_by_id: dict[int, list[list[object]]]) -> list[Row]:
    return [[id_, json.dumps(parts)] for id_, parts in parts_by_id.items()]


def test_the_session_is_described_without_the_packagers_suffix_and_temporary_schemas() -> None:
    catalog = assemble(columns={})

    assert catalog.database == "shop"
    assert (catalog.server_version, catalog.time_zone) == ("18.1", "Europe/Berlin")
    assert catalog.search_path == ("public",)


def test_a_relation_dropped_between_two_statements_is_left_out() -> None:
    catalog = assemble(ORDERS, BUYERS, columns={2: [column(1, "id")], 3: [column(1, "id")]})

    assert [table.name for table in catalog.tables] == ["buyers"]


def test_a_key_of_columns_that_are_not_readable_is_left_out() -> None:
    references: list[list[object]] = [
        ["f", [2], 2, [1], None, False, True, True, False],
        ["f", [3], 2, [1], None, False, True, True, False],
        ["u", [3], 0, [], None, False, True, True, False],
    ]
    catalog = assemble(
        ORDERS,
        BUYERS,
        columns={1: [column(1, "id"), column(2, "buyer_id")], 2: [column(1, "id")]},
        constraints={1: references},
    )

    orders = catalog.find("orders")
    assert orders is not None
    assert orders.foreign_keys == (ForeignKey(("buyer_id",), "public", "buyers", ("id",)),)
    assert orders.unique_constraints == ()


def test_types_of_domains_and_enums_are_shown_with_base_type_and_labels() -> None:
    catalog = assemble(ORDERS, columns={1: [column(1, "mood", MOOD), column(2, "price", PRICE)]})

    mood, price = catalog.tables[0].columns
    assert mood.enum_labels == ("calm", "cross")
    assert (price.type, price.is_text) == ("price (text)", True)


def test_statistics_give_values_of_texts_and_ranges_of_numbers_and_dates() -> None:
    catalog = assemble(
        ORDERS,
        columns={1: [column(1, "state", TEXT), column(2, "seats"), column(3, "seat_no")]},
        statistics={1: [[1, ["open", "shut"], None], [2, None, ["7", "2", None]], [3, None, ["1", "9"]]]},
    )

    state, seats, seat_number = catalog.tables[0].columns
    assert state.values == ("open", "shut")
    assert seats.value_range == ("2", "7")
    assert seat_number.value_range is None


@pytest.mark.parametrize(
    ("scope", "values"),
    [
        (CatalogScope(), ("in", "out")),
        (CatalogScope(with_values=False), ("in", "out")),
        (CatalogScope(hidden_values=("orders.state",)), ()),
    ],
)
def test_a_check_lists_values_unless_the_column_is_hidden(
    scope: CatalogScope, values: tuple[str, ...]
) -> None:
    check = "CHECK ((state = ANY (ARRAY['in'::text, 'out'::text])))"
    catalog = assemble(
        ORDERS,
        columns={1: [column(1, "state", TEXT)]},
        constraints={1: [["c", [1], 0, [], check, False, True, True, False]]},
        scope=scope,
    )

    (table,) = catalog.tables
    assert table.columns[0].values == values
    assert table.check_constraints == ((check,) if values else ())


def test_unchanged_tables_are_taken_from_the_old_catalog() -> None:
    columns = {1: [column(1, "id")], 2: [column(1, "id"), column(2, "name", TEXT)]}
    old = assemble(ORDERS, BUYERS, columns=columns)

    same = assemble(ORDERS, BUYERS, columns=columns, old=old)
    new = assemble([*ORDERS[:5], 11, None], BUYERS, columns=columns, old=old)

    assert same is old
    assert new.find("buyers") is old.find("buyers")
    assert new.find("orders") != old.find("orders")
    assert new.tables[1].columns[0] is old.tables[1].columns[0]


@pytest.mark.parametrize("text", ["[1,2,34…", "[1,2,…"])
def test_the_complete_numbers_of_a_cut_array_are_kept(text: str) -> None:
    assert decode_cut_array(decode_ids, text, ",") == ([1, 2], True)
