"""Finds the types of the columns and rows that a name can mean in one statement.

Scopes are not distinguished: the columns of relations, the outputs of all queries in the statement, and the
columns of functions in FROM count wherever a name is written.
"""

from collections.abc import Callable, Sequence

from pgmcp.validation.catalog_objects import ResolutionFacts
from pgmcp.validation.functions_in_from import Columns, FunctionsInFrom, merge_columns
from pgmcp.validation.grammar import Node
from pgmcp.validation.made_names import merged_names, names_beside_outputs, names_of_rows, outputs_by_name
from pgmcp.validation.polymorphic_types import is_polymorphic
from pgmcp.validation.statement_columns import StatementColumns


class ColumnTypes:
    """The types of the columns in one statement.

    Args:
        relations: the columns of its relations.
        types_of: returns the types of an expression that is an output of a query.
    """

    def __init__(
        self,
        root: Node,
        facts: ResolutionFacts,
        relations: StatementColumns,
        types_of: Callable[[Node], frozenset[int] | None],
    ) -> None:
        self._facts = facts
        self._types = facts.types
        self._relations = relations
        self._types_of = types_of
        self._made_names = names_beside_outputs(root)
        self._outputs = outputs_by_name(root)
        self._types_of_outputs: dict[str, frozenset[int] | None] = {}
        self._row_names, self._names_beside_rows = names_of_rows(root)
        self._merged_names = merged_names(root)
        self._columns_of_functions: Columns = {}

    def add_functions(self, functions: FunctionsInFrom, forget: Callable[[], None]) -> None:
        """Add the columns of the functions in FROM, whose arguments may be columns of one another.

        The columns are computed again until they stay the same, at most two times more than there are
        functions. If they still change, or a function's columns are not known, any name may be one of them.

        Args:
            forget: called when the types of expressions may have changed.
        """
        found: Sequence[Columns | None] = []
        for _ in range(len(functions.items) + 2):
            before, found = found, functions.columns()
            self._columns_of_functions = merge_columns(found)
            self._types_of_outputs.clear()
            forget()
            if found == before:
                break
        if found != before or None in found:
            self._made_names = self._names_beside_rows = None
            self._types_of_outputs.clear()
            forget()

    def of(self, name: str) -> frozenset[int] | None:
        """Return the types of the columns, or rows, with this name; None if they are not known."""
        if self.is_row(name) and self._types.types_by_column:
            return (self._relations.column(name) or frozenset()) | self._relations.row(name)
        if self._made_names is None or name in self._made_names:
            return None
        types = self._relations.column(name)
        if self.is_made(name):
            of_outputs = self._of_outputs(name) if name in self._outputs else frozenset()
            of_functions = self._columns_of_functions.get(name, frozenset())
            if of_outputs is None or of_functions is None:
                return None
            types = (types or frozenset()) | of_outputs | of_functions
        # Columns that USING merges get their common type.
        return None if name in self._merged_names and types and len(types) > 1 else types

    def of_field(self, value: frozenset[int] | None, name: str) -> frozenset[int] | None:
        """Return the types of `value.name`: of the value's rows, or of any column or OUT parameter."""
        oids = list(map(self._types.base_oid, value or ()))
        rows = [self._facts.rows_by_type[each] for each in oids if each in self._facts.rows_by_type]
        found = frozenset(each.columns[name] for each in rows if name in each.columns)
        if found and len(rows) == len(oids):
            return found
        of_outputs = self._types.types_by_output.get(name, frozenset())
        if self.is_made(name) or any(map(is_polymorphic, of_outputs)):
            return None
        return frozenset(of_outputs | self._types.types_by_column.get(name, frozenset())) or None

    def is_row(self, name: str) -> bool:
        """Return whether a name means a row of a relation or subquery, unless a column may have it."""
        made = self._names_beside_rows
        is_row = self.may_be_row(name) and made is not None and name not in made
        return is_row and name not in self._columns_of_functions

    def may_be_row(self, name: str) -> bool:
        """Return whether a relation or subquery has this name."""
        return name in self._row_names

    def is_made(self, name: str) -> bool:
        """Return whether the statement itself may give a name to a column."""
        is_other = self._made_names is None or name in self._made_names
        return is_other or name in self._outputs or name in self._columns_of_functions

    def _of_outputs(self, name: str) -> frozenset[int] | None:
        """Return the types of the outputs with this name; the query around them sees them as columns."""
        if name not in self._types_of_outputs:
            self._types_of_outputs[name] = None  # set during the search, because an output may use itself
            found = [self._types_of(each) for each in self._outputs[name]]
            known = [each for each in found if each]
            are_known = len(known) == len(found)
            self._types_of_outputs[name] = frozenset().union(*known) if are_known else None
        return self._types_of_outputs[name]
