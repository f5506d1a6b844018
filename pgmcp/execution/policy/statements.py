"""The statement that reads a database's own functions, and the operators, casts and checks that call them."""

from typing import Final

# The owner of an extension may add own objects to it. Only a superuser creates functions in C. The role with
# OID 10 is the cluster's first superuser.
IS_SUPERUSER: Final = "EXISTS (SELECT FROM pg_catalog.pg_roles AS s WHERE s.oid = {role} AND s.rolsuper)"

# Types whose values contain values of another type: domains, ranges, arrays and rows.
WHOLES: Final = """
SELECT t.typbasetype, t.oid FROM pg_catalog.pg_type AS t UNION ALL
SELECT r.rngsubtype, r.rngtypid FROM pg_catalog.pg_range AS r UNION ALL
SELECT d.refobjid, d.objid
FROM pg_catalog.pg_depend AS d JOIN pg_catalog.pg_type AS t ON t.oid = d.objid AND t.typtype = 'm'
WHERE d.classid = '1247' AND d.refclassid = '1247'
UNION ALL
SELECT t.typelem, t.oid FROM pg_catalog.pg_type AS t WHERE t.typcategory = 'A'
UNION ALL
SELECT a.atttypid, c.reltype
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid
WHERE c.reltype <> '0'"""

# Domains whose CHECK creates a value of another domain.
NESTED_CHECKS: Final = r"""
SELECT pg_catalog.oidin(pg_catalog.textout(m.match[1])), k.contypid
FROM pg_catalog.pg_constraint AS k,
     LATERAL pg_catalog.regexp_matches(
         k.conbin::pg_catalog.text, ':(?:resulttype|typid) (\d+)', 'g') AS m (match)
WHERE k.contypid >= '16384'"""

# Casts by functions to or from types that were created in this database, and whether the server may choose
# them. A cast of a type to itself applies a length: the server calls it for any value that becomes `code(3)`,
# literals included.
_CASTS: Final = """
SELECT c.castfunc AS function, c.castsource AS type, c.casttarget AS target,
       c.castcontext = 'i' OR c.castcontext = 'a' AND c.casttarget < '16384'
           OR c.castsource = c.casttarget AS is_chosen
FROM pg_catalog.pg_cast AS c
WHERE c.oid >= '16384' AND c.castfunc <> '0' AND c.castsource >= '16384'
  AND (c.castcontext = 'i' OR c.casttarget < '16384' OR c.castsource = c.casttarget)
UNION ALL
SELECT c.castfunc, c.casttarget, c.casttarget, true
FROM pg_catalog.pg_cast AS c
WHERE c.oid >= '16384' AND c.castfunc <> '0' AND c.casttarget >= '16384' AND c.castcontext = 'i'"""

# Functions that a range type calls to create and to compare its values.
RANGE_FUNCTIONS: Final = "(r.rngcanonical::pg_catalog.oid), (r.rngsubdiff::pg_catalog.oid)"

# Types with casts by functions: their source types, and their target types.
TYPES_WITH_CASTS: Final = f"""
SELECT c.type FROM ({_CASTS}) AS c UNION
SELECT c.casttarget FROM pg_catalog.pg_cast AS c
WHERE c.oid >= '16384' AND c.castfunc <> '0' AND c.casttarget >= '16384'"""  # noqa: S608 - of constants

# PostgreSQL's own operators that have a negator or commutator of this database, also through another one of
# PostgreSQL's own. A superuser can create such an operator with `negator = operator(pg_catalog.&&)`.
WITH_OWN_COUNTERPART: Final = """
    SELECT o.oid
    FROM pg_catalog.pg_operator AS c JOIN pg_catalog.pg_operator AS o ON o.oid IN (c.oprcom, c.oprnegate)
    WHERE c.oid >= '16384' AND o.oid < '16384' AND c.oid IN (o.oprcom, o.oprnegate)
    UNION
    SELECT o.oid
    FROM with_own_counterpart AS a
    JOIN pg_catalog.pg_operator AS c ON c.oid = a.operator
    JOIN pg_catalog.pg_operator AS o ON o.oid IN (c.oprcom, c.oprnegate)
    WHERE o.oid < '16384'"""

