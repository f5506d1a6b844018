"""Statements that read the facts that decide which function or operator a name means.

If a database has no function, operator or domain of its own, nothing is read. The types of columns are
read only if the database has an operator of its own, or a function that can be called with one argument or
whose name has several overloads.
"""

from typing import Final

from pgmcp.execution.policy.statements import INPUT_NAMES, IS_SUPERUSER, WITH_OWN_COUNTERPART
from pgmcp.validation.shipped_lists import judged_by_types
from pgmcp.validation.type_system import COMPATIBLE_FAMILY, EXACT_FAMILY

_POLYMORPHIC_TYPES: Final = ", ".join(f"'{oid}'" for oid in sorted(EXACT_FAMILY | COMPATIBLE_FAMILY))
_JUDGED_BY_TYPES: Final = ", ".join(f"'{name}'" for name in judged_by_types())

# These CTEs define the database's own functions and operators. Those of extensions do not count as own,
# except functions that a shipped list refuses only for some types, and those that an ordinary user has added
# to an extension (as in FUNCTIONS). The CTEs also define the columns that have
# the name of a domain, or of an own function that `value.name` can call.
_OWN: Final = f"""
WITH RECURSIVE members (class, id) AS (
    SELECT d.classid, d.objid FROM pg_catalog.pg_depend AS d
    LEFT JOIN pg_catalog.pg_proc AS p ON d.classid = '1255' AND p.oid = d.objid
    LEFT JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
    LEFT JOIN pg_catalog.pg_operator AS o ON d.classid = '2617' AND o.oid = d.objid
    WHERE d.deptype = 'e' AND d.refclassid = '3079' AND d.classid IN ('1255', '2617')
      AND (l.lanname = 'c' OR p.proowner = '10' OR o.oprowner = '10'
           OR {IS_SUPERUSER.format(role="p.proowner")} OR {IS_SUPERUSER.format(role="o.oprowner")})
), own_functions AS MATERIALIZED (
    SELECT p.oid, p.proname, p.proargtypes, p.provariadic, p.pronargs, p.pronargdefaults
    FROM pg_catalog.pg_proc AS p
    WHERE p.oid >= '16384' AND p.prokind <> 'p' AND p.prorettype NOT IN ('2279', '3838')
      AND (p.proname IN ({_JUDGED_BY_TYPES})
           OR NOT EXISTS (SELECT FROM members AS m WHERE m.class = '1255' AND m.id = p.oid))
), own_operators AS MATERIALIZED (
    SELECT o.oid, o.oprname, o.oprleft, o.oprright FROM pg_catalog.pg_operator AS o
    WHERE o.oid >= '16384' AND NOT EXISTS (SELECT FROM members AS m WHERE m.class = '2617' AND m.id = o.oid)
), with_own_counterpart (operator) AS ({WITH_OWN_COUNTERPART}
), names (name) AS MATERIALIZED (
    SELECT DISTINCT f.proname FROM own_functions AS f
), contested (is_contested) AS MATERIALIZED (
    SELECT EXISTS (SELECT FROM own_operators AS o) OR EXISTS (
        SELECT FROM names AS n JOIN pg_catalog.pg_proc AS p ON p.proname = n.name
        GROUP BY n.name HAVING pg_catalog.count(*) > 1)
), callable (name) AS (
    SELECT f.proname FROM own_functions AS f
    WHERE f.pronargs > 0 AND f.pronargs - f.pronargdefaults - (f.provariadic <> '0')::pg_catalog.int4 <= 1
), single (name) AS (
    SELECT c.name FROM callable AS c
    UNION
    SELECT t.typname FROM pg_catalog.pg_type AS t
    WHERE t.typtype = 'd' AND t.oid >= '16384'
), holders (relation, column_name) AS (
    SELECT a.attrelid, a.attname
    FROM pg_catalog.pg_attribute AS a
    JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c')
    WHERE a.attname IN (SELECT s.name FROM single AS s) AND NOT a.attisdropped
), typed_columns (is_read) AS MATERIALIZED (
    SELECT c.is_contested OR EXISTS (SELECT FROM callable AS f) FROM contested AS c
), parents (is_without_columns) AS MATERIALIZED (
    -- Without inherited columns, nothing but pg_inherits shows that a table is a child.
    SELECT EXISTS (
        SELECT FROM pg_catalog.pg_class AS c
        WHERE c.relhassubclass AND c.relkind IN ('r', 'p', 'f') AND NOT EXISTS (
            SELECT FROM pg_catalog.pg_attribute AS a
            WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped))
)"""  # noqa: S608 - of constants

