"""What an engine is to the examination."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass


class MissingEngineError(Exception):
    """The engine cannot be had here; the text says why."""


@dataclass(frozen=True)
class Target:
    """A running engine with the tables that are read.

    Attributes:
        url: what pgmcp connects to.
        direct_url: of a superuser, past any pooler; "" where all connections share one session.
        reads: further statements that have to be answered, such as an extension's functions.
        max_connections: how many connections it takes at once.
    """

    url: str
    direct_url: str = ""
    reads: tuple[str, ...] = ()
    max_connections: int = 4


@dataclass(frozen=True)
class Engine:
    """A row of the table.

    Attributes:
        version: of what the row is named after, beside PostgreSQL's own, which the server reports.
        start: starts it with its tables; raises MissingEngineError where it cannot be had.
    """

    key: str
    name: str
    version: str
    start: Callable[[], AbstractContextManager[Target]]
