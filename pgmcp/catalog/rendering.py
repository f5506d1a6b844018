"""Writes a catalog as text: readable for people and hosts, and dense for the model's prompt.

Names, comments, labels, defaults and values are untrusted data: each is put on one line, cut at a limit, and
its invisible or control characters are escaped. The caller fences the whole text once.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pgmcp.catalog.catalog import UNREADABLE_CHARACTER, Catalog, Column, ForeignKey, Index, Table, TableKind
from pgmcp.catalog.identifiers import singular, split_words
from pgmcp.catalog.known_values import look_like_codes
from pgmcp.catalog.short_types import referenced_column, shown_type
from pgmcp.plural import count_of
from pgmcp.quoting import quote_identifier
from pgmcp.untrusted import escape_untrusted, escape_untrusted_block, shorten

_MAX_COMMENT_CHARACTERS = 300
_MAX_DEFINITION_CHARACTERS = 300
_MAX_LABEL_CHARACTERS = 64
_MAX_LISTED_LABELS = 30
_SHOWN_CODES = 2  # codes that a prompt shows as examples of their form
_MAX_LOOKUP_COLUMNS = 6  # a table with more columns is not a lookup table
_REFERENCE = " -> "

# Words in a comment that say nothing beyond a column's name, keys and values.
_UNINFORMATIVE = """
a an the of for to each every that this is are primary foreign key referencing reference unique uniquely
identifier identify id table column field record row possible value allowed
"""
_UNINFORMATIVE_WORDS = frozenset(map(singular, _UNINFORMATIVE.split()))

_ROW_SECURITY = "row-level security: its policies may hide rows from this role"

_PLAIN_LABEL = re.compile(r"[\w.&/+-]+( [\w.&/+-]+)*")


@dataclass(frozen=True, slots=True)
class LineLimits:
    """Limits of the long parts of `prompt_line`.

    Attributes:
        values: maximum number of labels or values of one column.
        comment_characters: maximum length of one comment.
    """

    values: int
    comment_characters: int


USUAL_LIMITS: Final = LineLimits(values=_MAX_LISTED_LABELS, comment_characters=200)


class Detail(StrEnum):
    """How much `render_tables` writes about each table."""

    NAMES = "names"
    COLUMNS = "columns"
    FULL = "full"


def render_tables(tables: Iterable[Table], catalog: Catalog, *, detail: Detail) -> str:
    """Return the tables at one of three levels of detail, in the order given."""
    match detail:
        case Detail.NAMES:
            return render_names(tables, catalog)
        case Detail.COLUMNS:
            return render_for_prompt(tables, catalog)
        case Detail.FULL:
            return "\n\n".join(render_table(table, catalog) for table in tables)


def render_names(tables: Iterable[Table], catalog: Catalog) -> str:
    """Return one line per table: kind, name, comment and size."""
    return "\n".join(_name_line(table, catalog) for table in tables)


def render_overview(catalog: Catalog) -> str:
    """Return all tables of the catalog as readable text."""
    path = ", ".join(_name(schema) for schema in catalog.search_path) or "(empty)"
    count = count_of(len(catalog.tables), "table")
    heading = f"PostgreSQL {catalog.server_version}, {count}, search path: {path}"
    return "\n\n".join([heading, *(render_table(table, catalog) for table in catalog.tables)]) + "\n"


def render_table(table: Table, catalog: Catalog) -> str:
    """Return a table with its columns, keys, values and comments as readable text; long texts are cut."""
    lines = [_name_line(table, catalog)]
    lines += _column_lines(table)
    if len(table.primary_key) > 1:
        lines.append(f"  primary key ({_key(table.primary_key, table)})")
    lines += [f"  foreign key ({_referring(key)}) -> {_target(key, catalog)}" for key in table.foreign_keys]
    lines += [
        f"  unique {'nulls not distinct ' if columns in table.nulls_not_distinct else ''}"
        f"({_key(columns, table)})"
        for columns in table.unique_constraints
    ]
    lines += [
        f"  {_one_line(check, max_characters=_MAX_DEFINITION_CHARACTERS)}"
        for check in table.check_constraints
    ]
    lines += [_index_line(index) for index in table.indexes]
    if table.has_active_policies:
        lines.append(f"  {_ROW_SECURITY}")
    return "\n".join(lines)


def render_for_prompt(tables: Iterable[Table], catalog: Catalog) -> str:
    """Return one dense line per table, for few tokens."""
    return "\n".join(prompt_line(table, catalog) for table in tables)


def prompt_line(table: Table, catalog: Catalog, limits: LineLimits = USUAL_LIMITS) -> str:
    """Return the table's line of `render_for_prompt`, or one with other limits.

    For example `orders(id pk, customer_id -> customers, state order_state {open|paid}, total numeric)`.
    `-> customers` means the primary key of customers. Another column is written out: `-> customers.email`.
    """
    kind = "" if table.kind in {TableKind.TABLE, TableKind.PARTITIONED_TABLE} else f"{table.kind} "
    keys = _KeyMarks(table, catalog)
    parts = [_prompt_column(column, keys, table, limits) for column in table.columns]
    line = f"{kind}{catalog.display_name(table)}({', '.join([*parts, *keys.composite()])})"
    has_all = any(
        _lists_all_rows(column, keys.marks_of(column.name), table, limits) for column in table.columns
    )
    size = "" if has_all else _size(table)
    remarks = _remarks(table, catalog, max_characters=limits.comment_characters, size=size)
    if remarks and remarks == size:
        return f"{line} {size}"
    return f"{line} -- {remarks}" if remarks else line


def column_name(catalog: Catalog | None, table: Table, column: Column) -> str:
    """Return a column's name as SQL spells it, qualified by its table if a catalog is given."""
    name = _name(column.name)
    return f"{catalog.display_name(table)}.{name}" if catalog else name


