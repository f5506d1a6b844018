"""Turns a worker's reply into rows or an error of `pgmcp.errors`."""

import re
from itertools import starmap
from typing import Final

from pgmcp.errors import (
    CatalogDeniedError,
    ConnectionLimitError,
    DatabaseAuthError,
    DeadlineExceededError,
    ExecutionError,
    ResultTooLargeError,
    RoleNotTakenError,
    StatementFailedError,
    UnreachableError,
    WorkerLostError,
)
from pgmcp.execution.catalog_access import grant_for
from pgmcp.execution.connection_hints import (
    CHECK_ADDRESS,
    CHECK_CREDENTIALS,
    CONNECTION_ENDED,
    hint_for,
)
from pgmcp.execution.result import Column, EncodedRows, Rows, Truncation
from worker.protocol import Failure, FailureCode, Reply, Result

_TOO_MANY_CONNECTIONS: Final = "53300"
_NARROW: Final = "add a WHERE condition, or select an aggregate; the limit is PG_MCP_SERVER_QUERY_TIMEOUT"
_TAKE_ROLE: Final = (
    "have an administrator grant that role to the role of this connection (GRANT … TO …), or correct the "
    "mapping"
)
# admin_shutdown, crash_shutdown, idle_session_timeout, idle_in_transaction_session_timeout
_ENDED_SQLSTATES: Final = frozenset({"57P01", "57P02", "57P05", "25P03"})


def read_rows(reply: Reply, body: bytes, *, timeout_s: float) -> Rows:
    """Return the rows of a reply to `Execute`.

    Args:
        timeout_s: the caller's timeout, for the message.

    Raises:
        ExecutionError: the statement failed.
        WorkerLostError: the reply does not answer an `Execute`, or its rows cannot be read.
    """
    match reply:
        case Result():
            return Rows(
                columns=tuple(starmap(Column, reply.columns)),
                rows=_encoded_rows(reply, body),
                truncated=Truncation(reply.truncated) if reply.truncated else None,
                cut_cells=reply.cut_cells,
                elapsed_ms=reply.elapsed_ms,
            )
        case Failure():
            raise failure_error(reply, timeout_s=timeout_s)
        case _:
            raise WorkerLostError("the worker sent an unexpected kind of reply")


def failure_error(failure: Failure, *, timeout_s: float) -> ExecutionError:
    """Return the error that a `Failure` describes.

    Args:
        timeout_s: the caller's timeout, for the message.
    """
    match failure.code:
        case FailureCode.TIMEOUT | FailureCode.CANCELLED:
            return limit_reached(failure.limit) if failure.limit else deadline_exceeded(timeout_s)
        case FailureCode.UNREACHABLE | FailureCode.DISCONNECTED | FailureCode.LIMITED | FailureCode.AUTH:
            return _no_connection(failure)
        case FailureCode.DENIED:
            return CatalogDeniedError(
                f"no statement can be run here: {failure.message}",
                hint=grant_for(failure.message),
            )
        case FailureCode.IDENTITY:
            return RoleNotTakenError(
                f"the login role could not become this caller's role: {failure.message}", hint=_TAKE_ROLE
            )
        case FailureCode.TOO_LARGE:
            return ResultTooLargeError(
                f"a value does not fit the worker's memory: {failure.message}",
                hint="select fewer or shorter columns, for example left(column, 1000)",
            )
        case FailureCode.STATEMENT:
            return StatementFailedError(
                failure.message, sqlstate=failure.sqlstate, hint=failure.hint, position=failure.position
            )


def _no_connection(failure: Failure) -> ExecutionError:
    message = failure.message
    if failure.code is FailureCode.LIMITED:
        hint = hint_for(message, "", sqlstate=_TOO_MANY_CONNECTIONS)
        return ConnectionLimitError(f"{_limit_in(message)} is reached: {message}", hint=hint)
    if failure.code is FailureCode.AUTH:
        hint = hint_for(message, CHECK_CREDENTIALS, sqlstate=failure.sqlstate)
        return DatabaseAuthError(f"the database refused the connection: {message}", hint=hint)
    default = CONNECTION_ENDED if failure.sqlstate in _ENDED_SQLSTATES else CHECK_ADDRESS
    hint = hint_for(message, default, sqlstate=failure.sqlstate)
    return UnreachableError(f"the database is not reachable: {message}", hint=hint)


