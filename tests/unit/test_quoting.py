import pytest

from pgmcp.catalog.identifiers import parse_name
from pgmcp.quoting import qualify, quote_array, quote_identifier, quote_literal


@pytest.mark.parametrize(
    ("name", "quoted"),
    [
        ("orders", "orders"),
        ("Orders", '"Orders"'),
        ("order", '"order"'),
        ("user", '"user"'),
        ("two words", '"two words"'),
        ('a"b', '"a""b"'),
        ("größe", '"größe"'),
        ("2023", '"2023"'),
    ],
)
def test_an_identifier_is_quoted_only_if_sql_requires_it(name: str, quoted: str) -> None:
    assert quote_identifier(name) == quoted
    assert parse_name(quoted) == (name,)


@pytest.mark.parametrize(
    ("text", "literal"),
    [("a", "'a'"), ("", "''"), ("O'Brien", "'O''Brien'"), ("\\'; --", "E'\\\\''; --'"), ("é", "'é'")],
)
def test_a_literal_means_the_same_whether_backslashes_are_escapes_or_not(text: str, literal: str) -> None:
    assert quote_literal(text) == literal


def test_a_qualified_name_and_an_array_quote_each_part() -> None:
    assert qualify("my schema", 'a"b') == '"my schema"."a""b"'
    assert quote_array(["a", "b'c"]) == "ARRAY['a', 'b''c']"
