r"""Commands that show what is in a database: `pgmcp schema`, and psql's `\dt`, `\d orders`, `\l`.

The backslash commands work in `pgmcp shell`, and as the argument of `pgmcp sql`.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from pgmcp.answers.answer import Answer
from pgmcp.catalog.catalog import Catalog, Table, TableKind
from pgmcp.catalog.hidden import UNREADABLE
from pgmcp.catalog.identifiers import parse_name
from pgmcp.catalog.rendering import Detail, render_tables
from pgmcp.cli.command_session import CALLER, Session, load_quiet_settings, run_in_session
from pgmcp.cli.terminal import Terminal
from pgmcp.errors import InvalidArgumentError
from pgmcp.pipeline import CallOptions
from pgmcp.quoting import quote_identifier
from pgmcp.settings import Settings
from pgmcp.settings.address import find_address
from pgmcp.untrusted import escape_untrusted

_COMMAND: Final = re.compile(r"\\([A-Za-z]+|\?|!)(\+?)\s*(.*)", re.DOTALL)
_NAME: Final = re.compile(r"\\([a-z]+|\?)")
_NO_LIMIT: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class CommandHelp:
    """The help on one command.

    Attributes:
        usage: its names, each with a backslash, and its argument.
        in_shell_only: whether it works only in the shell, because it refers to earlier inputs or changes
            later ones.
    """

    usage: str
    meaning: str
    in_shell_only: bool = True

    @property
    def names(self) -> tuple[str, ...]:
        """The names without the backslash; all but the first are aliases."""
        return tuple(_NAME.findall(self.usage))


COMMANDS: Final = (
    CommandHelp(r"\d [NAME]", "tables, or the columns, keys and indexes of one", in_shell_only=False),
    CommandHelp(
        r"\dt [PATTERN]",
        r"tables; \dt+ with their columns; \dt sales.* for a schema",
        in_shell_only=False,
    ),
    CommandHelp(r"\dv [PATTERN]", "views, also materialized ones", in_shell_only=False),
    CommandHelp(r"\dm [PATTERN]", "materialized views", in_shell_only=False),
    CommandHelp(r"\det [PATTERN]", "foreign tables", in_shell_only=False),
    CommandHelp(r"\dn", "schemas", in_shell_only=False),
    CommandHelp(r"\df [PATTERN]", "functions", in_shell_only=False),
    CommandHelp(r"\l, \conninfo", "configured databases", in_shell_only=False),
    CommandHelp(r"\c, \connect NAME", "use another configured database"),
    CommandHelp(
        r"\again [QUESTION]",
        "ask a question that refers to the last one; alone: run the last statement again",
    ),
    CommandHelp(r"\g", "run the last statement again"),
    CommandHelp(r"\gx", "run the last statement again, and show its rows as records"),
    CommandHelp(r"\follow [on|off]", "let every question refer to the last one"),
    CommandHelp(r"\reading NUMBER", "answer the last question in another of its readings"),
    CommandHelp(r"\csv FILE", "write the rows of the last statement to a file, up to the export limits"),
    CommandHelp(r"\parquet FILE", "write these rows to a file as Parquet"),
    CommandHelp(r"\x [on|off]", "show each row as a record"),
    CommandHelp(r"\timing [on|off]", "show how long each answer took, in total and by stage"),
    CommandHelp(r"\?, \h", "this help"),
    CommandHelp(r"\q, \quit", "leave, as Ctrl-D does"),
)
"""All commands, in the order of the help."""

_COMMAND_BY_NAME: Final = {name: command for command in COMMANDS for name in command.names}

_INSTEAD: Final = {
    "copy": r"\csv FILE writes the rows of the last statement",
    "di": r"\d NAME shows the indexes of a table",
    "e": "Alt-Enter begins a new line; the up arrow recalls an earlier input",
    "g": r"\csv FILE writes the rows of the last statement",
    "chart": "`pgmcp ask` and `pgmcp sql` draw charts: --chart FILE",
    "i": "`pgmcp shell < FILE` runs a file",
    "o": r"\csv FILE writes the rows of the last statement",
    "s": "Ctrl-R searches earlier inputs",
    "watch": r"\g runs the last statement again",
    "!": "the shell runs no programs",
}

_FUNCTIONS: Final = """\
select n.nspname as schema, p.proname as name, pg_catalog.pg_get_function_result(p.oid) as result,
       pg_catalog.pg_get_function_arguments(p.oid) as arguments
