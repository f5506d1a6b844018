"""A statement that differs from an accepted one only in plain literals is accepted without another check."""

import re
from contextlib import suppress

import pytest

from pgmcp.errors import SqlRejectedError
from pgmcp.validation import FunctionPolicy, ValidatedStatement, ValidationMemo, validate
from testing.statements import attacks, honest_statements

POLICY = FunctionPolicy()


class CountingValidate:
    """Calls the validator, and records the texts."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def __call__(self, sql: str, *, functions: FunctionPolicy) -> ValidatedStatement:
        self.texts.append(sql)
        return validate(sql, functions=functions)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("select 1", "select 2"),
        ("select * from orders where id = 17", "select * from orders where id = 4711"),
        ("select * from t where day >= '2026-01-01'", "select * from t where day >= '2025-12-31'"),
        ("select name from t where mail = 'a@b.example'", "select name from t where mail = ''"),
        ("select 1.5 * x from t limit 10", "select 0.25 * x from t limit 20"),
        ("select interval '1 day'", "select interval '2 hours'"),
        ("select 1", "select 2 \n"),
        ("select 'a'", "select 'b' ;\n"),
    ],
)
def test_a_statement_with_another_literal_is_not_checked_again_and_runs_as_written(
    first: str, second: str
) -> None:
    full = CountingValidate()
    memo = ValidationMemo(full, 10)
    memo.validate(first, functions=POLICY)

    statement = memo.validate(second, functions=POLICY)

    assert full.texts == [first]
    assert statement == validate(second, functions=POLICY)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("select 1", "select 1.5"),
        ("select 1", "select '1'"),
        ("select 1", "select 12345678901"),
        ("select 'a'", "select E'a'"),
        ("select 'a'", "select N'a'"),
        ("select 'a'", "select U&'a'"),
        ("select 'a' 'b'", "select 'a''b'"),
        ("select 'a'", "select 'a' -- b"),
        ("select 'a'", "select 'a' /* b */"),
        ("select 'a'", "select $$a$$"),
        ("select 'a'", "select 'a\\'"),
        ("select 'a'", "select 'é'"),
        ("select a1 from t", "select a2 from t"),
        ("select a::float(24) from t", "select a::float(25) from t"),
        ("select cast(a as FLOAT\n(1)) from t", "select cast(a as FLOAT\n(53)) from t"),
        (
            "select histogram_bounds from pg_stats where tablename = ''",
            "select histogram_bounds from pg_stats where tablename = 'pg_authid'",
        ),
        ("select 1; select 2", "select 1; select 3"),
        ("select 'a' as x", "select 'a' as \"x\""),
        ("explain (analyze 0) select 1", "explain (analyze 1) select 1"),
        ("select current_setting('work_mem')", "select current_setting('port')"),
        ("select pg_input_is_valid('a', 'int')", "select pg_input_is_valid('a', 'text')"),
        (
            "select most_common_vals from pg_stats where schemaname = 'a'",
            "select most_common_vals from pg_stats where schemaname = 'b'",
        ),
    ],
)
def test_a_statement_with_any_other_difference_is_checked(first: str, second: str) -> None:
    full = CountingValidate()
    memo = ValidationMemo(full, 10)
    for text in (first, second):
        try:
            memo.validate(text, functions=POLICY)
        except SqlRejectedError:
            continue

    assert full.texts == [first, second]


def test_a_statement_that_another_policy_accepted_is_checked_again() -> None:
    full = CountingValidate()
    memo = ValidationMemo(full, 10)
    memo.validate("select f(1)", functions=FunctionPolicy(allowed=["f"]))

    with pytest.raises(SqlRejectedError):
        memo.validate("select f(2)", functions=FunctionPolicy())


def test_the_least_recently_used_entry_is_removed() -> None:
    full = CountingValidate()
    memo = ValidationMemo(full, 2)
    for text in ("select 1 as a", "select 1 as b", "select 2 as a", "select 1 as c", "select 3 as a"):
        memo.validate(text, functions=POLICY)

    assert full.texts == ["select 1 as a", "select 1 as b", "select 1 as c"]


def sibling(sql: str) -> str:
    """Return a text with harmless values for all of its literals."""
    return re.sub(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.])", "1", re.sub(r"'[^']*'", "''", sql))


def test_every_attack_is_refused_after_a_harmless_statement_of_the_same_form() -> None:
    memo = ValidationMemo(validate, 100_000)
    slipped, accepted_siblings = [], 0
    for sql in [text for text in attacks() if len(text) <= 2_000]:
        with suppress(SqlRejectedError):
            memo.validate(sibling(sql), functions=POLICY)
            accepted_siblings += 1
        with suppress(SqlRejectedError):
            memo.validate(sql, functions=POLICY)
            slipped.append(sql)

    assert slipped == []
    assert accepted_siblings > 10


def test_a_harmless_statement_has_the_same_result_after_a_similar_one() -> None:
    memo = ValidationMemo(validate, 100_000)
    for sql in [text for text in honest_statements() if len(text) <= 2_000][::5]:
        with suppress(SqlRejectedError):
            memo.validate(sibling(sql), functions=POLICY)

        statement, expected = memo.validate(sql, functions=POLICY), validate(sql, functions=POLICY)

        assert (statement.text, statement.kind) == (expected.text, expected.kind)
        assert statement.tables == expected.tables
