"""`pgmcp setup-sql`: the script that creates a read-only role.

The script can be run again, for instance with a further schema. It runs in one transaction for each database
and finds the owners of tables in the catalog. It does not revoke privileges of other roles unless that is
requested; by default, such statements are comments.
"""

from collections.abc import Sequence

from pgmcp.cli.exposing_views import MADE_BY
from pgmcp.cli.hidden_columns import ColumnName, hide_columns
from pgmcp.quoting import quote_always, quote_array, quote_literal

_HEAD = """\
-- A role for pgmcp that can only read. Read this script, then run it as a superuser or, if the role exists
-- already, as each owner of tables. It can be run again:
--   psql -v ON_ERROR_STOP=1 {where}-f this-file
-- then give the role a password: \\password {role}
"""

_ROLE = """
BEGIN;

DO $pgmcp$
BEGIN
  IF pg_catalog.current_database() <> {database_text}::pg_catalog.name THEN
    RAISE EXCEPTION 'this script is for the database %, and this is %: nothing is changed',
      pg_catalog.quote_ident({database_text}), pg_catalog.quote_ident(pg_catalog.current_database())
      USING HINT = 'Name the database: psql -d';
  END IF;
END $pgmcp$;

DO $pgmcp$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = {role_text}) THEN
    CREATE ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
    COMMENT ON ROLE {role} IS {made_by};
  ELSIF (SELECT pg_catalog.shobj_description(oid, 'pg_authid') FROM pg_catalog.pg_roles
         WHERE rolname = {role_text}) IS DISTINCT FROM {made_by} THEN
    RAISE NOTICE 'the role {role_name} exists and was not made by this script: its settings stay as they are';
    RETURN;
  END IF;
  -- A second line of defence behind pgmcp's own transaction and deadline.
  ALTER ROLE {role} CONNECTION LIMIT {connections};
  ALTER ROLE {role} SET default_transaction_read_only = on;
  ALTER ROLE {role} SET statement_timeout = '{statement_timeout_s}s';
  ALTER ROLE {role} SET lock_timeout = '5s';
  ALTER ROLE {role} SET idle_in_transaction_session_timeout = '30s';
EXCEPTION WHEN insufficient_privilege THEN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = {role_text}) THEN
    RAISE EXCEPTION 'the role {role_name} does not exist, and you may not create it'
      USING ERRCODE = 'insufficient_privilege',
            HINT = 'A superuser, or a role with CREATEROLE, has to run this script first.';
  END IF;
  RAISE NOTICE 'you may not change the role {role_name}: its settings stay as they are';
END $pgmcp$;

DO $pgmcp$
BEGIN
  IF pg_catalog.has_database_privilege({database_text}, 'CONNECT WITH GRANT OPTION') THEN
    GRANT CONNECT ON DATABASE {database} TO {role};
  ELSIF NOT pg_catalog.has_database_privilege({role_text}, {database_text}, 'CONNECT') THEN
    RAISE WARNING 'the role may not connect: the database''s owner has to run this script, too';
  END IF;
END $pgmcp$;
"""

_REVOKE_TEMPORARY = """
-- PostgreSQL lets every role create temporary tables. This takes the right from PUBLIC: grant TEMPORARY to
-- the roles that need it.
{comment}REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC;
"""

