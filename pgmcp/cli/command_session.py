"""Opens the pipeline for a command, with the same guards as for hosts, and with few connections."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeVar

from pgmcp.cli.serve import start_fork_server
from pgmcp.ending_signals import run_coroutine
from pgmcp.errors import UnknownDatabaseError
from pgmcp.observability.call_log import configure_logging
from pgmcp.pipeline import OnStage, Stage
from pgmcp.settings import DatabaseSettings, Settings
from pgmcp.settings.load import load_settings

if TYPE_CHECKING:
    from pgmcp.generation.context_file import ContextFile
    from pgmcp.pipeline import Observer, Pipeline
    from pgmcp.tokens import TokenCounter

T = TypeVar("T")

_DEFAULT_LOG_LEVEL: Final = "INFO"

CALLER: Final = "command line"
"""The caller's name in logs and in the audit file."""


@dataclass(frozen=True, slots=True)
class Session:
    """The pipeline and settings of a running command."""

    settings: Settings
    pipeline: "Pipeline"
    counter: "TokenCounter"


@asynccontextmanager
async def open_session(
    settings: Settings, *, context_file: "ContextFile | None" = None, observers: "Sequence[Observer]" = ()
) -> AsyncIterator[Session]:
    """Open the pipeline; on exit, statements that still run are cancelled.

    Args:
        context_file: the context file, if it has been read already.
        observers: observe calls, in addition to the observers that the settings configure.
    """
    # Started first, so that it imports its modules in parallel.
    fork_server = start_fork_server()
    try:
        from pgmcp.composition import open_pipeline

        async with open_pipeline(settings, fork_server, context_file, observers=observers) as (
            pipeline,
            counter,
        ):
            yield Session(settings, pipeline, counter)
    finally:
        if fork_server:
            fork_server.close()


def run_in_session(settings: Settings, work: Callable[[Session], Awaitable[T]]) -> T:
    """Run `work` with a session and return its result; Ctrl-C also cancels its statement on the server."""

    async def run() -> T:
        async with open_session(settings) as session:
            return await work(session)

    return run_coroutine(run)


def load_quiet_settings(warnings: logging.Handler, database: str | None) -> Settings:
    """Read the settings for one database, and set up logging for a terminal.

    Args:
        warnings: handles warnings, if LOG_LEVEL has its default. Otherwise the command logs as the server
            does.
        database: None means the default one. No other database is opened.

    Raises:
        SettingsError: the settings are invalid.
        UnknownDatabaseError: no database of that name is configured.
    """
    settings = read_settings_quietly(warnings)
    return with_databases(settings, [_choose(settings, database)])


def load_settings_of_all(warnings: logging.Handler, database: str | None) -> Settings:
    """Read the settings for all databases, as `load_quiet_settings` does for one.

    Args:
        database: becomes the default one; None keeps the order of the settings.
    """
    settings = read_settings_quietly(warnings)
    name = _choose(settings, database)
    names = [name, *(other for other in settings.databases if other != name)]
    # One connection for the statement, and one to read the catalog.
    databases = {each: _limited(settings.databases[each], 2) for each in names}
    return settings.with_databases(databases)


def with_databases(settings: Settings, names: Sequence[str]) -> Settings:
    """Return the settings with these configured databases only."""
    # One connection is enough: statements come one after another, and reading the catalog can wait for them.
    databases = {name: _limited(settings.databases[name], 1) for name in names}
    return settings.with_databases(databases)


def read_settings_quietly(warnings: logging.Handler) -> Settings:
    """Read the settings, and set up logging for a terminal, as `load_quiet_settings` does."""
    settings = load_settings()
    if settings.log_level != _DEFAULT_LOG_LEVEL:
        configure_logging(settings.log_level, settings.log_format)
    else:
        warnings.addFilter(_is_no_warning_of_execution)
        logging.basicConfig(level="WARNING", handlers=[warnings], format="%(message)s")
    return settings


def _is_no_warning_of_execution(record: logging.LogRecord) -> bool:
    # Most of these warnings repeat the error that ends the command; `pgmcp doctor` reports the others.
    return record.levelno >= logging.ERROR or not record.name.startswith("pgmcp.execution.")


def _choose(settings: Settings, database: str | None) -> str:
    name = next(iter(settings.databases)) if database is None else database
    if name not in settings.databases:
        raise UnknownDatabaseError(name, list(settings.databases))
    return name


def _limited(settings: DatabaseSettings, connections: int) -> DatabaseSettings:
    """Return the settings of a database with a lower limit of connections."""
    most = min(connections, settings.max_pool_size)
    return replace(settings, min_pool_size=0, max_pool_size=most)


WORDS_BY_STAGE: Final = {
    Stage.SCHEMA: "reading the schema",
    Stage.PROMPT: "writing the prompt",
    Stage.MODEL: "waiting for {model} to write SQL",
    Stage.VALIDATE: "checking the SQL",
    Stage.PLAN: "planning the SQL",
    Stage.EXECUTE: "running the SQL",
    Stage.CHECK: "comparing the SQL with the data",
}


def report_stages(say: Callable[[str], None], *, model: str) -> OnStage:
    """Show that the database is being connected, and return a function that shows each stage."""
    say("connecting")

    def on_stage(stage: Stage) -> None:
        say(WORDS_BY_STAGE[stage].format(model=model))

    return on_stage
