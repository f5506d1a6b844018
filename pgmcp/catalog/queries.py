"""Contains the statements that read PostgreSQL's catalog, for servers 13 to 18.

Any role may run them, unless rights on the catalog were revoked from PUBLIC (`execution.catalog_access`). The
statements for columns, constraints, indexes, enums and statistics return one row per table or enum. A text
cell of this row contains a JSON array of parts, one for each column, constraint and so on. So 10,000 tables
take 10,000 rows instead of 150,000, and no array in PostgreSQL's own notation has to be parsed. The parts
identify columns by number and relations by OID, which saves joins; `assembly` inserts the names. The
largest statements read a range of OIDs at a time, so that no result grows with the database.

The statements run with only pg_catalog in the search path. Operands and arguments have exactly the types of
one operator or function, and only casts of PostgreSQL itself are used. Otherwise, a cast that a superuser
created could be called, for example from json to text, or could make an operator ambiguous. So json_out()
and textin() turn json into text, without a cast. A join reads the descriptions: one col_description() per
column takes 13 s for 10,000 tables.
"""

# ruff: noqa: S608 - the pieces that are put together are constants of this file, and numbers

from typing import Final

MAX_SAMPLED_TABLES: Final = 200
"""Maximum number of tables that are sampled after one read of the catalog, if sampling is on."""

MAX_LISTED_VALUES: Final = 100
"""Maximum number of values that are listed for one column.

By default, ANALYZE keeps 100 common values and 101 bounds of a histogram.
"""


def _may_read(relation: str) -> str:
    """Return the condition that the role may read at least one column of the relation.

    Args:
        relation: the alias of pg_class.
    """
    return (
        f"pg_catalog.has_schema_privilege({relation}.relnamespace, 'USAGE') "
        f"AND pg_catalog.has_any_column_privilege({relation}.oid, 'SELECT')"
    )


# User schemas cannot begin with pg_, so this leaves out pg_catalog, pg_toast and every pg_temp_n.
_USER_SCHEMA = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"

# A partition is left out if the role may read a table above it. If the role may not read pg_inherits, an
# empty relation replaces it (`execution.catalog_access`), and all partitions are left out. An inheritance
# child is left out if it has only columns of a readable parent, and its name begins with the parent's name,
# because a query of the parent also returns the child's rows. Other children are listed as tables. Relations
# of extensions are left out, and so are those in an extension's own schema. `hidden` explains what is left
# out.
_RELATIONS = f"""
    pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace AND {_USER_SCHEMA}
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
      AND NOT (c.relispartition AND (
          NOT EXISTS (SELECT FROM pg_catalog.pg_inherits AS i WHERE i.inhrelid = c.oid)
          OR EXISTS (
              WITH RECURSIVE above (id) AS (
                  SELECT i.inhparent FROM pg_catalog.pg_inherits AS i WHERE i.inhrelid = c.oid
                  UNION
                  SELECT i.inhparent
                  FROM above AS a JOIN pg_catalog.pg_inherits AS i ON i.inhrelid = a.id
              )
              SELECT FROM above AS a JOIN pg_catalog.pg_class AS parent ON parent.oid = a.id
              WHERE {_may_read("parent")})))
      AND NOT EXISTS (
          SELECT FROM pg_catalog.pg_inherits AS i
          JOIN pg_catalog.pg_class AS parent ON parent.oid = i.inhparent
               AND pg_catalog.starts_with(c.relname::pg_catalog.text, parent.relname::pg_catalog.text)
          WHERE i.inhrelid = c.oid AND NOT c.relispartition AND {_may_read("parent")} AND NOT EXISTS (
              SELECT FROM pg_catalog.pg_attribute AS own
              WHERE own.attrelid = c.oid AND own.attnum > 0 AND NOT own.attisdropped AND NOT EXISTS (
                  SELECT FROM pg_catalog.pg_attribute AS of_parent
                  WHERE of_parent.attrelid = i.inhparent AND of_parent.attname = own.attname
                    AND of_parent.attnum > 0)))
      AND NOT EXISTS (
          SELECT FROM pg_catalog.pg_depend AS e
          WHERE e.classid = '1259' AND e.objid = c.oid AND e.objsubid = 0 AND e.deptype = 'e')
      AND c.relnamespace NOT IN (
          SELECT s.objid FROM pg_catalog.pg_depend AS s WHERE s.classid = '2615' AND s.deptype = 'e')"""


