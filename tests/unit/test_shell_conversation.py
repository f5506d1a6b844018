"""What a conversation of the shell remembers, and what the model gets with a follow-up question."""

import io

import pytest

from pgmcp.argument_bounds import MAX_QUESTION_CHARACTERS
from pgmcp.catalog.catalog import TableKind
from pgmcp.cli.command_session import Session
from pgmcp.cli.shell.conversation import Conversation, Turn, count_relations, describe_earlier
from pgmcp.cli.shell.inputs import split
from pgmcp.cli.terminal import Terminal
from pgmcp.errors import InvalidArgumentError, ModelNotConfiguredError, PgmcpError, StatementFailedError
from pgmcp.generation.context_file import DatabaseContext
from pgmcp.generation.reply import Reading, SqlReply
from pgmcp.generation.verified import VerifiedQuestion
from pgmcp.settings.load import load_settings
from tests.unit.test_pipeline import ONE, Executor, Model, pipeline

pytestmark = pytest.mark.anyio

VERIFIED = DatabaseContext(
    verified=tuple(VerifiedQuestion(f"How many {each}?", f"select '{each}'") for each in "abcdefg")
)


class Shell:
    """A conversation, its output, and the statements that it ran."""

    def __init__(self, executor: Executor | None = None, *, model: Model | None = None) -> None:
        self.executor = executor or Executor()
        self._printed = io.StringIO()
        settings = load_settings({"PG_MCP_DATABASE_URL": "postgresql://me@127.0.0.1/shop"}, env_file=None)
        served = pipeline(self.executor, model=model, context=VERIFIED)
        session = Session(settings, served, len)  # type: ignore[arg-type]  # the counter is not used
        self._conversation = Conversation(session, Terminal(self._printed, self._printed), "main")

    async def type(self, text: str) -> str:
        """Run the inputs of a text, and return what they printed."""
        before = len(self._printed.getvalue())
        for item in split(text, is_whole=True)[0]:
            await self._conversation.run(item)
        return self._printed.getvalue()[before:]

    async def refused(self, text: str) -> PgmcpError:
        """Return the error of an input."""
        with pytest.raises(PgmcpError) as failed:
            await self.type(text)
        return failed.value


def test_a_follow_up_names_the_question_and_its_sql() -> None:
    text = describe_earlier("And in May?", Turn("How many orders in June?", "select 6"))

    assert text == "It follows the question: How many orders in June?\nwhose SQL was:\nselect 6"


def test_a_follow_up_of_the_users_own_sql_has_no_earlier_question() -> None:
    assert describe_earlier("And in May?", Turn("", "select 6")) == (
        "It follows a statement whose SQL was:\nselect 6"
    )


def test_long_sql_is_shortened_to_the_length_of_a_question() -> None:
    earlier = describe_earlier("And in May?", Turn("q", "x" * 20_000))

    assert len(f"And in May?\n\n{earlier}") <= MAX_QUESTION_CHARACTERS


async def test_a_verified_question_is_answered_as_such_even_if_it_follows_another() -> None:
    shell = Shell()

    await shell.type("select 1;\n\\follow on\nHow many a?\n\\again how many b")

    assert shell.executor.statements == ["select 1", "select 'a'", "select 'b'"]


async def test_a_follow_up_without_a_model_is_an_error_that_says_so() -> None:
    shell = Shell()
    await shell.type("select 1;\n\\follow on")

    error = await shell.refused("And in May?")

    assert isinstance(error, ModelNotConfiguredError)
    assert str(error) == "a follow-up question needs a model, and none is configured"
    assert error.hint.endswith(r"; \follow off ends follow-up questions")


async def test_the_model_gets_the_question_that_a_follow_up_refers_to() -> None:
    model = Model("select 2")
    shell = Shell(model=model)

    await shell.type("select 1;\n\\again And in May?")

    assert "And in May?\n\nIt follows a statement whose SQL was:\nselect 1" in model.prompts[0]


async def test_the_hint_without_a_model_says_that_there_are_more_verified_questions() -> None:
    error = await Shell().refused("And in May?")

    assert error.hint.endswith("How many d?; How many e?; … (the context file has all 7)")


