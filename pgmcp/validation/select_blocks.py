"""Finds the SELECT blocks of a query: the tables of each, the columns it equates, and its aggregates.

This module looks only at syntax; `pgmcp.lookup.fan_out` judges the blocks by the keys in the catalog.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from pgmcp.errors import SqlRejectedError
from pgmcp.validation import bounds, grammar
from pgmcp.validation.grammar import Node
from pgmcp.validation.lexer import tokenize
from pgmcp.validation.written_query import WrittenQuery, slice_with_insertions


class ColumnName(NamedTuple):
    """A column as a query names it; the qualifier is "" if there is none."""

    qualifier: str
    name: str


class Source(NamedTuple):
    """An item of FROM.

    Attributes:
        alias: its alias or name.
        relation: the relation as written; "" for a subquery, function or WITH query, and for an item whose
            alias renames columns.
        derived: the block of a subquery or WITH query, if it returns each row of its own FROM; else None.
    """

    alias: str
    relation: str
    derived: "SelectBlock | None" = None


class Aggregate(NamedTuple):
    """A call of an aggregate over columns, without DISTINCT or OVER.

    Attributes:
        filter_sql: the condition of FILTER as written; "" if there is none.
    """

    function: str
    columns: tuple[ColumnName, ...]
    filter_sql: str = ""


class Expression(NamedTuple):
    """The columns of an expression; a plain one is a single column."""

    columns: tuple[ColumnName, ...]
    is_plain: bool


@dataclass(frozen=True, slots=True)
class SelectBlock:
    """One SELECT with FROM.

    Attributes:
        sources: in the order of FROM.
        equalities: pairs of columns that are equal in every row; None stands for a constant.
        natural_joins: pairs of aliases, to the left and to the right of a NATURAL JOIN.
        aggregates: the calls of aggregates in the select list, HAVING and ORDER BY.
        grouped: the items of GROUP BY.
        outputs: the select list's expressions by their names, which GROUP BY may use.
        stars: the qualifiers of each `*` in the select list; "" for a star without one.
        text: the whole query.
        with_end: where "WITH …" of the whole query ends; 0 if there is none.
        rows_span: where "FROM … WHERE …" begins and ends; None if it could not be found.
    """

    sources: tuple[Source, ...]
    equalities: tuple[tuple[ColumnName, ColumnName | None], ...]
    aggregates: tuple[Aggregate, ...]
    grouped: tuple[Expression, ...] = ()
    outputs: Mapping[str, Expression] = field(default_factory=dict)
    stars: tuple[str, ...] = ()
    natural_joins: tuple[tuple[str, str], ...] = ()
    text: str = ""
    with_end: int = 0
    rows_span: tuple[int, int] | None = None

    def with_sql(self, inserted: Mapping[int, str]) -> str:
        """Return "WITH …" of the whole query, with texts inserted at offsets of the query."""
        return slice_with_insertions(self.text, 0, self.with_end, inserted)

    def rows_sql(self, inserted: Mapping[int, str]) -> str:
        """Return "FROM … WHERE …", with texts inserted at offsets of the query."""
        begin, end = self.rows_span or (0, 0)
        return slice_with_insertions(self.text, begin, end, inserted).strip()


class _UnreadableError(Exception):
    """The form of a block is not supported."""


# The fields that a SELECT may have if it returns each row of its FROM and WHERE.
_PLAIN_SELECT: Final = frozenset(
    {"targetList", "fromClause", "whereClause", "sortClause", "limitOption", "op"}
)


def read_select_blocks(sql: str) -> list[SelectBlock]:
    """Return the blocks of a query that aggregate; blocks of unusual forms are left out."""
    try:
        text, _ = bounds.trim_and_bound(sql)
        statements = grammar.parse(text)
        tokens = list(tokenize(text))
    except SqlRejectedError:
        return []
    if len(statements) != 1 or statements[0].kind != "SelectStmt":
        return []
    root = statements[0].fields
    reader = _Reader(WrittenQuery(text, tokens, has_with="withClause" in root), _queries_of_with(root))
    blocks = []
    for select in _selects(root):
        try:
            block = reader.read(select)
        except _UnreadableError:
            continue
        if block.aggregates:
            blocks.append(block)
    return blocks


def _nodes(root: Any, *, into_subqueries: bool = True) -> Iterator[tuple[str, Node]]:
    """Yield every node below with its name, in the order of the tree."""
    pending: list[Any] = [root]
    while pending:
        value = pending.pop()
        if isinstance(value, list):
            pending.extend(reversed(value))
        elif isinstance(value, dict):
            below = [(name, each) for name, each in value.items() if into_subqueries or name != "subselect"]
            yield from ((name, each) for name, each in below if isinstance(each, dict))
            pending.extend(reversed([each for _, each in below]))


def _selects(root: Node) -> Iterator[Node]:
    if "fromClause" in root:
        yield root
    for name, fields in _nodes(root):
        if name in ("SelectStmt", "larg", "rarg") and "fromClause" in fields:
            yield fields


def _queries_of_with(root: Node) -> dict[str, Node]:
    """Return the queries of WITH by name.

    The value is {} for a query that is not a SELECT, renames its columns, or has a name that occurs twice.
    """
    queries: dict[str, Node] = {}
    for name, fields in _nodes(root):
        if name == "CommonTableExpr":
            is_plain = fields["ctename"] not in queries and "aliascolnames" not in fields
            queries[fields["ctename"]] = fields["ctequery"].get("SelectStmt", {}) if is_plain else {}
    return queries


class _Reader:
    """Reads the blocks of one query."""

    def __init__(self, written: WrittenQuery, queries: Mapping[str, Node]) -> None:
        self._written = written
        self._queries = queries

    def read(self, select: Node, *, is_derived: bool = False) -> SelectBlock:
        """Return one block.

        Args:
            select: the fields of the SELECT.
            is_derived: whether another block reads from this one. If so, its own subqueries are not read.
        """
        from_items = select["fromClause"]
        sources = tuple(
            source for item in from_items for source in self._sources(item, follow=not is_derived)
        )
        equalities = [pair for item in from_items for pair in self._equalities_of_join(item)]
        equalities.extend(_equalities(select.get("whereClause")))
        targets = [each["ResTarget"] for each in select.get("targetList", ())]
        computed = [select.get("targetList"), select.get("havingClause"), select.get("sortClause")]
        return SelectBlock(
            sources,
            tuple(equalities),
            tuple(dict.fromkeys(_aggregates(computed, self._written))),
            grouped=tuple(_grouped(item, targets) for item in select.get("groupClause", ())),
            outputs=_outputs(targets),
            stars=tuple(star for target in targets for star in _stars(target["val"])),
            natural_joins=tuple(pair for item in from_items for pair in self._natural_joins(item)),
            text=self._written.text,
            with_end=self._written.with_end,
            rows_span=self._written.rows_after(targets[0].get("location", 0)) if targets else None,
        )

    def _sources(self, item: Node, *, follow: bool = False) -> Iterator[Source]:
        match item:
            case {"RangeVar": table}:
                name, schema, alias = table["relname"], table.get("schemaname", ""), table.get("alias", {})
                is_query = name in self._queries and not schema
                relation = f"{schema}.{name}" if schema else name
                renames = "colnames" in alias
                derived = self._derived(self._queries[name]) if is_query and follow and not renames else None
                yield Source(alias.get("aliasname", name), "" if is_query or renames else relation, derived)
            case {"JoinExpr": join}:
                if "alias" in join:
                    raise _UnreadableError
                yield from self._sources(join["larg"], follow=follow)
                yield from self._sources(join["rarg"], follow=follow)
            case {"RangeSubselect": below}:
                alias = below.get("alias", {})
                query = below["subquery"].get("SelectStmt", {})
                is_read = follow and "lateral" not in below and "colnames" not in alias
                yield Source(alias.get("aliasname", ""), "", self._derived(query) if is_read else None)
            case {"RangeFunction": below} | {"RangeTableFunc": below}:
                yield Source(below.get("alias", {}).get("aliasname", ""), "")
            case _:
                raise _UnreadableError

    def _derived(self, select: Node) -> SelectBlock | None:
        """Return the block of a SELECT that returns each row of its FROM and WHERE; None for any other."""
        if not select.keys() <= _PLAIN_SELECT or "fromClause" not in select:
            return None
        if select.get("op") != "SETOP_NONE" or select.get("limitOption") != "LIMIT_OPTION_DEFAULT":
            return None
        try:
            block = self.read(select, is_derived=True)
        except _UnreadableError:
            return None
        return block if block.rows_span and not block.aggregates else None

    def _equalities_of_join(self, item: Node) -> Iterator[tuple[ColumnName, ColumnName | None]]:
        if "JoinExpr" not in item:
            return
        join = item["JoinExpr"]
        yield from self._equalities_of_join(join["larg"])
        yield from self._equalities_of_join(join["rarg"])
        yield from _equalities(join.get("quals"))
        for used in join.get("usingClause", ()):
            name = used["String"]["sval"]
            for one, other in self._sides(join):
                yield ColumnName(one, name), ColumnName(other, name)

    def _natural_joins(self, item: Node) -> Iterator[tuple[str, str]]:
        if "JoinExpr" not in item:
            return
        join = item["JoinExpr"]
        yield from self._natural_joins(join["larg"])
        yield from self._natural_joins(join["rarg"])
        if join.get("isNatural"):
            yield from self._sides(join)

    def _sides(self, join: Node) -> Iterator[tuple[str, str]]:
        for one in self._sources(join["larg"]):
            for other in self._sources(join["rarg"]):
                yield one.alias, other.alias


def _equalities(condition: Any) -> Iterator[tuple[ColumnName, ColumnName | None]]:
    match condition:
        case {"BoolExpr": {"boolop": "AND_EXPR", "args": parts}}:
            for part in parts:
                yield from _equalities(part)
        case {
            "A_Expr": {"kind": "AEXPR_OP", "name": [{"String": {"sval": "="}}], "lexpr": one, "rexpr": other}
        }:
            for side, opposite in ((one, other), (other, one)):
                column = _column(side)
                if column is not None and (_column(opposite) or _is_constant(opposite)):
                    yield column, _column(opposite)


def _column(node: Any) -> ColumnName | None:
    match node:
        case {"ColumnRef": {"fields": [{"String": {"sval": name}}]}}:
            return ColumnName("", name)
        case {"ColumnRef": {"fields": [*_, {"String": {"sval": qualifier}}, {"String": {"sval": name}}]}}:
            return ColumnName(qualifier, name)
        case _:
            return None


def _is_constant(node: Any) -> bool:
    match node:
        case {"TypeCast": {"arg": below}}:
            return _is_constant(below)
        case {"A_Const": _} | {"ParamRef": _}:
            return True
        case _:
            return False


def _aggregates(computed: list[Any], written: WrittenQuery) -> Iterator[Aggregate]:
    for name, fields in _nodes(computed, into_subqueries=False):
        if name != "FuncCall" or fields.keys() & {"agg_distinct", "over", "agg_star"}:
            continue
        aggregated = fields.get("agg_order") if fields.get("agg_within_group") else fields.get("args")
        columns = _expression(aggregated).columns
        if columns:
            filter_sql = written.filter_of(fields.get("location", 0)) if "agg_filter" in fields else ""
            yield Aggregate(fields["funcname"][-1]["String"]["sval"], columns, filter_sql)


def _outputs(targets: Sequence[Node]) -> dict[str, Expression]:
    """Return the expressions of a select list by their names."""
    outputs: dict[str, Expression] = {}
    for target in targets:
        column = _column(target["val"])
        name = target.get("name") or (column.name if column else "")
        if name:
            outputs[name] = _expression(target["val"])
    return outputs


def _stars(target: Node) -> Iterator[str]:
    match target:
        case {"ColumnRef": {"fields": [{"A_Star": _}]}}:
            yield ""
        case {"ColumnRef": {"fields": [*_, {"String": {"sval": qualifier}}, {"A_Star": _}]}}:
            yield qualifier


def _expression(node: Any) -> Expression:
    found = [_column({"ColumnRef": fields}) for name, fields in _nodes(node) if name == "ColumnRef"]
    columns = tuple(dict.fromkeys(column for column in found if column is not None))
    return Expression(columns, is_plain=_column(node) is not None)


def _grouped(item: Node, targets: Sequence[Node]) -> Expression:
    match item:
        case {"A_Const": {"ival": {"ival": int(number)}}} if 1 <= number <= len(targets):
            return _expression(targets[number - 1]["val"])
        case {"GroupingSet": _} | {"A_Const": _}:
            raise _UnreadableError
        case _:
            return _expression(item)
