import contextlib
import re
from importlib import import_module
from random import Random
from typing import Any

import pytest

from pgmcp.errors import SqlRejectedError
from pgmcp.validation.bounds import MAX_BYTES, MAX_DEPTH, _trim_exactly, _trim_shallow, trim_and_bound
from pgmcp.validation.lexer import TokenKind, tokenize
from testing.statements import attacks, honest_statements


def _tokens(sql: str) -> list[str]:
    return [token.text for token in tokenize(sql)]


@pytest.mark.parametrize(
    ("sql", "tokens"),
    [
        ("select a.b,1", ["select", "a", ".", "b", ",", "1"]),
        ("a->>'x'||b::int", ["a", "->>", "'x'", "||", "b", "::", "int"]),
        ("1 - -- x\n- 2", ["1", "-", "-", "2"]),
        ("1-/* x */-2", ["1", "-", "-", "2"]),
        ("'it''s' 'x'", ["'it''s'", "'x'"]),
        (r"'a\' || 'b'", [r"'a\'", "||", "'b'"]),
        (r"E'a\' || b'", [r"E'a\' || b'"]),
        ("E'a'\n'\\'b' || c", ["E'a'\n'\\'b'", "||", "c"]),
        ("E'a' -- x\n'\\'b'", ["E'a' -- x\n'\\'b'"]),
        ("E'a' '\\' || b", ["E'a'", "'\\'", "||", "b"]),
        ("E'a' \t\f -- '\r -- '\n '\\'b' '\\'", ["E'a' \t\f -- '\r -- '\n '\\'b'", "'\\'"]),
        ("E'a' /* \n */ '\\'", ["E'a'", "'\\'"]),
        ('"a ""b"" c".d', ['"a ""b"" c"', ".", "d"]),
        ("$$ ' $$ $a$ $$ $b$ $a$", ["$$ ' $$", "$a$ $$ $b$ $a$"]),
        ("a$b$c $é$ x $é$", ["a$b$c", "$é$ x $é$"]),
        ("/* a /* b */ c */ d", ["d"]),
        ("naïve\u00a0x", ["naïve\u00a0x"]),
        ("U&'x' N'y' B'0' x'F'", ["U&'x'", "N'y'", "B'0'", "x'F'"]),
        ("U & 'x'", ["U", "&", "'x'"]),
        ('U&"a ""b"""."c" uescape', ['U&"a ""b"""', ".", '"c"', "uescape"]),
        ("-/* x */ y", ["-", "y"]),
        ("1 +-/* - */- 2", ["1", "+", "-", "-", "2"]),
        ("a=-b", ["a", "=", "-", "b"]),
        ("a*-+b", ["a", "*", "-", "+", "b"]),
        ("a@-b", ["a", "@-", "b"]),
        ("a:=-b", ["a", ":", "=", "-", "b"]),
        ("a::=-b", ["a", "::", "=", "-", "b"]),
        ("a:=@-b", ["a", ":", "=", "@-", "b"]),
        (" -- x\n -- y", []),
        ("a --", ["a"]),
        ("'a''b' 'c'''", ["'a''b'", "'c'''"]),
        (r"E'a\\'" + "\n" + r"'b''\' c' d", [r"E'a\\'" + "\n" + r"'b''\' c'", "d"]),
    ],
)
def test_the_lexer_splits_as_postgresql_does(sql: str, tokens: list[str]) -> None:
    assert _tokens(sql) == tokens


def test_random_text_is_split_as_postgresql_splits_it() -> None:
    random = Random(1)  # noqa: S311 - the same texts in every run
    pieces = [*"+-*/<>=~!@#%^&|`?:'\\\n \t\ra", "E'", "''", "--", "/*", "*/", "' '", "'\n'"]
    texts = ["".join(random.choices(pieces, k=random.randint(2, 12))) for _ in range(20_000)]

    # libpg_query does not join the parts of a string across a comment, unlike the server.
    texts = [text for text in texts if not re.search(r"'\s*--", text)]

    assert [text for text in texts if _spans(text) != _spans_of_postgresql(text)] == []


