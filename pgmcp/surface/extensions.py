"""Lets the features of `pgmcp.features` take part in the calls of a tool."""

from collections.abc import Sequence
from functools import cache
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
    """Return the arguments that these settings do not offer, each with a hint on how to enable it."""
    return {
        each.argument.name: each.argument.needs
        for each in extensions
        if each.argument and each.argument.needs
    }


class Chosen(NamedTuple):
    """The features in one call.

    Attributes:
        acting: features that may change the answer or the reply, with the values of their arguments. A
            feature with an argument acts only if the call uses the argument.
        row_limits: limits of the result that a feature in use sets; None for the usual limits.
        more_rows_hint: how a caller gets more rows with features that this call does not use; "" if none of
            them gives more.
    """

    acting: tuple[tuple[AnswerExtension, Any], ...]
    row_limits: RowLimits | None
    more_rows_hint: str


def choose(extensions: tuple[AnswerExtension, ...], given: Struct, *, is_executed: bool) -> Chosen:
    """Return the features of a call, after a check of the values of their arguments.

    Raises:
        PgmcpError: a feature cannot be used in this call.
    """
    for each in extensions:
        argument = each.argument
        if argument is not None and argument.is_used(getattr(given, argument.name)):
            return _choose_used(extensions, given, is_executed=is_executed)
    return choose_unused(extensions)


def _choose_used(extensions: Sequence[AnswerExtension], given: Struct, *, is_executed: bool) -> Chosen:
    acting: list[tuple[AnswerExtension, Any]] = []
    row_limits, hints = None, []
    for each in extensions:
        value = getattr(given, each.argument.name) if each.argument else None
        if each.argument is None:
            acting.append((each, value))
            hints.append(each.more_rows_hint)
        elif each.argument.is_used(value):
            each.check(value, is_executed=is_executed)
            acting.append((each, value))
            row_limits = row_limits or each.row_limits
        else:
            hints.append(each.more_rows_hint)
    return Chosen(tuple(acting), row_limits, ", or ".join(filter(None, hints)))


@cache  # nearly every call uses no argument of a feature, and a server has one tuple of extensions
def choose_unused(extensions: tuple[AnswerExtension, ...]) -> Chosen:
    """Return the features of a call that uses no argument of a feature."""
    acting = tuple((each, None) for each in extensions if each.argument is None)
    hints = [each.more_rows_hint for each in extensions]
    return Chosen(acting, None, ", or ".join(filter(None, hints)))
