"""Remembers shapes of cheap statements, so that the planner is not asked again for each of them.

Two statements have the same shape if they differ only in numbers and quoted text. The second may still be
expensive, so it runs on a reserved worker only for a short time (`BRIEF_S`).
"""

import re
from collections import OrderedDict
from typing import Final

BRIEF_S: Final = 0.1
"""Maximum duration of a statement of a cheap shape on a reserved worker."""

_MAX_SHAPES: Final = 512
_MAX_STATEMENT_BYTES: Final = 10_000
_LITERAL: Final = re.compile(rb"'[^']*'|\b\d+(?:\.\d+)?\b")


class CheapShapes:
    """A bounded set of shapes; the one that was not used for longest is removed first."""

    def __init__(self) -> None:
        self._shapes: OrderedDict[bytes, None] = OrderedDict()

    def knows(self, sql: bytes) -> bool:
        """Return whether a statement of this shape was cheap."""
        shape = _shape_of(sql)
        if shape not in self._shapes:
            return False
        self._shapes.move_to_end(shape)
        return True

    def add(self, sql: bytes) -> None:
        """Remember the shape of a statement that was cheap."""
        if len(sql) > _MAX_STATEMENT_BYTES:
            return
        self._shapes[_shape_of(sql)] = None
        if len(self._shapes) > _MAX_SHAPES:
            self._shapes.popitem(last=False)

    def forget(self, sql: bytes) -> None:
        """Forget a shape, because this statement was not cheap."""
        self._shapes.pop(_shape_of(sql), None)


def _shape_of(sql: bytes) -> bytes:
    return _LITERAL.sub(b"?", sql[: _MAX_STATEMENT_BYTES + 1])
