"""Statements that read a database's own functions, and its relations with the functions they call."""

from typing import Final

from pgmcp.validation.column_values import ValueKind
from pgmcp.validation.secret_columns import SECRET_COLUMNS

# A view reads with its owner's privileges, unless its option security_invoker is on.
_IS_INVOKER: Final = """EXISTS (
    SELECT FROM pg_catalog.unnest({view}.reloptions) AS o (text)
    WHERE o.text LIKE 'security_invoker=%'
      AND pg_catalog.boolin(pg_catalog.textout(pg_catalog.split_part(o.text, '=', 2))))"""

# The owner of an extension may add own objects to it. Only a superuser creates functions in C.
IS_SUPERUSER: Final = "EXISTS (SELECT FROM pg_catalog.pg_roles AS s WHERE s.oid = {role} AND s.rolsuper)"

# Owners of views and of SECURITY DEFINER functions, through which tables are read with the owner's
# privileges. Row policies do not apply to superusers and roles with BYPASSRLS. If pg_roles may not be read,
# these roles count as ordinary ones, so more statements are refused, not fewer.
OWNERS: Final = f"""
SELECT o.id FROM (
    SELECT v.relowner FROM pg_catalog.pg_class AS v
    WHERE v.relkind = 'v' AND v.oid >= '16384' AND NOT {_IS_INVOKER.format(view="v")}
    UNION SELECT f.proowner FROM pg_catalog.pg_proc AS f WHERE f.prosecdef AND f.oid >= '16384') AS o (id)
WHERE NOT EXISTS (
    SELECT FROM pg_catalog.pg_roles AS r WHERE r.oid = o.id AND (r.rolsuper OR r.rolbypassrls))"""  # noqa: S608

# True for owners to whom policies of a table can apply (check_enable_rls): they do not own the table, or row
# security is forced.
IS_SUBJECT: Final = "(t.relforcerowsecurity OR NOT pg_catalog.pg_has_role(owner.id, t.relowner, 'USAGE'))"

# Row policies for SELECT that can apply: `is_ours` says whether to the login role, and `owners` to which
# owners. The conditions are the server's (check_enable_rls, check_role_for_policy): row security is enabled
# and applies to the reader; the policy is for PUBLIC (0) or for a role whose privileges the reader has.
POLICIES: Final = f"""
WITH owners (id) AS MATERIALIZED ({OWNERS})
SELECT policy.*
FROM (
    SELECT p.oid, p.polrelid, p.polname, p.polqual,
           pg_catalog.row_security_active(p.polrelid) AND EXISTS (
               SELECT FROM pg_catalog.unnest(p.polroles) AS r (id)
               WHERE r.id = '0' OR pg_catalog.pg_has_role(r.id, 'USAGE')) AS is_ours,
           (SELECT pg_catalog.json_agg(owner.id::pg_catalog.int8 ORDER BY owner.id)
            FROM owners AS owner
            WHERE {IS_SUBJECT} AND EXISTS (
                SELECT FROM pg_catalog.unnest(p.polroles) AS r (id)
                WHERE r.id = '0' OR pg_catalog.pg_has_role(owner.id, r.id, 'USAGE'))) AS owners
    FROM pg_catalog.pg_policy AS p
    JOIN pg_catalog.pg_class AS t ON t.oid = p.polrelid AND t.relrowsecurity
    WHERE p.polqual IS NOT NULL AND p.polcmd IN ('r', '*')
) AS policy
WHERE policy.is_ours OR policy.owners IS NOT NULL"""  # noqa: S608 - of constants

# Types whose values contain values of another type: domains, ranges, arrays and rows.
_WHOLES: Final = """
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

# The `ValueKind` of a type that contains values of another; a domain has the kind of its base type.
_KIND_OF_WHOLE: Final = f"""
CASE WHEN t.typtype = 'd' THEN {{part}}.kind
     WHEN {{part}}.kind <> {ValueKind.ELEMENT:d} THEN {ValueKind.WHOLE:d}
     WHEN t.typcategory = 'A' THEN {ValueKind.ARRAY:d}
     ELSE {ValueKind.ROW:d} END"""

# Domains whose CHECK creates a value of another domain.
_NESTED_CHECKS: Final = r"""
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

