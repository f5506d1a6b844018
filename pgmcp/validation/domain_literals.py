"""Finds literals that may become values of a domain because of a value beside them.

A literal without a type takes the type of the value with which it is compared or combined:

- Beside a value of a domain, it gets the domain's base type, so no CHECK runs. The exception is an argument
  of a polymorphic function: `lag(email, 1, 'x')`.
- Beside an array, a range or a row of the domain, it gets the whole type, whose parts are checked:
  `emails = '{a@b}'`, `array_agg(email) = '{a@b}'`.

An array of the base type may also be converted to an array of the domain. Then its elements are checked:
`SELECT emails … UNION SELECT ARRAY[name]`.

The rules are in the PostgreSQL manual, chapter "Type Conversion", and "Polymorphic Types".
tests/integration/postgres/test_cast_columns.py compares the lists of functions with a server.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pgmcp.validation.column_values import (
    EVERY,
    NONE,
    SELECTS,
    CastSearchFacts,
    ColumnValues,
    ValueKind,
    places,
)
from pgmcp.validation.grammar import Node, name_of

_COMBINING: Final = frozenset({"A_ArrayExpr", "CaseExpr", "CoalesceExpr", "MinMaxExpr"})
_WHOLES: Final = ValueKind.ARRAY | ValueKind.ROW | ValueKind.WHOLE
_PLAIN: Final = ValueKind.ELEMENT

# Functions of pg_catalog that give several arguments one type, so a literal gets the type of a domain value.
FUNCTIONS_OF_ONE_TYPE: Final = frozenset(
    """
    any_value_transfn array_append array_cat array_eq array_ge array_gt array_larger array_le array_lt
    array_ne array_position array_positions array_prepend array_remove array_replace array_smaller
    arraycontained arraycontains arrayoverlap btarraycmp lag lead width_bucket
    """.split()  # noqa: SIM905 - as the two below
)
PREFIXES_OF_ONE_TYPE: Final = ("elem_contained_by_", "multirange_", "range_")
# Functions of FUNCTIONS_OF_ONE_TYPE whose first and third argument get the same type.
_OF_VALUES_ALIKE: Final = frozenset({"lag", "lead"})
# Hypothetical-set aggregates of pg_catalog, which compare their arguments with the values of ORDER BY.
_HYPOTHETICAL: Final = frozenset({"cume_dist", "dense_rank", "percent_rank", "rank"})
# All functions of pg_catalog whose result has the type of an argument or a type made of it, in four sets.
FUNCTIONS_THAT_MAKE_ARRAYS: Final = frozenset(
    "array_agg array_append array_cat array_fill array_prepend percentile_disc".split()  # noqa: SIM905
)
FUNCTIONS_THAT_KEEP_TYPES: Final = frozenset(
    """
    any_value any_value_transfn array_larger array_remove array_replace array_reverse array_sample
    array_shuffle array_smaller array_sort first_value lag last_value lead max min mode multirange_intersect
    multirange_intersect_agg_transfn multirange_minus multirange_union nth_value percentile_disc
    range_intersect range_intersect_agg range_intersect_agg_transfn range_merge range_minus range_union
    trim_array
    """.split()  # noqa: SIM905
)
FUNCTIONS_THAT_MAKE_MULTIRANGES: Final = frozenset({"multirange", "range_agg"})
FUNCTIONS_THAT_GIVE_ELEMENTS: Final = frozenset({"lower", "unnest", "upper"})

_VALUES_OF_NODE: Final[dict[str, tuple[str, ...]]] = {
    "ResTarget": ("val",),
    "SortBy": ("node",),
    "CaseWhen": ("result",),
    **dict.fromkeys(SELECTS, ("targetList", "valuesLists", "larg", "rarg")),
}
"""For some kinds of nodes, the fields whose values can be the node's value; other kinds: any field."""

