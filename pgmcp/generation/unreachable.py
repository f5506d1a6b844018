"""Why an endpoint cannot be reached, found among the errors that one was raised from."""

import socket
import ssl
from collections.abc import Iterator
from typing import Final

_CHECK_ADDRESS: Final = "check PG_MCP_OPENAI_BASE_URL, that the endpoint runs, and the proxy variables"

_REASON_BY_ERROR: Final[dict[type[BaseException], tuple[str, str]]] = {
    ConnectionRefusedError: ("no server listens there", _CHECK_ADDRESS),
    socket.gaierror: (
        "nobody here knows a host of that name",
        "check the host in PG_MCP_OPENAI_BASE_URL, the DNS and the proxy variables",
    ),
    ssl.SSLCertVerificationError: (
        "its certificate is not trusted here",
        "SSL_CERT_FILE can name a file with the certificate of its CA, or of your network's proxy; or check "
        "PG_MCP_OPENAI_BASE_URL",
    ),
    ssl.SSLError: (
        "it does not speak TLS",
        "check PG_MCP_OPENAI_BASE_URL: http:// and https:// may be exchanged",
    ),
}


def explain_unreachable(error: BaseException) -> tuple[str, str]:
    """Return the reason, "" if it is not known, and what to do about it."""
    causes = list(_causes(error))
    for kind, explained in _REASON_BY_ERROR.items():
        if any(isinstance(cause, kind) for cause in causes):
            return explained
    return "", _CHECK_ADDRESS


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Give the error and all that it came from; several addresses of a host fail as a group."""
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for each in error.exceptions:
                yield from _causes(each)
        error = error.__cause__ or error.__context__
