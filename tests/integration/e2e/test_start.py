"""Which requests a starting server answers before it has imported slow packages.

A finder in the server's process delays the import of slow packages until a file appears. An answer that
arrives before then did not need these packages. Another file lists, for each line that the server wrote,
which modules were loaded.
"""

import json
import os
import signal
from pathlib import Path

import pytest

from testing.raw_jsonrpc import RawServer

SLOW = ("limits", "mcp", "openai", "psycopg", "pydantic", "pydantic_settings", "sqlglot", "yaml")

LOADED = "loaded.jsonl"
PYDANTIC = {"pydantic", "pydantic_settings"}
UNUSED = (
    *("pgmcp.fleet", "pgmcp.stored_budgets", "pgmcp.transport.http", "pgmcp.tunnel", "pgmcp.demo.postgres"),
    *("cryptography", "jwt", "limits", "mcp", "openai", "opentelemetry", "psycopg", "pyarrow", "redis"),
    *(
        "pydantic",
        "pydantic_settings",
        "rich",
        "starlette",
        "tiktoken",
        "typer",
        "uvicorn",
        "vl_convert",
        "wrapt",
        "yaml",
    ),
)
"""Modules that a server over stdio without a model or a context file must not load."""

HOLDING_BACK = """
import json, os, pathlib, sys, time

SLOW = {slow!r}
WATCHED = {watched!r}
GO = pathlib.Path({go!r})
LOADED = pathlib.Path({loaded!r})

class HoldBack:
    def find_spec(self, name, path=None, target=None):
        while name in SLOW and not GO.exists():
            time.sleep(0.01)

def write(descriptor, line):
    with LOADED.open("a") as lines:
        lines.write(json.dumps([name for name in WATCHED if name in sys.modules]) + "\\n")
    return write_unseen(descriptor, line)

sys.meta_path.insert(0, HoldBack())
write_unseen, os.write = os.write, write
"""


def held_back(
    environment: dict[str, str], folder: Path, slow: tuple[str, ...], watched: tuple[str, ...] = SLOW
) -> tuple[dict[str, str], Path]:
    """Return the environment of a server whose imports of `slow` wait for a file, and the file's path."""
    go = folder / "go"
    code = HOLDING_BACK.format(slow=slow, watched=watched, go=str(go), loaded=str(folder / LOADED))
    (folder / "sitecustomize.py").write_text(code)
    search_path = os.pathsep.join([str(folder), environment.get("PYTHONPATH", "")])
    return {**environment, "PYTHONPATH": search_path}, go


def loaded(folder: Path) -> list[set[str]]:
    """Return which of the watched modules were loaded when each line was written."""
    return [set(json.loads(line)) for line in (folder / LOADED).read_text().splitlines()]


def test_initialize_is_answered_before_settings_grammars_and_drivers_are_loaded(
    shop_environment: dict[str, str], folder: Path
) -> None:
    environment, go = held_back(shop_environment, folder, SLOW)
    with RawServer(environment, folder) as server:
        opened = server.initialize()
        pong = server.request("ping")
        call = server.start_call("execute_sql", sql="select 1")
        prompts = server.request("prompts/list")
        go.touch()
        answer = server.result_of(call)

    assert "execute_sql" in opened["result"]["instructions"]
    assert pong["result"] == {}
    assert len(prompts["result"]["prompts"]) == 3
    assert answer.rows == [[1]]


def test_nothing_slow_is_loaded_when_the_first_reply_is_written(
    shop_environment: dict[str, str], folder: Path
) -> None:
    environment, _ = held_back(shop_environment, folder, ())
    with RawServer(environment, folder) as server:
        server.initialize()

    assert loaded(folder)[0] == set()


def test_stateless_requests_are_answered_as_early_as_initialize(
    shop_environment: dict[str, str], folder: Path
) -> None:
    environment, go = held_back(shop_environment, folder, SLOW)
    with RawServer(environment, folder) as server:
        found = server.discover()
        go.touch()

    assert found["result"]["supportedVersions"]


def test_tools_and_resources_are_listed_as_soon_as_the_settings_are_read(
    shop_environment: dict[str, str], folder: Path
) -> None:
    without_yaml = {name: value for name, value in shop_environment.items() if name != "PG_MCP_CONTEXT_FILE"}
    slow_modules = tuple(name for name in SLOW if name not in PYDANTIC)
    environment, go = held_back(without_yaml, folder, slow_modules)
    with RawServer(environment, folder) as server:
        server.initialize()
        tools = server.request("tools/list")["result"]["tools"]
        resources = server.request("resources/list")["result"]["resources"]
        with_tools = loaded(folder)[1]
        go.touch()

        assert server.call("execute_sql", sql="select 1").rows == [[1]]

    assert with_tools == set()
    assert [tool["name"] for tool in tools] == ["execute_sql", "search_schema", "refresh_schema"]
    assert "schema://shop" in [resource["uri"] for resource in resources]


def test_a_server_loads_nothing_that_its_settings_do_not_use(
    shop_environment: dict[str, str], folder: Path
) -> None:
    without_yaml = {name: value for name, value in shop_environment.items() if name != "PG_MCP_CONTEXT_FILE"}
    environment, _ = held_back(without_yaml, folder, (), UNUSED)
    with RawServer(environment, folder) as server:
        server.initialize()
        assert server.call("execute_sql", sql="select 2").rows == [[2]]

    assert loaded(folder)[-1] == set()


def test_the_server_never_loads_the_sdk(shop_environment: dict[str, str], folder: Path) -> None:
    environment, _ = held_back(shop_environment, folder, ("mcp", "mcp_types", "starlette"))
    with RawServer(environment, folder) as server:
        server.initialize()
        assert not server.call("query", question="How many active users do we have?").is_error
        assert not server.call("search_schema").is_error
        server.request("resources/read", uri="ui://pgmcp/result")
        server.close_stdin()

        assert server.wait() == 0


@pytest.mark.parametrize("line", [b"", b'{"jsonrpc": "2.0", "id": 1, "method": "ping"}'])
def test_no_process_remains_when_the_host_leaves_at_once(
    line: bytes, shop_environment: dict[str, str], folder: Path
) -> None:
    with RawServer(shop_environment, folder) as server:
        server.write_line(line)
        server.close_stdin()

        assert server.wait() == 0
    assert "Traceback" not in server.stderr


@pytest.mark.parametrize("stop", ["the host leaves", signal.SIGTERM, signal.SIGINT])
def test_a_server_that_is_stopped_while_it_loads_answers_and_ends_in_order(
    stop: str | signal.Signals, shop_environment: dict[str, str], folder: Path
) -> None:
    environment, go = held_back(shop_environment, folder, SLOW)
    with RawServer(environment, folder) as server:
        server.initialize()
        call = server.start_call("execute_sql", sql="select 1")
        if isinstance(stop, signal.Signals):
            server.send_signal(stop)
        else:
            server.close_stdin()
        answer = server.receive(call)
        go.touch()
        exit_code = server.wait()

    assert "the server is stopping" in answer["error"]["message"]
    assert exit_code == 0
    assert "Traceback" not in server.stderr


def test_a_server_can_be_stopped_while_it_reads_settings_from_a_pipe_without_a_writer(
    shop_environment: dict[str, str], folder: Path
) -> None:
    os.mkfifo(folder / ".env")
    with RawServer(shop_environment, folder) as server:
        server.initialize()
        server.send_signal(signal.SIGTERM)
        exit_code = server.wait()

    assert "the settings were still being read when the server was stopped" in server.stderr
    assert exit_code == 2
    assert "Traceback" not in server.stderr