_WITHOUT_VALUES: Final = frozenset(
    {"A_Const", "BoolExpr", "BooleanTest", "GroupingFunc", "NullTest", "SQLValueFunction", "TypeCast"}
)
"""Nodes whose value never has a domain's type here; a cast to a domain is judged by the type's name."""

_WITH_IMPLIED_EQUALITY: Final = frozenset({"CaseExpr", "JoinExpr", "SubLink"})

_FOLLOWED_FOR_LITERALS: Final = frozenset(
    {"A_ArrayExpr", "CaseExpr", "CaseWhen", "CoalesceExpr", "CollateClause", "List", "MinMaxExpr"}
    | {"NamedArgExpr", "ResTarget", "RowExpr", "SortBy"}
    | {"arg", "args", "defresult", "elements", "items", "node", "result", "val"}
)


class LiteralsOfDomains(ColumnValues):
    """Searches one statement for literals that become values of a domain because of a column beside them.

    The result depends on the text of the literals: '{}' makes an empty array, for which no CHECK runs.

    Args:
        root: the tree of the statement.
        columns: as in `ColumnValues`.
        facts: facts about the database.
        are_several: whether the columns are of more than one domain.
    """

    def __init__(
        self,
        root: Node,
        columns: Mapping[str, ValueKind],
        facts: CastSearchFacts,
        *,
        are_several: bool = False,
    ) -> None:
        super().__init__(root, columns, facts)
        self._are_several = are_several

    def _values_of(self, kind: str, fields: Node) -> ValueKind:
        if kind in _WITHOUT_VALUES or kind.startswith(("Json", "Xml")):
            return NONE
        match kind:
            case "ColumnRef":
                return self._kinds_of_column(fields["fields"])
            case "SubLink":
                return self._values_of_sublink(fields)
            case "A_Expr":
                return self._values_of_operator(fields)
            case "FuncCall":
                return self._values_of_call(fields)
            case "A_Indirection":
                return self._values_of_indirection(fields)
            case _ if kind in _COMBINING:
                return self._values_of_combination(kind, fields)
        below = _VALUES_OF_NODE.get(kind, tuple(fields))
        return self._kinds([fields[name] for name in below if name in fields])

    def _values_of_sublink(self, link: Node) -> ValueKind:
        match link.get("subLinkType"):
            case "EXPR_SUBLINK":
                return self._kinds(link["subselect"])
            case "ARRAY_SUBLINK":
                return _in_array(self._kinds(link["subselect"]))
            case _:
                return NONE

    def _values_of_operator(self, expression: Node) -> ValueKind:
        if expression.get("kind") == "AEXPR_NULLIF":
            return self._kinds(expression["lexpr"])
        if self._facts.compares_only(expression):
            return NONE
        kinds = self._kinds([expression.get("lexpr"), expression.get("rexpr")])
        if self._is_written(expression):
            return EVERY if kinds else NONE
        return kinds & _WHOLES

    def _values_of_call(self, call: Node) -> ValueKind:
        kinds = self._kinds(_arguments(call))
        if not self._facts.means_built_in(call):
            return EVERY if kinds else NONE
        name = _name(call)
        result = _in_array(kinds) if name in FUNCTIONS_THAT_MAKE_ARRAYS else NONE
        if name in FUNCTIONS_THAT_KEEP_TYPES:
            result |= kinds
        if name in FUNCTIONS_THAT_MAKE_MULTIRANGES and kinds & _WHOLES:
            result |= ValueKind.WHOLE
        if name in FUNCTIONS_THAT_GIVE_ELEMENTS:
            result |= _parts_of(kinds & _WHOLES)
        return result

    def _values_of_indirection(self, fields: Node) -> ValueKind:
        kinds, is_row = self._kinds(fields["arg"]), self._is_row(fields["arg"])
        for step in fields["indirection"]:
            if "A_Indices" not in step:
                name = step.get("String", {}).get("sval", "")
                kinds = self._kinds_of_column([{"String": {"sval": name}}]) if is_row else _field_of(kinds)
            elif not step["A_Indices"].get("is_slice"):
                kinds = _parts_of(kinds & _WHOLES)
            is_row = False
        return kinds

    def _values_of_combination(self, kind: str, fields: Node) -> ValueKind:
        """Return the kinds of the values of an expression that gives several expressions a common type.

        If one of them is a constant, the common type is the base type of the domain, not the domain. A CASE
        without ELSE counts as having the constant NULL.
        """
        values = _combined(kind, fields)
        kinds = self._kinds(values)
        if any("A_Const" in each for each in values) or (kind == "CaseExpr" and "defresult" not in fields):
            kinds &= _WHOLES
        return _in_array(kinds) if kind == "A_ArrayExpr" else kinds

    def _acts(self, kind: str, fields: Node) -> bool:
        if kind in _WITH_IMPLIED_EQUALITY and self._facts.operator_may_check("="):
            return self._mentioning[id(fields)]
        return self._makes_values(kind, fields)

    def _makes_values(self, kind: str, fields: Node) -> bool:
        match kind:
            case "FuncCall":
                return self._call_makes_values(fields)
            case "A_Expr":
                return self._operator_makes_values(fields)
            case "SubLink":
                return self._is_whole_beside_literal([fields.get("testexpr"), *_outputs(fields)])
            case "A_Indirection":
                return bool(self._kinds(fields["arg"])) and any(map(self._may_check, fields["indirection"]))
            case "ColumnRef":
                return self._column_calls_check(fields["fields"])
            case _ if kind in _COMBINING:
                return self._combination_makes_values(kind, fields)
            case _ if kind in SELECTS and ("larg" in fields or "valuesLists" in fields):
                return any(map(self._mixes, places(fields)))
            case _:
                return False

    def _may_check(self, step: Node) -> bool:
        return self._facts.may_check(name_of(step))

    def _column_calls_check(self, steps: list[Node]) -> bool:
        return len(steps) > 1 and not self._facts.is_column(steps) and self._may_check(steps[-1])

    def _combination_makes_values(self, kind: str, fields: Node) -> bool:
        return self._mixes(_combined(kind, fields)) or (
            "arg" in fields and self._is_whole_beside_literal([fields["arg"], *_compared(fields)])
        )

    def _call_makes_values(self, call: Node) -> bool:
        arguments = _arguments(call)
        kinds, name = self._kinds(arguments), _name(call)
        if not kinds:
            return False
        has_literal = any(_literals(arguments))
        if not self._facts.means_built_in(call):
            mixes = self._facts.is_polymorphic(name) and (has_literal or self._mixes(arguments))
            return mixes or self._facts.may_check(name)
        if name in _OF_VALUES_ALIKE and len(arguments) == 3 and self._mixes([arguments[0], arguments[2]]):
            return True
        if name in FUNCTIONS_OF_ONE_TYPE or name.startswith(PREFIXES_OF_ONE_TYPE):
            return has_literal
        return name in _HYPOTHETICAL and has_literal and bool(kinds & _WHOLES)

    def _operator_makes_values(self, expression: Node) -> bool:
        left, right = expression.get("lexpr"), expression.get("rexpr")
        if self._is_written(expression):
            symbol = expression["name"][-1]["String"]["sval"]
            may_check = any(_literals([left, right])) or self._facts.operator_may_check(symbol)
            return may_check and bool(self._kinds([left, right]))
        is_of_elements = expression.get("kind") in ("AEXPR_OP_ANY", "AEXPR_OP_ALL")
        if is_of_elements and not self._kinds(left) and self._kinds(right) & _WHOLES == ValueKind.ARRAY:
            return False
        return self._is_whole_beside_literal([left, right])

    def _is_whole_beside_literal(self, values: Sequence[Node | None]) -> bool:
        return bool(self._kinds(values) & _WHOLES) and any(_has_parts(each) for each in _literals(values))

    def _mixes(self, values: Sequence[Node]) -> bool:
        """Return whether a value may become an array, row or range of the domain, by the values' common type.

        Literals may become one, and so may arrays of the base type.
        """
        wholes = [each for each in values if self._kinds(each) & _WHOLES]
        others = [each for each in values if not self._kinds(each) & _WHOLES]
        if self._are_several and len({str(_column_name(each)) for each in wholes}) > 1:
            return True
        return bool(wholes) and not all(map(_is_empty, others))

    def _is_written(self, expression: Node) -> bool:
        """Return whether the operator may be one of the database's own whose function has a body."""
        return self._facts.has_written_operator(expression["name"][-1]["String"]["sval"])