def _spans(text: str) -> list[tuple[int, int]] | None:
    """Return start and end of each token, with `:=` and a string in parts as one; None if one has no end."""
    found: list[tuple[int, int]] = []
    try:
        for token in tokenize(text):
            start, end = token.start, token.start + len(token.text)
            before = text[slice(*found[-1])] if found else ""
            gap = text[found[-1][1] : start] if found else ""
            is_part = before.startswith("'") and token.text.startswith("'") and re.search(r"[\n\r]", gap)
            is_assignment = before == ":" and token.text == "=" and not gap
            if (is_part and "/*" not in gap) or is_assignment:
                start = found.pop()[0]
            found.append((start, end))
    except SqlRejectedError:
        return None
    return found


def _spans_of_postgresql(text: str) -> list[tuple[int, int]] | None:
    postgast: Any = import_module("postgast")  # its own type hints have mistakes
    try:
        tokens = postgast.scan(text).tokens
    except postgast.PgQueryError:
        return None
    comments = {postgast.pg_query_pb2.SQL_COMMENT, postgast.pg_query_pb2.C_COMMENT}
    return [(each.start, each.end) for each in tokens if each.token not in comments]


def test_a_parameter_is_a_single_token() -> None:
    assert [token.kind for token in tokenize("$1")] == [TokenKind.PARAMETER]


@pytest.mark.parametrize(
    "sql",
    [
        "'",
        "E'\\'",
        '"',
        "/*",
        "/* /* */",
        "$$",
        "$a$ $b$",
        "$a$ $A$",
        "N'",
        "U&'",
        'U&"',
        "'a''",
        '"a""',
        "E'a''",
        "E'a' 'b",
    ],
)
def test_unclosed_quotes_and_comments_are_refused(sql: str) -> None:
    with pytest.raises(SqlRejectedError, match="is not closed"):
        trim_and_bound(f"select {sql}")


@pytest.mark.parametrize("sql", ["", " ", ";", "-- x", "/* x */", "\n;\n; -- x"])
def test_an_empty_text_is_not_a_statement(sql: str) -> None:
    with pytest.raises(SqlRejectedError, match="empty"):
        trim_and_bound(sql)


def test_a_semicolon_in_front_is_refused() -> None:
    with pytest.raises(SqlRejectedError, match="starts with a semicolon"):
        trim_and_bound("; select 1")


