"""`pgmcp doctor` as a person runs it: an outcome per check, a cure where one is needed, an exit code."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.mcp_server import COMMAND, server_environment


def examine(url: str, folder: Path, **variables: str) -> tuple[int, dict[str, dict[str, str]]]:
    done = subprocess.run(
        [*COMMAND, "doctor", "--json"],
        env=server_environment(url, **variables),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, {finding["check"]: finding for finding in json.loads(done.stdout)}


def test_a_reader_is_found_to_be_one(shop_url: str, tmp_path: Path) -> None:
    exit_code, findings = examine(shop_url, tmp_path)

    assert exit_code == 0
    assert findings["database main"]["outcome"] == "ok"
    assert findings["database main: role"]["outcome"] == "ok"


def test_a_superuser_is_warned_of_with_the_cure(new_database: Callable[[], str], tmp_path: Path) -> None:
    exit_code, findings = examine(new_database(), tmp_path)

    assert exit_code == 0
    assert findings["database main: role"]["outcome"] == "warn"
    assert "setup-sql" in findings["database main: role"]["cure"]


def test_a_database_that_is_down_fails_without_its_password(tmp_path: Path) -> None:
    exit_code, findings = examine("postgresql://me:Quagga-1@127.0.0.1:1/shop", tmp_path)

    assert exit_code == 1
    assert findings["database main"]["text"].startswith("unreachable: ")
    assert "Quagga" not in json.dumps(findings)


def test_a_verified_question_that_no_longer_runs_is_named(shop_url: str, tmp_path: Path) -> None:
    context = tmp_path / "context.yaml"
    context.write_text(
        "databases:\n  main:\n    verified:\n"
        "      - {question: How many customers, sql: select count(*) from customers}\n"
        "      - {question: How many clients, sql: select count(*) from clients}\n"
    )

    exit_code, findings = examine(shop_url, tmp_path, PG_MCP_CONTEXT_FILE=str(context))

    assert exit_code == 1
    assert findings["database main: verified questions"]["text"].startswith("'How many clients' cannot run")
