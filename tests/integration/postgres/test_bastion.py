"""Connections through a bastion, which is Debian's sshd on loopback, to a PostgreSQL with TLS."""

import asyncio
import os
import re
import signal
import socket
import stat
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import pytest

from pgmcp.errors import DeadlineExceededError, TunnelError, UnreachableError
from pgmcp.execution.connecting import ConnectionTarget
from pgmcp.execution.spawn import Spawn, spawn_cold
from pgmcp.execution.supervisor import Supervisor
from pgmcp.tunnel.tunnel import Route, Tunnel
from testing.activity import Backends
from testing.bastion import Bastion
from testing.command_line import run as run_command
from testing.mcp_server import server_environment
from testing.processes import command_line, descendants, is_running, until, workers_of
from testing.statement_run import run, value
from testing.tls_postgres import TlsPostgres

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="needs Debian's sshd and /proc"),
]

_SSL_REQUEST = bytes([0, 0, 0, 8, 4, 210, 22, 47])
"""The request for TLS, which a PostgreSQL server answers with one byte."""
_HAS_TLS = "select ssl from pg_stat_ssl where pid = pg_backend_pid()"


@pytest.fixture(scope="module")
def bastion() -> Iterator[Bastion]:
    """A running bastion; a test that stops it must start it again."""
    with (
        tempfile.TemporaryDirectory(prefix="pgmcp-bastion-") as folder,
        Bastion.create(Path(folder)) as bastion,
    ):
        yield bastion


@pytest.fixture
async def route(bastion: Bastion, tls_server: TlsPostgres) -> Route:
    """The route to the server through the bastion, which runs with its own keys."""
    bastion.add_known_host("host_key")
    bastion.authorize("user_key")
    if not bastion.is_running:
        await bastion.start()
    port = urlsplit(tls_server.url()).port
    assert port is not None
    return Route("bastion", bastion.config, "localhost", port, is_plain=False)


@asynccontextmanager
async def tunnelled(
    route: Route,
    spawn: Spawn,
    server: TlsPostgres,
    params: dict[str, str] | None = None,
    *,
    max_workers: int = 1,
) -> AsyncIterator[tuple[Supervisor, Tunnel]]:
    tunnel = Tunnel(route, name="shop")
    target = ConnectionTarget(
        server.url("postgres", application_name="tunnelled", **(params or {})), {}, tunnel=tunnel
    )
    supervisor = Supervisor(target, spawn=spawn, min_workers=1, max_workers=max_workers, max_waiting=10)
    try:
        yield supervisor, tunnel
    finally:
        await supervisor.close()
        await tunnel.close()


def ssh_processes() -> list[int]:
    return [pid for pid in descendants(os.getpid()) if command_line(pid).startswith("ssh -N")]


async def test_tls_verifies_the_databases_own_name_through_the_tunnel(
    route: Route, spawn: Spawn, tls_server: TlsPostgres
) -> None:
    verified = {"sslmode": "verify-full", "sslrootcert": str(tls_server.ca_file)}

    async with tunnelled(route, spawn, tls_server, verified) as (supervisor, tunnel):
        assert await value(supervisor, _HAS_TLS) is True
        assert "for this user only" in tunnel.state
    # The server's certificate is for localhost.
    async with tunnelled(replace(route, host="127.0.0.1"), spawn, tls_server, verified) as (supervisor, _):
        with pytest.raises(
            UnreachableError, match=r'certificate for "localhost" .*does not match .*"127.0.0.1"'
        ):
            await value(supervisor, "select 1")


