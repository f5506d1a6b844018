"""Finds the functions that PostgreSQL calls while it plans a read of a table.

The planner replaces a call of an IMMUTABLE function with constant arguments by its result. It does so in the
index predicates, index expressions, extended statistics, partition keys and CHECK constraints of each table
that it reads. This module reads their stored trees, and tells such calls from calls on columns.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import msgspec

from pgmcp.validation.catalog_objects import CatalogRelation
from pgmcp.validation.refusal_reasons import RefusalReason

# The trees of tables with a function, operator or type of this database (an OID of five digits at least).
# Partition keys also count for the partitions, because an implicit constraint of each one contains them; all
# trees count for parents. PostgreSQL 13 has no column stxexprs. Defaults of parameters are part of a call.
# Partitions often have equal trees, so each tree is returned once, with its tables.
PLANNED: Final = r"""
WITH RECURSIVE own (id, tree) AS (
    SELECT i.indrelid, t.tree
    FROM pg_catalog.pg_index AS i,
         LATERAL (VALUES (i.indexprs::pg_catalog.text), (i.indpred::pg_catalog.text)) AS t (tree)
    WHERE i.indexrelid >= '16384' AND (i.indexprs IS NOT NULL OR i.indpred IS NOT NULL)
    UNION ALL
    SELECT k.conrelid, k.conbin::pg_catalog.text
    FROM pg_catalog.pg_constraint AS k WHERE k.contype = 'c' AND k.conrelid <> '0' AND k.convalidated
    UNION ALL
    SELECT s.stxrelid, pg_catalog.json_extract_path_text(pg_catalog.row_to_json(s.*), 'stxexprs')
    FROM pg_catalog.pg_statistic_ext AS s
    UNION ALL
    SELECT p.partrelid, p.partexprs::pg_catalog.text FROM pg_catalog.pg_partitioned_table AS p
), suspect (id, tree) AS MATERIALIZED (
    SELECT o.id, o.tree FROM own AS o
    WHERE (SELECT EXISTS (SELECT FROM pg_catalog.pg_proc AS f WHERE f.oid >= '16384'))
      AND o.tree ~ '(?:funcid|resulttype) [1-9]\d{4}'
), upwards (id, tree) AS (
    SELECT s.id, s.tree FROM suspect AS s
    UNION
    SELECT i.inhparent, u.tree FROM upwards AS u JOIN pg_catalog.pg_inherits AS i ON i.inhrelid = u.id
), downwards (id, tree) AS (
    SELECT s.id, s.tree
    FROM suspect AS s JOIN pg_catalog.pg_class AS c ON c.oid = s.id AND c.relkind = 'p'
    UNION
    SELECT i.inhrelid, d.tree FROM downwards AS d JOIN pg_catalog.pg_inherits AS i ON i.inhparent = d.id
), defaults (id, tree, is_default) AS (
    SELECT u.id, u.tree, false FROM upwards AS u
    UNION SELECT d.id, d.tree, false FROM downwards AS d
    UNION
    SELECT d.id, p.proargdefaults::pg_catalog.text, true
    FROM defaults AS d,
         LATERAL pg_catalog.regexp_matches(d.tree, ':(?:func|opfunc)id ([1-9]\d{4,})', 'g') AS m (match)
    JOIN pg_catalog.pg_proc AS p ON p.oid = pg_catalog.oidin(pg_catalog.textout(m.match[1]))
        AND p.pronargdefaults > 0
)
SELECT pg_catalog.textin(pg_catalog.json_out(d.relations)), d.tree, d.is_default,
       (SELECT pg_catalog.textin(pg_catalog.json_out(pg_catalog.json_object_agg(
                   t.oid::pg_catalog.int8, t.typname)))
        FROM pg_catalog.pg_type AS t
        WHERE t.oid IN (
            SELECT pg_catalog.oidin(pg_catalog.textout(m.match[1]))
            FROM pg_catalog.regexp_matches(d.tree, '(?:result|const)type ([1-9]\d{4,})', 'g') AS m (match))),
       (SELECT pg_catalog.textin(pg_catalog.json_out(pg_catalog.json_agg(pg_catalog.json_build_array(
                   p.oid::pg_catalog.int8, f.nspname, p.proname, p.pronargs,
                   pg_catalog.textin(pg_catalog.oidvectorout(p.proargtypes)), p.prolang = '14',
                   p.provolatile = 'v', p.pronargdefaults > 0))))
        FROM pg_catalog.regexp_matches(d.tree, ':(?:func|opfunc)id ([1-9]\d{4,})', 'g') AS m (match)
        JOIN pg_catalog.pg_proc AS p ON p.oid = pg_catalog.oidin(pg_catalog.textout(m.match[1]))
            AND p.oid >= '16384'
        JOIN pg_catalog.pg_namespace AS f ON f.oid = p.pronamespace)