def value_literal(value: str) -> str:
    """Return a value as an SQL literal on one line; long values are cut, unsafe characters escaped."""
    return "'" + _one_line(value, max_characters=_MAX_LABEL_CHARACTERS).replace("'", "''") + "'"


class _KeyMarks:
    """Writes the keys of a table for a prompt: marks of columns, and composite keys at the line's end."""

    def __init__(self, table: Table, catalog: Catalog) -> None:
        self._table = table
        self._catalog = catalog
        self._references = {key.columns[0]: key for key in table.foreign_keys if len(key.columns) == 1}
        self._unique = {columns[0] for columns in table.unique_constraints if len(columns) == 1}

    def marks_of(self, column: str) -> str:
        marks = ""
        if self._table.primary_key == (column,):
            marks += " pk"
        elif column in self._unique:
            marks += " unique"
        if key := self._references.get(column):
            marks += f"{_REFERENCE}{_target(key, self._catalog, is_brief=True)}"
        return marks

    def target(self, column: str) -> Column | None:
        """Return the column that a column references."""
        key = self._references.get(column)
        return referenced_column(key, self._catalog) if key else None

    def composite(self) -> Iterable[str]:
        if len(self._table.primary_key) > 1:
            yield f"pk({_key(self._table.primary_key, self._table)})"
        for columns in self._table.unique_constraints:
            if len(columns) > 1:
                yield f"unique({_key(columns, self._table)})"
        for key in self._table.foreign_keys:
            if len(key.columns) > 1:
                yield f"({_referring(key)}) -> {_target(key, self._catalog)}{_overlap_join(key)}"


