import pytest

from pgmcp.catalog.known_values import listed_values, looks_like_key, read_range


@pytest.mark.parametrize(
    ("bounds", "found"),
    [
        (["9", "10", "-1.50"], ("-1.5", "10")),
        (["100.00", "0.00"], ("0", "100")),
        (["2024-02-01", "2023-12-31"], ("2023-12-31", "2024-02-01")),
        (["2024-02-01 10:00:00+01", "2024-02-03 00:00:00.5+01"], ("2024-02-01", "2024-02-03")),
        (["7", ""], ("7", "7")),
        ([], None),
        (["infinity", "2024-02-01"], None),
        (["0044-03-15 00:00:00 BC", "2024-02-01 00:00:00"], None),
        (["0044-03-15 00:00:00+00 BC", "2024-02-01 00:00:00+00"], None),
        (["0044-03-15 BC"], None),
        (["NaN", "1"], None),
        (["1e+300", "1"], None),
        (["12345678901234567890"], None),
        (["'; drop table x; --"], None),
    ],
)
def test_a_range_is_read_from_bounds_that_are_dates_or_plain_numbers(
    bounds: list[str], found: tuple[str, str] | None
) -> None:
    assert read_range(bounds) == found


@pytest.mark.parametrize("name", ["id", "customer_id", "customerId", "invoice_no", "zip_code"])
def test_key_columns_are_recognised_by_their_names(name: str) -> None:
    assert looks_like_key(name)


@pytest.mark.parametrize("name", ["paid", "price", "", "no_of_seats"])
def test_columns_with_other_names_are_not_taken_for_keys(name: str) -> None:
    assert not looks_like_key(name)


@pytest.mark.parametrize(
    "definition",
    [
        "CHECK ((state = ANY (ARRAY['open'::text, 'it''s done'::text])))",
        "CHECK (((a)::text = ANY ((ARRAY['open'::varchar(9), 'it''s done'::character varying])::text[])))",
        "CHECK (((a)::text = ANY (ARRAY[('open'::character varying)::text, ('it''s done'::bpchar)::text])))",
        """CHECK (("St""ate" = ANY (ARRAY['open'::text, 'it''s done'::text])))""",
    ],
)
def test_a_list_of_texts_is_read_with_every_cast_postgresql_writes(definition: str) -> None:
    assert listed_values(definition) == ("open", "it's done")


@pytest.mark.parametrize(
    "definition",
    [
        "CHECK ((quantity > 0))",
        "CHECK ((level = ANY (ARRAY[1, 2])))",
        "CHECK (((a = ANY (ARRAY['x'::text, 'y'::text])) OR (length(a) > 5)))",
        "CHECK ((a <> ALL (ARRAY['x'::text, 'y'::text])))",
        "CHECK ((lower(a) = ANY (ARRAY['x'::text])))",
        r"CHECK ((a = ANY (ARRAY[E'x\\y'::text])))",
        "CHECK ((a = ANY (ARRAY['x'::text, 'cut sho",
        "CHECK ((a = ANY (ARRAY['" + "''" * 450,
        "",
    ],
)
def test_a_check_of_another_form_gives_no_list_of_values(definition: str) -> None:
    assert listed_values(definition) == ()
