r"""Completes the word at the cursor: tables, columns, keywords, commands.

    \d or          tables that begin with "or"
    from sal       tables and schemas
    sales.in       tables of the schema
    o.st           columns of the table, or of the table with this alias
    from rec       WITH queries of the statement; their columns, and those of subqueries, are known
    where st       columns of the tables in the statement, then keywords
    select st      the same; columns of all tables if the statement names none yet
    status = '     values of the column, if the catalog lists them
    on             the condition that a foreign key gives, then columns

The catalog is the one that was read last; nothing is read to complete a word.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from pgmcp.catalog.catalog import Catalog, Table, TableKind
from pgmcp.catalog.identifiers import parse_name
from pgmcp.catalog.rendering import column_name
from pgmcp.cli.catalog_commands import KINDS_BY_COMMAND
from pgmcp.cli.shell.inputs import InputKind, kind_of
from pgmcp.cli.shell.sources import (
    DefinedTables,
    Source,
    find_defined_tables,
    find_open_string,
    find_sources,
    listed_values,
    quoted_values,
)
from pgmcp.quoting import quote_identifier
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
_WORD_AT_CURSOR: Final = re.compile(r'(?:[\w$]|"[^"]*"|\.)*$')
_OPEN_NAME_AT_CURSOR: Final = re.compile(r'(?:[\w$]|"[^"]*"|\.)*"[^"]*$')
_CONTEXT: Final = re.compile(
    r"\b(select|from|join|table|where|on|by|having|using|limit|offset)\b", re.IGNORECASE
)
_EXPECTS_TABLE: Final = re.compile(
    r"\b(?:from|join|table)\s+(?:only\s+|lateral\s+)?$|\bfrom\b[^()]*,\s*$", re.IGNORECASE
)
_EXPECTS_BY: Final = re.compile(r"\b(?:order|(?<!within\s)group|partition)\s+$", re.IGNORECASE)
_EXPECTS_COLUMN: Final = re.compile(
    r"\b(?:select|distinct|where|and|or|not|on|by|having|when|then|else|between)\s+$|[(,=<>+*/|-]\s*$",
    re.IGNORECASE,
)
_CONTEXTS_OF_COLUMNS: Final = frozenset(("select", "where", "on", "by", "having"))
_MAX_COLUMNS: Final = 200
"""Maximum number of columns that are offered for a statement that names no table yet."""

_COMMAND: Final = re.compile(r"\s*(\\[\w?]*\+?)(\s+)?")
_ALL_KINDS: Final = tuple(TableKind)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A text that can replace the word at the cursor.

    Attributes:
        replaces: how many characters before the cursor it replaces.
        meaning: its kind, such as "table", or a column's type.
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
        after: text after the cursor, which may name the tables.
        catalog: None if none has been read yet.
    """
    command = _COMMAND.match(before)
    if command is not None:
        return list(_complete_command(before, command, catalog, commands, databases))
    string_start = find_open_string(before) if kind_of(before) is InputKind.SQL else None
    if string_start is not None:
        return list(_complete_string(before, string_start, after, catalog)) if catalog else []
    word = _word_before(before)
    head = before[: len(before) - len(word)]
    if catalog is None:
        is_keyword = word and not _EXPECTS_TABLE.search(head)
        return _matching(_keywords(word), word) if is_keyword else []
    return _complete_sql(head, word, before + after, catalog)


def _complete_sql(head: str, word: str, statement: str, catalog: Catalog) -> list[Candidate]:
    """Return the candidates for a word that follows `head` in a statement."""
    qualifier, dot, prefix = word.rpartition(".")
    derived = find_defined_tables(statement, catalog)
    sources = [*find_sources(statement, catalog, derived.queries), *derived.subqueries]
    queries = [
        (escape_untrusted(quote_identifier(each.name)), "WITH query") for each in derived.queries.values()
    ]
    context = [found[1].lower() for found in _CONTEXT.finditer(head)][-1:]
    expects_join = context == ["on"] and _EXPECTS_COLUMN.search(head)
    named = list(_joins(sources, word)) if expects_join else []
    if dot:
        return [*_matching(named, word), *_matching(_qualified(qualifier, sources, derived, catalog), prefix)]
    if _EXPECTS_TABLE.search(head) and context != ["select"]:
        related = _related(sources, catalog) if context == ["join"] else ()
        return _matching([*queries, *related, *_tables_and_schemas(catalog)], word)
    if _EXPECTS_BY.search(head):
        return _matching([("BY" if word.isupper() else "by", "")], word)
    if not word and not _EXPECTS_COLUMN.search(head):
        return []
    values = [Candidate(text, len(word), meaning) for text, meaning in quoted_values(head, word, sources)]
    if sources:
        named += _columns_of(sources)
    elif context and context[0] in _CONTEXTS_OF_COLUMNS:
        named += [found for each in derived.queries.values() for found in _columns(each)]
        named += _all_columns(catalog)
    named += [(each.reference, f"alias of {each.name}") for each in sources if each.alias]
    if word:
        named += [*_keywords(word), *queries, *_tables_and_schemas(catalog)]
    return [*values, *_matching(named, word)]


def _complete_string(before: str, start: int, after: str, catalog: Catalog) -> Iterator[Candidate]:
    """Yield the values of the compared column; none in E'…', U&'…' and dollar-quoted strings."""
    if before[start] != "'":
        return
    head, typed = before[:start], before[start + 1 :]
    end = "" if after.startswith("'") else "'"
    for value, meaning in listed_values(head, find_sources(f"{head} {after}", catalog)):
        text = value.replace("'", "''")
        if text.lower().startswith(typed.lower()) and text + end != typed:
            yield Candidate(text + end, len(typed), meaning)


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
    elif (kinds := KINDS_BY_COMMAND.get(name[1:].rstrip("+"))) is not None and catalog is not None:
        schema, dot, prefix = word.rpartition(".")
        named = _tables_of(schema, catalog, kinds) if dot else _tables_and_schemas(catalog, kinds)
        yield from _matching(named, prefix)


