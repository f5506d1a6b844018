"""Decides whether a text is exactly one statement that only reads, before any of it reaches a database.

    text ─▶ bounds ─▶ grammar ─▶ statement_kind ─▶ reading ─▶ second_opinion ─▶ ValidatedStatement
            lexer     PostgreSQL's                 nodes, relations,   sqlglot
                      own parser                   functions, operators

What is decided where:

- `bounds`: whether the text is safe to give to a parser, and where it ends.
- `grammar`: whether the syntax is PostgreSQL's; returns the parse tree that the server would make.
- `statement_kind`: whether it is exactly one SELECT, VALUES, TABLE, EXPLAIN of these, or SHOW.
- `reading`: whether everything in the tree only reads. It asks `functions` about calls, operators and types,
  and `secret_relations` and `secret_columns` about relations. Other modules find what the text only implies:
  - `operands`: the operators of CASE, IN and BETWEEN.
  - `sql_texts`: the SQL texts that a function runs as they are. Each is validated like a statement.
  - `qualified_names`: which `name.column` is a call.
  - `refused_casts`: where the server may call the function of a cast, or the CHECK of a domain, that may not
    be called. It uses `implicit_casts`, `explicit_casts` and `domain_literals`. The last two follow the
    values of columns with `column_values`.
- `functions`: whether a function may be called. `name_lookup` finds the functions and operators that a name
  can mean, by the search path and by the types of the arguments: `overloads` chooses by the conversions that
  `type_system` knows, and `argument_types` finds the types. It asks `result_types` about the results of calls
  and operators, and `column_types` about columns. `statement_columns` finds the items of FROM to which a
  column can belong, and `columns` says which `relation.name` is a column. `call_graph` follows what the
  database's own functions, views and row policies call. For each of them, `node_refusals` decides whether its
  own declaration forbids it, and `body_calls` finds what a function's body calls (`body` reads its text,
  `sql_function` and `body_statement` its trees). `type_casts` finds the casts and checks of a type, and
  `given_values` whether a function that takes values of any type may cast them. `pgmcp.execution.policy`
  reads the database's own functions, operators, types, views and row policies from the catalog;
  `shipped_lists` has PostgreSQL's own functions and those of extensions.
- `second_opinion`: whether sqlglot also parses a query as one statement that only reads. EXPLAIN and SHOW are
  not parsed again.
- `self_test`: whether these guards work in this interpreter. If sqlglot does not work, every query is
  refused. If another guard does not work, every statement is refused.
- `memo`: whether a statement and an earlier, accepted one differ only in plain literals.
- `outline`: whether a query and one that sqlglot has accepted differ only in literals and in names that
  sqlglot does not know.

The accepted text is executed as written, up to its last token. The worker puts a query into a SELECT with a
LIMIT. SQL is never generated from a tree. The read-only transaction and the role must catch what neither the
text nor the catalog shows: functions that the server calls because of a type alone (those of an operator
class, the input function of a type), functions in C with a wrong volatility, and changes since the catalog
was read.
"""

from collections.abc import Callable
from functools import partial

from pgmcp.errors import SqlRejectedError
from pgmcp.validation import bounds, grammar, reading, self_test, statement_kind
from pgmcp.validation.catalog_objects import CatalogFunction, CatalogRelation
from pgmcp.validation.functions import FunctionPolicy
from pgmcp.validation.memo import SPACES, ValidationMemo
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
        SqlRejectedError: the text is not exactly one statement that only reads. The error says what is
            refused, where it is, and what to write instead.
        GuardFailedError: the checks do not work in this environment.
    """
    return _validate(sql, functions, partial(_validate_text, functions=functions))


def _validate(
    sql: str, functions: FunctionPolicy, validate_text: Callable[[str], ValidatedStatement] | None
) -> ValidatedStatement:
    self_test.check_parsers()
    text, token_count = bounds.trim_and_bound(sql)
    kind, root = statement_kind.classify(text, grammar.parse(text))
    check = reading.ReadingCheck(text, functions, validate_text)
    check.walk(root)
    if kind is StatementKind.QUERY:
        self_test.check_second_grammar()
        from pgmcp.validation import second_opinion  # imported late, because the import is slow

        second_opinion.check(text, token_count)
    return ValidatedStatement(text, kind, check.tables, check.depends_on_literals)


def _validate_text(text: str, *, functions: FunctionPolicy) -> ValidatedStatement:
    """Validate a SQL text that a function in a statement would run unchanged, and return its query."""
    statement = _validate(text, functions, None)
    if statement.kind is not StatementKind.QUERY:
        raise SqlRejectedError("it is not a query", hint="write a SELECT")
    if text.rstrip(SPACES).removesuffix(";").rstrip(SPACES) != statement.text:
        raise SqlRejectedError(
            "it has more than spaces and a semicolon around the query", hint="leave out what is around it"
        )
    return statement


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
    """Let queries that differ from earlier ones only in names or literals skip sqlglot; takes 0.1 s."""
    from pgmcp.validation import outline  # imported late, because the import is slow

    outline.gather_words()