# Definitions of volatile functions are read up to these lengths, in bytes. The shortest are read first,
# because a function that only reads is usually short. A standard body (BEGIN ATOMIC) is not in prosrc, but in
# another column of the row, which PostgreSQL 13 lacks.
_MAX_LENGTH_OF_VOLATILE: Final = 10_000
_MAX_TOTAL_OF_VOLATILE: Final = 4_000_000
_LENGTH_OF_HEAD: Final = 500

HIDDEN_SCHEMA: Final = "n.nspname !~ '^pg_' AND NOT pg_catalog.has_schema_privilege({role}n.oid, 'USAGE')"
"""Whether a role may not use a schema `n`. The server then skips the schema in the search path."""

INPUT_NAMES: Final = """CASE WHEN p.proargnames IS NOT NULL THEN (
    SELECT pg_catalog.textin(pg_catalog.json_out(pg_catalog.json_agg(
               COALESCE(p.proargnames[place.number], '') ORDER BY place.number)))
    FROM pg_catalog.generate_subscripts(p.proargnames, 1) AS place (number)
    WHERE p.proargmodes IS NULL OR p.proargmodes[place.number] IN ('i', 'b', 'v')) END"""
"""The names of those parameters of a row `p` of pg_proc that a call can give, as a JSON array."""

# PostgreSQL's own functions that look up operators in the caller's search path. Before version 14, which
# added the column prosqlbody, the bodies of functions in LANGUAGE sql are texts. `information_schema.columns`
# compares an oid with a number there, for which an operator of the database fits best. quote_…() uses no
# operator. In all versions, two functions in C run a query: `ev_class = $1 AND rulename = $2` or `oid = $1`.
_RUNS_QUERY: Final = "p.oid < '16384' AND p.proname IN ('pg_get_ruledef', 'pg_get_viewdef')"
_BODY_WITH_QUERY: Final = """$$
CREATE FUNCTION pg_catalog.pg_get_viewdef() RETURNS pg_catalog.bool LANGUAGE sql STABLE AS 'SELECT
''0''::pg_catalog.oid = ''0''::pg_catalog.oid AND ''a''::pg_catalog.name = ''a''::pg_catalog.name' $$"""
WITH_CALLERS_PATH: Final = rf"""
SELECT p.oid FROM pg_catalog.pg_proc AS p
WHERE p.prolang = '14' AND p.oid < '16384' AND p.prokind = 'f' AND p.proname NOT LIKE 'quote\_%'
  AND EXISTS (SELECT FROM pg_catalog.pg_operator AS o WHERE o.oid >= '16384')
  AND NOT EXISTS (
      SELECT FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = '1255' AND a.attname = 'prosqlbody')
UNION ALL
SELECT p.oid FROM pg_catalog.pg_proc AS p
WHERE {_RUNS_QUERY} AND EXISTS (
    SELECT FROM pg_catalog.pg_operator AS o
    WHERE o.oid >= '16384' AND o.oprname = '=' AND o.oprleft = o.oprright AND o.oprleft IN ('19', '26')
)"""  # noqa: S608 - of constants

