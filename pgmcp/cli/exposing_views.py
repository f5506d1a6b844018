"""Finds the views that show a hidden column: for the script of `pgmcp setup-sql`, and for its `--check`.

pg_depend lists the columns that a view reads. Only the view's rule shows whether it reads whole rows, by a
`:varattno` of 0. A view with the caller's rights (security_invoker) shows a role only what the table would
show, even inside another view. A materialized view, however, stores the rows that its owner sees. Views that
the script made show only what was requested. A view is harmless if the role may not read those of its columns
that use the hidden column. The rule shows this if the view is one plain SELECT; any other view counts
as showing the column.
"""

from collections.abc import Sequence
from typing import Final

from pgmcp.quoting import quote_literal

MADE_BY: Final = "made by pgmcp setup-sql"
"""The script's comment on its role and its views. A role without this comment keeps its settings."""

# Parts of a rule, as PostgreSQL 12 to 18 write it. Names in it have a backslash before each space.
_ALIASES_OF_JOIN: Final = r":joinaliasvars [(](?:[{]VAR [^{}]*[}] ?)*[)]"
_RELATION: Final = r":rtekind ([0-9])(?: :relid ([0-9]+))?"
_VARIABLE: Final = r"[{]VAR :varno ([0-9]+) :varattno (-?[0-9]+) "
_OUTPUT: Final = (
    r":resno ([0-9]+) :resname (?:[^\s\\]|\\.)+ :ressortgroupref [0-9]+ "
    r":resorigtbl ([0-9]+) :resorigcol (-?[0-9]+) :resjunk false"
)