def deadline_exceeded(timeout_s: float) -> DeadlineExceededError:
    """Return the error for a late statement whose end the server has reported."""
    return DeadlineExceededError(
        f"the statement was stopped after {timeout_s:g} s, on the server too", hint=_NARROW, is_stopped=True
    )


def given_up(timeout_s: float) -> DeadlineExceededError:
    """Return the error for a statement whose end the server has not reported."""
    return DeadlineExceededError(
        f"the statement was given up after {timeout_s:g} s; the server has not confirmed that it ended, so "
        "it may still be running there",
        hint=_NARROW,
    )


def no_worker(timeout_s: float, *, shortage: ExecutionError | None, is_full: bool) -> ExecutionError:
    """Return the error for a statement that no worker took before its deadline.

    Args:
        timeout_s: the caller's timeout.
        shortage: the error of the last start of a worker; None if it succeeded.
        is_full: whether the pool has its maximum number of connected workers.
    """
    message = f"no worker was free within {timeout_s:g} s"
    if is_full:
        return DeadlineExceededError(message, hint="try again, or raise PG_MCP_DATABASE_MAX_POOL_SIZE")
    if isinstance(shortage, ConnectionLimitError):
        return ConnectionLimitError(
            f"no connection became free within {timeout_s:g} s: {shortage}", hint=shortage.hint
        )
    if shortage is not None:
        return DeadlineExceededError(
            f"{message}, and the database refused a further connection: {shortage}", hint=shortage.hint
        )
    return DeadlineExceededError(
        f"{message}: a new connection was not ready in time",
        hint="try again; if it happens often, check with `pgmcp doctor` how long a connection takes",
    )


_AT_DATABASE: Final = "the database's administrator can change it"
_PLACE_BY_OWNER: Final = (
    ("set for the connection string", "options in PG_MCP_DATABASE_URL or in the service file change it"),
    ("set in pgbouncer.ini", "the administrator of PgBouncer can change it"),
    ("set by PGOPTIONS", "the environment variable PGOPTIONS changes it"),
)


def limit_reached(limit: str) -> DeadlineExceededError:
    """Return the error for a statement that the server ended because of its own limit.

    Args:
        limit: as in `worker.protocol.Failure`.
    """
    is_poolers = "pgbouncer.ini" in limit
    where = next((place for words, place in _PLACE_BY_OWNER if limit.endswith(words)), _AT_DATABASE)
    return DeadlineExceededError(
        f"the pooler abandoned the statement, so it may still be running on the server: {limit}"
        if is_poolers
        else f"the server stopped the statement: {limit}",
        hint="add a WHERE condition, or select an aggregate; the limit is smaller than "
        f"PG_MCP_SERVER_QUERY_TIMEOUT, and {where}",
        is_stopped=not is_poolers,
    )


_LIMIT_BY_WORDS: Final = (
    (re.compile(r"Sorry, too many clients"), "pgpool-II's limit of connections (num_init_children)"),
    (re.compile(r"too many connections for role"), "the role's connection limit"),
    (re.compile(r"too many connections for database"), "the database's connection limit"),
    (
        re.compile(
            r"max_\w+|max clients|max client connections|MaxClientsIn|check out|to acquire", re.IGNORECASE
        ),
        "the pooler's limit of connections",
    ),
    (
        re.compile(r"too many clients|remaining connection slots", re.IGNORECASE),
        "the server's limit of connections (max_connections)",
    ),
)


def _limit_in(message: str) -> str:
    """Return the limit of connections that a refusal is about: "the role's connection limit"."""
    return next(
        (limit for words, limit in _LIMIT_BY_WORDS if words.search(message)), "a limit of connections"
    )


def _encoded_rows(result: Result, body: bytes) -> EncodedRows:
    try:
        return EncodedRows.read(
            body, result.row_count, json_bytes=result.json_bytes, text_rows=result.text_rows
        )
    except ValueError as error:
        raise WorkerLostError("the worker sent rows that cannot be read") from error
