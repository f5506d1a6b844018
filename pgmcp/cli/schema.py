"""`pgmcp schema`: tables of the database, for people."""

from collections.abc import Sequence
from typing import Final

from pgmcp.catalog.catalog import Catalog
from pgmcp.catalog.hidden import UNREADABLE
from pgmcp.catalog.identifiers import parse_name
from pgmcp.catalog.rendering import Detail, render_tables
from pgmcp.cli.command_session import CALLER, Session, load_quiet_settings, run_in_session
from pgmcp.cli.terminal import Terminal
from pgmcp.quoting import quote_identifier

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
        if text and not found:
            unreadable.extend(await _explain_unreadable(session, text, catalog))
        return render_tables(found, catalog, detail=chosen)

    unreadable: list[str] = []
    with terminal.progress() as say:
        say("reading the schema")
        described = run_in_session(settings, find)
    if not described:
        is_search = bool(text or tables)
        for remark in unreadable or [_NOTHING_MATCHES if is_search else _NOTHING_TO_READ]:
            terminal.remark(remark)
    with terminal.paging():
        for line in described.splitlines():
            terminal.say_line(line, "bold" if _is_heading(line, chosen) else "")
    terminal.flush()


async def _explain_unreadable(session: Session, text: str, catalog: Catalog) -> list[str]:
    """Return a sentence for each word that names a table which the role may not read."""
    database = session.pipeline.databases.get(None)
    names = [word for word in text.split() if parse_name(word)]
    role = quote_identifier((await database.role.privileges()).role)
    return [
        f"{each.name} exists, but {each.reason}: its owner can run GRANT SELECT ON {each.name} TO {role}; "
        "the schema may need GRANT USAGE, too"
        for each in await database.find_hidden(names, catalog)
        if each.reason == UNREADABLE
    ]


def _is_heading(line: str, detail: Detail) -> bool:
    return detail is Detail.FULL and line != "" and not line.startswith(" ")
