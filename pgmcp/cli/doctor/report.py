"""Results of checks, as lines for people and as JSON for programs."""

import json
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
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
    """Status of a check."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


_STYLE_BY_STATUS: Final = {Status.OK: "green", Status.WARN: "yellow", Status.FAIL: "bold red"}


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One line of the report.

    Attributes:
        check: its name: "database main: role".
        text: the result; for an error it begins with its code.
        hint: what to do; "" if nothing is wrong.
    """

    status: Status
    check: str
    text: str
    hint: str = ""


Check = Callable[[], CheckResult | list[CheckResult] | Awaitable[CheckResult | list[CheckResult]]]
NamedCheck = tuple[str, Check]
"""A check and its name, for the report of an unexpected failure."""


def failed_check(check: str, error: PgmcpError) -> CheckResult:
    """Return the result for an anticipated error."""
    return CheckResult(Status.FAIL, check, f"{error.code}: {error}", error.hint)


def unexpected_failure(check: str, error: Exception, hint: str) -> CheckResult:
    """Return the result for an unexpected error; its traceback is logged at DEBUG.

    The error's text may contain a secret, so only its type is shown.
    """
    logger.debug("the check %s failed", check, exc_info=error)
    return CheckResult(
        Status.FAIL, check, f"internal: the check failed unexpectedly ({type(error).__name__})", hint
    )


def is_healthy(results: Sequence[CheckResult]) -> bool:
    """Return whether no check failed."""
    return all(result.status is not Status.FAIL for result in results)


def as_json(results: Sequence[CheckResult]) -> str:
    """Return a list of objects with the attributes of `CheckResult` as keys."""
    return json.dumps([asdict(result) for result in results], indent=2) + "\n"


def enumerate_some(names: Sequence[str]) -> str:
    """Return the first names and the number of further ones."""
    more = len(names) - _MAX_NAMED
    return ", ".join(names[:_MAX_NAMED]) + (f" and {more} more" if more > 0 else "")


def print_report(terminal: Terminal, results: Sequence[CheckResult]) -> None:
    """Print a line for each result, with its hint below; wrapped and coloured only on a terminal."""
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
    """Return the text escaped and on one line."""
    return " ".join(escape_untrusted_block(text).split())
