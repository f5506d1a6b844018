"""Error texts and exit codes of commands.

Imported when the server starts, so this module must not load a terminal library.
"""

import re
import sys
from enum import IntEnum
from typing import Final, NoReturn

from pgmcp.answers.failure import render_error
from pgmcp.errors import ErrorCode, PgmcpError, SettingsError, SqlRejectedError, StatementFailedError
from pgmcp.untrusted import escape_untrusted_block


class ExitCode(IntEnum):
    """Exit codes of commands, documented in `pgmcp --help` and docs/errors.md."""

    DONE = 0
    FAILED = 1
    """There is no answer, a limit was reached, a file could not be written, or a check failed."""
    UNUSABLE = 2
    """The command line or the settings are invalid."""
    REFUSED = 3
    """The statement or role was refused, or the question cannot be answered."""
    INTERRUPTED = 130
    """Ctrl-C: 128 plus the number of SIGINT, as usual."""
    TERMINATED = 143
    """SIGTERM: 128 plus its number. A closed terminal (SIGHUP) is 129."""


_EXIT_CODE_BY_ERROR: Final = {
    ErrorCode.SETTINGS: ExitCode.UNUSABLE,
    ErrorCode.INVALID_ARGUMENT: ExitCode.UNUSABLE,
    ErrorCode.UNKNOWN_DATABASE: ExitCode.UNUSABLE,
    ErrorCode.NO_MODEL: ExitCode.UNUSABLE,
    ErrorCode.REJECTED: ExitCode.REFUSED,
    ErrorCode.ROLE_REFUSED: ExitCode.REFUSED,
    ErrorCode.UNMAPPED_PRINCIPAL: ExitCode.REFUSED,
    ErrorCode.ROLE_NOT_TAKEN: ExitCode.REFUSED,
    ErrorCode.TOO_EXPENSIVE: ExitCode.REFUSED,
    ErrorCode.UNANSWERABLE: ExitCode.REFUSED,
}

_FOR_MODELS: Final = (
    "write the SQL yourself and call execute_sql, or have the operator set PG_MCP_OPENAI_API_KEY"
)
_FOR_PEOPLE: Final = (
    "set PG_MCP_OPENAI_API_KEY, or PG_MCP_OPENAI_BASE_URL for a local model; or write SQL (`pgmcp sql`)"
)

# Hints name tools for a host's model; a person at a terminal needs commands.
_COMMAND_BY_TOOL: Final = {"execute_sql": "`pgmcp sql`", "search_schema": "`pgmcp schema`"}
_TOOL: Final = re.compile("|".join(_COMMAND_BY_TOOL))
# Replaced in this order, because the longer texts contain the last one.
_IN_SHELL: Final = {
    "; or write SQL (`pgmcp sql`)": '; or type SQL that ends with ";"',
    "`pgmcp schema`": r"`\d`",
    "write the SQL yourself and call `pgmcp sql`": 'type SQL that ends with ";"',
    "`pgmcp sql`": 'SQL that ends with ";"',
}


def exit_code_of(error: PgmcpError) -> ExitCode:
    """Return the exit code for an error."""
    return exit_code_for(error.code)


def exit_code_for(code: ErrorCode) -> ExitCode:
    """Return the exit code for errors with a code."""
    return _EXIT_CODE_BY_ERROR.get(code, ExitCode.FAILED)


def for_people(hint: str, *, in_shell: bool = False) -> str:
    """Return a hint that names commands instead of tools."""
    hint = hint.replace(_FOR_MODELS, _FOR_PEOPLE)
    hint = _TOOL.sub(lambda tool: _COMMAND_BY_TOOL[tool[0]], hint)
    for command, inner in _IN_SHELL.items() if in_shell else ():
        hint = hint.replace(command, inner)
    return hint


def describe(error: PgmcpError, *, in_shell: bool = False) -> str:
    """Return the error's text, its position in the statement, and the hint.

    Args:
        in_shell: name commands of the shell.
    """
    if isinstance(error, SettingsError):  # its text lists problems, one per line
        return f"{error}" + (f"\nhint: {error.hint}" if error.hint else "")
    sql = error.sql if isinstance(error, SqlRejectedError | StatementFailedError) else ""
    *lines, last = render_error(error, sql=sql, escape=_escape).split("\n")
    if last.startswith("hint: "):
        last = for_people(last, in_shell=in_shell)
    return "\n".join([*lines, last])


def _escape(text: str) -> str:
    r"""Return a text on one line without control characters; unlike for models, `\` is not doubled."""
    return escape_untrusted_block(text).replace("\n", r"\n").replace("\t", r"\t")


def exit_with(error: PgmcpError) -> NoReturn:
    """Print the error to stderr and exit."""
    sys.stderr.write(f"pgmcp: {describe(error)}\n")
    sys.exit(exit_code_of(error))
