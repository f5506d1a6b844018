"""The second grammar alone: what it refuses without PostgreSQL's grammar."""

import logging
from collections.abc import Callable
from typing import Any

import pytest

from pgmcp.errors import SqlRejectedError
from pgmcp.validation import second_opinion, sqlglot_parser
from pgmcp.validation.sqlglot_parser import BoundedParser, StepLimitError, _tokenize_plain
from testing.statements import attacks, honest_statements


@pytest.mark.parametrize(
    "sql",
    [
        "select 1; select 2",
        "select 1; drop table customers",
        "insert into customers values (1)",
        "update customers set full_name = 'x'",
        "delete from customers",
        "drop table customers",
        "truncate customers",
        "create table x (a int)",
        "alter table customers add column x int",
        "select * into x from customers",
        "select * from customers for update",
        "with x as (delete from customers returning *) select * from x",
        "with x as (insert into customers values (1) returning *) select * from x",
        "select * from (with x as (update customers set id = 1 returning *) select * from x) y",
        "copy customers to program 'id'",
        "begin",
        "set role postgres",
        "grant all on customers to public",
        "call p()",
        'with x as (delete from U&"t\\0061" returning *) select U&"a" from x',
        "with x as (delete from U&\"t!0061\" uescape '!' returning *) select 1 as U&\"a\" uescape '!'",
    ],
)
def test_the_second_parser_refuses_texts_that_are_not_one_read(sql: str) -> None:
    with pytest.raises(SqlRejectedError, match="second grammar"):
        second_opinion.check(sql, token_count=10)


@pytest.mark.parametrize(
    "sql",
    [
        "select 1",
        "values (1)",
        "table customers",
        "select 1 union select 2",
        "with x as (select 1) select * from x",
        "(select 1)",
    ],
)
def test_the_second_parser_accepts_one_read(sql: str) -> None:
    second_opinion.check(sql, token_count=10)


@pytest.mark.parametrize("opening", ["array[", "date (", "x::int("])
def test_the_second_parser_stops_and_accepts_if_parsing_takes_too_long(opening: str) -> None:
    closing = "]" if opening.endswith("[") else ")"

    second_opinion.check("select " + opening * 40 + "1" + closing * 40, token_count=130)


def test_the_second_parser_does_not_check_very_long_statements() -> None:
    second_opinion.check("delete from customers", token_count=1_000_000)


def test_the_second_parser_reads_names_in_unicode_escapes() -> None:
    second_opinion.require_read('select U&"a\\0062" uescape \'!\' as U&"b", U&\'x\' from U&"t" u, "v"')


def test_the_boundable_source_of_sqlglot_is_used_even_if_a_compiled_one_is_installed() -> None:
    from sqlglot import parser  # imported late: pgmcp first chooses how sqlglot is loaded

    assert str(parser.__file__).endswith(".py")


def test_an_internal_failure_is_logged_without_the_statement(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(sql: str) -> None:
        raise TypeError(sql)

    monkeypatch.setattr(second_opinion, "_parse", fail)
    monkeypatch.setattr(second_opinion, "_reads", set())  # other tests may have added this text

    with caplog.at_level(logging.WARNING):
        second_opinion.check("select 'secret'", token_count=2)

    assert "TypeError" in caplog.text
    assert "secret" not in caplog.text


UNUSUAL = [
    "select orders.id from orders order where order .id = 1 order   by 1, group\nby",
    "select 'it''s' 'b' from \"T\" as \"a b\" where x<>-1 and y->>'a'!=1. and z<=-.5",
    "select date'2026-01-01', n'a', e'b', x'1f', b'01', U&'x', _a1, a1_, 1e5, 1_000, 0x1f, 1.5.6",
    "fetch first 5 rows only",
    "begin; show x",
    "select case when a then b else c end, a.b.c.d, t.*, (t).x, a[1], a::int, a at time zone 'UTC'",
    "select a not in (1), not a, a is distinct from b, a between b and c, a = any (b), ?| # ## @>",
    "with a as (select 1) select * from a; select 2",
    "(select 1) union (select 2) order by 1",
    "select interval '1 day', current_date, if, any(x), variadic x, double precision, char varying",
]


def tokens_of(sql: str, *, by: Callable[[str], list[Any] | None]) -> list[Any] | None:
    """Return those parts of each token that the parser uses."""
    tokens = by(sql)
    return tokens and [(each.token_type, each.text, each.start, each.end, each.comments) for each in tokens]


def trees_of(sql: str, parser: Any) -> str:
    """Return the trees as text, "bound" if a limit was reached, or the name of the parser's error."""
    from sqlglot.errors import SqlglotError  # imported late: pgmcp first chooses how sqlglot is loaded

    try:
        return repr(parser.parse(sqlglot_parser._DIALECT.tokenize(sql), sql))
    except (RecursionError, StepLimitError):
        return "bound"
    except SqlglotError as error:
        return type(error).__name__


def test_the_fast_paths_change_neither_tokens_nor_trees() -> None:
    from sqlglot.errors import TokenError
    from sqlglot.parsers.postgres import PostgresParser

    dialect = sqlglot_parser._DIALECT
    texts = [text for text in (honest_statements() + attacks())[::4] if len(text) < 1_000] + UNUSUAL
    differing, quick_count = [], 0
    for sql in texts:
        try:
            tokens = tokens_of(sql, by=dialect.tokenize)
            theirs, ours = trees_of(sql, PostgresParser(dialect=dialect)), trees_of(sql, BoundedParser())
        except (TokenError, TypeError, AttributeError):
            continue  # sqlglot refuses the text or crashes
        quick = None if sqlglot_parser._UNUSUAL_SYNTAX.search(sql) else tokens_of(sql, by=_tokenize_plain)
        quick_count += quick is not None
        if theirs != ours or quick not in (None, tokens):
            differing.append(sql)

    assert quick_count > 300
    assert differing == []
