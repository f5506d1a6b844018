"""Runs the inputs of a shell one after another, and keeps what later inputs refer to."""

import shlex
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pgmcp.answers.answer import Answer
from pgmcp.argument_bounds import MAX_QUESTION_CHARACTERS
from pgmcp.catalog.catalog import TableKind
from pgmcp.cli.ask import suggest_other_words
from pgmcp.cli.catalog_commands import (
    COMMANDS,
    BackslashCommand,
    first_name,
    parse_command,
    refusal_after_sql,
    run_catalog_command,
)
from pgmcp.cli.command_session import CALLER, Session, report_stages
from pgmcp.cli.options import Form
from pgmcp.cli.shell.inputs import Input, InputKind
from pgmcp.cli.show import CommandResult, RowSettings, describe_file, show, truncation_notes
from pgmcp.cli.terminal import Terminal
from pgmcp.errors import (
    InvalidArgumentError,
    ModelNotConfiguredError,
    SqlRejectedError,
    StatementFailedError,
)
from pgmcp.features import file_limits, file_writer
from pgmcp.pipeline import CallOptions, OnStage, QueryOptions, ReturnType
from pgmcp.plural import count_of
from pgmcp.untrusted import escape_untrusted, shorten

_RULES: Final = """\
SQL begins with an SQL keyword, "(", "--" or "/*" and ends with ";". Everything else is a question for the
configured model; a verified question needs no model. Only the first line decides. A line that begins or ends
with "?" is always a question. Tab completes; Alt-Enter begins a new line; Ctrl-C cancels a statement.
An input that begins with a space is not saved.
"""
_NOTHING_YET: Final = "there is no statement yet"
_MIN_SQL_CHARACTERS: Final = 1_000
_MAX_NAMED_CHARACTERS: Final = 200
_VIEWS: Final = frozenset({TableKind.VIEW, TableKind.MATERIALIZED_VIEW})


@dataclass(frozen=True, slots=True)
class Turn:
    """A question or statement that later inputs refer to.

    Attributes:
        question: "" if the person wrote the SQL.
        readings: other readings of the question.
    """

    question: str
    sql: str
    readings: tuple[str, ...] = ()


def describe_earlier(question: str, last: Turn) -> str:
    """Return the last question and its SQL, for a question that refers to them."""
    earlier = (
        f"It follows the question: {last.question}\nwhose"
        if last.question
        else "It follows a statement whose"
    )
    head = f"{earlier} SQL was:\n"
    used_characters = len(question) + len("\n\n") + len(head)
    return head + shorten(last.sql, max(_MIN_SQL_CHARACTERS, MAX_QUESTION_CHARACTERS - used_characters))


