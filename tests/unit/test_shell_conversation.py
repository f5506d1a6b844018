"""What a follow-up tells the model about the question before it."""

from pgmcp.argument_bounds import MAX_QUESTION_CHARACTERS
from pgmcp.cli.shell.conversation import Turn, refer_back


def test_a_follow_up_names_the_question_and_its_sql() -> None:
    text = refer_back("And in May?", Turn("How many orders in June?", "select 6"))

    assert (
        text == "And in May?\n\nIt follows the question: How many orders in June?\nwhose SQL was:\nselect 6"
    )


def test_a_follow_up_of_ones_own_sql_has_no_question() -> None:
    assert refer_back("And in May?", Turn("", "select 6")).endswith(
        "It follows a statement whose SQL was:\nselect 6"
    )


def test_long_sql_is_shortened_to_the_length_of_a_question() -> None:
    assert len(refer_back("And in May?", Turn("q", "x" * 20_000))) <= MAX_QUESTION_CHARACTERS
