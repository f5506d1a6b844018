"""Questions that the operator has verified need neither a model nor a key."""

import json
from pathlib import Path

import pytest
import yaml

from testing.mcp_server import SHOP_CONTEXT
from testing.openai_endpoint import ScriptedEndpoint, sql
from testing.raw_jsonrpc import RawServer
from tests.integration.e2e.conftest import StartServer


def spellings() -> list[str]:
    """Return every wording of the shipped verified questions."""
    verified = yaml.safe_load(SHOP_CONTEXT.read_text("utf-8"))["databases"]["shop"]["verified"]
    return [words for entry in verified for words in (entry["question"], *entry["also_asked_as"])]


@pytest.mark.parametrize("question", spellings())
def test_every_wording_of_a_verified_question_runs_its_sql(question: str, shop_server: RawServer) -> None:
    answer = shop_server.call("query", question=question, return_type="both", limit=5)

    assert answer.structured["source"] == "verified"
    assert answer.structured["model"] is None
    assert answer.structured["tokens"] == {"in": 0, "cached": 0, "out": 0}
    assert answer.rows
    assert "verified SQL of the operator" in answer.text.splitlines()[0]


def test_a_verified_question_is_recognised_without_its_case_and_punctuation(shop_server: RawServer) -> None:
    answer = shop_server.call("query", question="  how MANY active users are there ")

    assert answer.structured["source"] == "verified"


def test_a_verified_questions_sql_can_be_had_without_running_it(shop_server: RawServer) -> None:
    answer = shop_server.call("query", question="Count active users", return_type="sql")

    assert answer.structured["rows"] is None
    assert answer.structured["sql"].startswith("select count(*) as active_users")


def test_another_question_says_what_to_set_and_what_can_be_asked(shop_server: RawServer) -> None:
    answer = shop_server.call("query", question="Who is our best supplier?")

    assert answer.code == "no_model"
    assert "PG_MCP_OPENAI_API_KEY" in answer.text
    assert "execute_sql" in answer.text
    assert "How many active users do we have?" in answer.text


def test_a_verified_question_is_not_sent_to_the_model_and_another_is_with_examples(
    shop_environment: dict[str, str], start_server: StartServer
) -> None:
    with ScriptedEndpoint() as endpoint:
        endpoint.reply(sql("select count(*) from customers where is_active"))
        server = start_server({**shop_environment, "PG_MCP_OPENAI_BASE_URL": endpoint.base_url})

        verified = server.call("query", question="Count active users")
        generated = server.call("query", question="How many users are active, logins aside?")

    assert verified.structured["source"] == "verified"
    assert generated.structured["source"] == "generated"
    assert len(endpoint.requests) == 1
    prompt = endpoint.requests[0].prompt
    assert "last_login_at >= now() - interval '30 days'" in prompt  # from the most similar verified question
    assert "a customer with is_active and a login in the last 30 days" in prompt  # from the terms


BROKEN_CONTEXT = """
databases:
  shop:
    verified:
      - question: How many widgets are there?
        sql: select count(*) from widgets
      - question: Clear the widgets
        sql: delete from products
      - question: How many numbers are there?
        sql: select count(*) from generate_series(1, 1000000000000)
"""


@pytest.mark.parametrize(
    ("question", "outcome"),
    [("How many widgets are there?", "statement_failed"), ("Clear the widgets", "rejected")],
)
def test_a_failed_verified_question_names_the_operators_sql_as_the_cause(
    question: str, outcome: str, shop_environment: dict[str, str], start_server: StartServer, tmp_path: Path
) -> None:
    context, audit = tmp_path / "context.yaml", tmp_path / "audit.jsonl"
    context.write_text(BROKEN_CONTEXT)
    server = start_server(
        {**shop_environment, "PG_MCP_CONTEXT_FILE": str(context), "PG_MCP_AUDIT_FILE": str(audit)}
    )

    answer = server.call("query", question=question)

    (line,) = [json.loads(line) for line in audit.read_text("utf-8").splitlines()]
    assert answer.code == outcome
    assert "the operator's verified SQL for this question failed" in answer.text
    assert "context file" in answer.text
    assert (line["outcome"], line["source"]) == (outcome, "verified")


@pytest.mark.parametrize(
    ("limit", "outcome"),
    [("PG_MCP_SERVER_QUERY_TIMEOUT=0.3", "timeout"), ("PG_MCP_SERVER_MAX_COST=10", "too_expensive")],
)
def test_the_error_of_a_verified_question_that_reaches_a_limit_names_whose_sql_it_is(
    limit: str, outcome: str, shop_environment: dict[str, str], start_server: StartServer, tmp_path: Path
) -> None:
    context = tmp_path / "context.yaml"
    context.write_text(BROKEN_CONTEXT)
    server = start_server(
        {**shop_environment, "PG_MCP_CONTEXT_FILE": str(context), **dict([limit.split("=")])}
    )

    answer = server.call("query", question="How many numbers are there?")

    assert answer.code == outcome
    assert "the SQL is the operator's verified SQL for this question" in answer.text


def test_a_context_for_a_database_that_is_not_configured_is_warned_of(
    shop_environment: dict[str, str], start_server: StartServer, tmp_path: Path
) -> None:
    context = tmp_path / "context.yaml"
    context.write_text("databases: {shpo: {terms: {user: a row of users}}}")

    server = start_server({**shop_environment, "PG_MCP_CONTEXT_FILE": str(context)})
    server.call("search_schema", detail="names")  # `initialize` is answered before the file is read

    assert "databases that are not configured: 'shpo' (did you mean 'shop'?)" in server.stderr
