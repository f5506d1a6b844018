"""Looks up a name as the server does: through the search path, and by the arguments of the call."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from pgmcp.validation.catalog_objects import CatalogFunction, CatalogOperator, ResolutionFacts
from pgmcp.validation.implicit_casts import FUNCTIONS_OF_ANY_ROW
from pgmcp.validation.overloads import CallArguments, is_hidden

PG_CATALOG: Final = "pg_catalog"
ANY_SCHEMA: Final = "*"
"""In a search path: unknown schemas."""


def complete_path(schemas: Iterable[str]) -> tuple[str, ...]:
    """Return a search path with pg_catalog, which comes first if the path does not name it."""
    path = tuple(schemas)
    return path if PG_CATALOG in path else (PG_CATALOG, *path)


class Lookup:
    """The functions and operators of one database, by name.

    Args:
        functions: the database's own functions.
        facts: further facts that decide which of them a name means.
    """

    def __init__(self, functions: Iterable[CatalogFunction], facts: ResolutionFacts) -> None:
        self._types = facts.types
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

    def finder_of_calls(self, has_column: Callable[[str, str], bool]) -> Callable[[str, str], bool]:
        """Return a predicate: whether `qualifier.name` may call a function.

        Args:
            has_column: returns whether everything called like the qualifier has a column of that name.
        """

        def may_call(qualifier: str, name: str) -> bool:
            is_function = self.has_functions(name) or name in FUNCTIONS_OF_ANY_ROW
            return is_function and not has_column(qualifier, name)

        return may_call

    def has_operators(self, symbol: str) -> bool:
        """Return whether the database has operators of this symbol, in any schema."""
        return symbol in self._by_symbol

    def behind_symbol(self, symbol: str) -> list[CatalogFunction]:
        """Return the functions of the database's operators with this symbol, in any schema."""
        return self._by_symbol.get(symbol, [])

    def functions(
        self, schema: str, name: str, path: Sequence[str], arguments: CallArguments | None = None
    ) -> list[CatalogFunction]:
        """Return the database's functions that the server can choose for a call.

        Args:
            schema: as written; "" when the call names none.
            arguments: None if their types are not known.
        """
        found = self._functions.get(name, [])
        if not found:
            return []
        if schema or ANY_SCHEMA in path:
            places = [[each for each in found if schema in ("", each.schema)]]
        else:
            places = [[each for each in found if each.schema == place] for place in path]
            # Of pg_catalog, `found` has what operators and casts of the database call.
            places[path.index(PG_CATALOG)] = self._built_in_functions.get(name, [])
        chosen = self._types.choose(places, arguments) if arguments else _not_always_hidden(places, path)
        if not chosen and arguments:
            # The server should find no function. If it finds one, it can be any of them.
            chosen = [each for place in places for each in place if each.takes(arguments.count)]
        return [each for each in chosen if schema or each.schema != PG_CATALOG]

    def operators(
        self, schema: str, symbol: str, path: Sequence[str], arguments: CallArguments | None = None
    ) -> list[CatalogFunction]:
        """Return the functions behind the operators that the server can choose for a symbol."""
        by_operator = self._by_operator.get(symbol, {})
        unknown = [each for each in self._by_symbol.get(symbol, ()) if not each.overloads]
        if schema or ANY_SCHEMA in path:
            places = [[each for each in by_operator if schema in ("", each.schema)]]
        else:
            places = [[each for each in by_operator if each.schema == place] for place in path]
            places[path.index(PG_CATALOG)] += self._built_in_operators.get(symbol, [])
        chosen = self._types.choose(places, arguments) if arguments else _visible_operators(places, path)
        if not chosen and arguments:
            chosen = [each for place in places for each in place if each.takes(arguments.count)]
        return [
            *(each for each in unknown if schema in ("", each.schema)),
            *(by_operator[each] for each in chosen if each in by_operator),
        ]


def _not_always_hidden(
    places: Sequence[Sequence[CatalogFunction]], path: Sequence[str]
) -> list[CatalogFunction]:
    """Return the functions that PostgreSQL's own do not hide in every call.

    Other schemas do not count, because the server skips schemas that the role may not use.
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
    return all(is_hidden(function, earlier, count) for count in counts)


def _visible_operators(
    places: Sequence[Sequence[CatalogOperator]], path: Sequence[str]
) -> list[CatalogOperator]:
    first = path.index(PG_CATALOG) if PG_CATALOG in path else len(path)
    own = {(each.left, each.right) for place in places[first : first + 1] for each in place}
    after = [each for place in places[first + 1 :] for each in place]
    return [
        *(each for place in places[: first + 1] for each in place),
        *(each for each in after if (each.left, each.right) not in own),
    ]
