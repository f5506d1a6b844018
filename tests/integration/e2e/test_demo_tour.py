"""`pgmcp demo` as a user sees it: the guided tour, and the configuration at its end, over real stdio."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE

import anyio
import pytest
from mcp import Client, StdioServerParameters, stdio_client

from pgmcp.cli.errors import ExitCode
from pgmcp.demo.postgres import EmbeddedPostgres
from pgmcp.demo.tour import run_tour
from testing.command_line import run_in_terminal, run_text
from testing.prestarted import COMMAND

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the cache folder is moved by XDG_CACHE_HOME")


@pytest.fixture(scope="module")
def cache(cluster: EmbeddedPostgres) -> Path:
    """A cache folder for this module, inside the cluster's folder, which is removed at the end."""
    path = cluster.data_dir.parents[1] / "tour"
    path.mkdir(mode=0o755)
    return path


@pytest.fixture(autouse=True)
def environment(cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide the user's model settings, `.env` and cache folder from the tests."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    for name in ("API_KEY", "BASE_URL"):
        monkeypatch.delenv(f"PG_MCP_OPENAI_{name}", raising=False)


def test_the_tour_shows_what_it_announces_and_stops_what_it_started(
    capsys: pytest.CaptureFixture[str],
) -> None:
    exit_code = run_tour()

    shown = capsys.readouterr().out
    assert exit_code == ExitCode.DONE
    assert shown.count("verified SQL of the operator") == 3
    assert shown.count("direct SQL") == 1
    assert "answers come from the verified questions" in shown
    assert shown.count("rejected: ") == 2
    assert "timeout: " in shown
    assert re.search(r"while it runs: backend \d+ is active", shown)
    assert re.search(r"now: backend \d+ is (gone|idle)", shown)
    assert not EmbeddedPostgres().is_running


def test_the_demo_answers_one_question_instead_of_the_tour(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_tour("Which products are low on stock?") == ExitCode.DONE

    shown = capsys.readouterr().out
    assert shown.count("verified SQL of the operator") == 1
    assert "Claude Desktop" in shown
    assert "rejected" not in shown


def test_an_empty_question_is_refused_before_anything_starts(tmp_path: Path) -> None:
    refused = run_text(dict(os.environ), tmp_path, "demo", " ")

    assert (refused.returncode, refused.stdout) == (ExitCode.UNUSABLE, "")
    assert refused.stderr.startswith("pgmcp: invalid_argument: the question is empty\n")


def test_the_demo_names_the_settings_for_an_unverified_question(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_tour("What is the meaning of it all?") == ExitCode.UNUSABLE

    shown = capsys.readouterr().out
    assert "PG_MCP_OPENAI_API_KEY" in shown
    assert "execute_sql" not in shown
    assert "Claude Desktop" not in shown


def test_ctrl_c_during_the_runaway_query_ends_the_demo_cleanly(tmp_path: Path) -> None:
    exit_code, shown = run_in_terminal(
        dict(os.environ), tmp_path, "demo", dialogue=[("while it runs: backend", b"\x03")]
    )

    assert exit_code == ExitCode.INTERRUPTED
    assert "Traceback" not in shown
    assert not EmbeddedPostgres().is_running


def test_a_closed_terminal_stops_postgres(tmp_path: Path) -> None:
    with subprocess.Popen(
        [*COMMAND, "demo"],
        cwd=tmp_path,
        stdout=PIPE,
        stderr=PIPE,
        text=True,
        # If the tests run under nohup, they ignore SIGHUP, and so do their children.
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    ) as demo:
        assert demo.stdout is not None
        assert demo.stderr is not None
        assert any("rows are ready" in line for line in demo.stdout)
        demo.send_signal(signal.SIGHUP)

        assert demo.stderr.read() == ""
        assert demo.wait(60) == 128 + signal.SIGHUP

    assert not EmbeddedPostgres().is_running


def test_the_printed_host_entry_serves_the_shop_and_stops_postgres_afterwards(
    cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_tour("How many active users are there?")
    shown = capsys.readouterr().out
    block = json.loads(shown[shown.index("{\n") :])["mcpServers"]["pgmcp-demo"]

    async def ask() -> object:
        with (tmp_path / "log").open("w") as log:
            server = StdioServerParameters(
                command=block["command"], args=block["args"], env={"XDG_CACHE_HOME": str(cache)}
            )
            async with Client(stdio_client(server, errlog=log)) as client:
                arguments = {"sql": "select count(*) from categories"}
                answer = await client.call_tool("execute_sql", arguments)
                return answer.structured_content

    answer = anyio.run(ask)

    assert isinstance(answer, dict)
    assert answer["rows"] == [[27]]
    assert not EmbeddedPostgres().is_running
