"""The scripts of compose.yaml's containers: the database's first start, and PgBouncer before it."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from pgmcp.cli.setup_sql import setup_script
from pgmcp.demo.binaries import choose_server_user
from testing.activity import until
from testing.machine import HOST, free_port
from testing.pgbouncer import find_pgbouncer

ROOT = Path(__file__).parents[3]
COMPOSE = ROOT / "scripts/compose"
ROLE = "compose_reader"
PASSWORD = "p'a\\ss$word"


@pytest.fixture
def prepared(new_database: Callable[[], str], tmp_path: Path) -> Iterator[dict[str, str]]:
    """The connection parameters of a database that the container's first start has filled."""
    if shutil.which("psql") is None:
        pytest.skip("psql is not installed")
    url = new_database()
    server = {name: str(text) for name, text in conninfo_to_dict(url).items()}
    role = setup_script(
        ROLE, server["dbname"], ["public"], connections=20, statement_timeout_s=60, revokes=True
    )
    (tmp_path / "reader.sql").write_text(role)
    (tmp_path / "reader_password").write_text(PASSWORD)
    shutil.copy(ROOT / "pgmcp/demo/shop.sql", tmp_path)
    environment = os.environ | {
        "PGHOST": server["host"],
        "PGPORT": server["port"],
        "PGPASSWORD": server["password"],
        "READER_ROLE": ROLE,
        "POSTGRES_DB": server["dbname"],
        "COMPOSE_FILES": str(tmp_path),
        "READER_PASSWORD_FILE": str(tmp_path / "reader_password"),
    }
    try:
        subprocess.run([COMPOSE / "init.sh"], env=environment, check=True)
        yield server
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("drop owned by compose_reader; drop role compose_reader")


@pytest.fixture
def pgbouncer_port(prepared: dict[str, str]) -> Iterator[int]:
    """The port of a PgBouncer that its container's script has started, with other paths and addresses."""
    program = find_pgbouncer()
    if program is None:
        pytest.skip("pgbouncer is not installed")
    port, user = free_port(), choose_server_user()
    with tempfile.TemporaryDirectory(prefix="pgmcp-compose-") as name:
        folder = Path(name)
        (folder / "reader_password").write_text(PASSWORD)
        upstream = f"host={prepared['host']} port={prepared['port']} dbname={prepared['dbname']}"
        changes = {
            "/tmp/users.txt": f"{name}/users.txt",  # noqa: S108 # of the container
            "/run/secrets": name,
            "/run/pgmcp": name,
            "host=database port=5432 dbname=shop": upstream,
            "listen_addr = 0.0.0.0": f"listen_addr = {HOST}",
            "listen_port = 6432": f"listen_port = {port}",
            "pgmcp_reader": ROLE,
            "exec pgbouncer": f"exec {program} --quiet",
        }
        for file in ("pgbouncer.ini", "pgbouncer.sh"):
            text = (COMPOSE / file).read_text("utf-8")
            for before, after in changes.items():
                text = text.replace(before, after)
            (folder / file).write_text(text)
        if user:
            for path in (folder, *folder.iterdir()):
                shutil.chown(path, user.uid, user.gid)
        process = subprocess.Popen(
            ["/bin/sh", folder / "pgbouncer.sh"], cwd="/", **(user.spawn_arguments() if user else {})
        )
        try:
            until(lambda: _accepts(process, port), "PgBouncer accepts connections")
            yield port
        finally:
            process.terminate()
            process.wait()


def _accepts(process: subprocess.Popen[bytes], port: int) -> bool:
    assert process.poll() is None, "PgBouncer has ended"
    with suppress(OSError), socket.create_connection((HOST, port), timeout=1):
        return True
    return False


def test_the_shop_is_loaded_and_the_role_reads_it_with_the_secret_directly_and_through_pgbouncer(
    prepared: dict[str, str], pgbouncer_port: int
) -> None:
    host, direct = prepared["host"], (prepared["port"], prepared["dbname"])
    for port, name in (direct, (pgbouncer_port, "shop")):
        with psycopg.connect(host=host, port=port, dbname=name, user=ROLE, password=PASSWORD) as connection:
            assert connection.execute("select count(*) > 1000 from orders").fetchone() == (True,)
            assert connection.execute("show default_transaction_read_only").fetchone() == ("on",)
