"""Checks whether the database's role can do more than read.

A role that can only read protects the database even if every other guard fails. The role's privileges are
read once per database. By default, pgmcp only warns about a stronger role, so that a first try with
`postgres` works; a setting makes pgmcp refuse it.
"""

import asyncio
import logging
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from pgmcp.errors import CatalogDeniedError, PgmcpError, RoleRefusedError
from pgmcp.execution.catalog_access import Fetch, fetch_own, find_unreadable, require, without
from pgmcp.execution.result import JsonScalar

logger = logging.getLogger(__name__)

# Predefined roles (PostgreSQL manual, "Predefined Roles") that only read data, settings or statistics are no
# risk: pg_read_all_data, pg_read_all_settings, pg_read_all_stats, pg_stat_scan_tables and pg_monitor.
# pg_read_server_files also only reads, but it bypasses the privileges on tables. If pg_roles may not be read,
# `_OWN_ROLE` takes its place, and functions such as pg_has_role still work for the session's own role.
#
# SET ROLE gives the privileges of every role that this one is a member of, so they count even if they are not
# inherited. has_table_privilege() does not know MAINTAIN before PostgreSQL 17; the access list shows it.
PRIVILEGES_SQL: Final = """
WITH own (id) AS MATERIALIZED (
    SELECT m.oid FROM pg_catalog.pg_roles AS m WHERE pg_catalog.pg_has_role(m.oid, 'MEMBER')
), granted (id) AS MATERIALIZED (
    SELECT a.attrelid FROM pg_catalog.pg_attribute AS a
     WHERE a.attacl IS NOT NULL AND NOT a.attisdropped AND EXISTS (
           SELECT FROM own AS o
            WHERE pg_catalog.has_column_privilege(o.id, a.attrelid, a.attnum, 'INSERT, UPDATE'))
    UNION ALL
    SELECT c.oid FROM pg_catalog.pg_class AS c, LATERAL pg_catalog.aclexplode(c.relacl) AS x
     WHERE x.privilege_type = 'MAINTAIN' AND (x.grantee = '0' OR x.grantee IN (SELECT o.id FROM own AS o))
), relations AS (
    SELECT c.oid, c.relkind, c.relowner
      FROM pg_catalog.pg_class AS c
     WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND c.relpersistence <> 't'
       AND c.relnamespace NOT IN ('pg_catalog'::pg_catalog.regnamespace::pg_catalog.oid,
                                  'information_schema'::pg_catalog.regnamespace::pg_catalog.oid)
)
SELECT r.rolname,
       r.rolsuper, r.rolreplication, r.rolbypassrls, r.rolcreaterole, r.rolcreatedb,
       (SELECT pg_catalog.string_agg(m.name, ', ' ORDER BY m.name)
          FROM pg_catalog.unnest(ARRAY[
               'pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program',
               'pg_signal_backend', 'pg_signal_autovacuum_worker', 'pg_write_all_data', 'pg_maintain',
               'pg_checkpoint', 'pg_create_subscription']) AS m (name)
         WHERE NOT r.rolsuper
           AND pg_catalog.pg_has_role(pg_catalog.to_regrole(m.name)::pg_catalog.oid, 'MEMBER')),
       (SELECT pg_catalog.count(*)
          FROM relations AS c
         WHERE c.relkind NOT IN ('S', 'm')
           AND (c.oid IN (SELECT g.id FROM granted AS g) OR EXISTS (
                SELECT FROM own AS o
                 WHERE pg_catalog.has_table_privilege(
                     o.id, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER')))),
       EXISTS (SELECT FROM own AS o WHERE pg_catalog.has_database_privilege(
                   o.id, current_catalog::pg_catalog.text, 'CREATE')),
       (SELECT pg_catalog.string_agg(n.nspname::pg_catalog.text, ', ' ORDER BY n.nspname)
          FROM pg_catalog.pg_namespace AS n
         WHERE n.nspname !~ '^pg_' AND EXISTS (
               SELECT FROM own AS o WHERE pg_catalog.has_schema_privilege(o.id, n.oid, 'CREATE'))),
       (SELECT pg_catalog.string_agg(m.rolname::pg_catalog.text, ', ' ORDER BY m.rolname)
          FROM pg_catalog.pg_roles AS m
         WHERE m.oid IN (SELECT o.id FROM own AS o) AND m.oid <> r.oid
           AND (m.rolsuper OR m.rolreplication OR m.rolbypassrls OR m.rolcreaterole OR m.rolcreatedb)),
       (SELECT pg_catalog.count(*)
          FROM relations AS c
         WHERE c.relkind = 'S' AND EXISTS (
               SELECT FROM own AS o
                WHERE pg_catalog.has_sequence_privilege(o.id, c.oid, 'USAGE, UPDATE'))),
       (SELECT pg_catalog.count(*)
          FROM (SELECT c.relowner FROM relations AS c
                UNION ALL SELECT n.nspowner FROM pg_catalog.pg_namespace AS n
                UNION ALL SELECT p.proowner FROM pg_catalog.pg_proc AS p) AS x (owner)
         WHERE x.owner IN (SELECT o.id FROM own AS o)),
       EXISTS (SELECT FROM pg_catalog.pg_largeobject_metadata AS l
                WHERE pg_catalog.current_setting('lo_compat_privileges') = 'on'
                   OR l.lomowner IN (SELECT o.id FROM own AS o)
                   OR EXISTS (SELECT FROM pg_catalog.aclexplode(l.lomacl) AS x
                               WHERE x.privilege_type = 'UPDATE'
                                 AND (x.grantee = '0' OR x.grantee IN (SELECT o.id FROM own AS o)))),
       pg_catalog.to_regclass('pg_catalog.pg_parameter_acl') IS NOT NULL
  FROM pg_catalog.pg_roles AS r
 WHERE r.rolname = current_user
"""

