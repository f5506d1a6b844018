"""The whole evaluation, on the demo shop: the real server, and an endpoint that replays a script."""

import os
from collections.abc import Iterator
from pathlib import Path

import anyio
import psycopg
import pytest

from pgmcp.demo.postgres import EmbeddedPostgres
from pgmcp.validation.references import find_references
from scripts.evaluation.databases import Database, group_by_database, load
from scripts.evaluation.endpoint import passing_endpoint, scripted_endpoint
from scripts.evaluation.questions import Question, read_questions
from scripts.evaluation.report import as_json
from scripts.evaluation.run import Miss, Model, Result, Script, Verdict, evaluate, open_server
from testing.mcp_server import server_environment
from testing.openai_endpoint import ScriptedEndpoint, sql

pytestmark = [pytest.mark.anyio, pytest.mark.measuring]

QUESTIONS = Path(__file__).parents[2] / "data" / "shop_questions.jsonl"
LOOKUPS = Path(__file__).parents[2] / "data" / "lookups"
MODEL = Model("scripted", "scripted")


@pytest.fixture
def database(shop_url: str) -> Iterator[Database]:
    database = Database(shop_url)
    yield database
    database.close()


async def run(
    database: Database, folder: Path, script: Script, questions: list[Question] | None = None
) -> list[Result]:
    with anyio.fail_after(60), scripted_endpoint() as endpoint:
        environment = {**server_environment(), "PG_MCP_OPENAI_MAX_RETRIES": "0"}
        async with open_server(database.url, endpoint, MODEL, environment, folder) as server:
            results, _ = await evaluate(
                questions or read_questions(QUESTIONS), database, server, endpoint, MODEL, script=script
            )
    return results


def verdicts(results: list[Result], contestant: str) -> set[Verdict]:
    return {result.attempts[contestant].verdict for result in results}


async def test_gold_replies_are_right_from_end_to_end(database: Database, folder: Path) -> None:
    questions = [each for question in read_questions(QUESTIONS) for each in question.by_gold()]

    results = await run(database, folder, Script.GOLD, questions)

    assert [result.question.id for result in results if result.attempts["ours"].why] == []
    assert verdicts(results, "plain prompt") == {Verdict.RIGHT}
    assert all(result.attempts["ours"].attempt.bill.calls == 1 for result in results)
    assert [result.question.id for result in results if result.attempts["ours"].attempt.notes] == []
    assert as_json(results, [])["paired"]["both right"] == len(questions)


async def test_every_value_that_decides_is_in_the_prompt(cluster: EmbeddedPostgres, folder: Path) -> None:
    database = Database(load(cluster.url(), "harbour", [LOOKUPS / "harbour.sql"]))
    questions = read_questions(LOOKUPS / "harbour.jsonl")

    results = await run(database, folder, Script.GOLD, questions)
    database.close()

    relations = [find_references(question.gold_sql[0]).relations for question in questions]
    assert len({relation for of_one in relations for _, relation in of_one}) >= 15 + 8
    assert len(questions) >= 40
    assert sum(result.named_values for result in results) >= 50
    assert [(result.question.id, result.missing_values) for result in results if result.missing_values] == []
    assert [result.question.id for result in results if result.attempts["ours"].why] == []
    ours, plain = (as_json(results, [])["contestants"][name] for name in ("ours", "plain prompt"))
    assert (ours["noted"], ours["repaired"]) == (0, 0)
    assert ours["median_tokens_in"] <= 0.9 * plain["median_tokens_in"]
    # A value of a larger column is looked up through its index.
    assert "-> harbour_marks.title = 'Mark 0042'" in results[-1].attempts["ours"].attempt.prompt


