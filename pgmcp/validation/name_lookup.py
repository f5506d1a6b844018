"""Looks up functions and operators as the server does: by search path and by the types of the arguments."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from pgmcp.validation.catalog_objects import CatalogFunction, CatalogOperator, ResolutionFacts
from pgmcp.validation.implicit_casts import FUNCTIONS_OF_ANY_ROW
from pgmcp.validation.lexer import Token, TokenKind
from pgmcp.validation.overloads import CallArguments, CallShape, OverloadChoice, is_hidden
from pgmcp.validation.shipped_lists import is_built_in_operator
from pgmcp.validation.type_system import is_polymorphic

PG_CATALOG: Final = "pg_catalog"
_SYSTEM_SCHEMAS: Final = frozenset({PG_CATALOG, "information_schema"})
ANY_SCHEMA: Final = "*"
"""An entry of a search path that stands for unknown schemas."""


TEMPORARY: Final = "pg_temp"
"""The schema of the session's temporary objects, whose name in the catalog has a number: `pg_temp_3`."""

_UTF8: Final = "UTF8"
_SQL_ASCII: Final = "SQL_ASCII"  # names are bytes of any encoding
_MAX_NAME_BYTES: Final = 63
_CHANGED_BY_EUC_JP: Final = "\u00a6"
"""The only character that a server encoding changes: EUC_JP stores a broken bar as the wide one, U+FFE4."""


@dataclass(frozen=True, slots=True)
class NameReading:
    """How the server reads names beyond ASCII. pgmcp's grammar reads all names as a server with UTF8 does.

    Attributes:
        encoding: the encoding of the database, as the server names it.
        folds_beyond_ascii: whether unquoted letters beyond ASCII become lower case. This depends on the
            database's LC_CTYPE.
    """

    encoding: str = _UTF8
    folds_beyond_ascii: bool = False

    def first_misread(self, tokens: Iterable[Token]) -> Token | None:
        """Return the first name that may be another name on the server; None if there is none."""
        return None if self.encoding == _UTF8 else next(filter(self._is_misread, tokens), None)

    def _is_misread(self, token: Token) -> bool:
        """Return whether the server may read a name differently.

        A server with another encoding cuts names after 63 bytes in that encoding.
        """
        kind, text, _ = token
        if kind is TokenKind.QUOTED_NAME and not text.startswith('"'):
            return True  # Unicode escapes may stand for any characters
        if kind not in (TokenKind.WORD, TokenKind.QUOTED_NAME) or text.isascii():
            return False
        name = text.strip('"')
        is_folded = self.folds_beyond_ascii and kind is TokenKind.WORD and self._may_fold(name)
        return is_folded or len(name.encode()) > _MAX_NAME_BYTES or _CHANGED_BY_EUC_JP in name

    def _may_fold(self, name: str) -> bool:
        return self.encoding == _SQL_ASCII or any(
            not each.isascii() and each.lower() != each for each in name
        )


def is_named(schema: str, actual: str) -> bool:
    """Return whether a schema in a statement may be a schema of the catalog; "" means any schema."""
    return schema in ("", actual) or (schema == TEMPORARY and is_temporary(actual))


def is_temporary(schema: str) -> bool:
    """Return whether a schema contains the temporary objects of a session."""
    return schema.startswith(f"{TEMPORARY}_")


def complete_path(schemas: Iterable[str]) -> tuple[str, ...]:
    """Return a search path with pg_catalog, which comes first if the path does not name it."""
    path = tuple(schemas)
    return path if PG_CATALOG in path else (PG_CATALOG, *path)


def with_usable(paths: Iterable[tuple[str, ...]], hidden: frozenset[str]) -> list[tuple[str, ...]]:
    """Return search paths, each also without the schemas that the role may not use: the server skips them."""
    usable = [tuple(each for each in path if each not in hidden) for path in paths] if hidden else []
    return list(dict.fromkeys([*paths, *usable]))


