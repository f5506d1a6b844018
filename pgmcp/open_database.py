"""Builds the objects that serve one database (composition root)."""

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Final

from pgmcp.catalog.cache import SchemaCache
from pgmcp.catalog.catalog import Catalog
from pgmcp.catalog.introspection import read_catalog
from pgmcp.catalog.row_security import RowSecurity, read_row_security
from pgmcp.catalog.sampling import SAMPLE_LIMITS, SAMPLE_TIMEOUT_S, ColumnSamples, sample
from pgmcp.catalog.scope import CatalogScope
from pgmcp.execution.catalog_access import Fetch, Report, report_once
from pgmcp.execution.connecting import ConnectionTarget
from pgmcp.execution.credentials import RotatingPassword, ask_command, ask_file
from pgmcp.execution.identity_executor import application_name, executor_for
from pgmcp.execution.policy import PolicyReader
from pgmcp.execution.result import Identity, RowLimits, Rows, StatementOrigin
from pgmcp.execution.role import RoleCheck
from pgmcp.execution.spawn import Spawn
from pgmcp.execution.supervisor import Supervisor
from pgmcp.generation.context_check import ContextCheck
from pgmcp.generation.context_file import DatabaseContext
from pgmcp.identity import RoleEntry, RoleMapping
from pgmcp.lookup.scope_check import HiddenValuesCheck, ScopeCheck
from pgmcp.pipeline import Database
from pgmcp.pipeline.identities import BothRoles, Close, RoleDatabases
from pgmcp.pipeline.protocols import StatementExecutor
from pgmcp.refreshing_cache import RefreshingCache
from pgmcp.settings import DatabaseSettings, ServerSettings
from pgmcp.settings.address import find_address
from pgmcp.settings.conninfo import values
from pgmcp.url_file import UrlFile
from pgmcp.validation import FunctionPolicy, validate

if TYPE_CHECKING:
    from pgmcp.tunnel.tunnel import Tunnel

logger = logging.getLogger(__name__)

CATALOG_LIMITS: Final = RowLimits(max_rows=5_000_000, max_bytes=192 << 20, max_cell_bytes=16 << 20)
"""Limits of the results of catalog queries, which must be complete; only an extreme catalog exceeds them."""

CATALOG_TIMEOUT_S: Final = 60.0

MAX_CACHED_CALLERS: Final = 256
"""Number of callers whose objects are cached; those of the least recent callers are removed first."""

_ROLE_SETTINGS: Final = ("role", "session_authorization")

POLICY_REFRESH_INTERVAL_S: Final = 60.0
"""Age at which functions, views and row policies of a database are read again, which takes milliseconds."""

POLICY_MAX_AGE_S: Final = 600.0
"""If the policy is older, for example after a pause, it is read again before a statement is checked."""


def open_database(
    name: str,
    settings: DatabaseSettings,
    server: ServerSettings,
    context: Callable[[], DatabaseContext],
    spawn: Spawn,
    cleanup: AsyncExitStack,
    *,
    hidden_values: HiddenValuesCheck,
    kept_connections: int,
    variable_prefix: str,
) -> Database:
    """Build the objects that serve one database; nothing connects to it yet.

    Args:
        name: the name of the database in the settings.
        settings: the settings of the database.
        server: the settings of the server.
        context: returns what the operator's context file says about the database.
        spawn: starts the workers.
        cleanup: the exit stack that closes the objects.
        hidden_values: checks the patterns of hidden values, which all databases share.
        kept_connections: connections to keep while the database is used, unless its settings say how many.
        variable_prefix: the beginning of the database's variables, for hints.
    """
    target = _connection_target(name, settings, server, cleanup, variable_prefix)
    supervisor = _supervisor(target, settings, server, spawn, kept_connections)
    cleanup.push_async_callback(supervisor.close)
    scope_check = ScopeCheck(name, hidden_values)
    database, close = _open_role(name, settings, server, supervisor, scope_check.check)
    cleanup.push_async_callback(close)
    context_check = ContextCheck(name, context, database.schema, database.find_hidden)
    cleanup.push_async_callback(context_check.close)
    for_caller = partial(_for_caller, supervisor, values(target.conninfo).get("application_name", "pgmcp"))
    cached = lru_cache(MAX_CACHED_CALLERS)(for_caller)
    database = replace(database, context=context_check.context, for_caller=cached)
    if not settings.maps_roles:
        return database
    open_role = partial(_open_mapped_role, name, settings, server, database, for_caller)
    identities = RoleDatabases(_role_mapping(name, settings), supervisor, open_role)
    cleanup.push_async_callback(identities.close)
    return replace(database, identities=identities)


