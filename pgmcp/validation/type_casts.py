"""Finds the casts and checks of one database by the types of the values that they convert or check."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from pgmcp.validation.catalog_objects import CatalogCast, CatalogFunction, CatalogRelation

_ARRAY_NAME_CHARACTERS = 14
"""An array type's name, cut to 63 bytes, has at least this many characters of its relation's name."""


class TypeCasts:
    """Finds the functions that casts and checks call.

    Args:
        functions: the functions of the database.
        relations: the relations of the database; only those with columns that can be cast are used.
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

    def of_type(self, name: str) -> list[CatalogFunction]:
        """Return the functions of a type's casts and checks; for a relation's row type, only of checks."""
        return self._functions.get(name, [])

    def of_type_in_text(self, text: str) -> Iterator[CatalogFunction]:
        """Yield the functions of all types that a text may name; those of all types if the text is empty.

        The text may also contain only the beginning of a name, in that of its array type.
        """
        folded = text.casefold()
        for name, functions in self._functions.items():
            if not text or name[:_ARRAY_NAME_CHARACTERS].casefold() in folded:
                yield from functions

    def of_values(self, name: str) -> Iterator[CatalogFunction]:
        """Yield the functions that cast to or from a type or, for a row type, the types of its columns.

        Functions that check values of the type are among them.
        """
        yield from self.of_type(name)
        yield from self.of_arrays(name)
        yield from self.of_rows(name)

    def of_arrays(self, element: str) -> list[CatalogFunction]:
        """Return the functions that cast to or from arrays, by the name of the type of their elements."""
        return self._functions.get(f"{element}[]", [])

    def from_type(self, name: str) -> list[tuple[CatalogCast, CatalogFunction]]:
        """Return the casts and checks of a type's values, with their functions."""
        return self._casts.get(name, [])

    def types_inside(self, name: str) -> set[str]:
        """Return the types with casts or checks that are the type of a value or of parts of it.

        Args:
            name: the name of the value's type.
        """
        return {cast.type_name for function in self.of_values(name) for cast in function.casts}

    def casts_rows(self) -> bool:
        """Return whether the server may cast whole rows of a relation without an explicit cast."""
        return any(
            cast.is_chosen
            for relations in self._castable.values()
            for relation in relations
            for column, type_name, _ in relation.cast_columns
            if not column
            for cast, _ in self._casts.get(type_name, ())
        )

    def of_rows(self, name: str) -> Iterator[CatalogFunction]:
        """Yield the functions that cast to or from the types of a relation's columns, by its row type's name.

        The name of an array type may stand for each relation whose name begins like it.
        """
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
        """Return the functions of the explicit casts that a function's result can have.

        There are none for the function of an operator or a cast, because no statement names that function.
        """
        if function.operators or function.types:
            return []
        found = {id(each): each for name in function.result_types for each in self.of_values(name)}
        return [each for each in found.values() if each.is_written_cast]


def is_check(function: CatalogFunction) -> bool:
    """Return whether only CHECKs call a function."""
    return bool(function.casts) and all(cast.is_check for cast in function.casts)


def checks_values(function: CatalogFunction) -> bool:
    """Return whether a CHECK calls a function."""
    return any(cast.is_check for cast in function.casts)


def spares_literals(function: CatalogFunction) -> bool:
    """Return whether a function is never called for a literal that becomes a value of a type.

    The casts of its values to other types are followed, if they are known.
    """
    is_known = bool(function.casts) and all(cast.type_name != cast.target for cast in function.casts)
    return function.spares_literals or is_known


def targets_of(function: CatalogFunction) -> set[str]:
    """Return the types that values become through the casts that call a function."""
    return {cast.target for cast in function.casts}


def is_cast_from(function: CatalogFunction, type_name: str) -> bool:
    """Return whether only casts from this type call a function, so that no cast to the type calls it.

    Casts to the type that only apply a length count as casts to it.
    """
    is_known = bool(function.casts and function.cast_targets)
    is_source = all(cast.type_name == type_name and not cast.is_check for cast in function.casts)
    return is_known and is_source and type_name not in function.cast_targets
