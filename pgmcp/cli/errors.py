"""How a failure ends a command: its text on stderr, and an exit code.

Imported when the server starts, so nothing here loads a terminal library.
"""

import re
import sys
from enum import IntEnum
from typing import Final, NoReturn

from pgmcp.answers.failure import render_error
from pgmcp.errors import ErrorCode, PgmcpError, SettingsError, SqlRejectedError, StatementFailedError


class ExitCode(IntEnum):
    """What a command's exit code tells a script; `pgmcp --help` and docs/errors.md say the same."""

    DONE = 0
    FAILED = 1
    """The database or the model gave no answer, or `doctor` found something that fails."""
    UNUSABLE = 2
    """The command line or the settings cannot be used."""
    REFUSED = 3
    """The statement or the role is not harmless, or the question cannot be answered here."""
    INTERRUPTED = 130
    """Ctrl-C: 128 and the number of SIGINT, as of every program."""


_EXIT_CODE_BY_ERROR: Final = {
    ErrorCode.SETTINGS: ExitCode.UNUSABLE,
    ErrorCode.INVALID_ARGUMENT: ExitCode.UNUSABLE,
    ErrorCode.UNKNOWN_DATABASE: ExitCode.UNUSABLE,
    ErrorCode.NO_MODEL: ExitCode.UNUSABLE,
    ErrorCode.REJECTED: ExitCode.REFUSED,
    ErrorCode.ROLE_REFUSED: ExitCode.REFUSED,
    ErrorCode.TOO_EXPENSIVE: ExitCode.REFUSED,
    ErrorCode.UNANSWERABLE: ExitCode.REFUSED,
}

# Hints are written for a host's model, which has tools; a person at a terminal has commands.
_COMMAND_BY_TOOL: Final = {"execute_sql": "`pgmcp sql`", "search_schema": "`pgmcp schema`"}
_TOOL: Final = re.compile("|".join(_COMMAND_BY_TOOL))


def exit_code_of(error: PgmcpError) -> ExitCode:
    """Return the exit code of a command that ended in this error."""
    return _EXIT_CODE_BY_ERROR.get(error.code, ExitCode.FAILED)


def describe(error: PgmcpError) -> str:
    """Return what went wrong, where in the statement, and what to do about it."""
    if isinstance(error, SettingsError):  # it lists problems, a line each
        return f"{error}" + (f"\nhint: {error.hint}" if error.hint else "")
    sql = error.sql if isinstance(error, SqlRejectedError | StatementFailedError) else ""
    *lines, last = render_error(error, sql=sql).split("\n")
    if last.startswith("hint: "):
        last = _TOOL.sub(lambda tool: _COMMAND_BY_TOOL[tool[0]], last)
    return "\n".join([*lines, last])


def exit_with(error: PgmcpError) -> NoReturn:
    """Say what went wrong and what to do about it, and exit."""
    sys.stderr.write(f"pgmcp: {describe(error)}\n")
    sys.exit(exit_code_of(error))
