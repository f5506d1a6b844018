"""Runs `pgmcp demo`: a tour of the real server over stdio on the demo shop, with a real MCP client."""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import psycopg
from mcp import Client, StdioServerParameters, stdio_client
from mcp.shared.exceptions import MCPError
from rich.console import Console
from rich.panel import Panel
from rich.status import Status
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from pgmcp.cli.errors import ExitCode, exit_code_for, for_people
from pgmcp.demo.command_line import SERVER_ARGUMENTS
from pgmcp.demo.environment import has_model, open_shop, server_environment
from pgmcp.demo.shop import READER_ROLE, Shop
from pgmcp.ending_signals import run_coroutine
from pgmcp.errors import ErrorCode, SettingsError

_VERIFIED_QUESTIONS = (
    "How many active users do we have?",
    "What was the total revenue last quarter?",
    "Which users have placed more than 5 orders?",
)
_MODEL_QUESTIONS = (
    "How many customers from Germany signed up this year?",
    "Which five cities brought the most revenue in the last twelve months?",
    "What share of payments was made by each method?",
)
_DIRECT_SQL = """select c.name as category, count(*) as products, sum(p.inventory_quantity) as pieces
from products as p join categories as c on c.id = p.category_id
group by c.name order by pieces desc limit 5"""
_ATTACKS = (
    ("hide a DELETE in a read", "with gone as (delete from payments returning *)\nselect count(*) from gone"),
    ("read a file of the server", "select pg_read_file('/etc/passwd')"),
)
_WORDS_BY_SOURCE = {
    "verified": "verified SQL of the operator",
    "direct": "direct SQL",
    "generated": "SQL of the model",
    "repaired": "SQL of the model, repaired",
}
_RUNAWAY_TIMEOUT_S = 3
# More than 10^15 combinations of rows, so it never ends by itself.
_RUNAWAY_SQL = """select count(*) from order_items as a, order_items as b, order_items as runaway
where a.unit_price + b.unit_price > runaway.unit_price"""
_WATCH_TIMEOUT_S = 10
_WATCH_INTERVAL_S = 0.05
_DESKTOP_FILE_BY_PLATFORM = {
    "darwin": "~/Library/Application Support/Claude/claude_desktop_config.json",
    "win32": r"%APPDATA%\Claude\claude_desktop_config.json",
}
_OTHER_DESKTOP_FILE = "~/.config/Claude/claude_desktop_config.json"


def run_tour(question: str = "") -> ExitCode:
    """Run the tour on the demo shop, or ask only the given question.

    Returns:
        For a question, the exit code of `pgmcp ask`; for the tour, FAILED if a step did not do what it shows.

    Raises:
        SettingsError: PostgreSQL or the server did not start.
    """
    screen = Screen(Console())
    screen.title("A shop in its own PostgreSQL")
    started_at = time.monotonic()
    with ExitStack() as stack:
        with screen.working():
            shop = stack.enter_context(open_shop(screen.step))
        screen.say(f"  {_count_rows(shop):,} rows are ready after {time.monotonic() - started_at:.1f} s")
        exit_code = run_coroutine(lambda: _drive(screen, shop, question))
    if exit_code == ExitCode.DONE or not question:
        _show_desktop_block(screen)
    return exit_code


_SHOWN_ROWS = 8
_NUMERIC_TYPES = ("smallint", "integer", "bigint", "numeric", "real", "double precision")