_SCHEMA = """
-- Schema {schema}: grants on the existing tables, views and sequences, and default privileges for those that
-- their owners, or other roles that may create tables there, create later.
DO $pgmcp$
DECLARE
  relation record;
  creator name;
BEGIN
  IF pg_catalog.has_schema_privilege({schema_name}, 'USAGE WITH GRANT OPTION') THEN
    GRANT USAGE ON SCHEMA {schema} TO {role};
  ELSIF NOT pg_catalog.has_schema_privilege({role_text}, {schema_name}, 'USAGE') THEN
    RAISE WARNING 'the role may not use the schema %: the schema''s owner has to run this script, too',
      {schema_text};
  END IF;
  FOR relation IN
    SELECT c.oid::pg_catalog.regclass AS name, c.relkind = 'S' AS is_sequence,
           pg_catalog.pg_has_role(c.relowner, 'USAGE') AS is_mine
      FROM pg_catalog.pg_class AS c
     WHERE c.relnamespace = {schema_text}::pg_catalog.regnamespace
       AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
       AND c.relname <> ALL ({special}::pg_catalog.name[])
  LOOP
    IF relation.is_mine THEN
      EXECUTE pg_catalog.format('GRANT SELECT ON %s %s TO %I',
        CASE WHEN relation.is_sequence THEN 'SEQUENCE' ELSE 'TABLE' END, relation.name, {role_text});
    ELSIF NOT pg_catalog.has_table_privilege({role_text}, relation.name::pg_catalog.oid, 'SELECT') THEN
      RAISE WARNING 'not granted, because another role owns it: %', relation.name;
    END IF;
  END LOOP;
  FOR creator IN
    SELECT r.rolname
      FROM (SELECT c.relowner AS oid FROM pg_catalog.pg_class AS c
             WHERE c.relnamespace = {schema_text}::pg_catalog.regnamespace
               AND NOT EXISTS (  -- the creator of an extension need not own other tables
                 SELECT FROM pg_catalog.pg_depend AS e
                  WHERE e.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND e.objid = c.oid
                    AND e.deptype = 'e')
            UNION ALL SELECT n.nspowner FROM pg_catalog.pg_namespace AS n WHERE n.nspname = {schema_name}
            UNION ALL SELECT d.datdba FROM pg_catalog.pg_database AS d
             WHERE d.datname = pg_catalog.current_database()
               AND pg_catalog.has_schema_privilege(d.datdba, {schema_name}, 'CREATE')
            UNION ALL SELECT a.grantee
              FROM pg_catalog.pg_namespace AS n, pg_catalog.aclexplode(n.nspacl) AS a
             WHERE n.nspname = {schema_name} AND a.privilege_type = 'CREATE') AS o
      JOIN pg_catalog.pg_roles AS r ON r.oid = o.oid
           -- A member of such a role creates tables, too, and owns them itself.
           OR (NOT r.rolsuper AND pg_catalog.pg_has_role(r.oid, o.oid, 'USAGE'))
     WHERE r.rolname !~ '^pg_' AND r.rolname <> {role_text}
    UNION SELECT CURRENT_USER
    UNION SELECT pg_catalog.unnest({owners}::pg_catalog.name[])
  LOOP
    IF pg_catalog.pg_has_role(creator, 'USAGE') THEN
      EXECUTE pg_catalog.format(
        'ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA %I GRANT SELECT ON TABLES TO %I',
        creator, {schema_name}, {role_text});
      EXECUTE pg_catalog.format(
        'ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA %I GRANT SELECT ON SEQUENCES TO %I',
        creator, {schema_name}, {role_text});
    ELSIF NOT EXISTS (  -- that role has not run this script yet
        SELECT FROM pg_catalog.pg_default_acl AS d, pg_catalog.aclexplode(d.defaclacl) AS a
         WHERE d.defaclrole = pg_catalog.quote_ident(creator)::pg_catalog.regrole AND d.defaclobjtype = 'r'
           AND d.defaclnamespace IN ('0', {schema_text}::pg_catalog.regnamespace::pg_catalog.oid)
           AND a.grantee = {role_regrole}::pg_catalog.regrole AND a.privilege_type = 'SELECT') THEN
      RAISE WARNING 'later tables of % will not be readable: that role has to run this script, too', creator;
    END IF;
  END LOOP;
END $pgmcp$;
"""

