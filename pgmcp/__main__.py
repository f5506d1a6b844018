"""Where `pgmcp`, `pg-mcp` and `python -m pgmcp` begin."""

import sys


def main() -> None:
    """Serve MCP over stdio; any other command is the command line's."""
    # A host's start waits for this: nothing that only the command line needs is imported before.
    if sys.argv[1:] in ([], ["serve"]):
        from pgmcp.cli.serve import serve

        serve()
    else:
        from pgmcp.cli.app import app

        app()


if __name__ == "__main__":
    main()