class Screen:
    """A terminal, or a file if the output is redirected.

    Nothing from a database or a model is taken as markup.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status: Status | None = None

    @contextmanager
    def working(self) -> Iterator[None]:
        """Show a spinner with the current `step`."""
        with self._console.status("") as self._status:
            yield
        self._status = None

    def step(self, what: str) -> None:
        """Show the current step."""
        if self._status:
            self._status.update(Text(f"{what} …"))
        self._console.print(Text(f"  {what}", style="dim"))

    def title(self, text: str) -> None:
        """Print the title of a part of the tour."""
        self._console.print()
        self._console.rule(Text(text, style="bold"), align="left")

    def say(self, text: str, style: str = "") -> None:
        """Print a text."""
        self._console.print(Text(text, style=style))

    def ask(self, kind: str, text: str) -> None:
        """Print a question or statement for the server."""
        self._console.print()
        self._console.print(Text.assemble((f"{kind}  ", "bold cyan"), (text, "bold")))

    def sql(self, text: str) -> None:
        """Print a statement."""
        self._console.print(Syntax(text.strip(), "postgresql", background_color="default", word_wrap=True))

    def rows(self, columns: list[dict[str, Any]], rows: list[list[Any]]) -> None:
        """Print the first rows as a table, and the number of further ones."""
        table = Table()
        for column in columns:
            justify: Literal["left", "right"] = "right" if column["type"] in _NUMERIC_TYPES else "left"
            table.add_column(Text(column["name"]), justify=justify)
        for row in rows[:_SHOWN_ROWS]:
            table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
        self._console.print(table)
        if len(rows) > _SHOWN_ROWS:
            self.say(f"… and {len(rows) - _SHOWN_ROWS:,} more rows", "dim")

    def refusal(self, text: str) -> None:
        """Print why the server refused or stopped something."""
        self._console.print(Panel(Text(text), border_style="yellow", expand=False))

    def block(self, value: dict[str, Any]) -> None:
        """Print JSON for copying, without a frame and without wrapping."""
        self._console.print(json.dumps(value, indent=2), markup=False, highlight=False, soft_wrap=True)


@dataclass(frozen=True, slots=True)
class _Tour:
    """One connection to the server, and the screen for its output."""

    screen: Screen
    client: Client
    shop: Shop

    async def call(self, tool: str, **arguments: Any) -> tuple[dict[str, Any], str]:
        """Call a tool; return the structured answer, or {} and the error's text."""
        result = await self.client.call_tool(tool, arguments)
        text = "\n".join(block.text for block in result.content if block.type == "text")
        return ({}, text) if result.is_error else (result.structured_content, "")

    async def show_answer(self, question: str) -> str:
        """Ask a question, and show SQL and rows; return the error's text, "" for an answer."""
        self.screen.ask("Question", question)
        answer, error = await self.call("query", question=question, return_type="both")
        if not error:
            self.screen.sql(answer["sql"])
        return self._show_rows(answer, error)

    async def show_direct(self, sql: str) -> str:
        """Run SQL, and show the rows; return the error's text, "" for an answer."""
        self.screen.ask("SQL", "the categories with the most pieces in stock")
        self.screen.sql(sql)
        return self._show_rows(*await self.call("execute_sql", sql=sql))

    def _show_rows(self, answer: dict[str, Any], error: str) -> str:
        if error:
            self.screen.refusal(for_people(error))
            return error
        self.screen.rows(answer["columns"], answer["rows"] or [])
        self.screen.say(_describe(answer), "dim")
        return ""

    async def show_refusal(self, intention: str, sql: str) -> bool:
        """Try a harmful statement; return whether it was refused."""
        self.screen.ask("Attack", intention)
        self.screen.sql(sql)
        _, error = await self.call("execute_sql", sql=sql)
        self.screen.refusal(error or "this was NOT refused")
        return bool(error)

    async def show_runaway(self) -> bool:
        """Start an endless query; return whether it was stopped, in its backend too."""
        self.screen.ask(
            "Runaway", f"a query that would run for years, with a limit of {_RUNAWAY_TIMEOUT_S} s"
        )
        self.screen.sql(_RUNAWAY_SQL)
        with psycopg.connect(self.shop.admin_url, autocommit=True) as watcher:
            call = asyncio.create_task(self.call("execute_sql", sql=_RUNAWAY_SQL))
            try:
                seen = await _wait_for(lambda: _find_runaway(watcher, min_age_s=1))
                self.screen.say(f"pg_stat_activity, while it runs: {_describe_backend(watcher, seen)}")
                _, error = await call
            finally:  # after Ctrl-C, nothing waits for the call's result
                call.cancel()
                await asyncio.gather(call, return_exceptions=True)
            self.screen.refusal(error or "this was NOT stopped")
            gone = await _wait_for(lambda: not _find_runaway(watcher))
            self.screen.say(f"pg_stat_activity, now: {_describe_backend(watcher, seen)}")
        return bool(seen and error and gone)


async def _drive(screen: Screen, shop: Shop, question: str) -> ExitCode:
    """Start the server as a host does, and run the tour."""
    environment = {**server_environment(shop), "PG_MCP_SERVER_QUERY_TIMEOUT": str(_RUNAWAY_TIMEOUT_S)}
    with tempfile.TemporaryDirectory() as folder, Path(folder, "log").open("w+", encoding="utf-8") as log:
        # The working directory is empty, so that no .env selects another database.
        server = StdioServerParameters(
            command=sys.executable, args=[*SERVER_ARGUMENTS], env=environment, cwd=folder
        )
        try:
            async with Client(stdio_client(server, errlog=log)) as client:
                tour = _Tour(screen, client, shop)
                if question:
                    return await _ask_one(tour, question)
                is_kept = await _show_all(tour, has_model(environment))
                return ExitCode.DONE if is_kept else ExitCode.FAILED
        except (MCPError, BaseExceptionGroup) as error:
            if _is_interrupted():
                raise asyncio.CancelledError from None
            cause = _unwrap(error)
            if isinstance(cause, MCPError):
                raise SettingsError(f"the server ended early:\n{_end_of(log)}") from cause
            raise cause from None