def test_the_length_of_a_statement_is_counted_in_bytes() -> None:
    fits = "select '" + "é" * ((MAX_BYTES - 9) // 2) + "'"

    assert trim_and_bound(fits)[0] == fits
    with pytest.raises(SqlRejectedError, match=str(MAX_BYTES + 1)):
        trim_and_bound(fits + "--")


@pytest.mark.parametrize(
    "chained",
    [
        "select 1{}",
        "select 1 where true{}",
    ],
)
@pytest.mark.parametrize(
    "link", [" + 1", " :: int", " || 'a'", " at time zone 'x'", ' collate "C"', " is null"]
)
def test_a_chain_of_operators_is_bounded(chained: str, link: str) -> None:
    trim_and_bound(chained.format(link * (MAX_DEPTH - 1)))
    with pytest.raises(SqlRejectedError, match="too deep"):
        trim_and_bound(chained.format(link * (MAX_DEPTH + 1)))


@pytest.mark.parametrize("link", [" union select 1", " except select 2", " intersect (select 1)"])
def test_a_chain_of_set_operations_is_bounded(link: str) -> None:
    trim_and_bound("select 1" + link * 200)
    with pytest.raises(SqlRejectedError, match="too deep"):
        trim_and_bound("select 1" + link * (MAX_DEPTH + 1))


@pytest.mark.parametrize(
    ("opening", "closing"),
    [
        ("(", ")"),
        ("f(", ")"),
        ("array[", "]"),
        ("case when true then ", " end"),
        ("(select ", ")"),
        ("a.case (", ")"),
    ],
)
def test_nesting_is_bounded(opening: str, closing: str) -> None:
    trim_and_bound("select " + opening * 30 + "1" + closing * 30)
    with pytest.raises(SqlRejectedError, match="too deep"):
        trim_and_bound("select " + opening * 65 + "1" + closing * 65)


@pytest.mark.parametrize(
    "sql",
    [
        "select 1 where " + " and ".join(["a + b = c"] * 400),
        "select 1 where " + " or ".join(["x is not null"] * 400),
        "select " + ", ".join(["a + b"] * 400),
        "select 1 in (" + ", ".join("1" * 5000) + ")",
        "values " + ", ".join(["(1, -2, 'x')"] * 500),
        "select case " + "when a = 1 then b + c " * 400 + "end",
        " union all ".join(["select a || b || c || d || e from t where x = 1"] * 60),
        "select " + ", ".join(["case when x then 1 else 0 end"] * 200),
    ],
    ids=lambda sql: sql[:40],
)
def test_parts_beside_each_other_add_no_depth(sql: str) -> None:
    assert trim_and_bound(sql)[0] == sql


@pytest.mark.parametrize(
    "sql", ["select (", "select )", "select (1]", "select [1)", "select (case when 1", "select a[1"]
)
def test_brackets_must_match(sql: str) -> None:
    with pytest.raises(SqlRejectedError, match="no counterpart"):
        trim_and_bound(sql)


@pytest.mark.parametrize(
    "sql", ["select a.end, b.case from t", "select 1 as case", "select 1 as end", "select (1 as case)"]
)
def test_a_column_called_end_or_case_opens_and_closes_nothing(sql: str) -> None:
    assert trim_and_bound(sql)[0] == sql


def test_too_many_words_are_refused_whatever_they_are() -> None:
    with pytest.raises(SqlRejectedError, match="more than 16000 words"):
        trim_and_bound("select " + "a " * 20_000)


@pytest.mark.parametrize(
    "hostile",
    [
        "'" + "''" * 30_000,
        "E'" + r"\\" * 30_000,
        '"' + '""' * 30_000,
        "-" * 60_000,
        "--\n" * 20_000,
        "E'a' " * 10_000,
        "E'a'" + "--\n" * 20_000,
        "E'a'\n" * 10_000 + "'",
        " " * 60_000,
        "+-" * 30_000,
        "/*" * 30_000,
        "$a" * 30_000,
    ],
    ids=lambda text: ascii(text[:6]),
)
def test_hostile_text_is_read_once(hostile: str) -> None:
    with contextlib.suppress(SqlRejectedError):
        for _ in tokenize(hostile):
            pass


def test_the_quick_estimate_passes_nothing_that_the_lexer_refuses_and_trims_as_it_does() -> None:
    texts = [text for text in honest_statements() + attacks() if len(text) < 5_000]
    quick = {text: found for text in texts if (found := _trim_shallow(text)) is not None}

    differing = []
    for text, (trimmed, count) in quick.items():
        exact, exact_count = _trim_exactly(text)
        if trimmed != exact or count < exact_count:
            differing.append(text)

    assert len(quick) > 1_000
    assert differing == []


@pytest.mark.parametrize(
    "sql",
    [
        "",
        " ; ",
        "; select 1",
        "select 1;;",
        "select 1; select 2",
        "select ';'",
        "select 1 -- x",
        "select 1 /* x */",
        "select $1",
        "select $$x$$",
        "select 'a\\'",
        "select 'a",
        'select "a',
        "select 'a\"' \"",
        "select é",
        "select a\xa0b",
        "select (1",
        "select 1)",
        "select )1(",
        "select ([1)]",
        "select " + "(" * 65 + "1" + ")" * 65,
        "select 1" + " union select 1" * 257,
        "select " + "case when a then " * 64 + "1" + " end" * 64,
    ],
)
def test_the_quick_estimate_leaves_to_the_lexer_what_it_cannot_be_sure_of(sql: str) -> None:
    assert _trim_shallow(sql) is None
