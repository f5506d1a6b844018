"""Explains why a call is refused.

The usual case: the type of an argument is not known, so the server may choose any of several overloads, and
one of these is refused.
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from pgmcp.quoting import quote_identifier
from pgmcp.validation.catalog_objects import CatalogFunction, CatalogOperator
from pgmcp.validation.grammar import Node, name_of, strings
from pgmcp.validation.name_lookup import PG_CATALOG, Lookup
from pgmcp.validation.operands import Operands
from pgmcp.validation.overloads import CallArguments, CallShape
from pgmcp.validation.refusal_reasons import HINT_BY_REASON, TEXT_BY_REASON, Refusal
from pgmcp.validation.shipped_lists import builtin
from pgmcp.validation.type_system import TypeSystem

_MAX_LISTED: Final = 5
_SQL_NAMES: Final = {
    "bool": "boolean",
    "bpchar": "character",
    "float4": "real",
    "float8": "double precision",
    "int2": "smallint",
    "int4": "integer",
    "int8": "bigint",
}


class Explanation(NamedTuple):
    """Why a call is refused, and what to write instead."""

    text: str
    hint: str


class UncertainCalls:
    """Explains refusals of calls.

    Args:
        lookup: looks up functions and operators by name.
        types: the database's types.
        path: the search path, in which functions and operators are looked up.
        refusal_of: returns why a function may not be called.
    """

    def __init__(
        self,
        lookup: Lookup,
        types: TypeSystem,
        path: Sequence[str],
        refusal_of: Callable[[CatalogFunction], Refusal | None],
    ) -> None:
        self._lookup = lookup
        self._types = types
        self._path = path
        self._refusal_of = refusal_of

    def of_function(
        self, schema: str, name: str, call: Node, types_of: Callable[[Node], CallArguments]
    ) -> Explanation | None:
        """Return why a FuncCall is refused; None if the general text for the reason says enough.

        Args:
            schema: as written; "" without one.
            name: the name of the function.
            call: the FuncCall.
            types_of: returns the known types of its arguments.
        """
        if not self._lookup.has_functions(name):
            return None
        known = types_of(call)
        overloads = self._lookup.overloads(schema, name, self._path, known)
        refused = [(each, refusal) for each in overloads if (refusal := self._refusal_of(each))]
        if not refused:
            for function in self._lookup.with_text_body(name):
                refusal = self._refusal_of(function)
                if refusal and (cause := refusal.of_call(function.display_name)):
                    return Explanation(*cause)
            choosable = self._lookup.functions(schema, name, self._path, known)
            return None if choosable else self._of_other_functions(schema, name)
        function, refusal = refused[0]
        if len(overloads) == 1:
            cause = refusal.of_call(function.display_name)
            return Explanation(*cause) if cause else self._of_only_overload(schema, function, refusal)
        could_be = self._could_be(
            f"{function.schema}.{quote_identifier(name)}", function, known.shape, refusal
        )
        is_built_in = any(each.schema == PG_CATALOG for each in overloads)
        built_in = (
            f", or write pg_catalog.{quote_identifier(name)}() for the built-in one" if is_built_in else ""
        )
        labels = [f"argument {place}" for place in range(1, known.count - len(known.names) + 1)]
        labels += [f"argument {quote_identifier(each)}" for each in known.names]
        return _explain(labels, call.get("args", ()), known, could_be, built_in)

    def _of_other_functions(self, schema: str, name: str) -> Explanation | None:
        """Return an explanation for a call that no function of its name takes; it names what exists."""
        found = [
            f"{each.schema}.{quote_identifier(name)}({', '.join(map(self._spelled, each.argument_types))})"
            for each in self._lookup.named(name)
            if each.argument_types is not None and schema in ("", each.schema)
        ]
        if not found:
            return None
        more = ", …" if len(found) > _MAX_LISTED else ""
        hint = f"the database has {', '.join(found[:_MAX_LISTED])}{more}"
        return Explanation("no function of that name takes these arguments", hint)

    @staticmethod
    def _of_only_overload(schema: str, function: CatalogFunction, refusal: Refusal) -> Explanation | None:
        """Return why a call is refused that can mean only this function, though a built-in one has its name.

        None if the call has a schema, no built-in function has the name, or the argument types are not known.
        """
        if schema or function.argument_types is None or not builtin("", function.name):
            return None
        text = f"with these arguments it is {function.display_name}, and {TEXT_BY_REASON[refusal.reason]}"
        return Explanation(text, HINT_BY_REASON[refusal.reason])

    def of_field(self, value: Node, name: str) -> Explanation | None:
        """Return why `value.name` is refused; None if it can call no refused function of the database."""
        refused = [
            (each, refusal)
            for each in self._lookup.functions("", name, self._path, CallArguments(1))
            if each.takes_one and (refusal := self._refusal_of(each))
        ]
        if not refused:
            return None
        function, refusal = refused[0]
        could_be = self._could_be(
            f"{function.schema}.{quote_identifier(name)}", function, CallShape(1), refusal
        )
        column = quote_identifier(name)
        text = f"{_text_of(value) or 'the value'} is not known to have a column {column}, so {could_be}"
        return Explanation(text, f"check the name {column}, or select the column without the value before it")

    def of_operator(
        self,
        schema: str,
        symbol: str,
        operands: Operands | None,
        types_of: Callable[[Operands], CallArguments],
        *,
        is_written: bool,
    ) -> Explanation | None:
        """Return why an operator is refused; None if the general text for the reason says enough.

        Args:
            schema: as written; "" without one.
            symbol: the operator.
            operands: its operands; None if they are not known.
            types_of: returns the known types of the operands.
            is_written: whether the statement contains the operator; IN, CASE and the like only imply one.
        """
        if operands is None:
            return None
        known = types_of(operands)
        overloads = self._lookup.overloads_of_operator(schema, symbol, self._path, known)
        implemented = [(each, self._lookup.function_of(each)) for each in overloads]
        refused = [
            (each, refusal)
            for each, function in implemented
            if function and (refusal := self._refusal_of(function))
        ]
        if len(overloads) < 2 or not refused:
            return None
        operator, refusal = refused[0]
        could_be = self._could_be(f"{operator.schema}.{symbol}", operator, known.shape, refusal)
        is_built_in = is_written and any(each.schema == PG_CATALOG for each in overloads)
        built_in = f", or write OPERATOR(pg_catalog.{symbol}) for the built-in one" if is_built_in else ""
        labels = ["the operand"] if known.count == 1 else ["the left operand", "the right operand"]
        return _explain(labels, operands, known, could_be, built_in)

    def _could_be(
        self, name: str, overload: CatalogFunction | CatalogOperator, call: CallShape, refusal: Refusal
    ) -> str:
        types = ", ".join(map(self._spelled, overload.effective_types(call) or ()))
        return f"it could be {name}({types}), and {TEXT_BY_REASON[refusal.reason]}"

    def _spelled(self, type_oid: int) -> str:
        found = self._types.get(type_oid)
        if found is None:
            return "?"
        if found.is_array:
            return f"{self._spelled(found.element)}[]"
        return _SQL_NAMES.get(found.name, quote_identifier(found.name))


def _explain(
    labels: list[str],
    expressions: Sequence[Node | None],
    known: CallArguments,
    could_be: str,
    built_in: str,
) -> Explanation | None:
    """Return the explanation for arguments with several possible types or an unknown one; None without any.

    Args:
        labels: what to call each argument that is not a column or a call.
        expressions: the arguments.
        known: their known types.
        could_be: the overload that may be called, and why it is refused.
        built_in: how to name the built-in overload instead; "" without one.
    """
    types = known.types or [None] * known.count
    unknown = [place for place, each in enumerate(types) if each is None]
    places = unknown or [place for place, each in enumerate(types) if each and len(each) > 1]
    if not places:
        return None
    written = [_text_of(each) for each in (*expressions, *[None] * known.count)]
    names = dict.fromkeys(written[each] or labels[each] for each in places)
    text = f"the type of {' and of '.join(names)} is not known, so {could_be}"
    casts = " and ".join(f"CAST({each} AS …)" for each in names if each in written)
    hint = f"write {casts} with the right type" if casts else "write each value with a cast to its type"
    return Explanation(text, hint + built_in)


def _text_of(expression: Node | None) -> str:
    """Return a column, or a call without its arguments, as written; "" for any other expression."""
    match expression:
        case {"ColumnRef": {"fields": names}}:
            return ".".join(quote_identifier(name_of(each)) if "String" in each else "*" for each in names)
        case {"FuncCall": {"funcname": names}}:
            return f"{'.'.join(map(quote_identifier, strings(names)))}()"
        case {"A_Indirection": {"arg": value, "indirection": steps}}:
            names = [quote_identifier(name_of(each)) for each in steps if "String" in each]
            text = _text_of(value)
            return ".".join([f"({text})", *names]) if text and len(names) == len(steps) else ""
        case {"ElementOf": below} | {"NamedArgExpr": {"arg": below}}:
            return _text_of(below)
        case _:
            return ""