def _type_name(type_id: str, modifier: str) -> str:
    """Return an expression for a type's name, without its schema if the caller's search path finds it.

    pgmcp's statements have only pg_catalog in their search path, so format_type() writes the schema of every
    other type. The setting pgmcp.schemas has the schemas of the caller's search path (`worker.protocol`). The
    schema stays in the name if the role may not read pg_type.
    """
    return f"""COALESCE((
        SELECT pg_catalog.substr(
            pg_catalog.format_type({type_id}, {modifier}),
            CASE WHEN e.typnamespace <> '11' AND e.typnamespace = (
                SELECT n.oid
                FROM pg_catalog.json_array_elements_text(pg_catalog.json_in(pg_catalog.textout(
                    pg_catalog.current_setting('pgmcp.schemas')))) WITH ORDINALITY AS path (name, place)
                JOIN pg_catalog.pg_namespace AS n ON n.nspname = path.name
                JOIN pg_catalog.pg_type AS x ON x.typnamespace = n.oid AND x.typname = e.typname
                ORDER BY path.place LIMIT 1::pg_catalog.int8)
                AND NOT EXISTS (
                    SELECT FROM pg_catalog.pg_type AS x WHERE x.typnamespace = '11' AND x.typname = e.typname)
            THEN pg_catalog.length(pg_catalog.quote_ident(s.nspname::pg_catalog.text)) + 2 ELSE 1 END)
        FROM pg_catalog.pg_type AS e JOIN pg_catalog.pg_namespace AS s ON s.oid = e.typnamespace
        WHERE e.oid = {type_id}), pg_catalog.format_type({type_id}, {modifier}))"""


def _texts(values: str) -> str:
    """Return an expression for the elements of an anyarray as text[], empty for NULL.

    It reads the array's text without a cast, because a superuser could have created one from text to text[].
    """
    return (
        "ARRAY(SELECT pg_catalog.json_array_elements_text(pg_catalog.array_to_json("
        f"pg_catalog.array_in(pg_catalog.anyarray_out({values}), '25', -1))))"
    )


SESSION = """
SELECT pg_catalog.current_setting('server_version') AS server_version,
       pg_catalog.current_setting('TimeZone') AS time_zone,
       pg_catalog.current_database() AS database,
       pg_catalog.current_setting('pgmcp.schemas') AS search_path"""

# Schemas with a relation that the role may read, whether it is listed or not.
SCHEMAS = f"""
SELECT n.nspname::pg_catalog.text AS schema_name
FROM pg_catalog.pg_namespace AS n
WHERE {_USER_SCHEMA} AND EXISTS (
    SELECT FROM pg_catalog.pg_class AS c
    WHERE c.relnamespace = n.oid AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND {_may_read("c")})"""


def _row_count(relation: str) -> str:
    return (
        f"CASE WHEN {relation}.reltuples > '0' THEN {relation}.reltuples::pg_catalog.float8"
        f" ELSE pg_catalog.pg_stat_get_live_tuples({relation}.oid)::pg_catalog.float8 END"
    )


