"""The casts and checks of one database, by the types whose values call them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from pgmcp.validation.body import BodyText
from pgmcp.validation.catalog_objects import CatalogCast, CatalogFunction, CatalogRelation
from pgmcp.validation.grammar import strings

_ARRAY_NAME_CHARACTERS = 14
"""The name of an array type begins with at least so many characters of the relation's, cut to 63 bytes."""


class TypeCasts:
    """Finds the functions that casts and checks call.

    Args:
        functions: those of the database.
        relations: likewise.
    """

    def __init__(self, functions: Iterable[CatalogFunction], relations: Iterable[CatalogRelation]) -> None:
        self._functions: dict[str, list[CatalogFunction]] = defaultdict(list)
        self._casts: dict[str, list[tuple[CatalogCast, CatalogFunction]]] = defaultdict(list)
        for function in functions:
            for type_name in function.types:
                self._functions[type_name].append(function)
            for cast in function.casts:
                self._casts[cast.type_name].append((cast, function))
        self._castable: dict[str, list[CatalogRelation]] = defaultdict(list)
        for relation in relations:
            if relation.cast_columns:
                self._castable[relation.name].append(relation)
        self._results: dict[int, list[CatalogFunction]] = {}  # by id(): hashing a definition costs more

    def __bool__(self) -> bool:
        """Return whether there are any casts."""
        return bool(self._casts)

    def all(self) -> Iterator[CatalogFunction]:
        """Yield the functions of all types."""
        yield from (each for functions in self._functions.values() for each in functions)

    def by_name(self) -> Mapping[str, list[CatalogFunction]]:
        """Return the functions by the names of types; those of relations' rows have only checks."""
        return self._functions

    def of_type(self, name: str) -> list[CatalogFunction]:
        """Return what casts to or from a type, or checks its values; of a relation's row, what checks it."""
        return self._functions.get(name, [])

    def from_type(self, name: str) -> list[tuple[CatalogCast, CatalogFunction]]:
        """Return the casts of a type's values, with their functions."""
        return self._casts.get(name, [])

    def casts_rows(self) -> bool:
        """Return whether the server may cast whole rows of a relation where no cast is written."""
        return any(
            cast.is_chosen
            for relations in self._castable.values()
            for relation in relations
            for column, type_name, _ in relation.cast_columns
            if not column
            for cast, _ in self._casts.get(type_name, ())
        )

    def of_rows(self, name: str) -> Iterator[CatalogFunction]:
        """Yield the casts of the values in rows of the relations that a type's name may mean."""
        rows = list(self._castable.get(name, ()))
        if name.startswith("_"):  # the name of an array type
            start = name.lstrip("_")[:_ARRAY_NAME_CHARACTERS]
            rows += [
                relation
                for each, relations in self._castable.items()
                if each.lstrip("_").startswith(start)
                for relation in relations
            ]
        yield from (function for relation in rows for function in self.of_relation(relation))

    def of_relation(self, relation: CatalogRelation) -> Iterator[CatalogFunction]:
        """Yield what casts the values of a relation's columns."""
        for _, type_name, _ in relation.cast_columns:
            yield from (function for cast, function in self._casts.get(type_name, ()) if not cast.is_check)

    def with_results(self, functions: Iterable[CatalogFunction]) -> Iterator[CatalogFunction]:
        """Yield functions and the explicit casts of their results, where the use of these is not known."""
        for function in functions:
            yield function
            yield from self.of_result(function)

    def of_result(self, function: CatalogFunction) -> list[CatalogFunction]:
        """Return the functions of explicit casts from the types of a result, if its calls can be followed.

        Those of an operator or a cast cannot: the statement does not name the function.
        """
        if not self._casts or function.operators or function.types or not function.definition:
            return []
        if id(function) not in self._results:
            sql = BodyText(function.definition, function.language).sql
            names = {strings(each["names"])[-1] for each in sql.result_types} if sql else set()
            given = {strings(each["names"])[-1] for each in sql.given_types} if sql else set()
            found = {
                id(each): each
                for name in names - given
                for each in (*self.of_type(name), *self.of_rows(name))
            }
            self._results[id(function)] = [each for each in found.values() if is_explicit_cast(each)]
        return self._results[id(function)]


def is_explicit_cast(function: CatalogFunction) -> bool:
    """Return whether a function is called only where a statement casts to another type."""
    return bool(function.casts) and not any(cast.is_chosen or cast.is_check for cast in function.casts)


def is_written_cast_from(function: CatalogFunction, type_name: str) -> bool:
    """Return whether a function is called for a type only where a statement casts its values to another."""
    return is_explicit_cast(function) and all(cast.type_name == type_name for cast in function.casts)
