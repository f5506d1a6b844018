"""Entry point of `pgmcp`, `pg-mcp` and `python -m pgmcp`."""

import os
import sys

# To complete a command line, a shell runs the bare command with this variable set; typer derives it from the
# program name.
_NAME = "pgmcp"
_COMPLETION_VARIABLE = "_PGMCP_COMPLETE"


def main() -> None:
    """Serve MCP over stdio, or run the command-line application."""
    # Hosts wait for this: import nothing that only the command line needs.
    if sys.argv[1:] in ([], ["serve"]) and _COMPLETION_VARIABLE not in os.environ:
        from pgmcp.cli.serve import serve

        serve()
    else:
        from pgmcp.cli.app import app

        app(prog_name=_NAME)


if __name__ == "__main__":
    main()