# reltuples is -1 (0 before PostgreSQL 14) until the first VACUUM or ANALYZE. A query of a parent also returns
# the rows of its partitions or inheriting tables, so their numbers of rows count for the parent.
# If only some of them have been analysed, the others count with the rows that the server has seen inserted.
# The reltuples of a partitioned table itself is not used: ANALYZE writes the sum of its partitions there.
RELATIONS = f"""
WITH RECURSIVE family (root, member) AS (
    SELECT i.inhparent, i.inhrelid
    FROM pg_catalog.pg_inherits AS i
    JOIN pg_catalog.pg_class AS parent ON parent.oid = i.inhparent
    WHERE parent.relkind IN ('p', 'r')
    UNION
    SELECT f.root, i.inhrelid
    FROM family AS f JOIN pg_catalog.pg_inherits AS i ON i.inhparent = f.member
), family_size (root, row_count) AS (
    SELECT f.root, pg_catalog.sum({_row_count("m")})
    FROM family AS f JOIN pg_catalog.pg_class AS m ON m.oid = f.member AND m.relkind <> 'p'
    GROUP BY f.root
    HAVING pg_catalog.bool_or(m.reltuples > '0')
)
SELECT visible.id, visible.schema_name, visible.name, visible.kind,
       COALESCE(pg_catalog.left(d.description, 2000), '') AS comment,
       CASE WHEN visible.kind = 'p' THEN s.row_count::pg_catalog.int8
            WHEN s.row_count IS NOT NULL
            THEN (s.row_count + {_row_count("visible")})::pg_catalog.int8
            WHEN visible.kind <> 'v' AND visible.reltuples >= '0'
                 AND visible.reltuples + visible.relpages::pg_catalog.float4 > '0'
            THEN visible.reltuples::pg_catalog.int8 END AS estimated_rows,
       (SELECT pg_catalog.textin(pg_catalog.json_out(
                   pg_catalog.json_agg(i.inhparent::pg_catalog.int8 ORDER BY i.inhseqno)))
        FROM pg_catalog.pg_inherits AS i WHERE i.inhrelid = visible.oid) AS parents
FROM (
    SELECT c.oid::pg_catalog.int8 AS id, c.oid, n.nspname::pg_catalog.text AS schema_name,
           c.relname::pg_catalog.text AS name, c.relkind::pg_catalog.text AS kind, c.reltuples, c.relpages
    FROM {_RELATIONS}
      AND {_may_read("c")}
) AS visible
LEFT JOIN pg_catalog.pg_description AS d
       ON d.classoid = '1259' AND d.objoid = visible.oid AND d.objsubid = 0
LEFT JOIN family_size AS s ON s.root = visible.oid"""


def columns(first_id: int, last_id: int) -> str:
    """Return the statement that reads the columns of relations from one OID to another, both included."""
    return f"""
SELECT a.attrelid::pg_catalog.int8 AS id,
       pg_catalog.textin(pg_catalog.json_out(pg_catalog.json_agg(pg_catalog.json_build_array(
           a.attnum, a.attname, {_type_name("a.atttypid", "a.atttypmod")}, a.atttypid::pg_catalog.int8,
           COALESCE(t.typcategory = 'S', false), NOT a.attnotnull,
           pg_catalog.left(pg_catalog.pg_get_expr(f.adbin, f.adrelid), 500),
           a.attidentity, a.attgenerated,
           COALESCE(pg_catalog.left(d.description, 2000), '')
       ) ORDER BY a.attnum))) AS parts
FROM (
    SELECT c.oid, pg_catalog.has_table_privilege(c.oid, 'SELECT') AS is_readable
    FROM {_RELATIONS} AND c.oid BETWEEN '{first_id:d}' AND '{last_id:d}'
) AS visible
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = visible.oid AND a.attnum > 0 AND NOT a.attisdropped
     AND a.attrelid BETWEEN '{first_id:d}' AND '{last_id:d}'
LEFT JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
LEFT JOIN pg_catalog.pg_attrdef AS f ON f.adrelid = a.attrelid AND f.adnum = a.attnum
LEFT JOIN pg_catalog.pg_description AS d
       ON d.classoid = '1259' AND d.objoid = a.attrelid AND d.objsubid = a.attnum
WHERE visible.is_readable OR pg_catalog.has_column_privilege(visible.oid, a.attnum, 'SELECT')
GROUP BY a.attrelid"""


