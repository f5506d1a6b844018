"""The statement that reads what views, row policies and foreign tables call, and which columns have casts."""

from typing import Final

from pgmcp.execution.policy.statements import (
    IS_SUPERUSER,
    NESTED_CHECKS,
    RANGE_FUNCTIONS,
    TYPES_WITH_CASTS,
    WHOLES,
    WITH_CALLERS_PATH,
    WITH_OWN_COUNTERPART,
)
from pgmcp.validation.column_values import ValueKind
from pgmcp.validation.secret_columns import SECRET_COLUMNS

# A view reads with its owner's privileges, unless its option security_invoker is on.
_IS_INVOKER: Final = """EXISTS (
    SELECT FROM pg_catalog.unnest({view}.reloptions) AS o (text)
    WHERE o.text LIKE 'security_invoker=%'
      AND pg_catalog.boolin(pg_catalog.textout(pg_catalog.split_part(o.text, '=', 2))))"""

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

# Row policies for SELECT that can apply. `for_connection` says whether a policy applies to the login role;
# `owners` lists the owners to whom it applies. The conditions are the server's (check_enable_rls,
# check_role_for_policy): row security is enabled and applies to the reader, and the policy is for PUBLIC (0)
# or for a role whose privileges the reader has.
POLICIES: Final = f"""
WITH owners (id) AS MATERIALIZED ({OWNERS})
SELECT policy.*
FROM (
    SELECT p.oid, p.polrelid, p.polname, p.polqual,
           pg_catalog.row_security_active(p.polrelid) AND EXISTS (
               SELECT FROM pg_catalog.unnest(p.polroles) AS r (id)
               WHERE r.id = '0' OR pg_catalog.pg_has_role(r.id, 'USAGE')) AS for_connection,
           (SELECT pg_catalog.json_agg(owner.id::pg_catalog.int8 ORDER BY owner.id)
            FROM owners AS owner
            WHERE {IS_SUBJECT} AND EXISTS (
                SELECT FROM pg_catalog.unnest(p.polroles) AS r (id)
                WHERE r.id = '0' OR pg_catalog.pg_has_role(owner.id, r.id, 'USAGE'))) AS owners
    FROM pg_catalog.pg_policy AS p
    JOIN pg_catalog.pg_class AS t ON t.oid = p.polrelid AND t.relrowsecurity
    WHERE p.polqual IS NOT NULL AND p.polcmd IN ('r', '*')
) AS policy
WHERE policy.for_connection OR policy.owners IS NOT NULL"""  # noqa: S608 - of constants

# The `ValueKind` of a type that contains values of another; a domain has the kind of its base type.
_KIND_OF_WHOLE: Final = f"""
CASE WHEN t.typtype = 'd' THEN {{part}}.kind
     WHEN {{part}}.kind <> {ValueKind.ELEMENT:d} THEN {ValueKind.WHOLE:d}
     WHEN t.typcategory = 'A' THEN {ValueKind.ARRAY:d}
     ELSE {ValueKind.ROW:d} END"""

_SECRET_COLUMNS: Final = ", ".join(str(names) for names in SECRET_COLUMNS)  # also as SQL spells them