async def test_a_statement_and_the_last_one_are_shown_as_records_once() -> None:
    shell = Shell()

    shown = [await shell.type(text) for text in (r"select 1 \gx", r"\g", r"\gx", r"select 1 \g")]

    assert ["record 1" in each for each in shown] == [True, False, True, False]


@pytest.mark.parametrize("command", [r"\g out.txt", r"\gx out.txt"])
async def test_a_file_name_after_another_command_is_not_taken_for_a_question(command: str) -> None:
    shell = Shell()
    await shell.type("select 1;")

    error = await shell.refused(command)

    assert "takes no argument" in str(error)
    assert error.hint == r"\csv FILE writes the rows to a file"


@pytest.mark.parametrize("text", ["select 2 \\g out.txt", "select 2\n\\watch 1", "select 2 \\q"])
async def test_sql_followed_by_another_command_is_not_run(text: str) -> None:
    shell = Shell()
    await shell.type("select 1;")
    ran = list(shell.executor.statements)

    error = await shell.refused(text)

    assert str(error).endswith("cannot follow SQL on its line")
    assert shell.executor.statements == ran
    assert "the last input failed" in str(await shell.refused(r"\g"))


async def test_a_question_whose_sql_is_refused_can_be_asked_in_other_words() -> None:
    shell = Shell(model=Model(*["delete from orders"] * 3))

    asked = await shell.refused("Remove all orders")
    typed = await shell.refused("delete from orders;")

    assert asked.hint == "ask in other words, or type corrected SQL: write one SELECT statement"
    assert typed.hint == "write one SELECT statement"


async def test_a_reading_that_does_not_exist_names_those_that_do() -> None:
    readings = Reading("by month", "select 1"), Reading("by day", "select 2")
    shell = Shell(model=Model(SqlReply("select 1", readings=readings)))
    await shell.type("How are sales?")

    error = await shell.refused(r"\reading 2")

    assert error.hint == r"there is only \reading 1"


async def test_follow_without_an_argument_shows_whether_it_is_on() -> None:
    shell = Shell()

    assert "question is off" in await shell.type("\\follow")
    await shell.type("\\follow on")
    assert "question is on" in await shell.type("\\follow")
    assert "question is on" in await shell.type("\\follow")


@pytest.mark.parametrize("command", [r"\csv rows.csv", r"\parquet a.parquet", r"\g", r"\gx", r"\again"])
@pytest.mark.parametrize("failing", ["select 2;", "And in May?", "selct 2;"])
async def test_after_a_failure_nothing_uses_an_older_statement(command: str, failing: str) -> None:
    shell = Shell(Executor(ONE, StatementFailedError("no", sqlstate="22012")))
    await shell.type("select 1\n as one;")
    await shell.refused(failing)
    ran = list(shell.executor.statements)

    error = await shell.refused(command)

    assert isinstance(error, InvalidArgumentError)
    assert str(error) == "the last input failed, so it has no result"
    assert error.hint.endswith("run this again: select 1 as one")
    assert shell.executor.statements == ran


async def test_without_a_successful_statement_there_is_none_to_repeat() -> None:
    shell = Shell(Executor(StatementFailedError("no", sqlstate="22012")))
    await shell.refused("select 1;")

    assert "no statement" in str(await shell.refused(r"\g"))


async def test_a_statement_that_failed_when_run_again_can_be_run_once_more() -> None:
    shell = Shell(Executor(ONE, StatementFailedError("no", sqlstate="22012")))
    await shell.type("select 1;")
    await shell.refused(r"\g")

    await shell.type(r"\g")

    assert shell.executor.statements == ["select 1"] * 3


async def test_the_first_line_counts_tables_and_views_separately() -> None:
    views = [TableKind.VIEW, TableKind.MATERIALIZED_VIEW]

    assert (await Shell().type("\\c main")).endswith(", 1 table\n")
    assert count_relations([TableKind.TABLE, TableKind.FOREIGN_TABLE, *views]) == "2 tables, 2 views"
