"""Gives each caller one database with the rights of the caller's role.

principal ──▶ mapping ─┬─▶ role      ──▶ schema, functions and row security, shared by all with this role
                       └─▶ identity  ──▶ the role and the caller's settings, sent with each statement
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Final

from pgmcp.catalog.cache import CatalogChange
from pgmcp.catalog.catalog import Catalog
from pgmcp.execution.identity_executor import IdentityExecutor
from pgmcp.execution.result import Identity
from pgmcp.execution.role import RolePrivileges
from pgmcp.execution.supervisor import Supervisor
from pgmcp.identity import Principal, RoleMapping
from pgmcp.pipeline.call import Database, RoleCatalogListener
from pgmcp.pipeline.protocols import RoleGate, StatementExecutor

MAX_ROLES: Final = 64
"""Maximum number of roles whose catalogs and policies are cached; the least recently used is removed."""

Close = Callable[[], Awaitable[None]]
OpenRole = Callable[[Identity, StatementExecutor], tuple[Database, Close]]
"""Creates the database with a role's rights, and a function that closes it. Reads nothing yet."""


class RoleDatabases:
    """One database with the rights of each role.

    Args:
        mapping: chooses the role and the settings of a caller.
        supervisor: runs the statements of all callers.
        open_role: called once for each role, and again after the role was removed from the cache.
    """

    def __init__(self, mapping: RoleMapping, supervisor: Supervisor, open_role: OpenRole) -> None:
        self.mapping = mapping
        self._supervisor = supervisor
        self._open_role = open_role
        self._opened: OrderedDict[str, tuple[Database, Close]] = OrderedDict()
        self._listeners: list[RoleCatalogListener] = []

    def for_principal(self, principal: Principal | None) -> Database:
        """Return the database with a caller's rights.

        Raises:
            UnmappedPrincipalError: the mapping has no role for the caller.
        """
        identity = self.mapping.identify(principal)
        database = self._of_role(identity.role)
        return replace(database, supervisor=IdentityExecutor(self._supervisor, identity), identity=identity)

    def role_of(self, principal: Principal | None) -> str:
        """Return the role of a caller.

        Raises:
            UnmappedPrincipalError: the mapping has no role for the caller.
        """
        return self.mapping.role_of(principal)

    @property
    def roles(self) -> tuple[str, ...]:
        """Every role that a caller may get."""
        return self.mapping.roles

    def example(self) -> Principal | None:
        """Return a caller who has a role; None if callers without a token have one."""
        return self.mapping.example()

    def for_role(self, role: str) -> Database:
        """Return the database with a role's rights, without claims."""
        return self._of_role(role)

    def cached_catalog(self, role: str) -> Catalog | None:
        """Return the catalog that was last read for a role; None if there is none. Never triggers a read."""
        opened = self._opened.get(role)
        return opened[0].schema.cached if opened is not None else None

    def subscribe(self, listener: RoleCatalogListener) -> None:
        """Call `listener` after every later read of a role's catalog."""
        self._listeners.append(listener)

    async def close(self) -> None:
        """Close the cached databases, which cancels the reads that are running."""
        while self._opened:
            _, (_, close) = self._opened.popitem()
            await close()

    def _of_role(self, role: str) -> Database:
        if role in self._opened:
            self._opened.move_to_end(role)
            return self._opened[role][0]
        identity = self.mapping.identity_of(role)
        opened = self._open_role(identity, IdentityExecutor(self._supervisor, identity))
        opened[0].schema.subscribe(partial(self._notify, role))
        self._opened[role] = opened
        if len(self._opened) > MAX_ROLES:
            # The removed database is not closed, because callers may wait for its reads. It starts no read
            # unless a caller asks.
            self._opened.popitem(last=False)
        return opened[0]

    def _notify(self, role: str, old: Catalog | None, new: Catalog, change: CatalogChange) -> None:
        for listener in self._listeners:
            listener(role, old, new, change)


class BothRoles:
    """Admits a database only if both roles may be served: the login role, and the caller's mapped role."""

    def __init__(self, login: RoleGate, mapped: RoleGate) -> None:
        self._login = login
        self._mapped = mapped

    async def admit(self) -> None:
        """Check that the database may be served with both roles.

        Raises:
            RoleRefusedError: one of them can do more than read, and the settings refuse such roles.
            ExecutionError: the database did not answer.
        """
        await self._login.admit()
        await self._mapped.admit()

    async def privileges(self) -> RolePrivileges:
        """Return the rights of the role that statements run with."""
        return await self._mapped.privileges()

    def probe(self) -> asyncio.Task[RolePrivileges]:
        """Start reading both roles; return the task for the role that statements run with."""
        self._login.probe()
        return self._mapped.probe()