async def test_without_tls_workers_use_the_private_socket(
    route: Route, spawn: Spawn, tls_server: TlsPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGHOSTADDR", "192.0.2.1")
    plain = replace(route, is_plain=True)

    async with tunnelled(plain, spawn_cold, tls_server, {"sslmode": "disable"}) as (supervisor, tunnel):
        assert await value(supervisor, _HAS_TLS) is False
        params = await tunnel.open()
        folder = Path(params["host"])
        end = folder / f".s.PGSQL.{params['port']}"
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE(end.stat().st_mode) == 0o600
        assert params["hostaddr"] == ""

    assert not folder.exists()
    assert ssh_processes() == []


async def test_a_jump_host_of_sshs_configuration_is_used(
    route: Route, spawn: Spawn, tls_server: TlsPostgres
) -> None:
    async with tunnelled(replace(route, bastion="jump"), spawn, tls_server) as (supervisor, _):
        assert await value(supervisor, "select 1") == 1


async def test_statements_fail_clearly_when_the_bastion_is_killed_and_later_ones_work(
    route: Route, spawn: Spawn, tls_server: TlsPostgres, bastion: Bastion
) -> None:
    async with tunnelled(route, spawn, tls_server, max_workers=4) as (supervisor, tunnel):
        await value(supervisor, "select 1")
        errors: list[UnreachableError] = []

        async def call_until_it_fails() -> None:
            try:
                while True:
                    await value(supervisor, "select pg_sleep(0.05)")
            except UnreachableError as error:
                errors.append(error)

        calls = [asyncio.create_task(call_until_it_fails()) for _ in range(6)]
        with Backends(tls_server.url("postgres"), "tunnelled") as backends:
            await backends.until_running("pg_sleep")
        bastion.kill(descendants(bastion.pid))
        with anyio.fail_after(60):
            await asyncio.gather(*calls)

        assert {type(error) for error in errors} == {TunnelError}
        assert any("the SSH tunnel through bastion ended" in str(error) for error in errors)
        await bastion.start()
        await until(lambda: tunnel.has_ended or tunnel.state == "not open", "ssh has ended")
        assert await _value_after_pauses(supervisor, "select 2") == 2
        assert "opened 2 times" in tunnel.state


async def _value_after_pauses(supervisor: Supervisor, sql: str) -> object:
    """Repeat a statement until the tunnel is open again; return its value."""
    found: list[object] = []

    async def call() -> None:
        while not found:
            try:
                found.append(await value(supervisor, sql))
            except TunnelError:
                await asyncio.sleep(0.05)

    calling = asyncio.create_task(call())
    await until(lambda: bool(found), "the tunnel is open again")
    await calling
    return found[0]


async def test_cancel_and_terminate_go_through_the_tunnel(
    route: Route, spawn: Spawn, tls_server: TlsPostgres
) -> None:
    with Backends(tls_server.url("postgres"), "tunnelled") as backends:
        async with tunnelled(route, spawn, tls_server, max_workers=2) as (supervisor, _):
            calling = asyncio.create_task(value(supervisor, "select pg_sleep(61)"))
            await backends.until_running("pg_sleep(61)")
            calling.cancel()
            await backends.until_ended("pg_sleep(61)")

            # A stopped worker cannot cancel its statement, so another worker terminates its backend.
            stuck = asyncio.create_task(run(supervisor, "select pg_sleep(62)", timeout_s=2))
            pid = await backends.until_running("pg_sleep(62)")
            for worker in workers_of(os.getpid()):
                if "worker" in command_line(worker):
                    os.kill(worker, signal.SIGSTOP)
            with pytest.raises(DeadlineExceededError):
                await stuck
            await until(lambda: pid not in backends.sessions(), "the backend has ended")


@pytest.mark.parametrize("is_plain", [False, True])
@pytest.mark.parametrize("end", ["front", "keeper"])
async def test_ssh_ends_with_the_front_and_with_its_keeper(route: Route, end: str, is_plain: bool) -> None:
    tunnel = Tunnel(replace(route, is_plain=is_plain), name="shop")
    await tunnel.open()
    (ssh,) = ssh_processes()
    (keeper,) = [pid for pid in descendants(os.getpid()) if ssh in descendants(pid)]
    attempt = tunnel._attempt
    assert attempt is not None
    assert attempt.process.stdin is not None

    if end == "front":
        attempt.process.stdin.close()  # the kernel does this when the front is killed
    else:
        os.kill(keeper, signal.SIGKILL)

    await until(lambda: not is_running(ssh), "ssh has ended")
    await until(lambda: not is_running(keeper), "the keeper has ended")
    await tunnel.close()
    assert not attempt.folder.exists()


async def test_other_users_cannot_use_the_port(route: Route) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs a second user")
    tunnel = Tunnel(route, name="shop")
    params = await tunnel.open()
    seen = []
    for user in (os.geteuid(), 65534):
        with socket.socket() as client:
            os.fchown(client.fileno(), user, -1)  # as if a process of that user had opened it
            client.connect((params["hostaddr"], int(params["port"])))
            client.sendall(_SSL_REQUEST)
            seen.append(await asyncio.to_thread(_read_byte, client))
    await tunnel.close()

    assert seen == [b"S", b""]


def _read_byte(client: socket.socket) -> bytes:
    with suppress(ConnectionResetError):
        return client.recv(1)
    return b""


async def test_a_refusal_of_ssh_becomes_an_error_with_a_hint(
    route: Route, spawn: Spawn, tls_server: TlsPostgres, bastion: Bastion, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def failure(route: Route) -> tuple[str, str]:
        async with tunnelled(route, spawn, tls_server) as (supervisor, _):
            with pytest.raises(TunnelError) as raised:
                await value(supervisor, "select 1")
        return str(raised.value), raised.value.hint

    bastion.add_known_host("other_key")
    assert _matches(await failure(route), "host key is not the one in known_hosts", "ssh-keygen -R")
    bastion.add_known_host()
    ssh = f"run `ssh -F {bastion.config} bastion` in a terminal, compare the key's fingerprint"
    assert _matches(await failure(route), "host key is not in known_hosts", ssh)
    bastion.add_known_host("host_key")
    bastion.authorize("other_key")
    assert _matches(await failure(route), "refused the login .*Permission denied", "SSH_AUTH_SOCK")
    bastion.authorize("user_key")
    unknown = replace(route, bastion="no-host.invalid")
    assert _matches(await failure(unknown), "name could not be resolved", "PG_MCP_DATABASE_SSH")
    refused = replace(route, bastion="ssh://127.0.0.1:1")
    assert _matches(await failure(refused), "does not answer .*Connection refused", "firewall")
    nobody = replace(route, port=1)
    assert _matches(await failure(nobody), "no server listens on localhost:1", "localhost is the bastion")
    unresolved = replace(route, host="no-host.invalid")
    assert _matches(await failure(unresolved), "cannot resolve the database's host", "bastion knows")
    bastion.stop()
    await bastion.start(forwarding="no")
    assert _matches(
        await failure(route), "does not allow .*administratively prohibited", "AllowTcpForwarding"
    )
    bastion.stop()  # the next test starts it with forwarding
    monkeypatch.setenv("PATH", "/nowhere")
    assert _matches(await failure(route), "no program `ssh`", "openssh-client")


def _matches(failure: tuple[str, str], words: str, advice: str) -> bool:
    message, hint = failure
    return re.search(words, message) is not None and advice in hint


async def test_settings_open_a_tunnel_that_doctor_describes(
    route: Route, tls_server: TlsPostgres, bastion: Bastion, tmp_path: Path
) -> None:
    settings = server_environment(
        tls_server.url(
            "postgres", host="localhost", sslmode="verify-full", sslrootcert=str(tls_server.ca_file)
        ),
        PG_MCP_DATABASE_SSH="bastion",
        PG_MCP_DATABASE_SSH_CONFIG=str(bastion.config),
        LOG_LEVEL="DEBUG",
    )

    done = await asyncio.to_thread(run_command, settings, tmp_path, "doctor")

    shown = done.stdout.decode()
    assert f"localhost:{route.port} through bastion answers in" in shown
    assert "tunnel: through bastion: open for" in shown
    assert "ssl mode verify-full: the server's certificate is checked" in shown
    assert "cancel: tested" in shown
    assert b"a password" not in done.stderr


async def test_a_command_through_the_tunnel_ends_its_connection_with_terminate(
    route: Route, tls_server: TlsPostgres, bastion: Bastion, tmp_path: Path
) -> None:
    settings = server_environment(
        tls_server.url(host="localhost", sslmode="require"),
        PG_MCP_DATABASE_SSH="bastion",
        PG_MCP_DATABASE_SSH_CONFIG=str(bastion.config),
    )
    log_before = tls_server.log()

    for _ in range(3):
        done = await asyncio.to_thread(run_command, settings, tmp_path, "sql", "select 1")
        assert done.returncode == 0, done.stderr

    def log() -> str:
        return tls_server.log()[len(log_before) :]

    await until(lambda: log().count("disconnection:") >= 3, "the connections end")
    assert not re.search("reset by peer|unexpected EOF|SSL error", log())


@pytest.mark.parametrize(
    "lines",
    [
        ["ClearAllForwardings yes"],
        ["ForkAfterAuthentication yes", "SessionType none"],
        ["ControlMaster auto", "ControlPath /dev/shm/%C", "ControlPersist yes"],
        ["ExitOnForwardFailure yes", "LocalForward 127.0.0.1:1 localhost:1", "LogLevel QUIET"],
        ["RemoteCommand top", "RequestTTY force", "VisualHostKey yes"],
    ],
)
async def test_settings_of_ssh_for_people_do_not_break_the_tunnel_or_let_it_outlive_pgmcp(
    route: Route, spawn: Spawn, tls_server: TlsPostgres, bastion: Bastion, lines: list[str]
) -> None:
    configured = replace(route, config=bastion.configure(*lines))
    async with tunnelled(configured, spawn, tls_server) as (supervisor, _):
        assert await value(supervisor, "select 1") == 1
        (ssh,) = ssh_processes()

    assert not is_running(ssh)


async def test_several_databases_have_a_tunnel_each_through_one_bastion(
    route: Route, spawn: Spawn, tls_server: TlsPostgres
) -> None:
    async with (
        tunnelled(route, spawn, tls_server) as (one, first),
        tunnelled(replace(route, host="127.0.0.1"), spawn, tls_server) as (other, second),
    ):
        values = await asyncio.gather(value(one, "select 1"), value(other, "select 2"))
        assert list(values) == [1, 2]
        assert len(ssh_processes()) == 2
        await first.close()

        assert await value(other, "select 3") == 3
        assert second.state.startswith("open")


@pytest.mark.parametrize("folder", ["x" * 100, "a b:c%d$e"])
async def test_a_tunnel_opens_with_a_long_or_odd_temporary_folder(
    route: Route,
    spawn: Spawn,
    tls_server: TlsPostgres,
    folder: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / folder).mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / folder))
    async with tunnelled(route, spawn, tls_server) as (supervisor, _):
        assert await value(supervisor, "select 1") == 1


async def test_an_ipv6_address_of_the_database_is_reached(route: Route) -> None:
    server = await asyncio.start_server(_say_hello, "::1", 0)
    port = server.sockets[0].getsockname()[1]
    tunnel = Tunnel(replace(route, host="::1", port=port), name="shop")
    try:
        params = await tunnel.open()
        reader, writer = await asyncio.open_connection(params["hostaddr"], int(params["port"]))
        assert await reader.read() == b"hello"
        writer.close()
    finally:
        await tunnel.close()
        server.close()


async def _say_hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"hello")
    writer.close()