class Conversation:
    """Runs inputs, and prints their results.

    Args:
        database: the name of the database in use.
    """

    def __init__(self, session: Session, terminal: Terminal, database: str) -> None:
        self._session = session
        self._terminal = terminal
        self.database = database
        self._last: Turn | None = None
        self._failed: str | None = None
        """The question of the last input if it failed; "" for SQL; None if it did not fail."""
        self._expanded = False
        self._timed = False
        self._follows = False
        self._commands: dict[str, Callable[[str], Awaitable[None]]] = {
            "again": self._retry,
            "c": self._connect,
            "csv": self._write_csv,
            "follow": self._set_following,
            "g": self._run_last,
            "gx": self._run_as_records,
            "parquet": self._write_parquet,
            "reading": self._answer_reading,
            "timing": self._set_timing,
            "x": self._set_expanded,
            "?": self._help,
        }

    async def run(self, item: Input) -> bool:
        r"""Run an input; return False for `\q`.

        Raises:
            PgmcpError: the input failed.
        """
        match item.kind:
            case InputKind.SQL if item.refused:
                self._failed = ""
                raise refusal_after_sql(parse_command(item.refused) or BackslashCommand("?"))
            case InputKind.SQL:
                await self._run_sql(item.text, as_records=item.as_records)
            case InputKind.QUESTION if item.meant:
                self._failed = ""
                raise InvalidArgumentError(
                    f"the line ends like SQL, but does not begin with a keyword; did you mean {item.meant}?",
                    hint="begin with ? to ask it as a question",
                )
            case InputKind.QUESTION:
                await self._ask(item.text, refers_back=self._follows)
            case _:
                return await self._run_command(parse_command(item.text) or BackslashCommand("?"))
        return True

    async def connect(self, database: str) -> None:
        """Read the catalog of a database, and use the database.

        Raises:
            PgmcpError: the database is unknown, or cannot be reached.
        """
        with self._terminal.progress() as say:
            say("connecting")
            catalog = await self._session.pipeline.databases.catalog(database)
        self.database = database
        self._terminal.say(
            f"database {escape_untrusted(database)}, PostgreSQL {escape_untrusted(catalog.server_version)}, "
            f"{count_relations([table.kind for table in catalog.tables])}"
        )

    async def _run_sql(self, sql: str, *, as_records: bool = False) -> None:
        started_at_s = time.monotonic()
        self._failed = ""
        with self._terminal.progress() as say:
            answer = await self._session.pipeline.execute_sql(
                sql, CallOptions(database=self.database, caller=CALLER, on_stage=self._stages(say))
            )
        self._set_last(Turn("", sql))
        self._show(answer, started_at_s, as_records=as_records)

    async def _ask(self, question: str, *, refers_back: bool = False, reading: str = "") -> None:
        earlier = describe_earlier(question, self._last) if refers_back and self._last else ""
        started_at_s = time.monotonic()
        self._failed = question
        try:
            with self._terminal.progress() as say:
                answer = await self._session.pipeline.answer(
                    question,
                    QueryOptions(
                        database=self.database,
                        return_type=ReturnType.BOTH,
                        reading=reading,
                        earlier=earlier,
                        caller=CALLER,
                        on_stage=self._stages(say),
                    ),
                )
        except ModelNotConfiguredError as error:
            if earlier and self._follows:
                error.hint += r"; \follow off ends follow-up questions"
            raise
        except (SqlRejectedError, StatementFailedError) as error:
            suggest_other_words(error, "type corrected SQL")
            raise
        self._set_last(Turn(question, answer.sql or "", answer.other_readings or self._readings_of(question)))
        self._show(answer, started_at_s)

    def _set_last(self, turn: Turn) -> None:
        self._last, self._failed = turn, None

    def _stages(self, say: Callable[[str], None]) -> OnStage:
        return report_stages(say, model=self._session.settings.openai.model)

    def _readings_of(self, question: str) -> tuple[str, ...]:
        """Return the readings already known for this question.

        An answer in one reading does not list them again.
        """
        return self._last.readings if self._last is not None and self._last.question == question else ()

    def _show(self, answer: Answer, started_at_s: float, *, as_records: bool = False) -> None:
        elapsed_ms = (time.monotonic() - started_at_s) * 1000
        settings = RowSettings(self._session.settings.server.max_result_rows, in_shell=True)
        expanded = self._expanded or as_records
        show(CommandResult(answer), Form.TABLE, self._terminal, settings=settings, expanded=expanded)
        if self._timed:
            stages = ", ".join(f"{stage} {spent_ms:.1f}" for stage, spent_ms in answer.elapsed_ms.items())
            self._terminal.say(f"Time: {elapsed_ms:.1f} ms ({stages})", "dim")

    async def _run_command(self, command: BackslashCommand) -> bool:
        name = first_name(command.name)
        if name == "q":
            return False
        run = self._commands.get(name)
        if run is not None:
            await run(command.argument)
            return True
        started_at_s = time.monotonic()
        with self._terminal.progress() as say:
            say("reading the schema")
            found = await run_catalog_command(command, self._session, self.database, in_shell=True)
        if isinstance(found, Answer):
            self._show(found, started_at_s)
        else:
            with self._terminal.paging():
                for line in found.splitlines():
                    self._terminal.say_line(line)
        return True

    async def _retry(self, question: str) -> None:
        if question:
            self._need_last()
            await self._ask(question, refers_back=True)
        else:
            await self._run_again()

    async def _run_last(self, argument: str) -> None:
        _refuse_argument("g", argument)
        await self._run_again()

    async def _run_as_records(self, argument: str) -> None:
        _refuse_argument("gx", argument)
        await self._run_again(as_records=True)

    async def _run_again(self, *, as_records: bool = False) -> None:
        last = self._need_success()
        try:
            await self._run_sql(last.sql, as_records=as_records)
        finally:
            self._set_last(last)  # so that it can be run again, even if it failed this time

    async def _answer_reading(self, chosen: str) -> None:
        last = self._need_last()
        if self._failed != last.question:  # another reading of it may have failed
            self._need_success()
        if not last.readings:
            raise InvalidArgumentError("the last question has no other readings")
        numbered = chosen.isdecimal() and 1 <= int(chosen) <= len(last.readings)
        if chosen.isdecimal() and not numbered:
            raise InvalidArgumentError(f"there is no reading {chosen}", hint=_numbers(len(last.readings)))
        reading = last.readings[int(chosen) - 1] if numbered else chosen
        await self._ask(last.question, reading=reading)

    async def _connect(self, name: str) -> None:
        if name:
            self._session.pipeline.databases.get(name)
        await self.connect(name or self.database)

    async def _set_expanded(self, wanted: str) -> None:
        self._expanded = self._switch("expanded display", wanted, self._expanded)

    async def _set_timing(self, wanted: str) -> None:
        self._timed = self._switch("timing", wanted, self._timed)

    async def _set_following(self, wanted: str) -> None:
        what = "following the last question"
        self._follows = self._switch(what, wanted or ("on" if self._follows else "off"), self._follows)

    def _switch(self, what: str, wanted: str, is_on: bool) -> bool:
        if wanted.lower() not in ("", "on", "off"):
            raise InvalidArgumentError(f"{what}: write on or off, not {wanted[:20]!r}")
        is_on = wanted.lower() == "on" if wanted else not is_on
        self._terminal.say(f"{what} is {'on' if is_on else 'off'}")
        return is_on

    async def _write_csv(self, file: str) -> None:
        await self._write(file, "csv")

    async def _write_parquet(self, file: str) -> None:
        await self._write(file, "parquet")

    async def _write(self, file: str, file_format: str) -> None:
        """Run the last statement again, with the limits of an export, and write its rows."""
        last, path, write = self._need_success(), _read_path(file, file_format), file_writer()
        limits = file_limits(self._session.settings.server)
        if write is None or limits is None:
            raise InvalidArgumentError("this installation writes no files")
        with self._terminal.progress() as say:
            answer = await self._session.pipeline.execute_sql(
                last.sql,
                CallOptions(
                    database=self.database, row_limits=limits, caller=CALLER, on_stage=self._stages(say)
                ),
            )
            if answer.rows is None:
                return
            say(f"writing {path}")
            size_bytes = await write(answer.rows, file_format, path)
        self._terminal.say(escape_untrusted(describe_file(path, answer.rows, size_bytes)))
        for note in truncation_notes(answer.rows, RowSettings(limits.max_rows, "PG_MCP_SERVER_EXPORT_MAX")):
            self._terminal.remark(note)

    async def _help(self, _: str) -> None:
        self._terminal.say(_RULES)
        for command in COMMANDS:
            self._terminal.say(f"{command.usage:<23} {command.meaning}")

    def _need_last(self) -> Turn:
        if self._last is None:
            raise InvalidArgumentError(_NOTHING_YET, hint="run SQL or ask a question first")
        return self._last

    def _need_success(self) -> Turn:
        """Return the last turn. Raise an error if a later input failed: old rows would look like its rows."""
        last = self._need_last()
        if self._failed is not None:
            earlier = shorten(last.question or " ".join(last.sql.split()), _MAX_NAMED_CHARACTERS)
            raise InvalidArgumentError(
                "the last input failed, so it has no result",
                hint=f"correct it; or, for the earlier result, run this again: {earlier}",
            )
        return last


def _refuse_argument(name: str, argument: str) -> None:
    if argument:  # a file, as in psql
        raise InvalidArgumentError(f"\\{name} takes no argument", hint=r"\csv FILE writes the rows to a file")


def _numbers(count: int) -> str:
    return r"there is only \reading 1" if count == 1 else rf"from \reading 1 to \reading {count}"


def _read_path(text: str, file_format: str) -> Path:
    try:
        names = shlex.split(text)
    except ValueError:
        names = []
    if len(names) != 1:
        raise InvalidArgumentError("name one file", hint=f"\\{file_format} 'my file.{file_format}'")
    path = Path(names[0]).expanduser()
    if not path.absolute().parent.is_dir():
        raise InvalidArgumentError(f"the folder {path.parent} does not exist")
    return path


def count_relations(kinds: Sequence[TableKind]) -> str:
    """Return the number of tables, and of views if there are some: "3 tables, 1 view"."""
    views = sum(kind in _VIEWS for kind in kinds)
    tables = count_of(len(kinds) - views, "table")
    return f"{tables}, {count_of(views, 'view')}" if views else tables
