"""Adds typical mistakes of models to gold SQL. A changed statement may still be right: callers check this."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from sqlglot import exp, parse_one
from sqlglot.dialects.postgres import Postgres
from sqlglot.tokenizer_core import Token, TokenType

from pgmcp.quoting import quote_literal


@dataclass(frozen=True, slots=True)
class Reference:
    """A foreign key of one column."""

    table: str
    column: str
    referenced_table: str
    referenced_column: str


@dataclass(frozen=True, slots=True)
class Names:
    """The names in a database, in lower case."""

    columns: frozenset[str]
    references: tuple[Reference, ...]


Mutation = Callable[[str, Names], Iterator[str]]
"""Yields variants of a statement, the most likely first."""

_AMOUNTS: Final = (exp.Sum, exp.Avg, exp.StddevSamp, exp.Stddev, exp.Variance)

_COMPARED_AFTER: Final = frozenset(
    {TokenType.EQ, TokenType.IN, TokenType.LIKE, TokenType.ILIKE, TokenType.L_PAREN, TokenType.COMMA}
)
_COMPARISONS: Final = frozenset(
    {TokenType.EQ, TokenType.GT, TokenType.GTE, TokenType.LT, TokenType.LTE, TokenType.BETWEEN}
)


def mutate_case(statement: str, names: Names) -> Iterator[str]:
    """Write one compared text in another case: `= 'VTI'` becomes `= 'vti'`."""
    tokens = _tokens(statement)
    for before, token in pairwise(tokens):
        if token.token_type is TokenType.STRING and before.token_type in _COMPARED_AFTER:
            changed = token.text.swapcase()
            if changed != token.text and not token.text[:4].isdigit():
                yield _replace(statement, {token.start: (token.end, quote_literal(changed))})


def mutate_column(statement: str, names: Names) -> Iterator[str]:
    """Write one column's name slightly wrong: `sale_price` becomes `sale_prices`."""
    tokens = _tokens(statement)
    spelled = {token.text.lower(): None for token in tokens if _is_name(token, names.columns)}
    for name in spelled:
        wrong = f"{name}s"
        if wrong not in names.columns:
            yield _replace(
                statement,
                {
                    token.start: (token.end, wrong)
                    for before, token in zip([None, *tokens], tokens, strict=False)
                    if _is_name(token, {name}) and not (before and before.token_type is TokenType.ALIAS)
                },
            )


def mutate_cast(statement: str, names: Names) -> Iterator[str]:
    """Compare with text of the wrong type: `>= '2023-04-01'::text`, `< CURRENT_DATE::text`."""
    tokens = _tokens(statement)
    for before, token in pairwise(tokens):
        is_date = token.token_type is TokenType.STRING and token.text[:4].isdigit()
        is_number = token.token_type is TokenType.NUMBER
        if (is_date or is_number) and before.token_type in _COMPARISONS:
            spelled = quote_literal(token.text)
            yield _replace(statement, {token.start: (token.end, f"{spelled}::text")})
    for token in tokens:
        if token.token_type is TokenType.CURRENT_DATE:
            yield _replace(statement, {token.start: (token.end, "CURRENT_DATE::text")})


def mutate_rows(statement: str, names: Names) -> Iterator[str]:
    """Join a table that repeats the aggregated rows: `sum(o.total) … JOIN items ON items.order_id = o.id`."""
    root = parse_one(statement, dialect="postgres")
    for number, select in enumerate(root.find_all(exp.Select)):
        if not any(select.find_all(*_AMOUNTS)):
            continue
        tables = [table for table in select.find_all(exp.Table) if table.parent_select is select]
        read = {table.name.lower() for table in tables}
        for table in tables:
            for reference in names.references:
                if reference.referenced_table == table.name.lower() and reference.table not in read:
                    spoilt = root.copy()
                    joined = list(spoilt.find_all(exp.Select))[number]
                    condition = (
                        f"{reference.table}.{reference.column} = "
                        f"{table.alias_or_name}.{reference.referenced_column}"
                    )
                    joined.join(reference.table, on=condition, dialect="postgres", copy=False)
                    yield spoilt.sql(dialect="postgres")


def _tokens(statement: str) -> list[Token]:
    return list(Postgres().tokenize(statement))


def _is_name(token: Token, columns: Collection[str]) -> bool:
    return token.token_type is not TokenType.STRING and token.text.lower() in columns


def _replace(statement: str, pieces: dict[int, tuple[int, str]]) -> str:
    """Return the statement with replacements: by start, the inclusive end and the new text."""
    for start, (end, text) in sorted(pieces.items(), reverse=True):
        statement = statement[:start] + text + statement[end + 1 :]
    return statement
