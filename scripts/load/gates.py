"""Limits ("gates") for the figures of a load test, the figures, and whether they pass."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from scripts.load.bench import Bench
from scripts.load.processes import IS_LINUX

RATIO: Final = "\N{MULTIPLICATION SIGN}"


class SkippedError(Exception):
    """A scenario cannot run here; the message names the requirement."""


def need_linux() -> None:
    """Raise SkippedError except on Linux; call this in scenarios that read /proc."""
    if not IS_LINUX:
        raise SkippedError("it needs Linux")


@dataclass(frozen=True, slots=True)
class Gate:
    """A limit for one figure.

    Attributes:
        what: a short description.
        at_most: highest figure that passes; with RATIO, the highest ratio to `Measured.floor`. If it is None,
            the figure is shown but not judged.
        unit: RATIO, "ms", "MB", or the counted thing, such as "replies".
    """

    what: str
    at_most: float | None
    unit: str


@dataclass(frozen=True, slots=True)
class Measured:
    """One figure.

    Attributes:
        floor: for a ratio, the figure of the same run by which `value` is divided; both are then in ms.
        note: further details of the figure.
    """

    value: float
    floor: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Missing:
    """A figure that this run cannot measure; the reason names the requirement."""

    reason: str


@dataclass(frozen=True, slots=True)
class Scenario:
    """A measuring function and its gates.

    Attributes:
        gates: one gate for each figure that `measure` returns, in that order.
        timeout_s: None if the function limits its own duration.
    """

    name: str
    measure: Callable[[Bench], Awaitable[Sequence[Measured | Missing]]]
    gates: tuple[Gate, ...]
    timeout_s: float | None = 180.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """One line of the report.

    Attributes:
        measured: None if there is no figure; `problem` then says why.
        is_skipped: whether it could not be measured here, which is not a failure.
    """

    scenario: str
    gate: Gate
    measured: Measured | None = None
    problem: str = ""
    is_skipped: bool = False

    @property
    def judged(self) -> float | None:
        """The value compared with the limit: the figure, or its ratio to the floor; None without a figure."""
        if self.measured is None:
            return None
        if self.measured.floor is None:
            return self.measured.value
        return self.measured.value / self.measured.floor

    @property
    def passed(self) -> bool | None:
        """Whether the figure is within the limit; None if there is no limit or it was skipped."""
        if self.is_skipped:
            return None
        if self.judged is None:
            return False
        return None if self.gate.at_most is None else self.judged <= self.gate.at_most

    def as_json(self) -> dict[str, Any]:
        """Return the line for `--json`."""
        measured = self.measured
        return {
            "scenario": self.scenario,
            "what": self.gate.what,
            "measured": _rounded(measured.value) if measured else None,
            "floor": _rounded(measured.floor) if measured else None,
            "figure": _rounded(self.judged),
            "unit": self.gate.unit,
            "gate": self.gate.at_most,
            "passed": self.passed,
            "note": self.problem or (measured.note if measured else ""),
        }


def _rounded(figure: float | None) -> float | None:
    return None if figure is None else round(figure, 3)
