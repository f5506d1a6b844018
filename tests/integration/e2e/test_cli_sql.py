"""`pgmcp sql` in pipes and scripts: a person's statement has the same guards as a model's."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from testing.activity import Activity, with_application_name
from testing.command_line import TIMEOUT_S, run
from testing.mcp_server import server_environment
from testing.prestarted import COMMAND

RUNAWAY = "select count(*) from order_items a, order_items b, order_items c where a.unit_price > b.unit_price"


def test_numbers_are_right_aligned_and_null_is_shown_as_null(
    shop_environment: dict[str, str], folder: Path
) -> None:
    done = run(
        shop_environment, folder, "sql", "select 1 as n, 'a' as t, null as nothing union select 1000, 'b', ''"
    )

    assert done.stdout.decode().splitlines()[:4] == [
        "|    n | t   | nothing |",
        "| ---: | --- | ------- |",
        "|    1 | a   | NULL    |",
        "| 1000 | b   |         |",
    ]


def test_csv_has_exact_values_and_distinguishes_null_from_empty(
    shop_environment: dict[str, str], folder: Path
) -> None:
    statement = (
        r"""select 1.50 as "a,b", E'two\nlines' as t, 'say "x"' as q, null as n, '' as e, E'\x1b[1m' as c"""
    )

    done = run(shop_environment, folder, "sql", "--csv", statement)

    assert done.stdout == b'"a,b",t,q,n,e,c\r\n1.50,"two\nlines","say ""x""",,"",\x1b[1m\r\n'


def test_json_output_can_be_parsed(shop_environment: dict[str, str], folder: Path) -> None:
    done = run(shop_environment, folder, "sql", "--json", "select 1 as one, 'ä\u202e' as text")

    assert json.loads(done.stdout)["rows"] == [[1, "ä\u202e"]]
    assert "\u202e" not in done.stdout.decode()


@pytest.mark.parametrize("arguments", [[], ["-"]])
def test_a_statement_is_read_from_standard_input(
    arguments: list[str], shop_environment: dict[str, str], folder: Path
) -> None:
    done = run(shop_environment, folder, "sql", "--csv", *arguments, stdin=b"select 2 as two;\n")

    assert done.stdout == b"two\r\n2\r\n"


def test_standard_input_that_is_not_text_is_refused(shop_environment: dict[str, str], folder: Path) -> None:
    done = run(shop_environment, folder, "sql", stdin=b"select \xff")

    assert done.returncode == 2
    assert b"not UTF-8 (byte 7)" in done.stderr


def test_the_error_for_too_long_standard_input_names_the_limit(
    shop_environment: dict[str, str], folder: Path
) -> None:
    done = run(shop_environment, folder, "sql", stdin=b"select  '" + "é".encode() * 600_000 + b"'")

    assert done.returncode == 2
    assert b"standard input has more than 1048576 bytes" in done.stderr


def test_explain_plans_a_statement_without_running_it(shop_environment: dict[str, str], folder: Path) -> None:
    done = run(shop_environment, folder, "sql", "--explain", RUNAWAY)

    assert done.returncode == 0
    assert b"Nested Loop" in done.stdout


def test_rows_beyond_the_limit_are_reported_on_standard_error(
    shop_environment: dict[str, str], folder: Path
) -> None:
    done = run(
        shop_environment, folder, "sql", "--csv", "--limit", "2", "select id from products order by id"
    )

    assert done.returncode == 0
    assert done.stdout == b"id\r\n1\r\n2\r\n"
    assert done.stderr == b"only the first 2 rows, and there are more: --limit takes up to 100000\n"


def test_csv_and_parquet_have_as_many_rows_as_an_export(
    shop_environment: dict[str, str], folder: Path
) -> None:
    statement = "select id, full_name from customers order by id limit 3000"

    csv = run(shop_environment, folder, "sql", "--csv", statement)
    parquet = run(shop_environment, folder, "sql", "--parquet", "c.parquet", statement)
    bounded = run(
        shop_environment | {"PG_MCP_SERVER_EXPORT_MAX_ROWS": "1500"}, folder, "sql", "--csv", statement
    )

    assert (csv.returncode, csv.stderr, csv.stdout.count(b"\r\n")) == (0, b"", 3001)
    assert parquet.stderr.startswith(b"c.parquet: 3000 rows, ")
    assert parquet.stdout.startswith(b"3000 rows, ")
    assert pyarrow_rows(folder / "c.parquet") == 3000
    assert bounded.stdout.count(b"\r\n") == 1501
    assert b"raise PG_MCP_SERVER_EXPORT_MAX_ROWS" in bounded.stderr


def pyarrow_rows(file: Path) -> int:
    parquet = pytest.importorskip("pyarrow.parquet")
    return int(parquet.read_metadata(file).num_rows)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a device that is always full")
@pytest.mark.parametrize("arguments", [["sql", "--csv", "select 1"], ["--help"]])
def test_a_full_disk_under_standard_output_is_reported_in_one_line(
    arguments: list[str], shop_environment: dict[str, str], folder: Path
) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*COMMAND, *arguments],
            env=shop_environment,
            cwd=folder,
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=TIMEOUT_S,
            check=False,
        )

    assert done.returncode == 1
    assert done.stderr.decode().splitlines() == [
        "pgmcp: export_failed: the output cannot be written: no space left on device",
        "hint: free space there, or write it to another disk",
    ]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a device that is always full")
