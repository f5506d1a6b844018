"""The whole evaluation on the demo shop, with the real pipeline and an endpoint with scripted replies."""

import os
from collections.abc import Iterator
from pathlib import Path

import anyio
import psycopg
import pytest

from pgmcp.demo.postgres import EmbeddedPostgres
from pgmcp.evaluation.questions import Question
from pgmcp.evaluation.run import Result, Verdict
from pgmcp.validation.references import find_references
from scripts.evaluation.databases import Database, group_by_database, load, read_questions
from scripts.evaluation.endpoint import scripted_endpoint
from scripts.evaluation.run import ScriptedOutcome, as_json, ask_database
from scripts.evaluation.scripted import Miss, Script
from testing.mcp_server import server_environment

pytestmark = [pytest.mark.anyio, pytest.mark.measuring]

QUESTIONS = Path(__file__).parents[2] / "data" / "shop_questions.jsonl"
LOOKUPS = Path(__file__).parents[2] / "data" / "lookups"


@pytest.fixture
def database(shop_url: str) -> Iterator[Database]:
    database = Database(shop_url)
    yield database
    database.close()


async def run(database: Database, script: Script, questions: list[Question] | None = None) -> ScriptedOutcome:
    with anyio.fail_after(60), scripted_endpoint() as endpoint:
        return await ask_database(
            questions or read_questions(QUESTIONS),
            database,
            server_environment(openai_max_retries="0"),
            script=(script, endpoint),
        )


def verdicts(results: list[Result], contestant: str) -> set[Verdict]:
    return {result.attempts[contestant].verdict for result in results}


async def test_correct_replies_of_the_model_give_correct_answers(database: Database) -> None:
    questions = [each for question in read_questions(QUESTIONS) for each in question.by_gold_sql()]

    found = await run(database, Script.GOLD, questions)
    results = found.outcome.results

    assert [result.question.id for result in results if result.attempts["pgmcp"].why] == []
    assert verdicts(results, "plain prompt") == {Verdict.RIGHT}
    assert all(result.attempts["pgmcp"].attempt.usage.calls == 1 for result in results)
    assert [result.question.id for result in results if result.attempts["pgmcp"].attempt.notes] == []
    assert as_json(found)["paired"]["both right"] == len(questions)


async def test_the_prompt_has_every_value_that_an_answer_depends_on(cluster: EmbeddedPostgres) -> None:
    database = Database(load(cluster.url(), "harbour", [LOOKUPS / "harbour.sql"]))
    questions = read_questions(LOOKUPS / "harbour.jsonl")

    found = await run(database, Script.GOLD, questions)
    results = found.outcome.results
    database.close()

    relations = [find_references(question.gold_sql[0]).relations for question in questions]
    assert len({relation for of_one in relations for _, relation in of_one}) >= 15 + 8
    assert len(questions) >= 40
    assert len(found.values) == len(results)
    assert sum(values.named for values in found.values.values()) >= 50
    assert {name: values.missing for name, values in found.values.items() if values.missing} == {}
    assert [result.question.id for result in results if result.attempts["pgmcp"].why] == []
    own, plain = (as_json(found)["contestants"][name] for name in ("pgmcp", "plain prompt"))
    assert (own["noted"], own["repaired"]) == (0, 0)
    # The estimate includes the reply's JSON schema. With a real tokenizer the ratio is 0.89, because it needs
    # fewer tokens for JSON and SQL than estimated.
    assert own["median_tokens_in"] <= 0.82 * plain["median_tokens_in"]
    # A value of a larger column is looked up through its index.
    assert "-> harbour_marks.title = 'Mark 0042'" in found.prompts[results[-1].question.id]


@pytest.mark.parametrize("script", [Script.WRONG_COLUMN, Script.MISSING_CAST])
async def test_a_failing_near_miss_is_repaired_by_a_correct_second_reply(
    script: Script, database: Database
) -> None:
    found = await run(database, script)
    results = found.outcome.results

    assert set(found.misses.values()) == {Miss.FAILS}
    assert verdicts(results, "pgmcp") == {Verdict.RIGHT}
    assert {result.attempts["pgmcp"].attempt.source for result in results} == {"repaired"}
    assert verdicts(results, "plain prompt") == {Verdict.ERROR}


async def test_a_text_in_the_wrong_case_is_repaired_by_a_correct_second_reply(
    database: Database,
) -> None:
    found = await run(database, Script.WRONG_CASE)
    results = found.outcome.results

    assert found.misses == {"cards": Miss.EMPTY}
    assert verdicts(results, "pgmcp") == {Verdict.RIGHT}
    assert verdicts(results, "plain prompt") == {Verdict.WRONG}


async def test_rows_that_a_join_repeats_are_repaired_or_noted(
    database: Database,
) -> None:
    found = await run(database, Script.FAN_OUT)
    results = found.outcome.results

    assert set(found.misses.values()) == {Miss.OTHER_ROWS}
    silent = [
        result.question.id
        for result in results
        if result.attempts["pgmcp"].verdict is not Verdict.RIGHT
        and not result.attempts["pgmcp"].attempt.notes
    ]
    assert silent == []
    assert verdicts(results, "plain prompt") == {Verdict.WRONG}


async def test_replies_that_stay_wrong_end_with_the_databases_error_after_limited_retries(
    database: Database,
) -> None:
    found = await run(database, Script.NEVER_RIGHT)
    results = found.outcome.results

    own = [result.attempts["pgmcp"] for result in results]
    plain = [result.attempts["plain prompt"] for result in results]
    assert {each.attempt.error for each in own} == {"statement_failed"}
    assert all("does not exist" in each.why for each in own)
    assert {each.attempt.usage.calls for each in own} == {3}
    assert {each.attempt.usage.calls for each in plain} == {1}


async def test_a_reply_without_sql_is_an_error(database: Database) -> None:
    found = await run(database, Script.GARBAGE)
    results = found.outcome.results

    assert Verdict.RIGHT not in verdicts(results, "pgmcp") | verdicts(results, "plain prompt")
    assert Verdict.WRONG not in verdicts(results, "pgmcp") | verdicts(results, "plain prompt")
    assert len(results) == len(read_questions(QUESTIONS))


async def test_files_of_one_name_are_loaded_into_one_read_only_database(
    cluster: EmbeddedPostgres, tmp_path: Path
) -> None:
    for folder, text in (("schemas", "create table t (a int)"), ("notes", "comment on table t is 'it''s'")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"evaluated_{os.getpid()}.sql").write_text(text)
    files = [*(tmp_path / "schemas").iterdir(), *(tmp_path / "notes").iterdir()]

    ((name, of_one),) = group_by_database(files).items()
    database = Database(load(cluster.url(), name, of_one))

    assert database.rows("select obj_description('t'::regclass)") == [("it's",)]
    database.close()
    with psycopg.connect(database.url) as writer, pytest.raises(psycopg.errors.InsufficientPrivilege):
        writer.execute("insert into t values (1)")
