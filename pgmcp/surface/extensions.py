"""How the features of `pgmcp.features` take part in the calls of a tool."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from msgspec import Struct, defstruct

from pgmcp.execution.result import RowLimits
from pgmcp.features import AnswerExtension


def extended(kind: type[Struct], extensions: Sequence[AnswerExtension]) -> type[Struct]:
    """Return the struct with the arguments that features add."""
    added = [each.argument for each in extensions if each.argument]
    if not added:
        return kind
    fields = [(argument.name, argument.type, argument.default) for argument in added]
    return defstruct(kind.__name__, fields, bases=(kind,), kw_only=True, frozen=True)


def withheld(extensions: Sequence[AnswerExtension]) -> dict[str, str]:
    """Return the arguments that are not offered with these settings, and what an operator can do."""
    return {
        each.argument.name: each.argument.needs
        for each in extensions
        if each.argument and each.argument.needs
    }


class Chosen(NamedTuple):
    """A feature in one call, with the value of its argument.

    Attributes:
        is_used: the call gives the feature's argument.
        acts: it may change the answer or the reply; a feature with an argument does so only if it is used.
    """

    extension: AnswerExtension
    value: Any
    is_used: bool
    acts: bool


def choose(extensions: Sequence[AnswerExtension], given: Struct, *, is_executed: bool) -> list[Chosen]:
    """Return the features with their values, checked before anything is run for them."""
    chosen = []
    for each in extensions:
        value = getattr(given, each.argument.name) if each.argument else None
        is_used = each.argument is not None and each.argument.is_used(value)
        each.check(value, is_executed=is_executed)
        chosen.append(Chosen(each, value, is_used, is_used or each.argument is None))
    return chosen


def chosen_row_limits(chosen: Sequence[Chosen]) -> RowLimits | None:
    """Return the limits of the result, if a feature in use has its own."""
    limits = (each.extension.row_limits for each in chosen if each.is_used)
    return next(filter(None, limits), None)
