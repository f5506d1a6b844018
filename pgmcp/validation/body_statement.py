"""Finds the calls, operators, types and relations in one statement of a function's body."""

from collections.abc import Iterator, Set
from typing import Any, Final, NamedTuple

from pgmcp.validation.explicit_casts import is_untyped_literal
from pgmcp.validation.functions_in_from import unnests_of_several
from pgmcp.validation.grammar import Node, name_of, strings
from pgmcp.validation.operands import (
    Operands,
    operand_pairs,
    operands_of_case,
    operands_of_in,
    operands_of_sort,
    sort_items,
    written_operands,
)
from pgmcp.validation.scopes import with_references

MAKES_ROWS: Final = frozenset(
    {"json_populate_record", "json_populate_recordset", "jsonb_populate_record", "jsonb_populate_recordset"}
    | {"jsonb_populate_record_valid", "populate_record"}
)
"""Functions that create rows of the type of their first argument."""

TAKES_TYPE_AS_TEXT: Final = frozenset({"pg_input_is_valid", "pg_input_error_info"})
"""Functions that take the name of a type as text, and create a value of that type.

The text is their second argument.
"""

CALLS_BY_JSON_NODE: Final = {
    "JsonArrayAgg": "json_arrayagg",
    "JsonArrayConstructor": "json_array",
    "JsonArrayQueryConstructor": "json_array",
    "JsonFuncExpr": "",
    "JsonObjectAgg": "json_objectagg",
    "JsonObjectConstructor": "json_object",
    "JsonParseExpr": "json",
    "JsonScalarExpr": "json_scalar",
    "JsonSerializeExpr": "json_serialize",
}
"""Maps each parse node of JSON syntax to the function that an older server calls for the same text.

PostgreSQL 16 and 17 introduced the syntax. An older server reads `json_array(a)` as a call of a function.
The name is "" if it depends on the node's fields.
"""

_CALLS_BY_JSON_OP: Final = {
    "JSON_EXISTS_OP": "json_exists",
    "JSON_QUERY_OP": "json_query",
    "JSON_VALUE_OP": "json_value",
}
_BETWEEN_OPERATORS: Final = ("<", "<=", ">", ">=")
_MAKES_ROWS_BY_OPERATOR: Final = "#="  # hstore's populate_record()

_ROWS_IN_FROM: Final = frozenset({"RangeVar", "RangeSubselect", "JoinExpr"})
_IMPLYING_EXPRESSIONS: Final = frozenset({"AEXPR_DISTINCT", "AEXPR_NOT_DISTINCT", "AEXPR_NULLIF", "AEXPR_IN"})
_KINDS_IN_FROM: Final = _ROWS_IN_FROM | {"RangeFunction", "RangeTableFunc", "JsonTable"}


def written_type(call: Node) -> str:
    """Return the text with which a call of `TAKES_TYPE_AS_TEXT` names a type; "" if it may name any type.

    The text counts only if it is written in full, because a cast may change it. The server reads names in it
    as in a statement, so Unicode escapes and doubled quotation marks may hide a name.
    """
    match call.get("args", []):
        case [_, {"A_Const": {"sval": {"sval": text}}}]:
            return "" if '""' in text or 'u&"' in text.lower() else str(text)
        case _:
            return ""


def call_on_older_servers(kind: str, fields: Node) -> str:
    """Return the function that older servers call for JSON syntax; "" for other nodes."""
    name = CALLS_BY_JSON_NODE.get(kind, "")
    if kind == "JsonFuncExpr":
        return _CALLS_BY_JSON_OP.get(fields["op"], "")
    is_old_notation = "funcname" in fields and strings(fields["funcname"]) == ["pg_catalog", "json_object"]
    return "json_object" if is_old_notation else name


class OperatorUse(NamedTuple):
    """An operator that a statement contains or implies.

    Attributes:
        schema: as written; "" without one.
        operands: None if they are not known.
        join: the join whose USING or NATURAL implies the operator; None for other operators.
        is_implied: whether the statement only implies it, as IN and IS DISTINCT FROM imply `=`.
    """

    schema: str
    symbol: str
    operands: Operands | None
    join: Node | None = None
    is_implied: bool = True


