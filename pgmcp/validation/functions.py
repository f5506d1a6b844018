"""Decides which functions, operators and types a read may use.

This is an allow-list: a call is accepted only if a source says that the function only reads. The first of
these sources that knows the function decides:

1. the lists in the settings: denied, then allowed
2. the shipped list of built-ins, for `pg_catalog` and for names without a schema
3. the shipped list of extension functions, for functions of these extensions in the database's catalog
4. the database's catalog, for its other functions
5. until the catalog has been read: the shipped list of extension functions, whatever the schema

A name without a schema is looked up as the server looks it up (`name_lookup`). It can only call functions in
the search path whose argument types fit. A function is hidden by one with the same types in an earlier
schema; `pg_catalog` comes first, unless the path names it. If the server can choose a refused function of the
database instead of PostgreSQL's own, the call is refused as shadowed.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Set

from pgmcp.validation.argument_types import ArgumentTypes
from pgmcp.validation.call_graph import CallGraph
from pgmcp.validation.catalog_objects import (
    CatalogFunction,
    CatalogRelation,
    ColumnCast,
    ResolutionFacts,
)
from pgmcp.validation.column_values import CastSearchFacts, ValueKind
from pgmcp.validation.columns import KnownColumns
from pgmcp.validation.function_settings import FunctionSettings
from pgmcp.validation.given_values import GivenValues
from pgmcp.validation.grammar import Node
from pgmcp.validation.name_lookup import PG_CATALOG, Lookup, NameReading, complete_path
from pgmcp.validation.overloads import CallArguments
from pgmcp.validation.refusal_reasons import Refusal, RefusalReason
from pgmcp.validation.sample_conditions import NAME_COMPARISONS
from pgmcp.validation.scopes import with_references
from pgmcp.validation.shipped_lists import (
    builtin,
    extension_function,
    is_built_in_operator,
    is_known_operator,
)
from pgmcp.validation.sql_texts import is_built_in_for_texts, runs_texts_as_written
from pgmcp.validation.type_casts import TypeCasts, checks_values, is_cast_from, spares_literals
from pgmcp.validation.type_system import NAME_TYPE, TEXT_TYPE, UNKNOWN
from pgmcp.validation.uncertain_calls import UncertainCalls

_Index = dict[str, list[CatalogFunction]]
_Arguments = Callable[[], CallArguments]


class FunctionPolicy:
    """Decides which functions may be called, also implicitly, by operators and types.

    Args:
        allowed: names that the settings allow, as PostgreSQL stores them: `name` (in the search path),
            `schema.name`, `schema.*`, `prefix_*` or, for all functions of an extension, `extension:name`.
        denied: names that the settings deny, in the same forms; `name` means any schema. Wins over `allowed`.
            A denied extension includes its operators and types, but not PostgreSQL's own of the same name:
            `%` of numbers and `%` of pg_trgm look the same.
        catalog_functions: the database's own functions outside pg_catalog. None until they have been read;
            then only functions on the lists are accepted.
        catalog_relations: the database's relations that call functions when they are read.
        search_path: the schemas in which a name without a schema is looked up, in order; pg_catalog comes
            first if it is not among them.
        facts: further facts of the catalog that decide which function a name means.
        name_reading: how the server reads names beyond ASCII; None for a database in UTF8.

    Attributes:
        name_reading: how the server reads names beyond ASCII.
        uncertain_calls: explains refusals of calls for which several overloads can be chosen.
    """

    def __init__(
        self,
        *,
        allowed: Iterable[str] = (),
        denied: Iterable[str] = (),
        catalog_functions: Iterable[CatalogFunction] | None = None,
        catalog_relations: Iterable[CatalogRelation] = (),
        search_path: Iterable[str] = ("public",),
        facts: ResolutionFacts | None = None,
        name_reading: NameReading | None = None,
    ) -> None:
        self.name_reading = name_reading or NameReading()
        functions = list(catalog_functions or ())
        self._is_catalog_read = catalog_functions is not None
        self._facts = facts or ResolutionFacts()
        schemas = tuple(search_path)
        self._path = complete_path(schemas)
        self._settings = FunctionSettings(allowed, denied, self._path)
        self._lookup = Lookup(functions, self._facts)
        relations = list(catalog_relations)
        self._by_name: _Index = defaultdict(list)
        for function in functions:
            self._by_name[function.name].append(function)
        self._casts = TypeCasts(functions, relations)
        self._given = GivenValues(self._lookup, self._facts, self._casts, self._path)
        self._calls = CallGraph(
            self._lookup,
            self._facts,
            functions,
            self._casts,
            self._given,
            relations,
            self._path,
            PG_CATALOG in schemas,
            self._settings.verdict,
            self.name_reading,
        )
        self._casts_rows = self._casts.casts_rows()
        self.uncertain_calls = UncertainCalls(
            self._lookup, self._facts.types, self._path, self._calls.function_refusal
        )

    def argument_types(self, root: Node) -> ArgumentTypes:
        """Return an object that finds the types of expressions in a statement."""
        columns = KnownColumns(root, self._facts, with_references(root), self._path, may_skip_schemas=False)
        may_call = self._lookup.finder_of_calls(columns.has)
        return ArgumentTypes(root, self._facts, self._path, self._lookup, may_call=may_call)

    def has_function(self, name: str) -> bool:
        """Return whether there may be a function of this name."""
        return name in self._by_name or bool(builtin("", name) or extension_function(name))

    def has_field(self, column: str, name: str) -> bool:
        """Return whether each column named `column`, of any relation or row type, is a row with this field.

        Args:
            column: the name of the column.
            name: the name of the field.
        """
        return self.are_fields(self._facts.types.types_by_column.get(column), name)

    def are_fields(self, types: frozenset[int] | None, name: str) -> bool:
        """Return whether all of these types are row types with this field; False if they are not known."""
        bases = [self._facts.types.base(each) for each in types or ()]
        return bool(bases) and all(each and name in self._facts.fields.get(each.oid, ()) for each in bases)

    def known_columns(self, root: Node, with_references: Set[int]) -> KnownColumns:
        """Return the columns of a statement that are known from the statement and the catalog.

        Args:
            root: the tree of the statement.
            with_references: the id() of the fields of each relation that is a WITH query.
        """
        return KnownColumns(root, self._facts, with_references, self._path, may_skip_schemas=False)

    def refusal(
        self, schema: str, name: str, argument_count: int, arguments: _Arguments | None = None
    ) -> RefusalReason | None:
        """Return why the call is refused; None if it may be made.

        Args:
            schema: the schema in the call; "" without one.
            argument_count: number of arguments in the call.
            arguments: returns their known types; called only if the database has functions of that name.
        """
        if (verdict := self._call_verdict(schema, name)) is not None:
            return None if verdict else RefusalReason.DENIED
        if listed := builtin(schema, name):
            return (
                listed.refusal(argument_count)
                or self._shadowing(schema, name, argument_count, arguments)
                or self._first_refusal(self._lookup.with_text_body(name))
            )
        if schema in ("pg_catalog", "information_schema"):
            return RefusalReason.UNKNOWN
        return self._refusal_outside_pg_catalog(schema, name, argument_count, arguments)

    def runs_texts_as_written(
        self, schema: str, name: str, argument_count: int, arguments: _Arguments
    ) -> bool:
        """Return whether a call certainly means a function whose SQL texts `sql_texts` can find.

        Args:
            schema: as in `refusal`.
            argument_count: as in `refusal`.
            arguments: as in `refusal`.
        """
        found = self._choosable(schema, name, argument_count, arguments)
        if is_built_in_for_texts(name) and builtin(schema, name):
            return not (found or self._shadowing(schema, name, argument_count, arguments))
        return bool(found) and all(map(runs_texts_as_written, found))

    def json_refusal(self, name: str) -> RefusalReason | None:
        """Return why JSON syntax is refused; None if it is not.

        A server that does not have the syntax calls a function instead.

        Args:
            name: the name of that function.
        """
        return self._first_refusal(self._lookup.functions("", name, self._path))

    def row_function_refusal(self, name: str, row: _Arguments | None = None) -> RefusalReason | None:
        """Return why `row.name` is refused; None if it is not.

        If no column has that name, it calls a function, or casts the row. If rows of a table can be cast
        implicitly, a row can be the argument of more functions.

        Args:
            row: returns what is known of the row; called only if the database has functions of that name.
        """
        if self._casts_rows:
            return self.value_function_refusal(name)
        known = row() if row and self._lookup.has_functions(name) else CallArguments(1)
        return self._row_function_refusal(name, known)

    def _row_function_refusal(self, name: str, argument: CallArguments) -> RefusalReason | None:
        found = self._lookup.functions("", name, self._path, argument)
        calling = [function for function in found if function.takes_row]
        casting = [function for function in self._casts.of_type(name) if name in function.row_types]
        return self._first_refusal(calling + casting)

    def value_function_refusal(self, name: str) -> RefusalReason | None:
        """Return why `(value).name` is refused; None if it is not.

        For a value of any type, it can call a function or cast. If no function or type has the name, it is
        the field of a row.
        """
        if refusal := self._row_function_refusal(name, CallArguments(1)) or self._first_refusal(
            self._checks_of(name)
        ):
            return refusal
        if (reason := self.type_refusal(name)) is RefusalReason.DENIED:
            return reason
        is_listed = builtin("", name) or extension_function(name)
        if not is_listed and not any(function.takes_one for function in self._by_name.get(name, ())):
            return RefusalReason.DENIED if self._settings.verdict("", name) is False else None
        refusal = self.refusal("", name, 1)
        # No value of a query can be the argument of an internal function.
        harmless = (RefusalReason.ABSENT, RefusalReason.INTERNAL, RefusalReason.UNKNOWN)
        return None if refusal in harmless else refusal

    def _checks_of(self, name: str) -> list[CatalogFunction]:
        """Return the functions of CHECKs that `(value).name` calls if the name is that of a type."""
        return [each for each in self._casts.of_values(name) if checks_values(each)]

    def operator_refusal(
        self, schema: str, symbol: str, arguments: _Arguments | None = None
    ) -> RefusalReason | None:
        """Return why an operator is refused; None if it is not.

        An operator is refused if it calls a refused function, or if it is not known.

        Args:
            schema: as written; "" when the statement names none.
            arguments: returns the known types of its operands; None if they are not written.
        """
        is_known = schema in ("", "pg_catalog") and is_known_operator(symbol)
        if is_known and not self._lookup.has_operators(symbol):
            return None
        functions = self._lookup.operators(schema, symbol, self._path, arguments() if arguments else None)
        if not is_known and not functions:
            return RefusalReason.UNKNOWN
        is_built_in = is_known and is_built_in_operator(symbol)
        return self._first_refusal(self._without_denied_extensions(functions, is_built_in))

    def compares_names_itself(self) -> bool:
        """Return whether a user-defined operator may compare a name, or a name as text, with a literal."""
        functions = (
            function
            for compared in (NAME_TYPE, TEXT_TYPE)
            for operands in [CallArguments(2, [frozenset({compared}), frozenset({UNKNOWN})])]
            for symbol in NAME_COMPARISONS
            for function in self._lookup.operators("", symbol, self._path, operands)
        )
        return any(not function.extension for function in functions)

    def relation_refusal(self, schema: str, name: str) -> Refusal | None:
        """Return why reading a relation is refused; None if it is not.

        Args:
            schema: as written; "" when the statement names none.
        """
        return self._calls.relation_refusal(schema, name)

    def column_casts(self, schema: str, name: str) -> list[ColumnCast]:
        """Return the refused casts of a relation's columns.

        Args:
            schema: as written; "" when the statement names none.
        """
        return self._calls.column_casts(schema, name)

    def result_casts(
        self, schema: str, name: str, argument_count: int, arguments: _Arguments | None = None
    ) -> list[ColumnCast]:
        """Return the refused casts of the result of a call.

        Args:
            schema: as written; "" when the call names none.
            argument_count: as in `refusal`.
            arguments: as in `refusal`.
        """
        found = self._choosable(schema, name, argument_count, arguments)
        return [cast for function in found for cast in self._calls.result_casts(function)]

    def casts_of_made_value(self, name: str) -> list[ColumnCast]:
        """Return the refused casts of the value that `(text).name` makes of a text if `name` is a type."""
        return self._calls.type_casts(name)

    @property
    def cast_search_facts(self) -> CastSearchFacts:
        """The facts about the database that a search for casts needs."""
        return self._given.cast_search_facts(self._path)

    def array_refusal(self, element: str) -> RefusalReason | None:
        """Return why a cast to a type is refused because a cast of its arrays calls a refused function."""
        return self._first_refusal(self._casts.of_arrays(element))

    def type_refusal(self, name: str) -> RefusalReason | None:
        """Return why a cast to a type is refused because it calls a refused function; None if it is not."""
        is_built_in = builtin("", name) is not None
        functions = self._without_denied_extensions(self._casts.of_type(name), is_built_in)
        if reason := self._first_refusal(functions):
            return reason
        refusal = self._calls.row_type_refusal(name)
        return refusal.reason if refusal else None

    def written_casts(self, name: str, *, of_literals: bool) -> list[ColumnCast] | None:
        """Return the refused casts of a type's values; None if the cast to the type may call one of them.

        Args:
            name: the name of the type.
            of_literals: whether the statement casts an untyped literal to the type. Then no function of a
                cast is called, because the type's input function reads the literal. Otherwise, casts that the
                server may also choose itself count as called.
        """
        found = [(each, self._calls.function_refusal(each)) for each in self._casts.of_values(name)]
        refused = [(function, refusal) for function, refusal in found if refusal]
        if not all(
            spares_literals(function) if of_literals else is_cast_from(function, name)
            for function, _ in refused
        ):
            return None
        return [
            ColumnCast("", cast, refusal, ValueKind.ELEMENT)
            for function, refusal in refused
            for cast in function.casts
        ]

    def type_text_refusal(self, text: str) -> RefusalReason | None:
        """Return why a function may not get a text that may name a type.

        Args:
            text: the text; "" if it is not known, so that it may name any type.
        """
        return self._first_refusal(self._casts.of_type_in_text(text))

    def _call_verdict(self, schema: str, name: str) -> bool | None:
        """Return whether the settings allow or deny a call, by name or by extension; None if neither."""
        verdict = self._settings.verdict(schema, name)
        if verdict is False or builtin(schema, name):
            return verdict
        by_extension = self._settings.extension_verdict(self._found(schema, name))
        return verdict if by_extension is None else by_extension

    def _without_denied_extensions(
        self, functions: Iterable[CatalogFunction], is_built_in: bool
    ) -> list[CatalogFunction]:
        """Return the functions, but leave out those of denied extensions if PostgreSQL also has the name."""
        return [
            function
            for function in functions
            if not is_built_in or self._settings.extension_verdict([function]) is not False
        ]

    def _shadowing(
        self, schema: str, name: str, argument_count: int, arguments: _Arguments | None
    ) -> RefusalReason | None:
        """Return SHADOWED if a built-in function's name may mean something refused of the database.

        It may mean a function, or a type: `reverse('x')` converts to a domain `reverse`, unless a function
        takes exactly the argument's type.
        """
        if schema:
            return None
        namesakes = self._choosable("", name, argument_count, arguments)
        meant = [function for function in namesakes if not function.extension]
        if argument_count == 1:
            meant += self._checks_of(name)
        is_refused = self._first_refusal(meant) or self._refusal_in_bodies(namesakes)
        return RefusalReason.SHADOWED if is_refused else None

    def _refusal_outside_pg_catalog(
        self, schema: str, name: str, argument_count: int, arguments: _Arguments | None
    ) -> RefusalReason | None:
        """Return why a call of a function that is not PostgreSQL's own is refused."""
        found = self._choosable(schema, name, argument_count, arguments)
        if not found:
            listed = extension_function(name)
            if listed is None:
                return RefusalReason.UNKNOWN
            absent = RefusalReason.ABSENT if self._is_catalog_read else None
            return listed.refusal(argument_count) or absent
        rows = [extension_function(name, f.extension) if f.extension else None for f in found]
        unlisted = [function for function, row in zip(found, rows, strict=True) if row is None]
        # The function may be the constructor of a range type, which makes values of that type.
        refusal = (self._first_refusal(unlisted) or self.type_refusal(name)) if unlisted else None
        by_row = (
            row.refusal(argument_count, function.argument_types)
            for function, row in zip(found, rows, strict=True)
            if row
        )
        return refusal or next(filter(None, by_row), None) or self._refusal_in_bodies(found)

    def _choosable(
        self, schema: str, name: str, argument_count: int, arguments: _Arguments | None
    ) -> list[CatalogFunction]:
        """Return the functions of the database that the server can choose for a call."""
        if not self._lookup.has_functions(name):
            return []
        known = arguments() if arguments else CallArguments(argument_count)
        return self._lookup.functions(schema, name, self._path, known)

    def _first_refusal(self, functions: Iterable[CatalogFunction]) -> RefusalReason | None:
        refusals = (self._calls.function_refusal(function) for function in functions)
        return next((refusal.reason for refusal in refusals if refusal), None)

    def _refusal_in_bodies(self, functions: Iterable[CatalogFunction]) -> RefusalReason | None:
        refusals = map(self._calls.extension_body_refusal, functions)
        return next((refusal.reason for refusal in refusals if refusal), None)

    def _found(self, schema: str, name: str) -> list[CatalogFunction]:
        schemas = {schema} if schema else set(self._path) - {PG_CATALOG}
        return [function for function in self._by_name.get(name, ()) if function.schema in schemas]
