"""`pgmcp doctor` on connections that tests do not have: remote, behind poolers, to old servers."""

import pytest

from pgmcp.cli.doctor.connection_checks import (
    Protection,
    is_near,
    judge_tls,
    judge_tls_to_pooler,
    judge_version,
)
from pgmcp.cli.doctor.report import Status
from pgmcp.settings.address import Address

CHECK = "database main: TLS"
PREFER = Address("db:5432", "prefer", is_verified=False)
VERIFY_FULL = Address("db:5432", "verify-full", is_verified=True)
TLS = "TLSv1.3 with TLS_AES_256_GCM_SHA384"


def test_a_plain_connection_across_a_network_is_warned_of() -> None:
    result = judge_tls(CHECK, Protection("", is_near=False), PREFER)

    assert result.status is Status.WARN
    assert result.text.startswith("not used")
    assert "PG_MCP_DATABASE_SSL_MODE=verify-full" in result.hint


def test_tls_that_checks_nothing_across_a_network_is_warned_of() -> None:
    result = judge_tls(CHECK, Protection(TLS, is_near=False), PREFER)

    assert result.status is Status.WARN
    assert result.text.startswith(f"{TLS}, ssl mode prefer: any certificate is accepted")
    assert "PG_MCP_DATABASE_SSL_ROOT_CERT" in result.hint


def test_checked_tls_up_to_a_pooler_that_uses_none_is_warned_of() -> None:
    result = judge_tls(CHECK, Protection("", is_near=True), VERIFY_FULL)

    assert result.status is Status.WARN
    assert "pooler" in result.text


@pytest.mark.parametrize(
    ("protection", "address"),
    [
        (Protection(TLS, is_near=False), VERIFY_FULL),
        (Protection(TLS, is_near=True), PREFER),
        (Protection("", is_near=True), PREFER),
    ],
)
def test_a_connection_that_is_checked_or_local_passes(protection: Protection, address: Address) -> None:
    assert judge_tls(CHECK, protection, address).status is Status.OK


@pytest.mark.parametrize(
    ("protection", "address", "status", "words"),
    [
        # The server's report says nothing about the connection from here to the pooler.
        (
            Protection(TLS, is_near=True),
            PREFER,
            Status.WARN,
            "the connection to the pooler may be without TLS",
        ),
        (
            Protection("", is_near=True),
            PREFER,
            Status.WARN,
            "the connection to the pooler may be without TLS",
        ),
        (
            Protection(TLS, is_near=False),
            VERIFY_FULL,
            Status.OK,
            f"the pooler connects to the server with {TLS}",
        ),
        (Protection("", is_near=True), VERIFY_FULL, Status.OK, "on the same machine without TLS"),
        (Protection("", is_near=False), VERIFY_FULL, Status.WARN, "over a network without TLS"),
        (
            Protection(TLS, is_near=False),
            Address("db:5432", "require", is_verified=False),
            Status.WARN,
            "encrypted up to the pooler, but any certificate is accepted",
        ),
        *(
            (
                Protection("", is_near=True),
                Address(hosts, "prefer", is_verified=False),
                Status.OK,
                "on this m",
            )
            for hosts in (
                "127.0.0.1:6432",
                "localhost:6432, ::1:6432",
                "/run/pgbouncer:6432",
                "local socket, port 6432",
            )
        ),
        (
            Protection("", is_near=True),
            Address("localhost:6432, db:6432", "prefer", is_verified=False),
            Status.WARN,
            "may be without TLS",
        ),
        (
            Protection("", is_near=True),
            Address("127.0.0.1:6432 through me@bastion", "prefer", is_verified=False, bastion="me@bastion"),
            Status.OK,
            "the pooler is on the bastion",
        ),
    ],
)
def test_behind_a_pooler_both_connections_are_judged(
    protection: Protection, address: Address, status: Status, words: str
) -> None:
    result = judge_tls_to_pooler(CHECK, protection, address)

    assert (result.status, words in result.text) == (status, True), result


@pytest.mark.parametrize(
    ("client", "server", "expected"),
    [
        (None, None, True),
        ("127.0.0.1", "127.0.0.1", True),
        ("::1", "::1", True),
        ("192.0.2.7", "192.0.2.7", True),
        ("192.0.2.7", "192.0.2.8", False),
    ],
)
def test_a_client_on_a_socket_the_loopback_or_the_servers_address_is_local(
    client: str | None, server: str | None, expected: bool
) -> None:
    assert is_near(client, server) is expected


@pytest.mark.parametrize(("number", "status"), [(130_000, Status.OK), (120_022, Status.FAIL)])
def test_a_server_that_is_too_old_fails(number: int, status: Status) -> None:
    assert judge_version("database main: version", number, "x").status is status
