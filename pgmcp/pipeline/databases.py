"""Finds configured databases by name, with what each caller may see of them."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from functools import partial

from pgmcp.catalog.catalog import Catalog
from pgmcp.errors import PgmcpError, UnknownDatabaseError, UnmappedPrincipalError
from pgmcp.generation.verified import VerifiedQuestion
from pgmcp.identity import Principal
from pgmcp.pipeline.call import Database, RoleCatalogListener
from pgmcp.validation.references import find_references


class Databases:
    """Finds a database by name, with the rights of a caller."""

    def __init__(self, databases: Mapping[str, Database], *, has_several: bool = False) -> None:
        """Serve these databases.

        Args:
            databases: the databases by name; the first is the default one.
            has_several: whether the settings have several databases, even if fewer are served.
        """
        self._databases = databases
        self.has_several = has_several or len(databases) > 1

    @property
    def names(self) -> list[str]:
        """The names of the configured databases, the default one first."""
        return list(self._databases)

    @property
    def have_verified_questions(self) -> bool:
        """Whether the operator has verified a question for any of the databases; may read files."""
        return any(database.context().verified for database in self._databases.values())

    def get(self, name: str | None) -> Database:
        """Return a database by name, the default one for None.

        Raises:
            UnknownDatabaseError: no database has this name.
        """
        if name is None:
            return next(iter(self._databases.values()))
        try:
            return self._databases[name]
        except KeyError:
            raise UnknownDatabaseError(name, self.names) from None

    async def serve(self, name: str | None, principal: Principal | None) -> Database:
        """Return a database by name with a caller's rights, if its role may be served.

        Raises:
            UnknownDatabaseError: no database has this name.
            UnmappedPrincipalError: the caller has no role in the database.
            RoleRefusedError: the role can do more than read, and the settings refuse such roles.
            ExecutionError: the role could not be checked.
        """
        database = self.get(name).for_principal(principal)
        await database.role.admit()
        return database

    async def catalog(self, name: str | None, principal: Principal | None = None) -> Catalog:
        """Return the catalog of a database for a caller; read it if it is not cached.

        Raises:
            PgmcpError: as `serve`, or the catalog could not be read. If there are several databases, the
                error names this one.
        """
        served = self.get(name)
        try:
            return await (await self.serve(name, principal)).schema.get()
        except PgmcpError as error:
            if self.has_several:
                error.database = error.database or served.name
            raise

    def cached_catalog(self, name: str, principal: Principal | None = None) -> Catalog | None:
        """Return the catalog that was read last for a caller's role; None if there is none.

        Never triggers a read.
        """
        database = self.get(name)
        if database.identities is None:
            return database.schema.cached
        role = self.role_of(name, principal)
        return None if role is None else database.identities.cached_catalog(role)

    def role_of(self, name: str, principal: Principal | None) -> str | None:
        """Return a caller's role in a database; None without one, or if all callers share the login role."""
        identities = self.get(name).identities
        with suppress(UnmappedPrincipalError):
            return identities.role_of(principal) if identities is not None else None
        return None

    def has_role(self, name: str, principal: Principal | None) -> bool:
        """Return whether a caller has a role in a database."""
        identities = self.get(name).identities
        return identities is None or self.role_of(name, principal) is not None

    def subscribe(self, name: str, listener: RoleCatalogListener) -> None:
        """Call `listener` after every later read of a database's catalog with any role."""
        database = self.get(name)
        if database.identities is not None:
            database.identities.subscribe(listener)
        else:
            database.schema.subscribe(partial(listener, None))

    async def verified_questions(self, name: str, principal: Principal | None = None) -> list[str]:
        """Return the questions whose SQL the operator has verified.

        If the caller has a database role, a question is left out unless its SQL names relations, and all of
        them are in the cached catalog of this role. If that catalog is not cached, no question is returned.

        Raises:
            UnmappedPrincipalError: the caller has no role in the database.
        """
        database = self.get(name).for_principal(principal)
        context = await asyncio.to_thread(database.context)
        if database.identity is None:
            return [verified.question for verified in context.verified]
        catalog = database.schema.cached
        if catalog is None:
            return []
        readable = await asyncio.to_thread(lambda: [_reads_only(each, catalog) for each in context.verified])
        return [
            each.question for each, is_readable in zip(context.verified, readable, strict=True) if is_readable
        ]


def _reads_only(verified: VerifiedQuestion, catalog: Catalog) -> bool:
    """Return whether the SQL names relations, and all of them are in the catalog."""
    references = find_references(verified.sample_sql)
    return bool(references.relations) and all(catalog.find(name) for _, name in references.relations)
