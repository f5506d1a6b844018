"""Real clients, each in its own environment, have the same conversation with the server."""

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from scripts.prepare_clients import (
    INSPECTOR,
    REQUIREMENT_BY_ENVIRONMENT,
    client_python,
    inspector_program,
    is_installed,
)
from testing.http_server import HttpServerProcess
from testing.mcp_server import server_environment
from testing.openai_endpoint import ScriptedEndpoint, readings, sql
from testing.prestarted import COMMAND
from tests.integration.clients.asking import ANSWERS, OTHER, QUESTION, USUAL, check_heard
from tests.integration.clients.conversation import check_transcript, converse
from tests.integration.clients.inspector import InspectorHost

pytestmark = pytest.mark.anyio

CLIENT_TIMEOUT_S = 120.0
_ROOT = Path(__file__).parents[3]


def require(name: str, requirement: str) -> None:
    """Skip the test if a client is not installed."""
    if not is_installed(name, requirement):
        pytest.skip(f"{requirement} is not installed: run scripts/prepare_clients.py")


def speak(
    python: Path | str, driver: str, options: Sequence[str], environment: dict[str, str], folder: Path
) -> dict[str, Any]:
    """Let a client's driver hold the conversation, and return the transcript."""
    return run_driver(python, driver, [*options, *COMMAND], environment, folder)


def run_driver(
    python: Path | str, driver: str, arguments: Sequence[str], environment: dict[str, str], folder: Path
) -> dict[str, Any]:
    """Return the JSON that a driver prints."""
    done = subprocess.run(
        [str(python), "-m", f"tests.integration.clients.{driver}", *arguments],
        env={**environment, "PYTHONPATH": str(_ROOT)},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=CLIENT_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    transcript: dict[str, Any] = json.loads(done.stdout)
    return transcript


@pytest.mark.parametrize("era", ["auto", "legacy"])
def test_the_sdks_client_works_in_both_protocol_versions(
    era: str, shop_environment: dict[str, str], folder: Path
) -> None:
    transcript = speak(sys.executable, "sdk2", [era], shop_environment, folder)

    check_transcript(transcript)
    assert {"completion", "progress"} <= transcript.keys()


@pytest.mark.parametrize(("environment", "driver"), [("sdk1", "sdk1"), ("fastmcp", "fastmcp_client")])
def test_other_clients_complete_the_conversation(
    environment: str, driver: str, shop_environment: dict[str, str], folder: Path
) -> None:
    require(environment, REQUIREMENT_BY_ENVIRONMENT[environment])

    transcript = speak(client_python(environment), driver, [], shop_environment, folder)

    check_transcript(transcript)
    assert {"completion", "progress"} <= transcript.keys()


@pytest.fixture
def asking_environment(shop_url: str, endpoint: ScriptedEndpoint) -> dict[str, str]:
    """The environment of a server whose model finds two readings of every question."""
    drafts = readings((USUAL, "SELECT 1 AS n"), (OTHER, "SELECT 2 AS n"))
    endpoint.script(lambda request: sql("SELECT 2 AS n") if f"as: {OTHER}" in request.prompt else drafts)
    return server_environment(shop_url, openai_base_url=endpoint.base_url, openai_max_retries="0")


def test_the_sdks_old_client_answers_a_question_over_stdio(
    asking_environment: dict[str, str], folder: Path
) -> None:
    require("sdk1", REQUIREMENT_BY_ENVIRONMENT["sdk1"])

    heard = run_driver(client_python("sdk1"), "sdk1_asking", COMMAND, asking_environment, folder)

    check_heard(heard)


def test_clients_answer_a_question_over_http(asking_environment: dict[str, str], folder: Path) -> None:
    for name, requirement in REQUIREMENT_BY_ENVIRONMENT.items():
        require(name, requirement)

    def hear(name: str, *arguments: str) -> dict[str, Any]:
        return run_driver(client_python(name), f"{name}_asking", arguments, asking_environment, folder)

    with HttpServerProcess(asking_environment, folder) as server:
        modern = hear("fastmcp", server.url, "auto")
        legacy = [hear("fastmcp", server.url, "legacy"), hear("sdk1", server.url)]

    failed = modern.pop("error")  # fails inside the client, which then does not repeat the call
    assert "answer" not in failed
    assert "no form here" in failed["failure"]
    check_heard(modern, kinds=tuple(kind for kind in ANSWERS if kind != "error"))
    for heard in legacy:
        check_heard(heard)


@pytest.fixture
def inspector() -> list[str]:
    """The Inspector's command line, up to its options."""
    require("inspector", INSPECTOR)
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    return [node, str(inspector_program()), "--cli"]


async def test_the_inspectors_command_line_completes_the_conversation(
    inspector: list[str], shop_environment: dict[str, str], folder: Path
) -> None:
    transcript = await converse(InspectorHost(inspector, COMMAND, shop_environment, folder))

    check_transcript(transcript)


@pytest.mark.parametrize("era", ["legacy", "modern"])
async def test_the_inspectors_command_line_shows_no_forms_and_calls_with_a_reading(
    era: str, inspector: list[str], asking_environment: dict[str, str], folder: Path
) -> None:
    host = InspectorHost(inspector, COMMAND, asking_environment, folder, era=era)

    usual = (await host.call("query", {"question": QUESTION}))["structured"]
    (reading,) = usual["follow_up"]
    read = (await host.call("query", {"question": QUESTION, "reading": reading}))["structured"]

    assert (usual["rows"], usual["assumptions"], read["rows"]) == ([[1]], [USUAL], [[2]])


async def test_the_inspectors_command_line_in_the_stateless_era(
    inspector: list[str], shop_environment: dict[str, str], folder: Path
) -> None:
    host = InspectorHost(inspector, COMMAND, shop_environment, folder, era="modern")

    answer = await host.call("execute_sql", {"sql": "select count(*) from categories"})

    assert answer["structured"]["rows"] == [[27]]
