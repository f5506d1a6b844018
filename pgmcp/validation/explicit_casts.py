"""Finds where a statement may cast values of columns explicitly: `mood::int`, `to_json(people)`.

An explicit cast is called where a statement names its target type. A few built-in functions and operators
also look up such a cast and call it. `ExplicitCasts` searches a parsed statement; `targets_in_tokens`
finds the target types in the tokens of a text.
"""

from collections.abc import Iterator, Mapping, Sequence, Set
from functools import reduce
from operator import or_
from typing import Any, Final

from pgmcp.validation.column_values import NONE, SELECTS, CastSearchFacts, ColumnValues, ValueKind, symbols
from pgmcp.validation.grammar import Node, name_of
from pgmcp.validation.lexer import Token, TokenKind

# The functions of the first list make JSON of values. For each value, PostgreSQL looks up a cast of its type
# to json (json_categorize_type). The functions of the second list cast to text. A test compares the lists
# with a server: tests/integration/postgres/test_cast_columns.py.
_CAST_TO_JSON = frozenset(
    """
    array_to_json json_agg json_agg_strict json_build_array json_build_object json_object_agg
    json_object_agg_strict json_object_agg_unique json_object_agg_unique_strict jsonb_agg jsonb_agg_strict
    jsonb_build_array jsonb_build_object jsonb_object_agg jsonb_object_agg_strict jsonb_object_agg_unique
    jsonb_object_agg_unique_strict row_to_json to_json to_jsonb
    """.split()  # noqa: SIM905 - twenty names are easier to read in lines
)
_CAST_TO_TEXT = frozenset({"anytextcat", "quote_literal", "quote_nullable", "textanycat"})
_CAST_BY_JSON_EXPRESSIONS = frozenset({"bytea", "json", "jsonb", "text"})
FUNCTIONS_THAT_CAST = _CAST_TO_JSON | _CAST_TO_TEXT

# Built-in types. A cast of a column to one of them is harmless, unless the column's type has a cast to it.
BUILT_IN_TYPES = frozenset(
    """
    bit bool bpchar bytea char cidr date float4 float8 inet int2 int4 int8 interval json jsonb macaddr money
    name numeric oid regclass regtype text time timestamp timestamptz timetz uuid varbit varchar xml
    """.split()  # noqa: SIM905 - thirty names are easier to read in lines
)

_TYPES_BY_WORD: Final[dict[str, frozenset[str]]] = {
    **{name: frozenset({name}) for name in BUILT_IN_TYPES},
    "bigint": frozenset({"int8"}),
    "bit": frozenset({"bit", "varbit"}),
    "boolean": frozenset({"bool"}),
    "char": frozenset({"bpchar", "varchar", "char"}),
    "character": frozenset({"bpchar", "varchar"}),
    "dec": frozenset({"numeric"}),
    "decimal": frozenset({"numeric"}),
    "double": frozenset({"float8"}),
    "float": frozenset({"float4", "float8"}),
    "int": frozenset({"int4"}),
    "integer": frozenset({"int4"}),
    "real": frozenset({"float4"}),
    "smallint": frozenset({"int2"}),
    "time": frozenset({"time", "timetz"}),
    "timestamp": frozenset({"timestamp", "timestamptz"}),
}
"""The built-in types that a type's first word may mean."""

_BEFORE_LITERALS: Final = frozenset(
    """
    and between by case default else having if in is like limit not on or return select then values when where
    """.split()  # noqa: SIM905 - as a list it is a page long
)
"""Words that may precede a string without being its type: `return 'sad'::mood`, unlike `text 'sad'::mood`."""

_PLAIN_RESULTS = frozenset(
    {"array_length", "array_position", "array_to_string", "cardinality", "concat", "concat_ws", "count"}
    | {"cume_dist", "dense_rank", "format", "num_nonnulls", "num_nulls", "percent_rank", "pg_typeof", "rank"}
)
"""Built-in functions whose result is never a value of an argument's type."""

_VALUE_SUBLINKS = frozenset({"EXPR_SUBLINK", "ARRAY_SUBLINK"})

_CARRYING_FIELDS: dict[str, tuple[str, ...]] = {
    "A_Const": (),
    "BoolExpr": (),
    "BooleanTest": (),
    "CaseExpr": ("args", "defresult"),
    "CaseWhen": ("result",),
    "FuncCall": ("args", "agg_order"),
    "GroupingFunc": (),
    "NullTest": (),
    "ResTarget": ("val",),
    "SortBy": ("node",),
    **dict.fromkeys(SELECTS, ("targetList", "valuesLists", "larg", "rarg")),
}
"""For some kinds of nodes, the fields whose values can be the node's value; other kinds: any field."""

