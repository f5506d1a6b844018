"""The interface of an engine for the examination."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass


class MissingEngineError(Exception):
    """The engine is not available here; the text says why."""


@dataclass(frozen=True)
class Target:
    """A running engine with its test tables.

    Attributes:
        url: for pgmcp.
        direct_url: with a superuser and without a pooler; "" if all connections share one session.
        reads: further statements that must succeed, such as calls of an extension's functions.
        max_connections: maximum number of concurrent connections.
    """

    url: str
    direct_url: str = ""
    reads: tuple[str, ...] = ()
    max_connections: int = 4


@dataclass(frozen=True)
class Engine:
    """A row of the table.

    Attributes:
        version: of the engine or pooler; the server reports PostgreSQL's version.
        start: starts it with its tables; raises MissingEngineError if it is not available.
    """

    key: str
    name: str
    version: str
    start: Callable[[], AbstractContextManager[Target]]
