"""Checks of a database connection: address, tunnel, TLS, pooler, server version."""

import asyncio
import ipaddress
import re
from dataclasses import dataclass
from typing import Final

from pgmcp.cli.doctor.check_context import CheckContext
from pgmcp.cli.doctor.report import CheckResult, Status
from pgmcp.errors import StatementFailedError
from pgmcp.execution.result import JsonScalar
from pgmcp.execution.supervisor import SHARED_SESSION
from pgmcp.settings.address import Address

MIN_SERVER_VERSION: Final = 13
"""The oldest major version that the catalog queries support."""

CONNECT_TIMEOUT_S: Final = 35.0
"""Longer than a pool tries to connect to several hosts, so that the pool's own error says the cause."""

_IDENTITY_SQL: Final = """
SELECT current_catalog::text, current_user::text
"""
_TLS_SQL: Final = """
SELECT s.ssl, s.version, s.cipher,
       pg_catalog.host(pg_catalog.inet_client_addr()), pg_catalog.host(pg_catalog.inet_server_addr())
  FROM pg_catalog.pg_stat_ssl AS s
 WHERE s.pid = pg_catalog.pg_backend_pid()
"""
_VERSION_SQL: Final = """
SELECT pg_catalog.current_setting('server_version_num'), pg_catalog.current_setting('server_version')
"""
_USE_TLS: Final = (
    "PG_MCP_DATABASE_SSL_MODE=verify-full, with PG_MCP_DATABASE_SSL_ROOT_CERT: a file of CA certificates, "
    "or the word system"
)


_LOCAL_HOST: Final = re.compile(r"(?:localhost|127\.[\d.]+|::1|[/@].*):\d+")


async def check_connection(context: CheckContext, check: str) -> CheckResult:
    """Check that a connection can be made; report the server."""
    loop = asyncio.get_running_loop()
    started_s = loop.time()
    ((database, role),) = await context.fetch(_IDENTITY_SQL, CONNECT_TIMEOUT_S)
    elapsed_ms = (loop.time() - started_s) * 1000
    standby = ", a standby" if await _is_standby(context) else ""
    text = (
        f"{context.address.hosts} answers in {elapsed_ms:.0f} ms: database {database}, role {role}{standby}"
    )
    return CheckResult(Status.OK, check, text)


async def _is_standby(context: CheckContext) -> bool:
    try:
        ((is_standby,),) = await context.fetch("SELECT pg_catalog.pg_is_in_recovery()")
    except StatementFailedError:  # the function may be revoked on a hardened server
        return False
    return bool(is_standby)


async def check_tunnel(context: CheckContext, check: str) -> CheckResult | None:
    """Report the SSH tunnel through which the database is reached."""
    state = context.database.supervisor.tunnel_state
    if not state:
        return None
    return CheckResult(Status.OK, check, f"through {context.address.bastion}: {state}")


async def check_pooler(context: CheckContext, check: str) -> CheckResult | None:
    """Report a pooler between pgmcp and the server, and its consequences."""
    pooler = context.database.supervisor.pooler
    if not pooler:
        return None
    if pooler == SHARED_SESSION:
        return CheckResult(
            Status.WARN,
            check,
            "the server has one session for all connections, so each statement waits for those of all "
            "other clients",
            "use such an engine (PGlite) for development only",
        )
    return CheckResult(
        Status.OK,
        check,
        f"{pooler} is between pgmcp and the server: backends are never terminated by pid; the statement of a "
        "killed worker ends when its connection is closed or by statement_timeout",
    )


@dataclass(frozen=True, slots=True)
class Protection:
    """Protection of the connection, as reported by the server.

    Attributes:
        cipher: version and cipher of TLS; "" without TLS.
        is_near: whether client and server are on the same machine; with a tunnel, whether the bastion and
            the server are.
    """

    cipher: str
    is_near: bool


async def check_tls(context: CheckContext, check: str) -> CheckResult:
    """Check whether the connection is encrypted and the server's certificate verified."""
    rows = await context.fetch(_TLS_SQL)
    if not rows:
        return CheckResult(
            Status.WARN,
            check,
            "unknown: the server reports nothing about this connection in pg_stat_ssl",
            f"if the network is not trusted, set {_USE_TLS}",
        )
    ((is_encrypted, version, cipher, client, server),) = rows
    protection = Protection(f"{version} with {cipher}" if is_encrypted else "", is_near(client, server))
    is_direct = context.database.supervisor.pooler in ("", SHARED_SESSION)
    judge = judge_tls if is_direct else judge_tls_to_pooler
    return judge(check, protection, context.address)