PARAMETERS_SQL: Final = """
WITH own (id) AS MATERIALIZED (
    SELECT m.oid FROM pg_catalog.pg_roles AS m WHERE pg_catalog.pg_has_role(m.oid, 'MEMBER')
), granted (name, privilege) AS (
    SELECT DISTINCT p.parname, x.privilege_type
      FROM pg_catalog.pg_parameter_acl AS p, LATERAL pg_catalog.aclexplode(p.paracl) AS x
     WHERE x.grantee = '0' OR x.grantee IN (SELECT o.id FROM own AS o)
)
SELECT pg_catalog.string_agg(g.name, ', ' ORDER BY g.name) FILTER (WHERE g.privilege = 'ALTER SYSTEM'),
       pg_catalog.string_agg(g.name, ', ' ORDER BY g.name) FILTER (WHERE g.privilege = 'SET' AND g.name IN (
           'allow_system_table_mods', 'dynamic_library_path', 'lo_compat_privileges',
           'session_preload_libraries', 'session_replication_role'))
  FROM granted AS g
"""
"""Privileges on settings, since PostgreSQL 15. Most settings that a role may SET change only its session."""

_MEMBERSHIP: Final = "pg_has_role(m.oid, 'MEMBER')"
"""The condition in both statements that selects the roles whose privileges count."""

_OWN_ROLE: Final = """(
    SELECT pg_catalog.to_regrole(
               pg_catalog.quote_ident(current_user::pg_catalog.text))::pg_catalog.oid AS oid,
           current_user AS rolname, pg_catalog.current_setting('is_superuser') = 'on' AS rolsuper,
           NULL::pg_catalog.bool AS rolreplication, NULL::pg_catalog.bool AS rolbypassrls,
           NULL::pg_catalog.bool AS rolcreaterole, NULL::pg_catalog.bool AS rolcreatedb)"""
"""Replaces pg_roles if the role may not read it."""

_RISK_BY_ATTRIBUTE: Final = (
    "it is a superuser: no permission check binds it",
    "it has REPLICATION: it can read all data and hold back WAL",
    "it has BYPASSRLS: row security does not apply to it",
    "it has CREATEROLE: it can create roles for itself",
    "it has CREATEDB: it can create databases",
)

_RISKS_FOUND: Final = (
    "it is a member of {}",
    "it may write to {} tables or views",
    "it may create schemas in this database",
    "it may create objects in the schema {}",
    "it can become {}, which can do more than read",
    "it may advance or set {} sequences",
    "it owns {} relations, functions or schemas, on which it can grant itself any privilege",
    "it may write large objects",
    "it may change settings of the whole server with ALTER SYSTEM: {}",
    "it may set {}, which otherwise only a superuser may set",
)

UNKNOWN_ATTRIBUTES: Final = (
    "it may not read pg_roles, so it is not known whether it has REPLICATION, BYPASSRLS, CREATEROLE or "
    "CREATEDB"
)


@dataclass(frozen=True, slots=True)
class RolePrivileges:
    """The privileges of a role beyond reading.

    Attributes:
        risks: a clause for each privilege, as it follows "because"; empty for a role that can only read.
        knows_attributes: whether the attributes in pg_roles could be read.
    """

    role: str
    risks: tuple[str, ...]
    knows_attributes: bool = True


