"""The real server over HTTP passes the protocol's official conformance suite, except for known failures."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.prepare_clients import CONFORMANCE, conformance_command, is_installed
from testing.activity import until
from testing.http_server import EXIT_TIMEOUT_S, START_TIMEOUT_S, HttpServerProcess
from testing.machine import HOST, free_port
from testing.mcp_server import SHOP_CONTEXT, server_environment

ROOT = Path(__file__).parents[3]
BASELINES = Path(__file__).parents[2] / "data" / "conformance"


@pytest.fixture(scope="module")
def server(shop_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpServerProcess]:
    if not is_installed("conformance", CONFORMANCE):
        pytest.skip(
            f"{CONFORMANCE} is missing: uv run scripts/prepare_clients.py (Linux on x86-64, with npm)"
        )
    environment = server_environment(
        shop_url, database_name="shop", context_file=str(SHOP_CONTEXT), rate_limit_enabled="false"
    )
    with HttpServerProcess(environment, tmp_path_factory.mktemp("server")) as server:
        yield server
    assert "Traceback" not in server.log


@pytest.fixture(scope="module")
def fixture_server() -> Iterator[str]:
    """Yield the URL of `testing.conformance_server`: features that pgmcp lacks, on pgmcp's HTTP app."""
    if not is_installed("conformance", CONFORMANCE):
        pytest.skip(f"{CONFORMANCE} is missing")
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "testing.conformance_server", str(port)], cwd=ROOT)
    try:
        until(lambda: accepts(port), "the fixture server accepts connections", START_TIMEOUT_S)
        yield f"http://{HOST}:{port}/mcp"
    finally:
        process.terminate()
        assert process.wait(EXIT_TIMEOUT_S) == 0


def accepts(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), timeout=1).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize("revision", ["2025-11-25", "2026-07-28"])
def test_every_conformance_scenario_passes_except_those_that_need_the_suites_own_tools(
    revision: str, server: HttpServerProcess, tmp_path: Path
) -> None:
    run_suite(server.url, revision, BASELINES / f"{revision}.yaml", tmp_path)


@pytest.mark.parametrize("revision", ["2025-11-25", "2026-07-28"])
def test_with_the_suites_own_tools_the_same_http_app_passes_every_scenario(
    revision: str, fixture_server: str, tmp_path: Path
) -> None:
    run_suite(fixture_server, revision, BASELINES / f"fixture-{revision}.yaml", tmp_path)


def run_suite(url: str, revision: str, baseline: Path, folder: Path) -> None:
    options = ["server", "--url", url, "--requirements", revision]
    expected = ["--expected-failures", str(baseline), "--output-dir", str(folder)]
    done = subprocess.run(
        [*conformance_command(), *options, *expected],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-4000:]
