"""The interface of an engine for the examination."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Target:
    """A running engine with its test tables.

    Attributes:
        url: URL for pgmcp.
        direct_url: URL of the superuser without a pooler; "" if all connections share one session.
        reads: further statements that must succeed, such as calls of an extension's functions.
        max_connections: maximum number of concurrent connections.
        log_file: the server's log, if all of pgmcp's own statements are to be run on it.
    """

    url: str
    direct_url: str = ""
    reads: tuple[str, ...] = ()
    max_connections: int = 4
    log_file: Path | None = None


@dataclass(frozen=True)
class Engine:
    """An engine or pooler: a row of the table.

    Attributes:
        version: version of the engine or pooler; the server itself reports PostgreSQL's version.
        start: starts the engine with its tables; raises MissingEngineError if it is not available.
    """

    key: str
    name: str
    version: str
    start: Callable[[], AbstractContextManager[Target]]
