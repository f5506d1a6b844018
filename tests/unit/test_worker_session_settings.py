import pytest

from worker.failures import FailedError
from worker.protocol import FailureCode
from worker.session import Session
from worker.session_settings import SessionDefaults, choose_limits

DEFAULTS = SessionDefaults()


@pytest.mark.parametrize(
    ("timeout_ms", "set_for_transaction"),
    [
        (30_000, []),
        (29_980, []),
        (29_979, [("statement_timeout", "29979")]),
        (30_001, [("statement_timeout", "30001")]),
        (100, [("statement_timeout", "100"), ("lock_timeout", "100")]),
    ],
)
def test_a_transaction_sets_its_timeout_unless_the_one_of_the_session_comes_soon_after(
    timeout_ms: int, set_for_transaction: list[tuple[str, str]]
) -> None:
    session = choose_limits(DEFAULTS, 30_000)

    assert choose_limits(DEFAULTS, timeout_ms).needed_in(session) == set_for_transaction


def test_a_smaller_timeout_of_the_role_is_kept_for_the_session() -> None:
    defaults = SessionDefaults({"statement_timeout": "1000"}, {"statement_timeout": "set for the role"})

    session = choose_limits(defaults, 30_000)

    assert session.statement.ms == 1_000
    assert choose_limits(defaults, 20_000).needed_in(session) == []


@pytest.mark.parametrize(
    "conninfo", ["postgresql://me:se%cret@localhost/shop", "host=localhost password='secret"]
)
def test_a_connection_string_that_libpq_cannot_read_is_refused_without_quoting_it(conninfo: str) -> None:
    with pytest.raises(FailedError) as failure:
        Session(conninfo, {}, connect_timeout_s=5, on_connect=lambda connected: None)

    assert failure.value.code is FailureCode.UNREACHABLE
    assert failure.value.message == "libpq cannot read the connection string"