def constraints(first_id: int, last_id: int, server_version: int) -> str:
    """Return the statement that reads the constraints of relations from one OID to another.

    Of NOT NULL constraints, it reads only those that are not validated; the others are properties of the
    columns. A key counts as not validated if its index is invalid, such as the index of a key that ALTER
    TABLE ONLY adds to a partitioned table.

    Args:
        server_version: the major version; older servers lack some columns of the catalog.
    """
    is_period = "k.conperiod" if server_version >= 18 else "false"
    is_enforced = "k.conenforced" if server_version >= 18 else "true"
    nulls_not_distinct = "COALESCE(x.indnullsnotdistinct, false)" if server_version >= 15 else "false"
    return f"""
SELECT k.conrelid::pg_catalog.int8 AS id,
       pg_catalog.textin(pg_catalog.json_out(pg_catalog.json_agg(pg_catalog.json_build_array(
           k.contype, COALESCE(k.conkey, '{{}}'), k.confrelid::pg_catalog.int8, COALESCE(k.confkey, '{{}}'),
           CASE WHEN k.contype IN ('c', 'x', 'n')
                THEN pg_catalog.left(pg_catalog.pg_get_constraintdef(k.oid), 1000) END,
           {is_period}, {is_enforced}, k.convalidated AND COALESCE(x.indisvalid, true), {nulls_not_distinct}
       ) ORDER BY k.conname))) AS parts
FROM (SELECT c.oid FROM {_RELATIONS} AND c.oid BETWEEN '{first_id:d}' AND '{last_id:d}') AS visible
JOIN pg_catalog.pg_constraint AS k ON k.conrelid = visible.oid
     AND (k.contype IN ('p', 'u', 'f', 'c', 'x') OR k.contype = 'n' AND NOT k.convalidated)
     AND k.conrelid BETWEEN '{first_id:d}' AND '{last_id:d}'
LEFT JOIN pg_catalog.pg_index AS x ON x.indexrelid = k.conindid AND k.contype IN ('p', 'u')
GROUP BY k.conrelid"""


def indexes(first_id: int, last_id: int) -> str:
    """Return the statement that reads the indexes of relations from one OID to another.

    Invalid indexes, and indexes of primary keys, unique and exclusion constraints, are left out. INCLUDE
    columns are in the definition, but not among the column numbers.
    """
    return f"""
SELECT x.indrelid::pg_catalog.int8 AS id,
       pg_catalog.textin(pg_catalog.json_out(pg_catalog.json_agg(pg_catalog.json_build_array(
           i.relname, pg_catalog.left(pg_catalog.pg_get_indexdef(x.indexrelid), 1000), x.indisunique,
           ARRAY(SELECT x.indkey[n.place] FROM pg_catalog.generate_series(0, x.indnkeyatts - 1) AS n (place))
       ) ORDER BY i.relname))) AS parts
FROM (SELECT c.oid FROM {_RELATIONS} AND c.oid BETWEEN '{first_id:d}' AND '{last_id:d}') AS visible
JOIN pg_catalog.pg_index AS x ON x.indrelid = visible.oid AND x.indisvalid
     AND x.indrelid BETWEEN '{first_id:d}' AND '{last_id:d}'
JOIN pg_catalog.pg_class AS i ON i.oid = x.indexrelid
WHERE NOT EXISTS (
    SELECT FROM pg_catalog.pg_constraint AS k
    WHERE k.conrelid = x.indrelid AND k.conindid = x.indexrelid AND k.contype IN ('p', 'u', 'x'))
GROUP BY x.indrelid"""


# Enums, and arrays of them; labels in the enum's order.
ENUMS = """
SELECT t.oid::pg_catalog.int8 AS id, t.typarray::pg_catalog.int8 AS array_id, e.labels
FROM (SELECT enumtypid, pg_catalog.textin(pg_catalog.json_out(
          pg_catalog.json_agg(enumlabel ORDER BY enumsortorder))) AS labels
      FROM pg_catalog.pg_enum AS e GROUP BY enumtypid) AS e
JOIN pg_catalog.pg_type AS t ON t.oid = e.enumtypid"""

