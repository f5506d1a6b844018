"""Starts and ends the server over HTTP (`pgmcp serve --http`).

    settings ─▶ address, allow-lists ─▶ sockets ─▶ pipeline ─▶ HTTP until SIGTERM or SIGINT ─▶ workers end

Invalid settings end the process, unlike over stdio: an operator starts this server, and sees the error.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from socket import socket
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from pgmcp.composition import open_backend
from pgmcp.ending_signals import run_coroutine
from pgmcp.errors import PgmcpError, SettingsError
from pgmcp.settings.load import load_settings
from pgmcp.start_stdio import use_settings
from pgmcp.surface import Backend, Surface, SurfaceSettings
from pgmcp.transport.http.address import (
    ListenAddress,
    is_loopback,
    is_unspecified,
    open_sockets,
    parse_address,
)
from pgmcp.transport.http.authentication.fetching import Fetcher
from pgmcp.transport.http.authentication.gate import Gate, ProtectedResource
from pgmcp.transport.http.authentication.introspection import Introspection
from pgmcp.transport.http.authentication.jwks import KeySet
from pgmcp.transport.http.authentication.jwt_tokens import IssuerKeys, JwtTokens
from pgmcp.transport.http.authentication.static_tokens import StaticTokens
from pgmcp.transport.http.health import DatabaseState
from pgmcp.transport.http.limits import HttpLimits
from pgmcp.transport.http.request_checks import LOOPBACK_NAMES, LOOPBACK_ORIGINS, HostCheck
from pgmcp.transport.http.server import HttpServer, TlsFiles

if TYPE_CHECKING:
    from pgmcp.execution.fork_server import ForkServer
    from pgmcp.generation.context_file import ContextFile
    from pgmcp.pipeline import Database, Pipeline
    from pgmcp.settings import HttpSettings, Settings

logger = logging.getLogger(__name__)

KEPT_CONNECTIONS: Final = 2
"""Connections to keep for each database in use, unless its settings say how many."""

REACHABLE_TIMEOUT_S: Final = 3.0
"""Timeout of a readiness check for one database."""


def run(address: str | None, fork_server: "ForkServer | None", *, proxies: str | None = None) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        address: `HOST:PORT`; None for the default one.
        fork_server: starts the workers; None starts each as a new interpreter. Closed on return.
        proxies: addresses whose X-Forwarded headers are trusted; None for those of the settings.

    Raises:
        PgmcpError: the server could not be started. One message lists all invalid settings and options. Other
            errors, such as a missing host name, are reported one at a time.
    """
    where, sockets = ListenAddress(), list[socket]()
    networks: tuple[str, ...] | None = None
    errors: list[SettingsError] = []
    try:
        with _collected(errors):
            where = parse_address(address) if address else where
            sockets = open_sockets(where)
        with _collected(errors):
            networks = read_proxies(proxies) if proxies is not None else None
        settings = load_settings(errors_of_options=errors)
        context_file, surface_settings = use_settings(settings)
        if networks is not None:
            http = replace(settings.http, forwarded_allow_ips=networks)
            settings = replace(settings, http=http)
        host_check = build_host_check(where, settings.http, is_local=is_loopback(sockets))
        run_coroutine(
            lambda: _serve(settings, context_file, surface_settings, fork_server, sockets, host_check)
        )
    finally:
        for each in sockets:
            each.close()
        if fork_server is not None:
            fork_server.close()


@contextmanager
def _collected(errors: list[SettingsError]) -> Iterator[None]:
    """Note the error of the block, so that it is raised with others."""
    try:
        yield
    except SettingsError as error:
        errors.append(error)


def read_proxies(proxies: str) -> tuple[str, ...]:
    """Return the addresses and networks in the option `--forwarded-allow-ips`.

    Raises:
        SettingsError: one of them is neither an address nor a network.
    """
    from pgmcp.settings import split_networks

    try:
        return split_networks(proxies)
    except ValueError as error:
        raise SettingsError(f"--forwarded-allow-ips {proxies[:80]!r}: {error}") from None


def build_host_check(where: ListenAddress, settings: "HttpSettings", *, is_local: bool) -> HostCheck:
    """Return the allow-lists of Host and Origin headers.

    Args:
        where: the address on which the server listens.
        settings: the settings of the server over HTTP.
        is_local: whether only this machine can reach the address.

    Raises:
        SettingsError: other machines could reach the server without authentication, or no host name is known.
    """
    if not is_local and not settings.authenticates:
        raise SettingsError(
            f"--http {where}: other machines can reach this address, and no authentication is configured",
            hint="listen on 127.0.0.1, or set PG_MCP_HTTP_TOKENS, _ISSUER or _INTROSPECTION_URL",
        )
    hosts = set(settings.allowed_hosts)
    if settings.public_url:
        hosts.add(urlsplit(settings.public_url).netloc.lower())
    if not is_unspecified(where):
        hosts.add(f"[{where.host}]" if ":" in where.host else where.host)
    elif not hosts:
        raise SettingsError(
            f"--http {where}: the settings do not say which host name clients use",
            hint="set PG_MCP_HTTP_PUBLIC_URL or PG_MCP_HTTP_ALLOWED_HOSTS",
        )
    if not is_local:
        return HostCheck(hosts, settings.allowed_origins)
    return HostCheck((*hosts, *LOOPBACK_NAMES), (*settings.allowed_origins, *LOOPBACK_ORIGINS))


