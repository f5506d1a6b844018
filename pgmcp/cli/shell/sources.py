"""Finds the tables, columns and listed values of a statement, also of an incomplete one.

Columns of WITH queries and subqueries are found, too. The values are those that the catalog lists for the
column that a condition compares. The catalog lists no values of a column that the operator hides.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pgmcp.catalog.catalog import Catalog, Column, Table, TableKind
from pgmcp.catalog.identifiers import parse_name
from pgmcp.errors import SqlRejectedError
from pgmcp.untrusted import escape_untrusted
from pgmcp.validation.lexer import tokenize

NAME: Final = r'(?:[^\W\d][\w$]*|"[^"]+")'
_CLAUSE_TEXT: Final = """
select from where group order having limit offset fetch join left right full inner cross natural on using
union intersect except for window tablesample as set
"""
_CLAUSES: Final = "|".join(_CLAUSE_TEXT.split())
NO_ALIAS: Final = rf"(?!(?:{_CLAUSES})\b)"
"""A lookahead that fails at keywords, which may follow a table but are not its alias."""
_SOURCE: Final = re.compile(
    rf"(?:\b(?:from|join|table)|,)\s+(?:only\s+|lateral\s+)?({NAME}(?:\.{NAME})?)"
    rf"(?:\s+(?:as\s+)?{NO_ALIAS}({NAME}))?",
    re.IGNORECASE,
)
_NONE: Final[Mapping[str, Table]] = {}


@dataclass(frozen=True, slots=True)
class Source:
    """A table that a statement reads.

    Attributes:
        name: as it is written, in lower case.
        alias: "" if it has none.
    """

    table: Table
    name: str
    alias: str

    @property
    def reference(self) -> str:
        """The qualifier of its columns: the alias or the name."""
        return self.alias or self.name.rpartition(".")[2]


def find_sources(statement: str, catalog: Catalog, queries: Mapping[str, Table] = _NONE) -> list[Source]:
    """Return the tables that a statement reads.

    Args:
        queries: the statement's WITH queries, by name in lower case; they hide tables of the same name.
    """
    return [
        Source(table, name.lower(), alias.lower())
        for name, alias in _SOURCE.findall(statement)
        if (table := queries.get(name.lower().strip('"')) or catalog.find(name)) is not None
    ]


_BODY: Final = r"(?=[\s(]*(?:select|values|table|with)\b)"
_WITH: Final = re.compile(
    rf"({NAME})\s*(?:\(([^()]*)\)\s*)?\bas\s+(?:(?:not\s+)?materialized\s+)?\({_BODY}", re.IGNORECASE
)
_IN_FROM: Final = r"(?:\bfrom|\bjoin|\blateral|,)\s*"
_SUBQUERY: Final = re.compile(rf"{_IN_FROM}\({_BODY}", re.IGNORECASE)
_FUNCTION_IN_FROM: Final = re.compile(rf"{_IN_FROM}(?:lateral\s+)?(?:{NAME}\.)?{NAME}\s*\(", re.IGNORECASE)
_ALIAS: Final = re.compile(rf"\)\s*(?:as\s+)?{NO_ALIAS}({NAME})(?:\s*\(([^()]*)\))?", re.IGNORECASE)
_SELECT: Final = re.compile(r"\s*select\s+(?:all\s+|distinct\s+(?:on\s*\([^()]*\)\s*)?)?", re.IGNORECASE)
_END_OF_LIST: Final = re.compile(
    r"\b(?:from|where|group|union|intersect|except|order|limit)\b", re.IGNORECASE
)
_STAR: Final = re.compile(rf"(?:({NAME})\s*\.\s*)?\*", re.IGNORECASE)
_FUNCTION: Final = re.compile(rf"(?:{NAME}\.)?({NAME})\s*\(.*\)", re.IGNORECASE | re.DOTALL)
_FIRST_NAME: Final = re.compile(rf"\s*({NAME})")
_LAST_NAME: Final = re.compile(rf"(?:^|[\s).:])({NAME})$", re.IGNORECASE)
_START: Final = re.compile(r"\b(select|values|table)\b", re.IGNORECASE)
_TEXT: Final = re.compile(r"'(?:[^']|'')*'?|--[^\n]*|/\*.*?(?:\*/|$)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class DefinedTables:
    """The tables that a statement defines.

    Attributes:
        queries: WITH queries, by name in lower case.
        subqueries: subqueries in FROM, each as a table named by its alias; also functions whose columns FROM
            names.
    """

    queries: dict[str, Table]
    subqueries: list[Source]


@dataclass(frozen=True, slots=True)
class _Body:
    """The text of a WITH query or of a subquery.

    Attributes:
        names: its column names, if the statement gives them.
    """

    start: int
    end: int
    name: str
    names: str | None
    is_query: bool


def find_defined_tables(statement: str, catalog: Catalog) -> DefinedTables:
    """Return the WITH queries and subqueries of a statement; unclosed ones extend to its end."""
    text = _TEXT.sub(lambda found: "'" + " " * (len(found[0]) - 1), statement)
    queries: dict[str, Table] = {}
    subqueries: dict[int, Source] = {}
    # Inner bodies first, because outer ones may read them.
    for body in sorted(_bodies(text), key=lambda each: (each.end, -each.start)):
        table = _table(body, text, catalog, queries, subqueries)
        if body.is_query:
            queries[table.name.lower()] = table
        else:
            subqueries[body.start] = Source(table, body.name.lower(), "")
    return DefinedTables(queries, [subqueries[start] for start in sorted(subqueries)])


def _bodies(text: str) -> Iterator[_Body]:
    for found in _WITH.finditer(text):
        yield _Body(found.end(), _closing(text, found.end()), found[1], found[2], is_query=True)
    for found in _SUBQUERY.finditer(text):
        end = _closing(text, found.end())
        if alias := _ALIAS.match(text, end):
            yield _Body(found.end(), end, alias[1], alias[2], is_query=False)
    for found in _FUNCTION_IN_FROM.finditer(text):
        end = _closing(text, found.end())
        if (alias := _ALIAS.match(text, end)) and alias[2]:
            yield _Body(found.end(), end, alias[1], alias[2], is_query=False)


def _closing(text: str, start: int) -> int:
    """Return the place of the parenthesis that closes the one before `start`, or the end of the text."""
    depth = 1
    for place in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[place], 0)
        if depth == 0:
            return place
    return len(text)


def _table(
    body: _Body, text: str, catalog: Catalog, queries: dict[str, Table], subqueries: dict[int, Source]
) -> Table:
    start = body.end - len(text[body.start : body.end].lstrip("( \t\r\n"))
    flat = _flat(text[start : body.end])
    direct = [each for place, each in subqueries.items() if _is_direct(flat, place - 1 - start)]
    sources = [*find_sources(flat, catalog, queries), *direct]
    columns = list(_outputs(text[start : body.end], flat, sources))
    for place, given in enumerate(body.names.split(",") if body.names else ()):
        if name := _FIRST_NAME.match(given):
            column = Column(
                _unquoted(name[1]), columns[place].type if place < len(columns) else "", nullable=True
            )
            columns[place : place + 1] = [column]
    return Table("", _unquoted(body.name), TableKind.VIEW, "", tuple(columns))


def _flat(body: str) -> str:
    """Return the text with spaces in place of everything in parentheses."""
    flat, depth = [], 0
    for character in body:
        depth -= character == ")" and depth > 0
        flat.append(" " if depth else character)
        depth += character == "("
    return "".join(flat)


def _is_direct(flat: str, place: int) -> bool:
    return 0 <= place < len(flat) and flat[place] == "("


def _outputs(body: str, flat: str, sources: Sequence[Source]) -> Iterator[Column]:
    """Yield the output columns that have a name: of SELECT, VALUES or TABLE."""
    start = _START.search(flat)
    match start and start[1].lower():
        case "values":
            row = body[start.end() :].partition("(")[2] if start else ""
            for number, _ in enumerate(_items(row[: _closing(row, 0)]), 1):
                yield Column(f"column{number}", "", nullable=True)
        case "table":
            yield from (column for source in sources[:1] for column in source.table.columns)
        case "select":
            yield from _selected(body[start.start() :] if start else "", sources)


def _selected(select: str, sources: Sequence[Source]) -> Iterator[Column]:
    start = _SELECT.match(select)
    for item in _items(select[start.end() :]) if start else ():
        if star := _STAR.fullmatch(item):
            wanted = star[1].lower() if star[1] else None
            for source in sources:
                if wanted in (None, source.reference):
                    yield from source.table.columns
        elif name := _FUNCTION.fullmatch(item) or _LAST_NAME.search(item):
            shown = _unquoted(name[1])
            found = [column for each in sources for column in each.table.columns if column.name == shown]
            yield found[0] if found else Column(shown, "", nullable=True)


def _items(text: str) -> Iterator[str]:
    """Yield the parts of a SELECT's list."""
    depth = start = place = 0
    while place < len(text):
        if depth == 0 and (text[place] == "," or _END_OF_LIST.match(text, place)):
            yield text[start:place].strip()
            if text[place] != ",":
                return
            start = place + 1
        depth += {"(": 1, ")": -1}.get(text[place], 0)
        place += 1
    yield text[start:].strip()


