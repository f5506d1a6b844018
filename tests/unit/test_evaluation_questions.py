import json
from pathlib import Path

import pytest

from pgmcp.errors import SettingsError
from pgmcp.evaluation.contestants import sql_of
from pgmcp.evaluation.questions import asks_for_order, is_order_asked_for
from pgmcp.evaluation.questions import read_questions as read_context
from pgmcp.generation.context_file import load_context
from scripts.evaluation.databases import QuestionFileError, read_questions
from scripts.evaluation.near_miss import (
    Names,
    Reference,
    mutate_case,
    mutate_cast,
    mutate_column,
    mutate_rows,
)

ONE = json.dumps(
    {"id": 7, "db": "s", "question": "How many?", "gold_sql": ["select 1", "select 2"], "context": "Count."}
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "questions.jsonl"


def test_the_notes_of_a_question_are_appended_to_it(file: Path) -> None:
    file.write_text(f"{ONE}\n\n")

    (question,) = read_questions(file)

    assert question.id == "7"
    assert question.asked == "How many?\n\nNotes:\nCount."
    assert question.gold_sql == ("select 1", "select 2")


def test_a_question_can_be_asked_for_each_of_its_expected_statements(file: Path) -> None:
    file.write_text(ONE)

    variants = read_questions(file)[0].by_gold_sql()

    assert [(each.id, each.gold_sql[0]) for each in variants] == [("7", "select 1"), ("7#2", "select 2")]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("no JSON", "expected a question as a JSON object"),
        ("[]", "expected a question as a JSON object"),
        ('{"id": 1}', "the question has no question and no gold_sql"),
        ('{"id": 1, "question": "How many?"}', "the question has no gold_sql"),
        (
            '{"id": 1, "question": "How many?", "gold_sql": null}',
            "gold_sql must be a text or a list of texts",
        ),
        ('{"id": 1, "question": ["a"], "gold_sql": "select 1"}', "the question is not a text"),
    ],
)
def test_a_line_that_is_not_a_question_is_described(line: str, problem: str, file: Path) -> None:
    file.write_text(f"{ONE}\n{line}\n")

    with pytest.raises(QuestionFileError) as caught:
        read_questions(file)

    assert str(caught.value) == f"{file}:2: {problem}"


def test_only_questions_about_some_databases_are_read(file: Path) -> None:
    file.write_text(ONE)

    assert len(read_questions(file, ["s", "other"])) == 1
    with pytest.raises(QuestionFileError, match="other"):
        read_questions(file, ["other"])


@pytest.mark.parametrize(
    ("question", "is_ordered"),
    [
        ("List the customers, ordered by name", True),
        ("Return their names sorted from newest to oldest", True),
        ("Show the results in descending order", True),
        ("Which states are there, starting from the top?", True),
        ("Who are the top 5 customers by revenue?", False),
        ("How many orders by customers from Spain were there?", False),
        ("Which orders in March were late?", False),
    ],
)
def test_the_order_of_rows_matters_if_the_words_of_the_question_ask_for_it(
    question: str, is_ordered: bool
) -> None:
    assert asks_for_order(question) is is_ordered


@pytest.mark.parametrize(
    ("statement", "counts"),
    [
        ("select a from t order by a", True),
        ("select a from (select a from t order by a) q", False),
        ("select rank() over (order by a) from t", False),
        ("select 'order by' from t -- order by", False),
    ],
)
def test_the_order_of_rows_matters_only_if_the_expected_sql_sorts(statement: str, counts: bool) -> None:
    assert is_order_asked_for("List them, ordered by a", [statement]) is counts
    assert not is_order_asked_for("List them", [statement])


CONTEXT = """
databases:
  shop:
    verified:
      - question: How many {status} orders since {start}?
        parameters:
          status: {type: text, enum: [paid, shipped]}
          start: {type: date, default: 2020-01-01}
        sql: SELECT count(*) FROM orders WHERE status = {status} AND placed_at >= {start}
        also_right: ["SELECT 1 WHERE {status} <> ''"]
        examples:
          - {status: paid}
          - {status: shipped, start: 2024-01-01}
        category: counts
      - question: What is the answer?
        rows: [[42, null, "", true]]
        notes: Of everything
        ordered: true
      - question: What is the weather?
        unanswerable: true
"""


