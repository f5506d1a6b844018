from collections.abc import Sequence
from datetime import date

from pgmcp.catalog.catalog import Catalog, Column, Table, TableKind
from pgmcp.errors import StatementFailedError
from pgmcp.generation.context_file import DatabaseContext
from pgmcp.generation.prompt import Attempt, FailedAttempt
from pgmcp.generation.prompt_writer import PromptWriter
from pgmcp.generation.verified import VerifiedQuestion

NOTHING = DatabaseContext()


def count_words(text: str) -> int:
    return len(text.split())


def table(number: int) -> Table:
    columns = (
        Column("id", "integer", nullable=False),
        Column(f"state{number}", "text", nullable=False, values=(f"open{number}", f"closed{number}")),
        Column("remark", "text", nullable=True, comment="what somebody wrote down of it"),
    )
    return Table("public", f"things{number}", TableKind.TABLE, "", columns)


def catalog(count: int) -> Catalog:
    return Catalog(tuple(table(number) for number in range(count)), ("public",), "18.1")


def prompt(
    question: str,
    *,
    tables: int = 3,
    context: DatabaseContext = NOTHING,
    max_tokens: int = 2_000,
    attempts: Sequence[Attempt] = (),
) -> str:
    writer = PromptWriter(max_tokens=max_tokens, count_tokens=count_words)
    messages = writer.write(
        question, catalog(tables), context, today=date(2026, 11, 22), max_rows=10, attempts=attempts
    )
    assert writer.count(messages) <= max_tokens
    return "\n".join(message["content"] for message in messages)


def test_a_schema_that_fits_is_in_the_prompt_completely() -> None:
    text = prompt("anything")

    assert all(f"things{number}(" in text for number in range(3))


def test_a_schema_that_does_not_fit_leaves_the_tables_of_the_question() -> None:
    text = prompt("How many things77 are there?", tables=400, max_tokens=1_500)

    assert "things77(" in text
    assert "further tables, names only: " in text


def test_values_are_hinted_for_tables_that_are_shown() -> None:
    text = prompt("How many things77 are OPEN77 or open300?", tables=400, max_tokens=1_500)

    assert "\"open 77\" -> things77.state77 = 'open77'" in text


def test_a_large_context_is_cut_for_the_schema_but_keeps_what_the_question_names() -> None:
    context = DatabaseContext(
        terms={f"word{number}": "means this or that in our house" for number in range(1_000)},
        notes={f"things{number}": "is not what it seems to be" for number in range(1_000)},
        joins=tuple(f"things{number}.id = other.id" for number in range(1_000)),
        verified=(VerifiedQuestion("How many word7?", "SELECT " + "1, " * 5_000),),
    )

    text = prompt("How many word777 in things1 are there?", context=context)

    assert "word777: means" in text
    assert "things1(" in text
    assert "SELECT 1, 1" not in text


def test_context_and_values_may_use_all_tokens_that_the_schema_leaves() -> None:
    context = DatabaseContext(terms={f"word{number}": "means this or that" for number in range(200)})
    values = [f"value {number} of many" for number in range(40)]
    writer = PromptWriter(max_tokens=2_000, count_tokens=count_words)

    messages = writer.write(
        "How many?", catalog(3), context, today=date(2026, 11, 22), max_rows=10, found_values=values
    )

    text = messages[1]["content"]
    assert all(f"word{number}: means" in text for number in range(200))
    assert all(value in text for value in values)
    assert writer.count(messages) <= 2_000


def test_the_prompts_beginning_is_the_same_for_all_questions_if_the_schema_fits() -> None:
    context = DatabaseContext(
        terms={f"word{number}": "means this or that" for number in range(200)},
        verified=tuple(
            VerifiedQuestion(f"How many word{number}?", "SELECT " + "1, " * number) for number in range(100)
        ),
    )
    questions = ["How many?", "How many word99 and word98 are there? " + "Really. " * 30, "word1"]
    for tables in range(1, 80):
        writer = PromptWriter(max_tokens=1_000, count_tokens=count_words)
        begins = {
            writer.write(each, catalog(tables), context, today=date(2026, 11, 22), max_rows=10)[1][
                "content"
            ].partition("</data-")[0]
            for each in questions
        }
        if any("names only" in begin for begin in begins):
            assert tables > 20
            break
        assert len(begins) == 1


def test_a_failed_attempt_leaves_less_room_for_the_schema_and_the_bound_is_kept() -> None:
    error = StatementFailedError("division by zero", sqlstate="22012")

    text = prompt(
        "How many things77?",
        tables=400,
        max_tokens=1_500,
        attempts=[FailedAttempt("SELECT " + "1 + " * 200 + "1", error)],
    )

    assert "division by zero" in text
    assert "things77(" in text
