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
from pgmcp.untrusted import escape_untrusted_block

_MAX_NAMED: Final = 8

logger = logging.getLogger(__name__)


class Status(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


_STYLE_BY_STATUS: Final = {Status.OK: "green", Status.WARN: "yellow", Status.FAIL: "bold red"}


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One line of the report.

    Attributes:
        check: what was looked at: "database main: role".
        text: what is so; a failure's begins with its code.
        hint: what to do about it; "" when nothing is wrong.
    """

    status: Status
    check: str
    text: str
    hint: str = ""


def failed_check(check: str, error: PgmcpError) -> CheckResult:
    """Return the result that tells of an error."""
    return CheckResult(Status.FAIL, check, f"{error.code}: {error}", error.hint)


def unexpected_failure(check: str, error: Exception, hint: str) -> CheckResult:
    """Return the result for an error that a check did not anticipate; the traceback is logged at DEBUG.

    The other checks still have to be reported. The error's text may hold a secret, so only its type is shown.
    """
    logger.debug("the check %s failed", check, exc_info=error)
    return CheckResult(
        Status.FAIL, check, f"internal: the check failed unexpectedly ({type(error).__name__})", hint
    )


def is_healthy(results: Sequence[CheckResult]) -> bool:
    """Tell whether nothing failed."""
    return all(result.status is not Status.FAIL for result in results)


def as_json(results: Sequence[CheckResult]) -> str:
    """Return a list of objects; their keys are the attributes of `CheckResult`."""
    return json.dumps([asdict(result) for result in results], indent=2) + "\n"


def enumerate_some(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    more = len(names) - _MAX_NAMED
    return ", ".join(names[:_MAX_NAMED]) + (f" and {more} more" if more > 0 else "")


def print_report(terminal: Terminal, results: Sequence[CheckResult]) -> None:
    """Print a line for each result and its hint below it: folded and coloured only on a terminal."""
    for result in results:
        text, hint = _in_one_line(result.text), _in_one_line(result.hint)
        if terminal.room is None:
            terminal.say(f"{result.status:<4}  {result.check}: {text}")
            if hint:
                terminal.say(f"      hint: {hint}")
        else:
            terminal.show(_lay_out(result, text, hint))
    counts = Counter(result.status for result in results)
    terminal.say("\n" + ", ".join(f"{counts[status]} {status}" for status in Status))


def _lay_out(result: CheckResult, text: str, hint: str) -> Table:
    line = Text.assemble((result.check, "bold"), f": {text}")
    if hint:
        line.append("\nhint: ", style="cyan")
        line.append(hint)
    table = Table.grid(padding=(0, 2))
    table.add_column(width=4)
    table.add_column(overflow="fold")
    table.add_row(Text(result.status, style=_STYLE_BY_STATUS[result.status]), line)
    return table


def _in_one_line(text: str) -> str:
    """Return words of others, too, in a form that can neither end a line nor command a terminal."""
    return " ".join(escape_untrusted_block(text).split())
