"""The load test runs and reports its measurements. These tests do not judge the speed."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from pgmcp.demo.shop import Shop
from scripts.load.bench import ECHO, Effort, open_bench
from scripts.load.client import StdioServer
from scripts.load.gates import SkippedError
from scripts.load.loss import measure_restart
from scripts.load.measure import Timeline
from scripts.load.nonce import Tally, ask, ask_for_one_row
from testing.mcp_server import server_environment

pytestmark = pytest.mark.measuring

_SCRIPT = Path(__file__).parents[3] / "scripts" / "loadtest.py"
_TIMEOUT_S = 240


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(_SCRIPT), "--quick", *arguments],
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )


@pytest.fixture(scope="module")
def plot_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("loadtest") / "latency.svg"


@pytest.fixture(scope="module")
def gates(plot_file: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """The report of a short run, by scenario and gate; the run starts its own PostgreSQL and restarts it."""
    scenarios = ("repeated", "mixed", "front-kill", "restart", "soak", "people")
    done = _run(
        *("--scenario", *scenarios, "--json", "-", "--plot", str(plot_file)),
        *("--soak-statements", "50", "--soak-s", "8"),
    )

    assert done.returncode == 0, done.stderr
    return {(gate["scenario"], gate["what"]): gate for gate in json.loads(done.stdout)["gates"]}


@pytest.mark.parametrize("scenario", ["mixed", "restart", "soak", "people"])
def test_no_reply_is_lost_or_crossed(gates: dict[tuple[str, str], dict[str, Any]], scenario: str) -> None:
    gate = gates[scenario, "replies lost or crossed"]

    assert gate["passed"], gate["note"]


def test_every_call_is_answered_unless_a_kill_cancel_or_restart_explains_it(
    gates: dict[tuple[str, str], dict[str, Any]],
) -> None:
    note = gates["people", "replies lost or crossed"]["note"]

    assert gates["people", "answers fewer than owed"]["passed"], note
    counted = {
        name: int(count) for count, name in re.findall(r"(\d+) (cancels|killed|restarts|of the)", note)
    }
    assert counted["cancels"] > 0
    assert counted["killed"] > 0
    assert (counted["restarts"], counted["of the"]) == (2, 2)


@pytest.mark.parametrize("scenario", ["soak", "people"])
def test_at_the_end_no_resources_are_in_use(
    gates: dict[tuple[str, str], dict[str, Any]], scenario: str
) -> None:
    gate = gates[scenario, "left behind"]

    assert gate["passed"], gate["note"]


def test_a_server_over_http_is_compared_with_the_echo_app_and_with_several(shop: Shop) -> None:
    done = _run("--url", shop.reader_url, "--http", "--servers", "1", "2", "--json", "-")

    assert done.returncode == 0, done.stderr
    found = {gate["what"]: gate for gate in json.loads(done.stdout)["gates"]}
    measured = {what for what, gate in found.items() if gate["figure"] is not None}
    assert len(measured) == 3
    assert found["the same with 4 servers, to 1 server"]["figure"] is None


def test_a_ratio_names_what_was_measured_and_its_floor(gates: dict[tuple[str, str], dict[str, Any]]) -> None:
    gate = gates["repeated", "`select 1` again, p50, to echo"]

    assert gate["figure"] == pytest.approx(gate["measured"] / gate["floor"], rel=0.05)


def test_a_peer_that_is_not_installed_is_skipped(gates: dict[tuple[str, str], dict[str, Any]]) -> None:
    gate = gates["repeated", "`select 1` again, p50, to server-postgres"]

    assert gate["passed"] is None
    assert "--peers" in gate["note"]


def test_the_end_of_a_killed_server_is_measured(gates: dict[tuple[str, str], dict[str, Any]]) -> None:
    figures = [gate["figure"] for (scenario, _), gate in gates.items() if scenario == "front-kill"]

    assert len(figures) == 2
    assert None not in figures


@pytest.mark.anyio
async def test_a_database_that_the_run_did_not_start_stays_up(shop: Shop) -> None:
    with (
        open_bench(shop.reader_url, Effort(True, 1, 1), Timeline(), lambda done, whole: None) as bench,
        pytest.raises(SkippedError, match="not started by this run"),
    ):
        await measure_restart(bench)


def test_the_plot_is_a_picture_with_a_dot_per_call(
    gates: dict[tuple[str, str], dict[str, Any]], plot_file: Path
) -> None:
    picture = ElementTree.fromstring(plot_file.read_text("utf-8"))  # noqa: S314 # we drew it

    assert len(picture.findall("{http://www.w3.org/2000/svg}circle")) > 50


@pytest.mark.anyio
async def test_a_reply_to_another_call_is_noticed(tmp_path: Path) -> None:
    somebody_else = {"rows": [["their word"]]}
    tally = Tally(Timeline())
    server = await StdioServer.start(ECHO, server_environment(), tmp_path)
    try:
        await server.call("remember", text="", structured=somebody_else)
        await ask(server, ask_for_one_row(), tally)
    finally:
        await server.stop()

    assert len(tally.wrong) == 1


def test_a_failed_gate_gives_exit_code_1() -> None:
    nobody_listens = "postgresql://nobody@127.0.0.1:9/none?connect_timeout=1"

    done = _run("--url", nobody_listens, "--scenario", "front-kill", "--gate")

    assert done.returncode == 1
    assert "FAIL" in done.stdout
