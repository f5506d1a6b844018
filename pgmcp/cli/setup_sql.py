"""`pgmcp setup-sql`: the script that creates a read-only role."""

from collections.abc import Sequence

_SCRIPT = """\
-- A role for pgmcp that can only read. Run it in the database {database}, as a superuser or its owner:
--   psql -d {database} -f this-file
-- then give the role a password: \\password {role}

CREATE ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS
  CONNECTION LIMIT {connections};

-- A second line of defence behind pgmcp's own transaction and deadline.
ALTER ROLE {role} SET default_transaction_read_only = on;
ALTER ROLE {role} SET statement_timeout = '{statement_timeout_s}s';
ALTER ROLE {role} SET lock_timeout = '5s';
ALTER ROLE {role} SET idle_in_transaction_session_timeout = '30s';

GRANT CONNECT ON DATABASE {database} TO {role};

-- By default everyone may create temporary tables. Grant TEMPORARY to the roles that need them.
REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC;
"""

_SCHEMA_SCRIPT = """
-- Schema {schema}: existing tables, and those its owner adds later. Tables added by other roles need
-- ALTER DEFAULT PRIVILEGES FOR ROLE <that role> IN SCHEMA {schema} GRANT SELECT ON TABLES TO {role};
REVOKE CREATE ON SCHEMA {schema} FROM PUBLIC;
GRANT USAGE ON SCHEMA {schema} TO {role};
GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role};
GRANT SELECT ON ALL SEQUENCES IN SCHEMA {schema} TO {role};
ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT ON TABLES TO {role};
ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT ON SEQUENCES TO {role};
"""


def setup_script(
    role: str, database: str, schemas: Sequence[str], *, connections: int, statement_timeout_s: int
) -> str:
    """Return SQL that creates the role and lets it read the schemas.

    Args:
        connections: limit for the role: the sum of MAX_POOL_SIZE of all servers.
        statement_timeout_s: slightly above the query timeout of the servers.
    """
    names = {"role": _quote(role), "database": _quote(database)}
    script = _SCRIPT.format(**names, connections=connections, statement_timeout_s=statement_timeout_s)
    return script + "".join(_SCHEMA_SCRIPT.format(**names, schema=_quote(schema)) for schema in schemas)


def _quote(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'
