"""How a failure ends a command: its text on stderr, and an exit code."""

import sys
from typing import Final, NoReturn

from pgmcp.errors import PgmcpError, SettingsError

EXIT_FAILED: Final = 1
EXIT_SETTINGS: Final = 2
"""The configuration cannot be used. The same code as for a wrong command line."""


def exit_with(error: PgmcpError) -> NoReturn:
    """Say what went wrong and what to do about it, and exit."""
    sys.stderr.write(f"pgmcp: {error}\n")
    if error.hint:
        sys.stderr.write(f"hint: {error.hint}\n")
    sys.exit(EXIT_SETTINGS if isinstance(error, SettingsError) else EXIT_FAILED)
