"""How text is split into SQL, questions and commands."""

import pytest

from pgmcp.cli.shell.inputs import Input, InputKind, is_complete, kind_of, split

SQL, QUESTION, COMMAND = InputKind.SQL, InputKind.QUESTION, InputKind.COMMAND


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("select 1", SQL),
        ("  SELECT", SQL),
        ("(select 1) union select 2", SQL),
        ("-- note\nselect 1", SQL),
        ("/* a */ with x as (select 1) table x", SQL),
        ("with which customers", SQL),
        ("delete from orders", SQL),
        ("show work_mem", SQL),
        ("show time zone", SQL),
        ("show me everything;", SQL),
        ("explain", SQL),
        ("explain (analyze) select 1", SQL),
        ("table orders", SQL),
        ("table orders order by id", SQL),
        ("do $$ begin end $$", SQL),
        ("how many orders", QUESTION),
        ("selected customers by city", QUESTION),
        ("Show me revenue by month", QUESTION),
        ("Show revenue by month", QUESTION),
        ("Explain the drop in revenue", QUESTION),
        ("Do any customers have no orders", QUESTION),
        ("Table of revenue by month", QUESTION),
        ("What's the best month", QUESTION),
        ("select the best month?", QUESTION),
        ("? select the best month", QUESTION),
        ("Überfällige Rechnungen", QUESTION),
        (r"\dt", COMMAND),
        ("quit", COMMAND),
        ("exit;", COMMAND),
    ],
)
def test_the_first_word_decides_whether_an_input_is_sql_or_a_question(text: str, kind: InputKind) -> None:
    assert kind_of(text) is kind


@pytest.mark.parametrize(
    ("text", "complete"),
    [
        ("", True),
        ("select 1", False),
        ("select 1;", True),
        ("select ';", False),
        ("select ';';", True),
        ("select 1; -- done", True),
        (r"select 1 \g", True),
        (r"select 1 \gx ;", True),
        ("select 1\n\\g\n", True),
        (r"show work_mem \gx", True),
        (r"select '\g", False),
        (r"select 1 -- \g", False),
        (r"select 1 \gdesc", True),
        (r"select 1 \g rows.txt", True),
        ("select 1 -- ;", False),
        ("select $$;$$", False),
        ("select $a$;$a$;", True),
        ("select 1; select", False),
        ('select ";', False),
        ("/* ;", False),
        ("how many orders", True),
        (r"\d orders", True),
    ],
)
def test_sql_continues_until_its_semicolon(text: str, complete: bool) -> None:
    assert is_complete(text) is complete


def test_pasted_text_is_run_piece_by_piece() -> None:
    text = "\\dt\nselect 1;select\n 2 ; -- last\n;;How many orders?\n? show them\nexit\nselect 3"
    complete = [
        Input(COMMAND, r"\dt"),
        Input(SQL, "select 1"),
        Input(SQL, "select\n 2"),
        Input(QUESTION, "How many orders?"),
        Input(QUESTION, "show them"),
        Input(COMMAND, r"\q"),
    ]

    assert split(text) == (complete, "select 3")
    assert split(text, is_whole=True) == ([*complete, Input(SQL, "select 3")], "")


def test_sql_ends_with_a_command_that_runs_it() -> None:
    text = "select 1 \\gx\nselect E'\\g\n' \\g\n;select\n 3\n\\gx;\nselect 4; \\gx"

    items, rest = split(text, is_whole=True)

    assert items == [
        Input(SQL, "select 1", as_records=True),
        Input(SQL, "select E'\\g\n'"),
        Input(SQL, "select\n 3", as_records=True),
        Input(SQL, "select 4"),
        Input(COMMAND, r"\gx"),
    ]
    assert [item.line for item in items] == [1, 2, 4, 7, 7]
    assert rest == ""


def test_a_backslash_command_after_sql_ends_the_statement() -> None:
    text = (
        "select 1 \\g out.txt\n"
        "select '\\x', E'\\'\\x' -- \\x\n;\n"
        "select 2\n\\watch 1;\n"
        "select $$ \\q $$;\n"
        "select 3"
    )

    items, rest = split(text)

    assert items == [
        Input(SQL, "select 1", refused=r"\g out.txt"),
        Input(SQL, "select '\\x', E'\\'\\x' -- \\x"),
        Input(SQL, "select 2", refused=r"\watch 1;"),
        Input(SQL, r"select $$ \q $$"),
    ]
    assert rest == "select 3"


def test_a_comment_alone_is_not_an_input() -> None:
    assert split("-- nothing here\n", is_whole=True) == ([], "")


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("selct 1;", "select"),
        ("wiht a as (select 1) select * from a;", "with"),
        ("selct 1", ""),
        ("? selct 1;", ""),
        ("How many orders do we have;", ""),
        ("Which orders are open;", ""),
        ("Show me the orders;", ""),
    ],
)
def test_a_misspelt_keyword_of_a_statement_is_found(line: str, meant: str) -> None:
    (item,), _ = split(line, is_whole=True)

    assert item.meant == meant
