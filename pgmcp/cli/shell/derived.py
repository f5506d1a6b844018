"""Finds the columns of WITH queries and of subqueries, also while they are being typed."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from pgmcp.catalog.catalog import Catalog, Column, Table, TableKind
from pgmcp.catalog.identifiers import parse_name
from pgmcp.cli.shell.sources import NAME, NO_ALIAS, Source, find_sources

_WITH: Final = re.compile(
    rf"({NAME})\s*(?:\(([^()]*)\)\s*)?\bas\s+(?:(?:not\s+)?materialized\s+)?\((?=\s*select\b)", re.IGNORECASE
)
_SUBQUERY: Final = re.compile(r"(?:\bfrom|\bjoin|\blateral|,)\s*\((?=\s*select\b)", re.IGNORECASE)
_ALIAS: Final = re.compile(rf"\)\s*(?:as\s+)?{NO_ALIAS}({NAME})(?:\s*\(([^()]*)\))?", re.IGNORECASE)
_SELECT: Final = re.compile(r"\s*select\s+(?:all\s+|distinct\s+(?:on\s*\([^()]*\)\s*)?)?", re.IGNORECASE)
_END_OF_LIST: Final = re.compile(
    r"\b(?:from|where|group|union|intersect|except|order|limit)\b", re.IGNORECASE
)
_STAR: Final = re.compile(rf"(?:({NAME})\s*\.\s*)?\*", re.IGNORECASE)
_FUNCTION: Final = re.compile(rf"(?:{NAME}\.)?({NAME})\s*\(.*\)", re.IGNORECASE | re.DOTALL)
_LAST_NAME: Final = re.compile(rf"(?:^|[\s).:])({NAME})$", re.IGNORECASE)
_TEXT: Final = re.compile(r"'(?:[^']|'')*'?|--[^\n]*|/\*.*?(?:\*/|$)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Derived:
    """The tables that a statement defines itself.

    Attributes:
        queries: WITH queries, by name in lower case.
        subqueries: those in FROM, by their alias.
    """

    queries: dict[str, Table]
    subqueries: list[Source]


def find_derived(statement: str, catalog: Catalog) -> Derived:
    """Return the WITH queries and subqueries of a statement; an unclosed one ends with the statement."""
    text = _TEXT.sub(lambda found: "'" + " " * (len(found[0]) - 1), statement)
    derived = Derived({}, [])
    for found in _WITH.finditer(text):
        body = text[found.end() : _closing(text, found.end())]
        table = _table(found[1], found[2], body, catalog, derived.queries)
        derived.queries[table.name.lower()] = table
    for found in _SUBQUERY.finditer(text):
        end = _closing(text, found.end())
        if alias := _ALIAS.match(text, end):
            table = _table(alias[1], alias[2], text[found.end() : end], catalog, derived.queries)
            derived.subqueries.append(Source(table, alias[1].lower(), ""))
    return derived


def _closing(text: str, start: int) -> int:
    """Return the position of the parenthesis that closes the one before `start`, or the end of the text."""
    depth = 1
    for place in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[place], 0)
        if depth == 0:
            return place
    return len(text)


def _table(name: str, names: str | None, body: str, catalog: Catalog, queries: dict[str, Table]) -> Table:
    columns = list(_outputs(body, find_sources(body, catalog, queries)))
    for place, given in enumerate(names.split(",") if names else ()):
        if shown := _unquoted(given):
            column = Column(shown, columns[place].type if place < len(columns) else "", nullable=True)
            columns[place : place + 1] = [column]
    return Table("", _unquoted(name), TableKind.VIEW, "", tuple(columns))


def _outputs(body: str, sources: Sequence[Source]) -> Iterator[Column]:
    """Yield the output columns of a SELECT that have a name."""
    start = _SELECT.match(body)
    for item in _items(body[start.end() :]) if start else ():
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