# Types with casts by functions: their source types, and their target types.
_TYPES_WITH_CASTS: Final = f"""
SELECT c.type FROM ({_CASTS}) AS c UNION
SELECT c.casttarget FROM pg_catalog.pg_cast AS c
WHERE c.oid >= '16384' AND c.castfunc <> '0' AND c.casttarget >= '16384'"""  # noqa: S608 - of constants

INPUT_NAMES: Final = """(
    SELECT pg_catalog.textin(pg_catalog.json_out(pg_catalog.json_agg(
               COALESCE(p.proargnames[place.number], '') ORDER BY place.number)))
    FROM pg_catalog.generate_subscripts(p.proargnames, 1) AS place (number)
    WHERE p.proargmodes IS NULL OR p.proargmodes[place.number] IN ('i', 'b', 'v'))"""
"""The names of those parameters of a row `p` of pg_proc that a call can give, as a JSON array."""

# Functions outside the system schemas, and functions of PostgreSQL that a user-defined operator, cast, domain
# or aggregate calls. A CHECK's calls are read from its stored tree, because pg_depend leaves out PostgreSQL's
# own functions; casts below 16384 came with the server. A cast is identified by the user-defined type that it
# casts to. But it is identified by the type that it casts from if a statement that uses it names no type, or
# a type of PostgreSQL's. Procedures and trigger functions are left out, because a read cannot call them. The
# constructors of ranges are created with their type, so they count as written in SQL.
FUNCTIONS: Final = rf"""
WITH RECURSIVE operators (id, symbols) AS (
    SELECT o.oprcode::pg_catalog.oid, pg_catalog.json_agg(pg_catalog.json_build_array(
               n.nspname, o.oprname, o.oprleft::pg_catalog.int8, o.oprright::pg_catalog.int8,
               o.oprresult::pg_catalog.int8))
    FROM pg_catalog.pg_operator AS o JOIN pg_catalog.pg_namespace AS n ON n.oid = o.oprnamespace
    WHERE o.oprnamespace <> '11'
    GROUP BY 1
), checks (type, id) AS (
    SELECT k.contypid, pg_catalog.oidin(pg_catalog.textout(m.match[1]))
    FROM pg_catalog.pg_constraint AS k,
         LATERAL pg_catalog.regexp_matches(
             k.conbin::pg_catalog.text, ':(?:func|opfunc)id (\d+)', 'g') AS m (match)
    WHERE k.contypid >= '16384'
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
    JOIN ({_WHOLES} UNION ALL {_NESTED_CHECKS}) AS w (part, whole) ON w.part = h.holder
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
), cast_functions (id, is_written, spares_literals) AS (
    SELECT c.castfunc, pg_catalog.bool_and(c.castcontext = 'e' AND c.castsource <> c.casttarget),
           pg_catalog.bool_and(c.castsource <> c.casttarget AND (
               c.castcontext = 'e' OR c.castcontext = 'a' AND c.casttarget >= '16384'))
    FROM pg_catalog.pg_cast AS c
    WHERE c.oid >= '16384' AND c.castfunc <> '0' AND c.castfunc NOT IN (SELECT k.id FROM checks AS k)
    GROUP BY c.castfunc
), types (id, names, row_names) AS (
    SELECT uses.id, pg_catalog.json_agg(DISTINCT t.typname),
           pg_catalog.json_agg(DISTINCT t.typname) FILTER (
               WHERE t.typtype = 'd' AND EXISTS (SELECT FROM row_types AS r WHERE r.id = t.oid))
    FROM (SELECT c.id, c.type FROM named_casts AS c
          UNION ALL
          -- Rows of relations are left out: there can be many, and RELATIONS has their columns.
          SELECT c.id, h.holder FROM named_casts AS c JOIN holders AS h ON h.type = c.type
          WHERE h.holder NOT IN (SELECT r.id FROM relation_rows AS r)
          UNION ALL
          SELECT c.id, h.holder FROM checks AS c JOIN holders AS h ON h.type = c.type) AS uses (id, type)
    JOIN pg_catalog.pg_type AS t ON t.oid = uses.type
    GROUP BY uses.id
), extensions (id, name) AS (
    SELECT d.objid, e.extname
    FROM pg_catalog.pg_depend AS d JOIN pg_catalog.pg_extension AS e ON e.oid = d.refobjid
    WHERE d.classid = '1255' AND d.deptype = 'e' AND d.refclassid = '3079'
), functions AS (
    SELECT p.oid, p.prokind, p.prorettype, n.nspname, p.proname, p.provolatile, p.prosecdef,
           CASE WHEN l.lanname = 'internal' AND p.prosrc ~ '^(multi)?range_constructor\d$' THEN 'sql'
               ELSE l.lanname END AS lanname,
           p.provolatile <> 'v' AND p.prokind = 'f' AND x.id IS NULL AND p.oid >= '16384'
               AND l.lanname IN ('sql', 'plpgsql') AS is_to_be_read,
           COALESCE(x.name, '') AS extension,
           p.pronargs - p.pronargdefaults AS least,
           CASE WHEN p.provariadic = '0' THEN p.pronargs END AS most,
           p.proargtypes, p.provariadic, p.proconfig, p.proowner, p.proallargtypes, p.proargmodes,
           {INPUT_NAMES} AS input_names,
           (SELECT pg_catalog.json_agg(pg_catalog.lower(pg_catalog.split_part(c.setting, '=', 1)))
            FROM pg_catalog.unnest(p.proconfig) AS c (setting)) AS settings,
           p.pronargs > 0 AND p.pronargs - p.pronargdefaults - (p.provariadic <> '0')::pg_catalog.int4 <= 1
               AS takes_one,
           -- IN is hashed. With EXISTS, this takes 8 s for 10,000 tables, each of which has a row type.
           p.pronargs > 0 AND (p.proargtypes[0] IN (SELECT r.id FROM row_types AS r)
               OR p.provariadic IN (SELECT r.id FROM row_types AS r)) AS takes_row
    FROM pg_catalog.pg_proc AS p
    JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
    JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
    LEFT JOIN extensions AS x ON x.id = p.oid
        AND (l.lanname IN ('c', 'internal') OR p.proowner = '0' OR {IS_SUPERUSER.format(role="p.proowner")})
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
), counterparts (id, list) AS (
    SELECT o.oprcode::pg_catalog.oid, pg_catalog.json_agg(pg_catalog.json_build_array(
               f.nspname, f.proname, pg_catalog.textin(pg_catalog.oidvectorout(f.proargtypes))))
    FROM pg_catalog.pg_operator AS o
    JOIN pg_catalog.pg_operator AS c ON c.oid IN (o.oprcom, o.oprnegate)
    JOIN functions AS f ON f.oid = c.oprcode::pg_catalog.oid
    WHERE o.oprnamespace <> '11'
    GROUP BY 1
)
SELECT f.nspname::pg_catalog.text, f.proname::pg_catalog.text, f.provolatile::pg_catalog.text, f.prosecdef,
       f.lanname::pg_catalog.text, f.extension::pg_catalog.text, f.takes_one,
       f.takes_one AND f.takes_row,
       pg_catalog.textin(pg_catalog.json_out(o.symbols)), pg_catalog.textin(pg_catalog.json_out(t.names)),
       pg_catalog.textin(pg_catalog.json_out(t.row_names)), pg_catalog.textin(pg_catalog.json_out(a.list)),
       CASE WHEN f.is_to_be_read THEN pg_catalog.pg_get_functiondef(f.oid) END, f.least, f.most,
       pg_catalog.textin(pg_catalog.json_out(c.list)),
       pg_catalog.textin(pg_catalog.oidvectorout(f.proargtypes)), f.provariadic::pg_catalog.int8,
       (SELECT pg_catalog.split_part(c.setting, '=', 2) FROM pg_catalog.unnest(f.proconfig) AS c (setting)
        WHERE c.setting LIKE 'search_path=%'), f.proowner::pg_catalog.int8,
       CASE WHEN f.prosecdef THEN pg_catalog.pg_get_userbyid(f.proowner)::pg_catalog.text ELSE '' END,
       pg_catalog.textin(pg_catalog.json_out(f.settings)),
       (SELECT pg_catalog.textin(pg_catalog.json_out(pg_catalog.json_agg(DISTINCT t.typname)))
        FROM (SELECT f.prorettype UNION ALL
              SELECT f.proallargtypes[place.number]
              FROM pg_catalog.generate_subscripts(f.proargmodes, 1) AS place (number)
              WHERE f.proargmodes[place.number] IN ('o', 'b', 't')) AS r (type)
        JOIN pg_catalog.pg_type AS t ON t.oid = r.type AND t.oid >= '16384'),
       COALESCE(w.is_written, false), COALESCE(w.spares_literals, false), f.prorettype::pg_catalog.int8,
       f.input_names, pg_catalog.textin(pg_catalog.json_out(k.list))
FROM functions AS f
LEFT JOIN operators AS o ON o.id = f.oid
LEFT JOIN types AS t ON t.id = f.oid
LEFT JOIN parts AS a ON a.id = f.oid
LEFT JOIN casts AS c ON c.id = f.oid
LEFT JOIN cast_functions AS w ON w.id = f.oid
LEFT JOIN counterparts AS k ON k.id = f.oid
WHERE f.prokind <> 'p' AND f.prorettype NOT IN ('2279', '3838')  -- triggers
  AND (f.nspname NOT IN ('pg_catalog', 'information_schema') OR o.id IS NOT NULL OR t.id IS NOT NULL)"""  # noqa: S608 - of constants

