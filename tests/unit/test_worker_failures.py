import psycopg
import pytest

from worker.failures import broken_connection, classify, failed_connect
from worker.protocol import FailureCode


@pytest.mark.parametrize(
    ("sqlstate", "code"),
    [
        ("42601", FailureCode.STATEMENT),
        ("22012", FailureCode.STATEMENT),
        ("53200", FailureCode.STATEMENT),
        ("55P03", FailureCode.STATEMENT),
        ("25006", FailureCode.STATEMENT),
        ("57014", FailureCode.CANCELLED),
        ("25P04", FailureCode.TIMEOUT),
        ("57P01", FailureCode.UNREACHABLE),
        ("57P02", FailureCode.UNREACHABLE),
        ("57P03", FailureCode.UNREACHABLE),
        ("57P05", FailureCode.UNREACHABLE),
        ("25P03", FailureCode.UNREACHABLE),
        ("08006", FailureCode.UNREACHABLE),
        ("08P01", FailureCode.UNREACHABLE),
        ("28P01", FailureCode.AUTH),
        ("28000", FailureCode.AUTH),
        ("XX000", FailureCode.STATEMENT),
    ],
)
def test_the_sqlstate_decides_and_an_exact_one_takes_precedence_over_its_class(
    sqlstate: str, code: FailureCode
) -> None:
    assert classify(sqlstate, "out of memory") is code


@pytest.mark.parametrize(
    "message", ["unable to read data from DB node 0", "unable to write data to DB node 1"]
)
def test_a_server_that_pgpool_has_lost_is_unreachable(message: str) -> None:
    assert classify("XX000", message) is FailureCode.UNREACHABLE
    assert classify("P0001", message) is FailureCode.STATEMENT


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("out of memory for query result", FailureCode.TOO_LARGE),
        ("cannot allocate memory for input buffer", FailureCode.TOO_LARGE),
        ("server closed the connection unexpectedly", FailureCode.UNREACHABLE),
        ("SSL SYSCALL error: EOF detected", FailureCode.UNREACHABLE),
        ("", FailureCode.UNREACHABLE),
    ],
)
def test_without_an_sqlstate_the_words_of_libpq_decide(message: str, code: FailureCode) -> None:
    assert classify("", message) is code
    assert broken_connection(psycopg.OperationalError(message)).code is code


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (
            'connection failed: FATAL:  password authentication failed for user "me"',
            FailureCode.AUTH,
        ),
        ("connection failed: fe_sendauth: no password supplied", FailureCode.AUTH),
        ('FATAL:  no pg_hba.conf entry for host "10.0.0.1", user "me"', FailureCode.AUTH),
        ('FATAL:  role "nobody" does not exist', FailureCode.AUTH),
        ('FATAL:  role "me" is not permitted to log in', FailureCode.AUTH),
        ('FATAL:  permission denied for database "shop"', FailureCode.AUTH),
        ('FATAL:  database "shop" does not exist', FailureCode.AUTH),
        ('FATAL:  pg_hba.conf rejects connection for host "10.0.0.1", user "me"', FailureCode.AUTH),
        ("FATAL:  connection requires a valid client certificate", FailureCode.AUTH),
        ('FATAL:  certificate authentication failed for user "me"', FailureCode.AUTH),
        ('FATAL:  unrecognized configuration parameter "nosuch"', FailureCode.AUTH),
        ('FATAL:  invalid value for parameter "work_mem": "foo"', FailureCode.AUTH),
        ('FATAL:  parameter "server_version" cannot be changed', FailureCode.AUTH),
        ('FATAL:  permission denied to set parameter "log_statement"', FailureCode.AUTH),
        ("SSL error: certificate verify failed", FailureCode.UNREACHABLE),
        ('server certificate for "a" does not match host name "b"', FailureCode.UNREACHABLE),
        ("Connection refused. Is the server running on that host?", FailureCode.UNREACHABLE),
        ("could not translate host name", FailureCode.UNREACHABLE),
        ("connection timeout expired", FailureCode.UNREACHABLE),
        ("FATAL:  sorry, too many clients already", FailureCode.LIMITED),
        ('FATAL:  too many connections for role "me"', FailureCode.LIMITED),
        ("FATAL:  no more connections allowed (max_client_conn)", FailureCode.LIMITED),
        ("FATAL:  (EMAXCONNSESSION) max clients reached in session mode", FailureCode.LIMITED),
        ("FATAL:  Timed-out waiting to acquire database connection", FailureCode.LIMITED),
    ],
)
def test_a_failed_connection_distinguishes_refused_credentials_from_no_connection(
    message: str, code: FailureCode
) -> None:
    assert failed_connect(psycopg.OperationalError(message)).code is code


@pytest.mark.parametrize("prefix", ["connection failed: ", "connection is bad: "])
def test_a_message_of_several_lines_becomes_one(prefix: str) -> None:
    error = psycopg.OperationalError(f"{prefix}Connection refused\n\tIs it running?\n")

    assert failed_connect(error).message == "Connection refused; Is it running?"


@pytest.mark.parametrize(
    ("sqlstates", "code", "sqlstate"),
    [
        (["00000"], FailureCode.UNREACHABLE, ""),  # "00000": the server accepted this attempt
        (["57P03", "00000"], FailureCode.UNREACHABLE, "57P03"),
        (["53300", "00000"], FailureCode.LIMITED, "53300"),
        (["28P01"], FailureCode.AUTH, "28P01"),
        ([], FailureCode.AUTH, ""),
    ],
)
def test_a_refused_connection_is_a_limit_only_if_words_or_sqlstate_say_so(
    sqlstates: list[str], code: FailureCode, sqlstate: str
) -> None:
    failure = failed_connect(psycopg.OperationalError("FATAL:  nein"), lambda: sqlstates)

    assert (failure.code, failure.sqlstate) == (code, sqlstate)
