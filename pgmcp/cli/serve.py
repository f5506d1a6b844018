"""`pgmcp serve`: settings once, logging, run."""

import os
import sys
from typing import Final

from pgmcp.cli.errors import exit_with
from pgmcp.errors import GuardFailedError, SettingsError
from pgmcp.execution.fork_server import ForkServer, can_fork
from pgmcp.standard_output import divert_stdout

_STDIN: Final = 0
_WAITING: Final = (
    "waiting for an MCP host on standard input; `pgmcp --help` lists the commands, Ctrl-C ends it\n"
)


def serve() -> None:
    """Serve MCP over stdio until the host leaves."""
    wire = divert_stdout()
    fork_server = start_fork_server()
    from pgmcp.settings import load_settings

    try:
        settings = load_settings()
        from pgmcp.observability.log_format import configure_logging

        configure_logging(settings.log_level, settings.log_format)
        if os.isatty(_STDIN):  # a person started it, and would see nothing happen
            sys.stderr.write(_WAITING)
        from pgmcp.serve import run

        run(settings, fork_server, wire)
    except (SettingsError, GuardFailedError) as error:
        if fork_server is not None:
            fork_server.close()
        exit_with(error)


def start_fork_server() -> ForkServer | None:
    """Start the process that workers are forked from, first of all: it imports while we do."""
    if not can_fork():
        return None
    fork_server = ForkServer()
    fork_server.start()
    return fork_server