# For a kind of node, the fields with which it calls an operator.
_FIELDS_WITH_OPERATOR = {
    "CaseExpr": ("arg",),
    "JoinExpr": ("isNatural", "usingClause"),
    "SortBy": ("useOp",),
    "SubLink": ("testexpr",),
}


class ExplicitCasts(ColumnValues):
    """Searches one statement for places that may cast values of columns explicitly.

    Args:
        root: the tree of the statement.
        columns: the names of the columns with the kinds of their values; any column of such a name counts.
        targets: names of the built-in types to which the values can be cast.
        facts: facts about the database.
        types: by the name of each type to which the statement casts, how its values contain values that can
            be cast again.
    """

    def __init__(
        self,
        root: Node,
        columns: Mapping[str, ValueKind],
        targets: Set[str],
        facts: CastSearchFacts,
        *,
        types: Mapping[str, ValueKind] | None = None,
    ) -> None:
        super().__init__(root, columns, facts)
        self._types = types or {}
        self._columns = columns
        self._targets = targets

    def _values_of(self, kind: str, fields: Node) -> ValueKind:
        match kind:
            case "ColumnRef":
                return self._kinds_of_column(fields["fields"])
            case "SubLink":
                gives_values = fields.get("subLinkType") in _VALUE_SUBLINKS
                return self._kinds(fields["subselect"]) if gives_values else NONE
            case "A_Expr" if self._facts.compares_only(fields):
                return NONE
            case "FuncCall" if self._is_built_in(fields, _PLAIN_RESULTS):
                return NONE
            case "TypeCast" if (name := fields["typeName"]["names"][-1]["String"]["sval"]) in self._types:
                return self._types[name]
            case "TypeCast" if not self._may_cast_to(fields["typeName"]):
                return NONE
        below = _CARRYING_FIELDS.get(kind, tuple(fields))
        return self._kinds_of_results(kind, fields) | self._kinds([fields.get(name) for name in below])

    def _kinds_of_results(self, kind: str, fields: Node) -> ValueKind:
        """Return the kinds of the results of the database's functions that a node calls: `f(x)`, `(x).f`."""
        if kind not in ("FuncCall", "A_Indirection"):
            return NONE
        steps = fields["funcname"][-1:] if kind == "FuncCall" else fields["indirection"]
        return reduce(or_, map(self._kinds_of_result, map(name_of, steps)), NONE)

    def _is_carried(self, value: Any) -> bool:
        return self._kinds(value) != NONE

    def _acts(self, kind: str, fields: Node) -> bool:
        match kind:
            case "TypeCast":
                return self._is_carried(fields["arg"]) and self._may_cast_to(fields["typeName"])
            case "FuncCall":
                is_given = self._is_carried([fields.get("args"), fields.get("agg_order")])
                return is_given and self._may_cast_given(fields)
            case "A_Expr":
                is_given = self._is_carried([fields.get("lexpr"), fields.get("rexpr")])
                return is_given and any(map(self._may_cast_by, symbols(fields)))
            case "SubLink" | "CaseExpr" | "JoinExpr" | "SortBy":
                return self._may_cast_unwritten(kind, fields)
            case "ColumnRef":
                parts = fields["fields"]
                may_call = len(parts) > 1 and not self._facts.is_column(parts)
                return may_call and self._is_function_of_value(parts[-1])
            case "A_Indirection":
                is_carried = self._is_carried(fields["arg"])
                return is_carried and any(map(self._is_function_of_value, fields["indirection"]))
        return self._may_cast_in_expression(kind) and self._is_carried(list(fields.values()))

    def _may_cast_in_expression(self, kind: str) -> bool:
        """Return whether a node of SQL/JSON or SQL/XML casts its values."""
        if kind.startswith("Json"):
            return not self._targets.isdisjoint(_CAST_BY_JSON_EXPRESSIONS)
        return kind.startswith("Xml") or kind == "RangeTableFunc"

    def _may_cast_to(self, type_name: Node) -> bool:
        return may_cast_to(type_name, self._targets, self._facts)

    def _may_cast_by(self, symbol: str) -> bool:
        is_concatenation = symbol == "||" and "text" in self._targets
        return is_concatenation or self._facts.operator_may_cast(symbol, self._targets)

    def _may_cast_unwritten(self, kind: str, fields: Node) -> bool:
        """Return whether the operator that a subquery, CASE, join or ORDER BY calls may cast a value."""
        names = fields.get("operName") or fields.get("useOp")
        symbol = names[-1]["String"]["sval"] if names else "="
        has_operator = any(fields.get(name) for name in _FIELDS_WITH_OPERATOR[kind])
        return (
            has_operator
            and self._mentioning[id(fields)]
            and self._facts.operator_may_cast(symbol, self._targets)
        )

    def _may_cast_given(self, call: Node) -> bool:
        """Return whether the called function may cast one of its arguments."""
        name = call["funcname"][-1]["String"]["sval"]
        is_own = not self._facts.means_built_in(call)
        return self._casts(name) or (is_own and self._facts.may_cast(name, self._targets))

    def _is_built_in(self, call: Node, names: Set[str]) -> bool:
        """Return whether a call certainly means one of these built-in functions, which call no cast."""
        name = call["funcname"][-1]["String"]["sval"]
        is_built_in = self._facts.means_built_in(call)
        return is_built_in and not self._casts(name) and name in names

    def _casts(self, name: str) -> bool:
        """Return whether a built-in function may call one of the casts."""
        return name in self._targets or looks_up_cast(name, self._targets)

    def _is_function_of_value(self, step: Node) -> bool:
        """Return whether a name after a dot may call a function that casts the value before the dot."""
        name = step.get("String", {}).get("sval", "")
        if name in self._columns:  # not `_names`, because an output can have the name of its function
            return False
        is_casting = self._facts.takes_one(name) and self._facts.may_cast(name, self._targets)
        return (name in FUNCTIONS_THAT_CAST and self._casts(name)) or is_casting


