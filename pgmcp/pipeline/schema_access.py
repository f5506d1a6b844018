"""Searches the schemas of one or all databases for callers, reads them again, and limits reads of resources.

A database that is down does not affect the others.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from pgmcp.argument_bounds import check_search
from pgmcp.catalog.cache import CatalogChange
from pgmcp.catalog.catalog import Catalog, Table
from pgmcp.catalog.hidden import UNREADABLE, HiddenRelation
from pgmcp.catalog.identifiers import parse_name
from pgmcp.errors import DeadlineExceededError, InvalidArgumentError, PgmcpError, UnknownDatabaseError
from pgmcp.identity import Principal
from pgmcp.lookup.search import search
from pgmcp.pipeline.admission import Calls
from pgmcp.pipeline.call import Database, Operation
from pgmcp.pipeline.databases import Databases
from pgmcp.quoting import quote_identifier
from pgmcp.untrusted import escape_untrusted

_SHARE_OF_TIMEOUT: Final = 0.8
"""Share of a call's time limit after which one of several databases counts as failed."""

_MIN_FOUND_TABLES: Final = 3
"""Minimum number of tables from each database in a search."""

_HIDDEN_HINT: Final = "a statement may name it; search_schema without arguments lists all others"


@dataclass(frozen=True, slots=True)
class FoundTables:
    """Tables found in one database, and its catalog."""

    catalog: Catalog
    tables: list[Table]


_SEARCH_PATIENCE_S: Final = 5.0
"""How much longer than the first database the others may take in a search, because one may be down."""


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """The results of the same task on several databases.

    Attributes:
        results: the results by database, in the order of the settings.
        errors: the errors of the databases without a result.
    """

    results: dict[str, T]
    errors: dict[str, PgmcpError]


