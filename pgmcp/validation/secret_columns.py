"""Guards the catalogs with columns that contain passwords or samples of them.

PostgreSQL hides these columns from most roles, but not from superusers (manual, chapter "System Catalogs").
In `pg_subscription`, the privileges on the columns hide them. `pg_user_mappings`, `pg_stat_wal_receiver` and
`information_schema.user_mapping_options` decide for each row what a role may see. So do `pg_stats` and
similar views. They contain samples of a table's rows, and thus password hashes if `pg_authid` is analyzed.

A statement may name every other column of such a catalog. It may not contain anything that returns whole
rows: stars, the relation's name as a value, functions called as `row.function`, new names for its columns,
NATURAL joins. If a condition excludes the tables with secrets, all columns of `pg_stats` may be read.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from pgmcp.validation.grammar import Node, name_of, parse_body
from pgmcp.validation.sample_conditions import name_in_scope, relations_without_secrets, walk

_SYSTEM_COLUMNS: Final = frozenset({"oid", "tableoid", "ctid", "xmin", "xmax", "cmin", "cmax"})


@dataclass(frozen=True, slots=True)
class _SecretCatalog:
    """A catalog with secret columns, and the other columns that PostgreSQL 13 to 18 gives it.

    Attributes:
        columns: the secret columns.
        others: the other columns.
        shows_samples: whether each of its rows has statistics of a table, and names that table.
    """

    columns: frozenset[str]
    others: frozenset[str]
    shows_samples: bool = False


def _guarded(column: str, others: str) -> _SecretCatalog:
    return _SecretCatalog(frozenset({column}), _SYSTEM_COLUMNS.union(others.split()))


def _samples(others: str) -> _SecretCatalog:
    columns = frozenset({"most_common_vals", "histogram_bounds", "most_common_elems"})
    return _SecretCatalog(columns, frozenset(others.split()), shows_samples=True)


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
    ("pg_catalog", "pg_stats"): _samples(
        "schemaname tablename attname inherited null_frac avg_width n_distinct most_common_freqs correlation "
        "most_common_elem_freqs elem_count_histogram range_length_histogram range_empty_frac "
        "range_bounds_histogram"
    ),
    ("pg_catalog", "pg_stats_ext"): _samples(
        "schemaname tablename statistics_schemaname statistics_name statistics_owner attnames exprs kinds "
        "inherited n_distinct dependencies most_common_val_nulls most_common_freqs most_common_base_freqs"
    ),
    ("pg_catalog", "pg_stats_ext_exprs"): _samples(
        "schemaname tablename statistics_schemaname statistics_name statistics_owner expr inherited "
        "null_frac avg_width n_distinct most_common_freqs correlation most_common_elem_freqs "
        "elem_count_histogram range_length_histogram range_empty_frac range_bounds_histogram"
    ),
}

SECRET_COLUMNS: Final = tuple(
    (schema, name, column)
    for (schema, name), guarded in _GUARDED.items()
    for column in sorted(guarded.columns)
)
"""Schema, relation and column of each secret column."""


class SecretUse(NamedTuple):
    """A place where a statement shows or may show a secret column.

    Attributes:
        relation: the name of the catalog.
        column: the secret column, or the first of several.
        offending: the text that shows or may show it: the column's name, a star, a kind of join.
        fields: the node of the place.
        shows_samples: whether a condition on the tables would allow the use.
    """

    relation: str
    column: str
    offending: str
    fields: Node
    shows_samples: bool


def has_secret_column(schema: str, name: str) -> bool:
    """Return whether only some columns of a relation are secret; "" as the schema counts as pg_catalog."""
    return (schema or "pg_catalog", name) in _GUARDED


def find_secret_use(
    root: Node, relations: list[Node], *, trusts_conditions: bool, trusts_type_names: bool = False
) -> SecretUse | None:
    """Return the first place where a statement shows or may show a secret column.

    Args:
        root: the tree of the statement.
        relations: the RangeVar nodes in it for which `has_secret_column` holds. WITH queries of the same
            name must not be among them.
        trusts_conditions: whether names are compared by PostgreSQL's own operators, so that a condition can
            leave out the tables with secrets.
        trusts_type_names: whether `text` without a schema is PostgreSQL's own type.
    """
    samples = {id(each) for each in relations if _of(each).shows_samples}
    harmless = relations_without_secrets(root, trusts_type_names) if samples and trusts_conditions else set()
    left = [each for each in relations if id(each) not in samples & harmless]
    return _Search(left).run(root) if left else None


def text_may_use_secrets(sql: str, *, if_unreadable: bool, trusts_conditions: bool) -> bool:
    """Return whether statements in a text may show a secret column.

    The name of a WITH query counts as the catalog of that name.

    Args:
        sql: the text.
        if_unreadable: the result for a text that is not SQL.
        trusts_conditions: as in `find_secret_use`.
    """
    roots = parse_body(sql)
    return (
        if_unreadable if roots is None else any(_may_use_secrets(root, trusts_conditions) for root in roots)
    )


def may_have_secret_column(name: str) -> bool:
    """Return whether `has_secret_column` holds for a name in any of the system schemas."""
    return any(name == guarded for _, guarded in _GUARDED)


def _may_use_secrets(root: Node, trusts_conditions: bool) -> bool:
    relations = [each for each in walk(root) if may_have_secret_column(each.get("relname", ""))]
    # A search path can contain information_schema, so a name without a schema may be a view of it.
    if any("schemaname" not in each and not has_secret_column("", each["relname"]) for each in relations):
        return True
    guarded = [each for each in relations if has_secret_column(each.get("schemaname", ""), each["relname"])]
    return find_secret_use(root, guarded, trusts_conditions=trusts_conditions) is not None


class _Search:
    """Searches one tree for uses of secret columns. A name counts in the whole statement, not by scope."""

    def __init__(self, relations: list[Node]) -> None:
        self._guarded_by_id = {id(each): _of(each) for each in relations}
        self._relation_by_column = {column: each for each in relations for column in _of(each).columns}
        self._relations_by_name: dict[str, list[Node]] = {}
        for each in relations:
            self._relations_by_name.setdefault(name_in_scope(each), []).append(each)

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
        """Yield the uses that one node shows by itself."""
        yield from self._columns(fields.get("fields", []), fields)
        for name in map(name_of, [*fields.get("indirection", []), *fields.get("usingClause", [])]):
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
        """Yield the secrets that a column reference shows: by name, as a whole row or through a function."""
        if not names:
            return
        column = name_of(names[-1])
        if column in self._relation_by_column:
            yield _use(self._relation_by_column[column], column, fields)
        if len(names) == 1:
            yield from (_use(each, column, fields) for each in self._relations_by_name.get(column, ()))
            return
        for relation in self._relations_by_name.get(name_of(names[-2]), ()):
            if column not in _of(relation).others:
                yield _use(relation, f"{name_of(names[-2])}.{column or '*'}", fields)

    def _inside(self, item: Node) -> Iterator[Node]:
        """Yield the guarded relations whose columns are columns of an item of FROM."""
        ((kind, fields),) = item.items()
        if kind == "RangeVar" and id(fields) in self._guarded_by_id:
            yield fields
        elif kind == "JoinExpr":
            yield from self._inside(fields["larg"])
            yield from self._inside(fields["rarg"])
        elif kind == "RangeTableSample":
            yield from self._inside(fields["relation"])


def _of(relation: Node) -> _SecretCatalog:
    return _GUARDED[relation.get("schemaname", "pg_catalog"), relation["relname"]]


def _use(relation: Node, offending: str, fields: Node) -> SecretUse:
    columns = _of(relation).columns
    column = offending if offending in columns else min(columns)
    return SecretUse(relation["relname"], column, offending, fields, _of(relation).shows_samples)


def _is_bare_star(target: Node) -> bool:
    column = target.get("ResTarget", {}).get("val", {}).get("ColumnRef", {})
    return [list(step) for step in column.get("fields", [])] == [["A_Star"]]
