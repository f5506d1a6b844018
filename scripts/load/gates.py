"""What a scenario promises, what it measured, and whether the two agree."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from scripts.load.bench import Bench
from scripts.load.processes import IS_LINUX

RATIO: Final = "\N{MULTIPLICATION SIGN}"


class SkippedError(Exception):
    """A scenario cannot run here; the message says what it needs."""


def need_linux() -> None:
    """Skip a scenario that looks for a server's processes in /proc."""
    if not IS_LINUX:
        raise SkippedError("it needs Linux")


@dataclass(frozen=True, slots=True)
class Gate:
    """One promise of the design.

    Attributes:
        what: in a few words.
        at_most: for the ratio of a figure to its floor when `unit` is RATIO, else for the figure itself;
            None shows the figure and judges nothing.
        unit: RATIO, "ms", "MB", or what is counted.
    """

    what: str
    at_most: float | None
    unit: str


@dataclass(frozen=True, slots=True)
class Measured:
    """One figure.

    Attributes:
        floor: the same in the same run without pgmcp; only for a ratio, and then both are in ms.
        note: where the figures come from.
    """

    value: float
    floor: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Missing:
    """A figure of a scenario that this run does not have; the reason says what it needs."""

    reason: str


@dataclass(frozen=True, slots=True)
class Scenario:
    """A function that measures, and the gates its figures are held against, in the same order.

    Attributes:
        timeout_s: None for one that bounds itself.
    """

    name: str
    measure: Callable[[Bench], Awaitable[Sequence[Measured | Missing]]]
    gates: tuple[Gate, ...]
    timeout_s: float | None = 180.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """One line of the report.

    Attributes:
        measured: None when there is no figure; `problem` then says why.
        is_skipped: it could not be measured here, which is nobody's fault.
    """

    scenario: str
    gate: Gate
    measured: Measured | None = None
    problem: str = ""
    is_skipped: bool = False

    @property
    def figure(self) -> float | None:
        """What the gate judges: a ratio, or the measured figure itself."""
        if self.measured is None:
            return None
        if self.measured.floor is None:
            return self.measured.value
        return self.measured.value / self.measured.floor

    @property
    def passed(self) -> bool | None:
        """Whether the promise was kept; None when nothing was to be judged."""
        if self.is_skipped:
            return None
        if self.figure is None:
            return False
        return None if self.gate.at_most is None else self.figure <= self.gate.at_most

    def as_json(self) -> dict[str, Any]:
        """Return the line for `--json`."""
        measured = self.measured
        return {
            "scenario": self.scenario,
            "what": self.gate.what,
            "measured": _rounded(measured.value) if measured else None,
            "floor": _rounded(measured.floor) if measured else None,
            "figure": _rounded(self.figure),
            "unit": self.gate.unit,
            "gate": self.gate.at_most,
            "passed": self.passed,
            "note": self.problem or (measured.note if measured else ""),
        }


def _rounded(figure: float | None) -> float | None:
    return None if figure is None else round(figure, 3)
