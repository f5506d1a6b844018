"""`pgmcp serve`: claim the streams, start the fork server, serve."""

import os
import sys
from typing import Final

from pgmcp.cli.errors import exit_code_of, exit_with
from pgmcp.errors import PgmcpError
from pgmcp.execution.fork_server import ForkServer, can_fork
from pgmcp.transport.stdio.descriptors import claim_standard_streams

_WAITING: Final = (
    "waiting for an MCP host on standard input; `pgmcp --help` lists the commands, Ctrl-C ends the server\n"
    "A terminal changes the stream: a host must start a container with -i alone, without -t or `tty: true`\n"
)


def serve_stdio() -> None:
    """Serve MCP over stdio until the host closes the connection."""
    descriptors = claim_standard_streams()
    fork_server = start_fork_server()
    is_person = os.isatty(descriptors.reading)  # a host would have connected a pipe
    if is_person:
        sys.stderr.write(_WAITING)
    from pgmcp.start_stdio import run

    try:
        run(descriptors, fork_server, loads_at_once=is_person)
    except PgmcpError as error:
        if is_person:
            exit_with(error)
        # The log has the error already. Writing it to standard error again could wait for a reader.
        sys.exit(exit_code_of(error))


def serve_http(address: str | None, proxies: str | None = None) -> None:
    """Serve MCP over HTTP until the process is stopped.

    Args:
        address: `HOST:PORT`; None for the default one.
        proxies: addresses of proxies whose X-Forwarded headers are trusted; None for those of the settings.

    Raises:
        SettingsError: the settings are invalid, or the server would accept callers from other machines
            without authentication.
    """
    fork_server = start_fork_server()
    from pgmcp.start_http import run

    run(address, fork_server, proxies=proxies)


def check() -> None:
    """Read the settings and their files, and print whether they are valid, without connecting.

    Raises:
        SettingsError: they are invalid.
    """
    from pgmcp.settings.load import load_settings
    from pgmcp.start_stdio import use_settings

    _, surface_settings = use_settings(load_settings())
    sys.stdout.write(f"the settings are valid: {', '.join(surface_settings.database_names)}\n")


def start_fork_server() -> ForkServer | None:
    """Start the process that workers are forked from; None if this system cannot fork.

    Call this first, so that the process imports its modules in parallel.
    """
    if not can_fork():
        return None
    fork_server = ForkServer()
    fork_server.start()
    return fork_server
