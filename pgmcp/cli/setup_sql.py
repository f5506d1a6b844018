"""`pgmcp setup-sql`: the script that creates a read-only role.

The script can be run again, for instance with a further schema. It runs in one transaction for each database
and finds the owners of tables in the catalog. It does not revoke privileges of other roles unless that is
requested; by default, such statements are comments.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pgmcp.errors import InvalidArgumentError

MADE_BY = "made by pgmcp setup-sql"
"""The comment on the role. A role of that name without this comment was not created by the script, and keeps
its settings.
"""

_HEAD = """\
-- A role for pgmcp that can only read. Read this script, then run it as a superuser, or as the tables' owner
-- if the role exists already. It can be run again:
--   psql -v ON_ERROR_STOP=1 {where}-f this-file
-- then give the role a password: \\password {role}
"""

_ROLE = """
BEGIN;

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
    RAISE;
  END IF;
  RAISE NOTICE 'you may not change the role {role_name}: its settings stay as they are';
END $pgmcp$;

GRANT CONNECT ON DATABASE {database} TO {role};
"""

_REVOKE_TEMPORARY = """
-- PostgreSQL lets every role create temporary tables. This takes it from all of them: grant TEMPORARY to the
-- roles that need it.
{comment}REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC;
"""

_SCHEMA = """
-- Schema {schema}: the tables, views and sequences that are there, and those that their owners, and roles
-- that may create some, add later.
GRANT USAGE ON SCHEMA {schema} TO {role};
DO $pgmcp$
DECLARE
  relation record;
  creator name;
BEGIN
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
    SELECT DISTINCT r.rolname
      FROM (SELECT c.relowner AS oid FROM pg_catalog.pg_class AS c
             WHERE c.relnamespace = {schema_text}::pg_catalog.regnamespace
            UNION ALL SELECT n.nspowner FROM pg_catalog.pg_namespace AS n WHERE n.nspname = {schema_name}
            UNION ALL SELECT d.datdba FROM pg_catalog.pg_database AS d
             WHERE d.datname = pg_catalog.current_database()
            UNION ALL SELECT a.grantee
              FROM pg_catalog.pg_namespace AS n, pg_catalog.aclexplode(n.nspacl) AS a
             WHERE n.nspname = {schema_name} AND a.privilege_type = 'CREATE') AS o
      JOIN pg_catalog.pg_roles AS r ON r.oid = o.oid
     WHERE r.rolname !~ '^pg_'
    UNION SELECT CURRENT_USER
  LOOP
    IF pg_catalog.pg_has_role(creator, 'USAGE') THEN
      EXECUTE pg_catalog.format(
        'ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA %I GRANT SELECT ON TABLES TO %I',
        creator, {schema_name}, {role_text});
      EXECUTE pg_catalog.format(
        'ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA %I GRANT SELECT ON SEQUENCES TO %I',
        creator, {schema_name}, {role_text});
    ELSE
      RAISE WARNING 'what % adds later will not be readable: that role has to run this script, too', creator;
    END IF;
  END LOOP;
END $pgmcp$;
"""

_REVOKE_CREATE = """
-- Before PostgreSQL 15 every role may create tables in the schema public. This takes it from all of them:
-- grant CREATE to the roles that need it.
{comment}REVOKE CREATE ON SCHEMA "public" FROM PUBLIC;
"""

_HIDDEN = """
-- Table {table}, and its partitions and children: all columns but {hidden}. Columns and partitions that are
-- added later are not covered until this is run again.
DO $pgmcp$
DECLARE
  relation record;
  shown text;
