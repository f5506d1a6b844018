"""The second grammar alone: what it stops if PostgreSQL's own were blind to it."""

import logging

import pytest

from pgmcp.errors import SqlRejectedError
from pgmcp.validation import second_opinion


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
def test_it_refuses_what_is_not_one_read(sql: str) -> None:
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
def test_it_agrees_to_one_read(sql: str) -> None:
    second_opinion.check(sql, token_count=10)


@pytest.mark.parametrize("opening", ["array[", "date (", "x::int("])
def test_it_has_no_opinion_where_it_would_try_for_ever(opening: str) -> None:
    closing = "]" if opening.endswith("[") else ")"

    second_opinion.check("select " + opening * 40 + "1" + closing * 40, token_count=130)


def test_it_has_no_opinion_on_very_long_statements() -> None:
    second_opinion.check("delete from customers", token_count=1_000_000)


def test_names_in_unicode_escapes_are_read_by_it() -> None:
    second_opinion.prove('select U&"a\\0062" uescape \'!\' as U&"b", U&\'x\' from U&"t" u, "v"')


def test_it_reads_with_the_parser_that_can_be_bounded_even_beside_a_compiled_one() -> None:
    from sqlglot import parser  # not before the module that chooses how it is loaded

    assert str(parser.__file__).endswith(".py")


def test_a_failure_of_its_own_is_logged_without_the_statement(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(sql: str) -> None:
        raise TypeError(sql)

    monkeypatch.setattr(second_opinion, "_parse", fail)

    with caplog.at_level(logging.WARNING):
        second_opinion.check("select 'secret'", token_count=2)

    assert "TypeError" in caplog.text
    assert "secret" not in caplog.text