from pg_catalog.pg_proc as p join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
where n.nspname not in ('pg_catalog', 'information_schema'){condition}
order by 1, 2, 4"""


@dataclass(frozen=True, slots=True)
class BackslashCommand:
    """A command.

    Attributes:
        name: without the backslash.
        is_detailed: whether the command ends in "+".
    """

    name: str
    argument: str = ""
    is_detailed: bool = False


def parse_command(text: str) -> BackslashCommand | None:
    """Return the command in a text; None if the text is not a command."""
    found = _COMMAND.fullmatch(text.strip())
    if found is None:
        return None
    return BackslashCommand(found[1], found[3].strip().rstrip(";").rstrip(), bool(found[2]))


def first_name(name: str) -> str:
    """Return the first name of the command that has this name or alias; the name itself if there is none."""
    return _COMMAND_BY_NAME[name].names[0] if name in _COMMAND_BY_NAME else name


async def run_catalog_command(
    command: BackslashCommand, session: Session, database: str | None = None, *, in_shell: bool = False
) -> str | Answer:
    """Return the output of a command: text, or an answer with rows.

    Raises:
        InvalidArgumentError: there is no such command, or no such table.
    """
    match first_name(command.name):
        case "d" | "dt" | "dv" | "dm" | "det":
            return await _tables(command, session, database)
        case "dn":
            return _schemas(await session.pipeline.databases.catalog(database))
        case "df":
            return await session.pipeline.execute_sql(
                _function_query(command.argument), CallOptions(database=database, caller=CALLER)
            )
        case "l":
            return list_databases(session.settings, database)
        case _:
            raise refusal_of(command, in_shell=in_shell)


def refusal_of(command: BackslashCommand, *, in_shell: bool = False) -> InvalidArgumentError:
    """Return the error for an unknown command, or one that works in the shell only."""
    if command.name in _COMMAND_BY_NAME:
        return InvalidArgumentError(f"\\{command.name} works in `pgmcp shell` only")
    known = ", ".join(each.usage for each in COMMANDS if not each.in_shell_only)
    elsewhere = rf"known commands: {known}; \? in `pgmcp shell` lists more"
    all_known = r"\? lists all commands" if in_shell else elsewhere
    return InvalidArgumentError(
        f"there is no command \\{command.name[:20]}",
        hint=_INSTEAD.get(command.name) or all_known,
    )


def refusal_after_sql(command: BackslashCommand) -> InvalidArgumentError:
    r"""Return the error for SQL with a command on its last line, such as `select 1 \watch`."""
    own_line = 'end the SQL with ";", and write the command on a line of its own'
    is_known = command.name in _COMMAND_BY_NAME and command.name != "g"
    return InvalidArgumentError(
        f"\\{command.name[:20]} cannot follow SQL on its line",
        hint=own_line if is_known else _INSTEAD.get(command.name, r"\? lists all commands"),
    )


async def _tables(command: BackslashCommand, session: Session, database: str | None) -> str:
    name = command.argument
    has_pattern = any(sign in name for sign in "*?")
    if name and not has_pattern and command.name == "d":
        names = _names_in_all_schemas(await session.pipeline.databases.catalog(database), name)
        catalog, tables = await session.pipeline.schema.find_tables(
            "", database=database, names=names, limit=_NO_LIMIT, caller=CALLER
        )
        return render_tables(tables, catalog, detail=Detail.FULL)
    catalog, tables = await session.pipeline.schema.find_tables(
        "", database=database, names=[], limit=_NO_LIMIT, caller=CALLER
    )
    found = [table for table in tables if is_wanted(table, catalog, command)]
    if not found and tables:
        raise InvalidArgumentError(
            f"nothing matches \\{command.name} {name}".rstrip(), hint="\\d lists all tables"
        )
    return render_tables(found, catalog, detail=Detail.COLUMNS if command.is_detailed else Detail.NAMES)


def _names_in_all_schemas(catalog: Catalog, name: str) -> list[str]:
    """Return the name; or, if the search path does not find it, the tables of that name in other schemas."""
    parts = parse_name(name)
    if catalog.find(name) is not None or len(parts) != 1:
        return [name]
    found = [table for table in catalog.tables if table.name.lower() == parts[0].lower()]
    return [f"{quote_identifier(each.schema)}.{quote_identifier(each.name)}" for each in found] or [name]


KINDS_BY_COMMAND: Final[dict[str, Collection[TableKind]]] = {
    "d": tuple(TableKind),
    "dt": (TableKind.TABLE, TableKind.PARTITIONED_TABLE, TableKind.FOREIGN_TABLE),
    "dv": (TableKind.VIEW, TableKind.MATERIALIZED_VIEW),
    "dm": (TableKind.MATERIALIZED_VIEW,),
    "det": (TableKind.FOREIGN_TABLE,),
}
"""The commands that list tables, and the kinds of tables that each lists."""


def is_wanted(table: Table, catalog: Catalog, command: BackslashCommand) -> bool:
    r"""Return whether a command lists a table, by the table's kind (`\dt` lists no views) and the pattern."""
    if table.kind not in KINDS_BY_COMMAND[command.name]:
        return False
    if not command.argument:
        return True
    pattern = command.argument.replace('"', "").lower()
    if "." in pattern:
        return fnmatchcase(f"{table.schema}.{table.name}".lower(), pattern)
    return fnmatchcase(table.name.lower(), pattern)


def _schemas(catalog: Catalog) -> str:
    counts: dict[str, int] = {}
    for table in catalog.tables:
        counts[table.schema] = counts.get(table.schema, 0) + 1
    lines = [f"{escape_untrusted(schema)}: {_count(number)}" for schema, number in counts.items()]
    lines += [f"{escape_untrusted(schema)}: excluded by the settings" for schema in catalog.left_out_schemas]
    return "\n".join(lines)


def _count(number: int) -> str:
    return f"{number} table{'' if number == 1 else 's'}"


def _function_query(pattern: str) -> str:
    like = pattern.replace('"', "").replace("'", "''").replace("*", "%").replace("?", "_").lower()
    schema, dot, name = like.rpartition(".")
    condition = f"\n  and lower(p.proname::text) like '{name}'" if name else ""
    if dot:
        condition += f"\n  and lower(n.nspname::text) like '{schema}'"
    return _FUNCTIONS.format(condition=condition)


def list_databases(settings: Settings, current: str | None = None) -> str:
    """Return a line for each configured database, with a mark at the current one, by default the first."""
    names: Sequence[str] = list(settings.databases)
    current = current or names[0]
    return "\n".join(
        f"{'*' if name == current else ' '} {name} at {find_address(settings.databases[name]).hosts}"
        for name in names
    )


MAX_FOUND_TABLES: Final = 20
"""Maximum tables found by words; tables requested by name are all shown."""

_NOTHING_MATCHES: Final = "no table matches; `pgmcp schema` without words lists all"
_NOTHING_TO_READ: Final = "this role may not read any table; `pgmcp setup-sql` prints the grants"


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
