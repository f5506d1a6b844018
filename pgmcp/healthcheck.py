"""Checks whether the server in this container answers: `python -m pgmcp.healthcheck`, for HEALTHCHECK.

The check reads the server's address from its command line in /proc. A server over stdio has no address and
counts as healthy. The check runs every few seconds, so this module imports only the standard library.
"""

import http.client
import ssl
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

TIMEOUT_S: Final = 2.0
_DEFAULT_HOST: Final = "127.0.0.1"
_DEFAULT_PORT: Final = 8765
_LOOPBACK_BY_ANY: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - nothing is served here
_OPTIONS_WITH_VALUE: Final = ("--forwarded-allow-ips",)


def main() -> int:
    """Return the exit code: 0 if all servers answer, 1 if one does not or there is none."""
    servers = list(find_servers(Path("/proc")))
    return 0 if servers and all(address is None or answers(*address) for address in servers) else 1


def find_servers(processes: Path) -> Iterator[tuple[str, int] | None]:
    """Yield the host and port of each running `pgmcp serve`; None for a server over stdio.

    Args:
        processes: the folder /proc.
    """
    for file in processes.glob("[0-9]*/cmdline"):
        try:
            arguments = file.read_bytes().decode("utf-8", "replace").split("\0")[:-1]
        except OSError:  # it has ended, or belongs to another user
            continue
        names = [Path(argument).name for argument in arguments]
        if names[:1] == ["pgmcp"] or names[1:2] == ["pgmcp"]:
            after = arguments[names.index("pgmcp") + 1 :]
            if after[:1] in ([], ["serve"]):
                yield _address_of(after[1:])


def answers(host: str, port: int) -> bool:
    """Return whether a server answers /healthz with 200, over HTTP or TLS."""
    unverified = ssl._create_unverified_context()  # noqa: S323 - the certificate is not for a loopback address
    for connection in (
        http.client.HTTPConnection(host, port, timeout=TIMEOUT_S),
        http.client.HTTPSConnection(host, port, timeout=TIMEOUT_S, context=unverified),
    ):
        with closing(connection):
            try:
                connection.request("GET", "/healthz")
                return connection.getresponse().status == http.client.OK
            except (OSError, http.client.HTTPException):
                continue
    return False


def _address_of(arguments: Sequence[str]) -> tuple[str, int] | None:
    """Return host and port from the arguments of `serve`; None without `--http`."""
    if "--http" not in arguments:
        return None
    text = ""
    left = iter(arguments)
    for argument in left:
        if argument in _OPTIONS_WITH_VALUE:
            next(left, None)
        elif not argument.startswith("-"):
            text = argument
    host, _, port = text.rpartition(":") if not text.endswith("]") else (text, "", "")
    if not port.isdecimal():
        host, port = text, ""
    host = host.strip("[]") or _DEFAULT_HOST
    return _LOOPBACK_BY_ANY.get(host, host), int(port or _DEFAULT_PORT)


if __name__ == "__main__":
    sys.exit(main())