def _prompt_column(column: Column, keys: _KeyMarks, table: Table, limits: LineLimits) -> str:
    marks = keys.marks_of(column.name)
    max_values = _max_values(column, marks, table, limits)
    if _lists_all_rows(column, marks, table, limits):
        marks = marks.removeprefix(" unique")  # the list shows this: it has one value for each row
    type_name = shown_type(
        column,
        is_key=marks.startswith(" pk"),
        has_list=max_values > 0 and not look_like_codes(column.values),
        refers_to=keys.target(column.name),
    )
    text = f"{_name(column.name)}{' ' if type_name else ''}{type_name}{marks}"
    if column.enum_labels or (column.may_hold_others and not column.values):
        text += " " + _label_list(column, limits.values)
    elif max_values:
        text += " " + _label_list(column, max_values)
    elif column.value_range:
        text += " " + _range(column.value_range)
    if column.comment and not _is_redundant(column, marks, table):
        comment = _one_line(column.comment, max_characters=limits.comment_characters)
        # A comment that contains */ could otherwise imitate the schema.
        text += f" /* {comment.replace('*/', '* /')} */"
    return text


def _max_values(column: Column, marks: str, table: Table, limits: LineLimits) -> int:
    """Return how many of a column's values a prompt shows."""
    if not column.values or _REFERENCE in marks:
        return 0  # the referenced table shows the values
    if look_like_codes(column.values):
        return 0 if marks else _SHOWN_CODES
    is_lookup = len(table.columns) <= _MAX_LOOKUP_COLUMNS
    return limits.values if is_lookup else min(limits.values, _MAX_LISTED_LABELS)


def _lists_all_rows(column: Column, marks: str, table: Table, limits: LineLimits) -> bool:
    """Return whether a unique column's list has a value for every row, and so shows their number."""
    is_unique = marks.startswith((" pk", " unique"))
    is_complete = not column.may_hold_others and len(column.values) == table.estimated_rows
    return is_unique and is_complete and len(column.values) <= _max_values(column, marks, table, limits)


def _is_redundant(column: Column, marks: str, table: Table) -> bool:
    """Return whether a comment only repeats names, keys and values: "foreign key of the cars table"."""
    values = " ".join(column.enum_labels or column.values)
    known = f"{table.name} {column.name} {marks} {values}"
    words = {singular(word) for word in split_words(column.comment)}
    return words <= {singular(word) for word in split_words(known)} | _UNINFORMATIVE_WORDS


def _column_lines(table: Table) -> list[str]:
    name_width = min(max((len(_name(column.name)) for column in table.columns), default=0), 32)
    type_width = min(max((len(column.type) for column in table.columns), default=0), 32)
    return [
        f"  {_name(column.name):<{name_width}}  {escape_untrusted(column.type):<{type_width}}  "
        f"{_column_facts(column, table)}".rstrip()
        for column in table.columns
    ]


def _column_facts(column: Column, table: Table) -> str:
    facts = []
    if table.primary_key == (column.name,):
        facts.append("primary key")
    elif not column.nullable:
        facts.append("not null")
    if column.default is not None:
        facts.append(_default(column.default))
    if column.enum_labels or (column.may_hold_others and not column.values):
        facts.append(f"one of {_label_list(column)}")
    elif column.values:
        facts.append(f"holds {_label_list(column)}")
    elif column.value_range:
        facts.append(f"about {_range(column.value_range)}")
    if column.comment:
        facts.append(f"-- {_one_line(column.comment, max_characters=_MAX_COMMENT_CHARACTERS)}")
    return "  ".join(facts)


def _default(expression: str) -> str:
    text = _one_line(expression, max_characters=_MAX_DEFINITION_CHARACTERS)
    return text if text.startswith("generated ") else f"default {text}"


def _index_line(index: Index) -> str:
    definition = _one_line(index.definition, max_characters=_MAX_DEFINITION_CHARACTERS)
    return f"  {'unique index' if index.is_unique else 'index'} {_name(index.name)} {definition}"


def _name_line(table: Table, catalog: Catalog) -> str:
    remarks = _remarks(table, catalog, max_characters=_MAX_COMMENT_CHARACTERS, size=_size(table))
    line = f"{table.kind} {catalog.display_name(table)}"
    return f"{line} -- {remarks}" if remarks else line