def _connection_target(
    name: str,
    settings: DatabaseSettings,
    server: ServerSettings,
    cleanup: AsyncExitStack,
    variable_prefix: str,
) -> ConnectionTarget:
    """Return what a worker connects to; `cleanup` closes its password source and its tunnel."""
    conninfo, params = settings.target()
    credentials = find_credentials(name, settings)
    if credentials is not None:
        cleanup.push_async_callback(credentials.close)
    tunnel = _tunnel(name, settings)
    if tunnel is not None:
        cleanup.push_async_callback(tunnel.close)
    return ConnectionTarget(
        conninfo,
        params,
        name=name,
        credentials=credentials,
        statement_timeout_s=server.query_timeout_s,
        tunnel=tunnel,
        variable_prefix=variable_prefix,
    )


def _supervisor(
    target: ConnectionTarget,
    settings: DatabaseSettings,
    server: ServerSettings,
    spawn: Spawn,
    kept_connections: int,
) -> Supervisor:
    return Supervisor(
        target,
        spawn=spawn,
        min_workers=choose_min_workers(settings, kept_connections),
        max_workers=settings.max_pool_size,
        max_waiting=server.max_queue,
        memory_limit_mb=server.worker_memory_mb if sys.platform == "linux" else 0,
        max_cost=server.max_cost,
        read_only=server.use_readonly_transactions,
    )


def _role_mapping(name: str, settings: DatabaseSettings) -> RoleMapping:
    return RoleMapping(
        name,
        [RoleEntry(*entry) for entry in settings.roles],
        default_role=settings.default_role,
        claim_settings=settings.claim_settings,
    )


def _open_mapped_role(
    name: str,
    settings: DatabaseSettings,
    server: ServerSettings,
    login: Database,
    for_caller: Callable[[Database, str | None, str | None, str], Database],
    identity: Identity,
    executor: StatementExecutor,
) -> tuple[Database, Close]:
    """Return a database as one role sees it, and a function that closes it.

    The names in the context file and in the settings are not checked for each role, because a role may lack
    the right to read them.
    """
    database, close = _open_role(name, settings, server, executor, identity=identity)
    database = replace(
        database,
        role=BothRoles(login.role, database.role),
        context=login.context,
        identity=identity,
        for_caller=for_caller,
    )
    return database, close


def _for_caller(
    supervisor: Supervisor,
    base: str,
    database: Database,
    principal: str | None,
    principal_id: str | None,
    host: str,
) -> Database:
    """Return a database whose statements have the names of a principal and a host in `application_name`.

    Args:
        base: the `application_name` without these names.
    """
    name = application_name(base, principal or "", host)
    return replace(database, supervisor=executor_for(supervisor, database.identity, name, principal_id))


def _open_role(
    name: str,
    settings: DatabaseSettings,
    server: ServerSettings,
    executor: StatementExecutor,
    check_catalog: Callable[[Catalog], None] = lambda _: None,
    *,
    identity: Identity | None = None,
) -> tuple[Database, Close]:
    """Return a database with a role's rights, and a function that closes it; reads nothing yet.

    Args:
        executor: runs statements with the role.
        check_catalog: called in a thread with each catalog that was read.
        identity: the role; None for the login role.
    """

    async def fetch(sql: str) -> Rows:
        return await executor.execute(
            sql, CATALOG_LIMITS, origin=StatementOrigin.OWN, can_be_wrapped=False, timeout_s=CATALOG_TIMEOUT_S
        )

    label = f"{name}, role {identity.role}" if identity else name
    report = partial(report_once, label)
    functions = _function_policy(fetch, server, identity, label, report)
    row_security: RefreshingCache[RowSecurity] = RefreshingCache(
        partial(read_row_security, fetch),
        refresh_interval_s=POLICY_REFRESH_INTERVAL_S,
        logger=logger,
        name=f"the row-level security of database {label}",
    )
    samples = _column_samples(fetch, server, executor, functions)
    read = _catalog_reader(fetch, settings, server, check_catalog, report)
    schema = SchemaCache(read, refresh_interval_s=server.cache_refresh_interval_s, samples=samples)
    role = RoleCheck(
        name,
        fetch,
        must_be_read_only=server.require_readonly_role,
        maps_roles=settings.maps_roles and identity is None,
    )

    async def close() -> None:
        for each in (role, schema, row_security, functions):
            await each.close()

    database = Database(name, executor, schema, role, functions, row_security=row_security, fetch=fetch)
    return database, close


