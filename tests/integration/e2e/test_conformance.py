"""The protocol's official conformance suite, against the real server over HTTP."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.prepare_clients import CONFORMANCE, conformance_command, is_installed
from testing.http_server import HttpServerProcess
from testing.mcp_server import SHOP_CONTEXT, server_environment

BASELINES = Path(__file__).parents[2] / "data" / "conformance"


@pytest.fixture(scope="module")
def server(shop_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpServerProcess]:
    if not is_installed("conformance", CONFORMANCE):
        pytest.skip(
            f"{CONFORMANCE} is missing: python scripts/prepare_clients.py (Linux on x86-64, with npm)"
        )
    environment = server_environment(
        shop_url, database_name="shop", context_file=str(SHOP_CONTEXT), rate_limit_enabled="false"
    )
    with HttpServerProcess(environment, tmp_path_factory.mktemp("server")) as server:
        yield server
    assert "Traceback" not in server.log


@pytest.mark.parametrize("revision", ["2025-11-25", "2026-07-28"])
def test_every_scenario_passes_but_those_that_need_the_suites_own_tools(
    revision: str, server: HttpServerProcess, tmp_path: Path
) -> None:
    options = ["server", "--url", server.url, "--requirements", revision]
    baseline = ["--expected-failures", str(BASELINES / f"{revision}.yaml"), "--output-dir", str(tmp_path)]

    done = subprocess.run(
        [*conformance_command(), *options, *baseline],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-4000:]
