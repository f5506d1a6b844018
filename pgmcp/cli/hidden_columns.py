"""The part of the script of `pgmcp setup-sql` that hides and masks columns."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pgmcp.cli.exposing_views import exposing_views_sql
from pgmcp.errors import InvalidArgumentError
from pgmcp.quoting import qualify, quote_always, quote_array, quote_literal

_HIDDEN = """
-- Table {table}, and its partitions and children: SELECT on all columns but {hidden}. Columns and partitions
-- that are added later are not covered until this script is run again.
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
-- Drop the view {view} if an earlier script made it and it shows a column that is now to be hidden.
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
      RAISE WARNING '% is readable, and one of its columns has the name of a hidden column', {view_text};
    END IF;
  END IF;
END $pgmcp$;
"""

_MASKED = """
-- View {view}: all columns of {table} but hidden ones, with {masked} masked. The view belongs to the table's
-- owner and has the owner's rights, so expressions can read what the owner can read.
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
    RAISE NOTICE 'the columns of the view % have changed: it is dropped and made again, with SELECT for %',
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

_EXPOSING = """
-- Views of any schema that use a hidden column with their owner's rights: the role may not read them, and a
-- WARNING names each. To let the role read the other columns of a view, make a view without the column or, if
-- the view only shows the column, hide it there, too (--hide).
DO $pgmcp$
DECLARE
  exposing record;
BEGIN
  FOR exposing IN
    SELECT e.view::pg_catalog.regclass AS name, e.is_mine, pg_catalog.string_agg(
             pg_catalog.format('%I.%I.%I', e.schema_name, e.table_name, e.column_name), ', ') AS columns
      FROM (
{exposing_views}
           ) AS e (view_schema, view_name, schema_name, table_name, column_name, is_readable, view, is_mine)
     WHERE e.is_readable
     GROUP BY e.view, e.is_mine
     ORDER BY 1
  LOOP
    IF exposing.is_mine THEN
      EXECUTE pg_catalog.format('REVOKE SELECT ON TABLE %s FROM %I', exposing.name, {role_text});
    END IF;
    IF pg_catalog.has_any_column_privilege({role_text}, exposing.name::pg_catalog.oid, 'SELECT') THEN
      RAISE WARNING 'the view % uses the hidden column %, and stays readable through PUBLIC or a role: '
        'revoke SELECT there, as its owner', exposing.name, exposing.columns;
    ELSE
      RAISE WARNING 'not granted: the view % uses the hidden column %: make a view without it or, if the '
        'view only shows the column, hide it there, too', exposing.name, exposing.columns;
    END IF;
  END LOOP;
END $pgmcp$;
"""


@dataclass(frozen=True, slots=True)
class ColumnName:
    """A column that is hidden or masked.

    Attributes:
        expression: the SQL to show in place of the column; None hides the column.
    """

    schema: str
    table: str
    column: str
    expression: str | None = None


def read_column(text: str, schemas: Sequence[str], *, is_masked: bool = False) -> ColumnName:
    """Return a column from `table.column` or `schema.table.column`, with `=expression` if it is masked.

    Raises:
        InvalidArgumentError: the text has another form, or its schema is not one of `schemas`.
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
            f"{text!r}: expected {form}", hint="the schema may be left out if there is only one"
        )
    if parts[0] not in schemas:
        raise InvalidArgumentError(f"{text!r}: its schema is not one of those that the role may read")
    return ColumnName(parts[0], parts[1], parts[2], expression.strip() or None)


def hide_columns(columns: Sequence[ColumnName], role: str, words: Mapping[str, object]) -> Iterator[str]:
    """Yield the parts of the script that hide the columns; none if there are no columns.

    Args:
        words: values of the script's placeholders.
    """
    for schema, table in sorted({(each.schema, each.table) for each in columns}):
        yield _table_script([each for each in columns if (each.schema, each.table) == (schema, table)], words)
    if columns:
        hidden = [(each.schema, each.table, each.column) for each in columns]
        yield _EXPOSING.format(**words, exposing_views=exposing_views_sql(hidden, role))


def _table_script(columns: Sequence[ColumnName], words: Mapping[str, object]) -> str:
    schema, table = columns[0].schema, columns[0].table
    masked = [each for each in columns if each.expression]
    names = {
        "table": qualify(schema, table),
        "table_text": quote_literal(qualify(schema, table)),
        "view": qualify(schema, f"{table}_masked"),
        "view_in_format": qualify(schema, f"{table}_masked").replace("%", "%%").replace("'", "''"),
        "view_text": quote_literal(qualify(schema, f"{table}_masked")),
    }
    script = _HIDDEN.format(
        **words,
        **names,
        hidden=", ".join(quote_always(each.column) for each in columns),
        hidden_names=quote_array([each.column for each in columns]),
    )
    if not masked:
        return script + _STALE_VIEW.format(
            **words, **names, hidden_names=quote_array([each.column for each in columns])
        )
    return script + _MASKED.format(
        **words,
        **names,
        masked=", ".join(quote_always(each.column) for each in masked),
        left_out=quote_array([each.column for each in columns if not each.expression]),
        masked_names=quote_array([each.column for each in masked]),
        expressions=quote_array([each.expression or "" for each in masked]),
    )