class Lookup:
    """The functions and operators of one database, by name.

    Args:
        functions: the database's own functions.
        facts: further facts of the catalog that decide what a name means.
    """

    def __init__(self, functions: Iterable[CatalogFunction], facts: ResolutionFacts) -> None:
        self._types = facts.types
        self._choose = OverloadChoice(facts.types).choose
        self._functions: dict[str, list[CatalogFunction]] = defaultdict(list)
        self._built_in_functions: dict[str, list[CatalogFunction]] = defaultdict(list)
        self._by_operator: dict[str, dict[CatalogOperator, CatalogFunction]] = defaultdict(dict)
        self._built_in_operators: dict[str, list[CatalogOperator]] = defaultdict(list)
        self._by_symbol: dict[str, list[CatalogFunction]] = defaultdict(list)
        self.sets_search_path = False
        """Whether any function sets a search path."""
        for function in functions:
            self.sets_search_path |= function.search_path is not None
            self._functions[function.name].append(function)
            for symbol in function.operators:
                self._by_symbol[symbol].append(function)
            for operator in function.overloads:
                self._by_operator[operator.symbol][operator] = function
        for function in facts.functions:
            self._built_in_functions[function.name].append(function)
        for operator in facts.operators:
            self._built_in_operators[operator.symbol].append(operator)

    def has_functions(self, name: str) -> bool:
        """Return whether the database has functions of this name, in any schema."""
        return name in self._functions

    def named(self, name: str) -> Sequence[CatalogFunction]:
        """Return the database's functions of this name, in any schema."""
        return self._functions.get(name, ())

    def with_text_body(self, name: str) -> list[CatalogFunction]:
        """Return PostgreSQL's own functions of this name with operators that the search path decides."""
        return [each for each in self.named(name) if each.schema in _SYSTEM_SCHEMAS and each.definition]

    def with_signature(self, schema: str, name: str, types: str) -> list[CatalogFunction]:
        """Return the database's function with these argument types, as pg_proc.proargtypes shows them.

        Functions of that name with unknown argument types are returned, too.
        """
        signature = (None, tuple(map(int, types.split())))
        return [
            each for each in self.named(name) if each.schema == schema and each.argument_types in signature
        ]

    def may_default_polymorphic(self, name: str, call: CallShape) -> bool:
        """Return whether a parameter's default may decide the type of a call's polymorphic result."""
        return any(
            each.is_unreadable
            or each.argument_types is None
            or any(map(is_polymorphic, each.default_types(call)))
            for each in self.named(name)
            if each.takes(call)
        )

    def finder_of_calls(self, has_column: Callable[[str, str], bool]) -> Callable[[str, str], bool]:
        """Return a predicate that takes a qualifier and a name: whether `qualifier.name` may call a function.

        Args:
            has_column: returns whether every relation with the qualifier's name has a column of this name.
        """

        def may_call(qualifier: str, name: str) -> bool:
            is_function = self.has_functions(name) or name in FUNCTIONS_OF_ANY_ROW
            return is_function and not has_column(qualifier, name)

        return may_call

    def has_operators(self, symbol: str) -> bool:
        """Return whether the database has operators of this symbol, in any schema."""
        return symbol in self._by_symbol

    def functions_of_symbol(self, symbol: str) -> list[CatalogFunction]:
        """Return the functions of the database's operators with this symbol, in any schema."""
        return self._by_symbol.get(symbol, [])

    def functions_of_built_in(self, symbol: str) -> list[CatalogFunction]:
        """Return the functions of PostgreSQL's own operators that a negator or commutator can replace."""
        found = self._by_operator.get(symbol, {})
        return [function for operator, function in found.items() if operator.schema == PG_CATALOG]

    def functions(
        self, schema: str, name: str, path: Sequence[str], arguments: CallArguments | None = None
    ) -> list[CatalogFunction]:
        """Return the database's functions that the server can choose for a call.

        Args:
            schema: as written; "" when the call names none.
            name: the name of the function.
            path: the search path.
            arguments: None if their number and types are not known.
        """
        if not self.has_functions(name):
            return []
        places = self._places_of_function(schema, name, path)
        chosen = self._choose(places, arguments) if arguments else _not_always_hidden(places, path)
        if not chosen and arguments:
            # The server should find no function. If it does find one, it may be any with this call's shape.
            chosen = [each for place in places for each in place if each.takes(arguments.shape)]
        return [each for each in chosen if schema or each.schema != PG_CATALOG]

    def result_types(
        self, schema: str, name: str, path: Sequence[str], arguments: CallArguments
    ) -> frozenset[int] | None:
        """Return the declared result types of the functions that a call can mean; None if not known.

        The catalog's facts contain PostgreSQL's own overloads of a name only in three cases: the database has
        a function of that name, too, or the overloads have results of several types or of a polymorphic type.
        """
        return _known(each.result_type for each in self.known_overloads(schema, name, path, arguments))

    def known_overloads(
        self, schema: str, name: str, path: Sequence[str], arguments: CallArguments
    ) -> list[CatalogFunction]:
        """Return the functions that a call can mean; none if some with the name are not known."""
        own = (each for each in self.named(name) if each.schema != PG_CATALOG)
        are_overloads_read = name in self._built_in_functions or any(not each.extension for each in own)
        if ANY_SCHEMA in path or not are_overloads_read or self._types.may_be_type(name):
            return []
        built_in = [self._built_in_functions.get(name, [])]
        places = built_in if schema == PG_CATALOG else self._places_of_function(schema, name, path)
        return self._choose(places, arguments)

    def result_types_of_operator(
        self, schema: str, symbol: str, path: Sequence[str], arguments: CallArguments
    ) -> frozenset[int] | None:
        """Return the declared result types of the operators that a symbol can mean; None if not known."""
        chosen = self._known_operators(schema, symbol, path, arguments)
        return _known(each.result for each in chosen)

    def left_types_of_operator(
        self, schema: str, symbol: str, path: Sequence[str], arguments: CallArguments
    ) -> frozenset[int] | None:
        """Return the declared left types of the operators that a symbol can mean; None if not known."""
        chosen = self._known_operators(schema, symbol, path, arguments)
        return _known(each.left for each in chosen)

    def _known_operators(
        self, schema: str, symbol: str, path: Sequence[str], arguments: CallArguments
    ) -> list[CatalogOperator]:
        """Return the operators that the server can choose; none if some with the symbol are not known."""
        are_overloads_read = symbol in self._built_in_operators or not is_built_in_operator(symbol)
        is_any_unknown = any(not each.overloads for each in self.functions_of_symbol(symbol))
        if ANY_SCHEMA in path or not are_overloads_read or is_any_unknown:
            return []
        return self._choose(self._places_of_operator(schema, symbol, path), arguments)

    def overloads(
        self, schema: str, name: str, path: Sequence[str], arguments: CallArguments
    ) -> list[CatalogFunction]:
        """Return the functions that the server can choose for a call, PostgreSQL's own included."""
        return self._choose(self._places_of_function(schema, name, path), arguments)

    def overloads_of_operator(
        self, schema: str, symbol: str, path: Sequence[str], arguments: CallArguments
    ) -> list[CatalogOperator]:
        """Return the operators that the server can choose, PostgreSQL's own included."""
        return self._choose(self._places_of_operator(schema, symbol, path), arguments)

    def function_of(self, operator: CatalogOperator) -> CatalogFunction | None:
        """Return the function of an operator of the database; None for PostgreSQL's own."""
        return self._by_operator.get(operator.symbol, {}).get(operator)

    def _places_of_function(self, schema: str, name: str, path: Sequence[str]) -> list[list[CatalogFunction]]:
        """Return the functions with this name in each schema in which the server looks it up."""
        found = self._functions.get(name, [])
        if schema or ANY_SCHEMA in path:
            return [[each for each in found if is_named(schema, each.schema)]]
        places = [[each for each in found if each.schema == place] for place in path]
        # `found` has only those functions of pg_catalog that the database's own operators and casts call.
        places[path.index(PG_CATALOG)] = self._built_in_functions.get(name, [])
        return places

    def _places_of_operator(
        self, schema: str, symbol: str, path: Sequence[str]
    ) -> list[list[CatalogOperator]]:
        """Return the operators with this symbol in each schema in which the server looks it up."""
        found = self._by_operator.get(symbol, {})
        built_in = self._built_in_operators.get(symbol, [])
        if schema or ANY_SCHEMA in path:
            own = [each for each in found if is_named(schema, each.schema)]
            return [[*own, *built_in] if schema == PG_CATALOG else own]
        places = [[each for each in found if each.schema == place] for place in path]
        places[path.index(PG_CATALOG)] += built_in
        return places

    def operators(
        self, schema: str, symbol: str, path: Sequence[str], arguments: CallArguments | None = None
    ) -> list[CatalogFunction]:
        """Return the functions of the operators that the server can choose for a symbol."""
        by_operator = self._by_operator.get(symbol, {})
        unknown = [each for each in self._by_symbol.get(symbol, ()) if not each.overloads]
        places = self._places_of_operator(schema, symbol, path)
        chosen = self._choose(places, arguments) if arguments else _visible_operators(places, path)
        if not chosen and arguments:
            chosen = [each for place in places for each in place if each.takes(arguments.shape)]
        return [
            *(each for each in unknown if is_named(schema, each.schema)),
            *(by_operator[each] for each in chosen if each in by_operator),
        ]