# A domain over a domain references the inner one; `rows.Types` follows the references.
DOMAINS = f"""
SELECT t.oid::pg_catalog.int8 AS id, t.typbasetype::pg_catalog.int8 AS base_id,
       {_type_name("t.typbasetype", "t.typtypmod")} AS base_type
FROM pg_catalog.pg_type AS t
JOIN pg_catalog.pg_namespace AS n ON n.oid = t.typnamespace AND {_USER_SCHEMA}
WHERE t.typtype = 'd'"""


# Parts of `statistics`: c is a relation, and s a column of it.

# The columns of text, and those of dates and numbers (bigint, smallint, integer, real, double precision,
# numeric, date, timestamp with and without time zone, by OID). A negative n_distinct is a share of the rows.
# pg_stats omits columns that are not readable. It is queried for one table after another, because for all
# tables together the planner expects a handful of rows instead of 100,000.
_ANALYSED_COLUMNS = """
SELECT a.attnum, s.inherited, s.most_common_vals, s.histogram_bounds, s.avg_width,
       CASE WHEN s.n_distinct < '0' THEN -s.n_distinct * c.reltuples
            ELSE s.n_distinct END AS distinct_count,
       COALESCE(pg_catalog.cardinality(s.most_common_freqs), 0)
       + COALESCE(pg_catalog.cardinality(s.histogram_bounds), 0) AS known_count,
       t.typcategory = 'S' AS is_text,
       a.atttypid IN ('20', '21', '23') AS is_number,
       EXISTS (
           SELECT FROM pg_catalog.pg_constraint AS k
           WHERE k.conrelid = c.oid AND k.contype IN ('p', 'f') AND a.attnum = ANY (k.conkey)
       ) AS is_key
FROM pg_catalog.pg_stats AS s
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attname = s.attname
JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
WHERE s.schemaname = c.nspname AND s.tablename = c.relname
  AND (t.typcategory = 'S'
       OR a.atttypid IN ('20', '21', '23', '700', '701', '1700', '1082', '1114', '1184'))
OFFSET 0::pg_catalog.int8
"""

# Whether all values of a column may be listed. The column must contain text, or integers if it has a comment
# and is not a key, and its values must be short and few. All values are known if the most common values and
# the bounds of the histogram are at least as many as the distinct values. A histogram repeats a value that
# fills several buckets, so `StatisticsRow` counts the distinct ones.
_CAN_LIST = f"""
(s.is_text OR s.is_number AND NOT s.is_key AND EXISTS (
    SELECT FROM pg_catalog.pg_description AS d
    WHERE d.classoid = '1259' AND d.objoid = c.oid AND d.objsubid = s.attnum))
AND s.avg_width <= 64
AND s.distinct_count BETWEEN '1' AND LEAST({MAX_LISTED_VALUES}, s.known_count)::pg_catalog.float4 + '0.5'
"""

# A value in a histogram may occur in only one row. So a list from a histogram is fresh only if no row has
# changed since the ANALYZE. Any other list is fresh until autovacuum's defaults make the next ANALYZE due.
# PostgreSQL does not count the changes of partitions for their parent, so a parent's list from a histogram is
# never fresh. If one session loads a table and analyses it, PostgreSQL counts its inserts as changes after
# the ANALYZE, although the list is fresh. The second WHEN recognises this case: the number of all changes so
# far equals the number of rows.
_IS_FRESH = """
CASE WHEN s.histogram_bounds IS NOT NULL AND s.inherited THEN false
     WHEN c.changes_ever::pg_catalog.float8 = c.reltuples::pg_catalog.float8 THEN true
     WHEN s.histogram_bounds IS NULL
     THEN c.changes::pg_catalog.float8 <= '50' + '0.1' * c.reltuples::pg_catalog.float8
     ELSE c.changes = 0 END
"""