@pytest.mark.parametrize("script", [Script.WRONG_COLUMN, Script.MISSING_CAST])
async def test_a_near_miss_that_fails_is_mended_when_the_second_reply_is_right(
    script: Script, database: Database, folder: Path
) -> None:
    results = await run(database, folder, script)

    assert {result.miss for result in results} == {Miss.FAILS}
    assert verdicts(results, "ours") == {Verdict.RIGHT}
    assert {result.attempts["ours"].attempt.source for result in results} == {"repaired"}
    assert verdicts(results, "plain prompt") == {Verdict.ERROR}


async def test_a_text_in_the_wrong_case_is_mended_when_the_second_reply_is_right(
    database: Database, folder: Path
) -> None:
    results = await run(database, folder, Script.WRONG_CASE)

    assert [(result.question.id, result.miss) for result in results] == [("cards", Miss.EMPTY)]
    assert verdicts(results, "ours") == {Verdict.RIGHT}
    assert verdicts(results, "plain prompt") == {Verdict.WRONG}


async def test_a_reply_that_never_gets_right_ends_with_the_databases_words_and_a_bounded_bill(
    database: Database, folder: Path
) -> None:
    results = await run(database, folder, Script.NEVER_RIGHT)

    ours = [result.attempts["ours"] for result in results]
    plain = [result.attempts["plain prompt"] for result in results]
    assert {each.attempt.error for each in ours} == {"statement_failed"}
    assert all("does not exist" in each.why for each in ours)
    assert {each.attempt.bill.calls for each in ours} == {3}
    assert {each.attempt.bill.calls for each in plain} == {1}


async def test_garbage_is_an_error_and_never_rows(database: Database, folder: Path) -> None:
    results = await run(database, folder, Script.GARBAGE)

    assert Verdict.RIGHT not in verdicts(results, "ours") | verdicts(results, "plain prompt")
    assert Verdict.WRONG not in verdicts(results, "ours") | verdicts(results, "plain prompt")
    assert len(results) == len(read_questions(QUESTIONS))


async def test_a_real_endpoint_is_asked_with_its_key_and_its_bill_is_kept(
    database: Database, folder: Path
) -> None:
    question = read_questions(QUESTIONS)[0]
    with ScriptedEndpoint(api_key="sk-real") as upstream, passing_endpoint(upstream.base_url) as endpoint:
        upstream.script(lambda request: sql("select count(*) from categories"))
        model = Model("some-model", "sk-real")
        async with open_server(database.url, endpoint, model, server_environment(), folder) as server:
            results, _ = await evaluate(
                [question], database, server, endpoint, model, script=None, with_baseline=False
            )

    ours = results[0].attempts["ours"]
    assert ours.verdict is Verdict.RIGHT
    assert (ours.attempt.bill.tokens_in, ours.attempt.bill.tokens_out) == (120, 30)
    assert upstream.requests[0].body["model"] == "some-model"


async def test_the_plain_prompt_holds_the_whole_schema(database: Database) -> None:
    dump = database.schema_dump()

    assert "CREATE TABLE public.orders (" in dump
    assert "placed_at timestamp with time zone NOT NULL" in dump
    assert "FOREIGN KEY (customer_id) REFERENCES customers(id)" in dump
    assert "CREATE TYPE order_status AS ENUM (" in dump


async def test_files_of_one_name_make_one_database_that_can_only_be_read(
    cluster: EmbeddedPostgres, tmp_path: Path
) -> None:
    for folder, text in (("schemas", "create table t (a int)"), ("notes", "comment on table t is 'it''s'")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"evaluated_{os.getpid()}.sql").write_text(text)
    files = [*(tmp_path / "schemas").iterdir(), *(tmp_path / "notes").iterdir()]

    ((name, of_one),) = group_by_database(files).items()
    database = Database(load(cluster.url(), name, of_one))

    assert "COMMENT ON TABLE public.t IS 'it''s';" in database.schema_dump()
    database.close()
    with psycopg.connect(database.url) as writer, pytest.raises(psycopg.errors.InsufficientPrivilege):
        writer.execute("insert into t values (1)")