def judge_tls_to_pooler(check: str, protection: Protection, address: Address) -> CheckResult:
    """Return the result for a connection to a pooler.

    Args:
        check: the check's name.
        protection: of the connection from the pooler to the server, the only one that the server reports.
        address: the pooler's address.
    """
    text, is_safe = _judge_way_to_pooler(address)
    if protection.cipher:
        text += f"; the pooler connects to the server with {protection.cipher}"
    elif protection.is_near:
        text += "; the pooler connects to the server on the same machine without TLS"
    else:
        text += (
            "; the pooler connects to the server over a network without TLS, where everyone can read the rows"
        )
        hint = "let the pooler use TLS (PgBouncer: server_tls_sslmode), unless that network is trusted"
        return CheckResult(Status.WARN, check, text, hint if is_safe else f"{hint}; set {_USE_TLS}")
    return (
        CheckResult(Status.OK, check, text)
        if is_safe
        else CheckResult(Status.WARN, check, text, f"set {_USE_TLS}")
    )


def _judge_way_to_pooler(address: Address) -> tuple[str, bool]:
    """Return how the pooler is reached, and whether that is safe."""
    hosts = address.hosts.partition(" through ")[0]
    if hosts.startswith("local socket") or all(map(_LOCAL_HOST.fullmatch, hosts.split(", "))):
        return f"the pooler is on {_near_place(address)}", True
    if address.is_verified:
        return f"ssl mode {address.ssl_mode}: the pooler's certificate is checked", True
    if address.ssl_mode == "require":
        return "ssl mode require: encrypted up to the pooler, but any certificate is accepted", False
    return f"ssl mode {address.ssl_mode}: the connection to the pooler may be without TLS", False


def judge_tls(check: str, protection: Protection, address: Address) -> CheckResult:
    """Return the result for a connection, by its protection and address."""
    if not protection.cipher:
        return _judge_plain(check, protection, address)
    text = f"{protection.cipher}, ssl mode {address.ssl_mode}: "
    if address.is_verified:
        return CheckResult(Status.OK, check, f"{text}the server's certificate is checked")
    text += "any certificate is accepted"
    if protection.is_near:
        return CheckResult(Status.OK, check, f"{text}, and the server is on {_near_place(address)}")
    return CheckResult(
        Status.WARN, check, f"{text}, so another server could impersonate this one", f"set {_USE_TLS}"
    )


def _judge_plain(check: str, protection: Protection, address: Address) -> CheckResult:
    if address.is_verified:  # such a mode requires TLS, so there is a pooler
        return CheckResult(
            Status.WARN,
            check,
            "verified up to a pooler, which connects to the server without TLS",
            "let the pooler use TLS too, unless it shares a machine or a trusted network with the server",
        )
    if protection.is_near:
        return CheckResult(
            Status.OK, check, f"not used and not needed: the server is on {_near_place(address)}"
        )
    where = "on the network between the bastion and the server" if address.bastion else "on the network"
    return CheckResult(
        Status.WARN,
        check,
        f"not used: everyone {where} can read the rows",
        f"enable it on the server (ssl = on) and set {_USE_TLS}",
    )


def _near_place(address: Address) -> str:
    return "the bastion" if address.bastion else "this machine"


def is_near(client: JsonScalar, server: JsonScalar) -> bool:
    """Return whether client and server are on the same machine; a socket has no addresses."""
    return not client or client == server or ipaddress.ip_address(str(client)).is_loopback


async def check_version(context: CheckContext, check: str) -> CheckResult:
    """Check the server's version."""
    ((number, version),) = await context.fetch(_VERSION_SQL)
    return judge_version(check, int(number or 0), str(version))


def judge_version(check: str, number: int, version: str) -> CheckResult:
    """Return the result for a version.

    Args:
        number: `server_version_num`, 180006 for 18.6.
        version: as reported by the server.
    """
    if number // 10_000 >= MIN_SERVER_VERSION:
        return CheckResult(Status.OK, check, f"PostgreSQL {version}")
    return CheckResult(
        Status.FAIL,
        check,
        f"PostgreSQL {version} is older than {MIN_SERVER_VERSION}, the oldest supported version",
        f"use PostgreSQL {MIN_SERVER_VERSION} or later",
    )