def statistics(first_id: int, last_id: int) -> str:
    """Return the statement that reads the last ANALYZE's statistics of relations from one OID to another.

    The second element of a part, `StatisticsRow.listed`, has all values of the column if they are known and
    few. The third, `bounds`, is for dates and numbers that are not keys. It has the ends of the histogram and
    the most frequent values, or all values if there is no histogram. `assembly` takes the least and the
    greatest of them.

    The inherited statistics of a parent come after its own, and so replace them. OFFSET 0 prevents the
    planner from computing the arrays as text twice, which is costly.
    """
    return f"""
SELECT c.oid::pg_catalog.int8 AS id, f.parts
FROM (
    SELECT c.oid, n.nspname, c.relname, c.reltuples,
           pg_catalog.pg_stat_get_mod_since_analyze(c.oid) AS changes,
           pg_catalog.pg_stat_get_tuples_inserted(c.oid) + pg_catalog.pg_stat_get_tuples_updated(c.oid)
           + pg_catalog.pg_stat_get_tuples_deleted(c.oid) AS changes_ever
    FROM {_RELATIONS} AND c.oid BETWEEN '{first_id:d}' AND '{last_id:d}'
) AS c
CROSS JOIN LATERAL (
    SELECT pg_catalog.textin(pg_catalog.json_out(pg_catalog.json_agg(pg_catalog.json_build_array(
               x.attnum,
               CASE WHEN x.can_list THEN pg_catalog.array_cat(x.common, x.histogram) END,
               CASE WHEN x.has_range AND pg_catalog.cardinality(x.histogram) = 0 THEN x.common
                    WHEN x.has_range THEN pg_catalog.array_append(
                        pg_catalog.array_append(x.common[1:5], x.histogram[1]),
                        x.histogram[pg_catalog.cardinality(x.histogram)]) END,
               x.distinct_count, x.is_fresh
           ) ORDER BY x.inherited))) AS parts
    FROM (
        SELECT s.attnum, s.inherited, s.can_list, s.has_range, s.distinct_count, s.is_fresh,
               {_texts("s.most_common_vals")} AS common,
               CASE WHEN s.histogram_bounds IS NULL THEN ARRAY[]::pg_catalog.text[]
                    ELSE {_texts("s.histogram_bounds")} END AS histogram
        FROM (
            SELECT s.attnum, s.inherited, s.most_common_vals, s.histogram_bounds, s.distinct_count,
                   {_CAN_LIST} AS can_list,
                   NOT s.is_text AND NOT s.is_key AND s.known_count > 0 AS has_range,
                   {_IS_FRESH} AS is_fresh
            FROM ({_ANALYSED_COLUMNS}) AS s
            OFFSET 0::pg_catalog.int8
        ) AS s
        WHERE s.can_list OR s.has_range
        OFFSET 0::pg_catalog.int8
    ) AS x
) AS f
WHERE f.parts IS NOT NULL"""


# Tables and materialized views that were never analysed, the largest first, by the server's count of their
# rows. Relations under row-level security are left out, because pg_stats hides their statistics; so are
# those with a foreign table as a part. The statement locks no table; asking for a table's size would.
NEVER_ANALYSED = f"""
WITH RECURSIVE partly_foreign (id) AS (
    SELECT i.inhparent
    FROM pg_catalog.pg_inherits AS i JOIN pg_catalog.pg_class AS f ON f.oid = i.inhrelid AND f.relkind = 'f'
    UNION
    SELECT i.inhparent
    FROM partly_foreign AS k JOIN pg_catalog.pg_inherits AS i ON i.inhrelid = k.id
)
SELECT n.nspname::pg_catalog.text AS schema_name, c.relname::pg_catalog.text AS name
FROM {_RELATIONS}
  AND c.relkind IN ('r', 'p', 'm')
  AND NOT pg_catalog.row_security_active(c.oid)
  AND NOT EXISTS (SELECT FROM partly_foreign AS k WHERE k.id = c.oid)
  AND {_may_read("c")}
  AND NOT EXISTS (
      SELECT FROM pg_catalog.pg_stats AS s WHERE s.schemaname = n.nspname AND s.tablename = c.relname)
ORDER BY pg_catalog.pg_stat_get_live_tuples(c.oid) DESC, n.nspname, c.relname
LIMIT {MAX_SAMPLED_TABLES}::pg_catalog.int8"""