def _word_before(before: str) -> str:
    is_open = before.count('"') % 2 == 1
    word = (_OPEN_NAME_AT_CURSOR if is_open else _WORD_AT_CURSOR).search(before)
    return word[0] if word else ""


def _matching(named: Iterable[tuple[str, str]], prefix: str) -> list[Candidate]:
    """Return the names that begin with a prefix, without regard to case, quotes and a qualifier."""
    folded = prefix.lower().lstrip('"')
    found: dict[str, str] = {}
    for name, meaning in named:
        parts = (name, name.rpartition(".")[2])
        if name != prefix and any(part.lower().lstrip('"').startswith(folded) for part in parts):
            found.setdefault(name, meaning)
    return [Candidate(name, len(prefix), meaning) for name, meaning in found.items()]


def _keywords(word: str) -> Iterator[tuple[str, str]]:
    """Yield the keywords, in upper case if the word is."""
    is_upper = word.isupper()
    yield from ((keyword.upper() if is_upper else keyword, "") for keyword in _KEYWORDS)


def _tables_and_schemas(
    catalog: Catalog, kinds: Collection[TableKind] = _ALL_KINDS
) -> Iterator[tuple[str, str]]:
    wanted = [table for table in catalog.tables if table.kind in kinds]
    for table in wanted:
        yield catalog.display_name(table), table.kind.value
    for schema in dict.fromkeys(table.schema for table in wanted):
        yield escape_untrusted(quote_identifier(schema)), "schema"


def _qualified(
    qualifier: str, sources: Sequence[Source], derived: DefinedTables, catalog: Catalog
) -> Iterator[tuple[str, str]]:
    """Yield what can follow `qualifier.`: columns of a table, alias or WITH query, tables of a schema."""
    wanted = qualifier.lower()
    found = [each.table for each in sources if wanted in (each.reference, each.name)]
    table = found[0] if found else derived.queries.get(wanted.strip('"')) or catalog.find(qualifier)
    if table is not None:
        yield from _columns(table)
    yield from _tables_of(qualifier, catalog)


def _tables_of(
    schema: str, catalog: Catalog, kinds: Collection[TableKind] = _ALL_KINDS
) -> Iterator[tuple[str, str]]:
    wanted = [part.lower() for part in parse_name(schema)]
    for table in catalog.tables:
        if [table.schema.lower()] == wanted and table.kind in kinds:
            yield escape_untrusted(quote_identifier(table.name)), table.kind.value


def _columns(table: Table) -> Iterator[tuple[str, str]]:
    for column in table.columns:
        yield column_name(None, table, column), escape_untrusted(column.type)


def _columns_of(sources: Sequence[Source]) -> Iterator[tuple[str, str]]:
    """Yield the columns of several tables; one that two of them have is qualified."""
    counts = Counter(name for each in sources for name, _ in _columns(each.table))
    for each in sources:
        for name, meaning in _columns(each.table):
            yield (f"{each.reference}.{name}" if counts[name] > 1 else name), meaning


def _all_columns(catalog: Catalog) -> list[tuple[str, str]]:
    """Return the columns of all tables: those on the search path first, frequent ones before rare ones."""
    tables_by_column: dict[str, list[Table]] = {}
    for table in catalog.tables:
        for name, _ in _columns(table):
            tables_by_column.setdefault(name, []).append(table)

    def rank(column: tuple[str, list[Table]]) -> tuple[bool, int]:
        _, tables = column
        return all(table.schema not in catalog.search_path for table in tables), -len(tables)

    return [
        (name, catalog.display_name(tables[0]) if len(tables) == 1 else f"{len(tables)} tables")
        for name, tables in sorted(tables_by_column.items(), key=rank)[:_MAX_COLUMNS]
    ]


def _related(sources: Sequence[Source], catalog: Catalog) -> Iterator[tuple[str, str]]:
    """Yield the tables with a foreign key to or from the tables that the statement reads."""
    read = {(each.table.schema, each.table.name) for each in sources}
    referenced = {
        (key.referenced_schema, key.referenced_table) for each in sources for key in each.table.foreign_keys
    }
    for table in catalog.tables:
        keys = {(key.referenced_schema, key.referenced_table) for key in table.foreign_keys}
        if (table.schema, table.name) in referenced or keys & read:
            yield catalog.display_name(table), table.kind.value


def _joins(sources: Sequence[Source], word: str) -> Iterator[tuple[str, str]]:
    """Yield the conditions that foreign keys give between the last table and those before it.

    The sides of a condition are swapped if the left side does not begin with the word.
    """
    for other in sources[:-1]:
        for one, two in ((sources[-1], other), (other, sources[-1])):
            for key in one.table.foreign_keys:
                if (key.referenced_schema, key.referenced_table) != (two.table.schema, two.table.name):
                    continue
                pairs = zip(key.columns, key.referenced_columns, strict=True)
                sides = [_sides(one, two, pair) for pair in pairs]
                if not sides[0][0].lower().startswith(word.lower()):
                    sides = [(right, left) for left, right in sides]
                yield " and ".join(f"{left} = {right}" for left, right in sides), "foreign key"


def _sides(one: Source, two: Source, columns: tuple[str, str]) -> tuple[str, str]:
    names = [escape_untrusted(quote_identifier(column)) for column in columns]
    return f"{one.reference}.{names[0]}", f"{two.reference}.{names[1]}"