FROM (SELECT e.tree, e.is_default, pg_catalog.json_agg(pg_catalog.json_build_array(n.nspname, c.relname))
      FROM defaults AS e
      JOIN pg_catalog.pg_class AS c ON c.oid = e.id
      JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
      GROUP BY e.tree, e.is_default) AS d (tree, is_default, relations)"""

# Tables whose indexes, statistics or partition keys use a function, operator or type of this database. This
# is known without reading the expressions.
SUSPECTS: Final = """
SELECT COALESCE(k.conrelid, t.refobjid, f.objid) AS id
FROM pg_catalog.pg_depend AS f
LEFT JOIN pg_catalog.pg_depend AS t
    ON t.classid = f.classid AND t.objid = f.objid AND t.refclassid = '1259'
LEFT JOIN pg_catalog.pg_constraint AS k ON k.conindid = f.objid AND k.contype <> 'f'
WHERE f.classid IN ('1259', '2606', '3381') AND f.objsubid = 0
  AND f.refclassid IN ('1255', '1247', '2617') AND f.refobjid >= '16384'"""

_FIRST_USER_OID: Final = 16384
# A backslash escapes the next character, also brackets and spaces (pg_strtok in PostgreSQL's read.c).
_TOKEN: Final = re.compile(r"[(){}]|(?:\\.|[^\s(){}\\])+", re.DOTALL)
_PASS_ON: Final = frozenset({"RELABELTYPE", "COERCEVIAIO", "COERCETODOMAIN", "NAMEDARGEXPR"})
"""Nodes that are constant only if their argument is."""
_BOOLEAN: Final = "16"
_CALLS: Final = frozenset({"FUNCEXPR", "OPEXPR"})
_COALESCE: Final = frozenset({"COALESCE", "COALESCEEXPR"})  # the second since PostgreSQL 14


@dataclass(slots=True)
class _Node:
    tokens: list[str] = field(default_factory=list)
    children: list["_Node"] = field(default_factory=list)

    @property
    def tag(self) -> str:
        return self.tokens[0] if self.tokens else ""

    def value(self, *names: str) -> str:
        """Return the token after the first of these names; "" without one."""
        places = (place for place, token in enumerate(self.tokens[:-1]) if token in names)
        return next((self.tokens[place + 1] for place in places), "")

    @property
    def function(self) -> int:
        return int(self.value(":funcid", ":opfuncid") or 0)

    def all(self) -> Iterator["_Node"]:
        yield self
        for child in self.children:
            yield from child.all()


class _Callee(NamedTuple):
    """A function of this database in a tree, and what decides whether the planner evaluates its calls."""

    oid: int
    schema: str
    name: str
    number: int
    argument_types: str
    is_sql: bool
    is_volatile: bool
    has_defaults: bool

    @property
    def signature(self) -> tuple[str, str, tuple[int, ...]]:
        return self.schema, self.name, tuple(map(int, self.argument_types.split()))


_decode_functions = msgspec.json.Decoder(list[_Callee]).decode
_decode_names = msgspec.json.Decoder(list[tuple[str, str]]).decode
_decode_types = msgspec.json.Decoder(dict[int, str]).decode


class _Evaluated(NamedTuple):
    """What the planner may evaluate, as OIDs.

    Attributes:
        functions: functions that may be called.
        types: types to which values may be converted, so that a CHECK may run.
        constant_types: types of the constants, which a function may cast.
    """

    functions: frozenset[int]
    types: frozenset[int]
    constant_types: frozenset[int]


# Any: the type of each cell depends on its column in PLANNED.
def planned_relations(rows: Iterable[list[Any]]) -> list[CatalogRelation]:
    """Return for each table what the planner may call and check, from the rows of `PLANNED`."""
    called: dict[tuple[str, str], set[_Callee]] = defaultdict(set)
    checked: dict[tuple[str, str], set[str]] = defaultdict(set)
    constant: dict[tuple[str, str], set[str]] = defaultdict(set)
    unknown: set[tuple[str, str]] = set()
    for relations, tree, is_default, types, functions in rows:
        callees = {each.oid: each for each in _decode_functions(functions or "[]")}
        names = _decode_types(types or "{}")
        found = _evaluated(tree, callees, is_default=is_default)
        for relation in _decode_names(relations):
            called[relation].update(callees[oid] for oid in found.functions & callees.keys())
            checked[relation].update(names[oid] for oid in found.types)
            constant[relation].update(names[oid] for oid in found.constant_types)
            if found.functions - callees.keys():
                unknown.add(relation)
    return [
        CatalogRelation(schema, name, unreadable=RefusalReason.UNREADABLE_EXPRESSION)
        for schema, name in sorted(unknown)
    ] + [
        CatalogRelation(
            schema,
            name,
            tuple(sorted((each.schema, each.name, each.number) for each in functions)),
            types=tuple(sorted(checked[schema, name])),
            constant_types=tuple(sorted(constant[schema, name])),
            argument_types=frozenset(each.signature for each in functions),
            is_planned=True,
        )
        for (schema, name), functions in called.items()
        if functions or checked[schema, name]
    ]


def _evaluated(tree: str, callees: Mapping[int, _Callee], *, is_default: bool) -> _Evaluated:
    """Return what the planner may evaluate of a stored tree.

    A call is left out only if one of its arguments certainly stays a value of a column. An SQL function
    counts even then: the planner may replace it by its body, where other calls can have constant arguments.

    Args:
        tree: the text of a pg_node_tree.
        callees: the functions of this database in the tree, by OID.
        is_default: whether it is the default of a parameter, in which nothing is a column.
    """
    nodes = list(_parse(tree).all())
    functions = (
        node.function
        for node in nodes
        if node.function >= _FIRST_USER_OID and (is_default or _may_run(node, callees))
    )
    constant_types = (int(node.value(":consttype") or 0) for node in nodes)
    return _Evaluated(
        frozenset(functions),
        frozenset(_checked_types(nodes, callees)),
        frozenset(each for each in constant_types if each >= _FIRST_USER_OID),
    )


def _may_run(node: _Node, callees: Mapping[int, _Callee]) -> bool:
    callee = callees.get(node.function)
    if callee is None or callee.is_sql:
        return True
    return not callee.is_volatile and not any(_stays_column(each, callees) for each in node.children)


def _checked_types(nodes: Collection[_Node], callees: Mapping[int, _Callee]) -> Iterator[int]:
    """Yield the types to which values are converted: a domain's CHECK is simplified when it is read."""
    for node in nodes:
        result_type = int(node.value(":resulttype", ":funcresulttype", ":opresulttype") or 0)
        if result_type >= _FIRST_USER_OID and (
            node.tag == "COERCETODOMAIN" or not any(_stays_column(each, callees) for each in node.children)
        ):
            yield result_type


