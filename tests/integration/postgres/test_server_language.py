"""A server that speaks German: its refusals get the codes and hints of the same ones in English."""

import asyncio
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from pgmcp.errors import ConnectionLimitError, DatabaseAuthError, ExecutionError, UnreachableError
from pgmcp.execution.supervisor import Supervisor
from testing.machine import memory_folder
from testing.processes import until
from testing.statement_run import run
from testing.tls_postgres import TlsPostgres, find_programs

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="psycopg traces a connection on Linux alone"),
]

Supervise = Callable[..., Supervisor]


@pytest.fixture(scope="module")
def server() -> Iterator[TlsPostgres]:
    programs = find_programs()
    if programs is None or not list(Path("/usr/share/locale/de/LC_MESSAGES").glob("postgres-*.mo")):
        pytest.skip("no PostgreSQL with German messages is installed")
    localedef = shutil.which("localedef")
    if localedef is None or not Path("/usr/share/i18n/locales/de_DE").exists():
        pytest.skip("the locale de_DE cannot be made")
    with tempfile.TemporaryDirectory(
        dir=memory_folder(), prefix="pgmcp-german-", ignore_cleanup_errors=True
    ) as name:
        folder = Path(name)
        folder.chmod(0o755)
        locale = folder / "de_DE.UTF-8"
        subprocess.run([localedef, "-i", "de_DE", "-f", "UTF-8", locale], check=True)
        german = {"lc_messages": "de_DE.UTF-8"}
        with TlsPostgres(programs, folder, settings=german, environment={"LOCPATH": str(folder)}) as server:
            with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
                admin.execute(b"alter role tls_only connection limit 0")
                admin.execute(b"create database closed")
                admin.execute(b"revoke connect on database closed from public")
            yield server


async def refusal(supervise: Supervise, url: str) -> ExecutionError:
    with pytest.raises(ExecutionError) as raised:
        await run(supervise(url), "select 1")
    return raised.value


@pytest.mark.parametrize(
    ("user", "dbname", "kind", "words", "hint"),
    [
        (
            "reader:wrong",
            "postgres",
            DatabaseAuthError,
            "Passwort-Authentifizierung",
            "PG_MCP_DATABASE_PASSWORD",
        ),
        ("reader", "nothing", DatabaseAuthError, "existiert nicht", "PG_MCP_DATABASE_DBNAME"),
        ("reader", "closed", DatabaseAuthError, "Berechtigung", "GRANT CONNECT"),
        ("rejected", "postgres", DatabaseAuthError, "pg_hba.conf", "pg_hba.conf"),
    ],
)
async def test_a_refusal_is_understood_by_its_sqlstate(
    supervise: Supervise,
    server: TlsPostgres,
    user: str,
    dbname: str,
    kind: type[ExecutionError],
    words: str,
    hint: str,
) -> None:
    name, _, password = user.partition(":")
    url = server.url(name, dbname=dbname, **({"password": password} if password else {}))

    error = await refusal(supervise, url)

    assert type(error) is kind
    assert words in str(error)
    assert hint in error.hint
    assert "not reachable" not in str(error)


async def test_a_connection_limit_is_understood_by_its_sqlstate(
    supervise: Supervise, server: TlsPostgres, caplog: pytest.LogCaptureFixture
) -> None:
    supervisor = supervise(server.url("tls_only"))
    waiting = asyncio.create_task(run(supervisor, "select 1"))
    await until(lambda: "zu viele Verbindungen" in caplog.text, "a connection was refused")

    with pytest.raises(ConnectionLimitError, match="zu viele Verbindungen") as raised:
        await run(supervisor, "select 1", timeout_s=0.01)

    waiting.cancel()
    assert "CONNECTION LIMIT" in raised.value.hint


async def test_a_session_that_an_administrator_ends_is_reported_as_ended(
    supervise: Supervise, server: TlsPostgres
) -> None:
    supervisor = supervise(server.url(application_name="ended"))
    call = asyncio.create_task(run(supervisor, "select pg_sleep(60)", timeout_s=60))
    with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
        active = b"select pid from pg_stat_activity where application_name = 'ended' and query ~ 'pg_sleep'"
        await until(lambda: admin.execute(active).fetchone() is not None, "the statement runs")
        admin.execute(b"select pg_terminate_backend(pid) from (" + active + b") as a")

    with pytest.raises(UnreachableError, match="Verbindung") as raised:
        await call

    assert raised.value.hint == "the server ended the connection; the next call connects again"


async def test_a_server_that_is_starting_is_reported_as_such(
    supervise: Supervise, server: TlsPostgres
) -> None:
    await asyncio.to_thread(server.restart_without_end)
    await until(lambda: "FATAL" in _answer(server), "the server answers")

    error = await refusal(supervise, server.url())

    assert isinstance(error, UnreachableError)
    assert "das Datenbanksystem startet" in str(error)
    assert error.hint == "the server is starting or stopping: try again in a moment"


def _answer(server: TlsPostgres) -> str:
    try:
        psycopg.connect(server.url()).close()
    except psycopg.Error as error:
        return str(error)
    return ""
