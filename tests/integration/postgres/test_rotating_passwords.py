"""If a password changes while calls run, a call fails only if no connection works."""

import asyncio
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from pgmcp.demo.postgres import EmbeddedPostgres
from pgmcp.errors import DatabaseAuthError
from pgmcp.execution.credentials import RotatingPassword, ask_command, ask_file
from pgmcp.execution.supervisor import Supervisor
from pgmcp.open_database import find_credentials
from pgmcp.settings.load import load_settings
from testing.activity import Backends
from testing.command_line import run as run_command
from testing.mcp_server import server_environment
from testing.pgbouncer import PgBouncer, find_pgbouncer
from testing.processes import until
from testing.statement_run import value
from worker.session import OPEN_CHECK_INTERVAL_S

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform == "win32", reason="the command is run by sh"),
]

Supervise = Callable[..., Supervisor]

ROLE = "rotating"
LOCK = "select pg_advisory_xact_lock_shared(4711)"


@dataclass
class Account:
    """A role whose password the test changes, on the server and in a file."""

    admin: psycopg.Connection
    url: str
    file: Path

    def set_on_server(self, password: str) -> None:
        statement = sql.SQL("alter role {} password {}").format(sql.Identifier(ROLE), sql.Literal(password))
        self.admin.execute(statement)

    def set_in_file(self, password: str) -> None:
        new = self.file.with_suffix(".new")
        new.write_text(password)
        new.chmod(stat.S_IRUSR)
        new.replace(self.file)
        self.url_file.write_text(self.url_with(password))

    def url_with(self, password: str) -> str:
        return self.url.replace("@", f":{password}@")

    @property
    def url_file(self) -> Path:
        return self.file.with_suffix(".url")

    def rotate(self, password: str) -> None:
        self.set_on_server(password)
        self.set_in_file(password)

    def end_sessions(self) -> None:
        # A worker that has just run a statement does not check whether its connection is still open.
        self.admin.execute("select pg_sleep(%s)", [2 * OPEN_CHECK_INTERVAL_S])
        self.admin.execute(
            b"select pg_terminate_backend(pid, 5000) from pg_stat_activity where usename = 'rotating'"
        )

    @property
    def command(self) -> RotatingPassword:
        script = f"echo >> {self.file}.asked; cat {self.file}"
        return RotatingPassword(partial(ask_command, ["sh", "-c", script], "shop"), lifetime_s=600)

    def times_asked(self) -> int:
        return len(Path(f"{self.file}.asked").read_bytes())

    @property
    def password_file(self) -> RotatingPassword:
        return RotatingPassword(partial(ask_file, self.file, "shop"), lifetime_s=0)

    @property
    def url_file_of_settings(self) -> RotatingPassword:
        settings = load_settings({"PG_MCP_DATABASES__SHOP__URL_FILE": str(self.url_file)}, env_file=None)
        credentials = find_credentials("shop", settings.databases["shop"])
        assert credentials is not None
        return credentials


@pytest.fixture
def account(cluster: EmbeddedPostgres, tmp_path: Path) -> Iterator[Account]:
    parts = urlsplit(cluster.url())
    url = f"postgresql://{ROLE}@{parts.hostname}:{parts.port}/postgres?application_name={ROLE}"
    with psycopg.connect(cluster.url(), autocommit=True) as admin:
        admin.execute(b"create role rotating login password 'first'")
        account = Account(admin, url, tmp_path / "password")
        account.set_in_file("first")
        yield account
        account.end_sessions()
        admin.execute(b"drop role rotating")


@pytest.fixture
def backends(cluster: EmbeddedPostgres) -> Iterator[Backends]:
    with Backends(cluster.url(), ROLE) as backends:
        yield backends


@pytest.mark.parametrize("kind", ["command", "password_file", "url_file_of_settings"])
async def test_a_new_connection_logs_in_with_the_new_password(
    supervise: Supervise, account: Account, kind: str
) -> None:
    supervisor = supervise(account.url, credentials=getattr(account, kind))
    await value(supervisor, "select 1")

    account.rotate("second")
    account.end_sessions()

    # The worker finds its connection closed before it sends the statement, so the call does not fail.
    assert await value(supervisor, "select current_user::text") == ROLE


