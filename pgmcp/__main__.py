"""Starts `pgmcp`, also as `pg-mcp` and `python -m pgmcp`."""

import os
import sys

# To complete a command line, a shell runs the bare command with this variable set; typer derives it from the
# program name.
_NAME = "pgmcp"
_COMPLETION_VARIABLE = "_PGMCP_COMPLETE"


_INTERRUPTED = 130  # 128 plus the number of SIGINT, as in pgmcp.cli.errors


def main() -> None:
    """Serve MCP over stdio, or run the command-line application."""
    try:
        _run()
    except KeyboardInterrupt:  # during the imports, which take a second on a slow machine
        sys.exit(_INTERRUPTED)


def _run() -> None:
    # Hosts wait for this: import nothing that only the command line needs.
    if sys.argv[1:] in ([], ["serve"]) and _COMPLETION_VARIABLE not in os.environ:
        from pgmcp.cli.serve import serve_stdio

        serve_stdio()
    else:
        from pgmcp.cli.app import app

        app(prog_name=_NAME)


if __name__ == "__main__":
    main()