def _unquoted(name: str) -> str:
    """Return a name as PostgreSQL stores it: in lower case unless it is quoted."""
    parts = parse_name(name)
    shown = parts[-1] if parts else ""
    return shown if name.rstrip().endswith('"') else shown.lower()


_COMPARED: Final = re.compile(
    rf"((?:{NAME}\.)?{NAME})(?:\s*(?:=|<>|!=)|(?:\s+not)?\s+in\s*\((?:\s*'(?:[^']|'')*'\s*,)*)\s*$",
    re.IGNORECASE,
)
_STRING: Final = re.compile(r"(?:[ebxn]|u&)?'|\$", re.IGNORECASE)


def find_open_string(sql: str) -> int | None:
    """Return the start of the string that the text does not close; None if there is none."""
    try:
        for _ in tokenize(sql):
            pass
    except SqlRejectedError as error:
        if error.position is not None and _STRING.match(sql, error.position):
            return error.position
    return None


def listed_values(head: str, sources: Sequence[Source]) -> list[tuple[str, str]]:
    """Return the values of the column that is compared at the end of a text, each with the column's type."""
    found = _COMPARED.search(head)
    if found is None:
        return []
    for column in _named(found[1], sources):
        if values := column.enum_labels or column.values:
            kind = escape_untrusted(column.type)
            # A value that escaping changes is not offered, because SQL would compare with another value.
            return [(value, kind) for value in values if escape_untrusted(value) == value]
    return []


def quoted_values(head: str, word: str, sources: Sequence[Source]) -> Iterator[tuple[str, str]]:
    """Yield the values that begin with a word, as literals."""
    for value, kind in listed_values(head, sources):
        if value.lower().startswith(word.lower()):
            yield "'" + value.replace("'", "''") + "'", kind


def _named(name: str, sources: Sequence[Source]) -> Iterator[Column]:
    *qualifier, wanted = (part.lower() for part in parse_name(name))
    for source in sources:
        references = [list(parse_name(each))[-1:] for each in (source.reference, source.name)]
        if qualifier and qualifier not in references:
            continue
        for column in source.table.columns:
            if column.name.lower() == wanted and not column.type.endswith("[]"):
                yield column
