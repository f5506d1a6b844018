"""Is this text one harmless read? Decided here, before any of it reaches a database.

    text ─▶ bounds ─▶ grammar ─▶ roots ─▶ reading ─▶ second_opinion ─▶ ValidatedStatement
            lexer     PostgreSQL's  kind    nodes, relations,   sqlglot
                      own parser            functions, operators

What is decided where:

- `bounds`: whether the text is safe to give to a parser at all; where it ends.
- `grammar`: whether it is PostgreSQL's syntax; the tree of what the server would read.
- `roots`: whether it is exactly one SELECT, VALUES, TABLE, EXPLAIN of these, or SHOW.
- `reading`: whether everything in the tree only reads, with `functions` for calls,
  `operators` for operators and `relations` for tables.
- `second_opinion`: whether another grammar sees one read as well, for queries; it knows
  neither EXPLAIN nor SHOW.
- `proof`: whether all of these work in this interpreter; without it nothing is validated.
- `lookup`: which functions and operators of the database a name can mean, by the search path and by
  the types of the arguments (`overloads`, `argument_types`); `columns`: which `relation.name` is a
  column and no call.
- `explicit_casts`, `implicit_casts`, `domain_literals`: where a statement may call a cast or a domain's CHECK
  of a column's type; `column_values` follows the columns by the names that the statement gives them.
- `secret_columns`: which columns of readable catalogs a statement may not use.
- `reach`: what the database's own functions, views and row policies call, followed to the end through
  what `body` finds in the text of functions. `pgmcp.execution.policy` reads them from the catalog.
- `outline`: whether sqlglot has read a statement that differs in literals and in names unknown to it alone.
- `memo`: whether an accepted statement differs from an earlier one in plain literals alone.

The text that passed is what runs, character for character; nothing is ever
regenerated from a tree. What neither text nor catalog shows is left to the
read-only transaction and the role: calls that only types decide, functions in C
that lie about their volatility, and what changed since the catalog was read.
"""

from pgmcp.errors import SqlRejectedError
from pgmcp.validation import bounds, grammar, proof, reading, roots
from pgmcp.validation.catalog_objects import CatalogFunction, CatalogRelation
from pgmcp.validation.functions import FunctionPolicy
from pgmcp.validation.memo import ValidationMemo
from pgmcp.validation.proof import prove_readers, prove_second_grammar
from pgmcp.validation.roots import StatementKind
from pgmcp.validation.statement import ValidatedStatement

__all__ = [
    "CatalogFunction",
    "CatalogRelation",
    "FunctionPolicy",
    "SqlRejectedError",
    "StatementKind",
    "ValidatedStatement",
    "ValidationMemo",
    "preload",
    "prepare_outlines",
    "prove_readers",
    "prove_second_grammar",
    "validate",
]


def validate(sql: str, *, functions: FunctionPolicy) -> ValidatedStatement:
    """Return the one read that a text holds.

    Raises:
        SqlRejectedError: if it holds anything else; says what, where, and what to write instead.
        GuardFailedError: if the checks do not work in this environment.
    """
    proof.prove_readers()
    text, token_count = bounds.trim_and_bound(sql)
    kind, root = roots.classify(text, grammar.parse(text))
    check = reading.ReadingCheck(text, functions)
    check.walk(root)
    if kind is StatementKind.QUERY:
        proof.prove_second_grammar()
        from pgmcp.validation import second_opinion  # slow to import, so not before it is needed

        second_opinion.check(text, token_count)
    return ValidatedStatement(text, kind, check.tables, check.depends_on_literals)


def preload() -> None:
    """Load both grammars and the lists now, so that the first statement does not wait for them."""
    validate("SELECT now()", functions=FunctionPolicy())


def prepare_outlines() -> None:
    """Let the second grammar recognize statements that differ from earlier ones in names; takes 0.1 s."""
    from pgmcp.validation import outline  # slow to import, as the second grammar is

    outline.gather_words()