def _known(types: Iterable[int]) -> frozenset[int] | None:
    """Return the types; None if there are none or one of them is not known."""
    found = frozenset(types)
    return None if 0 in found else found or None


def _not_always_hidden(
    places: Sequence[Sequence[CatalogFunction]], path: Sequence[str]
) -> list[CatalogFunction]:
    """Return the functions without those that a function of pg_catalog hides in every call.

    Functions of other schemas hide nothing here: the server skips a schema that the role may not use.
    """
    first = path.index(PG_CATALOG) if PG_CATALOG in path else len(path)
    before = [each for place in places[:first] for each in place]
    own = [each for place in places[first : first + 1] for each in place]
    after = [each for place in places[first + 1 :] for each in place]
    return [*before, *own, *(each for each in after if not _is_always_hidden(each, own))]


def _is_always_hidden(function: CatalogFunction, earlier: Sequence[CatalogFunction]) -> bool:
    if function.max_arguments is None or function.argument_types is None:
        return False
    counts = range(function.min_arguments, function.max_arguments + 1)
    return all(is_hidden(function, earlier, CallShape(count)) for count in counts)


def _visible_operators(
    places: Sequence[Sequence[CatalogOperator]], path: Sequence[str]
) -> list[CatalogOperator]:
    """Return the operators without those that one of pg_catalog with the same operand types hides."""
    first = path.index(PG_CATALOG) if PG_CATALOG in path else len(path)
    own = {(each.left, each.right) for place in places[first : first + 1] for each in place}
    after = [each for place in places[first + 1 :] for each in place]
    return [
        *(each for place in places[: first + 1] for each in place),
        *(each for each in after if (each.left, each.right) not in own),
    ]
