"""Reads the planner's estimates for a statement from EXPLAIN (FORMAT JSON), and decides what is cheap.

`CheapStatements` remembers the shapes of cheap statements, so that the planner is not asked for each one.
Two statements have the same shape if they differ only in numbers and quoted text. A statement of a cheap
shape may still be expensive, so it runs on a reserved worker only for a short time (`BRIEF_S`).
"""

import math
import re
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from pgmcp.execution.result import Rows

EXPLAIN: Final = "EXPLAIN (FORMAT JSON) "

MAX_CHEAP_COST: Final = 10_000.0
"""In planner units; one unit is about a sequential read of one page. A statement of this cost takes tens of
milliseconds.
"""

BRIEF_S: Final = 0.1
"""Maximum duration of a statement of a cheap shape on a reserved worker."""

_MAX_SHAPES: Final = 512
_MAX_STATEMENT_BYTES: Final = 10_000
_LITERAL: Final = re.compile(rb"'[^']*'|\b\d+(?:\.\d+)?\b")


@dataclass(frozen=True, slots=True)
class Plan:
    """A summary of a plan.

    Attributes:
        cost: estimated total cost, in planner units.
        rows: estimated rows of the result.
        nodes: node types with their relations, from the top down: "Seq Scan on orders".
    """

    cost: float
    rows: float
    nodes: tuple[str, ...]

    @property
    def is_cheap(self) -> bool:
        """Whether the statement may run on a reserved worker while the general lane is blocked."""
        return self.cost <= MAX_CHEAP_COST

    def summary(self) -> str:
        """Return the plan in one line."""
        return f"cost {self.cost:,.0f}, about {self.rows:,.0f} rows: {' > '.join(self.nodes[:6])}"


_TOO_LONG: Final = Plan(math.inf, math.inf, ("a plan that is too long to read",))


def read_plan(rows: Rows) -> Plan:
    """Return the plan in the rows of EXPLAIN (FORMAT JSON); the cost is infinite if the plan was cut."""
    if not rows.rows:  # the plan exceeds the byte limit
        return _TOO_LONG
    try:
        root: dict[str, Any] = msgspec.json.decode(str(rows.rows[0][0]))[0]["Plan"]
    except msgspec.DecodeError:
        return _TOO_LONG
    return Plan(root["Total Cost"], root["Plan Rows"], tuple(_describe(root)))


def _describe(node: dict[str, Any]) -> list[str]:
    names, below = [], [node]
    while below:
        current = below.pop(0)
        relation = current.get("Relation Name")
        names.append(f"{current['Node Type']} on {relation}" if relation else str(current["Node Type"]))
        below.extend(current.get("Plans", []))
    return names


class CheapStatements:
    """A bounded set of shapes; the least recently used one is removed first."""

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
