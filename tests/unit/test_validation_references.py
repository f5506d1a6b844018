import pytest

from pgmcp.validation.references import References, TextComparison, find_references


@pytest.mark.parametrize(
    ("condition", "comparisons"),
    [
        ("status = 'open'", [TextComparison("", "status", "open")]),
        ("'open' = o.status", [TextComparison("o", "status", "open")]),
        ("sales.orders.status = 'open'", [TextComparison("orders", "status", "open")]),
        ("status::text = 'open'::text", [TextComparison("", "status", "open")]),
        ("lower(status) = lower('Open')", [TextComparison("", "status", "open", case_function="lower")]),
        (
            "upper(btrim(status)) = 'Open'",
            [TextComparison("", "status", "Open", case_function="upper", is_computed=True)],
        ),
        ("status IN ('a', 'b')", [TextComparison("", "status", "a"), TextComparison("", "status", "b")]),
        ("status = ANY (ARRAY['a', 'b'])", [TextComparison("", "status", t) for t in "ab"]),
        ("name LIKE '%mith%'", [TextComparison("", "name", "mith", is_pattern=True)]),
        ("name ILIKE 'smith%'", [TextComparison("", "name", "smith", is_pattern=True, ignores_case=True)]),
        ("status <> 'open'", []),
        ("name NOT LIKE 'a%'", []),
        ("status > 'open'", []),
        ("price = 3", []),
        ("left(status, 1) = 'o'", []),
        ("status = other", []),
    ],
)
def test_texts_that_columns_are_compared_with_are_found(
    condition: str, comparisons: list[TextComparison]
) -> None:
    references = find_references(f"SELECT 1 FROM sales.orders AS o WHERE {condition}")

    assert references.comparisons == tuple(comparisons)


@pytest.mark.parametrize(
    ("condition", "alone"),
    [
        ("o.\"Status\" = 'it''s'", "t.\"Status\" = 'it''s'"),
        ("lower(trim(o.status)) = 'open'", '"lower"("pg_catalog"."btrim"(t."status")) = \'open\''),
        ("replace(status, ' ', '') IN ('a')", "\"replace\"(t.\"status\", ' ', '') = 'a'"),
        ("status::citext = 'a'", 'CAST(t."status" AS "citext") = \'a\''),
        ("status ILIKE '%a_b%'", "t.\"status\" ILIKE '%a_b%'"),
    ],
)
def test_a_comparison_can_be_asked_by_itself(condition: str, alone: str) -> None:
    (comparison,) = find_references(f"SELECT 1 FROM orders AS o WHERE {condition}").comparisons

    assert comparison.condition == alone


def test_comparisons_are_found_below_the_top() -> None:
    references = find_references(
        "WITH x AS (SELECT count(*) FILTER (WHERE a = 'b') FROM t) "
        "SELECT * FROM x JOIN u ON u.c = 'd' WHERE EXISTS (SELECT FROM v WHERE e = 'f')"
    )

    assert {found.text for found in references.comparisons} == {"b", "d", "f"}


def test_relations_are_found_under_their_aliases() -> None:
    references = find_references("SELECT 1 FROM sales.orders o JOIN items ON true, (SELECT 1 FROM x y) z")

    assert references.relations == (("o", "sales.orders"), ("items", "items"), ("y", "x"))
    assert references.relations_of("o") == ["sales.orders"]
    assert references.relations_of("") == ["sales.orders", "items", "x"]
    assert references.relations_of("z") == []


@pytest.mark.parametrize("text", ["", "SELEC 1", "SELECT '\x00'", "SHOW search_path"])
def test_a_text_that_is_not_a_query_has_no_references(text: str) -> None:
    assert find_references(text) == References()


def test_the_names_of_with_queries_are_not_relations() -> None:
    references = find_references("WITH x AS (SELECT * FROM orders) SELECT * FROM x JOIN items AS y ON true")

    assert set(references.relations) == {("orders", "orders"), ("y", "items")}
    assert references.relations_of("x") == []


def test_columns_that_are_only_selected_sorted_or_grouped_by_are_not_used() -> None:
    references = find_references(
        "SELECT a, o.b + 1, count(*) FILTER (WHERE c) FROM orders AS o JOIN items AS i USING (x) "
        "WHERE o.d IS NULL GROUP BY e, f > 2 ORDER BY g, lower(h)"
    )

    assert set(references.used_columns) == {("o", "b"), ("", "c"), ("o", "d"), ("", "f"), ("", "h")}