class BodyStatement:
    """The names in the tree of one statement.

    Attributes:
        root: the tree.
        calls: the FuncCalls in the tree.
        cast_types: last names of the types to which CAST or `::` casts.
        converted_types: the `cast_types` to which it casts a value other than an untyped literal.
        other_types: last names of types in other places.
        call_names: last names of the functions that it calls; each can also be the name of a type.
        columns: qualifier and name of each `qualifier.name`.
        rows: names or aliases of the relations, subqueries and joins in FROM, without names that a function
            in FROM also has.
        stars: the qualifiers of `qualifier.*`.
        fields: names after values, as in `(value).name`.
        indirections: each value that has names or subscripts after it, with these names and subscripts.
        relations: schema and name of each relation that is not a WITH query; "" without a schema.
        makes_any_type: whether it makes values of types that it does not name.
        type_texts: for each call of `TAKES_TYPE_AS_TEXT`, the text that names the type; "" for any type.
        json_calls: the functions that older servers call for its JSON syntax.
    """

    def __init__(self, root: Node) -> None:
        self.root = root
        self.calls: list[Node] = []
        self.cast_types: set[str] = set()
        self.converted_types: set[str] = set()
        self.other_types: set[str] = set()
        self.call_names: set[str] = set()
        self.columns: set[tuple[str, str]] = set()
        self.stars: set[str] = set()
        self.fields: set[str] = set()
        self.indirections: list[tuple[Node, list[Node]]] = []
        self.relations: list[tuple[str, str]] = []
        self.makes_any_type = False
        self.type_texts: set[str] = set()
        self.json_calls: set[str] = set()
        self._operators: list[OperatorUse] = []
        self._with_references: Set[int] = with_references(root)
        self._types_of_casts: set[int] = set()
        self._rows: set[str] = set()
        self._values: set[str] = set()
        self._sorted: dict[int, Node] = {}  # the queries that items of ORDER BY sort, by their id()
        self._built_in_calls: set[int] = set()  # id() of calls that can only mean PostgreSQL's own unnest()
        for kind, fields in _nodes(root):
            self._note(kind, fields)
        self.rows = frozenset(self._rows - self._values)

    @property
    def operators(self) -> Iterator[OperatorUse]:
        """Yield its operators, including those that CASE, IN, BETWEEN and joins imply."""
        yield from self._operators

    def _note(self, kind: str, fields: Node) -> None:
        if "relname" in fields and id(fields) not in self._with_references:
            self.relations.append((fields.get("schemaname", ""), fields["relname"]))
        if name := call_on_older_servers(kind, fields):
            self.json_calls.add(name)
        if "funcname" in fields and id(fields) not in self._built_in_calls:
            self._note_call(fields)
        if "typeName" in fields and kind == "TypeCast":
            self._types_of_casts.add(id(fields["typeName"]))
            if not is_untyped_literal(fields["arg"]):
                self.converted_types.add(strings(fields["typeName"]["names"])[-1])
        if "names" in fields:
            name = strings(fields["names"])[-1]
            (self.cast_types if id(fields) in self._types_of_casts else self.other_types).add(name)
        if kind in _KINDS_IN_FROM:
            self._note_item_in_from(kind, fields)
        self._note_names_behind_values(fields)
        self._sorted.update((id(item), fields) for item in sort_items(fields))
        self._operators += _operators_of(kind, fields, self._sorted.get(id(fields)))

    def _note_call(self, call: Node) -> None:
        name = strings(call["funcname"])[-1]
        self.calls.append(call)
        self.call_names.add(name)
        arguments = call.get("args", [])
        if name in TAKES_TYPE_AS_TEXT:
            self.type_texts.add(written_type(call))
        if name in MAKES_ROWS and not (arguments and "TypeCast" in arguments[0]):
            self.makes_any_type = True

    def _note_item_in_from(self, kind: str, fields: Node) -> None:
        names = self._rows if kind in _ROWS_IN_FROM else self._values
        if kind == "RangeFunction":
            self._built_in_calls.update(map(id, unnests_of_several(fields)))
        if "alias" in fields:
            names.add(fields["alias"]["aliasname"])
        elif "relname" in fields:
            names.add(fields["relname"])
        else:  # the server names it after its function, which can be any of the calls in it
            names.update(strings(call["funcname"])[-1] for _, call in _nodes(fields) if "funcname" in call)

    def _note_names_behind_values(self, fields: Node) -> None:
        steps = fields.get("fields", ())
        if len(steps) > 1:
            name = name_of(steps[-1])
            (self.columns.add((name_of(steps[-2]), name)) if name else self.stars.add(name_of(steps[-2])))
        if isinstance(fields.get("arg"), dict) and "indirection" in fields:  # not the target of an INSERT
            self.indirections.append((fields["arg"], fields["indirection"]))
        self.fields.update(filter(None, map(name_of, fields.get("indirection", ()))))
        if isinstance(fields.get("name"), list):
            is_cast = "TypeCast" in fields.get("lexpr", {})
            self.makes_any_type |= strings(fields["name"])[-1] == _MAKES_ROWS_BY_OPERATOR and not is_cast


def written_calls(root: Node) -> set[tuple[str, str]]:
    """Return schema and name of each function that a statement calls as `f(…)`; "" without a schema."""
    names = (strings(fields["funcname"]) for _, fields in _nodes(root) if "funcname" in fields)
    return {(".".join(schemas), name) for *schemas, name in names}


def _operators_of(kind: str, fields: Node, sorted_query: Node | None) -> Iterator[OperatorUse]:
    for field in ("name", "operName"):
        if isinstance(fields.get(field), list):
            *schemas, symbol = strings(fields[field])
            known = list(written_operands(fields)) if field == "name" and "rexpr" in fields else [None]
            is_implied = fields.get("kind") in _IMPLYING_EXPRESSIONS
            schema = ".".join(schemas)
            yield from (OperatorUse(schema, symbol, each, is_implied=is_implied) for each in known)
    match kind:
        case "A_Expr" if "BETWEEN" in fields.get("kind", ""):
            pairs = operand_pairs(fields["lexpr"], fields["rexpr"])
            yield from (OperatorUse("", symbol, pair) for symbol in _BETWEEN_OPERATORS for pair in pairs)
        case "SortBy" if "useOp" in fields:
            *schemas, symbol = strings(fields["useOp"])
            yield OperatorUse(
                ".".join(schemas), symbol, operands_of_sort(fields, sorted_query), is_implied=False
            )
        case "CaseExpr":
            yield from (OperatorUse("", "=", pair) for pair in operands_of_case(fields))
        case "SubLink":
            yield from (OperatorUse("", "=", pair) for pair in operands_of_in(fields))
        case "JoinExpr" if "usingClause" in fields or fields.get("isNatural"):
            yield OperatorUse("", "=", None, join=fields)


def _nodes(root: Any) -> Iterator[tuple[str, Node]]:
    """Yield each object of the tree with its key, from the top down; an item of a list has the key ""."""
    pending: list[tuple[str, Any]] = [("", root)]
    while pending:
        kind, value = pending.pop()
        if isinstance(value, list):
            pending.extend(("", each) for each in reversed(value))
        elif isinstance(value, dict):
            yield kind, value
            pending.extend(reversed(list(value.items())))