def test_a_full_disk_under_an_export_is_reported_in_one_line(
    shop_environment: dict[str, str], folder: Path
) -> None:
    pytest.importorskip("pyarrow")
    environment = shop_environment | {"PG_MCP_AUDIT_FILE": "/dev/full"}

    done = run(environment, folder, "sql", "--parquet", "/dev/full", "select 1")

    assert done.returncode == 1
    assert done.stderr.decode().splitlines() == [
        "error: a line of the audit file could not be written: no space left on device",
        "pgmcp: export_failed: the file could not be written: No space left on device",
        "hint: free space there, or name a file on another disk",
    ]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a device that is always full")
def test_a_full_disk_under_a_chart_is_a_failure(shop_environment: dict[str, str], folder: Path) -> None:
    pytest.importorskip("vl_convert")
    (folder / "full.png").symlink_to("/dev/full")

    done = run(shop_environment, folder, "sql", "select 1 as one", "--chart", "full.png")

    assert done.returncode == 1
    assert done.stderr.decode().splitlines() == [
        "pgmcp: export_failed: full.png cannot be written: no space left on device",
        "hint: free space there, or name another file with --chart",
    ]


@pytest.mark.parametrize(
    ("command", "exit_code", "shown"),
    [
        (r"\dt ord*", 0, "table order_items -- "),
        (r"\du", 2, r"there is no command \du"),
    ],
)
def test_commands_of_psql_are_answered(
    command: str, exit_code: int, shown: str, shop_environment: dict[str, str], folder: Path
) -> None:
    done = run(shop_environment, folder, "sql", command)

    assert done.returncode == exit_code
    assert shown in (done.stderr if exit_code else done.stdout).decode()


def test_rows_beyond_the_highest_limit_name_the_setting(
    shop_environment: dict[str, str], folder: Path
) -> None:
    environment = shop_environment | {"PG_MCP_SERVER_MAX_RESULT_ROWS": "2"}

    done = run(environment, folder, "sql", "select id from products")

    assert done.returncode == 0
    assert b"PG_MCP_SERVER_MAX_RESULT_ROWS" in done.stderr


def test_long_cells_are_cut_in_a_table_but_not_in_csv(shop_environment: dict[str, str], folder: Path) -> None:
    statement = "select repeat('x', 5000) as long, 1 as one"

    table = run(shop_environment, folder, "sql", statement)
    whole = run(shop_environment, folder, "sql", statement, "--csv")

    assert b"1 long cell cut, ending in \xe2\x80\xa6; --csv and --json give all of them" in table.stderr
    assert max(map(len, table.stdout.decode().splitlines())) < 300
    assert b"x" * 5000 in whole.stdout


def test_escape_sequences_in_values_are_escaped(shop_environment: dict[str, str], folder: Path) -> None:
    done = run(
        shop_environment,
        folder,
        "sql",
        r"""select E'\x1b]0;gone\x07' as "a\x1b[31m" """.replace(r"\x1b[31m", "\x1b[31m"),
    )

    assert b"\x1b" not in done.stdout
    assert rb"\u001b]0;gone\u0007" in done.stdout


@pytest.mark.parametrize(
    ("statement", "exit_code", "expected"),
    [
        ("delete from products", 3, "rejected: DELETE is not a read"),
        ("select pg_read_file('/etc/passwd')", 3, "rejected: "),
        ("select nam from products", 1, "line 1: select nam from products\n               ^\nhint: "),
        ("", 3, "rejected: "),
    ],
)
def test_a_failure_has_its_reason_position_and_exit_code(
    statement: str, exit_code: int, expected: str, shop_environment: dict[str, str], folder: Path
) -> None:
    done = run(shop_environment, folder, "sql", statement)

    assert done.returncode == exit_code
    assert done.stdout == b""
    assert expected in done.stderr.decode()
    assert b"Traceback" not in done.stderr


def test_a_database_that_is_down_is_reported_once(folder: Path) -> None:
    done = run(server_environment("postgresql://me:Quagga-1@127.0.0.1:1/shop"), folder, "sql", "select 1")

    assert done.returncode == 1
    assert done.stderr.count(b"not reachable") == 1
    assert b"Quagga" not in done.stderr


@pytest.mark.parametrize("sql", ["delete from orders", "select 1; delete from orders", "delte from orders"])
def test_a_statement_is_rejected_even_if_the_database_is_down(folder: Path, sql: str) -> None:
    done = run(server_environment("postgresql://me@127.0.0.1:1/shop"), folder, "sql", sql)

    assert done.returncode == 3
    assert done.stderr.startswith(b"pgmcp: rejected: ")