def replace_in_place(file: Path, password: str) -> None:
    with file.open("r+") as opened:
        opened.truncate()
        opened.write(password)


def replace_as_kubernetes(file: Path, password: str) -> None:
    """Replace a file as Kubernetes replaces those of a mounted secret: by a link to another folder."""
    folder = Path(tempfile.mkdtemp(dir=file.parent))
    (folder / "password").write_text(password + "\n")
    data, new = file.parent / "..data", file.parent / "..data_tmp"
    new.symlink_to(folder)
    new.replace(data)
    if not file.is_symlink():
        file.unlink()
        file.symlink_to("..data/password")


@pytest.mark.parametrize("replace", [replace_in_place, replace_as_kubernetes])
async def test_a_password_file_is_read_again_however_it_is_replaced(
    supervise: Supervise, account: Account, replace: Callable[[Path, str], None]
) -> None:
    replace(account.file, "first")
    supervisor = supervise(account.url, credentials=account.password_file)
    await value(supervisor, "select 1")
    for password in ("second", "third, which is longer", "4th"):
        account.set_on_server(password)
        replace(account.file, password)
        account.end_sessions()

        assert await value(supervisor, "select current_user::text") == ROLE


async def test_a_missing_password_file_fails_only_new_connections(
    supervise: Supervise, account: Account
) -> None:
    supervisor = supervise(account.url, credentials=account.password_file)
    await value(supervisor, "select 1")
    account.file.unlink()

    assert await value(supervisor, "select 2") == 2

    account.end_sessions()
    with pytest.raises(DatabaseAuthError, match="its password file cannot be used: no such file"):
        await value(supervisor, "select 3")
    account.set_in_file("first")

    assert await value(supervisor, "select 4") == 4


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("PASSWORD_COMMAND", "the password that PG_MCP_DATABASE_PASSWORD_COMMAND printed was refused"),
        ("PASSWORD_FILE", "the password in the file of PG_MCP_DATABASE_PASSWORD_FILE was refused"),
        ("URL_FILE", "the password of the URL in the file of PG_MCP_DATABASE_URL_FILE was refused"),
    ],
)
async def test_the_hint_of_a_refused_password_names_where_it_came_from(
    supervise: Supervise, account: Account, setting: str, words: str
) -> None:
    account.set_on_server("second")
    place = {
        "PASSWORD_COMMAND": f"cat {account.file}",
        "PASSWORD_FILE": str(account.file),
        "URL_FILE": str(account.url_file),
    }[setting]
    url = {} if setting == "URL_FILE" else {"PG_MCP_DATABASE_URL": account.url}
    settings = load_settings({f"PG_MCP_DATABASE_{setting}": place, **url}, env_file=None)
    credentials = find_credentials("main", settings.databases["main"])
    supervisor = supervise(account.url, credentials=credentials)

    with pytest.raises(DatabaseAuthError) as refused:
        await value(supervisor, "select 1")

    assert refused.value.hint.startswith(words)


