"""The SELECT blocks of a query: what each reads, which columns it equates, and what it aggregates.

This module looks only at syntax; `pgmcp.lookup.fan_out` judges the blocks by the keys in the catalog.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from pgmcp.errors import SqlRejectedError
from pgmcp.validation import bounds, grammar
from pgmcp.validation.grammar import Node
from pgmcp.validation.lexer import Token, TokenKind, tokenize

# Words that end FROM and WHERE. All are reserved, so only a name after a dot can be spelled like them.
_AFTER_ROWS: Final = frozenset(
    {"group", "having", "window", "order", "limit", "offset", "fetch", "for", "union", "intersect", "except"}
)


class ColumnName(NamedTuple):
    """A column as a query names it; the qualifier is "" if there is none."""

    qualifier: str
    name: str


class Source(NamedTuple):
    """An item of FROM; the relation is "" for a subquery, a function or a query of WITH."""

    alias: str
    relation: str


class Aggregate(NamedTuple):
    """A call of an aggregate over columns, without DISTINCT, FILTER or OVER."""

    function: str
    columns: tuple[ColumnName, ...]


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
        aggregates: of the select list, HAVING and ORDER BY.
        grouped: the items of GROUP BY.
        outputs: the select list's expressions by their names, which GROUP BY may use.
        rows_sql: "FROM … WHERE …" as written; "" if it could not be found.
        with_sql: "WITH …" of the whole query; "" if there is none.
    """

    sources: tuple[Source, ...]
    equalities: tuple[tuple[ColumnName, ColumnName | None], ...]
    aggregates: tuple[Aggregate, ...]
    grouped: tuple[Expression, ...] = ()
    outputs: Mapping[str, Expression] = field(default_factory=dict)
    rows_sql: str = ""
    with_sql: str = ""


class _UnreadableError(Exception):
    """The form of a block is not supported."""


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
    with_names = {fields["ctename"] for name, fields in _nodes(root) if name == "CommonTableExpr"}
    written = _WrittenText(text, tokens, has_with="withClause" in root)
    blocks = []
    for select in _selects(root):
        try:
            block = _read_block(select, with_names, written)
        except _UnreadableError:
            continue
        if block.aggregates:
            blocks.append(block)
    return blocks


class _WrittenText:
    """The query's text, to cut parts out as they are written."""

    def __init__(self, text: str, tokens: Sequence[Token], *, has_with: bool) -> None:
        self._text = text
        self._tokens = tokens
        self.with_sql = self._find_with() if has_with else ""

    def rows_of(self, byte_offset: int) -> str:
        """Return "FROM … WHERE …" of the block that has a relation at this place directly in its FROM."""
        start = grammar.character_offset(self._text, byte_offset)
        place = next((number for number, token in enumerate(self._tokens) if token.start >= start), 0)
        begin = self._begin_of_rows(place)
        if begin is None:
            return ""
        end = self._end_of_rows(begin)
        return self._text[self._tokens[begin].start : end].strip()

    def _find_with(self) -> str:
        depth = 0
        for token in self._tokens:
            depth += _depth_change(token)
            if depth == 0 and _word(token) == "select":
                return self._text[: token.start]
        return ""

    def _begin_of_rows(self, place: int) -> int | None:
        depth = 0
        for number in range(place, -1, -1):
            token = self._tokens[number]
            # Brackets around joins are ignored, and so are their closing brackets.
            depth = max(0, depth - _depth_change(token))
            if depth == 0 and _word(token) == "from" and not self._is_distinct_from(number):
                return number
        return None

    def _is_distinct_from(self, number: int) -> bool:
        before = [_word(token) for token in self._tokens[max(0, number - 2) : number]]
        return before[-1:] == ["distinct"] and before[:1] in (["is"], ["not"])

    def _end_of_rows(self, begin: int) -> int:
        depth = 0
        for number in range(begin + 1, len(self._tokens)):
            token = self._tokens[number]
            depth += _depth_change(token)
            is_name = self._tokens[number - 1].text == "."
            if depth < 0 or (depth == 0 and _word(token) in _AFTER_ROWS and not is_name):
                return token.start
        return len(self._text)


def _word(token: Token) -> str:
    return token.text.lower() if token.kind is TokenKind.WORD else ""


def _depth_change(token: Token) -> int:
    if token.kind is not TokenKind.PUNCTUATION:
        return 0
    return (token.text == "(") - (token.text == ")")


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


def _read_block(select: Node, with_names: set[str], written: _WrittenText) -> SelectBlock:
    from_items = select["fromClause"]
    sources = tuple(source for item in from_items for source in _sources(item, with_names))
    equalities = [pair for item in from_items for pair in _equalities_of_join(item, with_names)]
    equalities.extend(_equalities(select.get("whereClause")))
    targets = [each["ResTarget"] for each in select.get("targetList", ())]
    outputs = {target["name"]: _expression(target["val"]) for target in targets if "name" in target}
    computed = [select.get("targetList"), select.get("havingClause"), select.get("sortClause")]
    first = next((place for item in from_items for place in _places(item)), None)
    return SelectBlock(
        sources,
        tuple(equalities),
        tuple(dict.fromkeys(_aggregates(computed))),
        tuple(_grouped(item, targets) for item in select.get("groupClause", ())),
        outputs,
        "" if first is None else written.rows_of(first),
        written.with_sql,
    )


def _sources(item: Node, with_names: set[str]) -> Iterator[Source]:
    match item:
        case {"RangeVar": table}:
            name, schema, alias = table["relname"], table.get("schemaname", ""), table.get("alias", {})
            is_table = not (name in with_names and not schema) and "colnames" not in alias
            relation = f"{schema}.{name}" if schema else name
            yield Source(alias.get("aliasname", name), relation if is_table else "")
        case {"JoinExpr": join}:
            if join.get("isNatural") or "alias" in join:
                raise _UnreadableError
            yield from _sources(join["larg"], with_names)
            yield from _sources(join["rarg"], with_names)
        case {"RangeSubselect": derived} | {"RangeFunction": derived} | {"RangeTableFunc": derived}:
            yield Source(derived.get("alias", {}).get("aliasname", ""), "")
        case _:
            raise _UnreadableError


def _places(item: Node) -> Iterator[int]:
    """Yield the byte offsets of the relations that are named directly in an item of FROM."""
    match item:
        case {"RangeVar": fields}:
            yield fields.get("location", 0)
        case {"JoinExpr": {"larg": left, "rarg": right}}:
            yield from _places(left)
            yield from _places(right)


def _equalities_of_join(item: Node, with_names: set[str]) -> Iterator[tuple[ColumnName, ColumnName | None]]:
    if "JoinExpr" not in item:
        return
    join = item["JoinExpr"]
    yield from _equalities_of_join(join["larg"], with_names)
    yield from _equalities_of_join(join["rarg"], with_names)
    yield from _equalities(join.get("quals"))
    for used in join.get("usingClause", ()):
        name = used["String"]["sval"]
        for one in _sources(join["larg"], with_names):
            for other in _sources(join["rarg"], with_names):
                yield ColumnName(one.alias, name), ColumnName(other.alias, name)


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


def _aggregates(computed: list[Any]) -> Iterator[Aggregate]:
    for name, fields in _nodes(computed, into_subqueries=False):
        if name != "FuncCall" or fields.keys() & {"agg_distinct", "agg_filter", "over", "agg_star"}:
            continue
        aggregated = fields.get("agg_order") if fields.get("agg_within_group") else fields.get("args")
        columns = _expression(aggregated).columns
        if columns:
            yield Aggregate(fields["funcname"][-1]["String"]["sval"], columns)


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
