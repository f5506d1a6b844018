import socket
import ssl

import pytest

from pgmcp.generation.model_errors import explain_unreachable


def raised_from(cause: Exception) -> BaseException:
    """Return an error as the SDK raises it: its cause is in a group, with the causes of other addresses."""
    outer, middle = RuntimeError("Connection error."), OSError("All connection attempts failed")
    outer.__cause__ = middle
    middle.__cause__ = ExceptionGroup("attempts", [OSError("another address"), cause])
    return outer


@pytest.mark.parametrize(
    ("cause", "reason", "hint_part"),
    [
        (ConnectionRefusedError(), "no server listens on that host and port", "that the endpoint runs"),
        (socket.gaierror(-2, "Name or service not known"), "the host name could not be resolved", "the DNS"),
        (ssl.SSLCertVerificationError(), "its certificate is not trusted on this machine", "SSL_CERT_FILE"),
        (ssl.SSLError(), "it does not speak TLS", "http://"),
        (OSError(), "", "proxy variables"),
    ],
)
def test_the_cause_of_the_sdks_error_is_found(cause: OSError, reason: str, hint_part: str) -> None:
    found, hint = explain_unreachable(raised_from(cause))

    assert found.startswith(reason)
    assert hint_part in hint
