"""Writes hints for a statement that failed in PostgreSQL: similar names, enum labels, columns, types."""

import re
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Final

from pgmcp.catalog.catalog import Catalog, Column, Table
from pgmcp.catalog.identifiers import split_words
from pgmcp.catalog.rendering import column_name
from pgmcp.errors import StatementFailedError
from pgmcp.lookup.search import search
from pgmcp.lookup.similarity import fold, nearest
from pgmcp.lookup.value_check import check_listed, resolve
from pgmcp.untrusted import escape_untrusted
from pgmcp.validation.other_dialects import hint_for_type
from pgmcp.validation.references import References, find_references, names_output

INVALID_TEXT: Final = "22P02"
"""invalid_text_representation, for example a label that an enum does not have."""

INSUFFICIENT_PRIVILEGE: Final = "42501"

UNDEFINED_TABLE: Final = "42P01"
UNDEFINED_COLUMN: Final = "42703"
MISSING_NAME_SQLSTATES: Final = frozenset({UNDEFINED_TABLE, UNDEFINED_COLUMN})
"""PostgreSQL manual, appendix A."""

WRONG_OBJECT_TYPE: Final = "42809"
"""wrong_object_type, for example a composite type or an index after FROM."""

UNDEFINED_OBJECT: Final = "42704"
"""undefined_object: a type or a setting that does not exist."""

UNDEFINED_FUNCTION: Final = "42883"
"""undefined_function: no function or operator of this name takes these types."""

AMBIGUOUS_FUNCTION: Final = "42725"
"""ambiguous_function: several functions or operators of this name take these types."""

WRONG_TYPES_SQLSTATES: Final = frozenset({UNDEFINED_FUNCTION, AMBIGUOUS_FUNCTION})

SQLSTATES_WITH_HINTS: Final = MISSING_NAME_SQLSTATES | {
    INVALID_TEXT,
    INSUFFICIENT_PRIVILEGE,
    WRONG_OBJECT_TYPE,
    UNDEFINED_OBJECT,
    *WRONG_TYPES_SQLSTATES,
}

_HINT_BY_SIGNATURE: Final = tuple(
    (re.compile(pattern), hint)
    for pattern, hint in (
        (
            r"timestamp with(out)? time zone [-+] integer",
            "add or subtract an interval, as in interval '30 days'",
        ),
        (r"(text|character varying|unknown) \+ |\+ (text|character varying|unknown)", "|| joins texts"),
        (r"\bround\(double precision, integer\)", "round(a::numeric, 2) rounds to digits"),
        (r"\bstring_agg\((?!text|bytea)[^,()]+, unknown\)", "string_agg(a::text, ',') joins other values"),
        (r"\bstring_agg\([^,()]+\)", "string_agg(a, ',') needs a separator"),
        (r"&& boolean|boolean &&", "write AND"),
        (r"\|\| boolean|boolean \|\|", "write OR"),
    )
)
"""Hints by the operator or function and its types in the server's message: `text + unknown`, `round(…)`.

This part of the message is the same in every language.
"""

_TYPES_OF_TEXTS_HINT: Final = "give texts their type, as in date '2020-01-31'"
_CURLY_QUOTES: Final = frozenset("\u2018\u2019\u201a\u201c\u201d\u201e")
_BEFORE_A_UNIT: Final = re.compile(r"\bdate_(trunc|part)\s*\(\s*$", re.IGNORECASE)
_SINGLE_QUOTES_HINT: Final = "texts are written in single quotes: 'a'"

_NEAR_TABLES = 4
_NEAR_COLUMNS = 6
_MAX_LISTED_COLUMNS = 40
_MAX_LISTED_TABLES = 3

_IDENTIFIER = r'(?:"(?:[^"]|"")+"|[^\W\d][\w$]*)'
_NAME = re.compile(rf"{_IDENTIFIER}(?:\s*\.\s*{_IDENTIFIER})*")
_PART = re.compile(_IDENTIFIER)


