"""Results are exported as files to the folder that the operator allows, over real stdio."""

import importlib.util
import json
import re
import stat
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from testing.command_line import run
from testing.mcp_server import server_environment
from testing.raw_jsonrpc import RawServer, ToolResult
from tests.integration.e2e.conftest import StartServer

MANY_ROWS = """
select n as id, 'row, ' || n as "a ""name"" here", n * 1.50 as price, nullif(n % 7, 0) as remainder,
       case n % 3 when 0 then '' when 1 then 'two' || chr(10) || 'lines' end as note,
       timestamptz '2026-01-01 00:00:00+00' + n * interval '1 second' as at
from generate_series(1, 50000) n
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "exports"
    made.mkdir()
    return made


@pytest.fixture
def server(start_server: StartServer, shop_environment: dict[str, str], folder: Path) -> RawServer:
    return start_server(shop_environment | {"PG_MCP_SERVER_EXPORT_DIR": str(folder)})


def exported(answer: ToolResult) -> dict[str, Any]:
    assert not answer.is_error, answer.text
    export: dict[str, Any] = answer.structured["export"]
    return export


def test_without_a_folder_exports_are_refused_and_the_setting_is_named(shop_server: RawServer) -> None:
    answer = shop_server.call("execute_sql", sql="select 1", export="csv")

    assert answer.code == "invalid_argument"
    assert "PG_MCP_SERVER_EXPORT_DIR" in answer.text


def test_an_exported_csv_equals_what_copy_writes(server: RawServer, folder: Path, shop_url: str) -> None:
    answer = server.call("execute_sql", sql=MANY_ROWS, export="csv")

    (file,) = folder.iterdir()
    with psycopg.connect(shop_url, options="-c timezone=UTC") as connection:
        copy = f"copy ({MANY_ROWS}) to stdout (format csv, header)"
        with connection.cursor().copy(copy) as lines:
            expected = b"".join(map(bytes, lines))
    assert rows_of(file.read_bytes()) == rows_of(expected)
    assert exported(answer) == {
        "path": str(file),
        "format": "csv",
        "rows": 50_000,
        "bytes": file.stat().st_size,
        "truncated": None,
        "cut_cells": 0,
    }
    assert answer.structured["row_count"] == 50_000
    assert "export=" not in answer.text
    assert f"All 50000 rows are in {file} (csv, " in answer.text
    assert 1 < len(answer.structured["rows"]) < 50_000
    assert answer.structured["truncated"]["reason"] == "tokens"
    assert "result://" not in answer.text
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def rows_of(csv_file: bytes) -> list[str]:
    """Return the records. Those of pgmcp end in CRLF, as in RFC 4180; those of COPY end in LF."""
    text = csv_file.decode()
    return re.findall(r'(?:"(?:[^"]|"")*"|[^"\r\n])+', text)


def test_an_answer_that_was_cut_says_that_it_can_be_exported(server: RawServer) -> None:
    answer = server.call("execute_sql", sql=MANY_ROWS)

    assert 'export="csv"' in answer.text
    assert 'export="csv"' in answer.structured["truncated"]["hint"]
    assert "export" not in answer.structured


def test_a_parquet_file_has_the_columns_types(server: RawServer, folder: Path) -> None:
    if importlib.util.find_spec("pyarrow") is None:
        pytest.skip("pyarrow is not installed (extra parquet)")
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

    answer = server.call("execute_sql", sql=MANY_ROWS, export="parquet")

    table = pq.read_table(exported(answer)["path"])
    assert [str(field.type) for field in table.schema] == [
        "int32",
        "string",
        "decimal128(38, 2)",
        "int32",
        "string",
        "timestamp[us, tz=UTC]",
    ]
    assert table.num_rows == 50_000
    assert table.column("price")[-1].as_py() == Decimal("75000.00")
    assert table.column("note")[:4].to_pylist() == ["two\nlines", None, "", "two\nlines"]
    assert [file.suffix for file in folder.iterdir()] == [".parquet"]


def test_the_calls_limit_applies_to_the_file_and_the_answer_says_so(server: RawServer) -> None:
    answer = server.call("execute_sql", sql=MANY_ROWS, export="csv", limit=2_000)

    assert (exported(answer)["rows"], exported(answer)["truncated"]) == (2_000, "rows")
    assert "The first 2000 rows are in " in answer.text
    assert "that is the limit, and there are more" in answer.text


def test_the_settings_limit_the_rows_and_bytes_of_a_file(
    start_server: StartServer, shop_environment: dict[str, str], folder: Path
) -> None:
    bounds = {"PG_MCP_SERVER_EXPORT_MAX_ROWS": "1500", "PG_MCP_SERVER_EXPORT_MAX_BYTES": "4096"}
    server = start_server(shop_environment | {"PG_MCP_SERVER_EXPORT_DIR": str(folder)} | bounds)

    by_rows = server.call("execute_sql", sql="select 1 from generate_series(1, 2000)", export="csv", limit=9)
    by_bytes = server.call(
        "execute_sql", sql="select repeat('x', 100) from generate_series(1, 100)", export="csv"
    )
    too_many = server.call("execute_sql", sql="select 1", export="csv", limit=1501)

    assert (exported(by_rows)["rows"], exported(by_rows)["truncated"]) == (9, "rows")
    assert (exported(by_bytes)["rows"], exported(by_bytes)["truncated"]) == (40, "bytes")
    assert "from 1 to 1500" in too_many.text


def test_cut_cells_are_reported_with_the_file(server: RawServer) -> None:
    answer = server.call("execute_sql", sql="select repeat('x', 70000) as long", export="csv")

    assert exported(answer)["cut_cells"] == 1


def test_the_answer_of_a_question_can_be_exported(server: RawServer) -> None:
    answer = server.call("query", question="How many active users are there?", export="csv")

    assert Path(exported(answer)["path"]).read_bytes().count(b"\r\n") == 2


def test_sql_that_is_not_run_cannot_be_exported(server: RawServer, folder: Path) -> None:
    answer = server.call(
        "query", question="How many active users are there?", return_type="sql", export="csv"
    )

    assert answer.code == "invalid_argument"
    assert list(folder.iterdir()) == []


def test_a_caller_cannot_choose_the_file_name(server: RawServer, folder: Path) -> None:
    answer = server.call("execute_sql", sql="select 1", export="../../csv")

    assert answer.code == "invalid_argument"
    assert list(folder.iterdir()) == []


def test_without_its_folder_only_the_export_fails(server: RawServer, folder: Path) -> None:
    server.request("tools/list")  # by then, the server has read its settings
    folder.rmdir()

    failed = server.call("execute_sql", sql="select 1", export="csv")

    assert failed.code == "export_failed"
    assert "No such file or directory" in failed.text
    assert server.call("execute_sql", sql="select 1").rows == [[1]]


def test_the_chart_of_an_export_shows_its_first_rows(server: RawServer) -> None:
    sql = "select n, 2 * n as double from generate_series(1, 50000) n"

    reply = server.request(
        "tools/call", name="execute_sql", arguments={"sql": sql, "export": "csv", "chart": True}
    )

    assert reply["result"]["structuredContent"]["export"]["rows"] == 50_000
    assert importlib.util.find_spec("vl_convert") is None or "1,000 points" in str(reply["result"]["content"])


def test_the_audit_file_has_the_number_of_exported_rows(
    start_server: StartServer, shop_environment: dict[str, str], folder: Path, tmp_path: Path
) -> None:
    audit = tmp_path / "audit.jsonl"
    places = {"PG_MCP_SERVER_EXPORT_DIR": str(folder), "PG_MCP_AUDIT_FILE": str(audit)}

    start_server(shop_environment | places).call("execute_sql", sql=MANY_ROWS, export="csv")

    assert json.loads(audit.read_text("utf-8"))["rows"] == 50_000


@pytest.mark.parametrize("place", ["nowhere", "file"])
def test_an_export_folder_that_is_not_a_folder_ends_the_start(place: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    environment = server_environment(
        "postgresql://nobody@127.0.0.1:1/x", server_export_dir=str(tmp_path / place)
    )

    ended = run(environment, tmp_path)

    assert ended.returncode == 2
    assert "PG_MCP_SERVER_EXPORT_DIR" in ended.stderr.decode()
