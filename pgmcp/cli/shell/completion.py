r"""Offers what can stand at the cursor: tables, columns, keywords, commands.

    \d or          tables that begin with "or"
    from sal       tables and schemas
    sales.in       tables of the schema
    o.st           columns of the table, or of the table with this alias
    where st       columns of the tables in the statement, then keywords

The catalog is the one that was read last; nothing is read to complete a word.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from pgmcp.catalog.catalog import Catalog, Table
from pgmcp.catalog.identifiers import parse_name, quote_identifier
from pgmcp.catalog.rendering import column_name
from pgmcp.untrusted import escape_untrusted

_KEYWORD_TEXT: Final = """
select distinct from where group by having order limit offset fetch join left right full inner cross lateral
on using as and or not in is null like ilike between exists case when then else end union all intersect
except with recursive values table explain analyze show over partition rows range filter within asc desc
nulls first last true false any some cast extract interval date timestamp current_date now count sum avg
min max coalesce nullif greatest least round date_trunc to_char string_agg array_agg row_number rank lag
lead generate_series
"""
_KEYWORDS: Final = tuple(_KEYWORD_TEXT.split())
_WORD_AT_CURSOR: Final = re.compile(r'(?:[\w$]|"[^"]*"|"[^"]*$|\.)*$')
_NAME: Final = r'(?:[^\W\d][\w$]*|"[^"]+")'
_SOURCE: Final = re.compile(
    rf"\b(?:from|join|table|,)\s+(?:only\s+|lateral\s+)?({_NAME}(?:\.{_NAME})?)(?:\s+(?:as\s+)?({_NAME}))?",
    re.IGNORECASE,
)
_CLAUSE_TEXT: Final = """
where group order having limit offset fetch join left right full inner cross on using natural union
intersect except for window tablesample as
"""
_CLAUSES: Final = frozenset(_CLAUSE_TEXT.split())
"""Words after a table that are no alias."""
_EXPECTS_TABLE: Final = re.compile(r"\b(?:from|join|table)\s+(?:only\s+|lateral\s+)?$", re.IGNORECASE)
_COMMAND: Final = re.compile(r"\s*(\\[\w?]*\+?)(\s+)?")
_COMMANDS_OF_TABLES: Final = ("\\d", "\\dt", "\\dv")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A text that can replace the word at the cursor.

    Attributes:
        replaces: how many characters before the cursor it replaces.
        meaning: what it is, such as "table" or a column's type.
    """

    text: str
    replaces: int
    meaning: str = ""


def complete(
    before: str,
    after: str,
    catalog: Catalog | None,
    *,
    commands: Sequence[str] = (),
    databases: Sequence[str] = (),
) -> list[Candidate]:
    """Return the candidates for the word at the cursor.

    Args:
        before: text before the cursor.
        after: text behind it, which may name the tables.
        catalog: None if none has been read yet.
    """
    command = _COMMAND.match(before)
    if command is not None:
        return list(_complete_command(before, command, catalog, commands, databases))
    word = _word_before(before)
    qualifier, dot, prefix = word.rpartition(".")
    if dot:
        return _matching(_qualified(qualifier, before + after, catalog), prefix) if catalog else []
    if _EXPECTS_TABLE.search(before[: len(before) - len(word)]):
        return _matching(_tables_and_schemas(catalog), word) if catalog else []
    return _matching(_anything(before + after, catalog), word) if word else []


def _complete_command(
    before: str,
    command: re.Match[str],
    catalog: Catalog | None,
    commands: Sequence[str],
    databases: Sequence[str],
) -> Iterator[Candidate]:
    name, has_argument = command[1], command[2]
    if not has_argument:
        yield from (Candidate(each, len(name), "command") for each in commands if each.startswith(name))
        return
    word = before[command.end() :]
    if name in ("\\c", "\\connect"):
        yield from _matching(((each, "database") for each in databases), word)
    elif name.rstrip("+") in _COMMANDS_OF_TABLES and catalog is not None:
        schema, dot, prefix = word.rpartition(".")
        named = _tables_of(schema, catalog) if dot else _tables_and_schemas(catalog)
        yield from _matching(named, prefix)


def _word_before(before: str) -> str:
    word = _WORD_AT_CURSOR.search(before)
    return word[0] if word else ""


def _matching(named: Iterable[tuple[str, str]], prefix: str) -> list[Candidate]:
    """Return the names that begin with a prefix, without regard to case and quotes."""
    folded = prefix.lower().lstrip('"')
    found = {
        name: meaning
        for name, meaning in named
        if name.lower().lstrip('"').startswith(folded) and name != prefix
    }
    return [Candidate(name, len(prefix), meaning) for name, meaning in found.items()]


def _anything(statement: str, catalog: Catalog | None) -> Iterator[tuple[str, str]]:
    if catalog is not None:
        for table in _sources(statement, catalog).values():
            yield from _columns(table)
    yield from ((keyword, "") for keyword in _KEYWORDS)
    if catalog is not None:
        yield from _tables_and_schemas(catalog)


def _tables_and_schemas(catalog: Catalog | None) -> Iterator[tuple[str, str]]:
    if catalog is None:
        return
    for table in catalog.tables:
        yield catalog.display_name(table), table.kind.value
    for schema in dict.fromkeys(table.schema for table in catalog.tables):
        yield escape_untrusted(quote_identifier(schema)), "schema"


def _qualified(qualifier: str, statement: str, catalog: Catalog) -> Iterator[tuple[str, str]]:
    """Yield what can follow `qualifier.`: columns of a table or an alias, tables of a schema."""
    table = _sources(statement, catalog).get(qualifier.lower()) or catalog.find(qualifier)
    if table is not None:
        yield from _columns(table)
    yield from _tables_of(qualifier, catalog)


def _tables_of(schema: str, catalog: Catalog) -> Iterator[tuple[str, str]]:
    wanted = [part.lower() for part in parse_name(schema)]
    for table in catalog.tables:
        if [table.schema.lower()] == wanted:
            yield escape_untrusted(quote_identifier(table.name)), table.kind.value


def _columns(table: Table) -> Iterator[tuple[str, str]]:
    for column in table.columns:
        yield column_name(None, table, column), escape_untrusted(column.type)


def _sources(statement: str, catalog: Catalog) -> dict[str, Table]:
    """Return the tables that a statement reads, by name or alias in lower case."""
    found: dict[str, Table] = {}
    for name, alias in _SOURCE.findall(statement):
        table = catalog.find(name)
        if table is None:
            continue
        found[name.lower()] = table
        if alias and alias.lower() not in _CLAUSES:
            found[alias.lower()] = table
    return found