BEGIN
  IF EXISTS (SELECT FROM pg_catalog.unnest({hidden_names}::pg_catalog.name[]) AS h (name) WHERE NOT EXISTS (
      SELECT FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = {table_text}::pg_catalog.regclass
         AND a.attname = h.name AND a.attnum > 0 AND NOT a.attisdropped)) THEN
    RAISE EXCEPTION 'a column to hide is not in the table %', {table_text};
  END IF;
  FOR relation IN
    WITH RECURSIVE family (oid) AS (
      SELECT {table_text}::pg_catalog.regclass::pg_catalog.oid
       UNION SELECT i.inhrelid FROM family AS f JOIN pg_catalog.pg_inherits AS i ON i.inhparent = f.oid)
    SELECT c.oid::pg_catalog.regclass AS name, pg_catalog.pg_has_role(c.relowner, 'USAGE') AS is_mine,
           c.oid = {table_text}::pg_catalog.regclass AS is_named
      FROM family AS f JOIN pg_catalog.pg_class AS c ON c.oid = f.oid
     WHERE c.oid = {table_text}::pg_catalog.regclass
        OR pg_catalog.has_any_column_privilege({role_text}, c.oid, 'SELECT')
  LOOP
    IF NOT (relation.is_mine OR relation.is_named) THEN
      RAISE WARNING 'may show the hidden columns, because another role owns it: %', relation.name;
      CONTINUE;
    END IF;
    SELECT pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' ORDER BY a.attnum) INTO shown
      FROM pg_catalog.pg_attribute AS a
     WHERE a.attrelid = relation.name AND a.attnum > 0 AND NOT a.attisdropped
       AND a.attname <> ALL ({hidden_names}::pg_catalog.name[]);
    EXECUTE pg_catalog.format('REVOKE SELECT ON TABLE %s FROM %I', relation.name, {role_text});
    IF shown IS NOT NULL THEN
      EXECUTE pg_catalog.format('GRANT SELECT (%s) ON TABLE %s TO %I', shown, relation.name, {role_text});
    END IF;
  END LOOP;
END $pgmcp$;
"""

_STALE_VIEW = """
-- View {view}, if an earlier script made it: it is dropped if it shows a column that is now to be hidden.
DO $pgmcp$
BEGIN
  IF EXISTS (SELECT FROM pg_catalog.pg_attribute AS a
              WHERE a.attrelid = pg_catalog.to_regclass({view_text})
                AND a.attnum > 0 AND a.attname = ANY ({hidden_names}::pg_catalog.name[])) THEN
    IF pg_catalog.obj_description(pg_catalog.to_regclass({view_text}), 'pg_class')
       IS NOT DISTINCT FROM {made_by} THEN
      RAISE NOTICE 'the view % shows a column that is now hidden: it is dropped', {view_text};
      DROP VIEW {view};
    ELSE
      RAISE WARNING '% has a column of a name that is hidden in the table, and is readable', {view_text};
    END IF;
  END IF;
END $pgmcp$;
"""

_MASKED = """
-- View {view}: all columns of {table} but hidden ones, with {masked} masked. It has the rights of its owner,
-- who is the table's, so expressions can read what the table's owner can.
DO $pgmcp$
DECLARE
  columns text;
  readers text;
