"""Finds the casts and checks of one database by the types whose values call them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from pgmcp.validation.catalog_objects import CatalogCast, CatalogFunction, CatalogRelation

_ARRAY_NAME_CHARACTERS = 14
"""An array type's name begins with at least this many characters of the relation's; it is cut to 63 bytes."""


class TypeCasts:
    """Finds the functions that casts and checks call.

    Args:
        functions: the functions of the database.
        relations: the relations of the database whose columns can be cast; others are ignored.
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

    def __bool__(self) -> bool:
        """Return whether there are any casts or checks."""
        return bool(self._functions)

    def all(self) -> Iterator[CatalogFunction]:
        """Yield the functions of all types."""
        yield from (each for functions in self._functions.values() for each in functions)

    def by_name(self) -> Mapping[str, list[CatalogFunction]]:
        """Return the functions by the names of types; those of relations' rows have only checks."""
        return self._functions

    def of_type(self, name: str) -> list[CatalogFunction]:
        """Return the functions that cast to or from a type or check its values; those of rows only check."""
        return self._functions.get(name, [])

    def of_values(self, name: str) -> Iterator[CatalogFunction]:
        """Yield the functions that cast to or from a type or the parts of its values, or check them."""
        yield from self.of_type(name)
        yield from self.of_rows(name)

    def from_type(self, name: str) -> list[tuple[CatalogCast, CatalogFunction]]:
        """Return the casts and checks of a type's values, with their functions."""
        return self._casts.get(name, [])

    def held_by(self, name: str) -> set[str]:
        """Return the types that values of a type have or contain and that have casts of their own."""
        return {cast.type_name for function in self.of_values(name) for cast in function.casts}

    def casts_rows(self) -> bool:
        """Return whether the server may cast whole rows of a relation without a written cast."""
        return any(
            cast.is_chosen
            for relations in self._castable.values()
            for relation in relations
            for column, type_name, _ in relation.cast_columns
            if not column
            for cast, _ in self._casts.get(type_name, ())
        )

    def of_rows(self, name: str) -> Iterator[CatalogFunction]:
        """Yield the functions that cast to or from the types of columns, for a name of a relation's rows."""
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
        """Yield the functions that cast to or from the types of a relation's columns, without checks."""
        for _, type_name, _ in relation.cast_columns:
            yield from (each for each in self.of_type(type_name) if not is_check(each))

    def of_result(self, function: CatalogFunction) -> list[CatalogFunction]:
        """Return the functions of the casts of a result that a statement has to write.

        Those of an operator or a cast are not followed: a statement does not name their function.
        """
        if function.operators or function.types:
            return []
        found = {id(each): each for name in function.result_types for each in self.of_values(name)}
        return [each for each in found.values() if each.is_written_cast]


def is_check(function: CatalogFunction) -> bool:
    """Return whether a function is called only where a CHECK is made."""
    return bool(function.casts) and all(cast.is_check for cast in function.casts)


def checks_values(function: CatalogFunction) -> bool:
    """Return whether a CHECK calls a function."""
    return any(cast.is_check for cast in function.casts)


def targets_of(function: CatalogFunction) -> set[str]:
    """Return the types that values become through the casts that call a function."""
    return {cast.target for cast in function.casts}


def is_written_cast_from(function: CatalogFunction, type_name: str) -> bool:
    """Return whether a function is called for a type only where a statement casts its values to another."""
    casts = function.casts
    return function.is_written_cast and bool(casts) and all(cast.type_name == type_name for cast in casts)
