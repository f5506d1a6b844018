"""Finds what the body of a function calls and reads, in its parse trees or, without these, in its text."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from pgmcp.validation.argument_types import ArgumentTypes, VariableTypes
from pgmcp.validation.body import BodyText, read_body
from pgmcp.validation.body_statement import TAKES_TYPE_AS_TEXT, BodyStatement
from pgmcp.validation.catalog_objects import (
    CastColumn,
    CatalogFunction,
    CatalogNode,
    CatalogRelation,
    ColumnCast,
    ResolutionFacts,
)
from pgmcp.validation.column_values import EVERY, ValueKind, result_of
from pgmcp.validation.columns import KnownColumns
from pgmcp.validation.explicit_casts import BUILT_IN_TYPES
from pgmcp.validation.given_values import GivenValues, parameter_columns
from pgmcp.validation.grammar import Node, strings
from pgmcp.validation.name_lookup import ANY_SCHEMA, TEMPORARY, Lookup
from pgmcp.validation.refusal_reasons import Refusal, RefusalReason
from pgmcp.validation.refused_casts import find_refused_cast
from pgmcp.validation.scopes import with_references
from pgmcp.validation.sql_function import SqlFunction, may_become
from pgmcp.validation.type_casts import TypeCasts, checks_values, is_cast_from, spares_literals, targets_of
from pgmcp.validation.typed_calls import Path, RecordFields, TypedCalls

RelationsByName = Mapping[tuple[str, str], list[CatalogRelation]]


class BodyCalls:
    """Finds what the functions of one database call and read.

    Args:
        lookup: looks up functions and operators by name.
        facts: further facts of the catalog that decide what a name means.
        casts: the casts and checks of types.
        given: decides whether a function that takes values of any type may cast or check them.
        relations: the relations that call functions when they are read, by schema and name.
    """

    def __init__(
        self,
        lookup: Lookup,
        facts: ResolutionFacts,
        casts: TypeCasts,
        given: GivenValues,
        relations: RelationsByName,
    ) -> None:
        self._lookup = lookup
        self._facts = facts
        self._casts = casts
        self._given = given
        self._relations = relations
        self._relation_names = {name for _, name in relations}

    def uses_of(self, node: CatalogFunction, body: BodyText, path: Path) -> Iterator[CatalogNode]:
        """Yield the functions and relations that a body uses.

        Args:
            node: the function.
            body: its definition.
            path: the search path in the body.
        """
        yield from self._uses_of_text(body, path)
        yield from self._uses_of_signature(node, body)
        yield from self._uses_of_trees(node, body, path)
        if body.sql is None:
            found = [*self._of_names(body), *self._relations_named_in(body, path)]
            yield from self._without_written_casts(found, body, path)
            return
        for root in body.sql.statements:
            yield from self._uses_of_statement(node, body, body.sql, BodyStatement(root), path)
        for root, type_name in body.sql.defaults:
            statement = BodyStatement(root)
            yield from self._uses_of_types(statement)
            yield from self._casts_in(body.sql, statement, (), path, [type_name])

    def uses_of_extension_body(self, node: CatalogFunction, path: Path) -> Iterator[CatalogFunction]:
        """Yield what the queries and expressions of an extension's function call.

        Text that is not SQL and casts are left out, because the extension is trusted.
        """
        body = read_body(node.extension_body, node.language)
        records = self._record_fields(body, path)
        roots = body.sql.statements if body.sql else body.plpgsql.roots if body.plpgsql else ()
        for root in roots:
            calls = self._typed_calls(body, BodyStatement(root), body.variables, path, records)
            yield from calls.called()
            yield from calls.functions_of_operators()

    def _uses_of_text(self, body: BodyText, path: Path) -> Iterator[CatalogNode]:
        """Yield the functions, operators and casts that a body uses in text without parse trees."""
        text = body.around_statements
        for name in text.fields:
            called = [each for each in self._lookup.functions("", name, path) if each.takes_one]
            yield from (*called, *self._lookup.with_text_body(name))
            yield from self._without_written_casts(self._results(called), body, path)
        for schema, name in text.calls | body.text_strings.calls:
            called = self._lookup.functions(schema, name, path)
            yield from (*called, *self._lookup.with_text_body(name))
            yield from self._without_written_casts(self._results(called), body, path)
            if name in TAKES_TYPE_AS_TEXT:
                yield from self._casts.all()
        for symbol in text.symbols:
            for schema in ("", *text.operator_schemas):
                yield from self._lookup.operators(schema, symbol, path)

    def _uses_of_trees(self, node: CatalogFunction, body: BodyText, path: Path) -> Iterator[CatalogNode]:
        """Yield the functions that three kinds of parse trees call: defaults, SQL in strings, PL/pgSQL."""
        defaults = [root for root, _ in body.signature.defaults] if body.signature else []
        roots: list[tuple[Node, VariableTypes, bool]] = [(root, {}, True) for root in defaults]
        roots += [(root, {}, False) for root in body.quoted_roots]
        roots += [(root, body.variables, False) for root in (body.plpgsql.roots if body.plpgsql else ())]
        records = self._record_fields(body, path)
        for root, variables, is_stored in roots:
            statement = BodyStatement(root)
            calls = self._typed_calls(body, statement, variables, path, records)
            called = calls.called()
            yield from called
            yield from self._without_written_casts(self._results(called), body, path)
            yield from self._functions_of_operators(node, statement, calls, is_stored=is_stored)
            for text in statement.type_texts:
                yield from self._casts.of_type_in_text(text)

    def _functions_of_operators(
        self, node: CatalogFunction, statement: BodyStatement, calls: TypedCalls, *, is_stored: bool
    ) -> Iterator[CatalogFunction]:
        """Yield the functions that implement the operators of a statement.

        The server looked up the operators of a stored tree when it stored the tree, perhaps with another
        search path, and it prints implied ones without their schemas. So the operators that the catalog
        records for its function are used, and if they are not known, all operators that it may imply.
        """
        if is_stored and node.stored_operators is not None:
            for schema, name, types in node.stored_operators:
                yield from self._lookup.with_signature(schema, name, types)
            for operator in statement.operators:
                yield from self._lookup.functions_of_built_in(operator.symbol)
            return
        yield from calls.functions_of_operators()
        for operator in statement.operators if is_stored else ():
            if operator.is_implied:
                yield from self._lookup.functions_of_symbol(operator.symbol)

    def _typed_calls(
        self,
        body: BodyText,
        statement: BodyStatement,
        variables: VariableTypes,
        path: Path,
        records: RecordFields,
    ) -> TypedCalls:
        return TypedCalls(
            self._lookup,
            self._facts,
            statement,
            variables,
            path,
            are_fields_checked=body.sql is None,
            of_record=records.types_of,
        )

    def _record_fields(self, body: BodyText, path: Path) -> RecordFields:
        def types_in(query: Node) -> ArgumentTypes:
            return self._typed_calls(body, BodyStatement(query), body.variables, path, records).types

        records = RecordFields({} if ANY_SCHEMA in path else body.records, types_in)
        return records

    def _uses_of_signature(self, node: CatalogFunction, body: BodyText) -> Iterator[CatalogFunction]:
        """Yield the functions that create values of a function's parameter and result types.

        Functions of explicit casts are left out, because `_casts_in` and `refused_casts` find them where a
        body or a statement writes such a cast. They are included for the result of a function that implements
        an operator or a cast: a statement that uses this operator or cast does not name the function, so
        casts of its result would not be found there.
        """
        if body.signature is None:
            for name in body.names:
                yield from self._casts.of_values(name)
            return
        given = {strings(each["names"])[-1] for each in body.signature.given_types}
        results = {strings(each["names"])[-1] for each in body.signature.result_types}
        is_followed = not (node.operators or node.types)
        for name in given | results:
            for each in self._casts.of_values(name):
                if not each.is_written_cast or (name in results and not is_followed):
                    yield each

    def _results(self, called: Iterable[CatalogFunction]) -> Iterator[CatalogFunction]:
        return (cast for each in called for cast in self._casts.of_result(each))

    def _of_names(self, body: BodyText) -> Iterator[CatalogFunction]:
        return (
            each for name in body.names for each in (*self._casts.of_type(name), *self._casts.of_arrays(name))
        )

    def _without_written_casts(
        self, found: Iterable[CatalogNode], body: BodyText, path: Path
    ) -> Iterator[CatalogNode]:
        """Yield the nodes without the functions of explicit casts that the body's text does not contain.

        Nothing is left out for a body that is parsed in LANGUAGE sql.
        """
        for each in found:
            is_written = isinstance(each, CatalogFunction) and each.is_written_cast
            if not (is_written and body.sql is None) or self._may_cast_by(each, body, path):
                yield each

    def _may_cast_by(self, node: CatalogNode, body: BodyText, path: Path) -> bool:
        targets = targets_of(node) if isinstance(node, CatalogFunction) else set()
        return self._given.text_may_cast(body, targets, path)

    def _uses_of_statement(
        self,
        node: CatalogFunction,
        body: BodyText,
        function: SqlFunction,
        statement: BodyStatement,
        path: Path,
    ) -> Iterator[CatalogNode]:
        """Yield the functions and relations that a statement of a body in LANGUAGE sql uses."""
        records = self._record_fields(body, path)
        calls = self._typed_calls(body, statement, body.variables, path, records)
        called = calls.called()
        yield from called
        yield from self._functions_of_operators(node, statement, calls, is_stored=function.is_standard)
        relations = list(self._relations_read(statement, path))
        yield from relations
        yield from self._uses_of_types(statement)
        yield from self._uses_of_fields(function, statement, path)
        results = [
            CastColumn(result_of(each.name), cast.type_name, EVERY)
            for each in (*called, *self._functions_as_fields(statement, path))
            for result in self._casts.of_result(each)
            for cast in result.casts
        ]
        of_relations = [column for relation in relations for column in relation.cast_columns]
        parameters = parameter_columns(function, statement, self._casts.types_inside)
        if parameters is None:  # the names of the fields of a parameter are not known
            held = (strings(each["names"])[-1] for each in function.given_types)
            yield from (each for name in held for each in self._casts.of_values(name))
            return
        made = [
            CastColumn(result_of(name), type_name, EVERY)
            for name in self._names_of_types(function, statement)
            for type_name in self._casts.types_inside(name)
        ]
        found = [*of_relations, *results, *made, *parameters]
        yield from self._casts_in(function, statement, found, path, function.result_types)

    @staticmethod
    def _names_of_types(function: SqlFunction, statement: BodyStatement) -> set[str]:
        """Return the names in `name(value)` and `value.name`; each may be the name of a type.

        For such a name, the server converts a text to the type without the function of a cast. It never
        converts a row in this way, so names after rows are left out.
        """
        rows = statement.rows - function.parameters.keys()
        after_values = (name for qualifier, name in statement.columns if qualifier not in rows)
        return {*statement.call_names, *statement.fields, *after_values}

    def _functions_as_fields(self, statement: BodyStatement, path: Path) -> Iterator[CatalogFunction]:
        for name in {*statement.fields, *(name for _, name in statement.columns)}:
            yield from (each for each in self._lookup.functions("", name, path) if each.takes_one)

    def _relations_read(self, statement: BodyStatement, path: Path) -> Iterator[CatalogRelation]:
        for schema, name in statement.relations:
            if ANY_SCHEMA in path and not schema:
                found = [key for key in self._relations if key[1] == name]
            else:
                found = [(each, name) for each in ([schema] if schema else [*path, TEMPORARY])]
            yield from (relation for key in found for relation in self._relations.get(key, ()))

    def _uses_of_types(self, statement: BodyStatement) -> Iterator[CatalogFunction]:
        """Yield functions that create or check values of the types in a statement.

        Functions of explicit casts are left out where `_casts_in` finds them.
        """
        if statement.makes_any_type:
            yield from self._casts.all()
        for text in statement.type_texts:
            yield from self._casts.of_type_in_text(text)
        for name in statement.call_names | statement.fields:
            yield from filter(checks_values, self._casts.of_values(name))
        for name in statement.cast_types | statement.other_types:
            is_only_cast_to = name not in statement.other_types
            is_of_literals = name not in statement.converted_types
            for function in self._casts.of_values(name):
                is_followed = is_only_cast_to and (
                    spares_literals(function) if is_of_literals else is_cast_from(function, name)
                )
                if not is_followed:
                    yield function

    def _uses_of_fields(
        self, function: SqlFunction, statement: BodyStatement, path: Path
    ) -> Iterator[CatalogFunction]:
        """Yield the functions of CHECKs that `qualifier.name` may call because the name is that of a domain.

        If the qualifier is a row and rows have no implicit casts, only domains over rows count.
        """
        columns = KnownColumns(
            statement.root, self._facts, with_references(statement.root), path, may_skip_schemas=True
        )
        rows = statement.rows - function.parameters.keys()
        for qualifier, name in statement.columns:
            if qualifier in function.parameters or not columns.has(qualifier, name):
                is_row = qualifier in rows and not self._casts.casts_rows()
                yield from (
                    each
                    for each in filter(checks_values, self._casts.of_values(name))
                    if not is_row or name in each.row_types
                )

    def _casts_in(
        self,
        function: SqlFunction,
        statement: BodyStatement,
        columns: Iterable[CastColumn],
        path: Path,
        result_types: Sequence[Node],
    ) -> Iterator[CatalogFunction]:
        """Yield the functions of casts and CHECKs that a statement may call for values of these columns.

        Values that the statement itself casts are followed like those of columns.

        Args:
            function: the function whose body contains the statement.
            statement: the statement.
            columns: the columns whose values can be cast.
            path: the search path in the body.
            result_types: the declared types to which the statement's result is converted.
        """
        found: dict[int, tuple[CatalogFunction, list[ColumnCast]]] = {}
        cast_types = {name: self._casts.types_inside(name) for name in statement.cast_types}
        held = {type_name for each in cast_types.values() for type_name in each}
        from_types = (CastColumn("", name, ValueKind.ELEMENT) for name in held)
        for column, type_name, kind in (*columns, *from_types):
            for cast, each in self._casts.from_type(type_name):
                refusal = Refusal(each.name, RefusalReason.UNKNOWN)
                found.setdefault(id(each), (each, []))[1].append(ColumnCast(column, cast, refusal, kind))
        if not found:
            return
        facts = self._given.cast_search_facts_in(function, statement.root, path)
        for each, casts in found.values():
            targets = frozenset(cast.cast.target for cast in casts)
            if find_refused_cast(
                statement.root,
                casts,
                facts,
                cast_types=cast_types,
                shows_result=not may_become(result_types, targets, BUILT_IN_TYPES),
            ):
                yield each

    def _relations_named_in(self, body: BodyText, path: Path) -> Iterator[CatalogNode]:
        names = self._relation_names & body.names
        for (schema, name), relations in self._relations.items():
            if name in names and _is_named(schema, name, body, path):
                yield from relations
                for relation in relations:
                    yield from self._casts.of_relation(relation)


def _is_named(schema: str, name: str, body: BodyText, path: Path) -> bool:
    """Return whether a body may name a relation: with its schema, or without if the schema is on the path."""
    is_on_path = schema in (*path, TEMPORARY) or ANY_SCHEMA in path
    return (schema, name) in body.qualified_names or (is_on_path and ("", name) in body.qualified_names)