def is_untyped_literal(expression: Node) -> bool:
    """Return whether an expression is a string or NULL without a type, or an array of these.

    For a cast of such a literal, the server calls the type's input function, not a cast function.
    """
    elements = expression.get("A_ArrayExpr", {}).get("elements")
    if elements:
        return all(map(is_untyped_literal, elements))
    constant = expression.get("A_Const", {})
    return "sval" in constant or "isnull" in constant


def may_cast_to(type_name: Node, targets: Set[str], facts: CastSearchFacts) -> bool:
    """Return whether a cast to the named type may call one of the casts to `targets`.

    A type outside pg_catalog may be a domain over one of the targets.
    """
    *schemas, name = (part["String"]["sval"] for part in type_name["names"])
    is_built_in = schemas == ["pg_catalog"] or not (schemas or facts.puts_schemas_first)
    return not is_built_in or is_cast_to(name, targets) or name not in BUILT_IN_TYPES


def is_cast_to(name: str, targets: Set[str]) -> bool:
    """Return whether a cast to a built-in type, or to its array type, is a cast to one of the types."""
    return name in targets or f"_{name}" in targets


def looks_up_cast(function: str, targets: Set[str]) -> bool:
    """Return whether a built-in function looks up a cast to one of the types."""
    return (function in _CAST_TO_JSON and not targets.isdisjoint({"json", "jsonb"})) or (
        function in _CAST_TO_TEXT and "text" in targets
    )


def targets_in_tokens(tokens: Sequence[Token]) -> frozenset[str] | None:
    """Return the built-in types to which a text casts, by its tokens; None if there may be others.

    The names are those of pg_type. `::` after an untyped literal does not count, because it calls no cast
    function. This is used for the bodies of functions in PL/pgSQL.
    """
    found: set[str] = set()
    for at in _starts_of_types(tokens):
        types = _types_at(tokens, at)
        if types is None:
            return None
        found |= types
    return frozenset(found)


def _starts_of_types(tokens: Sequence[Token]) -> Iterator[int]:
    """Yield where a type begins: after `::`, and after AS in CAST(... AS ...)."""
    depths_of_casts: list[int] = []
    depth = 0
    for at, token in enumerate(tokens):
        word = token.text.lower() if token.kind is TokenKind.WORD else token.text
        if word == "(":
            depth += 1
            if at and tokens[at - 1].text.lower() in ("cast", "treat"):
                depths_of_casts.append(depth)
        elif word == ")":
            depths_of_casts = [each for each in depths_of_casts if each < depth]
            depth -= 1
        elif (word == "::" and not _is_literal(tokens[:at])) or (word == "as" and depth in depths_of_casts):
            yield at + 1


def _is_literal(tokens: Sequence[Token]) -> bool:
    """Return whether tokens end in a string or NULL without a type."""
    if not tokens:
        return False
    if tokens[-1].text.lower() == "null" and tokens[-1].kind is TokenKind.WORD:
        return True
    if tokens[-1].kind is not TokenKind.STRING or len(tokens) < 2:
        return False
    before = tokens[-2]
    return before.text in ("(", "[", ",") or (
        before.kind is TokenKind.OPERATOR or before.text.lower() in _BEFORE_LITERALS
    )


def _types_at(tokens: Sequence[Token], at: int) -> frozenset[str] | None:
    written = tokens[at : at + 4]
    if [each.text.lower() for each in written[:2]] == ["pg_catalog", "."]:
        written = written[2:]
    is_word = bool(written) and written[0].kind is TokenKind.WORD
    is_qualified = len(written) > 1 and written[1].text in (".", "%")
    return _TYPES_BY_WORD.get(written[0].text.lower()) if is_word and not is_qualified else None
