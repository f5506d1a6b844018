"""`pgmcp learn` saves a question that a person has checked, and a running server answers it at once."""

import subprocess
from pathlib import Path

import pytest

from testing.command_line import run_text
from testing.mcp_server import server_environment
from testing.openai_endpoint import ScriptedEndpoint, sql
from tests.integration.e2e.conftest import StartServer

QUESTION = "How many categories do we have?"
COUNT = "select count(*) as categories from categories"


@pytest.fixture
def context(tmp_path: Path) -> Path:
    file = tmp_path / "context.yaml"
    file.write_text("# what we know\n", encoding="utf-8")
    return file


def learn(environment: dict[str, str], folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_text(environment, folder, "learn", *arguments)


def test_a_learned_question_is_answered_with_its_confirmed_sql(
    shop_url: str, context: Path, tmp_path: Path, start_server: StartServer
) -> None:
    environment = server_environment(
        shop_url, context_file=str(context), openai_base_url="http://127.0.0.1:9"
    )
    server = start_server(environment)

    learnt = learn(environment, tmp_path, QUESTION, "--sql", f"{COUNT};", "--yes")
    answer = server.call("query", question="how many categories do we have", return_type="both")

    assert learnt.returncode == 0, learnt.stderr
    assert "warning" not in learnt.stderr
    assert "|         27 |\n" in learnt.stdout
    assert answer.structured["source"] == "verified"
    assert answer.structured["sql"] == COUNT
    assert context.read_text("utf-8").startswith("# what we know\n")


def test_the_model_writes_the_sql_for_a_new_file(shop_url: str, tmp_path: Path) -> None:
    file = tmp_path / "new.yaml"
    with ScriptedEndpoint() as endpoint:
        endpoint.reply(sql(COUNT))
        environment = server_environment(shop_url, openai_base_url=endpoint.base_url)

        learnt = learn(environment, tmp_path, QUESTION, "--to", "new.yaml", "--yes")

    assert learnt.returncode == 0, learnt.stderr
    assert COUNT in learnt.stdout
    assert COUNT in file.read_text("utf-8")


def test_a_verified_question_is_refused_before_it_is_answered(context: Path, tmp_path: Path) -> None:
    context.write_text(
        f"databases: {{main: {{verified: [{{question: '{QUESTION}', sql: select 1}}]}}}}", "utf-8"
    )
    environment = server_environment("postgresql://127.0.0.1:1/shop", context_file=str(context))

    refused = learn(environment, tmp_path, QUESTION, "--sql", COUNT, "--yes")

    assert (refused.returncode, refused.stdout) == (2, "")
    assert "this question is already verified" in refused.stderr


def test_without_a_model_the_hint_names_the_option(shop_url: str, context: Path, tmp_path: Path) -> None:
    refused = learn(server_environment(shop_url, context_file=str(context)), tmp_path, QUESTION, "--yes")

    assert refused.returncode == 2
    assert "hint: pass its SQL with --sql; or set PG_MCP_OPENAI_API_KEY" in refused.stderr


def test_learn_without_a_terminal_does_not_ask_the_model(tmp_path: Path) -> None:
    refused = learn(server_environment("postgresql://127.0.0.1:1/shop"), tmp_path, QUESTION)

    assert refused.returncode == 2
    assert "nothing was written: there is no terminal for the confirmation" in refused.stderr
    assert "--yes" in refused.stderr


@pytest.mark.parametrize(
    ("statement", "exit_code", "expected"),
    [("delete from categories", 3, "rejected"), ("select nothing from categories", 1, "nothing")],
)
def test_learn_does_not_keep_sql_that_fails(
    statement: str, exit_code: int, expected: str, shop_url: str, context: Path, tmp_path: Path
) -> None:
    environment = server_environment(shop_url, context_file=str(context))

    refused = learn(environment, tmp_path, QUESTION, "--sql", statement, "--yes")

    assert refused.returncode == exit_code
    assert expected in refused.stderr
    assert context.read_text("utf-8") == "# what we know\n"


def test_learn_without_a_context_file_names_the_setting(shop_url: str, tmp_path: Path) -> None:
    refused = learn(server_environment(shop_url), tmp_path, QUESTION, "--sql", COUNT, "--yes")

    assert refused.returncode == 2
    assert "PG_MCP_CONTEXT_FILE" in refused.stderr