# Each row has a kind, a schema, a name and JSON. Functions of extensions are trusted, so nothing is read for
# them. The rows of kind `type` are PostgreSQL's types, and the types of arguments and columns with the types
# that these contain. Other types of the same names are read, too, because a search path can have them first.
RESOLUTION: Final = f"""{_OWN}, columns (name, types) AS (
    SELECT d.attname, pg_catalog.json_agg(d.atttypid::pg_catalog.int8)
    FROM (SELECT DISTINCT a.attname, a.atttypid
          FROM pg_catalog.pg_attribute AS a
          JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c')
          WHERE NOT a.attisdropped AND (SELECT o.is_read FROM typed_columns AS o)) AS d
    GROUP BY d.attname
), used (id) AS (
    SELECT t.id FROM (
        SELECT pg_catalog.unnest(p.proargtypes) FROM names AS n
            JOIN pg_catalog.pg_proc AS p ON p.proname = n.name
        UNION SELECT p.provariadic FROM names AS n JOIN pg_catalog.pg_proc AS p ON p.proname = n.name
        UNION SELECT o.oprleft FROM own_operators AS o
        UNION SELECT o.oprright FROM own_operators AS o
        UNION SELECT t.oid FROM pg_catalog.pg_type AS t
              WHERE (t.oid < '16384' AND t.typrelid = '0' OR t.typtype IN ('r', 'm'))
                AND (EXISTS (SELECT FROM names AS n) OR EXISTS (SELECT FROM own_operators AS o))
        UNION SELECT pg_catalog.oidin(pg_catalog.textout(pg_catalog.json_array_elements_text(c.types)))
              FROM columns AS c
    ) AS t (id)
    UNION
    SELECT part.id
    FROM used AS u JOIN pg_catalog.pg_type AS t ON t.oid = u.id,
         LATERAL (VALUES (t.typbasetype), (t.typelem), (t.typarray),
                         ((SELECT r.rngsubtype FROM pg_catalog.pg_range AS r WHERE r.rngtypid = t.oid))
                 ) AS part (id)
    WHERE part.id <> '0'
), types AS (
    SELECT n.nspname, t.typname, t.oid, t.typcategory, t.typispreferred, t.typtype, t.typbasetype, t.typelem,
           t.typarray
    FROM pg_catalog.pg_type AS t JOIN pg_catalog.pg_namespace AS n ON n.oid = t.typnamespace
    WHERE t.typname IN (
        SELECT s.typname FROM used AS u JOIN pg_catalog.pg_type AS s ON s.oid = u.id)
), relations (schema, name, columns) AS (
    SELECT n.nspname, c.relname, COALESCE(
               pg_catalog.json_agg(h.column_name) FILTER (WHERE h.column_name IS NOT NULL), '[]')
    FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    LEFT JOIN holders AS h ON h.relation = c.oid
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relname IN (
        SELECT r.relname FROM holders AS s JOIN pg_catalog.pg_class AS r ON r.oid = s.relation)
    GROUP BY n.nspname, c.relname
), rows_of_relations (schema, name, type, is_plain, columns) AS (
    SELECT n.nspname, c.relname, c.reltype,
           c.reloftype = '0' AND NOT c.relispartition
               AND NOT COALESCE(pg_catalog.bool_or(a.attinhcount > 0), false)
               AND NOT (SELECT p.is_without_columns FROM parents AS p),
           COALESCE(pg_catalog.json_object_agg(a.attname, a.atttypid::pg_catalog.int8 ORDER BY a.attnum)
               FILTER (WHERE a.attname IS NOT NULL), '{{}}')
    FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c') AND n.nspname <> 'pg_toast'
      AND (SELECT o.is_read FROM typed_columns AS o)
    GROUP BY n.nspname, c.relname, c.reltype, c.reloftype, c.relispartition
), results (id, name, column_name) AS (
    SELECT q.oid, q.proname, q.column_name
    FROM (SELECT p.oid, p.proname, p.proargnames[place.number] AS column_name
          FROM pg_catalog.pg_proc AS p,
               LATERAL pg_catalog.generate_subscripts(p.proargmodes, 1) AS place (number)
          WHERE p.proargmodes[place.number] IN ('o', 'b', 't')
          -- Without OFFSET, every function of the database is joined with all of pg_proc: 40 s for 2,400.
          OFFSET 0::pg_catalog.int8) AS q
    WHERE q.column_name IN (SELECT s.name FROM single AS s)
    UNION
    SELECT p.oid, p.proname, h.column_name
    FROM pg_catalog.pg_proc AS p
    JOIN pg_catalog.pg_type AS t ON t.oid = p.prorettype AND t.typrelid <> '0'
    JOIN holders AS h ON h.relation = t.typrelid
), several_results (name) AS (
    SELECT p.proname FROM pg_catalog.pg_proc AS p
    WHERE p.pronamespace = '11' AND (SELECT o.is_contested FROM contested AS o)
    GROUP BY p.proname HAVING pg_catalog.count(DISTINCT p.prorettype) > 1
), polymorphic_results (name) AS (
    SELECT p.proname FROM pg_catalog.pg_proc AS p
    WHERE p.pronamespace = '11' AND p.prorettype IN ({_POLYMORPHIC_TYPES})
      AND (SELECT o.is_contested FROM contested AS o)
), operators_with_several (symbol) AS (
    -- NULLIF has the type of the left operand of its `=`.
    SELECT o.oprname FROM pg_catalog.pg_operator AS o
    WHERE o.oprnamespace = '11' AND (SELECT c.is_contested FROM contested AS c)
    GROUP BY o.oprname HAVING pg_catalog.count(DISTINCT o.oprresult) > 1 OR o.oprname = '='
), certain_results (name, column_name) AS (
    SELECT r.name, r.column_name FROM results AS r
    GROUP BY r.name, r.column_name
    HAVING pg_catalog.count(*) = (
        SELECT pg_catalog.count(*) FROM pg_catalog.pg_proc AS p WHERE p.proname = r.name)
)
SELECT 'type'::pg_catalog.text AS kind, t.nspname::pg_catalog.text AS schema,
       t.typname::pg_catalog.text AS name,
       pg_catalog.textin(pg_catalog.json_out(pg_catalog.json_build_array(
           t.oid::pg_catalog.int8, t.typcategory, t.typispreferred, t.typtype, t.typbasetype::pg_catalog.int8,
           t.typelem::pg_catalog.int8, t.typarray::pg_catalog.int8))) AS data
FROM types AS t
UNION ALL
SELECT 'cast', '', '', pg_catalog.textin(pg_catalog.json_out(pg_catalog.json_build_array(
           c.castsource::pg_catalog.int8, c.casttarget::pg_catalog.int8)))
FROM pg_catalog.pg_cast AS c
WHERE c.castcontext = 'i' AND EXISTS (SELECT FROM types AS t)
UNION ALL
SELECT 'function', '', p.proname::pg_catalog.text,
       pg_catalog.textin(pg_catalog.json_out(pg_catalog.json_build_array(
           p.pronargs - p.pronargdefaults,
           CASE WHEN p.provariadic = '0' THEN p.pronargs END,
           pg_catalog.textin(pg_catalog.oidvectorout(p.proargtypes)), p.provariadic::pg_catalog.int8,
           p.prorettype::pg_catalog.int8, {INPUT_NAMES})))
FROM pg_catalog.pg_proc AS p
WHERE p.pronamespace = '11' AND p.prokind <> 'p' AND p.prorettype NOT IN ('2279', '3838')
  AND p.proname IN (SELECT n.name FROM names AS n UNION SELECT s.name FROM several_results AS s
                    UNION SELECT r.name FROM polymorphic_results AS r)
UNION ALL
SELECT 'operator', '', o.oprname::pg_catalog.text,
       pg_catalog.textin(pg_catalog.json_out(pg_catalog.json_build_array(
           o.oprleft::pg_catalog.int8, o.oprright::pg_catalog.int8, o.oprresult::pg_catalog.int8)))
FROM pg_catalog.pg_operator AS o
WHERE o.oprnamespace = '11' AND o.oprname IN (
    SELECT s.oprname FROM own_operators AS s UNION SELECT s.symbol FROM operators_with_several AS s
    UNION SELECT b.oprname
    FROM pg_catalog.pg_operator AS b JOIN with_own_counterpart AS a ON a.operator = b.oid)
UNION ALL
SELECT 'column', '', c.name::pg_catalog.text, pg_catalog.textin(pg_catalog.json_out(c.types))
FROM columns AS c
UNION ALL
SELECT 'relation', r.schema::pg_catalog.text, r.name::pg_catalog.text,
       pg_catalog.textin(pg_catalog.json_out(r.columns))
FROM relations AS r
UNION ALL
SELECT 'rows', r.schema::pg_catalog.text, r.name::pg_catalog.text,
       pg_catalog.textin(pg_catalog.json_out(pg_catalog.json_build_array(
           r.type::pg_catalog.int8, r.is_plain, r.columns)))
FROM rows_of_relations AS r
UNION ALL
SELECT 'result', '', r.name::pg_catalog.text,
       pg_catalog.textin(pg_catalog.json_out(pg_catalog.json_agg(r.column_name)))
FROM certain_results AS r
GROUP BY r.name
UNION ALL
SELECT 'field', '', pg_catalog.concat(c.reltype),
       pg_catalog.textin(pg_catalog.json_out(pg_catalog.json_agg(h.column_name)))
FROM holders AS h JOIN pg_catalog.pg_class AS c ON c.oid = h.relation
WHERE c.reltype <> '0'
GROUP BY c.reltype
UNION ALL
SELECT 'function result', '', pg_catalog.concat(r.type),
       pg_catalog.textin(pg_catalog.json_out(pg_catalog.json_agg(DISTINCT r.name)))
FROM (SELECT p.proname, p.prorettype FROM pg_catalog.pg_proc AS p WHERE p.prokind <> 'p'
      UNION  -- A type's name can be called like a function.
      SELECT t.typname, t.oid FROM pg_catalog.pg_type AS t
      WHERE t.typname IN (SELECT p.proname FROM pg_catalog.pg_proc AS p)) AS r (name, type)
WHERE (SELECT o.is_contested FROM contested AS o)
GROUP BY r.type
UNION ALL
SELECT 'output', '', f.name::pg_catalog.text,
       pg_catalog.textin(pg_catalog.json_out(pg_catalog.json_agg(f.columns)))
FROM (SELECT q.proname, pg_catalog.json_agg(
                 pg_catalog.json_build_array(q.column_name, q.type) ORDER BY q.number)
      FROM (SELECT p.oid, p.proname, place.number, COALESCE(p.proargnames[place.number], '') AS column_name,
                   p.proallargtypes[place.number]::pg_catalog.int8 AS type
            FROM pg_catalog.pg_proc AS p,
                 LATERAL pg_catalog.generate_subscripts(p.proargmodes, 1) AS place (number)
            WHERE p.proargmodes[place.number] IN ('o', 'b', 't')
            OFFSET 0::pg_catalog.int8) AS q
      WHERE (SELECT o.is_contested FROM contested AS o)
      GROUP BY q.oid, q.proname) AS f (name, columns)
GROUP BY f.name
UNION ALL
SELECT 'range', '', '', pg_catalog.textin(pg_catalog.json_out(pg_catalog.to_json(r)))
FROM pg_catalog.pg_range AS r
WHERE (SELECT o.is_contested FROM contested AS o)
UNION ALL
SELECT 'operator result', '', pg_catalog.concat(o.oprresult),
       pg_catalog.textin(pg_catalog.json_out(pg_catalog.json_agg(DISTINCT o.oprname)))
FROM pg_catalog.pg_operator AS o
WHERE (SELECT c.is_contested FROM contested AS c)
GROUP BY o.oprresult"""  # noqa: S608 - of constants