def _is_interrupted() -> bool:
    """Return whether Ctrl-C has cancelled this task; the server gets Ctrl-C, too, and may end first."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _ask_one(tour: _Tour, question: str) -> ExitCode:
    """Ask a question; return the exit code of the error, if there is one."""
    tour.screen.title("Your question")
    error = await tour.show_answer(question)
    if not error:
        return ExitCode.DONE
    code = error.partition(":")[0]
    return exit_code_for(ErrorCode(code)) if code in set(ErrorCode) else ExitCode.FAILED


async def _show_all(tour: _Tour, asks_model: bool) -> bool:
    screen = tour.screen
    screen.title("Three questions in English")
    if asks_model:
        screen.say("The model of your PG_MCP_OPENAI_* settings writes the SQL.")
    else:
        screen.say(
            "No model is set up, so these answers come from the verified questions shipped with the demo. "
            "Set PG_MCP_OPENAI_API_KEY, or PG_MCP_OPENAI_BASE_URL for a local model, to ask anything."
        )
    kept = [
        not await tour.show_answer(question)
        for question in (_MODEL_QUESTIONS if asks_model else _VERIFIED_QUESTIONS)
    ]
    screen.title("SQL that the host's own model wrote")
    kept.append(not await tour.show_direct(_DIRECT_SQL))
    screen.title("Two attacks")
    kept += [await tour.show_refusal(intention, sql) for intention, sql in _ATTACKS]
    screen.title("A runaway query")
    kept.append(await tour.show_runaway())
    return all(kept)


def _show_desktop_block(screen: Screen) -> None:
    file = _DESKTOP_FILE_BY_PLATFORM.get(sys.platform, _OTHER_DESKTOP_FILE)
    arguments = ["-P", "-m", "pgmcp", "demo", "--serve"]
    screen.title("Try it in Claude Desktop")
    screen.say("Run `pgmcp install claude-desktop --demo`, which shows the change and asks before it writes.")
    screen.say(f"Or put this into {file} and restart Claude Desktop:")
    screen.block({"mcpServers": {"pgmcp-demo": {"command": sys.executable, "args": arguments}}})


def _describe(answer: dict[str, Any]) -> str:
    count, truncated = len(answer["rows"] or []), answer["truncated"]
    rows = f"{'the first ' if truncated else ''}{count} row{'' if count == 1 else 's'}"
    source = _WORDS_BY_SOURCE.get(answer["source"], answer["source"])
    facts = f"{rows}, {sum(answer['elapsed_ms'].values()):.0f} ms, {source}"
    if not truncated:
        return facts
    limit = truncated["reason"].removesuffix("s")
    return f"{facts}; more rows exceed the {limit} limit: {truncated['hint']}"


def _count_rows(shop: Shop) -> int:
    query = """select sum(reltuples)::bigint from pg_class
               where relkind = 'r' and relnamespace = 'public'::regnamespace"""
    with psycopg.connect(shop.reader_url) as connection:
        row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0


def _find_runaway(watcher: psycopg.Connection, *, min_age_s: float = 0) -> int:
    """Return the pid of the backend that has been running the query for `min_age_s`, or 0."""
    row = watcher.execute(
        """select pid from pg_stat_activity
           where usename = %s and state = 'active' and query like '%%runaway.unit_price%%'
             and backend_type = 'client backend'
             and clock_timestamp() - query_start >= make_interval(secs => %s)""",
        [READER_ROLE, min_age_s],
    ).fetchone()
    return row[0] if row else 0


def _describe_backend(watcher: psycopg.Connection, pid: int) -> str:
    query = """select format('backend %%s is %%s, for %%s s', pid, state,
                             round(extract(epoch from clock_timestamp() - state_change), 1))
               from pg_stat_activity where pid = %s"""
    row = watcher.execute(query, [pid]).fetchone()
    return row[0] if row else f"backend {pid} is gone"


async def _wait_for(ask: Callable[[], int]) -> int:
    """Poll until the result is not 0, and return it; 0 after a timeout."""
    deadline = time.monotonic() + _WATCH_TIMEOUT_S
    while not (answer := ask()) and time.monotonic() < deadline:
        await asyncio.sleep(_WATCH_INTERVAL_S)
    return answer


def _unwrap(error: BaseException) -> BaseException:
    """Return the first error inside the exception groups of the client."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _end_of(log: IO[str]) -> str:
    log.seek(0)
    return "\n".join(log.read().splitlines()[-8:])