_REVOKE_CREATE = """
-- Before PostgreSQL 15 every role may create tables in the schema public. This takes the right from PUBLIC:
-- grant CREATE to the roles that need it.
{comment}REVOKE CREATE ON SCHEMA "public" FROM PUBLIC;
"""

_ROW_SECURITY = """
-- Row-level security decides which rows the role sees. Policies apply to every statement of the role. Once
-- row-level security is enabled for a table, every role but the owner sees only the rows of its own policies.
-- So write a policy for each role that reads the table. `pgmcp setup-sql --check` lists the policies that
-- filter rows of this role. The tenant is set in pgmcp's connection string:
-- ?options=-c%20app.tenant%3Da
-- For example, for a table orders with a column tenant:
-- ALTER TABLE {schema}.orders ENABLE ROW LEVEL SECURITY;
-- CREATE POLICY of_the_tenant ON {schema}.orders FOR SELECT TO {role}
--   USING (tenant = nullif(current_setting('app.tenant', true), ''));
-- CREATE POLICY all_rows ON {schema}.orders TO another_role USING (true);
"""


def setup_script(
    role: str,
    databases: str | Sequence[str],
    schemas: Sequence[str],
    *,
    connections: int,
    statement_timeout_s: int,
    columns: Sequence[ColumnName] = (),
    owners: Sequence[str] = (),
    revokes: bool = False,
    row_security: bool = False,
) -> str:
    """Return SQL that creates the role and lets it read the schemas.

    Args:
        databases: with several, psql connects to each in turn.
        connections: connection limit of the role. It should be the sum of MAX_POOL_SIZE of all servers.
        statement_timeout_s: should be slightly above the query timeout of the servers.
        columns: columns that the script hides or masks.
        owners: further roles that will own tables; the script finds roles that own or may create tables now.
        revokes: revoke from PUBLIC the privileges to create tables; otherwise these statements are comments.
        row_security: add comments that explain row-level security.
    """
    names = [databases] if isinstance(databases, str) else list(databases)
    words = {
        "role": quote_always(role),
        "role_text": quote_literal(role),
        "role_regrole": quote_literal(quote_always(role)),
        "role_name": quote_always(role).replace("'", "''").replace("%", "%%"),
        "owners": quote_array(owners),
        "made_by": quote_literal(MADE_BY),
        "connections": connections,
        "statement_timeout_s": statement_timeout_s,
        "comment": "" if revokes else "-- ",
    }
    where = f"-d {quote_always(names[0])} " if len(names) == 1 else ""
    script = _HEAD.format(**words, where=where)
    for name in names:
        script += "" if len(names) == 1 else f"\n\\connect {quote_always(name)}\n"
        script += _database_script(name, role, schemas, columns, words)
    return script + (_ROW_SECURITY.format(**words, schema=quote_always(schemas[0])) if row_security else "")


def _database_script(
    database: str,
    role: str,
    schemas: Sequence[str],
    columns: Sequence[ColumnName],
    words: dict[str, object],
) -> str:
    named = words | {"database": quote_always(database), "database_text": quote_literal(database)}
    grants = [
        _schema_script(schema, [each for each in columns if each.schema == schema], words)
        for schema in schemas
    ]
    # Columns are hidden after all grants: a table may have partitions in another schema, whose part of the
    # script grants SELECT on whole partitions.
    hiding = hide_columns(columns, role, words)
    revokes = [_REVOKE_TEMPORARY.format(**named)]
    if "public" in schemas:
        revokes.append(_REVOKE_CREATE.format(**words))
    return "".join([_ROLE.format(**named), *grants, *hiding, *revokes, "\nCOMMIT;\n"])


def _schema_script(schema: str, columns: Sequence[ColumnName], words: dict[str, object]) -> str:
    tables = sorted({each.table for each in columns})
    return _SCHEMA.format(
        **words,
        schema=quote_always(schema),
        schema_text=quote_literal(quote_always(schema)),
        schema_name=quote_literal(schema),
        special=quote_array(tables),
    )
