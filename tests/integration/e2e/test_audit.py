"""The audit file has a line for every call with its outcome, and never a value of a result."""

import json
import re
import stat
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from pgmcp.demo.postgres import EmbeddedPostgres
from pgmcp.observability.audit import digest_of
from testing.activity import Activity
from testing.mcp_server import server_environment
from testing.prestarted import COMMAND
from testing.raw_jsonrpc import RawServer
from testing.tls_postgres import find_programs
from tests.integration.e2e.conftest import StartServer

PAGE = Path(__file__).parents[3] / "docs/audit.md"
SLOW = "select count(*) from generate_series(1, 100000000) as a"


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
    server.call("execute_sql", sql="select 'unheard of' from generate_series(1, 3) ;\n")
    server.call("execute_sql", sql="drop table users")
    server.call("execute_sql", sql="select nothing_there")
    server.call("query", question="How many active users are there?")
    server.call("search_schema", text="users")
    server.call("query", question="hm", database="elsewhere")
    server.call("refresh_schema")
    server.request("resources/read", uri="schema://shop/customers")
    server.request("resources/read", uri="schema://shop")
    server.request("resources/read", uri="result://none/1")

    told = lines_of(file)

    assert [(line["operation"], line["outcome"], line["source"], line["rows"]) for line in told] == [
        ("execute_sql", "answered", "direct", 3),
        ("execute_sql", "rejected", None, None),
        ("execute_sql", "statement_failed", None, None),
        ("query", "answered", "verified", 1),
        ("search_schema", "answered", None, None),
        ("query", "unknown_database", None, None),
        ("refresh_schema", "answered", None, None),
        ("read_resource", "answered", None, None),
        ("read_resource", "answered", None, None),
        ("read_resource", "result_gone", None, None),
    ]
    assert [line["call"] for line in told] == list(range(1, 11))
    databases = [line["database"] for line in told]
    assert databases == ["shop"] * 5 + ["elsewhere"] + ["shop"] * 4
    assert len({line["question_sha256"] for line in told if line["operation"] == "query"}) == 2
    assert {line["caller"] for line in told} == {"raw 1"}
    assert told[0]["sql_sha256"] == digest_of("select 'unheard of' from generate_series(1, 3)")
    assert "unheard" not in file.read_text("utf-8")
    assert "active users" not in file.read_text("utf-8")
    assert "drop table" not in file.read_text("utf-8")
    assert "How many" not in file.read_text("utf-8")


def test_only_its_owner_may_read_it(
    start_server: StartServer, shop_environment: dict[str, str], file: Path
) -> None:
    start(start_server, shop_environment, file).call("execute_sql", sql="select 1")

    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_the_text_of_statements_and_questions_is_recorded_if_the_settings_say_so(
    start_server: StartServer, shop_environment: dict[str, str], file: Path
) -> None:
    server = start(start_server, shop_environment, file, sql="text")
    server.call("execute_sql", sql="select 'a\nb'")
    server.call("query", question="How many active users are there?")

    statement, question = lines_of(file)
    assert (statement["sql"], "question" in statement) == ("select 'a\nb'", False)
    assert question["question"] == "How many active users are there?"


def test_the_queries_of_the_page_say_who_asks_what(
    start_server: StartServer, shop_environment: dict[str, str], cluster: EmbeddedPostgres, file: Path
) -> None:
    programs = find_programs()
    if programs is None:
        pytest.skip("psql is not installed")
    server = start(start_server, shop_environment, file, sql="text")
    server.call("query", question="How many active users are there?")
    server.call("execute_sql", sql="select count(*) from orders")
    running = server.start_call("execute_sql", sql=SLOW)
    admin_url = cluster.url(urlsplit(shop_environment["PG_MCP_DATABASE_URL"]).path[1:])
    with Activity(admin_url, "pgmcp") as activity:
        pid = activity.until_running(SLOW)
    blocks = re.findall(r"```sql\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)

    done = subprocess.run(
        [str(programs / "psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", admin_url],
        cwd=file.parent,
        input="".join(blocks),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    server.notify("notifications/cancelled", requestId=running)

    now, before, most, digest = done.stdout.splitlines()
    assert now.startswith(f"{pid}|pgmcp (raw 1)|")
    assert now.endswith("|select count(*) from orders|answered")
    assert before.endswith("|How many active users are there?|answered")
    assert most.startswith("raw 1|shop|2|0|")
    assert digest.endswith("||raw 1")


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
