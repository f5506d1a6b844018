"""`pgmcp evaluate`: a team's own questions, with a model whose replies are scripted."""

import json
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from testing.command_line import run
from testing.machine import free_port
from testing.mcp_server import server_environment
from testing.openai_endpoint import (
    RecordedRequest,
    Reply,
    ScriptedEndpoint,
    content,
    failure,
    sql,
    unanswerable,
)

QUESTIONS = """
databases:
  shop:
    verified:
      - question: How many categories are there?
        sql: select count(*) from categories
        category: counts
      - question: How many products are there?
        sql: select count(*) from products
        category: counts
      - question: What is the average price?
        sql: select avg(price) from products
        category: prices
      - question: Who is the tallest customer?
        unanswerable: true
      - question: Which two numbers come first?
        rows: [[1, one], [2, null]]
      - question: Which of the names comes first?
        sql: select nothing from categories
"""

OURS = {
    "How many categories": sql("select count(id) from categories"),
    "How many products": sql("select count(*) + 1 from products"),
    "average price": sql("select round(avg(price), 2) from products"),
    "tallest customer": unanswerable("no heights are kept"),
    "two numbers": sql("select 'one' as b, 1 as a union all select null, 2"),
}
PLAIN = {
    "How many categories": "```sql\nselect count(*) from categories\n```",
    "How many products": "```sql\nselect count(*) from products\n```",
    "average price": "```sql\nselect avg(prize) from products\n```",
    "tallest customer": "```sql\nselect full_name from customers limit 1\n```",
    "two numbers": "I do not know.",
}


def reply(request: RecordedRequest) -> Reply:
    question = request.messages[-1]["content"].rpartition("Question: ")[2]
    if "CREATE TABLE" in request.prompt:
        assert "response_format" not in request.body
        return content(next(text for words, text in PLAIN.items() if words in question))
    return next(found for words, found in OURS.items() if words in question)


@pytest.fixture
def environment(shop_url: str, endpoint: ScriptedEndpoint) -> dict[str, str]:
    endpoint.script(reply)
    return server_environment(
        shop_url,
        database_name="shop",
        openai_base_url=endpoint.base_url,
        openai_max_retries="0",
        rate_limit_requests_per_minute="1",  # does not apply to an evaluation
    )


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    file = tmp_path / "questions.yaml"
    file.write_text(QUESTIONS)
    return file


def test_the_report_compares_both_contestants_and_names_plausible_wrong_answers(
    environment: dict[str, str], questions: Path, tmp_path: Path
) -> None:
    output = tmp_path / "report.json"
    done = run(environment, tmp_path, "evaluate", str(questions), "--output", str(output))
    report: dict[str, Any] = json.loads(output.read_text())
    shown = done.stdout.decode()

    own, plain = report["contestants"]["pgmcp"], report["contestants"]["plain prompt"]
    assert done.returncode == 0, done.stderr
    assert (own["right"], own["wrong"], own["rightly_refused"], own["error"]) == (4, 1, 1, 0)
    assert (plain["right"], plain["wrong"], plain["refused"], plain["error"]) == (2, 1, 1, 1)
    assert report["paired"] == {
        "both right": 1, "only pgmcp": 3, "only the plain prompt": 1, "neither": 0, "p": 0.625,
    }  # fmt: skip
    assert report["plausible_but_wrong"] == {"pgmcp": ["2"], "plain prompt": ["4"]}
    assert report["skipped"][0]["id"] == "6"
    assert 'column "nothing" does not exist' in report["skipped"][0]["why"]
    assert own["tokens_in"] == 5 * 120
    assert plain["tokens_out"] == 5 * 30
    assert own["median_tokens_in"] == 120
    assert all(0 < each["p50_ms"] <= each["most_ms"] for each in (own, plain))
    costs = next(line for line in shown.splitlines() if "tokens in" in line)
    assert costs.replace("│", " ").split() == ["tokens", "in", "600", f"{plain['tokens_in']:,}"]
    assert "plausible but wrong, pgmcp:" in shown
    assert "2: How many products are there?" in shown
    assert "select count(*) + 1 from products" in shown
    assert "paired: both right 1, only pgmcp 3" in shown


