"""Runs the worker's own statements so that no object of the database can take part in them.

    ──▶ BEGIN … READ ONLY · SELECT set_config(…) · the statement · Sync · ROLLBACK · Sync

The first SELECT sets search_path to pg_catalog, with pg_temp after it. This SELECT needs no search path
itself, because its function is qualified and its arguments have their exact types. PostgreSQL then finds all
names of the statement in pg_catalog.
"""

import select
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import psycopg
from psycopg import pq

from worker.protocol import CALLER_SCHEMAS_SETTING

_TEXT_OID: Final = 25
_MAX_CLOSING_RESULTS: Final = 10
_CALLER_SCHEMAS: Final = "pg_catalog.concat(pg_catalog.array_to_json(pg_catalog.current_schemas(false)))"
_HAS_NO_TEMPORARY: Final = "pg_catalog.pg_my_temp_schema() OPERATOR(pg_catalog.=) '0'::pg_catalog.oid"

SEARCH_PATH_SETTING: Final = "search_path"
PATH_WITHOUT_TEMPORARY: Final = "search_path without temporary tables"
"""In a list of settings, the name of a search path that applies if the session has no temporary schema.

If the session has one, the search path that the list sets before it stays. Behind a pooler, only the
transaction itself can check this.
"""

Encode = Callable[[str], bytes]
"""Encodes the value of a setting as the session's client_encoding requires."""

BEGIN_READ_ONLY: Final = b"BEGIN READ ONLY"
BEGIN_OWN: Final = b"BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY"
"""Begins the transaction of one of pgmcp's own statements.

It names the isolation level, because a standby refuses every statement if the default level is serializable.
"""
NAME_SETTING: Final = "application_name"
ROLE_SETTING: Final = "role"
"""The setting that SET ROLE changes (PostgreSQL manual, SET ROLE)."""


def set_local(
    settings: Sequence[tuple[str, str]], encode: Encode = str.encode
) -> tuple[bytes, list[bytes], list[int]]:
    """Return a SELECT that applies settings to one transaction, with its parameters and their type OIDs.

    The settings are applied in the given order.

    `CALLER_SCHEMAS_SETTING` gets the schemas of the search path that is set before it, as a JSON array. The
    functions that find them need no operator and no cast, which the database could have replaced.
    `PATH_WITHOUT_TEMPORARY` is applied only if the session has no temporary schema.

    If `ROLE_SETTING` is among the settings, the SELECT fails with a division by zero (22012) unless the
    current role at its end has that name. For the name "none", PostgreSQL sets the login role. It checks the
    privilege to execute the functions before the role changes, so the new role does not need this privilege.
    """
    calls: list[str] = []
    params: list[bytes] = []
    expected_role = ""
    for name, value in settings:
        params.append(name.encode())
        if name == CALLER_SCHEMAS_SETTING:
            calls.append(f"pg_catalog.set_config(${len(params)}, {_CALLER_SCHEMAS}, true)")
            continue
        params.append(encode(value))
        new = f"${len(params)}"
        if name == PATH_WITHOUT_TEMPORARY:
            params[-2] = SEARCH_PATH_SETTING.encode()
            old = f"pg_catalog.current_setting(${len(params) - 1})"
            new = f"CASE WHEN {_HAS_NO_TEMPORARY} THEN {new} ELSE {old} END"
        calls.append(f"pg_catalog.set_config(${len(params) - 1}, {new}, true)")
        if name == ROLE_SETTING:
            expected_role = f"${len(params)}"
    if expected_role:
        # The expression is not constant, so that the planner does not evaluate the division.
        is_current = f"current_user OPERATOR(pg_catalog.=) {expected_role}"
        calls.append(f"1 OPERATOR(pg_catalog./) CASE WHEN {is_current} THEN 1 ELSE 0 END")
    return f"SELECT {', '.join(calls)}".encode(), params, [_TEXT_OID] * len(params)


