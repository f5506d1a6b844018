"""What a check found, and how it is shown: lines for a person, objects for a program."""

import json
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Final

from rich.table import Table
from rich.text import Text

from pgmcp.cli.terminal import Terminal
from pgmcp.errors import PgmcpError
from pgmcp.untrusted import neutralise_block

_MAX_NAMED: Final = 8

logger = logging.getLogger(__name__)


class Outcome(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


_STYLE_BY_OUTCOME: Final = {Outcome.OK: "green", Outcome.WARN: "yellow", Outcome.FAIL: "bold red"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    Attributes:
        check: what was looked at: "database main: role".
        text: what is so; a failure's begins with its code.
        cure: what to do about it; "" when nothing is wrong.
    """

    outcome: Outcome
    check: str
    text: str
    cure: str = ""


def found_failure(check: str, error: PgmcpError) -> Finding:
    """Return the finding that tells of an error."""
    return Finding(Outcome.FAIL, check, f"{error.code}: {error}", error.hint)


def found_unexpected(check: str, error: Exception, cure: str) -> Finding:
    """Return the finding for an error that a check did not anticipate; the traceback is logged at DEBUG.

    The other checks still have to be reported. The error's text may hold a secret, so only its type is shown.
    """
    logger.debug("the check %s failed", check, exc_info=error)
    return Finding(
        Outcome.FAIL, check, f"internal: the check failed unexpectedly ({type(error).__name__})", cure
    )


def is_healthy(findings: Sequence[Finding]) -> bool:
    """Tell whether nothing failed."""
    return all(finding.outcome is not Outcome.FAIL for finding in findings)


def as_json(findings: Sequence[Finding]) -> str:
    """Return a list of objects; their keys are the attributes of `Finding`."""
    return json.dumps([asdict(finding) for finding in findings], indent=2) + "\n"


def enumerate_some(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    more = len(names) - _MAX_NAMED
    return ", ".join(names[:_MAX_NAMED]) + (f" and {more} more" if more > 0 else "")


def print_report(terminal: Terminal, findings: Sequence[Finding]) -> None:
    """Print a line for each finding and its cure below it: folded and coloured only on a terminal."""
    for finding in findings:
        text, cure = _in_one_line(finding.text), _in_one_line(finding.cure)
        if terminal.room is None:
            terminal.say(f"{finding.outcome:<4}  {finding.check}: {text}")
            if cure:
                terminal.say(f"      cure: {cure}")
        else:
            terminal.show(_lay_out(finding, text, cure))
    counts = Counter(finding.outcome for finding in findings)
    terminal.say("\n" + ", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome))


def _lay_out(finding: Finding, text: str, cure: str) -> Table:
    line = Text.assemble((finding.check, "bold"), f": {text}")
    if cure:
        line.append("\ncure: ", style="cyan")
        line.append(cure)
    table = Table.grid(padding=(0, 2))
    table.add_column(width=4)
    table.add_column(overflow="fold")
    table.add_row(Text(finding.outcome, style=_STYLE_BY_OUTCOME[finding.outcome]), line)
    return table


def _in_one_line(text: str) -> str:
    """Return words of others, too, in a form that can neither end a line nor command a terminal."""
    return " ".join(neutralise_block(text).split())
