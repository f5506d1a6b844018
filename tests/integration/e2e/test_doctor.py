"""`pgmcp doctor` as a person runs it: a line per check, a hint where one is needed, an exit code.

Other files test the failures that a check can find: tests/integration/postgres/test_doctor.py for databases,
tests/unit/test_doctor_*.py for settings, model and hosts.
"""

import json
import subprocess
from pathlib import Path

import pytest

from testing.activity import Activity, with_application_name
from testing.command_line import run_text
from testing.mcp_server import server_environment
from testing.openai_endpoint import ScriptedEndpoint, sql

CHECKS_OF_A_DATABASE = {
    "connection",
    "TLS",
    "version",
    "role",
    "read-only",
    "timeout",
    "cancel",
    "catalog",
    "grants",
    "statistics",
    "data sent",
}


def run_doctor(
    folder: Path, *options: str, url: str | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    return run_text(server_environment(url, **variables), folder, "doctor", *options)


def examine(folder: Path, url: str | None = None, **variables: str) -> tuple[int, dict[str, dict[str, str]]]:
    done = run_doctor(folder, "--json", url=url, **variables)
    assert done.stderr == ""
    return done.returncode, {result["check"]: result for result in json.loads(done.stdout)}


def test_doctor_passes_every_check_of_a_healthy_installation(shop_url: str, folder: Path) -> None:
    exit_code, results = examine(folder, shop_url, XDG_CACHE_HOME=str(folder), TIKTOKEN_CACHE_DIR=str(folder))

    assert exit_code == 0
    assert {name: result["status"] for name, result in results.items()} == {
        "settings": "ok",
        "machine: program": "ok",
        "machine: guards": "ok",
        "machine: worker": "ok",
        "machine: cache folder": "ok",
        "machine: token counting": "warn",  # tests do not download the tokenizer's file
        "hosts": "ok",
        "model": "warn",  # no model is configured
        **{f"database main: {check}": "ok" for check in CHECKS_OF_A_DATABASE},
    }
    assert all(set(result) == {"status", "check", "text", "hint"} for result in results.values())
    assert all(result["hint"] for result in results.values() if result["status"] != "ok")


def test_doctor_leaves_nothing_on_the_server(shop_url: str, shop_admin_url: str, folder: Path) -> None:
    exit_code, _ = examine(folder, with_application_name(shop_url, "examined"))

    assert exit_code == 0
    with Activity(shop_admin_url, "examined") as activity:
        activity.until_gone()


def test_doctor_prints_plain_lines_and_totals_into_a_pipe(shop_url: str, folder: Path) -> None:
    done = run_doctor(folder, url=shop_url)

    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    assert "ok    database main: role: " in done.stdout
    assert done.stdout.splitlines()[-1].endswith(" 0 fail")


def test_a_database_that_is_down_fails_the_command_without_its_password(folder: Path) -> None:
    exit_code, results = examine(folder, "postgresql://me:Quagga-1@127.0.0.1:1/shop")

    assert exit_code == 1
    assert results["database main: connection"]["text"].startswith("unreachable: ")
    assert results["database main: connection"]["hint"].startswith("no server listens on that host and port")
    assert "Quagga" not in json.dumps(results)


def test_doctor_reports_unusable_settings_and_still_examines_the_machine(
    folder: Path,
) -> None:
    done = run_doctor(folder, PG_MCP_DATABSE_URL="postgresql://me:Quagga-1@127.0.0.1/shop")

    assert done.returncode == 1
    assert "PG_MCP_DATABSE_URL is not a setting, did you mean PG_MCP_DATABASE_URL?\n      hint: " in (
        done.stdout
    )
    assert "ok    machine: worker: " in done.stdout
    assert "Quagga" not in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("below", ["", "below"])
def test_a_cache_folder_that_cannot_be_written_is_named(below: str, folder: Path) -> None:
    file = folder / "file"
    file.touch()
    _, results = examine(folder, XDG_CACHE_HOME=str(file / below))

    cache = results["machine: cache folder"]
    assert cache["status"] == "warn"
    assert cache["text"].startswith(f"{file / below / 'pgmcp'} cannot be written: ")
    assert "XDG_CACHE_HOME" in cache["hint"]


def test_doctor_asks_the_model_and_names_where_prompts_go(shop_url: str, folder: Path) -> None:
    with ScriptedEndpoint() as endpoint:
        endpoint.reply(sql("SELECT 1"))
        exit_code, results = examine(folder, shop_url, openai_base_url=endpoint.base_url)

    assert exit_code == 0
    assert results["model"]["status"] == "ok"
    assert endpoint.base_url.split("/")[2] in results["database main: data sent"]["text"]


def test_an_unexpected_error_of_one_check_does_not_stop_the_others(folder: Path) -> None:
    exit_code, results = examine(folder, HOME=str(folder / ("x" * 300)))  # longer than any file's name may be

    assert exit_code == 1
    assert results["hosts"]["status"] == "fail"
    assert results["hosts"]["text"] == "internal: the check failed unexpectedly (OSError)"
    assert results["machine: worker"]["status"] == "ok"
    assert "settings" in results
