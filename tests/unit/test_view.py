import json
import re

import pytest

from pgmcp.answers.answer import Answer, Source
from pgmcp.answers.fitted import fit_answer
from pgmcp.execution.result import Column, JsonScalar, Rows, Truncation
from pgmcp.view.feature import read_result_view
from pgmcp.view.reply_data import MAX_VIEW_BYTES, describe_for_view
from scripts.build_view import LICENSES, SOURCE

NAME = Column("name", "text")
COUNT = Column("count", "bigint")


def answer_of(rows: list[list[JsonScalar]], *columns: Column, truncated: Truncation | None = None) -> Answer:
    return Answer(
        database="main",
        sql=None,
        statement="select name, count from t",
        source=Source.GENERATED,
        question="How many?",
        rows=Rows(columns, rows, truncated, cut_cells=2),
    )


def describe(answer: Answer, *, max_tokens: int = 8_000) -> dict[str, object]:
    return describe_for_view(answer, fit_answer(answer, max_tokens=max_tokens, count_tokens=len).shown)


def test_rows_that_the_structured_content_holds_are_not_sent_twice() -> None:
    assert describe(answer_of([["a", 1], ["b", 2]], NAME, COUNT))["table"] is None


def test_rows_beyond_the_models_budget_are_sent() -> None:
    rows: list[list[JsonScalar]] = [[f"name {number}", number] for number in range(500)]

    table = describe(answer_of(rows, NAME, COUNT), max_tokens=800)["table"]

    assert table == {
        "columns": [{"name": "name", "type": "text"}, {"name": "count", "type": "bigint"}],
        "rows": rows,
    }


def test_a_cell_shortened_for_the_model_is_sent_whole() -> None:
    answer = answer_of([["long " * 1_000]], NAME)

    table = describe(answer, max_tokens=800)["table"]

    assert isinstance(table, dict)
    assert table["rows"] == [["long " * 1_000]]


def test_rows_and_chart_together_stay_within_the_bound_of_the_view() -> None:
    rows: list[list[JsonScalar]] = [["é" * 400, number] for number in range(5_000)]

    described = describe(answer_of(rows, NAME, COUNT), max_tokens=800)

    assert (
        MAX_VIEW_BYTES * 0.9 < len(json.dumps(described, ensure_ascii=False).encode()) < MAX_VIEW_BYTES * 1.01
    )


def test_the_data_has_the_statement_even_if_the_caller_did_not_ask_for_it() -> None:
    assert describe(answer_of([["a", 1]], NAME, COUNT))["sql"] == "select name, count from t"


def test_the_data_names_the_limit_that_ended_the_result_and_counts_cut_cells() -> None:
    described = describe(answer_of([["a", 1]], NAME, COUNT, truncated=Truncation.ROWS))

    assert (described["limit"], described["cut_cells"]) == ("rows", 2)


def test_a_chart_comes_with_its_rows_its_words_and_both_themes() -> None:
    described = describe(answer_of([["a", 1], ["b", 2]], NAME, COUNT))

    chart = described["chart"]
    assert isinstance(chart, dict)
    assert len(chart["specification"]["data"]["values"]) == 2
    assert "config" not in chart["specification"]
    assert set(chart["configs"]) == {"light", "dark"}
    assert "count by name" in chart["description"]
    assert chart["left_out"] == []


def test_rows_that_no_chart_fits_have_none() -> None:
    assert describe(answer_of([["a", "b"]], NAME, NAME))["chart"] is None


def test_a_statement_that_was_not_executed_has_neither_rows_nor_chart() -> None:
    answer = Answer(database="main", sql="select 1", statement="select 1", source=Source.VERIFIED)

    assert describe(answer) == {
        "question": None,
        "sql": "select 1",
        "table": None,
        "limit": None,
        "cut_cells": 0,
        "chart": None,
    }


MARKUP_OR_CODE_FROM_TEXT = (
    "innerHTML",
    "outerHTML",
    "insertAdjacentHTML",
    "document.write",
    "createContextualFragment",
    "DOMParser",
    "srcdoc",
)
MAX_PAGE_BYTES = 1_000_000


@pytest.mark.parametrize("name", MARKUP_OR_CODE_FROM_TEXT)
def test_the_page_never_makes_markup_of_text(name: str) -> None:
    assert name not in read_result_view()


@pytest.mark.parametrize(
    "name", ["eval(", "new Function", "fetch(", "XMLHttpRequest", "WebSocket", "localStorage"]
)
def test_the_pages_own_source_evaluates_no_text_and_uses_no_network_or_storage(name: str) -> None:
    assert [path.name for path in SOURCE.glob("*.js") if name in path.read_text("utf-8")] == []


def test_the_page_allows_itself_nothing_but_its_own_script_and_style() -> None:
    found = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', read_result_view())

    assert found is not None
    directives = dict(directive.split(" ", 1) for directive in found[1].split("; "))
    assert {name: value for name, value in directives.items() if not value.startswith("'sha256-")} == {
        "default-src": "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    assert set(directives) >= {"script-src", "style-src"}


def test_the_page_has_addresses_of_three_hosts_only() -> None:
    addresses = set(re.findall(r"https?://[^\s\"'`)]+", read_result_view()))

    # XML namespaces and Vega's schema URLs are identifiers; nothing loads them.
    assert {re.sub(r"(//[^/]+/).*", r"\1", address) for address in addresses} <= {
        "http://www.w3.org/",
        "https://vega.github.io/",
        "https://github.com/",
    }


def test_the_page_is_small_enough_for_a_resource() -> None:
    assert len(read_result_view().encode()) < MAX_PAGE_BYTES


def test_every_licence_allows_this_use() -> None:
    licenses = re.findall(r"^[\w@/.-]+ [\d.]+ \((.+)\)$", LICENSES.read_text("utf-8"), re.MULTILINE)

    assert len(licenses) > 20
    assert set(licenses) <= {"BSD-3-Clause", "ISC", "MIT", "Apache-2.0"}
