"""Finds the first place where a statement may call a refused cast or a refused CHECK of a domain.

A cast or CHECK is refused if the function that it calls is refused.
"""

import logging
from collections.abc import Iterator, Mapping, Set
from itertools import chain
from typing import NamedTuple

from pgmcp.validation.catalog_objects import ColumnCast
from pgmcp.validation.column_values import (
    EVERY,
    NONE,
    CastSearchFacts,
    ValueKind,
    is_result,
    names_of_columns,
)
from pgmcp.validation.domain_literals import LiteralsOfDomains
from pgmcp.validation.explicit_casts import ExplicitCasts
from pgmcp.validation.grammar import Node
from pgmcp.validation.implicit_casts import ImplicitCasts
from pgmcp.validation.refusal_reasons import ALLOW_HINT, TEXT_BY_REASON

_logger = logging.getLogger(__name__)

_IMPLICIT_CAST_HINT = (
    "select it as it is, sort, group or count by it, or test it for NULL, without set operations, NATURAL, "
    f"USING and new names for columns; {ALLOW_HINT}"
)
_CHECK_HINT = f"cast the literal beside it to a built-in type; {ALLOW_HINT}"
_EXPLICIT_CAST_HINT = f"use it without this cast: show it, or compare it with a literal; {ALLOW_HINT}"


class CastUse(NamedTuple):
    """A place where a statement may call a refused cast.

    Attributes:
        cast: one of the casts that the place may call. A cast of a column that the place names goes first.
        place: the fields of the parse-tree node.
        hint: what to write instead.
    """

    cast: ColumnCast
    place: Node
    hint: str

    @property
    def offending(self) -> str:
        """The name of the column; the name of the type if the value does not come from a column."""
        return self.cast.column or self.cast.cast.type_name

    @property
    def message(self) -> str:
        """Why the statement is refused."""
        column, cast, refusal, _ = self.cast
        what = "CHECK" if cast.is_check else "cast"
        subject = f"column {column}" if column else f"a value of type {cast.type_name}"
        if is_result(column):
            subject = f"the result of {column}"
        return (
            f"{subject} may be cast here, and a {what} of its type uses {refusal.cause}, "
            f"which is refused because {TEXT_BY_REASON[refusal.reason]}"
        )


def find_refused_cast(
    root: Node,
    casts: list[ColumnCast],
    facts: CastSearchFacts,
    *,
    cast_types: Mapping[str, Set[str]],
    shows_result: bool = True,
) -> CastUse | None:
    """Return the first place where a statement may call a refused cast or CHECK; None if there is none.

    The statement is searched for implicit casts, then for explicit casts, then for CHECKs. If a search meets
    a form of the tree that it does not know, the whole statement counts as the place.

    Args:
        root: the tree of the statement.
        casts: the refused casts and CHECKs of the columns, results of functions, and types in the statement.
        facts: facts about the database.
        cast_types: for each type to which the statement casts, by name: the types with casts or CHECKs that
            its values have or contain, such as the element type of an array.
        shows_result: as in `ImplicitCasts`.
    """
    chosen = [each for each in casts if each.cast.is_chosen]
    checked = [each for each in casts if each.cast.is_check]
    named = [each for each in casts if not (each.cast.is_chosen or each.cast.is_check)]
    uses = chain(
        _implicit_uses(root, chosen, facts, cast_types, shows_result=shows_result),
        _explicit_uses(root, named, facts, cast_types),
        _check_uses(root, checked, facts),
    )
    try:
        return next(uses, None)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        _logger.warning("a statement has a form that the search for casts does not know: %r", error)
        return CastUse(casts[0], root, _EXPLICIT_CAST_HINT)


def _implicit_uses(
    root: Node,
    casts: list[ColumnCast],
    facts: CastSearchFacts,
    cast_types: Mapping[str, Set[str]],
    *,
    shows_result: bool,
) -> Iterator[CastUse]:
    """Yield, for each group of casts, the first place that may call one of them implicitly."""
    for group in _by_targets(casts):
        columns, targets = {each.column for each in group}, {each.cast.target for each in group}
        made = {each.cast.type_name for each in group if not each.column}
        types = {name for name, held in cast_types.items() if held & made}
        found = ImplicitCasts(root, columns, targets, facts, types=types, shows_result=shows_result)
        if place := found.first():
            yield _use(group, place, _IMPLICIT_CAST_HINT)


def _explicit_uses(
    root: Node, casts: list[ColumnCast], facts: CastSearchFacts, cast_types: Mapping[str, Set[str]]
) -> Iterator[CastUse]:
    """Yield, for each group of casts, the first place that may call one of them explicitly."""
    for group in _by_targets(casts):
        kinds, targets = _kinds_by_column(group), {each.cast.target for each in group}
        made = {each.cast.type_name for each in group if not each.column}
        types = {
            name: ValueKind.ELEMENT | ValueKind.ARRAY if name in held & made else EVERY
            for name, held in cast_types.items()
            if held & made
        }
        if place := ExplicitCasts(root, kinds, targets, facts, types=types).first():
            yield _use(group, place, _EXPLICIT_CAST_HINT)


def _check_uses(root: Node, casts: list[ColumnCast], facts: CastSearchFacts) -> Iterator[CastUse]:
    """Yield the first place where a literal may become a value of one of the domains, if there is any."""
    if casts:
        are_several = len({each.cast.type_name for each in casts}) > 1
        literals = LiteralsOfDomains(root, _kinds_by_column(casts), facts, are_several=are_several)
        if place := literals.first():
            yield _use(casts, place, _CHECK_HINT)


def _use(casts: list[ColumnCast], place: Node, hint: str) -> CastUse:
    """Return a use of the first cast of a column that the place names; without one, of the first cast."""
    mentioned = names_of_columns(place)
    return CastUse(next((each for each in casts if each.column in mentioned), casts[0]), place, hint)


def _by_targets(casts: list[ColumnCast]) -> list[list[ColumnCast]]:
    """Group the casts: columns and types with the same set of target types form one group."""
    by_subject: dict[tuple[str, str], list[ColumnCast]] = {}
    for each in casts:
        type_name = "" if each.column else each.cast.type_name
        by_subject.setdefault((each.column, type_name), []).append(each)
    groups: dict[frozenset[str], list[ColumnCast]] = {}
    for found in by_subject.values():
        groups.setdefault(frozenset(each.cast.target for each in found), []).extend(found)
    return list(groups.values())


def _kinds_by_column(casts: list[ColumnCast]) -> dict[str, ValueKind]:
    kinds: dict[str, ValueKind] = {}
    for cast in casts:
        kinds[cast.column] = kinds.get(cast.column, NONE) | cast.kind
    return kinds