def read_privileges(row: list[JsonScalar]) -> RolePrivileges:
    """Return the privileges that a row describes.

    Args:
        row: the values of `PRIVILEGES_SQL` without the last one, then those of `PARAMETERS_SQL` if the server
            has privileges on settings.
    """
    role, *attributes = row[:6]
    risks = [risk for risk, is_held in zip(_RISK_BY_ATTRIBUTE, attributes, strict=True) if is_held]
    if attributes[0]:
        return RolePrivileges(str(role), (_RISK_BY_ATTRIBUTE[0],))  # a superuser has all the others anyway
    risks += [risk.format(found) for risk, found in zip(_RISKS_FOUND, row[6:], strict=False) if found]
    return RolePrivileges(str(role), tuple(risks), knows_attributes=None not in attributes)


class RoleCheck:
    """Reads a database's role once, and warns or refuses."""

    def __init__(
        self, database: str, fetch: Fetch, *, must_be_read_only: bool, maps_roles: bool = False
    ) -> None:
        """Prepare the check.

        Args:
            database: the database's name in the settings, for messages.
            fetch: runs a catalog query in this database.
            must_be_read_only: refuse a role that can do more than read.
            maps_roles: whether this role becomes the roles of callers with SET ROLE. Those roles are checked
                separately, so only privileges that this role inherits count here.
        """
        self._database = database
        self._own_roles = "USAGE" if maps_roles else "MEMBER"
        self._fetch = fetch
        self._must_be_read_only = must_be_read_only
        self._probing: asyncio.Task[RolePrivileges] | None = None
        self._last_problem = ""
        self._is_known = False

    async def admit(self) -> None:
        """Raise if the database must not be served with its role; waits for the check only if it may refuse.

        Raises:
            RoleRefusedError: the role can do more than read, and the settings refuse such roles.
            CatalogDeniedError: the role may not read its own privileges.
            ExecutionError: the database did not answer.
        """
        if not self._must_be_read_only:
            if not self._is_known:
                self.probe()
            return
        privileges = await self.privileges()
        if privileges.risks:
            raise RoleRefusedError(
                f"pgmcp refuses to serve database {self._database!r} with the role {privileges.role!r}: "
                + "; ".join(privileges.risks),
                hint=(
                    "connect as a role that can only read (`pgmcp setup-sql` prints a script that creates "
                    "one); PG_MCP_SERVER_REQUIRE_READONLY_ROLE=false warns instead of refusing"
                ),
            )
        if not privileges.knows_attributes:
            require(
                {"pg_roles"},
                {"pg_roles"},
                purpose=(
                    f"pgmcp refuses to serve database {self._database!r} with the role {privileges.role!r}, "
                    "because its attributes are not known and PG_MCP_SERVER_REQUIRE_READONLY_ROLE is true"
                ),
            )

    async def privileges(self) -> RolePrivileges:
        """Return the role's privileges. If one caller stops waiting, others still get the result.

        Raises:
            CatalogDeniedError: the role may not read its own privileges.
            ExecutionError: the database did not answer.
        """
        return await asyncio.shield(self.probe())

    def probe(self) -> asyncio.Task[RolePrivileges]:
        """Return the task that reads the role; start it unless the role has been read or is being read."""
        if self._probing is None or _has_failed(self._probing):
            self._probing = asyncio.create_task(self._probe())
            self._probing.add_done_callback(_has_failed)
        return self._probing

    async def close(self) -> None:
        """Stop a running read."""
        if self._probing is not None:
            self._probing.cancel()
            await asyncio.wait([self._probing])

    async def _probe(self) -> RolePrivileges:
        try:
            unreadable = await find_unreadable(self._fetch)
            *rights, has_parameters = await self._read_row(PRIVILEGES_SQL, unreadable)
            if has_parameters:
                rights += await self._read_row(PARAMETERS_SQL, unreadable)
            privileges = read_privileges(rights)
        except CatalogDeniedError as error:
            self._warn_unknown(error)
            raise
        self._is_known = True
        self._warn(privileges)
        return privileges

    async def _read_row(self, sql: str, unreadable: Collection[str]) -> list[JsonScalar]:
        sql = sql.replace(_MEMBERSHIP, f"pg_has_role(m.oid, '{self._own_roles}')")
        return (await fetch_own(self._fetch, without(sql, unreadable, {"pg_roles": _OWN_ROLE}))).rows[0]

    def _warn_unknown(self, error: PgmcpError) -> None:
        if str(error) != self._last_problem:
            self._last_problem = str(error)
            logger.warning(
                "database %s: pgmcp could not check whether its role can do more than read: %s; %s",
                self._database,
                error,
                error.hint,
            )

    def _warn(self, privileges: RolePrivileges) -> None:
        if privileges.risks:
            logger.warning(
                "database %s: role %s can do more than read (%s); `pgmcp setup-sql` prints a script for a "
                "read-only role",
                self._database,
                privileges.role,
                "; ".join(privileges.risks),
            )


def _has_failed(probing: asyncio.Task[RolePrivileges]) -> bool:
    return probing.done() and (probing.cancelled() or probing.exception() is not None)
