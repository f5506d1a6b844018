from pathlib import Path

import pytest

from pgmcp.execution.connecting import ConnectionTarget
from pgmcp.execution.spawn import worker_command, worker_environment


@pytest.mark.parametrize(
    "name",
    [
        "PGPASSWORD",
        "PG_MCP_DATABASE_PASSWORD",
        "PG_MCP_DATABASE_URL",
        "PG_MCP_OPENAI_API_KEY",
        "OPENAI_API_KEY",
        "DATABASE_URL",
        "AWS_SECRET_ACCESS_KEY",
        "GITHUB_TOKEN",
        "LD_PRELOAD",
    ],
)
def test_a_worker_inherits_no_credential_and_nothing_unknown(name: str) -> None:
    assert worker_environment({name: "secret"}) == {}


@pytest.mark.parametrize(
    "name",
    ["PATH", "HOME", "LANG", "LC_ALL", "TZ", "PGSSLROOTCERT", "PGPASSFILE", "PGSERVICE", "PYTHONPATH"],
)
def test_a_worker_inherits_what_python_and_libpq_read(name: str) -> None:
    assert worker_environment({name: "value"}) == {name: "value"}


def test_a_worker_is_never_looked_for_in_the_working_directory() -> None:
    program, *arguments = worker_command("worker")

    assert Path(program).is_absolute()
    assert arguments == ["-P", "-m", "worker"]


def test_a_connection_target_shows_no_credential() -> None:
    target = ConnectionTarget("postgresql://me:secret@host/db", {"password": "secret"})

    assert "secret" not in repr(target) + str(target)
