"""Finds the tables that a caller asks for, by words or by name."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pgmcp.catalog.catalog import Catalog, Table
from pgmcp.errors import InvalidArgumentError
from pgmcp.lookup.search import search
from pgmcp.pipeline.call import Database

_HIDDEN_HINT: Final = "a statement may name it; search_schema without arguments lists all others"


@dataclass(frozen=True, slots=True)
class FoundTables:
    """Tables found in one database, and its catalog."""

    catalog: Catalog
    tables: list[Table]


async def find_in_one(
    database: Database, catalog: Catalog, text: str, names: Sequence[str], limit: int
) -> list[Table]:
    """Return the requested tables.

    Raises:
        InvalidArgumentError: a name is not in the catalog; the hint has similar names.
    """
    if not names:
        return await find_known(catalog, text, names, limit)
    missing = [name for name in names if catalog.find(name) is None]
    hidden = await database.find_hidden(missing, catalog) if missing else []
    if hidden:
        raise InvalidArgumentError("; ".join(each.describe() for each in hidden), hint=_HIDDEN_HINT)
    return [_existing_table(catalog, name) for name in names]


async def find_known(catalog: Catalog, text: str, names: Sequence[str], limit: int) -> list[Table]:
    """Return the requested tables, without names that are not in the catalog."""
    if names:
        return [table for given in names if (table := catalog.find(given)) is not None]
    if text.strip():
        return await asyncio.to_thread(search, catalog, text, limit)
    return list(catalog.tables)


async def refuse_unknown(
    names: Sequence[str], found: Mapping[str, FoundTables], databases: Mapping[str, Database]
) -> None:
    """Raise an error for the first of the names that no database has.

    Raises:
        InvalidArgumentError: says whether a database hides it, or which similar names there are.
    """
    for name in names:
        if any(each.catalog.find(name) for each in found.values()):
            continue
        for database, each in found.items():
            for relation in await databases[database].find_hidden([name], each.catalog):
                raise InvalidArgumentError(f"database {database}: {relation.describe()}", hint=_HIDDEN_HINT)
        _existing_table(next(iter(found.values())).catalog, name)


def _existing_table(catalog: Catalog, name: str) -> Table:
    if (table := catalog.find(name)) is not None:
        return table
    near = ", ".join(catalog.display_name(table) for table in catalog.nearest(name))
    raise InvalidArgumentError(
        f"no table is called {name!r}",
        hint=f"near: {near}" if near else "search_schema without arguments lists all",
    )
