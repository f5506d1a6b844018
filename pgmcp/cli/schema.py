"""`pgmcp schema`: tables of the database, for people."""

from collections.abc import Sequence
from typing import Final

from pgmcp.catalog.rendering import Detail, render_tables
from pgmcp.cli.command_session import CALLER, Session, load_quiet_settings, run_in_session
from pgmcp.cli.terminal import Terminal

MAX_FOUND_TABLES: Final = 20
"""Maximum tables found by words; tables requested by name are all shown."""

_NOTHING_MATCHES: Final = "no table matches; `pgmcp schema` without words lists all"
_NOTHING_TO_READ: Final = "this role may read no table; `pgmcp setup-sql` prints the grants"


def show_schema(text: str, *, tables: Sequence[str], detail: Detail | None, database: str | None) -> None:
    """Print the tables that match words, the named tables, or all.

    Args:
        detail: None means full for requested tables, and names for all tables.
    """
    terminal = Terminal()
    settings = load_quiet_settings(terminal.warning_handler(), database)
    chosen = detail or (Detail.FULL if text or tables else Detail.NAMES)

    async def find(session: Session) -> str:
        catalog, found = await session.pipeline.schema.find_tables(
            text, database=None, names=tables, limit=MAX_FOUND_TABLES, caller=CALLER
        )
        return render_tables(found, catalog, detail=chosen)

    with terminal.progress() as say:
        say("reading the schema")
        described = run_in_session(settings, find)
    if not described:
        is_search = bool(text or tables)
        terminal.remark(_NOTHING_MATCHES if is_search else _NOTHING_TO_READ)
    with terminal.paging():
        for line in described.splitlines():
            terminal.say_line(line, "bold" if _is_heading(line, chosen) else "")
    terminal.flush()


def _is_heading(line: str, detail: Detail) -> bool:
    return detail is Detail.FULL and line != "" and not line.startswith(" ")
