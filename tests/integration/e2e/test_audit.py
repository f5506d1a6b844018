"""The audit file: a line for every call with its outcome, and never a value of a result."""

import json
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from testing.mcp_server import COMMAND, server_environment
from testing.raw_jsonrpc import RawServer
from tests.integration.e2e.conftest import StartServer


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


def lines_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def start(
    start_server: StartServer, shop_environment: dict[str, str], file: Path, **variables: str
) -> RawServer:
    audit = {f"PG_MCP_AUDIT_{name.upper()}": text for name, text in variables.items()}
    return start_server(shop_environment | {"PG_MCP_AUDIT_FILE": str(file)} | audit)


def test_every_call_is_recorded_with_its_outcome(
    start_server: StartServer, shop_environment: dict[str, str], file: Path
) -> None:
    server = start(start_server, shop_environment, file)
    server.call("execute_sql", sql="select 'unheard of' from generate_series(1, 3)")
    server.call("execute_sql", sql="drop table users")
    server.call("execute_sql", sql="select nothing_there")
    server.call("query", question="How many active users are there?")
    server.call("search_schema", text="users")
    server.call("query", question="hm", database="elsewhere")

    told = lines_of(file)

    assert [(line["operation"], line["outcome"], line["source"], line["rows"]) for line in told] == [
        ("execute_sql", "answered", "direct", 3),
        ("execute_sql", "rejected", None, None),
        ("execute_sql", "statement_failed", None, None),
        ("query", "answered", "verified", 1),
        ("search_schema", "answered", None, None),
        ("query", "unknown_database", None, None),
    ]
    assert [line["call"] for line in told] == [1, 2, 3, 4, 5, 6]
    assert {line["database"] for line in told[:4]} == {"shop"}
    assert {line["caller"] for line in told} == {"raw 1"}
    assert told[0]["sql_sha256"] != told[1]["sql_sha256"]
    assert "unheard" not in file.read_text("utf-8")
    assert "drop table" not in file.read_text("utf-8")
    assert "How many" not in file.read_text("utf-8")


def test_only_its_owner_may_read_it(
    start_server: StartServer, shop_environment: dict[str, str], file: Path
) -> None:
    start(start_server, shop_environment, file).call("execute_sql", sql="select 1")

    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_the_text_of_statements_is_recorded_if_the_setting_says_so(
    start_server: StartServer, shop_environment: dict[str, str], file: Path
) -> None:
    server = start(start_server, shop_environment, file, sql="text")
    server.call("execute_sql", sql="select 'a\nb'")
    server.call("query", question="How many active users are there?")

    statement, question = lines_of(file)
    assert (statement["sql"], "question" in statement) == ("select 'a\nb'", False)
    assert question["question"] == "How many active users are there?"


def test_a_full_file_makes_room_and_no_more_than_so_many_are_kept(
    start_server: StartServer, shop_environment: dict[str, str], file: Path
) -> None:
    server = start(start_server, shop_environment, file, max_bytes="1024", kept_files="2")
    for _ in range(20):
        server.call("execute_sql", sql="select 1")

    files = sorted(each.name for each in file.parent.iterdir())
    kept = [line for name in files for line in lines_of(file.parent / name)]

    assert files == ["audit.jsonl", "audit.jsonl.1", "audit.jsonl.2"]
    assert max(line["call"] for line in kept) == 20
    assert all(each.stat().st_size <= 1024 for each in file.parent.iterdir())


@pytest.mark.parametrize("place", ["nowhere/audit.jsonl", "."])
def test_a_file_that_cannot_be_written_ends_the_start(place: str, tmp_path: Path) -> None:
    environment = server_environment("postgresql://nobody@127.0.0.1:1/x", audit_file=str(tmp_path / place))
    ended = subprocess.run(
        COMMAND,
        env=environment,
        cwd=tmp_path,
        input="",
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert ended.returncode == 2
    assert "PG_MCP_AUDIT_FILE" in ended.stderr
    assert "Traceback" not in ended.stderr
