"""Opens the pipeline for a shell, and reads inputs from a person or from standard input."""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from pgmcp.cli.ask import read_text
from pgmcp.cli.catalog_commands import COMMANDS
from pgmcp.cli.command_session import Session, load_settings_of_all, open_session
from pgmcp.cli.errors import ExitCode, exit_code_of
from pgmcp.cli.shell.completion import Candidate, complete
from pgmcp.cli.shell.conversation import Conversation
from pgmcp.cli.shell.history import HistoryFile, history_path
from pgmcp.cli.shell.inputs import Input, split
from pgmcp.cli.terminal import Terminal
from pgmcp.ending_signals import ending_signals, exit_code_of_signal, run_coroutine
from pgmcp.errors import (
    PgmcpError,
    RateLimitedError,
    SqlRejectedError,
    StatementFailedError,
)
from pgmcp.settings import Settings

_WELCOME: Final = (
    'SQL ends with ";"; everything else is a question. \\? lists the commands, Tab completes, Ctrl-D leaves.'
)
_NO_MODEL: Final = (
    "No model is configured, so only SQL is answered. To ask questions, set PG_MCP_OPENAI_API_KEY, or "
    "PG_MCP_OPENAI_BASE_URL for a local model."
)
_COMMANDS: Final = sorted(f"\\{name}" for command in COMMANDS for name in command.names)


def run_shell(database: str | None, *, keeps_history: bool) -> int:
    """Run a shell until it is left, and return the exit code.

    Raises:
        PgmcpError: the settings or standard input cannot be used, or the database cannot be reached.
    """
    terminal = Terminal()
    settings = load_settings_of_all(terminal.warning_handler(), database)
    if sys.stdin.isatty():
        return run_coroutine(lambda: _run_interactively(settings, terminal, keeps_history=keeps_history))
    inputs = split(read_text(), is_whole=True)[0]
    return run_coroutine(lambda: _run_batch(settings, terminal, inputs))


async def _run_batch(settings: Settings, terminal: Terminal, inputs: list[Input]) -> ExitCode:
    """Run the inputs until one fails, and return its exit code."""
    async with open_session(settings) as session:
        conversation = Conversation(session, terminal, next(iter(settings.databases)))
        for item in inputs:
            try:
                goes_on = await run_when_allowed(partial(conversation.run, item), terminal.remark)
            except PgmcpError as error:
                terminal.remark(f"line {find_line(item, error)} of the input:")
                terminal.show_failure(error, in_shell=True)
                return exit_code_of(error)
            if not goes_on:
                break
    return ExitCode.DONE


def find_line(item: Input, error: PgmcpError) -> int:
    """Return the line of the error in the whole input; if it is unknown, the line where `item` begins."""
    if not isinstance(error, SqlRejectedError | StatementFailedError) or error.sql != item.text:
        return item.line
    return item.line + item.text.count("\n", 0, error.position or 0)


async def run_when_allowed(
    run: Callable[[], Awaitable[bool]],
    remark: Callable[[str], None],
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> bool:
    """Run an input; if the rate limit is reached, wait and run it again.

    Raises:
        RateLimitedError: waiting does not help.
    """
    while True:
        try:
            return await run()
        except RateLimitedError as error:
            if error.retry_after_s is None:
                raise
            remark(f"the rate limit is reached; waiting {error.retry_after_s:.0f} s")
            await sleep(error.retry_after_s)


async def _run_interactively(settings: Settings, terminal: Terminal, *, keeps_history: bool) -> int:
    from pgmcp.cli.shell.prompt import Prompt

    async with open_session(settings) as session:
        conversation = Conversation(session, terminal, next(iter(settings.databases)))
        runner = _Runner(terminal)
        runner.handle_signals()
        try:
            await conversation.connect(conversation.database)
        except PgmcpError as error:
            _suggest_another(error, list(settings.databases)[1:])
            raise
        terminal.say(_WELCOME)
        if not session.pipeline.can_answer_questions:
            terminal.say(_NO_MODEL)
        history = HistoryFile(history_path(), settings.shell_history if keeps_history else 0)
        prompt = Prompt(history, _completer(session, conversation), terminal.remark)
        try:
            await _read_and_run(prompt.read, conversation, runner)
        except asyncio.CancelledError:
            if not runner.ended_by:
                raise
            return exit_code_of_signal(runner.ended_by)
    return ExitCode.DONE


def _suggest_another(error: PgmcpError, others: list[str]) -> None:
    """Add to the error's hint how to begin with another database, which may be up."""
    if others:
        other = f"`pgmcp shell --database {others[0]}` begins with another database"
        error.hint = f"{error.hint}; {other}" if error.hint else other


def _completer(session: Session, conversation: Conversation) -> Callable[[str, str], list[Candidate]]:
    def complete_word(before: str, after: str) -> list[Candidate]:
        catalog = session.pipeline.databases.cached_catalog(conversation.database)
        return complete(
            before, after, catalog, commands=_COMMANDS, databases=list(session.settings.databases)
        )

    return complete_word


async def _read_and_run(
    read: Callable[[str], Awaitable[str]], conversation: Conversation, runner: "_Runner"
) -> None:
    while True:
        try:
            text = await read(conversation.database)
        except KeyboardInterrupt:
            continue
        except EOFError:
            return
        for item in split(text, is_whole=True)[0]:
            match await runner.run(conversation, item):
                case True:
                    continue
                case False:
                    return
                case None:  # later inputs may need its result
                    break


class _Runner:
    """Runs inputs that Ctrl-C cancels.

    Attributes:
        ended_by: the signal that ends the shell; 0 while it runs.
    """

    def __init__(self, terminal: Terminal) -> None:
        self.ended_by = 0
        self._terminal = terminal
        self._running: asyncio.Task[bool] | None = None

    def handle_signals(self) -> None:
        """Let Ctrl-C cancel the running input only, and let SIGTERM and a closed terminal end the shell."""
        loop, shell = asyncio.get_running_loop(), asyncio.current_task()
        assert shell is not None  # noqa: S101
        # Not add_signal_handler, which Windows lacks.
        signal.signal(signal.SIGINT, lambda *_: loop.call_soon_threadsafe(self._cancel))
        for number in ending_signals():
            if number != signal.SIGINT:
                signal.signal(number, lambda number, _: loop.call_soon_threadsafe(self._end, shell, number))

    async def run(self, conversation: Conversation, item: Input) -> bool | None:
        """Run an input; return False to leave, and None if it failed or was cancelled."""
        self._running = asyncio.create_task(conversation.run(item))
        try:
            return await self._running
        except PgmcpError as error:
            self._terminal.show_failure(error, in_shell=True)
            return None
        except asyncio.CancelledError:
            if self.ended_by:
                raise
            self._terminal.remark("cancelled")
            return None
        finally:
            self._running = None

    def _cancel(self) -> None:
        if self._running is not None:
            self._running.cancel()

    def _end(self, shell: asyncio.Task[object], number: int) -> None:
        self.ended_by = number
        shell.cancel()
