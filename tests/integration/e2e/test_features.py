"""Each feature can be deleted as a folder: the server starts, lists its tools and answers without it."""

import shutil
from pathlib import Path

import pytest

import pgmcp
import worker
from testing.mcp_server import server_environment
from testing.raw_jsonrpc import RawServer

_ARGUMENTS = ["sql", "database", "limit", "chart"]


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """A folder with a copy of both packages."""
    for package in (pgmcp, worker):
        source = Path(str(package.__file__)).parent
        shutil.copytree(source, tmp_path / source.name, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


@pytest.mark.parametrize(
    ("feature", "arguments", "has_page"),
    [
        ("charts", ["sql", "database", "limit"], True),
        ("export", _ARGUMENTS, True),
        ("view", _ARGUMENTS, False),
        ("demo", _ARGUMENTS, True),
    ],
)
def test_the_server_works_without_a_feature(
    feature: str, arguments: list[str], has_page: bool, packages: Path, shop_url: str
) -> None:
    shutil.rmtree(packages / "pgmcp" / feature)
    environment = server_environment(shop_url) | {"PYTHONPATH": str(packages)}

    with RawServer(environment, packages) as server:
        server.initialize()
        tools = {tool["name"]: tool for tool in server.request("tools/list")["result"]["tools"]}
        resources = server.request("resources/list")["result"]["resources"]
        answer = server.call("execute_sql", sql="select 1")

    assert list(tools["execute_sql"]["inputSchema"]["properties"]) == arguments
    assert ("ui://pgmcp/result" in [resource["uri"] for resource in resources]) is has_page
    assert answer.rows == [[1]]
