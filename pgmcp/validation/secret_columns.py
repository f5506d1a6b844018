"""Catalogs of which one column holds passwords: the other columns may be read.

PostgreSQL guards these columns itself and shows the rest of the catalog to everybody (manual,
chapter "System Catalogs"): `pg_subscription` has grants by column; `pg_user_mappings`,
`pg_stat_wal_receiver` and `information_schema.user_mapping_options` decide row by row.
Superusers see all of them. A statement may name every other column of such a catalog, but use
nothing that gives whole rows: stars, the relation's name as a value, functions called as
`row.function`, new names for its columns, NATURAL joins.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from pgmcp.validation.grammar import Node

_SYSTEM_COLUMNS: Final = frozenset({"oid", "tableoid", "ctid", "xmin", "xmax", "cmin", "cmax"})


@dataclass(frozen=True, slots=True)
class _Guarded:
    """A catalog with a secret column, and the other columns that PostgreSQL 13 to 18 gives it."""

    column: str
    others: frozenset[str]


def _guarded(column: str, others: str) -> _Guarded:
    return _Guarded(column, _SYSTEM_COLUMNS.union(others.split()))


_GUARDED: Final = {
    ("pg_catalog", "pg_subscription"): _guarded(
        "subconninfo",
        "subdbid subskiplsn subname subowner subenabled subbinary substream subtwophasestate subdisableonerr "
        "subpasswordrequired subrunasowner subfailover subslotname subsynccommit subpublications suborigin",
    ),
    ("pg_catalog", "pg_stat_wal_receiver"): _guarded(
        "conninfo",
        "pid status receive_start_lsn receive_start_tli written_lsn flushed_lsn received_tli "
        "last_msg_send_time last_msg_receipt_time latest_end_lsn latest_end_time slot_name "
        "sender_host sender_port",
    ),
    ("pg_catalog", "pg_user_mappings"): _guarded("umoptions", "umid srvid srvname umuser usename"),
    ("information_schema", "user_mapping_options"): _guarded(
        "option_value", "authorization_identifier foreign_server_catalog foreign_server_name option_name"
    ),
}


class SecretUse(NamedTuple):
    """What in a statement shows or may show a secret column."""

    relation: str
    column: str
    offending: str
    fields: Node


def has_secret_column(schema: str, name: str) -> bool:
    """Return whether only one column of a relation is secret; "" as the schema counts as pg_catalog."""
    return (schema or "pg_catalog", name) in _GUARDED


def find_secret_use(root: Node, relations: list[Node]) -> SecretUse | None:
    """Return the first place of a statement that shows or may show a secret column.

    Args:
        root: the tree of the statement.
        relations: the RangeVar nodes in it for which `has_secret_column` holds. WITH queries of the same
            name must not be among them.
    """
    return _Search(relations).run(root)


class _Search:
    """Looks for uses of secret columns in one tree. Names count in the whole statement, not by scope."""

    def __init__(self, relations: list[Node]) -> None:
        self._guarded_by_id = {id(each): _of(each) for each in relations}
        self._relation_by_column = {_of(each).column: each for each in relations}
        self._relations_by_name: dict[str, list[Node]] = {}
        for each in relations:
            self._relations_by_name.setdefault(_name_in_scope(each), []).append(each)

    def run(self, root: Node) -> SecretUse | None:
        pending: list[Any] = [root]
        while pending:
            value = pending.pop()
            if isinstance(value, dict):
                if found := next(self._uses(value), None):
                    return found
                pending.extend(value.values())
            elif isinstance(value, list):
                pending.extend(value)
        return None

    def _uses(self, fields: Node) -> Iterator[SecretUse]:
        """Give the uses that one node shows by itself."""
        yield from self._columns(fields.get("fields", []), fields)
        for name in map(_name, [*fields.get("indirection", []), *fields.get("usingClause", [])]):
            if name in self._relation_by_column:
                yield _use(self._relation_by_column[name], name, fields)
        if id(fields) in self._guarded_by_id and "colnames" in fields.get("alias", {}):
            yield _use(fields, "column aliases", fields)
        if "fromClause" in fields and any(map(_is_bare_star, fields.get("targetList", []))):
            yield from (_use(each, "*", each) for item in fields["fromClause"] for each in self._inside(item))
        if fields.get("isNatural") or ("larg" in fields and "alias" in fields):
            offending = "NATURAL JOIN" if fields.get("isNatural") else "an alias of a join"
            yield from (_use(each, offending, each) for each in self._inside({"JoinExpr": fields}))

    def _columns(self, names: list[Node], fields: Node) -> Iterator[SecretUse]:
        """Give the secrets that a column reference shows: by name, as a whole row or through a function."""
        if not names:
            return
        column = _name(names[-1])
        if column in self._relation_by_column:
            yield _use(self._relation_by_column[column], column, fields)
        if len(names) == 1:
            yield from (_use(each, column, fields) for each in self._relations_by_name.get(column, ()))
            return
        for relation in self._relations_by_name.get(_name(names[-2]), ()):
            if column not in _of(relation).others:
                yield _use(relation, f"{_name(names[-2])}.{column or '*'}", fields)

    def _inside(self, item: Node) -> Iterator[Node]:
        """Give the relations with a secret column whose columns an item of FROM has."""
        ((kind, fields),) = item.items()
        if kind == "RangeVar" and id(fields) in self._guarded_by_id:
            yield fields
        elif kind == "JoinExpr":
            yield from self._inside(fields["larg"])
            yield from self._inside(fields["rarg"])
        elif kind == "RangeTableSample":
            yield from self._inside(fields["relation"])


def _of(relation: Node) -> _Guarded:
    return _GUARDED[relation.get("schemaname", "pg_catalog"), relation["relname"]]


def _use(relation: Node, offending: str, fields: Node) -> SecretUse:
    return SecretUse(relation["relname"], _of(relation).column, offending, fields)


def _name_in_scope(relation: Node) -> str:
    return str(relation.get("alias", {}).get("aliasname", relation["relname"]))


def _name(step: Node) -> str:
    return str(step.get("String", {}).get("sval", ""))


def _is_bare_star(target: Node) -> bool:
    column = target.get("ResTarget", {}).get("val", {}).get("ColumnRef", {})
    return [list(step) for step in column.get("fields", [])] == [["A_Star"]]
