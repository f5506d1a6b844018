"""The audit file has a line for every call with its outcome, and never a value of a result."""

import json
import re
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pgmcp.observability.audit import digest_of
from testing.activity import Activity
from testing.machine import memory_folder
from testing.mcp_server import server_environment
from testing.prestarted import COMMAND
from testing.raw_jsonrpc import RawServer
from testing.tls_postgres import TlsPostgres, find_programs
from tests.integration.e2e.conftest import StartServer

PAGE = Path(__file__).parents[3] / "docs/audit.md"
_CONTEXT = """
databases:
  shop:
    verified:
      - question: How many orders are there?
        sql: select count(*) from orders
"""
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

    lines = lines_of(file)

    assert [(line["operation"], line["outcome"], line["source"], line["rows"]) for line in lines] == [
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
    assert [line["call"] for line in lines] == list(range(1, 11))
    databases = [line["database"] for line in lines]
    assert databases == ["shop"] * 5 + ["elsewhere"] + ["shop"] * 4
    assert len({line["question_sha256"] for line in lines if line["operation"] == "query"}) == 2
    assert {line["caller"] for line in lines} == {"raw 1"}
    assert lines[0]["sql_sha256"] == digest_of("select 'unheard of' from generate_series(1, 3)")
    assert "unheard" not in file.read_text("utf-8")
    assert "active users" not in file.read_text("utf-8")
    assert "drop table" not in file.read_text("utf-8")
    assert "How many" not in file.read_text("utf-8")


def test_only_its_owner_may_read_the_audit_file(
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


@dataclass
class Watched:
    """A database with sessions that the documented queries show, and the environment of its server."""

    admin_url: str
    environment: dict[str, str]

    def run_in_psql(self, script: str, folder: Path) -> list[str]:
        """Return the lines that psql prints; fail at the first error of the script."""
        programs = find_programs() or pytest.skip("psql is not installed")
        done = subprocess.run(
            [str(programs / "psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", self.admin_url],
            cwd=folder,
            input=script,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        return done.stdout.splitlines()


@pytest.fixture(params=["system", "embedded"])
def watched(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Watched]:
    """The system's PostgreSQL (15 on Debian 12), and the embedded PostgreSQL 18."""
    with ExitStack() as servers:
        if request.param == "embedded":
            url: str = request.getfixturevalue("new_database")()
        else:
            programs = find_programs() or pytest.skip("no PostgreSQL server is installed")
            folder = servers.enter_context(
                tempfile.TemporaryDirectory(
                    dir=memory_folder(), prefix="pgmcp-audit-", ignore_cleanup_errors=True
                )
            )
            Path(folder).chmod(0o711)
            url = servers.enter_context(TlsPostgres(programs, Path(folder))).url("postgres")
        with psycopg.connect(url) as admin:
            admin.execute("create table orders as select generate_series(1, 3) as id")
        context = tmp_path / "context.yaml"
        context.write_text(_CONTEXT)
        environment = server_environment(url, database_name="shop", context_file=str(context))
        yield Watched(url, environment)


def test_the_documented_queries_of_the_audit_file_show_who_asks_what(
    start_server: StartServer, watched: Watched, file: Path
) -> None:
    server = start(start_server, watched.environment, file, sql="text")
    server.call("query", question="How many orders are there?")
    server.call("execute_sql", sql="select count(*) from orders")
    running = server.start_call("execute_sql", sql=SLOW)
    with Activity(watched.admin_url, "pgmcp") as activity:
        pid = activity.until_running(SLOW)
    blocks = re.findall(r"```sql\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)

    now, before, most, digest, *others = watched.run_in_psql("".join(blocks), file.parent)
    server.notify("notifications/cancelled", requestId=running)

    assert now.startswith(f"{pid}|pgmcp (raw 1)|")
    assert now.endswith("|select count(*) from orders|answered")
    assert before.endswith("|How many orders are there?|answered")
    assert most.startswith("raw 1|shop|2|0|")
    assert digest.endswith("||raw 1")
    assert all(line.endswith("||raw 1") for line in others)


def test_no_text_of_a_caller_keeps_the_file_from_being_loaded(
    start_server: StartServer, watched: Watched, file: Path
) -> None:
    texts = [
        "select 1\0",
        "select '\x01\x02\x7f'",
        "\\.",
        "größe 日本\u2028\x85",
        r"select '\u0000'",
        '"',
    ] * 2
    server = start(start_server, watched.environment, file, sql="text")
    for text in texts:
        server.call("execute_sql", sql=text)
        server.call("query", question=text)
        server.call("execute_sql", sql="select 1", database=text)
    (load,) = re.findall(r"```sql\n(create.*?)```", PAGE.read_text("utf-8"), re.DOTALL)

    lines = watched.run_in_psql(
        load + "select line ->> 'sql' from audit where line ->> 'sql' ~ 'u0000|1.$';"
        "select count(*), count(line ->> 'question') from audit;",
        file.parent,
    )

    assert lines == ["select 1\ufffd", r"select '\u0000'"] * 2 + [f"{3 * len(texts)}|{len(texts)}"]


def test_a_full_audit_file_is_rotated_and_a_limited_number_is_kept(
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
def test_an_audit_file_that_cannot_be_written_ends_the_start(place: str, tmp_path: Path) -> None:
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
