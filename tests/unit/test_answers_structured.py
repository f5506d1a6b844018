import json
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from pgmcp.answers.answer import Answer, Source
from pgmcp.answers.budget import encode_json
from pgmcp.answers.fitted import fit_answer
from pgmcp.answers.structured import ANSWER_SCHEMA, as_json
from pgmcp.execution.result import Column, Rows, Truncation

_COLUMNS = (Column("id", "integer"), Column("name", "text"))


def make_answer(*, rows: Rows | None, sql: str = "select 1", source: Source = Source.DIRECT) -> Answer:
    return Answer(database="main", sql=sql, source=source, rows=rows, elapsed_ms={"execute": 1.26})


def structure(answer: Answer, *, max_tokens: int = 8_000) -> dict[str, Any]:
    fitted = fit_answer(answer, max_tokens=max_tokens, count_tokens=len)
    structured: dict[str, Any] = json.loads(encode_json(as_json(fitted)))
    return structured


def test_an_answer_has_typed_columns_and_exact_values() -> None:
    rows = Rows(_COLUMNS, [[1, "a\tb\u202e"], [2, None]])

    assert structure(make_answer(rows=rows)) == {
        "database": "main",
        "sql": "select 1",
        "source": "direct",
        "repairs": 0,
        "assumptions": [],
        "columns": [{"name": "id", "type": "integer"}, {"name": "name", "type": "text"}],
        "rows": [[1, "a\tb\u202e"], [2, None]],
        "row_count": 2,
        "truncated": None,
        "cut_cells": 0,
        "elapsed_ms": {"execute": 1.3},
        "model": None,
        "tokens": {"in": 0, "cached": 0, "out": 0},
        "notes": [],
    }


def test_sql_that_was_not_executed_has_no_list_of_rows() -> None:
    content = structure(make_answer(rows=None))

    assert (content["rows"], content["row_count"]) == (None, None)


@pytest.mark.parametrize("truncation", list(Truncation))
def test_the_limit_that_ended_the_result_is_named(truncation: Truncation) -> None:
    content = structure(make_answer(rows=Rows(_COLUMNS, [[1, "Ann"]], truncated=truncation)))

    assert content["truncated"]["reason"] == truncation
    assert content["truncated"]["shown"] == 1


@pytest.mark.parametrize("max_tokens", [1_000, 4_000])
@pytest.mark.parametrize("name", ["x", 'said "yes"', "word " * 100, "東京"])
def test_structured_content_fits_the_budget_of_the_text(max_tokens: int, name: str) -> None:
    answer = make_answer(rows=Rows(_COLUMNS, [[n, name] for n in range(3_000)]))

    content = structure(answer, max_tokens=max_tokens)

    assert len(json.dumps(content, ensure_ascii=False, separators=(",", ":"))) <= max_tokens
    assert content["truncated"]["reason"] == "tokens"
    assert content["truncated"]["shown"] == len(content["rows"]) > 0
    assert content["row_count"] == 3_000


def test_long_sql_is_returned_whole_only_to_callers_who_did_not_write_it() -> None:
    sql = "select " + "1," * 5_000 + "1"

    assert len(str(structure(make_answer(rows=None, sql=sql))["sql"])) == 2_000
    assert structure(make_answer(rows=None, sql=sql, source=Source.GENERATED))["sql"] == sql


def test_every_answer_is_valid_by_the_published_schema() -> None:
    executed = structure(make_answer(rows=Rows(_COLUMNS, [[1, None]], truncated=Truncation.ROWS)))
    jsonschema.validate(executed, ANSWER_SCHEMA)
    jsonschema.validate(structure(make_answer(rows=None)), ANSWER_SCHEMA)

    assert list(executed) == ANSWER_SCHEMA["required"]


def test_the_schema_stays_small_enough_for_every_models_context() -> None:
    assert len(json.dumps(ANSWER_SCHEMA, separators=(",", ":"))) < 1_100
