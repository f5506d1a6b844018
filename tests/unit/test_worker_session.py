import pytest

from worker.failures import FailedError
from worker.protocol import FailureCode
from worker.session import Session


@pytest.mark.parametrize(
    "conninfo", ["postgresql://me:se%cret@localhost/shop", "host=localhost password='secret"]
)
def test_a_connection_string_that_libpq_cannot_read_is_refused_without_quoting_it(conninfo: str) -> None:
    with pytest.raises(FailedError) as failure:
        Session(conninfo, {}, connect_timeout_s=5, on_connect=lambda connected: None)

    assert failure.value.code is FailureCode.UNREACHABLE
    assert failure.value.message == "libpq cannot read the connection string"
