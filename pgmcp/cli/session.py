"""Opens the pipeline for a command, with the settings and guards that a host's calls have."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from pgmcp.cli.serve import start_fork_server
from pgmcp.errors import UnknownDatabaseError
from pgmcp.observability.log_format import configure_logging
from pgmcp.settings import Settings, load_settings

if TYPE_CHECKING:
    from pgmcp.pipeline import Pipeline
    from pgmcp.tokens import TokenCounter

T = TypeVar("T")

CALLER: Final = "command line"
"""Who asked, in logs and the audit, beside the names of hosts."""


@dataclass(frozen=True, slots=True)
class Session:
    """What a command has while it works."""

    settings: Settings
    pipeline: "Pipeline"
    counter: "TokenCounter"


@asynccontextmanager
async def open_session(settings: Settings) -> AsyncIterator[Session]:
    """Open the pipeline; on leaving, however that is, nothing runs on any server."""
    # First of all: it imports while we do.
    fork_server = start_fork_server()
    try:
        from pgmcp.serve import open_pipeline

        async with open_pipeline(settings, fork_server) as (pipeline, counter):
            yield Session(settings, pipeline, counter)
    finally:
        if fork_server:
            fork_server.close()


def run_in_session(settings: Settings, work: Callable[[Session], Awaitable[T]]) -> T:
    """Return what `work` makes of a session; Ctrl-C ends it, on the server, too."""

    async def run() -> T:
        async with open_session(settings) as session:
            return await work(session)

    return asyncio.run(run())


def load_quiet_settings(warnings: logging.Handler, database: str | None) -> Settings:
    """Read the settings for one database, and send warnings where a person sees them, or logs where asked.

    Args:
        warnings: unless LOG_LEVEL is set: then there are log lines as the server writes them.
        database: None: the default one. No other is opened, nor are connections warmed up there.

    Raises:
        SettingsError: they cannot be used.
        UnknownDatabaseError: none of that name is configured.
    """
    settings = load_settings()
    if "log_level" in settings.model_fields_set:
        configure_logging(settings.log_level, settings.log_format)
    else:
        logging.basicConfig(level="WARNING", handlers=[warnings], format="%(message)s")
        # What goes wrong with workers is told once, by the failure that ends the command.
        logging.getLogger("pgmcp.execution").setLevel("ERROR")
    name = next(iter(settings.databases)) if database is None else database
    if name not in settings.databases:
        raise UnknownDatabaseError(name, list(settings.databases))
    return settings.model_copy(update={"databases": {name: settings.databases[name]}})