def set_in_session(
    settings: Sequence[tuple[str, str]], encode: Encode = str.encode
) -> tuple[bytes, list[bytes], list[int]]:
    """Return a SELECT that applies settings to the whole session, with its parameters and their type OIDs."""
    params = [encode(text) for setting in settings for text in setting]
    calls = [
        f"pg_catalog.set_config(${2 * place + 1}, ${2 * place + 2}, false)" for place in range(len(settings))
    ]
    return f"SELECT {', '.join(calls)}".encode(), params, [_TEXT_OID] * len(params)


Wait = Callable[[Sequence[int], Sequence[int], float | None], bool]
"""Waits until one of the descriptors can be read, or one of the second list written.

Returns False if the seconds have passed; None waits without a limit.
"""


def wait_for(reading: Sequence[int], writing: Sequence[int], timeout_s: float | None) -> bool:
    """Wait for these descriptors and for nothing else (`Wait`)."""
    return any(select.select(reading, writing, [], timeout_s))


@dataclass(frozen=True, slots=True)
class OwnStatement:
    """One of pgmcp's own statements.

    Attributes:
        query: the SQL, with the parameters $1, $2, …
        settings: settings of its transaction, search_path among them.
        params: values of the parameters, in PostgreSQL's text format.
        param_types: the type OID of each parameter.
        encode: encodes the values of the settings.
    """

    query: bytes
    settings: Sequence[tuple[str, str]]
    params: Sequence[bytes] = ()
    param_types: Sequence[int] = ()
    encode: Encode = str.encode


def run_own(
    pgconn: pq.abc.PGconn, statements: Sequence[OwnStatement], *, timeout_s: float, wait: Wait = wait_for
) -> list[pq.abc.PGresult]:
    """Run own statements in one round trip, each in a transaction of its own.

    Args:
        pgconn: an idle connection.
        timeout_s: timeout of all answers together; the connection must not be used after a timeout.
        wait: waits for the connection.

    Returns:
        The result of each statement, which may be an error of the server.

    Raises:
        psycopg.OperationalError: the connection broke, or no answer came in time, as behind a pooler that
            has no server connection free.
    """
    exchange = _OwnExchange(pgconn, timeout_s, wait)
    pgconn.enter_pipeline_mode()
    try:
        for statement in statements:
            _send(pgconn, statement)
    except psycopg.OperationalError as error:
        raise exchange.closing_reason() or error from error
    results = [exchange.read_answer() for _ in statements]
    pgconn.exit_pipeline_mode()
    return results


def _send(pgconn: pq.abc.PGconn, statement: OwnStatement) -> None:
    pgconn.send_query_params(BEGIN_OWN, None)
    pgconn.send_query_params(*set_local(statement.settings, statement.encode))
    pgconn.send_query_params(statement.query, list(statement.params), list(statement.param_types))
    pgconn.pipeline_sync()
    pgconn.send_query_params(b"ROLLBACK", None)
    pgconn.pipeline_sync()


def set_for_session(
    pgconn: pq.abc.PGconn, settings: Sequence[tuple[str, str]], encode: Encode, *, timeout_s: float
) -> pq.abc.PGresult:
    """Set values for the rest of the session; return the result, which may be an error of the server.

    Args:
        pgconn: an idle connection, outside a transaction.
        encode: encodes the values.
        timeout_s: timeout of the answer; the connection must not be used after a timeout.

    Raises:
        psycopg.OperationalError: the connection broke, or no answer came in time.
    """
    pgconn.enter_pipeline_mode()
    pgconn.send_query_params(*set_in_session(settings, encode))
    pgconn.pipeline_sync()
    result = _OwnExchange(pgconn, timeout_s).read_until_syncs(1)[0]
    pgconn.exit_pipeline_mode()
    return result