def _arguments(call: Node) -> list[Node]:
    return [*call.get("args", []), *call.get("agg_order", [])]


def _name(call: Node) -> str:
    return str(call["funcname"][-1]["String"]["sval"])


def _combined(kind: str, fields: Node) -> list[Node]:
    """Return the expressions to which an expression gives a common type."""
    if kind == "CaseExpr":
        results = [each["CaseWhen"]["result"] for each in fields["args"]]
        return [*results, fields["defresult"]] if "defresult" in fields else results
    return list(fields.get("elements" if kind == "A_ArrayExpr" else "args", []))


def _compared(case: Node) -> list[Node]:
    return [each["CaseWhen"]["expr"] for each in case["args"]]


def _outputs(link: Node) -> list[Node]:
    """Return the outputs of a subquery with which its IN or ANY compares."""
    return [each for place in places(link["subselect"]["SelectStmt"]) for each in place]


def _in_array(kinds: ValueKind) -> ValueKind:
    """Return the kind of an array of such values. An array of arrays is an array with more dimensions."""
    is_flat = bool(kinds & (ValueKind.ELEMENT | ValueKind.ARRAY))
    is_deep = bool(kinds & (ValueKind.ROW | ValueKind.WHOLE))
    return (ValueKind.ARRAY if is_flat else NONE) | (ValueKind.WHOLE if is_deep else NONE)