# Functions outside the system schemas, and functions of PostgreSQL that a user-defined operator, cast, domain
# or aggregate calls. A CHECK's calls are read from its stored tree, because pg_depend leaves out PostgreSQL's
# own functions; casts below 16384 came with the server. A cast is identified by the user-defined type that it
# casts to. But it is identified by the type that it casts from if a statement that uses it names no type, or
# a type of PostgreSQL's. Procedures and trigger functions are left out, because a read cannot call them. The
# constructors of ranges are created with their type, so they count as written in SQL.
FUNCTIONS: Final = rf"""
WITH RECURSIVE with_own_counterpart (operator) AS ({WITH_OWN_COUNTERPART}
), with_callers_path (id) AS MATERIALIZED ({WITH_CALLERS_PATH}
), operators (id, symbols) AS (
    SELECT o.oprcode::pg_catalog.oid, pg_catalog.json_agg(pg_catalog.json_build_array(
               n.nspname, o.oprname, o.oprleft::pg_catalog.int8, o.oprright::pg_catalog.int8,
               o.oprresult::pg_catalog.int8))
    FROM pg_catalog.pg_operator AS o JOIN pg_catalog.pg_namespace AS n ON n.oid = o.oprnamespace
    WHERE o.oprnamespace <> '11' OR o.oid IN (SELECT a.operator FROM with_own_counterpart AS a)
       OR o.oprcode::pg_catalog.oid IN (SELECT b.id FROM with_callers_path AS b)
    GROUP BY o.oprcode::pg_catalog.oid
), checks (type, id) AS (
    SELECT k.contypid, pg_catalog.oidin(pg_catalog.textout(m.match[1]))
    FROM pg_catalog.pg_constraint AS k,
         LATERAL pg_catalog.regexp_matches(
             k.conbin::pg_catalog.text, ':(?:func|opfunc)id (\d+)', 'g') AS m (match)
    WHERE k.contypid >= '16384'
    UNION ALL
    SELECT r.rngtypid, f.id
    FROM pg_catalog.pg_range AS r, LATERAL (VALUES {RANGE_FUNCTIONS}) AS f (id)
    WHERE f.id >= '16384'
), named_casts (id, type) AS (
    SELECT c.castfunc, t.type
    FROM pg_catalog.pg_cast AS c, LATERAL (VALUES (c.castsource), (c.casttarget)) AS t (type)
    WHERE c.oid >= '16384' AND c.castfunc <> '0'
      AND (t.type = c.casttarget AND (t.type >= '16384' OR c.castsource < '16384')
           OR t.type >= '16384' AND (c.castcontext = 'i' OR c.casttarget < '16384'))
), holders (type, holder) AS (
    SELECT c.type, c.type FROM checks AS c
    UNION
    SELECT c.type, c.type FROM named_casts AS c WHERE c.type >= '16384'
    UNION
    SELECT h.type, w.whole
    FROM holders AS h
    JOIN ({WHOLES} UNION ALL {NESTED_CHECKS}) AS w (part, whole) ON w.part = h.holder
), row_types (id) AS (
    SELECT t.oid FROM pg_catalog.pg_type AS t
    WHERE t.typtype IN ('c', 'p')
       OR t.typtype = 'd' AND EXISTS (
           SELECT FROM pg_catalog.pg_type AS b WHERE b.oid = t.typbasetype AND b.typtype IN ('c', 'd'))
), relation_rows (id) AS (
    SELECT c.reltype FROM pg_catalog.pg_class AS c WHERE c.relkind <> 'c'
    UNION ALL
    SELECT t.typarray
    FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_type AS t ON t.oid = c.reltype
    WHERE c.relkind <> 'c'
), casts (id, list) AS (
    SELECT c.function, pg_catalog.json_agg(pg_catalog.json_build_array(t.typname, x.typname, c.is_chosen))
    FROM ({_CASTS} UNION ALL SELECT k.id, k.type, k.type, false FROM checks AS k) AS c
    JOIN pg_catalog.pg_type AS t ON t.oid = c.type
    JOIN pg_catalog.pg_type AS x ON x.oid = c.target
    GROUP BY c.function
), cast_functions (id, is_written, spares_literals, targets) AS (
    SELECT c.castfunc, pg_catalog.bool_and(c.castcontext = 'e' AND c.castsource <> c.casttarget),
           pg_catalog.bool_and(c.castsource <> c.casttarget AND (
               c.castcontext = 'e' OR c.castcontext = 'a' AND c.casttarget >= '16384')),
           pg_catalog.json_agg(DISTINCT t.typname)
    FROM pg_catalog.pg_cast AS c JOIN pg_catalog.pg_type AS t ON t.oid = c.casttarget
    WHERE c.oid >= '16384' AND c.castfunc <> '0' AND c.castfunc NOT IN (SELECT k.id FROM checks AS k)
    GROUP BY c.castfunc
), types (id, names, row_names) AS (
    SELECT uses.id, pg_catalog.json_agg(DISTINCT CASE WHEN uses.is_array
               THEN pg_catalog.concat(t.typname, '[]') ELSE t.typname::pg_catalog.text END),
           pg_catalog.json_agg(DISTINCT t.typname) FILTER (
               WHERE t.typtype = 'd' AND EXISTS (SELECT FROM row_types AS r WHERE r.id = t.oid))
    FROM (SELECT c.id, c.type, false FROM named_casts AS c
          UNION ALL
          SELECT c.id, a.typelem, true
          FROM named_casts AS c JOIN pg_catalog.pg_type AS a ON a.oid = c.type AND a.typcategory = 'A'
          UNION ALL
          -- Rows of relations are left out: there can be many, and RELATIONS has their columns.
          SELECT c.id, h.holder, false FROM named_casts AS c JOIN holders AS h ON h.type = c.type
          WHERE h.holder NOT IN (SELECT r.id FROM relation_rows AS r)
          UNION ALL
          SELECT c.id, h.holder, false
          FROM checks AS c JOIN holders AS h ON h.type = c.type) AS uses (id, type, is_array)
    JOIN pg_catalog.pg_type AS t ON t.oid = uses.type
    GROUP BY uses.id
), extensions (id, name) AS (
    SELECT d.objid, e.extname
    FROM pg_catalog.pg_depend AS d JOIN pg_catalog.pg_extension AS e ON e.oid = d.refobjid
    WHERE d.classid = '1255' AND d.deptype = 'e' AND d.refclassid = '3079'
), contested (is_contested) AS MATERIALIZED (
    -- Whether the body of a function of an extension may call an object of the database instead of its own.
    SELECT EXISTS (
        SELECT FROM pg_catalog.pg_operator AS o WHERE o.oid >= '16384' AND NOT EXISTS (
            SELECT FROM pg_catalog.pg_depend AS d
            WHERE d.classid = '2617' AND d.objid = o.oid AND d.deptype = 'e')
    ) OR EXISTS (
        SELECT FROM pg_catalog.pg_proc AS p
        WHERE p.oid >= '16384' AND p.oid NOT IN (SELECT x.id FROM extensions AS x) AND p.proname IN (
            SELECT q.proname FROM pg_catalog.pg_proc AS q
            WHERE q.oid < '16384' OR q.oid IN (SELECT x.id FROM extensions AS x)))
), volatile_bodies (id, total_length) AS (
    SELECT b.id, pg_catalog.sum(b.length + {_LENGTH_OF_HEAD}) OVER (ORDER BY b.length, b.id)
    FROM (SELECT p.oid, CASE WHEN p.prosrc = '' THEN pg_catalog.pg_column_size(p.*)
                            ELSE pg_catalog.octet_length(p.prosrc) END
          FROM pg_catalog.pg_proc AS p
          WHERE p.provolatile = 'v' AND p.oid >= '16384' AND p.prokind IN ('f', 'w')
            AND p.prorettype NOT IN ('2279', '3838')) AS b (id, length)
    WHERE b.length <= {_MAX_LENGTH_OF_VOLATILE}
), functions AS (
    SELECT p.oid, p.prokind, p.prorettype, n.nspname, p.proname, p.provolatile, p.prosecdef,
           CASE WHEN l.lanname = 'internal' AND p.prosrc ~ '^(multi)?range_constructor\d$' THEN 'sql'
               WHEN {_RUNS_QUERY} THEN 'sql'
               ELSE l.lanname END AS lanname,
           {_RUNS_QUERY} AS runs_query,
           p.prokind IN ('f', 'w') AND x.id IS NULL
               AND (p.oid >= '16384' OR p.oid IN (SELECT b.id FROM with_callers_path AS b))
               AND l.lanname IN ('sql', 'plpgsql') AND (p.provolatile <> 'v' OR p.oid IN (
                   SELECT b.id FROM volatile_bodies AS b WHERE b.total_length <= {_MAX_TOTAL_OF_VOLATILE}
               ))
               OR x.id IS NOT NULL AND p.prokind = 'f' AND p.prosrc <> '' AND l.lanname IN ('sql', 'plpgsql')
               AND pg_catalog.octet_length(p.prosrc) <= {_MAX_LENGTH_OF_VOLATILE}
               AND (SELECT c.is_contested FROM contested AS c) AS is_to_be_read,
           COALESCE(x.name, '') AS extension,
           p.pronargs - p.pronargdefaults AS least,
           CASE WHEN p.provariadic = '0' THEN p.pronargs END AS most,
           p.proargtypes, p.provariadic, p.proconfig, p.proowner, p.proallargtypes, p.proargmodes,
           {INPUT_NAMES} AS input_names,
           CASE WHEN p.proconfig IS NOT NULL THEN (
               SELECT pg_catalog.json_agg(pg_catalog.split_part(c.setting, '=', 1))
               FROM pg_catalog.unnest(p.proconfig) AS c (setting)) END AS settings,
           p.pronargs > 0 AND p.pronargs - p.pronargdefaults - (p.provariadic <> '0')::pg_catalog.int4 <= 1
               AS takes_one,
           -- IN is hashed. With EXISTS, this takes 8 s for 10,000 tables, each of which has a row type.
           p.pronargs > 0 AND (p.proargtypes[0] IN (SELECT r.id FROM row_types AS r)
               OR p.provariadic IN (SELECT r.id FROM row_types AS r)) AS takes_row
    FROM pg_catalog.pg_proc AS p
    JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
    JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
    LEFT JOIN extensions AS x ON x.id = p.oid
        AND (l.lanname = 'c' OR p.proowner = '10' OR {IS_SUPERUSER.format(role="p.proowner")})
), parts (id, list) AS (
    SELECT a.aggfnoid::pg_catalog.oid, pg_catalog.json_agg(pg_catalog.json_build_array(
               f.nspname, f.proname, f.provolatile, f.prosecdef, f.lanname, f.extension, f.settings))
    FROM pg_catalog.pg_aggregate AS a
    JOIN functions AS f ON f.oid IN (
        a.aggtransfn::pg_catalog.oid, a.aggfinalfn::pg_catalog.oid, a.aggcombinefn::pg_catalog.oid,
        a.aggserialfn::pg_catalog.oid, a.aggdeserialfn::pg_catalog.oid, a.aggmtransfn::pg_catalog.oid,
        a.aggminvtransfn::pg_catalog.oid, a.aggmfinalfn::pg_catalog.oid)
    WHERE a.aggfnoid::pg_catalog.oid >= '16384'
    GROUP BY 1
), states (id, types, is_made) AS (
    SELECT p.oid,
           (SELECT pg_catalog.json_agg(DISTINCT t.typname)
            FROM (SELECT pg_catalog.unnest(p.proargtypes) UNION ALL
                  SELECT a.aggtranstype UNION ALL SELECT a.aggmtranstype) AS u (id)
            JOIN pg_catalog.pg_type AS t ON t.oid = u.id AND t.oid >= '16384'),
           EXISTS (SELECT FROM pg_catalog.pg_type AS s WHERE s.typtype = 'p' AND (
               s.oid = a.aggtranstype AND a.agginitval IS NOT NULL
               OR s.oid = a.aggmtranstype AND a.aggminitval IS NOT NULL))
    FROM pg_catalog.pg_aggregate AS a JOIN pg_catalog.pg_proc AS p ON p.oid = a.aggfnoid::pg_catalog.oid
    WHERE p.oid >= '16384'
), counterparts (id, list) AS (
    SELECT o.oprcode::pg_catalog.oid, pg_catalog.json_agg(pg_catalog.json_build_array(
               f.nspname, f.proname, pg_catalog.textin(pg_catalog.oidvectorout(f.proargtypes))))
    FROM pg_catalog.pg_operator AS o
    JOIN pg_catalog.pg_operator AS c ON c.oid IN (o.oprcom, o.oprnegate)
    JOIN functions AS f ON f.oid = c.oprcode::pg_catalog.oid
    WHERE o.oprnamespace <> '11' OR o.oid IN (SELECT a.operator FROM with_own_counterpart AS a)
    GROUP BY o.oprcode::pg_catalog.oid
), stored_operators (id, list) AS (
    -- The operators of parameter defaults and of bodies that are stored as trees, without PostgreSQL's own.
    SELECT d.objid, pg_catalog.json_agg(pg_catalog.json_build_array(
               f.nspname, f.proname, pg_catalog.textin(pg_catalog.oidvectorout(f.proargtypes))))
    FROM pg_catalog.pg_depend AS d
    JOIN pg_catalog.pg_operator AS o ON o.oid = d.refobjid
    JOIN functions AS f ON f.oid = o.oprcode::pg_catalog.oid
    WHERE d.classid = '1255' AND d.refclassid = '2617'
    GROUP BY d.objid
), hidden_schemas (owner, list) AS (
    SELECT o.id, pg_catalog.json_agg(n.nspname)
    FROM (SELECT DISTINCT p.proowner FROM pg_catalog.pg_proc AS p
          WHERE p.prosecdef AND p.oid >= '16384') AS o (id)
    JOIN pg_catalog.pg_namespace AS n ON {HIDDEN_SCHEMA.format(role="o.id, ")}
    GROUP BY o.id
)
SELECT f.nspname::pg_catalog.text, f.proname::pg_catalog.text, f.provolatile::pg_catalog.text, f.prosecdef,
       f.lanname::pg_catalog.text, f.extension::pg_catalog.text, f.takes_one,
       f.takes_one AND f.takes_row,
       pg_catalog.textin(pg_catalog.json_out(o.symbols)), pg_catalog.textin(pg_catalog.json_out(t.names)),
       pg_catalog.textin(pg_catalog.json_out(t.row_names)), pg_catalog.textin(pg_catalog.json_out(a.list)),
       CASE WHEN f.runs_query THEN {_BODY_WITH_QUERY}
           WHEN f.is_to_be_read THEN pg_catalog.pg_get_functiondef(f.oid) END, f.least, f.most,
       pg_catalog.textin(pg_catalog.json_out(c.list)),
       pg_catalog.textin(pg_catalog.oidvectorout(f.proargtypes)), f.provariadic::pg_catalog.int8,
       CASE WHEN f.proconfig IS NOT NULL THEN (
           SELECT pg_catalog.substr(c.setting, {len("search_path=") + 1})
           FROM pg_catalog.unnest(f.proconfig) AS c (setting)
           WHERE c.setting LIKE 'search_path=%') END, f.proowner::pg_catalog.int8,
       CASE WHEN f.prosecdef THEN pg_catalog.pg_get_userbyid(f.proowner)::pg_catalog.text ELSE '' END,
       pg_catalog.textin(pg_catalog.json_out(f.settings)),
       CASE WHEN f.prorettype >= '16384' OR f.proargmodes IS NOT NULL THEN (
        SELECT pg_catalog.textin(pg_catalog.json_out(pg_catalog.json_agg(DISTINCT t.typname)))
        FROM (SELECT f.prorettype UNION ALL
              SELECT f.proallargtypes[place.number]
              FROM pg_catalog.generate_subscripts(f.proargmodes, 1) AS place (number)
              WHERE f.proargmodes[place.number] IN ('o', 'b', 't')) AS r (type)
        JOIN pg_catalog.pg_type AS t ON t.oid = r.type AND t.oid >= '16384') END,
       COALESCE(w.is_written, false), COALESCE(w.spares_literals, false),
       pg_catalog.textin(pg_catalog.json_out(w.targets)), f.prorettype::pg_catalog.int8,
       f.input_names, pg_catalog.textin(pg_catalog.json_out(k.list)),
       pg_catalog.textin(pg_catalog.json_out(s.types)), COALESCE(s.is_made, false),
       pg_catalog.textin(pg_catalog.json_out(d.list)), pg_catalog.textin(pg_catalog.json_out(h.list))
FROM functions AS f
LEFT JOIN operators AS o ON o.id = f.oid
LEFT JOIN types AS t ON t.id = f.oid
LEFT JOIN parts AS a ON a.id = f.oid
LEFT JOIN casts AS c ON c.id = f.oid
LEFT JOIN cast_functions AS w ON w.id = f.oid
LEFT JOIN counterparts AS k ON k.id = f.oid
LEFT JOIN states AS s ON s.id = f.oid
LEFT JOIN stored_operators AS d ON d.id = f.oid
LEFT JOIN hidden_schemas AS h ON h.owner = f.proowner AND f.prosecdef
WHERE f.prokind <> 'p' AND f.prorettype NOT IN ('2279', '3838')  -- triggers
  AND (f.nspname NOT IN ('pg_catalog', 'information_schema') OR o.id IS NOT NULL OR t.id IS NOT NULL
       OR f.oid IN (SELECT b.id FROM with_callers_path AS b))"""  # noqa: S608 - of constants
