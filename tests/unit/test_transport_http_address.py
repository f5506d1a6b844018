"""The address that the server listens on, and whether other machines can reach it."""

import pytest

from pgmcp.errors import SettingsError
from pgmcp.transport.http.address import ListenAddress, is_loopback, open_sockets, parse_address


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:9000", "127.0.0.1", 9000),
        ("localhost", "localhost", 8765),
        (":9000", "127.0.0.1", 9000),
        ("[::1]:9000", "::1", 9000),
        ("[::1]", "::1", 8765),
        ("0.0.0.0:0", "0.0.0.0", 0),
    ],
)
def test_a_valid_address_is_parsed(text: str, host: str, port: int) -> None:
    assert parse_address(text) == ListenAddress(host, port)


@pytest.mark.parametrize(
    "text", ["http://127.0.0.1:80", "::1", "127.0.0.1:99999", "127.0.0.1:x", "a b:1", "host:1/mcp", "[::1"]
)
def test_an_invalid_address_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="is not an address"):
        parse_address(text)


def test_a_name_without_an_address_is_refused() -> None:
    with pytest.raises(SettingsError, match="cannot listen there"):
        open_sockets(ListenAddress("name..invalid", 0))


@pytest.mark.parametrize(
    ("host", "is_local"), [("127.0.0.1", True), ("localhost", True), ("127.8.9.1", True), ("0.0.0.0", False)]
)
def test_only_addresses_of_this_machine_are_loopback(host: str, is_local: bool) -> None:
    sockets = open_sockets(ListenAddress(host, 0))
    try:
        assert is_loopback(sockets) is is_local
        assert len({each.getsockname()[1] for each in sockets}) == 1
    finally:
        for each in sockets:
            each.close()
