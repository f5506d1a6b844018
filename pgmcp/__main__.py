"""Where `pgmcp`, `pg-mcp` and `python -m pgmcp` begin."""

import os
import sys

# A shell that completes a command line runs the bare command with this set; typer makes it of the name.
_NAME = "pgmcp"
_COMPLETION_VARIABLE = "_PGMCP_COMPLETE"


def main() -> None:
    """Serve MCP over stdio; any other command is the command line's."""
    # A host's start waits for this: nothing that only the command line needs is imported before.
    if sys.argv[1:] in ([], ["serve"]) and _COMPLETION_VARIABLE not in os.environ:
        from pgmcp.cli.serve import serve

        serve()
    else:
        from pgmcp.cli.app import app

        app(prog_name=_NAME)


if __name__ == "__main__":
    main()
