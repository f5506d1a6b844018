"""Reads all files of one import, and lets PostgreSQL plan the SQL of their entries, through all guards."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pgmcp.catalog.catalog import Catalog
from pgmcp.errors import ExecutionError, PgmcpError, SqlRejectedError
from pgmcp.knowledge.cube import read_cubes
from pgmcp.knowledge.dbt import read_manifest, read_semantics
from pgmcp.knowledge.entries import Entry, Knowledge, LeftOut, Origin, Section, items_of, one_line
from pgmcp.knowledge.files import Document, Format, read_documents
from pgmcp.knowledge.notes import read_comments
from pgmcp.knowledge.ossie import read_ossie
from pgmcp.knowledge.tables import Tables

Explain = Callable[[str], Awaitable[object]]
"""Plans a statement, after all guards; raises an error with the reason if it cannot be planned."""


@dataclass(frozen=True, slots=True)
class Imported:
    """The result of an import: entries whose SQL PostgreSQL can plan, and the parts that were left out."""

    entries: tuple[Entry, ...]
    left_out: tuple[LeftOut, ...]
    remarks: tuple[str, ...]


def read_knowledge(
    paths: Sequence[Path],
    catalog: Catalog,
    schemas: Mapping[str, str],
    comments: Sequence[Sequence[Any]] = (),
) -> tuple[list[Knowledge], list[LeftOut]]:
    """Return the knowledge in each file, and the files that were left out.

    Args:
        schemas: the schema of this database for each schema that the files name.
        comments: rows of `COMMENTS_SQL`.

    Raises:
        SettingsError: a file cannot be read or is of no known format.
    """
    documents, left_out = read_documents(paths)
    tables = Tables(catalog, schemas)
    cubes: Sequence[Mapping[str, Any]] = [
        cube
        for document in documents
        if document.format is Format.CUBE
        for cube in items_of(document.data.get("cubes"))
    ]
    # Metrics are read first; the descriptions of `manifest.json` then add to them.
    ordered = sorted(documents, key=lambda document: document.format is Format.DBT_MANIFEST)
    has_semantics = any(document.format is Format.DBT_SEMANTICS for document in documents)
    found = [_read(document, tables, cubes, has_semantics=has_semantics) for document in ordered]
    if comments:
        found.append(read_comments(comments, tables))
    return found, left_out


def _read(
    document: Document, tables: Tables, cubes: Sequence[Mapping[str, Any]], *, has_semantics: bool
) -> Knowledge:
    match document.format:
        case Format.DBT_SEMANTICS:
            return read_semantics(document.data, tables)
        case Format.DBT_MANIFEST:
            return read_manifest(document.data, tables, has_semantics=has_semantics)
        case Format.OSSIE:
            return read_ossie(document.data, tables)
        case Format.CUBE:
            return read_cubes(document.data, tables, cubes)


async def check_knowledge(
    found: Sequence[Knowledge], left_out: Sequence[LeftOut], explain: Explain
) -> Imported:
    """Return the entries that PostgreSQL can plan; if several have the same name, only the first.

    Raises:
        PgmcpError: statements cannot be checked at all.
    """
    entries = _without_duplicates([entry for knowledge in found for entry in knowledge.entries()])
    kept, unplanned = await keep_plannable(entries, explain)
    every = [*left_out, *(each for knowledge in found for each in knowledge.left_out), *unplanned]
    remarks = [text for knowledge in found for text in knowledge.remarks]
    return Imported(tuple(kept), tuple(dict.fromkeys(every)), tuple(dict.fromkeys(remarks)))


def _without_duplicates(entries: Iterable[Entry]) -> list[Entry]:
    by_key: dict[tuple[Section, str], Entry] = {}
    for entry in entries:
        by_key.setdefault((entry.section, entry.name), entry)
    return list(by_key.values())


async def keep_plannable(entries: Sequence[Entry], explain: Explain) -> tuple[list[Entry], list[LeftOut]]:
    """Return the entries whose SQL PostgreSQL can plan, and those that were left out.

    A term whose SQL cannot be planned keeps its description in words, if it has one. Each statement is
    planned once.

    Raises:
        PgmcpError: statements cannot be checked at all, for example because there is no connection.
    """
    kept: list[Entry] = []
    left_out: list[LeftOut] = []
    reason_by_sql: dict[str, str] = {}
    for entry in entries:
        if entry.check and entry.check not in reason_by_sql:
            reason_by_sql[entry.check] = await _reason(entry.check, explain)
        reason = reason_by_sql.get(entry.check, "") if entry.check else ""
        if not reason:
            kept.append(entry)
            continue
        if entry.section is not Section.VERIFIED or entry.origin is Origin.DRAFT:
            left_out.append(LeftOut(f"SQL of {entry.section}: {entry.name}", reason))
        if entry.without_sql and entry.without_sql != entry.name:
            kept.append(replace(entry, text=entry.without_sql, check=""))
    return kept, left_out


async def _reason(sql: str, explain: Explain) -> str:
    """Return why a statement cannot be planned; "" if it can."""
    try:
        await explain(sql)
    except (SqlRejectedError, ExecutionError) as error:
        if _ends_the_check(error):
            raise
        return one_line(f"PostgreSQL cannot plan it: {error}", 300)
    return ""


def _ends_the_check(error: PgmcpError) -> bool:
    """Return whether an error, such as a lost connection, prevents the check of all statements."""
    return error.code.value not in ("rejected", "statement_failed", "too_expensive", "timeout")