# Texts that change when the rows above change. Functions, operators and casts are already in the policy's
# version.
RESOLUTION_VERSION: Final = f"""{_OWN}
SELECT pg_catalog.concat('y', t.oid, ' ', t.ctid, ' ', t.xmin) AS place
FROM pg_catalog.pg_type AS t
WHERE t.typname IN (
    SELECT s.typname FROM (
        SELECT pg_catalog.unnest(f.proargtypes) FROM own_functions AS f
        UNION SELECT f.provariadic FROM own_functions AS f
        UNION SELECT o.oprleft FROM own_operators AS o
        UNION SELECT o.oprright FROM own_operators AS o) AS u (id)
    JOIN pg_catalog.pg_type AS s ON s.oid = u.id)
   OR t.oid >= '16384' AND t.typname IN (SELECT b.typname FROM pg_catalog.pg_type AS b WHERE b.oid < '16384')
UNION ALL
SELECT pg_catalog.concat('l', pg_catalog.sum(pg_catalog.hashtextextended(
           pg_catalog.concat(a.attrelid, ' ', a.atttypid, a.attinhcount > 0, a.attname),
           0::pg_catalog.int8)))
FROM pg_catalog.pg_attribute AS a
JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c')
WHERE NOT a.attisdropped AND (SELECT o.is_read FROM typed_columns AS o)
UNION ALL
SELECT pg_catalog.concat('w', pg_catalog.sum(pg_catalog.hashtextextended(
           pg_catalog.concat(c.oid, ' ', c.relnamespace, ' ', c.reloftype, c.relispartition, c.relname),
           0::pg_catalog.int8)), (SELECT p.is_without_columns FROM parents AS p))
FROM pg_catalog.pg_class AS c
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c') AND (SELECT o.is_read FROM typed_columns AS o)
UNION ALL
SELECT pg_catalog.concat('m', pg_catalog.sum(pg_catalog.hashtextextended(
           pg_catalog.concat(c.oid, ' ', c.relnamespace, h.column_name, ' ', c.relname), 0::pg_catalog.int8)))
FROM pg_catalog.pg_class AS c LEFT JOIN holders AS h ON h.relation = c.oid
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c') AND c.relname IN (
    SELECT r.relname FROM holders AS s JOIN pg_catalog.pg_class AS r ON r.oid = s.relation)"""  # noqa: S608 - of constants