class SchemaAccess:
    """Finds tables for callers, and reads catalogs again."""

    def __init__(self, databases: Databases, calls: Calls) -> None:
        self._databases = databases
        self._calls = calls

    async def find_tables(
        self,
        text: str,
        *,
        database: str | None,
        names: Sequence[str],
        limit: int,
        caller: str = "",
        principal: Principal | None = None,
        operation: Operation = Operation.SEARCH_SCHEMA,
    ) -> tuple[Catalog, list[Table]]:
        """Return the catalog and the requested tables.

        Args:
            text: words to search for; "" means every table.
            database: the database's name; None for the default one.
            names: exactly these tables instead, as `table`, `schema.table` or `database.schema.table`.
            limit: maximum number of tables that a search for words returns.
            caller: the host's name and version; "" if it gave none.
            principal: the authenticated user; None without authentication.
            operation: what the caller does, for the observers.

        Raises:
            InvalidArgumentError: a name does not exist; the hint has similar names. Or the arguments are too
                long.
            PgmcpError: the database may not be served or could not be read, or a limit was reached.
        """
        check_search(text, names)
        call = self._calls.begin(operation, database, caller, principal)
        with self._calls.bounded(call):
            await self._calls.admit(call)
            served = await self._databases.serve(database, principal)
            call.role = served.role_name
            catalog = await served.schema.get()
            names = _without_database(names, served.name)
            return catalog, await _find_in_one(served, catalog, text, names, limit)

    async def find_tables_in_all(
        self,
        text: str,
        *,
        names: Sequence[str],
        limit: int,
        caller: str = "",
        principal: Principal | None = None,
    ) -> Outcome[FoundTables]:
        """Return the requested tables by database; arguments as for `find_tables`.

        Raises:
            InvalidArgumentError: all databases were searched, and a name is in none of them.
            PgmcpError: no database could be searched.
        """
        check_search(text, names)
        limit = max(_MIN_FOUND_TABLES, limit // len(self._databases.names))

        async def find(name: str) -> FoundTables:
            catalog = await self._databases.catalog(name, principal)
            return FoundTables(
                catalog, await _find_known(catalog, text, _without_database(names, name), limit)
            )

        call = self._calls.begin(Operation.SEARCH_SCHEMA, None, caller, principal)
        with self._calls.bounded(call):
            await self._calls.admit(call)
            outcome = await run_on_each(
                self._databases.names, find, timeout_s=self._each_timeout_s, patience_s=_SEARCH_PATIENCE_S
            )
            if not outcome.errors:
                databases = {
                    name: self._databases.get(name).for_principal(principal) for name in outcome.results
                }
                await _refuse_unknown(names, outcome.results, databases)
            return outcome

    async def refresh(
        self, database: str | None, *, caller: str = "", principal: Principal | None = None
    ) -> Outcome[CatalogChange]:
        """Read the catalog and the function policy of one database or of all again.

        Return what changed in the catalogs, by database.


        Raises:
            PgmcpError: no database could be read.
        """

        async def refresh_one(name: str) -> CatalogChange:
            served = await self._databases.serve(name, principal)
            change = await served.schema.refresh()
            await served.functions.refresh()
            return change

        call = self._calls.begin(Operation.REFRESH_SCHEMA, database, caller, principal)
        with self._calls.bounded(call):
            await self._calls.admit(call)
            names = self._databases.names if database is None else [database]
            return await run_on_each(names, refresh_one, timeout_s=self._each_timeout_s)

    @contextmanager
    def reading(
        self, database: str | None, *, caller: str = "", principal: Principal | None = None
    ) -> Iterator[None]:
        """Report the read of a resource to the observers, and end it if it takes too long.

        Args:
            database: None for a stored result, which does not name its database.
        """
        call = self._calls.begin(Operation.READ_RESOURCE, database, caller, principal)
        with self._calls.bounded(call):
            if database is not None:
                call.role = self._databases.role_of(database, principal)
            yield

    @property
    def _each_timeout_s(self) -> float:
        """The time limit of each database in seconds. It is shorter than the call's, so others can answer."""
        return self._calls.timeout_s * _SHARE_OF_TIMEOUT


async def _find_in_one(
    database: Database, catalog: Catalog, text: str, names: Sequence[str], limit: int
) -> list[Table]:
    """Return the tables with these names; without names, those that match the text, or all without a text.

    Raises:
        InvalidArgumentError: a name is not in the catalog. The message says if the relation exists, or the
            hint has similar names.
    """
    if not names:
        return await _find_known(catalog, text, names, limit)
    missing = [name for name in names if catalog.find(name) is None]
    hidden = await database.find_hidden(missing, catalog) if missing else []
    if hidden:
        raise InvalidArgumentError("; ".join(each.describe() for each in hidden), hint=_hint_for(hidden))
    return [_existing_table(catalog, name) for name in names]


async def _find_known(catalog: Catalog, text: str, names: Sequence[str], limit: int) -> list[Table]:
    """Return the same as `_find_in_one`, but leave out names that are not in the catalog."""
    if names:
        return [table for given in names if (table := catalog.find(given)) is not None]
    if text.strip():
        return await asyncio.to_thread(search, catalog, text, limit)
    return list(catalog.tables)


async def _refuse_unknown(
    names: Sequence[str], found: Mapping[str, FoundTables], databases: Mapping[str, Database]
) -> None:
    """Raise an error for the first of the names that no database has.

    Raises:
        InvalidArgumentError: the message says which database has the relation but leaves it out of its
            catalog; or the hint has similar names.
    """
    for name in names:
        names_by_database = {database: _without_database([name], database) for database in found}
        if any(each.catalog.find(*names_by_database[database]) for database, each in found.items()):
            continue
        for database, each in found.items():
            for relation in await databases[database].find_hidden(names_by_database[database], each.catalog):
                raise InvalidArgumentError(
                    f"database {database}: {relation.describe()}", hint=_hint_for([relation])
                )
        _existing_table(next(iter(found.values())).catalog, name)


def _without_database(names: Sequence[str], database: str) -> list[str]:
    """Return names without the first part of `database.schema.table` if it is the configured database."""
    parts_by_name = {name: parse_name(name) for name in names}
    return [
        ".".join(map(quote_identifier, parts[1:])) if len(parts) == 3 and parts[0] == database else name
        for name, parts in parts_by_name.items()
    ]


def _hint_for(hidden: Sequence[HiddenRelation]) -> str:
    if all(relation.reason == UNREADABLE for relation in hidden):
        return "an administrator can grant SELECT on it; search_schema without arguments lists all others"
    return _HIDDEN_HINT


def _existing_table(catalog: Catalog, name: str) -> Table:
    if (table := catalog.find(name)) is not None:
        return table
    near = ", ".join(catalog.display_name(table) for table in catalog.nearest(name))
    hint = f"near: {near}" if near else "search_schema without arguments lists all"
    if len(catalog.parts_in_database(name)) == 3:
        own = escape_untrusted(catalog.database)
        hint = (
            f"three parts mean database.schema.table, and this database is {own}; write schema.table; {hint}"
        )
    raise InvalidArgumentError(f"no table is called {name!r}", hint=hint)


async def run_on_each(
    names: Sequence[str],
    work: Callable[[str], Awaitable[T]],
    *,
    timeout_s: float,
    patience_s: float | None = None,
) -> Outcome[T]:
    """Run `work` for each database at the same time.

    Args:
        names: the databases' names.
        work: called with each name.
        timeout_s: timeout for each database; one that needs longer counts as failed.
        patience_s: how much longer than the first result the others may take; None: as long as `timeout_s`.

    Raises:
        PgmcpError: the first error, if every database failed.
    """
    tasks = _Tasks[T](timeout_s, patience_s)
    await asyncio.gather(*(tasks.run(name, work) for name in names))
    results, errors = tasks.results, tasks.errors
    for name, error in errors.items():
        if not isinstance(error, UnknownDatabaseError):
            error.database = error.database or name
    if not results:
        raise next(errors[name] for name in names)
    return Outcome(
        {name: results[name] for name in names if name in results},
        {name: errors[name] for name in names if name in errors},
    )


class _Tasks(Generic[T]):
    """The tasks of several databases, and the time that each has left."""

    def __init__(self, timeout_s: float, patience_s: float | None) -> None:
        self._timeout_s = timeout_s
        self._patience_s = patience_s
        self._running: dict[str, asyncio.Timeout] = {}
        self.results: dict[str, T] = {}
        self.errors: dict[str, PgmcpError] = {}

    async def run(self, name: str, work: Callable[[str], Awaitable[T]]) -> None:
        try:
            async with asyncio.timeout(self._timeout_s) as self._running[name]:
                self.results[name] = await work(name)
        except TimeoutError:
            self.errors[name] = _too_slow(self._timeout_s, self._patience_s if self.results else None)
        except PgmcpError as error:
            self.errors[name] = error
        finally:
            del self._running[name]
        if name in self.results and len(self.results) == 1 and self._patience_s is not None:
            self._shorten_timeouts(asyncio.get_running_loop().time() + self._patience_s)

    def _shorten_timeouts(self, until_s: float) -> None:
        for timeout in self._running.values():
            if until_s < (timeout.when() or until_s):
                timeout.reschedule(until_s)


def _too_slow(timeout_s: float, patience_s: float | None) -> DeadlineExceededError:
    if patience_s is None or patience_s >= timeout_s:
        return DeadlineExceededError(f"its schema could not be read within {timeout_s:g} s")
    return DeadlineExceededError(
        f"its schema was not read within {patience_s:g} s of another database's",
        hint="name this database to wait for it",
    )
