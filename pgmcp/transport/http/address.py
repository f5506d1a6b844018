"""Parses the address that the server listens on, opens it, and says whether other machines can reach it."""

import ipaddress
import re
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pgmcp.errors import SettingsError

DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 8765

_BACKLOG: Final = 1024
_ADDRESS: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.%\w]+\]|[^\[\]:\s/]*)(?::(?P<port>\d{1,5}))?")


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """A host name or an IP address, without the brackets of IPv6, and a port; port 0 is any free one."""

    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def parse_address(text: str) -> ListenAddress:
    """Return the address for `HOST:PORT`, `HOST`, `:PORT` or `[IPV6]:PORT`.

    Raises:
        SettingsError: the text has another form.
    """
    found = _ADDRESS.fullmatch(text)
    port = int(found["port"] or DEFAULT_PORT) if found else 0
    if found is None or port > 65535:
        raise SettingsError(
            f"--http {text[:80]!r} is not an address",
            hint=f"expected HOST:PORT, for instance {DEFAULT_HOST}:{DEFAULT_PORT} or [::1]:{DEFAULT_PORT}",
        )
    return ListenAddress(found["host"].strip("[]") or DEFAULT_HOST, port)


def open_sockets(address: ListenAddress) -> list[socket.socket]:
    """Return a listening socket for every IP address of the host, all with the same port.

    Raises:
        SettingsError: the name cannot be resolved, or listening on one of its addresses failed.
    """
    opened: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        for family, where in dict.fromkeys((family, where) for family, *_, where in found):
            opened.append(_listen(family, where, opened[0].getsockname()[1] if opened else address.port))
    except (OSError, UnicodeError) as error:  # UnicodeError: a name with an empty or a long label
        for each in opened:
            each.close()
        reason = getattr(error, "strerror", None) or "this is not a host name"
        raise SettingsError(
            f"--http {address}: cannot listen there ({reason.lower()})",
            hint="stop the program that uses the port, or choose another address",
        ) from None
    return opened


def _listen(family: socket.AddressFamily, where: tuple[object, ...], port: int) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform != "win32":  # on Windows it would let two programs share a port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((where[0], port, *where[2:]))
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def is_loopback(sockets: Sequence[socket.socket]) -> bool:
    """Return whether only this machine can reach all of the sockets."""
    return all(_is_loopback(each.getsockname()[0]) for each in sockets)


def _is_loopback(text: str) -> bool:
    address = ipaddress.ip_address(text.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def is_unspecified(address: ListenAddress) -> bool:
    """Return whether the address means all addresses of this machine: 0.0.0.0 or ::."""
    try:
        return ipaddress.ip_address(address.host).is_unspecified
    except ValueError:
        return False