def test_an_error_names_its_database_and_its_variables_if_several_are_configured(folder: Path) -> None:
    down = "postgresql://me@127.0.0.1:1/down"
    environment = server_environment(PG_MCP_DATABASES__CRM__URL=down, PG_MCP_DATABASES__STOCK__URL=down)

    done = run(environment, folder, "sql", "--database", "stock", "select 1")

    assert done.stderr.startswith(b"pgmcp: unreachable: database stock is not reachable: ")
    assert b"PG_MCP_DATABASES__STOCK__HOST and PG_MCP_DATABASES__STOCK__PORT" in done.stderr
    assert b"PG_MCP_DATABASE_" not in done.stderr


@pytest.mark.parametrize("command", [r"\dt", r"\dn"])
def test_commands_of_psql_name_the_database_that_is_down(command: str, folder: Path) -> None:
    down = "postgresql://me@127.0.0.1:1/down"
    environment = server_environment(PG_MCP_DATABASES__CRM__URL=down, PG_MCP_DATABASES__STOCK__URL=down)

    done = run(environment, folder, "sql", "-d", "stock", command)

    assert done.returncode == 1
    assert done.stderr.startswith(b"pgmcp: unreachable: database stock is not reachable: ")


def test_all_databases_are_listed_without_a_connection(folder: Path) -> None:
    environment = server_environment(
        PG_MCP_DATABASES__CRM__URL="postgresql://me@127.0.0.1:1/a",
        PG_MCP_DATABASES__STOCK__URL="postgresql://me@127.0.0.1:2/b",
    )

    done = run(environment, folder, "sql", "-d", "stock", r"\l")

    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == b"* stock at 127.0.0.1:2\n  crm at 127.0.0.1:1\n"


def test_an_unknown_database_is_a_usage_error(shop_environment: dict[str, str], folder: Path) -> None:
    done = run(shop_environment, folder, "sql", "--database", "sales", "select 1")

    assert done.returncode == 2
    assert done.stderr == b"pgmcp: unknown_database: no database is called 'sales'\nhint: databases: shop\n"


def test_a_command_for_another_database_does_not_connect_to_the_default_one(
    shop_url: str, folder: Path
) -> None:
    environment = server_environment(
        "postgresql://me@127.0.0.1:1/down", PG_MCP_DATABASES__SHOP__URL=shop_url, server_query_timeout="20"
    )

    done = run(environment, folder, "sql", "--database", "shop", "--csv", "select 1 as one")

    assert (done.stdout, done.stderr) == (b"one\r\n1\r\n", b"")


def test_without_settings_sql_names_the_settings(folder: Path) -> None:
    done = run(server_environment(), folder, "sql", "select 1")

    assert done.returncode == 2
    assert b"PG_MCP_DATABASE_URL" in done.stderr
    assert b"`pgmcp demo`" in done.stderr


def test_a_closed_pipe_causes_no_error_message(shop_environment: dict[str, str], folder: Path) -> None:
    statement = "select id, repeat('x', 190) as text from orders"
    with subprocess.Popen(
        [*COMMAND, "sql", statement],
        env=shop_environment,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
        process.wait(TIMEOUT_S)

    assert errors == b""


@pytest.mark.skipif(sys.platform == "win32", reason="a process group gets Ctrl-C otherwise")
@pytest.mark.parametrize(
    ("number", "has_ctrl_c"), [(signal.SIGINT, True), (signal.SIGTERM, True), (signal.SIGTERM, False)]
)
def test_a_signal_cancels_the_statement_on_the_server_and_the_audit_has_its_line(
    number: signal.Signals, has_ctrl_c: bool, shop_url: str, shop_admin_url: str, folder: Path
) -> None:
    name = "pgmcp-interrupted"
    audit = folder / "audit.jsonl"
    environment = server_environment(with_application_name(shop_url, name)) | {
        "PG_MCP_AUDIT_FILE": str(audit)
    }
    with Activity(shop_admin_url, name) as activity:
        process = subprocess.Popen(
            [*COMMAND, "sql", RUNAWAY],
            env=environment,
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            # A program that a shell starts in the background ignores SIGINT, and so do its children.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL if has_ctrl_c else signal.SIG_IGN),
        )
        try:
            activity.until_running("order_items")
            if number == signal.SIGINT:
                os.killpg(process.pid, number)  # a terminal also sends the signal to the workers
            else:
                process.send_signal(number)
            stdout, stderr = process.communicate(timeout=TIMEOUT_S)
        finally:
            process.kill()

        assert (process.returncode, stdout, stderr) == (128 + number, b"", b"")
        assert activity.sessions() == []
    assert [json.loads(line)["outcome"] for line in audit.read_text().splitlines()] == ["cancelled"]