def reset_for_session(pgconn: pq.abc.PGconn, names: Sequence[str]) -> None:
    """Reset settings to the values with which the session began. Refusals of the server are ignored.

    Args:
        pgconn: an idle connection, outside a transaction.
        names: settings of PostgreSQL or of pgmcp.

    Raises:
        psycopg.OperationalError: the connection broke.
    """
    for name in names:
        quoted = '"' + name.replace('"', '""') + '"'
        pgconn.exec_params(f"RESET {quoted}".encode(), None)


class _OwnExchange:
    """Reads the results of one pipeline."""

    def __init__(self, pgconn: pq.abc.PGconn, timeout_s: float, wait: Wait = wait_for) -> None:
        self._pgconn = pgconn
        self._timeout_s = timeout_s
        self._wait_for = wait
        self._deadline_s = time.monotonic() + timeout_s

    def closing_reason(self) -> psycopg.OperationalError | None:
        """Return what the server or a pooler said before it closed the connection; None if nothing.

        When sending fails, libpq has already read that message, but reports only "connection not in pipeline
        mode". This does not wait for a server that is silent.
        """
        results: list[pq.abc.PGresult] = []
        with suppress(psycopg.OperationalError):
            while len(results) < _MAX_CLOSING_RESULTS and not self._pgconn.is_busy():
                if (result := self._pgconn.get_result()) is None:
                    break
                results.append(result)
        reason = _first_error(results)
        return psycopg.OperationalError(_text(reason)) if reason is not None else None

    def read_answer(self) -> pq.abc.PGresult:
        """Return the result of the next statement, or the first error before it.

        It is the third result, after those of BEGIN and the SELECT that applies the settings.

        Raises:
            psycopg.OperationalError: as `run_own` describes.
        """
        results = self.read_until_syncs(2)
        answer = _first_error(results) or (results[2] if len(results) > 2 else None)
        if answer is None:
            raise psycopg.OperationalError("connected, but the server answered out of order")
        return answer

    def read_until_syncs(self, count: int) -> list[pq.abc.PGresult]:
        """Read up to the `count`-th Sync; return the results before the first one."""
        results: list[pq.abc.PGresult] = []
        syncs = 0
        while syncs < count:
            result = self._next_result(results)
            if result is None:
                self._check_alive()
            elif result.status == pq.ExecStatus.PIPELINE_SYNC:
                syncs += 1
            elif syncs == 0:
                results.append(result)
        return results

    def _next_result(self, earlier: list[pq.abc.PGresult]) -> pq.abc.PGresult | None:
        try:
            self._wait()
            return self._pgconn.get_result()
        except psycopg.OperationalError as error:
            # A pooler, or a server at its transaction_timeout, says why before it closes the connection.
            reason = _first_error(earlier)
            reported = (
                psycopg.OperationalError(_text(reason)) if reason is not None else self.closing_reason()
            )
            if reported is None:
                raise
            raise reported from error

    def _wait(self) -> None:
        pgconn = self._pgconn
        unsent = pgconn.flush()
        while pgconn.is_busy():
            connection = [pgconn.socket]
            left_s = max(0.0, self._deadline_s - time.monotonic())
            if not self._wait_for(connection, connection if unsent else (), left_s):
                raise psycopg.OperationalError(
                    f"connected, but no answer within {self._timeout_s:g} s: "
                    "is a pooler out of server connections?"
                )
            pgconn.consume_input()
            unsent = pgconn.flush()

    def _check_alive(self) -> None:
        if self._pgconn.status == pq.ConnStatus.BAD:
            message = self._pgconn.error_message.decode("utf8", "replace").strip()
            raise psycopg.OperationalError(message or "connected, but the connection broke at once")


def _text(result: pq.abc.PGresult) -> str:
    return result.error_message.decode("utf8", "replace").strip()


def _first_error(results: Sequence[pq.abc.PGresult]) -> pq.abc.PGresult | None:
    return next((result for result in results if result.status == pq.ExecStatus.FATAL_ERROR), None)