_SECRET_COLUMNS: Final = ", ".join(str(names) for names in SECRET_COLUMNS)  # also as SQL spells them

# Reads views, row policies, foreign tables that run programs, relations that have such tables as partitions
# or children, and columns of types that may be cast implicitly. Views of extensions are left out, because
# they do what the extension does. `funcid` is also the end of `opfuncid`, and `fnoid` the end of `aggfnoid`
# and `winfnoid`. A stored tree is split at these words, because searching it by pattern takes three times as
# long (measured: 0.15 s for 1,000 views of 40 KB). For a catalog with secret columns, `selectedCols` shows
# which columns are read: its bits count from -7, the lowest system column, and 7 is the whole row. Up to
# PostgreSQL 15 it is in the relation's own entry, later in a second entry with the same relid. The id of a
# row policy is its OID plus 2**32.
RELATIONS: Final = rf"""
WITH RECURSIVE policies (id, relation, name, tree, is_ours, owners) AS (
    SELECT p.oid::pg_catalog.int8 + 4294967296, p.polrelid, p.polname, p.polqual::pg_catalog.text, p.is_ours,
           p.owners
    FROM ({POLICIES}) AS p
), trees (id, tree) AS (
    SELECT r.ev_class::pg_catalog.int8, r.ev_action::pg_catalog.text
    FROM pg_catalog.pg_rewrite AS r
    JOIN pg_catalog.pg_class AS c ON c.oid = r.ev_class AND c.relkind = 'v' AND c.oid >= '16384'
    WHERE NOT EXISTS (
        SELECT FROM pg_catalog.pg_depend AS e
        WHERE e.classid = '1259' AND e.objid = c.oid AND e.objsubid = 0 AND e.deptype = 'e'
          AND {IS_SUPERUSER.format(role="c.relowner")})
    UNION ALL
    SELECT p.id, p.tree FROM policies AS p
), called (id, function) AS (
    SELECT DISTINCT t.id, pg_catalog.oidin(pg_catalog.textout(pg_catalog.split_part(piece.text, ' ', 1)))
    FROM trees AS t, (VALUES ('funcid '), ('fnoid ')) AS mark (text),
         LATERAL pg_catalog.unnest(pg_catalog.string_to_array(t.tree, mark.text))
             WITH ORDINALITY AS piece (text, number)
    WHERE piece.number > 1
    UNION  -- JSON_ARRAY() and the like cast as to_json() does, and call no function.
    SELECT t.id, 3176::pg_catalog.oid FROM trees AS t
    WHERE pg_catalog.strpos(t.tree, 'JSONCONSTRUCTOREXPR') > 0
), guarded (id, bit) AS (
    SELECT c.oid, pg_catalog.concat(a.attnum + 7)
    FROM (VALUES {_SECRET_COLUMNS})
        AS g (schema, name, column_name)
    JOIN pg_catalog.pg_namespace AS n ON n.nspname = g.schema
    JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = g.name
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attname = g.column_name
), pieces (id, relation, text) AS (
    SELECT t.id, pg_catalog.oidin(pg_catalog.textout(pg_catalog.split_part(piece.text, ' ', 1))), piece.text
    FROM trees AS t,
         LATERAL pg_catalog.unnest(pg_catalog.string_to_array(t.tree, ':relid '))
             WITH ORDINALITY AS piece (text, number)
    WHERE piece.number > 1
), read (id, relation, columns) AS (
    SELECT DISTINCT p.id, p.relation,
           CASE WHEN p.relation IN (SELECT g.id FROM guarded AS g)
                     AND pg_catalog.strpos(p.text, ':selectedCols (b') > 0
               THEN pg_catalog.split_part(pg_catalog.split_part(p.text, ':selectedCols (b', 2), ')', 1) END
    FROM pieces AS p
), secrets (id, list) AS (
    SELECT s.id, pg_catalog.json_agg(DISTINCT c.relname)
    FROM (SELECT r.id, r.relation FROM read AS r JOIN guarded AS g ON g.id = r.relation
          GROUP BY r.id, r.relation
          HAVING pg_catalog.count(r.columns) = 0 OR pg_catalog.bool_or(EXISTS (
              SELECT FROM pg_catalog.unnest(pg_catalog.string_to_array(r.columns, ' ')) AS b (bit)
              WHERE b.bit IN ('7', g.bit)))) AS s
    JOIN pg_catalog.pg_class AS c ON c.oid = s.relation
    GROUP BY s.id
), calls (id, list) AS (
    SELECT c.id, pg_catalog.json_agg(pg_catalog.json_build_array(
               n.nspname, p.proname, p.pronargs, pg_catalog.textin(pg_catalog.oidvectorout(p.proargtypes))))
    FROM called AS c
    JOIN pg_catalog.pg_proc AS p ON p.oid = c.function AND (p.oid >= '16384' OR p.provolatile <> 'i')
    JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
    GROUP BY c.id
), reads (id, list) AS (
    SELECT r.id, pg_catalog.json_agg(pg_catalog.json_build_array(n.nspname, c.relname))
    FROM (SELECT DISTINCT p.id, p.relation FROM read AS p) AS r
    JOIN pg_catalog.pg_class AS c ON c.oid = r.relation AND c.oid::pg_catalog.int8 <> r.id
        AND NOT EXISTS (SELECT FROM policies AS p WHERE p.id = r.id AND p.relation = c.oid)
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    GROUP BY r.id
), typed (id, type, is_constant) AS (
    SELECT DISTINCT t.id, number.text, mark.is_constant
    FROM trees AS t,
         (VALUES ('resulttype ', ' ', false), ('typid ', ' ', false), ('coltypes (o ', ')', false),
                 (':consttype ', ' ', true)) AS mark (text, ending, is_constant),
         LATERAL pg_catalog.unnest(pg_catalog.string_to_array(t.tree, mark.text))
             WITH ORDINALITY AS piece (text, number),
         LATERAL pg_catalog.unnest(pg_catalog.string_to_array(
             pg_catalog.split_part(piece.text, mark.ending, 1), ' ')) AS number (text)
    WHERE piece.number > 1
      AND (SELECT EXISTS (SELECT FROM pg_catalog.pg_constraint AS k WHERE k.contypid >= '16384')
               OR EXISTS (SELECT FROM pg_catalog.pg_cast AS c WHERE c.oid >= '16384' AND c.castfunc <> '0'))
), castable (type, source, kind) AS (
    SELECT c.type, c.type, {ValueKind.ELEMENT:d} FROM ({_TYPES_WITH_CASTS}) AS c
    UNION
    SELECT w.whole, c.source, {_KIND_OF_WHOLE.format(part="c")}
    FROM castable AS c
    JOIN ({_WHOLES}) AS w (part, whole) ON w.part = c.type
    JOIN pg_catalog.pg_type AS t ON t.oid = w.whole
), domains (type, source, kind) AS (
    -- A literal that is combined with an array, range or row of a domain gets its type, so the CHECK runs.
    SELECT k.contypid, k.contypid, {ValueKind.ELEMENT:d}
    FROM pg_catalog.pg_constraint AS k WHERE k.contypid >= '16384'
    UNION
    SELECT w.whole, d.source,
           CASE WHEN w.is_nested THEN {ValueKind.ELEMENT:d} ELSE {_KIND_OF_WHOLE.format(part="d")} END
    FROM domains AS d
    JOIN (SELECT p.part, p.whole, false FROM ({_WHOLES}) AS p (part, whole)
          UNION ALL
          SELECT p.part, p.whole, true FROM ({_NESTED_CHECKS}) AS p (part, whole)
         ) AS w (part, whole, is_nested) ON w.part = d.type
    JOIN pg_catalog.pg_type AS t ON t.oid = w.whole
), acting (domain) AS (
    SELECT k.contypid
    FROM pg_catalog.pg_constraint AS k,
         LATERAL pg_catalog.regexp_matches(
             k.conbin::pg_catalog.text, ':(?:func|opfunc)id (\d+)', 'g') AS m (match)
    JOIN pg_catalog.pg_proc AS p ON p.oid = pg_catalog.oidin(pg_catalog.textout(m.match[1]))
    WHERE k.contypid >= '16384' AND (p.oid >= '16384' OR p.provolatile <> 'i')
), cast_columns (id, list) AS (
    SELECT u.id, pg_catalog.json_agg(pg_catalog.json_build_array(u.name, t.typname, u.kind))
    FROM (SELECT a.attrelid, a.attname, c.source, c.kind
          FROM castable AS c JOIN pg_catalog.pg_attribute AS a ON a.atttypid = c.type
          UNION ALL
          SELECT a.attrelid, a.attname, d.source, d.kind
          FROM domains AS d JOIN pg_catalog.pg_attribute AS a ON a.atttypid = d.type
          WHERE d.kind <> {ValueKind.ELEMENT:d} OR d.source IN (SELECT x.domain FROM acting AS x)
          UNION ALL
          SELECT r.oid, '', c.source, {ValueKind.ELEMENT:d}
          FROM castable AS c JOIN pg_catalog.pg_class AS r ON r.reltype = c.type AND c.type = c.source
         ) AS u (id, name, type, kind)
    JOIN pg_catalog.pg_type AS t ON t.oid = u.type
    GROUP BY u.id
), types (id, list) AS (
    SELECT u.id, pg_catalog.json_agg(t.typname)
    FROM typed AS u JOIN pg_catalog.pg_type AS t ON pg_catalog.concat(t.oid) = u.type AND t.oid >= '16384'
    WHERE NOT u.is_constant
    GROUP BY u.id
), constants (id, list) AS (
    SELECT u.id, pg_catalog.json_agg(t.typname)
    FROM typed AS u JOIN pg_catalog.pg_type AS t ON pg_catalog.concat(t.oid) = u.type AND t.oid >= '16384'
    WHERE u.is_constant
    GROUP BY u.id
), programs (id) AS (
    SELECT f.ftrelid FROM pg_catalog.pg_foreign_table AS f
    WHERE EXISTS (SELECT FROM pg_catalog.unnest(f.ftoptions) AS o (text) WHERE o.text LIKE 'program=%')
    UNION
    SELECT i.inhparent FROM programs AS p JOIN pg_catalog.pg_inherits AS i ON i.inhrelid = p.id
)
SELECT n.nspname::pg_catalog.text, c.relname::pg_catalog.text,
       pg_catalog.textin(pg_catalog.json_out(calls.list)), pg_catalog.textin(pg_catalog.json_out(reads.list)),
       pg_catalog.textin(pg_catalog.json_out(types.list)),
       programs.id IS NOT NULL AND subject.policy = '',
       pg_catalog.textin(pg_catalog.json_out(secrets.list)),
       CASE WHEN subject.policy = '' THEN pg_catalog.textin(pg_catalog.json_out(cast_columns.list)) END,
       subject.policy::pg_catalog.text, subject.is_ours,
       pg_catalog.textin(pg_catalog.json_out(subject.owners)),
       CASE WHEN c.relkind = 'v' AND NOT {_IS_INVOKER.format(view="c")}
           THEN c.relowner::pg_catalog.int8 ELSE 0::pg_catalog.int8 END,
       pg_catalog.textin(pg_catalog.json_out(constants.list))
FROM (SELECT r.oid::pg_catalog.int8, r.oid, ''::pg_catalog.name, true, NULL::pg_catalog.json
      FROM pg_catalog.pg_class AS r
      WHERE r.relkind IN ('r', 'p', 'v', 'm', 'f')
      UNION ALL
      SELECT p.id, p.relation, p.name, p.is_ours, p.owners
      FROM policies AS p) AS subject (id, relation, policy, is_ours, owners)
JOIN pg_catalog.pg_class AS c ON c.oid = subject.relation
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN calls ON calls.id = subject.id
LEFT JOIN reads ON reads.id = subject.id
LEFT JOIN types ON types.id = subject.id
LEFT JOIN constants ON constants.id = subject.id
LEFT JOIN secrets ON secrets.id = subject.id
LEFT JOIN programs ON programs.id = c.oid
LEFT JOIN cast_columns ON cast_columns.id = c.oid
WHERE calls.id IS NOT NULL OR reads.id IS NOT NULL OR types.id IS NOT NULL
   OR (programs.id IS NOT NULL OR cast_columns.id IS NOT NULL) AND subject.policy = ''"""  # noqa: S608 - of constants