def _parts_of(kinds: ValueKind) -> ValueKind:
    """Return the kinds of an array's elements, or of a range's bounds."""
    if kinds & ValueKind.WHOLE:
        return EVERY
    return _PLAIN if kinds else NONE


def _field_of(kinds: ValueKind) -> ValueKind:
    """Return the kinds that a row's field may have."""
    return EVERY if kinds & ValueKind.WHOLE else kinds & ValueKind.ROW and _PLAIN


def _column_name(value: Node) -> object:
    """Return the name of a column, or the expression itself if it is not a column."""
    steps = value.get("ResTarget", {}).get("val", value).get("ColumnRef", {}).get("fields")
    return steps[-1] if steps else value


def _is_empty(value: Node) -> bool:
    """Return whether an expression is NULL or an empty array, so no CHECK runs for it."""
    match value.get("ResTarget", {}).get("val", value):
        case {"A_Const": constant}:
            return not _has_parts(constant)
        case {"TypeCast": {"arg": {"A_ArrayExpr": array}}}:
            return not array.get("elements")
        case _:
            return False


def _has_parts(constant: Node) -> bool:
    """Return whether a constant has parts that are checked: it is neither NULL nor an empty array."""
    return "isnull" not in constant and constant.get("sval", {}).get("sval", "").strip() != "{}"


def _literals(values: Any) -> Iterator[Node]:
    """Yield the untyped strings and NULLs that get their type from outside these expressions."""
    pending = [values]
    while pending:
        value = pending.pop()
        if isinstance(value, list):
            pending.extend(value)
        elif isinstance(value, dict):
            constant = value.get("A_Const", {})
            if "sval" in constant or "isnull" in constant:
                yield constant
            cast = value.get("TypeCast", {})
            if cast and cast["typeName"].get("names", [{}])[-1].get("String", {}).get("sval") == "unknown":
                pending.append(cast["arg"])  # the literal stays without a type
            pending.extend(below for name, below in value.items() if name in _FOLLOWED_FOR_LITERALS)
