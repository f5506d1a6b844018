"""Runs pgmcp against each engine and pooler that can be had here, and prints a Markdown table.

    python -m scripts.check_engines                 # all of them, some minutes
    python -m scripts.check_engines pglite pgpool   # only these
    python -m scripts.check_engines --list

Against each: `pgmcp doctor --json`; over stdio a read, a schema search, an error with its position, a
cancel, a timeout, and an extension's functions. Packages come from npm and Debian in fixed versions and are
unpacked in `PGMCP_ENGINES_DIR`, or else in the user's cache folder; PgBouncer, pgpool-II and Debian's
PostgreSQL have to be installed. What cannot be had is listed with the reason. The table of docs/databases.md
is written from it.
"""

import argparse
import sys

from scripts.engines import pglite, poolers, postgres
from scripts.engines.examination import as_markdown, examine


def main() -> int:
    """Examine the engines that were named, or all."""
    engines = {each.key: each for each in (*postgres.engines(), *poolers.engines(), *pglite.engines())}
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("engine", nargs="*", help="only these; all by default")
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
