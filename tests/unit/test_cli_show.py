"""An answer in each output form, and the remarks on standard error."""

import io
import json

import pytest
from msgspec import structs

from pgmcp.answers.answer import Answer, Source
from pgmcp.cli.command_session import report_stages
from pgmcp.cli.options import Form
from pgmcp.cli.show import CommandResult, RowSettings, show
from pgmcp.cli.terminal import Terminal
from pgmcp.execution.result import Column, Rows, Truncation
from pgmcp.pipeline import Stage

COLUMNS = (Column("n", "integer"),)


def answer_of(rows: Rows, source: Source = Source.GENERATED) -> Answer:
    return Answer(
        database="shop",
        sql="select 1 as n",
        source=source,
        rows=rows,
        model="m",
        assumptions=("one\x1b is enough",),
        notes=("look twice",),
    )


def shown(
    answer: Answer | None,
    form: Form,
    plan: list[str] | None = None,
    *,
    in_shell: bool = False,
    expanded: bool = False,
) -> tuple[str, str]:
    out, error = io.BytesIO(), io.BytesIO()
    streams = [
        io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True) for file in (out, error)
    ]
    settings = RowSettings(1000, in_shell=in_shell)
    show(CommandResult(answer, plan), form, Terminal(*streams), settings=settings, expanded=expanded)
    return out.getvalue().decode(), error.getvalue().decode()


def test_the_table_form_shows_sql_rows_assumptions_and_notes() -> None:
    out, error = shown(answer_of(Rows(COLUMNS, [[1]])), Form.TABLE)

    assert out.startswith("select 1 as n\n\n|   n |\n| --: |\n|   1 |\n")
    assert out.endswith("assumed: one\\u001b is enough\nnote: look twice\n")
    assert error == ""


def test_the_callers_own_sql_is_not_repeated() -> None:
    out, _ = shown(answer_of(Rows(COLUMNS, [[1]]), Source.DIRECT), Form.TABLE)

    assert "select" not in out


@pytest.mark.parametrize("form", [Form.CSV, Form.SQL])
def test_the_json_form_writes_only_the_answer_to_standard_output(form: Form) -> None:
    out, error = shown(answer_of(Rows(COLUMNS, [[1]])), form)

    assert out in ("n\r\n1\r\n", "select 1 as n\n")
    assert "assumed: one" in error
    assert "note: look twice" in error


def test_json_escapes_unprintable_characters_and_keeps_printable_ones() -> None:
    out, _ = shown(answer_of(Rows((Column("t", "text"),), [["ä\u202e\U000e0041\n"]])), Form.JSON)

    assert json.loads(out)["rows"] == [["ä\u202e\U000e0041\n"]]
    assert "ä\\u202e\\udb40\\udc41\\n" in out


def test_a_plan_is_shown_as_it_is() -> None:
    out, _ = shown(None, Form.EXPLAIN, ["Sort", "  ->  Seq Scan on t"])

    assert out == "Sort\n  ->  Seq Scan on t\n"


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (
            Rows(COLUMNS, [[1]], Truncation.ROWS),
            "only the first 1 row, and there are more: --limit takes up to 1000",
        ),
        (Rows(COLUMNS, [[1]] * 1000, Truncation.ROWS), "PG_MCP_SERVER_MAX_RESULT_ROWS"),
        (Rows(COLUMNS, [[1]], Truncation.BYTES), "PG_MCP_SERVER_MAX_RESULT_BYTES"),
        (Rows(COLUMNS, [[1]], cut_cells=1), "1 value cut, ending in …: select a part of it, or raise "),
        (Rows(COLUMNS, [[1]], cut_cells=2), "2 values cut, ending in …: select parts of them, or raise "),
    ],
)
def test_missing_rows_are_reported_with_how_to_get_them(rows: Rows, expected: str) -> None:
    _, error = shown(answer_of(rows, Source.DIRECT), Form.CSV)

    assert expected in error


@pytest.mark.parametrize(("cut_cells", "part"), [(0, "all of them"), (1, "more of them")])
def test_an_answer_says_that_a_file_has_whole_cells_only_if_it_has(cut_cells: int, part: str) -> None:
    rows = Rows((*COLUMNS, *COLUMNS), [["x" * 3000, "y"]], cut_cells=cut_cells)

    _, error = shown(answer_of(rows, Source.DIRECT), Form.TABLE, in_shell=True)

    assert f"1 long cell cut, ending in …; \\gx shows more of them, \\csv FILE writes {part}\n" in error


def test_records_are_not_suggested_below_records() -> None:
    rows = Rows(COLUMNS, [["x" * 3000]])

    _, error = shown(answer_of(rows, Source.DIRECT), Form.TABLE, in_shell=True, expanded=True)

    assert error == "1 long cell cut, ending in …; \\csv FILE writes all of them\n"


def test_a_hint_in_the_shell_names_its_commands() -> None:
    rows = Rows(COLUMNS, [[1]], truncated=Truncation.ROWS)

    _, error = shown(answer_of(rows), Form.TABLE, in_shell=True)

    assert error == ("there are more rows: \\csv FILE writes them, up to the export limits\n")


def test_other_readings_and_notes_in_the_shell_name_its_commands() -> None:
    answer = structs.replace(
        answer_of(Rows(COLUMNS, [[1]])),
        other_readings=("by month", "by day"),
        notes=("search_schema shows values of columns",),
    )

    out, _ = shown(answer, Form.TABLE, in_shell=True)

    assert out.endswith(
        "or with \\reading 1: by month\nor with \\reading 2: by day\nnote: `\\d` shows values of columns\n"
    )


def test_progress_describes_each_stage_and_names_the_model() -> None:
    reported: list[str] = []
    on_stage = report_stages(reported.append, model="a{b}c")

    for stage in Stage:
        on_stage(stage)

    assert reported[0] == "connecting"
    assert len(set(reported)) == len(Stage) + 1
    assert "waiting for a{b}c to write SQL" in reported
