"""The planner's estimates for a statement, read from EXPLAIN (FORMAT JSON)."""

import math
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from pgmcp.execution.result import Rows

EXPLAIN: Final = "EXPLAIN (FORMAT JSON) "

MAX_CHEAP_COST: Final = 10_000.0
"""Planner units; one is about the time to read a page from cache in sequence. Tens of milliseconds."""


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


_TOO_LONG: Final = Plan(math.inf, math.inf, ("a plan that is too long to be read",))


def read_plan(rows: Rows) -> Plan:
    """Return the plan in the rows of EXPLAIN (FORMAT JSON); one that was cut has an infinite cost."""
    if not rows.rows:  # beyond the limit of bytes
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