async def test_only_the_login_of_a_changed_url_is_used_and_a_warning_says_so_once(
    supervise: Supervise, account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    supervisor = supervise(account.url, credentials=account.url_file_of_settings)
    await value(supervisor, "select 1")

    account.set_on_server("second")
    elsewhere = account.url_with("second").replace("/postgres?", "/elsewhere?")
    account.url_file.write_text(elsewhere)
    for _ in range(2):
        account.end_sessions()
        assert await value(supervisor, "select current_database()::text") == "postgres"
    account.url_file.write_text("postgresql://")
    account.end_sessions()

    with pytest.raises(DatabaseAuthError, match="shop: its URL file cannot be used: its URL has no password"):
        await value(supervisor, "select 1")
    (warning,) = [record.message for record in caplog.records if "in its URL file" in record.message]
    assert warning.startswith("database shop: dbname changed in its URL file; restart pgmcp")


async def test_a_call_waits_for_a_working_connection_while_new_ones_are_refused(
    supervise: Supervise, account: Account, backends: Backends
) -> None:
    supervisor = supervise(account.url, credentials=account.command, max_workers=4)
    await value(supervisor, "select 1")
    account.admin.execute(b"select pg_advisory_lock(4711)")
    try:
        holding = asyncio.create_task(value(supervisor, LOCK))
        await backends.until_running(LOCK)
        account.set_on_server("second")  # the command still prints the first password
        waiting = [asyncio.create_task(value(supervisor, f"select {number}")) for number in range(3)]
        # The command runs again after the server has refused the first password.
        await until(lambda: account.times_asked() >= 2, "a new connection is refused")
    finally:
        account.admin.execute(b"select pg_advisory_unlock(4711)")

    await holding

    assert await asyncio.gather(*waiting) == [0, 1, 2]


async def test_no_call_fails_while_the_password_changes_again_and_again(
    supervise: Supervise, account: Account
) -> None:
    supervisor = supervise(account.url, credentials=account.command, max_workers=6)
    await value(supervisor, "select 1")

    async def call() -> int:
        return len([await value(supervisor, "select pg_sleep(0.01)") for _ in range(12)])

    calls = [asyncio.create_task(call()) for _ in range(6)]
    for number in range(8):
        await asyncio.to_thread(account.rotate, f"password {number}")

    assert sum(await asyncio.gather(*calls)) == 72


async def test_behind_pgbouncer_new_connections_use_the_new_password_too(
    supervise: Supervise, account: Account
) -> None:
    program = find_pgbouncer() or pytest.skip(
        "PgBouncer is not installed (Debian: apt-get install pgbouncer)"
    )
    with PgBouncer(program, account.url_with("first"), pool_size=2) as bouncer:
        supervisor = supervise(bouncer.url(account.url), credentials=account.command, max_workers=2)
        await value(supervisor, "select 1")
        account.rotate("second")
        bouncer.change_password("second")
        account.end_sessions()

        # The open connection serves calls, and the new password opens a second one.
        assert await asyncio.gather(*(value(supervisor, f"select {n}") for n in range(6))) == list(range(6))

        bouncer.stop()
        bouncer.start()
        assert await value(supervisor, "select 7") == 7
    assert account.times_asked() >= 2


async def test_a_failed_command_is_reported_with_its_exit_code_and_can_be_run_again(
    supervise: Supervise, account: Account
) -> None:
    script = f"if test -e {account.file}; then cat {account.file}; else echo 'sign in first' >&2; exit 7; fi"
    credentials = RotatingPassword(partial(ask_command, ["sh", "-c", script], "shop"), lifetime_s=600)
    account.file.unlink()
    supervisor = supervise(account.url, credentials=credentials)

    with pytest.raises(DatabaseAuthError, match=r"the command sh ended with exit code 7: sign in first"):
        await value(supervisor, "select 1")
    account.set_in_file("first")

    assert await value(supervisor, "select 1") == 1


def test_settings_name_a_command_whose_reply_has_user_and_password_and_nothing_logs_it(
    account: Account, tmp_path: Path
) -> None:
    account.rotate("s3cret word")
    reply = tmp_path / "reply.json"
    reply.write_text('{"password": "s3cret word", "user": "rotating", "expires": 4000000000}')
    settings = server_environment(
        account.url.replace("rotating@", "somebody@"),
        PG_MCP_DATABASE_PASSWORD_COMMAND=f"cat '{reply}'",
        LOG_LEVEL="DEBUG",
    )

    done = run_command(settings, tmp_path, "sql", "--csv", "select current_user")

    assert done.stdout.split() == [b"current_user", b"rotating"]
    assert b"s3cret word" not in done.stderr


@pytest.mark.parametrize(
    ("script", "runs"),
    [
        ("exit 7", 1),
        ("echo wrong", 2),  # run again after the server has refused the password
    ],
)
def test_a_command_tries_to_log_in_once(account: Account, tmp_path: Path, script: str, runs: int) -> None:
    asked = tmp_path / "asked"
    settings = server_environment(
        account.url, PG_MCP_DATABASE_PASSWORD_COMMAND=f"sh -c 'echo >> {asked}; {script}'"
    )

    done = run_command(settings, tmp_path, "sql", "select 1")

    assert done.returncode == 1
    assert b"auth: " in done.stderr
    assert len(asked.read_text()) == runs