def _size(table: Table) -> str:
    return "" if table.estimated_rows is None else f"~{table.estimated_rows} rows"


def _remarks(table: Table, catalog: Catalog, *, max_characters: int, size: str) -> str:
    comment = _one_line(table.comment, max_characters=max_characters)
    return "; ".join(part for part in (comment, size, _inheritance(table, catalog)) if part)


def _inheritance(table: Table, catalog: Catalog) -> str:
    parents = [parent for key in table.parents if (parent := catalog.get(*key)) is not None]
    if not parents:
        return ""
    verb = "shows" if len(parents) == 1 else "show"
    return f"inherits from {', '.join(map(catalog.display_name, parents))}, which {verb} its rows too"


def _target(key: ForeignKey, catalog: Catalog, *, is_brief: bool = False) -> str:
    table = catalog.get(key.referenced_schema, key.referenced_table)
    name = (
        catalog.display_name(table)
        if table
        else f"{_name(key.referenced_schema)}.{_name(key.referenced_table)}"
    )
    caveat = f" ({key.caveat})" if key.caveat else ""
    if is_brief and table and key.referenced_columns == table.primary_key:
        return f"{name}{caveat}"
    if len(key.referenced_columns) == 1:
        return f"{name}.{_name(key.referenced_columns[0])}{caveat}"
    return f"{name}({_with_period(key.referenced_columns, key)}){caveat}"


def _referring(key: ForeignKey) -> str:
    return _with_period(key.columns, key)


def _with_period(columns: Sequence[str], key: ForeignKey) -> str:
    """Return the columns as in a foreign key: `room, PERIOD valid`."""
    if not key.is_period:
        return _names(columns)
    return ", ".join([*(_name(column) for column in columns[:-1]), f"PERIOD {_name(columns[-1])}"])


def _overlap_join(key: ForeignKey) -> str:
    """Return how the ranges of a PERIOD key join, because an equality would find almost nothing."""
    if not key.is_period:
        return ""
    return f" /* join where {_name(key.columns[-1])} && {_name(key.referenced_columns[-1])}, not = */"


def _key(columns: tuple[str, ...], table: Table) -> str:
    return _names(columns) + (" WITHOUT OVERLAPS" if columns in table.without_overlaps else "")


def _label_list(column: Column, max_labels: int = _MAX_LISTED_LABELS) -> str:
    labels = column.enum_labels or column.values
    # A label that cannot be shown exactly would mislead: queries compare with the exact text.
    exact = [
        label
        for label in labels
        if UNREADABLE_CHARACTER not in label
        and _one_line(label, max_characters=_MAX_LABEL_CHARACTERS) == label
    ]
    listed = [_label(label) for label in exact[:max_labels]]
    if len(listed) < len(labels) or column.may_hold_others:
        listed.append("…")
    return "{" + "|".join(listed) + "}"


def _range(value_range: tuple[str, str]) -> str:
    # `read_range` returns only dates and plain numbers.
    least, greatest = value_range
    return f"[{least}..{greatest}]" if least != greatest else f"[{least}]"


def _label(label: str) -> str:
    if _PLAIN_LABEL.fullmatch(label):
        return label
    return "'" + label.replace("'", "''") + "'"


def _name(identifier: str) -> str:
    return escape_untrusted(quote_identifier(identifier))


def _names(identifiers: Iterable[str]) -> str:
    return ", ".join(_name(identifier) for identifier in identifiers)


def _one_line(text: str, *, max_characters: int) -> str:
    # Not `escape_untrusted`, which doubles backslashes: a value must be spelled here as in SQL. Spaces of a
    # text that is on one line already are preserved.
    line = text if text.isprintable() else " ".join(text.split())
    return shorten(escape_untrusted_block(line), max_characters)