def _stays_column(node: _Node, callees: Mapping[int, _Callee]) -> bool:
    """Return whether an expression certainly depends on a column after the planner has simplified it.

    `coalesce(1, id)`, `false AND id > 1` and a STRICT function with a NULL do not.
    """
    if node.tag == "VAR":
        return True
    if node.tag in _PASS_ON:
        return len(node.children) == 1 and _stays_column(node.children[0], callees)
    if node.tag in _COALESCE:
        return bool(node.children) and _stays_column(node.children[0], callees)
    # A function of PostgreSQL may be simplified to a boolean constant: `id <@ 'empty'::int4range` is false.
    is_boolean = node.value(":funcresulttype", ":opresulttype") == _BOOLEAN
    if node.tag not in _CALLS or is_boolean or not _keeps_arguments(node.function, callees):
        return False
    columns = [_stays_column(each, callees) for each in node.children]
    return any(columns) and all(
        is_column or (each.tag == "CONST" and each.value(":constisnull") == "false")
        for is_column, each in zip(columns, node.children, strict=True)
    )


def _keeps_arguments(function: int, callees: Mapping[int, _Callee]) -> bool:
    """Return whether a call stays a call of all its arguments, unless the planner evaluates it."""
    if 0 < function < _FIRST_USER_OID:
        return True
    callee = callees.get(function)
    return callee is not None and not callee.is_sql and not callee.has_defaults


def _parse(tree: str) -> _Node:
    root = _Node()
    stack = [root]
    for piece in _TOKEN.findall(tree):
        if piece == "{":
            stack.append(_Node())
            stack[-2].children.append(stack[-1])
        elif piece == "}":
            stack.pop()
        elif piece not in "()":
            stack[-1].tokens.append(piece)
    return root