def is_outdated(error: StatementFailedError, sql: str, catalog: Catalog) -> bool:
    """Return whether the cached catalog contains the table or column that PostgreSQL did not find."""
    name = name_at(sql, error.position)
    if error.sqlstate not in MISSING_NAME_SQLSTATES or not name:
        return False
    if error.sqlstate == UNDEFINED_TABLE:
        table = catalog.find(".".join(name))
        return table is not None and table.name == name[-1]
    relations = find_references(sql).relations_of(name[-2] if len(name) > 1 else "")
    tables = [table for relation in relations if (table := catalog.find(relation)) is not None]
    return any(column.name == name[-1] for table in tables for column in table.columns)


def hint_for_failure(error: StatementFailedError, sql: str, catalog: Catalog) -> str:
    """Return a hint for a failed statement; "" if there is none."""
    references = find_references(sql)
    if error.sqlstate == INVALID_TEXT:
        return _hint_labels(references, catalog)
    if error.sqlstate == INSUFFICIENT_PRIVILEGE:
        return _hint_readable(str(error), references, catalog)
    if error.sqlstate == WRONG_OBJECT_TYPE:
        return ""
    if error.sqlstate == UNDEFINED_OBJECT:
        return _hint_for_object(sql, error.position)
    if error.sqlstate in WRONG_TYPES_SQLSTATES:
        return _hint_for_types(error)
    name = name_at(sql, error.position)
    if error.sqlstate == UNDEFINED_TABLE and _is_column(name, references):
        return f"FROM has {escape_untrusted(', '.join(alias for alias, _ in references.relations))}"
    qualifier = name[-2] if len(name) > 1 else ""
    relations = references.relations_of(qualifier) or references.relations_of("")
    similar = hint_for_missing_name(error.sqlstate, name, relations, catalog)
    meant = _hint_for_spelling(error, sql, name) if error.sqlstate == UNDEFINED_COLUMN else ""
    return "; ".join(part for part in (meant, similar) if part)


def _hint_for_types(error: StatementFailedError) -> str:
    """Return what to write instead of a call or an operator with wrong types; "" if that is not known."""
    message = str(error)
    known = next((hint for pattern, hint in _HINT_BY_SIGNATURE if pattern.search(message)), "")
    return known or (_TYPES_OF_TEXTS_HINT if error.sqlstate == AMBIGUOUS_FUNCTION else "")


def _hint_for_object(sql: str, position: int | None) -> str:
    """Return a hint about a type or a setting that does not exist; "" if there is none."""
    if sql.lstrip()[:4].lower() == "show":
        return "SHOW shows a setting; information_schema.tables lists tables"
    return hint_for_type("".join(name_at(sql, position)[-1:]))


def _hint_for_spelling(error: StatementFailedError, sql: str, name: Sequence[str]) -> str:
    """Return a hint about an unqualified name that is not a column, such as `"Bob"`; "" if there is none."""
    position = error.position
    if position is None or len(name) > 1:
        return ""
    written = sql[position : position + 1]
    is_quoted = (written == '"' and not error.hint) or written in _CURLY_QUOTES
    if is_quoted or _BEFORE_A_UNIT.search(sql[:position]):
        return _SINGLE_QUOTES_HINT
    if name and names_output(sql, name[0]):
        return f"repeat the expression: only ORDER BY and GROUP BY can use a name after AS, such as {name[0]}"
    return ""


def _hint_labels(references: References, catalog: Catalog) -> str:
    """Return the labels of enum columns that the statement compares with other texts.

    Hints about other columns would be guesses, because PostgreSQL has not evaluated the conditions.
    """
    comparisons = [each for each in resolve(references, catalog) if each.column.enum_labels]
    plain = [each for each in comparisons if not (each.written.case_function or each.written.is_computed)]
    return "; ".join(mismatch.describe() for mismatch in check_listed(plain))


def _hint_readable(message: str, references: References, catalog: Catalog) -> str:
    """Return the columns that the role may read of the relation in the server's message.

    The message is in the server's language, but it contains the relation's name. If the catalog lacks the
    relation, the role may read none of its columns, or a view reads it. Then the result is "".
    """
    for _, relation in references.relations:
        table = catalog.find(relation)
        if table is not None and re.search(rf"(?<!\w){re.escape(table.name)}(?!\w)", message):
            readable = f"the role may read only these {describe_columns(table, catalog)}"
            return "; ".join(part for part in (readable, _describe_masking_view(table, catalog)) if part)
    return ""


