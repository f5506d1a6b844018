"""Finds the overloads of a function or operator that the server can choose for a call.

The rules are those of the PostgreSQL manual, chapter "Type Conversion", sections "Operators" and "Functions".
An overload is hidden by one with the same argument types in an earlier schema of the search path. An exact
match of types wins, then the overload that needs the fewest conversions, preferred types first. If the type
of an argument is not known, all overloads that the server would choose for some type are returned.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Final, NamedTuple, Protocol, TypeVar

from pgmcp.validation.type_system import (
    MAX_COMBINATIONS,
    NOT_ARRAY,
    TAKEN_BY_POLYMORPHIC,
    UNKNOWN,
    CatalogType,
    TypeSystem,
)

_STRING_CATEGORY: Final = "S"


class CallShape(NamedTuple):
    """How the arguments of a call are written.

    Attributes:
        number: how many there are.
        names: the names of the last ones, as in `f(1, b => 2)`.
        is_variadic: whether VARIADIC is written before the last one.
    """

    number: int
    names: tuple[str, ...] = ()
    is_variadic: bool = False


@dataclass(frozen=True, slots=True)
class CallArguments:
    """The known facts about the arguments of a call.

    Attributes:
        count: number of arguments.
        types: for each argument, the OIDs of the types that it can have; None if these are not known.
        names: names of the last ones, as in `CallShape`.
        is_variadic: whether VARIADIC is written before the last one.
    """

    count: int
    types: Sequence[frozenset[int] | None] = ()
    names: tuple[str, ...] = ()
    is_variadic: bool = False

    @property
    def shape(self) -> CallShape:
        """How the arguments are written."""
        return CallShape(self.count, self.names, self.is_variadic)


class Overload(Protocol):
    """One of the functions or operators with the same name."""

    def takes(self, call: CallShape) -> bool:
        """Return whether the server can choose it for a call with arguments in this form."""

    def effective_types(self, call: CallShape) -> tuple[int, ...] | None:
        """Return the types of the arguments of such a call, in the order of the call; None if not known."""


_Overload = TypeVar("_Overload", bound=Overload)


class OverloadChoice:
    """Chooses among the overloads of one name by the types of the arguments.

    Args:
        types: the types of the database.
    """

    def __init__(self, types: TypeSystem) -> None:
        self._types = types

    def choose(self, places: Sequence[Sequence[_Overload]], arguments: CallArguments) -> list[_Overload]:
        """Return the overloads that the server can choose for a call.

        Args:
            places: the overloads in each schema of the search path.
        """
        call = arguments.shape
        places = [[each for each in place if each.takes(call)] for place in places]
        visible = list(_visible(places, call))
        if any(overload.effective_types(call) is None for overload in visible):
            return visible
        types = arguments.types or [None] * arguments.count
        known = [each for each in types if each is not None]
        if len(known) < len(types) or prod(map(len, known)) > MAX_COMBINATIONS:
            return [each for each in visible if self._may_take(each, call, types)]
        chosen = {
            id(each) for combination in product(*known) for each in self._best(visible, call, combination)
        }
        return [each for each in visible if id(each) in chosen]

    def _may_take(self, overload: Overload, call: CallShape, types: Sequence[frozenset[int] | None]) -> bool:
        targets = overload.effective_types(call) or ()
        return all(
            sources is None or any(self._types.is_coerced(source, target) is not False for source in sources)
            for sources, target in zip(types, targets, strict=True)
        )

    def _best(self, overloads: list[_Overload], call: CallShape, types: tuple[int, ...]) -> list[_Overload]:
        """Return the overload that the server chooses for these types; several if that is uncertain."""
        targets = {id(each): each.effective_types(call) or () for each in overloads}
        if exact := [each for each in overloads if targets[id(each)] == types]:
            return exact
        if exact := self._exact_operator(overloads, types):
            return exact
        coercions = {id(each): self._coercions(targets[id(each)], types) for each in overloads}
        viable = [each for each in overloads if coercions[id(each)] is not False]
        if len(viable) < 2 or any(coercions[id(each)] is None for each in viable):
            return viable
        taken: dict[int, tuple[CatalogType, ...]] = {}
        for each in viable:
            found = self._types.described(targets[id(each)])
            if found is None:
                return viable
            taken[id(each)] = found
        return self._select(viable, taken, tuple(map(self._types.base_oid, types)))

    def _exact_operator(self, overloads: list[_Overload], types: tuple[int, ...]) -> list[_Overload]:
        """Return the operator whose operands both have the type of the one known operand."""
        known = set(types) - {UNKNOWN}
        if len(types) != 2 or len(known) != 1 or not all(getattr(each, "symbol", "") for each in overloads):
            return []
        (one,) = known
        for each in (one, self._types.base_oid(one)):
            if exact := [found for found in overloads if found.effective_types(CallShape(2)) == (each, each)]:
                return exact
        return []

    def _select(
        self,
        overloads: list[_Overload],
        targets: Mapping[int, tuple[CatalogType, ...]],
        types: tuple[int, ...],
    ) -> list[_Overload]:
        """Return the overloads that remain after step 4.c of the manual's rules and the steps after it.

        Args:
            targets: the types of the arguments of each overload, by its id().
        """
        count = len(types)
        known = [place for place, each in enumerate(types) if each != UNKNOWN]

        def exact(overload: _Overload, place: int) -> bool:
            return targets[id(overload)][place].oid == types[place]

        def preferred(overload: _Overload, place: int) -> bool:
            target, source = targets[id(overload)][place], self._types.get(types[place])
            is_preferred = source and target.is_preferred and target.category == source.category
            return exact(overload, place) or bool(is_preferred)

        for fits in (exact, preferred):
            scores = [sum(fits(each, place) for place in known) for each in overloads]
            overloads = [each for each, score in zip(overloads, scores, strict=True) if score == max(scores)]
        if len(overloads) > 1 and len(known) < count:
            overloads = self._select_by_category(overloads, targets, set(range(count)) - set(known))
        if len(overloads) > 1 and len(known) < count and len({types[place] for place in known}) == 1:
            assumed = (types[known[0]],) * count
            fitting = [
                each
                for each in overloads
                if self._coercions(tuple(target.oid for target in targets[id(each)]), assumed) is not False
            ]
            overloads = fitting if len(fitting) == 1 else overloads
        return overloads

    def _select_by_category(
        self, overloads: list[_Overload], types: Mapping[int, tuple[CatalogType, ...]], places: set[int]
    ) -> list[_Overload]:
        """Return the overloads that take the type category that the server assumes for untyped literals."""
        left = overloads
        for place in places:
            targets = [types[id(each)][place] for each in overloads]
            categories = {each.category for each in targets}
            if _STRING_CATEGORY not in categories and len(categories) > 1:
                return overloads
            category = _STRING_CATEGORY if _STRING_CATEGORY in categories else categories.pop()
            has_preferred = any(each.is_preferred for each in targets if each.category == category)
            taken = {
                id(overload)
                for overload, target in zip(overloads, targets, strict=True)
                if target.category == category and (target.is_preferred or not has_preferred)
            }
            left = [each for each in left if id(each) in taken]
        return left or overloads

    def _coercions(self, targets: tuple[int, ...], types: tuple[int, ...]) -> bool | None:
        """Return whether all arguments can be coerced; None if it is not certain."""
        pairs = list(zip(types, targets, strict=True))
        found = {self._types.is_coerced(source, target) for source, target in pairs}
        if False in found:
            return False
        polymorphic = [
            (source, TAKEN_BY_POLYMORPHIC[target])
            for source, target in pairs
            if target in TAKEN_BY_POLYMORPHIC
        ]
        known = [source for source, _ in polymorphic if source != UNKNOWN]
        # A literal gets its type from the other arguments. Its own parameter may not take that type.
        limits = {kind for source, kind in polymorphic if source == UNKNOWN} & {NOT_ARRAY, "e"}
        if "e" in limits and not known:
            return False
        return None if None in found or len(known) > 1 or (known and limits) else True


def is_hidden(overload: Overload, earlier: Iterable[Overload], call: CallShape) -> bool:
    """Return whether an overload in an earlier schema has the same types in a call."""
    types = overload.effective_types(call)
    return types is not None and any(
        each.takes(call) and each.effective_types(call) == types for each in earlier
    )


def _visible(places: Sequence[Sequence[_Overload]], call: CallShape) -> Iterator[_Overload]:
    """Yield the overloads, without those hidden by one with the same types in an earlier schema."""
    seen: set[tuple[int, ...]] = set()
    for place in places:
        found = [(each, each.effective_types(call)) for each in place]
        yield from (each for each, types in found if types is None or types not in seen)
        seen.update(types for _, types in found if types is not None)
