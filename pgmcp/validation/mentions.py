"""What a query names and compares: relations under their aliases, and texts that columns are held against.

Nothing is decided here; it serves those who explain why a query failed or found nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pgmcp.errors import SqlRejectedError
from pgmcp.validation import bounds, grammar
from pgmcp.validation.grammar import Node

_EQUALITY_KINDS = frozenset({"AEXPR_OP", "AEXPR_IN", "AEXPR_OP_ANY"})
_LIKE_KINDS = frozenset({"AEXPR_LIKE", "AEXPR_ILIKE"})
_CASE_FUNCTIONS = frozenset({"lower", "upper"})
_FOLDING_FUNCTIONS = _CASE_FUNCTIONS | {"btrim"}
_STATEMENTS_UNLIKE_PROSE = frozenset(
    {"ExplainStmt", "InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt", "DropStmt", "CreateStmt"}
)
_OPAQUE_NODES = frozenset({"ColumnRef", "subselect"})


@dataclass(frozen=True, slots=True)
class TextComparison:
    """One `column = 'text'`, `column IN ('text', …)` or `column LIKE 'text%'`, as written.

    Attributes:
        qualifier: the table or alias before the column; "" if there is none.
        text: what the column is held against; a pattern is without its % at the ends.
        is_pattern: the text may stand anywhere in the value.
        ignores_case: as ILIKE does.
        case_function: "lower" or "upper" where the column is in one of these; "" if not.
    """

    qualifier: str
    column: str
    text: str
    is_pattern: bool = False
    ignores_case: bool = False
    case_function: str = ""


@dataclass(frozen=True, slots=True)
class Mentions:
    """What a query names.

    Attributes:
        relations: (alias or name, relation as `table` or `schema.table`), in the order of the tree, without
            the names of its own WITH.
        comparisons: likewise, without those of other kinds than the ones above.
    """

    relations: tuple[tuple[str, str], ...] = ()
    comparisons: tuple[TextComparison, ...] = ()

    def relations_of(self, qualifier: str) -> list[str]:
        """Return the relations a column with this qualifier can belong to; "" means all."""
        return [name for alias, name in self.relations if qualifier in ("", alias)]


def read_mentions(sql: str) -> Mentions:
    """Return what a query names; nothing for a text that is no query."""
    try:
        text, _ = bounds.trim_and_bound(sql)
        statements = grammar.parse(text)
    except SqlRejectedError:
        return Mentions()
    nodes = [node for statement in statements for node in _walk(statement.fields)]
    with_names = {fields["ctename"] for name, fields in nodes if name == "CommonTableExpr"}
    relations = (_relation(fields) for name, fields in nodes if name == "RangeVar")
    return Mentions(
        tuple(relation for relation in relations if relation[1] not in with_names),
        tuple(found for name, fields in nodes if name == "A_Expr" for found in _comparisons(fields)),
    )


def _walk(root: Node) -> Iterator[tuple[str, Node]]:
    """Give every node under its name, in the order of the tree."""
    pending: list[Any] = [root]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            yield from ((name, below) for name, below in value.items() if isinstance(below, dict))
            pending.extend(reversed(value.values()))
        elif isinstance(value, list):
            pending.extend(reversed(value))


def _relation(fields: Node) -> tuple[str, str]:
    name, schema = fields["relname"], fields.get("schemaname", "")
    alias = fields.get("alias", {}).get("aliasname", name)
    return alias, f"{schema}.{name}" if schema else name


def _comparisons(fields: Node) -> Iterator[TextComparison]:
    is_pattern = fields.get("kind") in _LIKE_KINDS
    operator = fields["name"][-1]["String"]["sval"]
    if not is_pattern and (fields.get("kind") not in _EQUALITY_KINDS or operator != "="):
        return
    if is_pattern and operator.startswith("!"):
        return
    for one, other in (("lexpr", "rexpr"), ("rexpr", "lexpr")):
        column = _column(fields.get(one, {}))
        if column is not None:
            qualifier, name, case_function = column
            for text in _texts(fields.get(other, {})):
                yield TextComparison(
                    qualifier,
                    name,
                    text.strip("%") if is_pattern else text,
                    is_pattern,
                    ignores_case=operator == "~~*",
                    case_function=case_function,
                )


def _column(node: Node) -> tuple[str, str, str] | None:
    """Return qualifier and name of a column, below a cast or not, and the function that changes its case."""
    match node:
        case {"TypeCast": {"arg": below}}:
            return _column(below)
        case {"FuncCall": {"funcname": [*_, {"String": {"sval": name}}], "args": [below]}}:
            column = _column(below) if name in _FOLDING_FUNCTIONS else None
            return column and (*column[:2], name if name in _CASE_FUNCTIONS else column[2])
        case {"ColumnRef": {"fields": [*qualifiers, {"String": {"sval": name}}]}}:
            return qualifiers[-1]["String"]["sval"] if qualifiers else "", name, ""
        case _:
            return None


def _texts(node: Node) -> Iterator[str]:
    match node:
        case {"TypeCast": {"arg": below}}:
            yield from _texts(below)
        case {"A_Const": {"sval": {"sval": text}}}:
            yield text
        case {"List": {"items": items}} | {"A_ArrayExpr": {"elements": items}}:
            for item in items:
                yield from _texts(item)
        case {"FuncCall": {"funcname": [*_, {"String": {"sval": "lower"}}], "args": [below]}}:
            yield from (text.lower() for text in _texts(below))
        case {"FuncCall": {"funcname": [*_, {"String": {"sval": "upper"}}], "args": [below]}}:
            yield from (text.upper() for text in _texts(below))
        case _:
            return


def is_one_statement(text: str) -> bool:
    """Return whether PostgreSQL's grammar reads the text as exactly one statement, and prose as none.

    The grammar also reads "Show me", "Begin" and "Select rows": a command without a semicolon counts as
    prose, and so does a SELECT of bare columns without FROM.
    """
    try:
        sql, _ = bounds.trim_and_bound(text)
        statements = grammar.parse(sql)
    except SqlRejectedError:
        return False
    if len(statements) != 1:
        return False
    kind, fields, _ = statements[0]
    if kind == "SelectStmt":
        return not _selects_only_words(fields)
    return kind in _STATEMENTS_UNLIKE_PROSE or text.rstrip().endswith(";")


def _selects_only_words(select: Node) -> bool:
    if any(select.get(part) for part in ("fromClause", "valuesLists", "larg", "withClause")):
        return False
    return all("ColumnRef" in each["ResTarget"].get("val", {}) for each in select.get("targetList", ()))


@dataclass(frozen=True, slots=True)
class ConditionNames:
    """What a condition names, as PostgreSQL folds it; each column as its parts.

    Attributes:
        columns: those outside subqueries, which belong to the tables that the condition is for.
        inner_columns: those inside subqueries, which may belong to any table.
        inner_relations: (alias or name, relation) in subqueries, without the names of their own WITH.
        made_names: names that subqueries give to columns and to FROM items of their own.
    """

    columns: tuple[tuple[str, ...], ...] = ()
    inner_columns: tuple[tuple[str, ...], ...] = ()
    inner_relations: tuple[tuple[str, str], ...] = ()
    made_names: frozenset[str] = frozenset()


def names_of_condition(condition: str) -> ConditionNames:
    """Return what a condition names; nothing for a text that is no condition."""
    try:
        text, _ = bounds.trim_and_bound(f"SELECT FROM a WHERE ({condition}\n)")
        statements = grammar.parse(text)
    except SqlRejectedError:
        return ConditionNames()
    if len(statements) != 1:
        return ConditionNames()
    root = statements[0].fields.get("whereClause")
    columns = tuple(_columns_outside_subqueries(root))
    nodes = list(_walk({"root": root}))
    found = (_column_parts(fields) for name, fields in nodes if name == "ColumnRef")
    with_names = {fields["ctename"] for name, fields in nodes if name == "CommonTableExpr"}
    relations = (_relation(fields) for name, fields in nodes if name == "RangeVar")
    made = (fields.get("name") for name, fields in nodes if name == "ResTarget")
    aliases = (fields.get("aliasname") for name, fields in nodes if name in ("alias", "Alias"))
    listed = (
        each for name, fields in nodes if name in ("alias", "Alias") for each in _strings(fields, "colnames")
    )
    return ConditionNames(
        columns,
        tuple(parts for parts in dict.fromkeys(found) if parts and parts not in columns),
        tuple(relation for relation in relations if relation[1] not in with_names),
        frozenset(filter(None, (*made, *aliases, *listed, *with_names))),
    )


def _strings(fields: Node, name: str) -> Iterator[str]:
    return (each["String"]["sval"] for each in fields.get(name, ()))


def _column_parts(fields: Node) -> tuple[str, ...]:
    return tuple(part["String"]["sval"] for part in fields["fields"] if "String" in part)


def _columns_outside_subqueries(root: Any) -> Iterator[tuple[str, ...]]:
    pending: list[Any] = [root]
    while pending:
        value = pending.pop()
        if isinstance(value, list):
            pending.extend(reversed(value))
        elif isinstance(value, dict):
            if fields := value.get("ColumnRef"):
                yield _column_parts(fields)
            pending.extend(reversed([each for name, each in value.items() if name not in _OPAQUE_NODES]))
