"""A guard that fails its self-test refuses all statements."""

import re
from collections.abc import Iterator

import pytest

from pgmcp.errors import GuardFailedError
from pgmcp.validation import FunctionPolicy, lexer, second_opinion, self_test, validate


@pytest.fixture(autouse=True)
def _prove_again() -> Iterator[None]:
    """Clear the cached results of the self-tests before and after each test."""
    for prove in (self_test.check_parsers, self_test.check_second_grammar):
        prove.cache_clear()
    yield
    for prove in (self_test.check_parsers, self_test.check_second_grammar):
        prove.cache_clear()


def test_the_guards_work_here() -> None:
    self_test.check_parsers()
    self_test.check_second_grammar()


def test_nothing_is_validated_by_a_lexer_that_splits_wrongly(monkeypatch: pytest.MonkeyPatch) -> None:
    # Acts like a possessive group in CPython 3.11.2: the operator continues into the comment.
    wrong = lexer._TOKEN.pattern.replace("(?!--|/\\*)[", "[")
    assert wrong != lexer._TOKEN.pattern
    monkeypatch.setattr(lexer, "_TOKEN", re.compile(wrong, lexer._TOKEN.flags))

    with pytest.raises(GuardFailedError, match="lexer"):
        validate("select 1", functions=FunctionPolicy())


def test_nothing_is_validated_by_a_second_grammar_that_cannot_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise TypeError("interpreted classes cannot inherit from compiled")

    monkeypatch.setattr(second_opinion, "BoundedParser", fail)

    with pytest.raises(GuardFailedError, match=r"second grammar \(sqlglot\): TypeError") as failure:
        validate("select 1", functions=FunctionPolicy())
    assert "new environment" in failure.value.hint


def test_nothing_is_validated_by_a_second_grammar_that_refuses_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(second_opinion, "_other_than_one_read", lambda _: "")

    with pytest.raises(GuardFailedError, match="second grammar"):
        validate("select 1", functions=FunctionPolicy())
