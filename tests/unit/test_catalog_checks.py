import pytest

from pgmcp.catalog.checks import listed_values


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
def test_any_other_check_lists_nothing(definition: str) -> None:
    assert listed_values(definition) == ()
