"""CSV as in RFC 4180: Python's own reader returns the database's values."""

import csv
import io

from pgmcp.answers.csv import csv_lines
from pgmcp.execution.result import Column, JsonScalar, Rows


def written(*rows: list[JsonScalar], names: tuple[str, ...] = ("a", "b")) -> str:
    return "".join(csv_lines(Rows(tuple(Column(name, "text") for name in names), list(rows))))


def test_null_is_empty_and_an_empty_text_is_quoted() -> None:
    assert written([None, ""]) == 'a,b\r\n,""\r\n'


def test_booleans_and_numbers_are_written_as_in_json() -> None:
    assert written([True, 1.5], [False, 12]) == "a,b\r\ntrue,1.5\r\nfalse,12\r\n"


def test_a_csv_reader_gets_exactly_the_written_cells() -> None:
    texts = [
        'say "x"',
        "one,two",
        "two\nlines",
        "two\r\nlines",
        " padded ",
        "\x1b[31m",
        "ä\u2028",
        "",
        "NULL",
    ]

    lines = written(list(texts), names=tuple("abcdefghi"))

    assert list(csv.reader(io.StringIO(lines, newline="")))[1] == texts


def test_column_names_are_quoted_like_cells() -> None:
    assert written(names=('a"b', "c,d")) == '"a""b","c,d"\r\n'