def _function_policy(
    fetch: Fetch, server: ServerSettings, identity: Identity | None, label: str, report: Report
) -> RefreshingCache[FunctionPolicy]:
    policies = PolicyReader(
        fetch,
        allowed=server.allowed_functions,
        denied=server.denied_functions,
        caller_settings=(*_ROLE_SETTINGS, *(dict(identity.settings) if identity else ())),
        report=report,
    )
    return RefreshingCache(
        policies.read,
        refresh_interval_s=POLICY_REFRESH_INTERVAL_S,
        max_age_s=POLICY_MAX_AGE_S,
        logger=logger,
        name=f"the list of functions of database {label}",
    )


def _column_samples(
    fetch: Fetch,
    server: ServerSettings,
    executor: StatementExecutor,
    functions: RefreshingCache[FunctionPolicy],
) -> ColumnSamples | None:
    """Return the samples of columns; None if the settings forbid to read or to send values."""
    if not server.sample_rows or not server.send_values:
        return None
    probe = partial(_probe, executor, functions)
    return ColumnSamples(partial(sample, fetch=fetch, probe=probe, max_rows=server.sample_rows))


def choose_min_workers(settings: DatabaseSettings, kept_connections: int) -> int:
    """Return how many connections are kept: those of the settings, or those of the transport."""
    if settings.min_pool_size is not None:
        return settings.min_pool_size
    return min(kept_connections, settings.max_pool_size)


def find_credentials(name: str, settings: DatabaseSettings) -> RotatingPassword | None:
    """Return the source of passwords for new connections; None if the settings contain the password."""
    if settings.password_file is not None:
        ask = partial(ask_file, settings.password_file, name)
        origin = "the password in the file of PG_MCP_DATABASE_PASSWORD_FILE"
        return RotatingPassword(ask, lifetime_s=0, origin=origin)
    if command := settings.password_argv:
        return RotatingPassword(
            partial(ask_command, command, name),
            lifetime_s=settings.password_lifetime_s,
            origin="the password that PG_MCP_DATABASE_PASSWORD_COMMAND printed",
        )
    given = values(settings.target()[0])
    if settings.url_file is not None and "password" in given:
        origin = "the password of the URL in the file of PG_MCP_DATABASE_URL_FILE"
        return RotatingPassword(UrlFile(settings.url_file, name, given).ask, lifetime_s=0, origin=origin)
    return None


def _tunnel(name: str, settings: DatabaseSettings) -> "Tunnel | None":
    """Return the tunnel through a bastion; None if connections are direct."""
    if settings.ssh is None:
        return None
    host, port = settings.place
    is_plain = find_address(settings).ssl_mode == "disable"
    from pgmcp.tunnel.tunnel import Route, Tunnel

    return Tunnel(Route(settings.ssh, settings.ssh_config, host, port, is_plain), name=name)


def _catalog_reader(
    fetch: Fetch,
    settings: DatabaseSettings,
    server: ServerSettings,
    check: Callable[[Catalog], None],
    report: Report,
) -> Callable[[Catalog | None], Awaitable[Catalog]]:
    """Return a function that reads the catalog, and passes each new one to `check`."""
    scope = CatalogScope(
        include_schemas=settings.include_schemas,
        exclude_schemas=settings.exclude_schemas,
        hidden_values=server.hidden_values,
        with_values=server.send_values,
    )

    async def read(old: Catalog | None) -> Catalog:
        catalog = await read_catalog(fetch, scope=scope, old=old, report=report)
        if catalog is not old:
            await asyncio.to_thread(check, catalog)
        return catalog

    return read


async def _probe(executor: StatementExecutor, functions: RefreshingCache[FunctionPolicy], sql: str) -> Rows:
    """Run one sampling statement under the same guards as any other statement."""
    statement = validate(sql, functions=await functions.get())
    return await executor.execute(
        statement.text,
        SAMPLE_LIMITS,
        origin=StatementOrigin.OWN,
        can_be_wrapped=True,
        timeout_s=SAMPLE_TIMEOUT_S,
    )
