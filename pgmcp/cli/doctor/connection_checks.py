"""The connection to a database: to where, protected how, to which server."""

import asyncio
import ipaddress
from dataclasses import dataclass
from typing import Final

from pgmcp.cli.doctor.check_context import CheckContext
from pgmcp.cli.doctor.report import CheckResult, Status
from pgmcp.errors import StatementFailedError
from pgmcp.execution.result import JsonScalar
from pgmcp.execution.supervisor import SHARED_SESSION
from pgmcp.settings.origins import Address

MIN_SERVER_VERSION: Final = 13
"""The catalog queries are written for this major version and later ones."""

CONNECT_TIMEOUT_S: Final = 35.0
"""More than a pool allows for several hosts in turn, so that the pool says what was wrong."""

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


async def check_connection(context: CheckContext, check: str) -> CheckResult:
    """Connect, and say to what."""
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
    except StatementFailedError:  # not executable on a hardened server
        return False
    return bool(is_standby)


async def check_pooler(context: CheckContext, check: str) -> CheckResult | None:
    """Report what stands between pgmcp and the server, and what follows from it."""
    pooler = context.database.supervisor.pooler
    if not pooler:
        return None
    if pooler == SHARED_SESSION:
        return CheckResult(
            Status.WARN,
            check,
            "the server has one session for all connections, so statements wait for each other, and a "
            "statement of one client holds up every other",
            "use such an engine (PGlite) for development only",
        )
    return CheckResult(
        Status.OK,
        check,
        f"{pooler} stands before the server: backends are never ended by pid; a killed worker's statement "
        "ends by the closed connection or by statement_timeout",
    )


@dataclass(frozen=True, slots=True)
class Protection:
    """How the server sees the connection protected.

    Attributes:
        cipher: version and cipher of TLS; "" without.
        is_near: whether its client is on the same machine.
    """

    cipher: str
    is_near: bool


async def check_tls(context: CheckContext, check: str) -> CheckResult:
    """See whether the connection is encrypted, and the server known to be the right one."""
    rows = await context.fetch(_TLS_SQL)
    if not rows:
        return CheckResult(
            Status.WARN,
            check,
            "not known: the server reports nothing about this connection in pg_stat_ssl",
            f"if the network is not trusted, set {_USE_TLS}",
        )
    ((is_encrypted, version, cipher, client, server),) = rows
    return judge_tls(
        check,
        Protection(f"{version} with {cipher}" if is_encrypted else "", is_near(client, server)),
        context.address,
    )


def judge_tls(check: str, protection: Protection, address: Address) -> CheckResult:
    """Return the result on a connection, by where it goes and what was asked of it."""
    if not protection.cipher:
        return _judge_plain(check, protection, address)
    text = f"{protection.cipher}, ssl mode {address.ssl_mode}: "
    if address.is_verified:
        return CheckResult(Status.OK, check, f"{text}the server's certificate is checked")
    text += "any certificate is taken"
    if protection.is_near:
        return CheckResult(Status.OK, check, f"{text}, and the server is on this machine")
    return CheckResult(
        Status.WARN, check, f"{text}, so another server could take this one's place", f"set {_USE_TLS}"
    )


def _judge_plain(check: str, protection: Protection, address: Address) -> CheckResult:
    if address.is_verified:  # a mode that checks certificates connects to nobody who shows none
        return CheckResult(
            Status.WARN,
            check,
            "checked up to a pooler, which speaks to the server without",
            "have the pooler use TLS, too, unless they share a machine or a network you trust",
        )
    if protection.is_near:
        return CheckResult(Status.OK, check, "not in use, nor needed: the server is on this machine")
    return CheckResult(
        Status.WARN,
        check,
        "not in use: rows cross the network for everybody on it to read",
        f"switch it on at the server (ssl = on) and set {_USE_TLS}",
    )


def is_near(client: JsonScalar, server: JsonScalar) -> bool:
    """Tell whether the server sees its client on its own machine; a socket has no addresses."""
    return not client or client == server or ipaddress.ip_address(str(client)).is_loopback


async def check_version(context: CheckContext, check: str) -> CheckResult:
    """See whether the server is new enough."""
    ((number, version),) = await context.fetch(_VERSION_SQL)
    return judge_version(check, int(number or 0), str(version))


def judge_version(check: str, number: int, version: str) -> CheckResult:
    """Return the result on a version.

    Args:
        number: `server_version_num`, 180006 for 18.6.
        version: as the server spells it.
    """
    if number // 10_000 >= MIN_SERVER_VERSION:
        return CheckResult(Status.OK, check, f"PostgreSQL {version}")
    return CheckResult(
        Status.FAIL,
        check,
        f"PostgreSQL {version} is older than {MIN_SERVER_VERSION}, for which this is written",
        f"serve from PostgreSQL {MIN_SERVER_VERSION} or later",
    )
