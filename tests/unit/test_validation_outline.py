"""Names that sqlglot does not know change only names in its trees, so one parse is valid for all of them."""

import re
from contextlib import suppress

import pytest

from pgmcp.errors import SqlRejectedError
from pgmcp.validation import second_opinion, sqlglot_parser
from pgmcp.validation.outline import _NAME, gather_words, is_known, outline_of
from testing.statements import attacks, honest_statements


@pytest.fixture(autouse=True, scope="module")
def words() -> None:
    gather_words()


@pytest.mark.parametrize(
    ("sql", "other"),
    [
        ("select typname from pg_type", "select relname from pg_class"),
        ("select qa1.typname from pg_type qa1", "select qb2.relname from pg_class qb2"),
        (
            "select typname as x1y from pg_type where typlen = 4",
            "select relname as z_y from q1 where qq = 17",
        ),
    ],
)
def test_other_unknown_names_and_literals_have_the_same_outline(sql: str, other: str) -> None:
    assert outline_of(sql) == outline_of(other) is not None


@pytest.mark.parametrize(
    ("sql", "other"),
    [
        ("select typname from pg_type", "select count from pg_type"),
        ("select typname(1)", "select coalesce(1)"),
        ("select typname from pg_type qa1", "select typname from pg_type for"),
        ("select qa1.typname from qa1", "select qa1.typname from qb1"),
        ("select typname from pg_type", "select typname  from pg_type"),
        ("select typname from pg_type", "select typname + 1 from pg_type"),
        ("select typname from pg_type", 'select "typname" from pg_type'),
        ("select typname from pg_type", "delete typname from pg_type"),
    ],
)
def test_any_other_difference_gives_another_outline(sql: str, other: str) -> None:
    assert outline_of(sql) != outline_of(other)


def test_the_parser_knows_no_word_that_is_not_gathered() -> None:
    tables = [
        *sqlglot_parser.BoundedParser.FUNCTIONS,
        *sqlglot_parser.BoundedParser.FUNCTION_PARSERS,
        *sqlglot_parser.BoundedParser.NO_PAREN_FUNCTION_PARSERS,
        *sqlglot_parser.BoundedParser.STATEMENT_PARSERS,
        *sqlglot_parser.BoundedParser.PROPERTY_PARSERS,
        *sqlglot_parser.keywords(),
    ]
    words = {word for text in tables for word in re.findall(r"\w+", str(text).upper())}
    compared = {
        "AT",
        "ZONE",
        "ORDINALITY",
        "FILTER",
        "WITHIN",
        "RESPECT",
        "SEPARATOR",
        "MATERIALIZED",
        "COPY",
    }

    assert [word for word in words | compared if not is_known(word)] == []


def renamed(sql: str, old_names: dict[str, str]) -> str:
    """Return a statement with a new name for each name that sqlglot does not know.

    Args:
        old_names: gets the old name by each new one.
    """

    def replace(match: re.Match[str]) -> str:
        name = match[0]
        if is_known(name):
            return name
        new = next((new for new, old in old_names.items() if old == name), f"zq{len(old_names)}v")
        old_names[new] = name
        return new

    return _NAME.sub(replace, sql)


def test_other_names_change_nothing_else_in_a_tree() -> None:
    differing, compared = [], 0
    for sql in [text for text in honest_statements()[::2] if "'" not in text and outline_of(text)]:
        old_names: dict[str, str] = {}
        other = renamed(sql, old_names)
        assert outline_of(other) == outline_of(sql)
        with suppress(Exception):  # sqlglot cannot read all of them
            tree, other_tree = dumped(sql), dumped(other)
            for new, old in old_names.items():
                other_tree = other_tree.replace(new, old.lower())
            compared += 1
            if other_tree != tree:
                differing.append(sql)

    assert compared > 150
    assert differing == []


def dumped(sql: str) -> str:
    """Return the trees of a statement as text, without positions."""
    trees = str([tree and tree.dump() for tree in second_opinion._parse(sql)])
    return re.sub(r"'(?:line|col|start|end)': \d+", "", trees).lower()


def test_no_attack_is_let_through_by_what_has_been_read_before() -> None:
    second_opinion._reads.clear()
    refused = [sql for sql in attacks() if len(sql) < 1_000 and _is_refused(sql)]
    for sql in honest_statements():
        with suppress(SqlRejectedError):
            second_opinion.check(sql, token_count=1)

    assert len(refused) > 100
    assert [sql for sql in refused if not _is_refused(sql)] == []


def _is_refused(sql: str) -> bool:
    try:
        second_opinion.check(sql, token_count=1)
    except SqlRejectedError:
        return True
    return False


def test_a_statement_of_a_known_outline_is_not_parsed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    second_opinion._reads.clear()
    second_opinion.check("select qa1.typname from pg_type qa1 where qa1.typlen = 3", token_count=9)

    def fail(sql: str) -> None:
        raise AssertionError(sql)

    monkeypatch.setattr(second_opinion, "_parse", fail)
    second_opinion.check("select qb2.relname from pg_class qb2 where qb2.reltype = 4", token_count=9)