@pytest.mark.parametrize(("percent", "code"), [("60", 0), ("70", 1)])
def test_a_threshold_decides_the_exit_code(
    percent: str, code: int, environment: dict[str, str], questions: Path, tmp_path: Path
) -> None:
    done = run(
        environment, tmp_path, "evaluate", str(questions), "--no-baseline", "--json", "--fail-under", percent
    )

    assert done.returncode == code
    assert list(json.loads(done.stdout)["contestants"]) == ["pgmcp"]
    assert ("66.7% of the answers are right, less than 70 %" in done.stderr.decode()) == bool(code)


NO_ANSWER = "the model or the database gave no answer to "


def test_an_endpoint_that_does_not_answer_fails_the_evaluation(
    environment: dict[str, str], endpoint: ScriptedEndpoint, questions: Path, tmp_path: Path
) -> None:
    endpoint.script(lambda request: failure(503))

    done = run(environment, tmp_path, "evaluate", str(questions), "--no-baseline")

    assert done.returncode == 1
    assert NO_ANSWER + "1, 2, 3, 4, 5\n" in done.stderr.decode()


def test_an_endpoint_that_fails_for_the_plain_prompt_alone_fails_the_evaluation(
    environment: dict[str, str], endpoint: ScriptedEndpoint, questions: Path, tmp_path: Path
) -> None:
    endpoint.script(lambda request: failure(503) if "CREATE TABLE" in request.prompt else reply(request))

    done = run(environment, tmp_path, "evaluate", str(questions), "--json")

    assert done.returncode == 1
    assert NO_ANSWER + "1, 2, 3, 4, 5\n" in done.stderr.decode()
    assert json.loads(done.stdout)["contestants"]["pgmcp"]["error"] == 0


@pytest.mark.parametrize("with_endpoint", [True, False])
def test_a_database_that_does_not_answer_fails_the_evaluation(
    with_endpoint: bool, environment: dict[str, str], questions: Path, tmp_path: Path
) -> None:
    environment |= {"PG_MCP_DATABASE_URL": f"postgresql://reader@127.0.0.1:{free_port()}/shop"}
    if not with_endpoint:
        del environment["PG_MCP_OPENAI_BASE_URL"]

    done = run(environment, tmp_path, "evaluate", str(questions), "--no-baseline")

    assert done.returncode == 1
    assert NO_ANSWER in done.stderr.decode()


def test_sql_that_fails_or_is_refused_is_a_result(
    environment: dict[str, str], endpoint: ScriptedEndpoint, questions: Path, tmp_path: Path
) -> None:
    replies = cycle([sql("select nothing"), sql("delete from categories"), content("no idea")])
    endpoint.script(lambda request: next(replies))

    done = run(environment, tmp_path, "evaluate", str(questions), "--no-baseline", "--json")

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["contestants"]["pgmcp"]["error"] == 5


def test_the_verified_questions_of_the_context_file_can_be_evaluated(
    environment: dict[str, str], endpoint: ScriptedEndpoint, tmp_path: Path
) -> None:
    context = tmp_path / "context.yaml"
    context.write_text("# learnt below\n")
    environment |= {"PG_MCP_CONTEXT_FILE": str(context), "PG_MCP_DATABASE_NAME": "shop"}
    count = "select count(*) from categories"
    learn = ("learn", "How many categories are there?", "--sql", count, "--yes")

    learnt = run(environment, tmp_path, *learn)
    by_sql = run(environment, tmp_path, "evaluate", str(context), "--no-baseline", "--json")
    by_model = run(environment, tmp_path, "evaluate", str(context), "--no-baseline", "--json", "--ask-model")

    assert learnt.returncode == 0, learnt.stderr
    asked = [json.loads(done.stdout)["questions"][0]["pgmcp"] for done in (by_sql, by_model)]
    assert [(each["verdict"], each["source"]) for each in asked] == [
        ("right", "verified"),
        ("right", "generated"),
    ]
    assert len(endpoint.requests) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("databases: {shpo: {verified: [{question: q, sql: select 1}]}}", "'shpo' (did you mean 'shop'?)"),
        ("databases: {shop: {}}", "has no question about any database"),
        ("databases: {shop: {verified: [{question: q}]}}", "'sql' is missing"),
    ],
)
def test_a_mistake_in_the_question_file_is_named(
    text: str, words: str, environment: dict[str, str], questions: Path, tmp_path: Path
) -> None:
    questions.write_text(text)

    done = run(environment, tmp_path, "evaluate", str(questions))

    assert done.returncode == 2
    assert words in done.stderr.decode()