BEGIN
  IF pg_catalog.to_regclass({view_text}) IS NOT NULL
     AND pg_catalog.obj_description(pg_catalog.to_regclass({view_text}), 'pg_class')
         IS DISTINCT FROM {made_by} THEN
    RAISE EXCEPTION '% exists and was not made by this script, which needs the name for its own view: '
      'nothing is changed in this database', {view_text}
      USING HINT = 'Rename it, or drop it yourself. Then run this script again.';
  END IF;
  IF (SELECT c.relrowsecurity FROM pg_catalog.pg_class AS c
       WHERE c.oid = {table_text}::pg_catalog.regclass) THEN
    RAISE EXCEPTION 'the table % has row-level security, which the view would not apply',
      {table_text};
  END IF;
  SELECT pg_catalog.string_agg(
           CASE WHEN m.name IS NULL THEN pg_catalog.quote_ident(a.attname)
                ELSE pg_catalog.format('(%s) AS %I', m.expression, a.attname) END, ', '
         ORDER BY a.attnum) INTO columns
    FROM pg_catalog.pg_attribute AS a
    LEFT JOIN ROWS FROM (pg_catalog.unnest({masked_names}::pg_catalog.name[]),
                         pg_catalog.unnest({expressions}::pg_catalog.text[])) AS m (name, expression)
           ON m.name = a.attname
   WHERE a.attrelid = {table_text}::pg_catalog.regclass AND a.attnum > 0 AND NOT a.attisdropped
     AND a.attname <> ALL ({left_out}::pg_catalog.name[]);
  columns := {view_text} || ' WITH (security_barrier) AS SELECT ' || columns || ' FROM ' || {table_text};
  BEGIN
    EXECUTE 'CREATE OR REPLACE VIEW ' || columns;
  EXCEPTION WHEN invalid_table_definition THEN  -- a view cannot lose columns
    SELECT pg_catalog.string_agg(DISTINCT
             CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::pg_catalog.regrole::pg_catalog.text END,
             ', ')
      INTO readers
      FROM pg_catalog.pg_class AS c, pg_catalog.aclexplode(c.relacl) AS a
     WHERE c.oid = {view_text}::pg_catalog.regclass AND a.privilege_type = 'SELECT'
       AND a.grantee <> c.relowner;
    RAISE NOTICE 'the view % has other columns than before: it is dropped and made again, with SELECT for %',
      {view_text}, pg_catalog.concat_ws(', ', readers);
    DROP VIEW {view};
    EXECUTE 'CREATE VIEW ' || columns;
    IF readers IS NOT NULL THEN
      EXECUTE 'GRANT SELECT ON TABLE ' || {view_text} || ' TO ' || readers;
    END IF;
  END;
  COMMENT ON VIEW {view} IS {made_by};
  GRANT SELECT ON TABLE {view} TO {role};
  BEGIN  -- so that the table's owner can run this again
    EXECUTE pg_catalog.format('ALTER VIEW {view_in_format} OWNER TO %s',
      (SELECT c.relowner::pg_catalog.regrole FROM pg_catalog.pg_class AS c
        WHERE c.oid = {table_text}::pg_catalog.regclass));
  EXCEPTION WHEN insufficient_privilege THEN
    RAISE NOTICE 'the view % stays yours: you may not give it to the owner of the table', {view_text};
  END;
