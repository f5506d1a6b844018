"""The format's own tool accepts the bundle, and the bundle runs as a host runs it.

The tool must be in npm's cache and the libraries in uv's cache, because no test uses a registry.
`uv run scripts/build_bundle.py` and `uv sync` put them there.
"""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from scripts import build_bundle
from scripts.build_bundle import read_manifest
from testing.mcp_server import SHOP_CONTEXT, server_environment
from testing.raw_jsonrpc import RawServer
from tests.integration.e2e.conftest import StartServer

_OFFLINE_S = 60


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed")
    tool = [npm, "exec", "--yes", "--offline", f"--package={build_bundle.TOOL}", "--", "mcpb", "--version"]
    if subprocess.run(tool, check=False, capture_output=True, timeout=_OFFLINE_S).returncode:
        pytest.skip(f"npm's cache does not hold {build_bundle.TOOL}; scripts/build_bundle.py fetches it")
    file = tmp_path_factory.mktemp("dist") / "pgmcp.mcpb"
    assert build_bundle.main(["--output", str(file)]) == 0
    return file


@pytest.fixture(scope="module")
def installed(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpack the bundle into an empty folder and install its libraries, as a host does for type "uv"."""
    uv = shutil.which("uv")
    if uv is None:
        pytest.skip("uv is not installed")
    folder = tmp_path_factory.mktemp("extension")
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(folder)
    done = subprocess.run(
        [uv, "sync", "--directory", str(folder)],
        env=uv_environment(),
        check=False,
        capture_output=True,
        text=True,
        timeout=_OFFLINE_S,
    )
    if "network was disabled" in done.stderr or "--offline" in done.stderr:
        pytest.skip("uv's cache does not hold the libraries of the bundle; uv sync fetches them")
    assert done.returncode == 0, done.stderr
    return folder


def uv_environment() -> dict[str, str]:
    """Return the environment of uv: variables that locate its cache, no network, and this interpreter."""
    passed_on = ("HOME", "PATH", "SYSTEMROOT", "APPDATA", "LOCALAPPDATA", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")
    inherited = {
        name: value for name, value in os.environ.items() if name in passed_on or name.startswith("UV_")
    }
    return {**inherited, "UV_OFFLINE": "1", "UV_PYTHON": sys.executable}


def configure(folder: Path, **fields: str) -> tuple[list[str], dict[str, str]]:
    """Return the manifest's command and variables, with their placeholders replaced as the format says."""
    manifest = read_manifest()
    defaults = {
        name: str(field["default"]).lower()
        for name, field in manifest["user_config"].items()
        if "default" in field
    }
    filled = {"__dirname": str(folder)} | {
        f"user_config.{name}": value for name, value in (defaults | fields).items()
    }

    def fill(text: str) -> str:
        for name, value in filled.items():
            text = text.replace(f"${{{name}}}", value)
        return text

    server: dict[str, Any] = manifest["server"]["mcp_config"]
    return (
        [fill(part) for part in (server["command"], *server["args"])],
        {name: fill(value) for name, value in server["env"].items()},
    )


def test_an_unpacked_bundle_works_if_only_the_database_is_filled_in(
    installed: Path, shop_url: str, tmp_path: Path
) -> None:
    command, variables = configure(installed, database_url=shop_url)
    environment = {**uv_environment(), "HTTPS_PROXY": "http://127.0.0.1:9", **variables}

    with RawServer(environment, tmp_path, command) as server:
        opened = server.initialize()["result"]
        answer = server.call("execute_sql", sql="select count(*) from categories")
        tools = [tool["name"] for tool in server.request("tools/list")["result"]["tools"]]

    assert opened["serverInfo"]["version"] == read_manifest()["version"]
    assert answer.rows == [[27]]
    assert "query" not in tools


def test_the_optional_fields_of_a_bundle_reach_the_server(
    installed: Path, shop_url: str, tmp_path: Path
) -> None:
    command, variables = configure(
        installed,
        database_url=shop_url,
        openai_base_url="http://127.0.0.1:9/v1",
        openai_model="any",
        context_file=str(SHOP_CONTEXT),
        require_readonly_role="true",
    )
    environment = {**uv_environment(), "HTTPS_PROXY": "http://127.0.0.1:9", **variables}

    with RawServer(environment, tmp_path, command) as server:
        server.initialize()
        tools = [tool["name"] for tool in server.request("tools/list")["result"]["tools"]]

    assert "query" in tools


def test_the_bundle_names_the_tools_that_the_server_has(shop_url: str, start_server: StartServer) -> None:
    server = start_server(server_environment(shop_url, openai_base_url="http://127.0.0.1:9/v1"))

    tools = [tool["name"] for tool in server.request("tools/list")["result"]["tools"]]

    assert sorted(tool["name"] for tool in read_manifest()["tools"]) == sorted(tools)