# Reads views, row policies, foreign tables that run programs, relations that have such tables as partitions
# or children, and columns of types that may be cast implicitly. Views of extensions are left out, because
# they do what the extension does. A read runs only a view's SELECT rule (ev_type '1'), not its rules for
# INSERT, UPDATE and DELETE. `funcid` is also the end of `opfuncid`, and `fnoid` the end of `aggfnoid`
# and `winfnoid`. A stored tree is split at these words, because searching it by pattern takes three times as
# long (measured: 0.15 s for 1,000 views of 40 KB). For a catalog with secret columns, `selectedCols` shows
# which columns are read: its bits count from -7, the lowest system column, and 7 is the whole row. Up to
# PostgreSQL 15 it is in the relation's own entry, later in a second entry with the same relid. The id of a
# row policy is its OID plus 2**32.
RELATIONS: Final = rf"""
WITH RECURSIVE policies (id, relation, name, tree, for_connection, owners) AS (
    SELECT p.oid::pg_catalog.int8 + 4294967296, p.polrelid, p.polname, p.polqual::pg_catalog.text,
           p.for_connection, p.owners
    FROM ({POLICIES}) AS p
), trees (id, tree) AS (
    SELECT r.ev_class::pg_catalog.int8, r.ev_action::pg_catalog.text
    FROM pg_catalog.pg_rewrite AS r
    JOIN pg_catalog.pg_class AS c ON c.oid = r.ev_class AND c.relkind = 'v' AND c.oid >= '16384'
    WHERE r.ev_type = '1' AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_depend AS e
        WHERE e.classid = '1259' AND e.objid = c.oid AND e.objsubid = 0 AND e.deptype = 'e'
          AND {IS_SUPERUSER.format(role="c.relowner")})
    UNION ALL
    SELECT p.id, p.tree FROM policies AS p
), with_callers_path (id) AS MATERIALIZED ({WITH_CALLERS_PATH}
), with_own_counterpart (operator) AS ({WITH_OWN_COUNTERPART}
), counterparts (id, operator, function) AS (
    -- The negators and commutators of operators, and theirs in turn.
    SELECT o.oid, c.oid, c.oprcode::pg_catalog.oid
    FROM pg_catalog.pg_operator AS o JOIN pg_catalog.pg_operator AS c ON c.oid IN (o.oprcom, o.oprnegate)
    WHERE o.oid >= '16384' OR o.oid IN (SELECT a.operator FROM with_own_counterpart AS a)
    UNION
    SELECT k.id, c.oid, c.oprcode::pg_catalog.oid
    FROM counterparts AS k
    JOIN pg_catalog.pg_operator AS o ON o.oid = k.operator
    JOIN pg_catalog.pg_operator AS c ON c.oid IN (o.oprcom, o.oprnegate)
), called (id, function) AS (
    SELECT DISTINCT t.id, pg_catalog.oidin(pg_catalog.textout(pg_catalog.split_part(piece.text, ' ', 1)))
    FROM trees AS t, (VALUES ('funcid '), ('fnoid ')) AS mark (text),
         LATERAL pg_catalog.unnest(pg_catalog.string_to_array(t.tree, mark.text))
             WITH ORDINALITY AS piece (text, number)
    WHERE piece.number > 1
    UNION  -- JSON_ARRAY() and the like cast as to_json() does, and call no function.
    SELECT t.id, 3176::pg_catalog.oid FROM trees AS t
    WHERE pg_catalog.strpos(t.tree, 'JSONCONSTRUCTOREXPR') > 0
    UNION  -- The server rewrites conditions with other operators, whose functions the tree does not contain.
    SELECT t.id, c.function
    FROM trees AS t,
         LATERAL pg_catalog.unnest(pg_catalog.string_to_array(t.tree, ':opno '))
             WITH ORDINALITY AS piece (text, number)
    JOIN counterparts AS c ON pg_catalog.concat(c.id) = pg_catalog.split_part(piece.text, ' ', 1)
    WHERE piece.number > 1
    UNION  -- PostgreSQL's own views, which are not among the trees.
    SELECT r.ev_class::pg_catalog.int8, b.id
    FROM pg_catalog.pg_rewrite AS r,
         LATERAL pg_catalog.unnest(pg_catalog.string_to_array(r.ev_action::pg_catalog.text, ':funcid '))
             WITH ORDINALITY AS piece (text, number)
    JOIN with_callers_path AS b ON pg_catalog.concat(b.id) = pg_catalog.split_part(piece.text, ' ', 1)
    WHERE r.ev_class < '16384' AND piece.number > 1 AND (SELECT EXISTS (SELECT FROM with_callers_path AS t))
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
    JOIN pg_catalog.pg_proc AS p ON p.oid = c.function
        AND (p.oid >= '16384' OR p.provolatile <> 'i' OR p.oid IN (SELECT b.id FROM with_callers_path AS b))
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
    SELECT c.type, c.type, {ValueKind.ELEMENT:d} FROM ({TYPES_WITH_CASTS}) AS c
    UNION  -- Arrays are made of values of the element type.
    SELECT t.typelem, t.oid, {ValueKind.ELEMENT:d}
    FROM ({TYPES_WITH_CASTS}) AS c JOIN pg_catalog.pg_type AS t ON t.oid = c.type AND t.typcategory = 'A'
    UNION
    SELECT w.whole, c.source, {_KIND_OF_WHOLE.format(part="c")}
    FROM castable AS c
    JOIN ({WHOLES}) AS w (part, whole) ON w.part = c.type
    JOIN pg_catalog.pg_type AS t ON t.oid = w.whole
), domains (type, source, kind) AS (
    -- A literal that is combined with an array, range or row of a domain gets its type, so the CHECK runs.
    SELECT k.contypid, k.contypid, {ValueKind.ELEMENT:d}
    FROM pg_catalog.pg_constraint AS k WHERE k.contypid >= '16384'
    UNION
    SELECT w.whole, d.source,
           CASE WHEN w.is_nested THEN {ValueKind.ELEMENT:d} ELSE {_KIND_OF_WHOLE.format(part="d")} END
    FROM domains AS d
    JOIN (SELECT p.part, p.whole, false FROM ({WHOLES}) AS p (part, whole)
          UNION ALL
          SELECT p.part, p.whole, true FROM ({NESTED_CHECKS}) AS p (part, whole)
         ) AS w (part, whole, is_nested) ON w.part = d.type
    JOIN pg_catalog.pg_type AS t ON t.oid = w.whole
), acting (domain) AS (
    SELECT k.contypid
    FROM pg_catalog.pg_constraint AS k,
         LATERAL pg_catalog.regexp_matches(
             k.conbin::pg_catalog.text, ':(?:func|opfunc)id (\d+)', 'g') AS m (match)
    JOIN pg_catalog.pg_proc AS p ON p.oid = pg_catalog.oidin(pg_catalog.textout(m.match[1]))
    WHERE k.contypid >= '16384' AND (p.oid >= '16384' OR p.provolatile <> 'i')
), ranges (type) AS (
    SELECT r.rngtypid FROM pg_catalog.pg_range AS r, LATERAL (VALUES {RANGE_FUNCTIONS}) AS f (id)
    WHERE f.id >= '16384'
    UNION
    SELECT w.whole FROM ranges AS g JOIN ({WHOLES}) AS w (part, whole) ON w.part = g.type
), foreign_parts (id, part) AS (
    SELECT c.oid, c.oid FROM pg_catalog.pg_class AS c WHERE c.relkind = 'f'
    UNION
    SELECT i.inhparent, f.part FROM foreign_parts AS f JOIN pg_catalog.pg_inherits AS i ON i.inhrelid = f.id
), created (id, type) AS (
    -- A read of a foreign table makes values of its columns' types, so domains check them.
    SELECT f.id, a.atttypid
    FROM foreign_parts AS f JOIN pg_catalog.pg_attribute AS a ON a.attrelid = f.part AND NOT a.attisdropped
    WHERE a.atttypid IN (SELECT d.type FROM domains AS d)
    UNION
    SELECT a.attrelid, a.atttypid
    FROM pg_catalog.pg_attribute AS a WHERE a.atttypid IN (SELECT g.type FROM ranges AS g)
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
    FROM (SELECT d.id, d.type FROM typed AS d WHERE NOT d.is_constant
          UNION SELECT c.id::pg_catalog.int8, pg_catalog.concat(c.type) FROM created AS c) AS u
    JOIN pg_catalog.pg_type AS t ON pg_catalog.concat(t.oid) = u.type AND t.oid >= '16384'
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
       subject.policy::pg_catalog.text, subject.for_connection,
       pg_catalog.textin(pg_catalog.json_out(subject.owners)),
       CASE WHEN c.relkind = 'v' AND NOT {_IS_INVOKER.format(view="c")}
           THEN c.relowner::pg_catalog.int8 ELSE 0::pg_catalog.int8 END,
       pg_catalog.textin(pg_catalog.json_out(constants.list)),
       EXISTS (SELECT FROM trees AS t
               WHERE t.id = subject.id AND pg_catalog.strpos(t.tree, ':hasForUpdate true') > 0)
FROM (SELECT r.oid::pg_catalog.int8, r.oid, ''::pg_catalog.name, true, NULL::pg_catalog.json
      FROM pg_catalog.pg_class AS r
      WHERE r.relkind IN ('r', 'p', 'v', 'm', 'f')
      UNION ALL
      SELECT p.id, p.relation, p.name, p.for_connection, p.owners
      FROM policies AS p) AS subject (id, relation, policy, for_connection, owners)
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
