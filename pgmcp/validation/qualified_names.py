"""Finds function calls written as `name.column`: PostgreSQL calls a function if no column has the name."""

from collections.abc import Callable, Set
from functools import partial
from typing import NamedTuple

from pgmcp.validation.columns import KnownColumns
from pgmcp.validation.functions import FunctionPolicy
from pgmcp.validation.grammar import Node, name_of, strings
from pgmcp.validation.operands import Operands
from pgmcp.validation.overloads import CallArguments
from pgmcp.validation.refusal_reasons import RefusalReason


class RefusedCall(NamedTuple):
    """A call that may not be made.

    Attributes:
        row: the argument of the call, as a node.
        name: the name of the function.
        reason: why it may not be called.
        fields: the node of the column reference.
    """

    row: Node
    name: str
    reason: RefusalReason
    fields: Node


class QualifiedNames:
    """Collects the qualified columns of a statement, and the names of its functions in FROM.

    A row of a function in FROM can be a plain value, which can be passed to more functions than a row.
    """

    def __init__(self) -> None:
        self._columns: list[tuple[str, str, Node]] = []  # qualifier, column, its node
        self._function_names: set[str] = set()
        self._has_nameless_function = False

    def note_column(self, names: list[Node], fields: Node) -> None:
        """Remember a column reference, if it is qualified."""
        if len(names) > 1 and (name := name_of(names[-1])):
            self._columns.append((name_of(names[-2]), name, fields))

    def note_function(self, functions: list[Node], fields: Node) -> None:
        """Remember the name of the rows of a function in FROM."""
        if alias := fields.get("alias"):
            self._function_names.add(alias["aliasname"])
            return
        for function in functions:
            names = function["List"]["items"][0].get("FuncCall", {}).get("funcname")
            if names:
                self._function_names.add(strings(names)[-1])
            else:  # COALESCE(...), CAST(...) and the like
                self._has_nameless_function = True

    def after_values(self) -> set[str]:
        """Return each name after a qualifier that may be a plain value.

        If the name is that of a type, the server makes a value of that type.
        """
        return {name for qualifier, name, _ in self._columns if self._may_be_value(qualifier)}

    def _may_be_value(self, qualifier: str) -> bool:
        return self._has_nameless_function or qualifier in self._function_names

    def first_refused_call(
        self,
        functions: FunctionPolicy,
        root: Node,
        with_references: Set[int],
        types_of: Callable[[Operands], CallArguments],
    ) -> RefusedCall | None:
        """Return the first `name.column` that can only be the call of a refused function.

        Args:
            root: the tree of the statement.
            with_references: the id() of the fields of each relation that is a WITH query.
            types_of: returns the known types of expressions.
        """
        columns: KnownColumns | None = None
        for qualifier, name, fields in self._columns:
            row = {"ColumnRef": {"fields": [{"String": {"sval": qualifier}}]}}
            if self._may_be_value(qualifier):
                reason = functions.value_function_refusal(name)
            else:
                reason = functions.row_function_refusal(name, partial(types_of, (row,)))
            if reason:
                columns = columns or functions.known_columns(root, with_references)
                if not columns.has(qualifier, name):
                    return RefusedCall(row, name, reason, fields)
        return None