def test_the_context_files_form_has_expected_answers(tmp_path: Path) -> None:
    file = tmp_path / "questions.yaml"
    file.write_text(CONTEXT)

    paid, shipped, answer, weather = read_context(file)

    assert [(each.id, each.database, each.category) for each in (paid, shipped)] == [
        ("1.1", "shop", "counts"),
        ("1.2", "shop", "counts"),
    ]
    assert shipped.text == "How many shipped orders since 2024-01-01?"
    assert paid.gold_sql == (
        "SELECT count(*) FROM orders WHERE status = 'paid' AND placed_at >= date '2020-01-01'",
        "SELECT 1 WHERE 'paid' <> ''",
    )
    assert (answer.expected_rows, answer.is_ordered) == ((("42", None, "", "true"),), True)
    assert answer.asked == "What is the answer?\n\nNotes:\nOf everything"
    assert weather.is_unanswerable
    # The same file is a valid context file. Only its questions with SQL are verified questions.
    assert [verified.question for verified in load_context(file)["shop"].verified] == [
        "How many {status} orders since {start}?"
    ]


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("{question: q}", "'sql' is missing"),
        ("{question: q, rows: [1]}", "expected a list"),
        ("{question: q, sql: s, unanswerable: true}", "has neither sql nor rows"),
        ("{question: q, unanswerable: maybe}", "expected true or false"),
        ("{question: q, sql: s, examples: [{n: 1}]}", "unknown parameter 'n'"),
        (
            "{question: 'q {n}', sql: 'SELECT {n}', parameters: {n: integer}, examples: [{n: x}]}",
            "n: expected an integer",
        ),
    ],
)
def test_a_mistake_in_an_expected_answer_is_named(entry: str, words: str, tmp_path: Path) -> None:
    file = tmp_path / "questions.yaml"
    file.write_text(f"databases:\n  shop:\n    verified:\n      - {entry}\n")

    with pytest.raises(SettingsError) as caught:
        read_context(file)

    assert str(caught.value).startswith(f"{file}:4: databases.shop.verified[0]")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("reply", "statement"),
    [
        ("```sql\nselect 1\n```", "select 1"),
        ("First:\n```\nselect 1\n```\nBetter:\n```postgresql\nselect 2;\n```", "select 2;"),
        ("Here it is: \nwith x as (select 1) table x", "with x as (select 1) table x"),
        ("I cannot.", ""),
        ("", ""),
    ],
)
def test_the_statement_is_found_in_a_plain_reply(reply: str, statement: str) -> None:
    assert sql_of(reply) == statement


NAMES = Names(frozenset({"price", "other"}), (Reference("items", "order_id", "orders", "id"),))


def test_the_rows_of_an_amount_are_repeated_by_a_table_that_refers_to_them() -> None:
    assert list(mutate_rows("select count(*) from orders", NAMES)) == []
    assert list(mutate_rows("select sum(o.total) from orders as o where o.id > 1", NAMES)) == [
        "SELECT SUM(o.total) FROM orders AS o JOIN items ON items.order_id = o.id WHERE o.id > 1"
    ]


def test_a_mutation_changes_the_case_of_a_compared_text() -> None:
    assert list(mutate_case("select a from t where b = 'It''s VTI' and c > '2023-04-01'", NAMES)) == [
        "select a from t where b = 'iT''S vti' and c > '2023-04-01'"
    ]


def test_a_column_is_misspelled_everywhere_except_as_an_alias() -> None:
    statement = "select t.price as price from t order by t.price, 'price'"

    assert list(mutate_column(statement, NAMES)) == [
        "select t.prices as price from t order by t.prices, 'price'"
    ]


def test_the_mutation_of_a_date_removes_its_type() -> None:
    assert list(mutate_cast("select 1 where d >= '2023-04-01' and n > 5 and d < current_date", NAMES)) == [
        "select 1 where d >= '2023-04-01'::text and n > 5 and d < current_date",
        "select 1 where d >= '2023-04-01' and n > '5'::text and d < current_date",
        "select 1 where d >= '2023-04-01' and n > 5 and d < CURRENT_DATE::text",
    ]
