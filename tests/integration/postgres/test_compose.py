"""The script that compose.yaml's database container runs once, on a separate server."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from pgmcp.cli.setup_sql import setup_script

ROOT = Path(__file__).parents[3]
ROLE = "compose_reader"


def test_the_shop_is_loaded_and_the_role_reads_it_with_the_secret(
    new_database: Callable[[], str], tmp_path: Path
) -> None:
    if shutil.which("psql") is None:
        pytest.skip("psql is not installed")
    url = new_database()
    server = {name: str(text) for name, text in conninfo_to_dict(url).items()}
    role = setup_script(
        ROLE, server["dbname"], ["public"], connections=20, statement_timeout_s=60, revokes=True
    )
    (tmp_path / "reader.sql").write_text(role)
    (tmp_path / "password").write_text("p'a\\ss$word")
    shutil.copy(ROOT / "pgmcp/demo/shop.sql", tmp_path)
    environment = os.environ | {
        "PGHOST": server["host"],
        "PGPORT": server["port"],
        "PGPASSWORD": server["password"],
        "READER_ROLE": ROLE,
        "POSTGRES_DB": server["dbname"],
        "COMPOSE_FILES": str(tmp_path),
        "READER_PASSWORD_FILE": str(tmp_path / "password"),
    }
    try:
        subprocess.run([ROOT / "scripts/compose/init.sh"], env=environment, check=True)

        with psycopg.connect(url, user=ROLE, password="p'a\\ss$word") as connection:
            assert connection.execute("select count(*) > 1000 from orders").fetchone() == (True,)
            assert connection.execute("show default_transaction_read_only").fetchone() == ("on",)
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("drop owned by compose_reader; drop role compose_reader")
