"""Positions in a JSON text, and of errors in it."""

import json

import pytest

from pgmcp.cli.install.jsonc import parse


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "[]",
        ' { "a" : [ 1 , -2.5e+3 , true , false , null , "x" ] , "b" : { } } ',
        r'{"\u00e9\"\\\n": "\ud83d\ude00 ü /* no comment */ // nor this"}',
        '{"a": {"b": [[], [{}]]}}',
        '{"twice": 1, "twice": 2}',
        "\r\n\t[0]\r\n",
    ],
)
def test_a_json_text_has_the_value_that_the_json_module_reads(text: str) -> None:
    assert parse(text, takes_comments=False).value == json.loads(text)
    assert parse(text, takes_comments=True).value == json.loads(text)


def test_comments_and_trailing_commas_are_skipped_where_the_host_accepts_them() -> None:
    text = '// top\n{ /* a */ "a": [1, 2, /* x, ] } */ ], // end\n "b": "//", }\n// last'

    assert parse(text, takes_comments=True).value == {"a": [1, 2], "b": "//"}


def test_a_byte_order_mark_is_skipped() -> None:
    assert parse("\ufeff{}", takes_comments=False).value == {}


def test_the_offsets_of_a_member_are_those_of_its_text() -> None:
    text = '{"a": 1, "b": {"c": "x"}}'

    member = parse(text, takes_comments=False).member("b")

    assert member is not None
    assert text[member.start : member.value.end] == '"b": {"c": "x"}'


def test_the_last_of_two_equal_keys_counts() -> None:
    member = parse('{"a": 1, "a": 2}', takes_comments=False).member("a")

    assert member is not None
    assert member.value.value == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1, column 1: expected a value, but the file ends"),
        ('{\n  "a": 1\n  "b": 2\n}', "line 3, column 3: expected ',' or '}'"),
        ('{"a" 1}', "line 1, column 6: expected ':'"),
        ("{a: 1}", "line 1, column 2: expected a key in quotation marks"),
        ('{"a": "x}', "line 1, column 7: expected a text that ends in a quotation mark"),
        ('{"a": "x\ny"}', "line 1, column 7: expected a text that ends in a quotation mark"),
        ('{"a": nil}', "line 1, column 7: expected a value"),
        ('{"a": 01}', "line 1, column 8: expected ',' or '}'"),
        ('{"a": [1, 2,]}', "line 1, column 12: expected no comma before ']'"),
        ('{"a": 1,}', "line 1, column 8: expected no comma before '}'"),
        ("{} {}", "line 1, column 4: expected the end of the file"),
        ('{"a": 1', "line 1, column 8: expected ',' or '}', but the file ends"),
        (
            '{\n  // mine\n  "a": 1}',
            "line 2, column 3: expected a key in quotation marks, but this host does not allow comments",
        ),
    ],
)
def test_an_error_has_its_line_and_column(text: str, message: str) -> None:
    with pytest.raises(ValueError, match="line") as refusal:
        parse(text, takes_comments=False)

    assert str(refusal.value) == message


def test_a_comment_without_an_end_is_an_error() -> None:
    with pytest.raises(ValueError, match="line 1, column 2: expected a key"):
        parse("{/* open }", takes_comments=True)


def test_an_error_contains_nothing_of_the_text() -> None:
    with pytest.raises(ValueError, match="column") as refusal:
        parse('{"PASSWORD": Quagga-1}', takes_comments=False)

    assert "Quagga" not in str(refusal.value)


def test_a_text_that_nests_too_deeply_is_an_error() -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        parse("[" * 100_000, takes_comments=False)


def test_a_long_text_without_an_end_is_refused_without_backtracking() -> None:
    with pytest.raises(ValueError, match="quotation mark"):
        parse('"' + "a" * 1_000_000, takes_comments=True)