_SQL: Final = """
WITH RECURSIVE hidden (attrelid, attname) AS (
  SELECT c.oid, h.column_name
    FROM (VALUES $columns) AS h (schema_name, table_name, column_name)
    JOIN pg_catalog.pg_namespace AS n ON n.nspname = h.schema_name
    JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = h.table_name
   UNION
  SELECT i.inhrelid, h.attname FROM hidden AS h JOIN pg_catalog.pg_inherits AS i ON i.inhparent = h.attrelid
), views AS (
  SELECT c.oid, n.oid AS namespace, n.nspname, c.relname, c.relowner, r.oid AS rule,
         c.relkind = 'm' AS is_stored,
         pg_catalog.strpos(r.ev_action::pg_catalog.text, ':varattno 0 ') > 0 AS has_whole_rows,
         pg_catalog.strpos(r.ev_action::pg_catalog.text, '{SETOPERATIONSTMT ') > 0 AS is_union,
         EXISTS (SELECT FROM pg_catalog.pg_options_to_table(c.reloptions) AS o
                  WHERE CASE o.option_name WHEN 'security_invoker'
                             THEN o.option_value::pg_catalog.bool END) AS is_callers
    FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_rewrite AS r ON r.ev_class = c.oid AND r.ev_type = '1'
   WHERE c.relkind IN ('v', 'm') AND c.oid >= 16384::pg_catalog.oid
     AND (pg_catalog.right(c.relname::pg_catalog.text, 7) <> '_masked'
          OR pg_catalog.obj_description(c.oid, 'pg_class') IS DISTINCT FROM $made_by)
), uses AS (
  SELECT DISTINCT v.oid, v.is_stored, v.is_callers, a.attrelid, a.attname, a.attnum
    FROM views AS v
    JOIN pg_catalog.pg_depend AS d ON d.classid = 2618::pg_catalog.oid  -- pg_rewrite
         AND d.objid = v.rule AND d.refclassid = 1259::pg_catalog.oid  -- pg_class
         AND d.refobjid <> v.oid
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = d.refobjid
         AND CASE WHEN v.has_whole_rows THEN a.attnum > 0 AND NOT a.attisdropped
                  ELSE a.attnum = d.refobjsubid AND d.refobjsubid > 0 END
), shown (oid, attrelid, attname, used_table, used_number, is_checked) AS (
  SELECT u.oid, u.attrelid, u.attname, u.attrelid, u.attnum, u.is_callers AND NOT u.is_stored
    FROM uses AS u JOIN hidden AS h ON h.attrelid = u.attrelid AND h.attname = u.attname
   UNION
  SELECT u.oid, s.attrelid, s.attname, u.attrelid, u.attnum,
         (s.is_checked OR u.is_callers) AND NOT u.is_stored
    FROM shown AS s JOIN uses AS u ON u.attrelid = s.oid
   WHERE (  -- the inner view's output column is the hidden column, or an expression, which may use it
     SELECT COALESCE(pg_catalog.bool_or(o.part[2] = s.used_table::pg_catalog.text
                                        AND o.part[3] = s.used_number::pg_catalog.text), true)
            -- The first SELECT of a UNION gives its outputs their names, once more and without an origin.
            OR pg_catalog.count(*) FILTER (WHERE o.part[2] = '0')
               > CASE WHEN pg_catalog.bool_or(v.is_union) THEN 1::pg_catalog.int8 ELSE 0::pg_catalog.int8 END
       FROM views AS v
       JOIN pg_catalog.pg_rewrite AS r ON r.oid = v.rule
      CROSS JOIN LATERAL pg_catalog.regexp_matches(r.ev_action::pg_catalog.text, $output, 'g') AS o (part)
      WHERE v.oid = s.oid AND o.part[1] = u.attnum::pg_catalog.text)
)
SELECT DISTINCT v.nspname, v.relname, n.nspname, c.relname, s.attname,
       a.is_readable,
       v.oid AS view, pg_catalog.pg_has_role(v.relowner, 'USAGE') AS is_mine
  FROM shown AS s
  JOIN views AS v ON v.oid = s.oid
  JOIN pg_catalog.pg_class AS c ON c.oid = s.attrelid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_rewrite AS r ON r.oid = v.rule
 CROSS JOIN LATERAL (
   SELECT pg_catalog.has_schema_privilege($role, v.namespace, 'USAGE')
          AND pg_catalog.has_any_column_privilege($role, v.oid, 'SELECT') AS is_readable) AS a
 CROSS JOIN LATERAL (
   SELECT pg_catalog.regexp_replace(r.ev_action::pg_catalog.text, $aliases_of_join, '', 'g') AS text) AS t
 CROSS JOIN LATERAL (
   SELECT pg_catalog.bool_and(k.part[1] IN ('0', '2'))  -- tables and joins only
          AND pg_catalog.strpos(t.text, ':groupClause <> ') > 0  -- since 18 they are in :rtable
          AND pg_catalog.array_length(pg_catalog.string_to_array(t.text, '{QUERY '), 1) = 2 AS is_plain
     FROM pg_catalog.regexp_matches(t.text, $relation, 'g') AS k (part)) AS p
 CROSS JOIN LATERAL (  -- a variable of a join may be the column
   SELECT pg_catalog.count(*) AS uses
     FROM pg_catalog.regexp_matches(t.text, $variable, 'g') AS a (part)
     JOIN pg_catalog.regexp_matches(t.text, $relation, 'g') WITH ORDINALITY AS k (part, number)
          ON k.number::pg_catalog.text = a.part[1]
    WHERE k.part[1] = '2' OR (k.part[2] = s.used_table::pg_catalog.text
                              AND a.part[2] = s.used_number::pg_catalog.text)) AS w
 CROSS JOIN LATERAL (
   SELECT pg_catalog.count(*) AS hidden_outputs
     FROM pg_catalog.regexp_matches(t.text, $output, 'g') AS o (part)
    WHERE o.part[2] = s.used_table::pg_catalog.text AND o.part[3] = s.used_number::pg_catalog.text
      AND NOT pg_catalog.has_column_privilege($role, v.oid, o.part[1]::pg_catalog.int2, 'SELECT')) AS x
 WHERE NOT s.is_checked AND v.nspname !~ '^pg_' AND v.nspname <> 'information_schema'
   AND (NOT a.is_readable OR v.has_whole_rows OR NOT p.is_plain OR w.uses <> x.hidden_outputs)
 ORDER BY v.nspname, v.relname, s.attname
"""


def exposing_views_sql(columns: Sequence[tuple[str, str, str]], role: str | None = None) -> str:
    """Return the query for the views of every schema that show one of the columns with their owner's rights.

    Its columns: the view's schema and name; the hidden column's schema, table and name; whether the role can
    read a column of the view; the view's OID; whether the current role has the rights of the view's owner.

    Args:
        columns: schema, table and name of at least one hidden column. The query itself finds the same columns
            of partitions and children.
        role: the role that may read views; None for the current role.
    """
    rows = (
        f"({', '.join(f'{quote_literal(name)}::pg_catalog.name' for name in column)})" for column in columns
    )
    parts = {
        "$role": "CURRENT_USER" if role is None else quote_literal(role),
        "$made_by": quote_literal(MADE_BY),
        "$aliases_of_join": quote_literal(_ALIASES_OF_JOIN),
        "$relation": quote_literal(_RELATION),
        "$variable": quote_literal(_VARIABLE),
        "$output": quote_literal(_OUTPUT),
    }
    sql = _SQL
    for sign, text in parts.items():
        sql = sql.replace(sign, text)
    return sql.replace("$columns", ", ".join(rows))
