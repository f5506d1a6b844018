import pytest

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
from pgmcp.execution.connection_hints import CONNECTION_ENDED
from pgmcp.execution.replies import failure_error, read_rows
from pgmcp.execution.result import Column, EncodedRows, JsonScalar, Rows, Truncation
from worker.protocol import Failure, FailureCode, Opened, Result, Terminated, Truncated

_ERROR_BY_CODE: dict[FailureCode, type[ExecutionError]] = {
    FailureCode.STATEMENT: StatementFailedError,
    FailureCode.TIMEOUT: DeadlineExceededError,
    FailureCode.CANCELLED: DeadlineExceededError,
    FailureCode.UNREACHABLE: UnreachableError,
    FailureCode.DISCONNECTED: UnreachableError,
    FailureCode.AUTH: DatabaseAuthError,
    FailureCode.DENIED: CatalogDeniedError,
    FailureCode.IDENTITY: RoleNotTakenError,
    FailureCode.TOO_LARGE: ResultTooLargeError,
    FailureCode.DISCONNECTED: UnreachableError,
    FailureCode.IDENTITY: RoleNotTakenError,
    FailureCode.LIMITED: ConnectionLimitError,
}

JSON = b'[1,"x"]\n[null,null]\n'
TEXT = b"1\tx\n"


def result(*, truncated: Truncated | None = None) -> Result:
    return Result(
        1, [("a", "integer"), ("", "text")], truncated, 3, 1.5, row_count=2, json_bytes=len(JSON), text_rows=1
    )


@pytest.mark.parametrize("code", FailureCode)
def test_every_failure_of_a_worker_becomes_one_error_that_says_what_to_do(code: FailureCode) -> None:
    error = failure_error(Failure(1, code, "what it said", hint="what it advised"), timeout_s=2.5)

    assert type(error) is _ERROR_BY_CODE[code]
    assert error.hint


@pytest.mark.parametrize("code", sorted(set(FailureCode) - {FailureCode.TIMEOUT, FailureCode.CANCELLED}))
def test_the_database_is_quoted_in_the_error(code: FailureCode) -> None:
    assert "what it said" in str(failure_error(Failure(1, code, "what it said"), timeout_s=1))


@pytest.mark.parametrize("sqlstate", ["57P01", "57P02", "57P05", "25P03"])
def test_a_connection_that_the_server_ended_gets_no_hint_about_the_address(sqlstate: str) -> None:
    failure = Failure(1, FailureCode.UNREACHABLE, "in whatever language", sqlstate)

    assert failure_error(failure, timeout_s=1).hint == CONNECTION_ENDED


@pytest.mark.parametrize("code", [FailureCode.TIMEOUT, FailureCode.CANCELLED])
def test_a_timeout_names_the_limit_of_the_caller(code: FailureCode) -> None:
    assert "2.5 s" in str(failure_error(Failure(1, code, ""), timeout_s=2.5))


def test_a_failed_statement_keeps_sqlstate_hint_and_position() -> None:
    failure = Failure(1, FailureCode.STATEMENT, "no such column", "42703", "perhaps b", 7)

    error = failure_error(failure, timeout_s=1)

    assert isinstance(error, StatementFailedError)
    assert (str(error), error.sqlstate, error.hint, error.position) == (
        "no such column",
        "42703",
        "perhaps b",
        7,
    )


def test_rows_have_their_columns_and_the_reason_why_rows_are_missing() -> None:
    rows = read_rows(result(truncated="rows"), JSON + TEXT, timeout_s=1)

    assert rows == Rows(
        columns=(Column("a", "integer"), Column("", "text")),
        rows=[[1, "x"], [None, None]],
        truncated=Truncation.ROWS,
        cut_cells=3,
        elapsed_ms=1.5,
    )


def test_a_whole_result_is_not_truncated() -> None:
    assert read_rows(result(), JSON + TEXT, timeout_s=1).truncated is None


def test_a_failure_in_place_of_rows_is_raised() -> None:
    with pytest.raises(UnreachableError):
        read_rows(Failure(1, FailureCode.UNREACHABLE, "gone"), b"", timeout_s=1)


@pytest.mark.parametrize("reply", [Opened(1), Terminated(1)])
def test_a_reply_to_another_kind_of_request_is_a_lost_worker(reply: Opened | Terminated) -> None:
    with pytest.raises(WorkerLostError, match="the worker sent an unexpected kind of reply"):
        read_rows(reply, b"", timeout_s=1)


@pytest.mark.parametrize("body", [b"", JSON, JSON[:-1] + TEXT, JSON + TEXT[:-1], JSON + TEXT * 2, JSON * 2])
def test_rows_that_cannot_be_read_are_a_lost_worker(body: bytes) -> None:
    with pytest.raises(WorkerLostError):
        read_rows(result(), body, timeout_s=1)


@pytest.mark.parametrize(
    ("message", "limit", "advice"),
    [
        ('FATAL:  too many connections for role "me"', "the role's", "ALTER ROLE"),
        ('FATAL:  too many connections for database "shop"', "the database's", "ALTER DATABASE"),
        ("FATAL:  sorry, too many clients already", "the server's", "max_connections raised"),
        (
            "FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute",
            "the server's",
            "max_connections raised",
        ),
        ("FATAL:  no more connections allowed (max_client_conn)", "the pooler's", "max_client_conn"),
        (
            "FATAL:  MaxClientsInSessionMode: max clients reached - in Session mode max clients are limited",
            "the pooler's",
            "the pooler has no free connection",
        ),
        ("FATAL:  zu viele Verbindungen für Rolle »ich«", "a limit of connections", "CONNECTION LIMIT"),
    ],
)
def test_an_error_names_whose_connection_limit_was_reached(message: str, limit: str, advice: str) -> None:
    error = failure_error(Failure(1, FailureCode.LIMITED, message, "53300"), timeout_s=1)

    assert str(error).startswith(limit)
    assert advice in error.hint


CELLS: list[list[JsonScalar]] = [
    [number, str(number), None, number / 2, True, 2**53, "ü\n\u2028…\U0001f418"] for number in range(2_500)
]


@pytest.fixture
def encoded() -> EncodedRows:
    return EncodedRows.encode(CELLS)


def test_encoded_rows_equal_the_decoded_ones(encoded: EncodedRows) -> None:
    assert len(encoded) == 2_500
    assert encoded == CELLS
    assert [type(cell) for cell in encoded[2]] == [type(cell) for cell in CELLS[2]]
    assert (encoded[-1], encoded[700]) == (CELLS[-1], CELLS[700])


@pytest.mark.parametrize(
    "chosen",
    [slice(10, 2_000), slice(None, 3), slice(-300, None), slice(9, 5), slice(4_000, None), slice(0, 90, 7)],
)
def test_a_slice_of_encoded_rows_stays_encoded(encoded: EncodedRows, chosen: slice) -> None:
    part = encoded[chosen]

    assert isinstance(part, EncodedRows)
    assert part == CELLS[chosen]
    assert len(part) == len(CELLS[chosen])


@pytest.mark.parametrize("row", [2_500, -2_501])
def test_a_missing_row_is_an_index_error(encoded: EncodedRows, row: int) -> None:
    with pytest.raises(IndexError):
        encoded[row]


def test_the_head_of_rows_says_that_there_are_more(encoded: EncodedRows) -> None:
    rows = Rows((Column("a", "integer"),), encoded)

    assert rows.head(3) == Rows(rows.columns, CELLS[:3], Truncation.ROWS)
    assert rows.head(2_500) is rows
