"""Decides whether a text is exactly one statement that only reads, before any of it reaches a database.

    text ─▶ bounds ─▶ grammar ─▶ statement_kind ─▶ reading ─▶ second_opinion ─▶ ValidatedStatement
            lexer     PostgreSQL's                 nodes, relations,   sqlglot
                      own parser                   functions, operators

What is decided where:

- `bounds`: whether the text is safe to give to a parser, and where it ends.
- `grammar`: whether it is PostgreSQL's syntax; returns the server's parse tree.
- `statement_kind`: whether it is exactly one SELECT, VALUES, TABLE, EXPLAIN of these, or SHOW.
- `reading`: whether everything in the tree only reads. It asks `functions` about calls, operators and types,
  `secret_relations` and `secret_columns` about relations, and these modules about what the text only implies:
  `operands` (operators of CASE, IN and BETWEEN), `qualified_names` (which `name.column` is a call),
  `refused_casts` (where a refused cast or CHECK may be called; its searches are `implicit_casts`, and
  `explicit_casts` and `domain_literals`, which follow the values of columns with `column_values`).
- `functions`: whether a function may be called. `name_lookup` finds the functions and operators that a name
  can mean, by the search path and by the types of the arguments: `overloads` chooses by the conversions that
  `type_system` knows, and `argument_types` finds the types. It asks `result_types` about the results of calls
  and operators, and `column_types` about columns, in the scopes of `statement_columns`. `columns` says which
  `relation.name` is a column. `call_graph` follows what the database's own functions, views and row policies
  call. It asks `node_refusals` about each of them alone, `body_calls` what a function's body calls (`body`
  reads its text, `sql_function` and `body_statement` its trees), `type_casts` which casts and checks a type
  has, and `given_values` what functions do with values of any type. `pgmcp.execution.policy` reads the
  database's own functions, operators, types, views and row policies from the catalog; `shipped_lists` has
  PostgreSQL's own functions and those of extensions.
- `second_opinion`: whether sqlglot also parses a query as one statement that only reads. EXPLAIN and SHOW are
  not parsed again.
- `self_test`: whether these guards work in this interpreter. If not, every statement is refused; if only
  sqlglot fails, every query.
- `memo`: whether a statement differs from an earlier, accepted one in plain literals only; `outline`: whether
  it differs from one that sqlglot has accepted only in literals and in names that sqlglot does not know.

The accepted text is executed unchanged, but without what follows its last token; the worker puts a query into
a SELECT with a LIMIT. SQL is never generated from a tree. The read-only transaction and the role must catch
what neither the text nor the catalog shows: calls that only types decide (an operator class, the input
function of a type), functions in C with a wrong volatility, and changes since the catalog was read.
"""

from pgmcp.errors import SqlRejectedError
from pgmcp.validation import bounds, grammar, reading, self_test, statement_kind
from pgmcp.validation.catalog_objects import CatalogFunction, CatalogRelation
from pgmcp.validation.functions import FunctionPolicy
from pgmcp.validation.memo import ValidationMemo
from pgmcp.validation.self_test import check_parsers, check_second_grammar
from pgmcp.validation.statement_kind import StatementKind, ValidatedStatement

__all__ = [
    "CatalogFunction",
    "CatalogRelation",
    "FunctionPolicy",
    "SqlRejectedError",
    "StatementKind",
    "ValidatedStatement",
    "ValidationMemo",
    "check_parsers",
    "check_second_grammar",
    "preload",
    "prepare_outlines",
    "refuse_other_kinds",
    "validate",
]


def validate(sql: str, *, functions: FunctionPolicy) -> ValidatedStatement:
    """Return the read-only statement in a text.

    Args:
        sql: the text.
        functions: decides which functions, operators and types of the database the statement may use.

    Raises:
        SqlRejectedError: the text is anything else; the error says what, where, and what to write instead.
        GuardFailedError: the checks do not work in this environment.
    """
    self_test.check_parsers()
    text, token_count = bounds.trim_and_bound(sql)
    kind, root = statement_kind.classify(text, grammar.parse(text))
    check = reading.ReadingCheck(text, functions)
    check.walk(root)
    if kind is StatementKind.QUERY:
        self_test.check_second_grammar()
        from pgmcp.validation import second_opinion  # imported late, because the import is slow

        second_opinion.check(text, token_count)
    return ValidatedStatement(text, kind, check.tables, check.depends_on_literals)


def refuse_other_kinds(sql: str) -> None:
    """Raise if a text is not exactly one statement of a kind that `validate` accepts.

    This is for a statement that cannot be validated because the database's functions are not known.

    Raises:
        SqlRejectedError: `validate` would refuse the text, whatever functions the database has.
    """
    text, _ = bounds.trim_and_bound(sql)
    statement_kind.classify(text, grammar.parse(text))


def preload() -> None:
    """Load both grammars and the lists of functions, so that the first statement does not wait for them."""
    validate("SELECT now()", functions=FunctionPolicy())


def prepare_outlines() -> None:
    """Let statements that differ from earlier ones only in names skip the second grammar; takes 0.1 s."""
    from pgmcp.validation import outline  # imported late, because the import is slow

    outline.gather_words()