def _describe_masking_view(table: Table, catalog: Catalog) -> str:
    """Return a mention of the view that `pgmcp setup-sql --mask` made of a table; "" if there is none."""
    place = (table.schema, f"{table.name}_masked")
    for view in catalog.tables:
        masked = {column.name for column in view.columns} - {column.name for column in table.columns}
        if (view.schema, view.name) == place and masked:
            names = [column_name(None, view, column) for column in view.columns if column.name in masked]
            return f"{catalog.display_name(view)} also has {', '.join(names)}"
    return ""


def _is_column(name: Sequence[str], references: References) -> bool:
    """Return whether the name is `alias.column` with an unknown alias, and not a table."""
    return len(name) > 1 and ".".join(name) not in {relation for _, relation in references.relations}


def name_at(sql: str, position: int | None) -> tuple[str, ...]:
    """Return the parts of the name at an offset, folded as in PostgreSQL; () if there is none.

    The server's message contains the name too, but in the server's language.
    """
    match = None if position is None or position < 0 else _NAME.match(sql, position)
    parts = _PART.findall(match[0]) if match else []
    return tuple(part[1:-1].replace('""', '"') if part[0] == '"' else part.lower() for part in parts)


def hint_for_missing_name(
    sqlstate: str, name: Sequence[str], relations: Sequence[str], catalog: Catalog
) -> str:
    """Return similar names for a missing one; "" if there are none.

    Args:
        sqlstate: one of MISSING_NAME_SQLSTATES.
        name: the missing name, from `name_at`.
        relations: the relations to which the column may belong, as the statement names them.
        catalog: searched for similar names.
    """
    if sqlstate == UNDEFINED_COLUMN:
        tables = [table for relation in relations if (table := catalog.find(relation)) is not None]
        return _hint_columns(name[-1] if name else "", list(dict.fromkeys(tables)), catalog)
    return _hint_tables(".".join(name), catalog)


def _hint_tables(name: str, catalog: Catalog) -> str:
    bare = name.rpartition(".")[2]
    same_name = [table for table in catalog.tables if bare and table.name.lower() == bare.lower()]
    found = chain(
        same_name, catalog.nearest(name), search(catalog, " ".join(split_words(bare)), _NEAR_TABLES)
    )
    names = [catalog.display_name(table) for table in dict.fromkeys(found)]
    return f"tables near {name}: {', '.join(names[:_NEAR_TABLES])}" if name and names else ""


def _hint_columns(name: str, tables: list[Table], catalog: Catalog) -> str:
    here = [(table, column) for table in tables for column in table.columns]
    near = nearest(name, here, limit=_NEAR_COLUMNS, text_of=lambda pair: pair[1].name)
    elsewhere = [] if any(fold(column.name) == fold(name) for _, column in near) else _holders(name, catalog)
    parts = []
    if near or elsewhere:
        names = (column_name(catalog, table, column) for table, column in (*near, *elsewhere))
        parts.append(f"near: {', '.join(names)}")
    parts.extend(_lists_of_columns(tables[:_MAX_LISTED_TABLES], catalog))
    return "; ".join(parts)


def _holders(name: str, catalog: Catalog) -> list[tuple[Table, Column]]:
    """Return the columns with exactly this name in any table; none if there are many."""
    found = [
        (table, column)
        for table in catalog.tables
        for column in table.columns
        if column.name.lower() == name.lower()
    ]
    return found if len(found) <= _NEAR_COLUMNS else []


def _lists_of_columns(tables: list[Table], catalog: Catalog) -> Iterator[str]:
    for table in tables:
        yield describe_columns(table, catalog)


def describe_columns(table: Table, catalog: Catalog) -> str:
    """Return a list of the readable columns of a table, at most the first `_MAX_LISTED_COLUMNS`."""
    names = [column_name(None, table, column) for column in table.columns[:_MAX_LISTED_COLUMNS]]
    more = ", …" if len(table.columns) > _MAX_LISTED_COLUMNS else ""
    return f"columns of {catalog.display_name(table)}: {', '.join(names)}{more}"