END $pgmcp$;
"""

_ROW_SECURITY = """
-- Row-level security: which rows the role sees. Policies apply to every statement of the role. Once it is
-- enabled for a table, every role but its owner sees only the rows of its own policies, so write one for each
-- role that reads the table. `pgmcp setup-sql --check` lists the policies that filter what the role sees. The
-- setting of a tenant comes from pgmcp's connection string:
-- ?options=-c%20app.tenant%3Da
-- ALTER TABLE {schema}.orders ENABLE ROW LEVEL SECURITY;
-- CREATE POLICY of_the_tenant ON {schema}.orders FOR SELECT TO {role}
--   USING (tenant = current_setting('app.tenant'));
-- CREATE POLICY all_rows ON {schema}.orders TO another_role USING (true);
"""


@dataclass(frozen=True, slots=True)
class ColumnName:
    """A column that is hidden or masked.

    Attributes:
        expression: the SQL to show in its place; None hides it.
    """

    schema: str
    table: str
    column: str
    expression: str | None = None


def read_column(text: str, schemas: Sequence[str], *, is_masked: bool = False) -> ColumnName:
    """Return a column from `table.column` or `schema.table.column`, with `=expression` if it is masked.

    Raises:
        InvalidArgumentError: it has another form, or its schema is not one of these.
    """
    name, equals, expression = text.partition("=")
    parts = [part.strip() for part in name.split(".")]
    if len(parts) == 2 and len(schemas) == 1:
        parts.insert(0, schemas[0])
    if (
        len(parts) != 3
        or not all(parts)
        or bool(equals) != is_masked
        or (is_masked and not expression.strip())
    ):
        form = "schema.table.column=expression" if is_masked else "schema.table.column"
        raise InvalidArgumentError(
            f"{text!r}: expected {form}", hint="the schema may be left out if there is one"
        )
    if parts[0] not in schemas:
        raise InvalidArgumentError(f"{text!r}: its schema is none of those that the role may read")
    return ColumnName(parts[0], parts[1], parts[2], expression.strip() or None)


def setup_script(
    role: str,
    databases: str | Sequence[str],
    schemas: Sequence[str],
    *,
    connections: int,
    statement_timeout_s: int,
    columns: Sequence[ColumnName] = (),
    revokes: bool = False,
    row_security: bool = False,
) -> str:
    """Return SQL that creates the role and lets it read the schemas.

    Args:
        databases: with several, psql connects to each in turn.
        connections: limit for the role: the sum of MAX_POOL_SIZE of all servers.
        statement_timeout_s: slightly above the query timeout of the servers.
        columns: those that the role may not read as they are.
        revokes: revoke from PUBLIC the privileges to create tables; otherwise these statements are comments.
        row_security: explain policies.
    """
    names = [databases] if isinstance(databases, str) else list(databases)
    where = f"-d {_quote(names[0])} " if len(names) == 1 else ""
    words = {
        "role": _quote(role),
        "role_text": _literal(role),
        "role_name": _quote(role).replace("'", "''").replace("%", "%%"),
        "made_by": _literal(MADE_BY),
        "connections": connections,
        "statement_timeout_s": statement_timeout_s,
        "comment": "" if revokes else "-- ",
    }
    script = _HEAD.format(**words, where=where)
    for name in names:
        script += "" if len(names) == 1 else f"\n\\connect {_quote(name)}\n"
        script += _ROLE.format(**words, database=_quote(name))
        for schema in schemas:
            script += _schema_script(schema, [each for each in columns if each.schema == schema], words)
        # Last: a table in one schema may have partitions in another, whose script grants them as a whole.
        for schema, table in sorted({(each.schema, each.table) for each in columns}):
            script += _table_script(
                [each for each in columns if (each.schema, each.table) == (schema, table)], words
            )
        script += "\nCOMMIT;\n" + _REVOKE_TEMPORARY.format(**words, database=_quote(name))
        if "public" in schemas:
            script += _REVOKE_CREATE.format(**words)
    return script + (_ROW_SECURITY.format(**words, schema=_quote(schemas[0])) if row_security else "")


def _schema_script(schema: str, columns: Sequence[ColumnName], words: dict[str, object]) -> str:
    tables = sorted({each.table for each in columns})
    return _SCHEMA.format(
        **words,
        schema=_quote(schema),
        schema_text=_literal(_quote(schema)),
        schema_name=_literal(schema),
        special=_array(tables),
    )


def _table_script(columns: Sequence[ColumnName], words: dict[str, object]) -> str:
    schema, table = columns[0].schema, columns[0].table
    masked = [each for each in columns if each.expression]
    names = {
        "table": _qualified(schema, table),
        "table_text": _literal(_qualified(schema, table)),
        "view": _qualified(schema, f"{table}_masked"),
        "view_in_format": _qualified(schema, f"{table}_masked").replace("%", "%%").replace("'", "''"),
        "view_text": _literal(_qualified(schema, f"{table}_masked")),
    }
    script = _HIDDEN.format(
        **words,
        **names,
        hidden=", ".join(_quote(each.column) for each in columns),
        hidden_names=_array([each.column for each in columns]),
    )
    if not masked:
        return script + _STALE_VIEW.format(
            **words, **names, hidden_names=_array([each.column for each in columns])
        )
    return script + _MASKED.format(
        **words,
        **names,
        masked=", ".join(_quote(each.column) for each in masked),
        left_out=_array([each.column for each in columns if not each.expression]),
        masked_names=_array([each.column for each in masked]),
        expressions=_array([each.expression or "" for each in masked]),
    )


def _quote(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


def _qualified(schema: str, name: str) -> str:
    return f"{_quote(schema)}.{_quote(name)}"


def _literal(text: str) -> str:
    """Return a string literal, the same whether backslashes are escapes or not."""
    escape = "E" if "\\" in text else ""
    return escape + "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def _array(texts: Sequence[str]) -> str:
    return f"ARRAY[{', '.join(map(_literal, texts))}]"
