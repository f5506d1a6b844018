"""Finds the functions that the body of a function calls, by `f(x)`, an operator or `value.name`.

Names are resolved as in a statement: by the search path, and by the types of the arguments.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property

from pgmcp.validation.argument_types import ArgumentTypes, VariableTypes
from pgmcp.validation.body_statement import BodyStatement, OperatorUse
from pgmcp.validation.catalog_objects import CatalogFunction, ResolutionFacts
from pgmcp.validation.columns import KnownColumns
from pgmcp.validation.grammar import Node, name_of, strings
from pgmcp.validation.item_columns import union_of_types
from pgmcp.validation.name_lookup import ANY_SCHEMA, Lookup
from pgmcp.validation.overloads import CallArguments
from pgmcp.validation.scopes import with_references

Path = tuple[str, ...]
"""Schemas in which a name is looked up, in order."""


class RecordFields:
    """Finds the types of the fields of `record` variables in PL/pgSQL.

    Args:
        records: for each variable, the queries whose rows it holds.
        types_in: returns an object that finds the types of expressions in a query.
    """

    def __init__(
        self, records: Mapping[str, Sequence[Node]], types_in: Callable[[Node], ArgumentTypes]
    ) -> None:
        self._records = records
        self._types_in = types_in
        self._found: dict[tuple[str, str], frozenset[int] | None] = {}

    def types_of(self, record: str, field: str) -> frozenset[int] | None:
        """Return the types of `record.field`; None if they are not known."""
        key = (record, field)
        if key not in self._found:
            self._found[key] = None  # ends the recursion if a query of the record uses the record itself
            queries = self._records.get(record, ())
            types = union_of_types(self._types_in(query).of_output(query, field) for query in queries)
            self._found[key] = types or None
        return self._found[key]


class TypedCalls:
    """Finds the functions that one statement of a body can call.

    Args:
        lookup: looks up functions and operators by name.
        facts: further facts of the catalog that decide what a name means.
        statement: one statement or expression of the body.
        variables: the parameters of the function, and the variables that its body declares.
        path: the search path in the body.
        are_fields_checked: whether `variable.name` can only be a field, as in PL/pgSQL, where an unknown
            field is an error. In LANGUAGE sql, it can be a call.
        of_record: as in `ArgumentTypes`.
    """

    def __init__(
        self,
        lookup: Lookup,
        facts: ResolutionFacts,
        statement: BodyStatement,
        variables: VariableTypes,
        path: Path,
        *,
        are_fields_checked: bool,
        of_record: Callable[[str, str], frozenset[int] | None] = lambda _name, _field: None,
    ) -> None:
        self._lookup = lookup
        self._facts = facts
        self._statement = statement
        self._variables = variables
        self._path = path
        self._of_record = of_record
        self._are_fields_checked = are_fields_checked
        self._is_path_known = ANY_SCHEMA not in path

    # Built only when needed: most expressions of a body use no function or operator of the database itself.
    @cached_property
    def _columns(self) -> KnownColumns:
        root = self._statement.root
        return KnownColumns(root, self._facts, with_references(root), self._path, may_skip_schemas=True)

    @cached_property
    def types(self) -> ArgumentTypes:
        """Finds the types of expressions in the statement."""
        may_call = self._lookup.finder_of_calls(self._has_column)
        root = self._statement.root
        return ArgumentTypes(
            root, self._facts, self._path, self._lookup, self._variables, may_call, self._of_record
        )

    def called(self) -> list[CatalogFunction]:
        """Return the functions that the statement calls as `f(x)`, `x.f` or `(x).f`."""
        return [*self._called_by_name(), *self._called_as_columns(), *self._called_as_fields()]

    def functions_of_operators(self) -> Iterator[CatalogFunction]:
        """Yield the functions that implement the statement's operators."""
        for operator in self._statement.operators:
            if self._lookup.has_operators(operator.symbol):
                for known in self._operands(operator) if self._is_path_known else [None]:
                    yield from self._lookup.operators(operator.schema, operator.symbol, self._path, known)

    def _called_by_name(self) -> Iterator[CatalogFunction]:
        for name in self._statement.json_calls:
            yield from self._lookup.functions("", name, self._path)
        for call in self._statement.calls:
            *schemas, name = strings(call["funcname"])
            if self._lookup.has_functions(name):
                arguments = self.types.of_call(call) if self._is_path_known else None
                yield from self._lookup.functions(".".join(schemas), name, self._path, arguments)
                yield from self._lookup.with_text_body(name)

    def _called_as_columns(self) -> Iterator[CatalogFunction]:
        for qualifier, name in self._statement.columns:
            if self._lookup.has_functions(name) and not self._is_column(qualifier, name):
                yield from self._called_on({"ColumnRef": {"fields": [{"String": {"sval": qualifier}}]}}, name)

    def _is_column(self, qualifier: str, name: str) -> bool:
        """Return whether `qualifier.name` is certainly a column or a field of a variable, so not a call.

        A variable and a relation, perhaps of a subquery, can have the same name. In PL/pgSQL, the relation's
        columns then decide. In LANGUAGE sql, the result is False for the name of a variable.
        """
        if qualifier in self._variables and not self._are_fields_checked:
            return False
        if self._columns.names(qualifier):
            return self._has_column(qualifier, name)
        return self._are_fields_checked

    def _has_column(self, qualifier: str, name: str) -> bool:
        """Return whether a relation of this name certainly has a column.

        False if `name.*` in the statement can mean the fields of a variable with the name of a relation.
        """
        stars = (each for each in self._statement.stars if each in self._variables)
        return self._columns.has(qualifier, name) and not any(map(self._columns.names, stars))

    def _called_as_fields(self) -> Iterator[CatalogFunction]:
        for value, steps in self._statement.indirections:
            for place, name in enumerate(map(name_of, steps)):
                if self._lookup.has_functions(name):
                    before = steps[:place]
                    below = {"A_Indirection": {"arg": value, "indirection": before}} if before else value
                    yield from self._called_on(below, name)

    def _called_on(self, value: Node, name: str) -> Iterator[CatalogFunction]:
        """Yield the functions that `(value).name` can call; none if each possible type has such a field."""
        types = self.types.of(value) if self._is_path_known else None
        oids = list(map(self._facts.types.base_oid, types or ()))
        if oids and all(name in self._facts.fields.get(each, ()) for each in oids):
            return
        known = CallArguments(1, [types]) if types else None
        found = [*self._lookup.functions("", name, self._path, known), *self._lookup.with_text_body(name)]
        yield from (each for each in found if each.takes_one)

    def _operands(self, operator: OperatorUse) -> list[CallArguments | None]:
        """Return the types of the operands for each call of the operator; None if they are not known.

        A join with USING or NATURAL calls `=` once for each pair of columns.
        """
        if operator.join is not None:
            return [self.types.of_operands(each) for each in self.types.of_join(operator.join)]
        return [None if operator.operands is None else self.types.of_operands(operator.operands)]