@asynccontextmanager
async def open_gate(settings: "HttpSettings") -> AsyncIterator[Gate | None]:
    """Build the authentication; None if callers need no token."""
    if not settings.authenticates:
        yield None
        return
    async with AsyncExitStack() as cleanup:
        fetcher = Fetcher()
        cleanup.push_async_callback(fetcher.close)
        yield Gate(
            ProtectedResource(
                (settings.public_url or "") if settings.takes_tokens_of_a_server else "",
                tuple(dict.fromkeys(filter(None, (settings.issuer, settings.authorization_server)))),
                frozenset(settings.required_scopes),
            ),
            StaticTokens(settings.token_hashes) if settings.tokens else None,
            _jwt_tokens(settings, fetcher, cleanup),
            _introspection(settings, fetcher),
        )


def _jwt_tokens(settings: "HttpSettings", fetcher: Fetcher, cleanup: AsyncExitStack) -> JwtTokens | None:
    if settings.issuer is None:
        return None
    issuer_keys = IssuerKeys(fetcher, settings.issuer, settings.jwks_url)
    keys = KeySet(issuer_keys.fetch, outage_s=settings.jwks_outage_s)
    cleanup.push_async_callback(keys.close)
    return JwtTokens(
        keys,
        issuer=settings.issuer,
        audiences=settings.audiences,
        types=settings.token_types,
        name_claim=settings.principal_claim,
    )


def _introspection(settings: "HttpSettings", fetcher: Fetcher) -> Introspection | None:
    if settings.introspection_url is None:
        return None
    secret = settings.introspection_client_secret
    return Introspection(
        fetcher,
        url=settings.introspection_url,
        client=(settings.introspection_client_id or "", secret.get_secret_value() if secret else ""),
        issuer=settings.authorization_server or settings.issuer,
        audiences=settings.audiences,
        name_claim=settings.principal_claim,
    )


async def _serve(
    settings: "Settings",
    context_file: "ContextFile | None",
    surface_settings: SurfaceSettings,
    fork_server: "ForkServer | None",
    sockets: list[socket],
    host_check: HostCheck,
) -> None:
    loop = asyncio.get_running_loop()
    settings_ready: asyncio.Future[SurfaceSettings] = loop.create_future()
    backend: asyncio.Future[Backend] = loop.create_future()
    surface = Surface(settings_ready, backend)
    await asyncio.to_thread(surface.load)
    settings_ready.set_result(surface_settings)
    async with (
        open_backend(
            settings,
            context_file,
            fork_server,
            surface_settings,
            kept_connections=KEPT_CONNECTIONS,
            is_over_http=True,
        ) as built,
        open_gate(settings.http) as gate,
    ):
        backend.set_result(built)
        server = _http_server(settings.http, surface, built, gate, host_check)
        async with server.stopped_by_signals():
            _warn(settings.http, is_local=is_loopback(sockets))
            logger.info(
                "serving %s over HTTP on %s",
                ", ".join(surface_settings.database_names),
                _describe(sockets, settings.http),
            )
            await server.serve(sockets)


def _http_server(
    settings: "HttpSettings", surface: Surface, backend: Backend, gate: Gate | None, host_check: HostCheck
) -> HttpServer:
    async def check() -> Mapping[str, DatabaseState]:
        return await check_databases(backend.pipeline)

    return HttpServer(
        surface,
        host_check,
        check,
        _limits(settings),
        gate=gate,
        tls=_tls(settings),
        proxies=settings.forwarded_allow_ips,
        metrics=backend.metrics,
        keys=settings.state_key_list,
        relay=backend.relay,
    )


async def check_databases(pipeline: "Pipeline") -> dict[str, DatabaseState]:
    """Return the state of each database: whether it can be reached, and which mapped roles can be taken."""
    names = pipeline.databases.names
    found = await asyncio.gather(*(_state_of(pipeline.databases.get(name)) for name in names))
    return dict(zip(names, found, strict=True))


async def _state_of(database: "Database") -> DatabaseState:
    with suppress(PgmcpError, TimeoutError):
        async with asyncio.timeout(REACHABLE_TIMEOUT_S):
            await database.role.admit()
            if database.fetch is not None:
                await database.fetch("select 1")
            refused = [bool(role.problem) for role in await database.mapped_roles()]
            if not any(refused):
                return DatabaseState.REACHABLE
            return DatabaseState.ROLES_REFUSED if all(refused) else DatabaseState.SOME_ROLES_REFUSED
    return DatabaseState.UNREACHABLE


def _limits(settings: "HttpSettings") -> HttpLimits:
    return HttpLimits(
        max_body_bytes=settings.max_body_bytes,
        max_connections=settings.max_connections,
        stop_timeout_s=settings.stop_timeout_s,
    )


def _warn(settings: "HttpSettings", *, is_local: bool) -> None:
    """Warn about settings that may be insecure."""
    if not is_local and settings.tls_cert is None and not settings.forwarded_allow_ips:
        logger.warning("tokens and rows travel unencrypted: PG_MCP_HTTP_TLS_CERT is not set")
    if settings.public_url and not settings.authenticates:
        logger.warning(
            "PG_MCP_HTTP_PUBLIC_URL is set, but callers need no token: does the proxy require one?"
        )


def _tls(settings: "HttpSettings") -> TlsFiles | None:
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    return TlsFiles(settings.tls_cert, settings.tls_key)


def _describe(sockets: Iterable[socket], settings: "HttpSettings") -> str:
    scheme = "https" if settings.tls_cert else "http"
    addresses = [ListenAddress(*each.getsockname()[:2]) for each in sockets]
    return ", ".join(f"{scheme}://{address}/mcp" for address in addresses)
