"""`pgmcp demo` as a user sees it: the guided tour, and the configuration at its end, over real stdio."""

import json
import re
import sys
from pathlib import Path

import anyio
import pytest
from mcp import Client, StdioServerParameters, stdio_client

from pgmcp.demo.postgres import EmbeddedPostgres
from pgmcp.demo.tour import run_tour

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the cache folder is moved by XDG_CACHE_HOME")


@pytest.fixture(scope="module")
def cache(cluster: EmbeddedPostgres) -> Path:
    """A cache folder of this module's own, removed with the cluster's."""
    path = cluster.data_dir.parents[1] / "tour"
    path.mkdir(mode=0o755)
    return path


@pytest.fixture(autouse=True)
def environment(cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No model, no `.env`, and no demo of the user's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    for name in ("API_KEY", "BASE_URL"):
        monkeypatch.delenv(f"PG_MCP_OPENAI_{name}", raising=False)


def test_the_tour_keeps_its_promises_and_stops_what_it_started(capsys: pytest.CaptureFixture[str]) -> None:
    kept = run_tour()

    shown = capsys.readouterr().out
    assert kept
    assert shown.count("source: verified") == 3
    assert shown.count("source: direct") == 1
    assert "answers come from the verified questions" in shown
    assert shown.count("rejected: ") == 2
    assert "timeout: " in shown
    assert re.search(r"while it runs: backend \d+ is active", shown)
    assert re.search(r"now: backend \d+ is (gone|idle)", shown)
    assert not EmbeddedPostgres().is_running


def test_a_question_of_ones_own_is_asked_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_tour("Which products are low on stock?")

    shown = capsys.readouterr().out
    assert shown.count("source: verified") == 1
    assert "rejected" not in shown


def test_an_unverified_question_says_what_to_set(capsys: pytest.CaptureFixture[str]) -> None:
    assert not run_tour("What is the meaning of it all?")

    assert "PG_MCP_OPENAI_API_KEY" in capsys.readouterr().out


def test_the_block_at_the_end_serves_the_shop_and_stops_postgres_afterwards(
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
