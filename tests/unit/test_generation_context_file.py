import textwrap
from pathlib import Path

import pytest

from pgmcp.errors import SettingsError
from pgmcp.generation import context_file
from pgmcp.generation.context_file import (
    ContextFile,
    DatabaseContext,
    describe_unknown_databases,
    load_context,
)
from pgmcp.generation.parameters import Parameter, ParameterKind
from pgmcp.generation.verified import VerifiedQuestion, normalise
from pgmcp.surface.verified_tools import OfferedTools, choose_tools

ACTIVE_USERS = VerifiedQuestion(
    "How many active users are there?", "SELECT count(*) FROM users", ("number of active users",)
)
REVENUE = VerifiedQuestion("What is the revenue by month?", "SELECT 2")
SHOP = DatabaseContext(verified=(ACTIVE_USERS, REVENUE))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "context.yaml"


def failure_of(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        load_context(path)
    return str(caught.value)


def test_the_example_in_the_docstring_is_a_valid_file(path: Path) -> None:
    documentation = context_file.__doc__ or ""
    start, end = documentation.index("    databases:"), documentation.index("A question that equals")
    path.write_text(textwrap.dedent(documentation[start:end]), encoding="utf-8")

    main = load_context(path)["main"]

    assert main.terms == {"active user": "has signed in within the last 30 days"}
    assert main.notes["orders.total"] == "in euro, VAT included"
    assert main.verified[0].also_asked_as == ("number of active users",)
    assert main.verified[0].sql.startswith("SELECT count(*) AS active_users\nFROM users\nWHERE")


@pytest.mark.parametrize("text", ["", "# only a comment\n", "databases:\n", "databases: {}\n"])
def test_an_empty_file_says_nothing_about_any_database(text: str, path: Path) -> None:
    path.write_text(text, encoding="utf-8")

    assert load_context(path) == {}


def test_a_database_may_have_nothing_but_a_name(path: Path) -> None:
    path.write_text("databases:\n  main:\n  other:\n    terms:\n", encoding="utf-8")

    assert load_context(path) == {"main": DatabaseContext(), "other": DatabaseContext()}


def test_unquoted_numbers_and_yes_are_read_as_text(path: Path) -> None:
    path.write_text("databases:\n  main:\n    terms:\n      2024: yes\n      vip: 1_000\n", encoding="utf-8")

    assert load_context(path)["main"].terms == {"2024": "yes", "vip": "1_000"}


def test_a_byte_order_mark_is_ignored(path: Path) -> None:
    path.write_text("\ufeffdatabases:\n  main:\n", encoding="utf-8")

    assert load_context(path) == {"main": DatabaseContext()}


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("database:\n  main:\n", 1, "unknown key 'database'; did you mean 'databases'?"),
        ("databases:\n  main:\n    term:\n      a: b\n", 3, "databases.main: unknown key 'term'"),
        ("databases:\n  main:\n    xyzzy: 1\n", 3, "known keys: terms, notes, filters, joins, verified"),
        ("databases:\n  main:\n    terms: [a, b]\n", 3, "databases.main.terms: expected a mapping"),
        ("databases:\n  main:\n    terms:\n      a: [b]\n", 4, "databases.main.terms.a: expected text"),
        ("databases:\n  main:\n    terms:\n      a:\n", 4, "databases.main.terms.a: expected text"),
        ("databases:\n  main:\n    notes:\n      a: b\n      a: c\n", 5, "the key 'a' is repeated"),
        ("databases:\n  main:\n    verified:\n      question: q\n", 4, "verified: expected a list"),
        ("databases:\n  main:\n    verified:\n      - sql: s\n", 4, "verified[0]: 'question' is missing"),
        ("databases:\n  main:\n    verified:\n      - question: q\n", 4, "verified[0]: 'sql' is missing"),
        (
            "databases:\n  main:\n    verified:\n      - {question: q, sql: s,\n         also_asked: [x]}\n",
            5,
            "verified[0]: unknown key 'also_asked'; did you mean 'also_asked_as'?",
        ),
        (
            "databases:\n  main:\n    verified:\n"
            "      - {question: 'How many?', sql: a}\n"
            "      - {question: x, also_asked_as: [how many], sql: b}\n",
            5,
            "verified[1]: asks the same as line 4",
        ),
        ("- a\n- b\n", 1, "expected a mapping"),
        ("databases:\n  main: {terms: {a: b}\n", 3, "not YAML"),
        ("databases: !!python/object:os.system x\n", 1, "expected a mapping"),
    ],
)
def test_a_mistake_is_shown_with_its_line_and_field(text: str, line: int, words: str, path: Path) -> None:
    message = failure_of(path, text)

    assert message.startswith(f"{path}:{line}: ")
    assert words in message


def test_a_missing_file_names_the_setting_and_the_path(path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file") as caught:
        load_context(path)

    assert str(caught.value).startswith(f"PG_MCP_CONTEXT_FILE: cannot read {path}")


def test_a_file_in_another_encoding_is_named(path: Path) -> None:
    path.write_bytes("databases:\n  main:\n    terms:\n      umsätze: x\n".encode("latin-1"))

    with pytest.raises(SettingsError, match="not UTF-8"):
        load_context(path)


def test_control_characters_are_not_yaml(path: Path) -> None:
    message = failure_of(path, "databases:\n  main\x07:\n")

    assert message == f"{path}:2: not YAML: the character U+0007 is not allowed"


@pytest.mark.parametrize(
    "question",
    [
        "How many active users are there?",
        "how many ACTIVE users are there",
        "  How  many active users,\n are there ?!  ",
        "“How many active users are there?”",
        "Number of active users.",
    ],
)
def test_a_verified_question_matches_regardless_of_case_spacing_and_punctuation(question: str) -> None:
    assert SHOP.match(question) is ACTIVE_USERS


@pytest.mark.parametrize(
    "question",
    ["How many users are there?", "How many active users are there today?", "active users", "", "?"],
)
def test_a_similar_question_is_not_a_match(question: str) -> None:
    assert SHOP.match(question) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("orders > 5", "orders < 5"),
        ("orders above 1.5", "orders above 15"),
        ("orders above 1.5", "orders above 1,5"),
        ("temperature of -5", "temperature of 5"),
        ("at 10:30", "at 10 30"),
        ("status != open", "status = open"),
        ("10% off", "10 off"),
        ("$5", "5"),
    ],
)
def test_signs_with_a_meaning_distinguish_questions(one: str, other: str) -> None:
    assert normalise(one) != normalise(other)


def test_the_questions_that_share_most_words_come_first() -> None:
    assert SHOP.nearest("How many active users signed up by month?", 5) == [ACTIVE_USERS, REVENUE]
    assert SHOP.nearest("revenue by month in 2026", 5)[0] is REVENUE


def test_examples_are_limited_and_share_a_word_with_the_question() -> None:
    assert SHOP.nearest("How many users by month?", 1) == [ACTIVE_USERS]
    assert SHOP.nearest("xyzzy", 5) == []
    assert SHOP.nearest("", 5) == []


def test_other_wordings_count_for_similarity() -> None:
    assert SHOP.nearest("number", 5) == [ACTIVE_USERS]


def test_filters_joins_and_parameters_are_read(path: Path) -> None:
    path.write_text(
        textwrap.dedent("""
        databases:
          main:
            filters: {customers: deleted_at IS NULL}
            joins:
              - orders.buyer = customers.number
            verified:
              - question: Spent by {who} since {start} above {least}
                parameters: {who: crm.customers.name, start: date, least: number}
                sql: SELECT {who}, {start}, {least}
        """)
    )

    main = load_context(path)["main"]

    assert main.filters == {"customers": "deleted_at IS NULL"}
    assert main.joins == ("orders.buyer = customers.number",)
    assert main.verified[0].parameters == {
        "who": Parameter(ParameterKind.VALUE, "crm.customers.name"),
        "start": Parameter(ParameterKind.DATE),
        "least": Parameter(ParameterKind.NUMBER),
    }
    (match,) = main.matches("spent by Ann Lee since 2026-01-31 above 5")
    assert match.arguments == {"who": "Ann Lee", "start": "2026-01-31", "least": "5"}


@pytest.mark.parametrize(
    ("parameters", "sql", "problem"),
    [
        ("{start: day}", "SELECT {start}", "'day' is not a parameter"),
        ("{start: date}", "SELECT '{start}'", "outside quotes"),
        ("{start: date, end: date}", "SELECT {start}, {end}", "its parameters are {end}, {start}"),
    ],
)
def test_a_parameter_that_cannot_be_used_is_shown_with_its_line(
    parameters: str, sql: str, problem: str, path: Path
) -> None:
    head = "databases:\n  main:\n    verified:\n"

    message = failure_of(
        path,
        f"{head}      - question: Since {{start}}\n        parameters: {parameters}\n        sql: {sql}\n",
    )

    assert message.startswith(f"{path}:")
    assert problem in message


def write_term(path: Path, meaning: str) -> None:
    path.write_text(f"databases:\n  main:\n    terms:\n      user: {meaning}\n", encoding="utf-8")


def test_a_file_that_has_changed_is_read_again(path: Path) -> None:
    write_term(path, "a row of customers")
    file = ContextFile(path)

    assert file.get("main").terms == {"user": "a row of customers"}

    write_term(path, "somebody who signed in")

    assert file.get("main").terms == {"user": "somebody who signed in"}
    assert file.get("other") == DatabaseContext()


def test_an_invalid_version_is_reported_once_and_the_old_one_stays_in_use(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_term(path, "a row of customers")
    file = ContextFile(path)
    path.write_text("databases: [")

    assert [file.get("main").terms["user"] for _ in range(3)] == ["a row of customers"] * 3
    assert len(caplog.records) == 1
    assert "stays in use" in caplog.text

    write_term(path, "corrected")

    assert file.get("main").terms["user"] == "corrected"


def test_the_content_of_a_deleted_file_stays_in_use(path: Path) -> None:
    write_term(path, "a row of customers")
    file = ContextFile(path)
    path.unlink()

    assert file.get("main").terms == {"user": "a row of customers"}


@pytest.mark.parametrize(
    ("text", "database"),
    [
        ("", "any database"),
        ("databases:\n", "any database"),
        ("databases:\n  main:\n", "'main'"),
        ("databases:\n  main:\n    terms:\n    verified: []\n  shop: {terms: {a: b}}\n", "'main'"),
    ],
)
def test_a_file_without_entries_is_reported_when_it_is_read_or_changed(
    text: str, database: str, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_text(text, encoding="utf-8")
    file = ContextFile(path)
    write_term(path, "a row of customers")
    file.get("main")
    path.write_text(text, encoding="utf-8")
    file.get("main")

    warning = f"the context file has no entries for {database}"
    assert [each.getMessage() for each in caplog.records if each.levelname == "WARNING"] == [warning] * 2


def test_a_database_that_is_not_configured_is_named_with_the_near_one() -> None:
    assert describe_unknown_databases(["main"], ["main", "shop"]) == ""
    assert "'shpo' (did you mean 'shop'?)" in describe_unknown_databases(["shpo"], ["main", "shop"])


TOOLS = """
databases:
  main:
    verified:
      - question: How many?
        tool: how_many
        sql: SELECT 1
      - question: Orders since {start}
        tool: orders since
        parameters: {start: date}
        sql: SELECT {start}
      - question: Orders of {who}
        tool: orders_of
        parametres: {who: text}
        sql: SELECT {who}
      - question: Top {n}
        tool: top
        parameters:
          n: {type: integer, min: 1, max: 100, default: 10, description: Rows at most}
        sql: SELECT 1 LIMIT {n}
"""


def test_a_mistake_in_a_tool_leaves_out_that_tool_only(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.write_text(TOOLS)

    main = ContextFile(path).get("main")

    assert [verified.tool for verified in main.verified] == ["how_many", "top"]
    assert main.verified[1].parameters["n"] == Parameter(
        ParameterKind.INTEGER, description="Rows at most", minimum="1", maximum="100", default="10"
    )
    name, key = main.problems
    assert name.startswith(f"{path}:8: databases.main.verified[1]: the tool's name 'orders since'")
    assert "unknown key 'parametres'; did you mean 'parameters'?" in key
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert "a tool of the context file is left out" in caplog.text


def test_tools_of_several_databases_need_different_names(path: Path) -> None:
    count = VerifiedQuestion("Q?", "SELECT 1", tool="count")
    contexts = {
        "one": DatabaseContext(verified=(count, ACTIVE_USERS)),
        "two": DatabaseContext(verified=(count, VerifiedQuestion("R?", "SELECT 2", tool="other"))),
    }

    both, few, none = (
        choose_tools(contexts, max_tools=most, max_tokens=10, count_tokens=lambda _: 5) for most in (2, 1, 0)
    )

    assert [(tool.database, tool.name) for tool in both.tools] == [("one", "count"), ("two", "other")]
    assert [problem.text for problem in both.problems] == [
        "tool count is not offered: a tool in database one has the same name; rename one"
    ]
    assert "PG_MCP_SERVER_VERIFIED_TOOLS allows at most 1" in few.problems[1].text
    assert none == OfferedTools(problems=())


def test_tools_that_do_not_fit_their_tokens_are_named_and_later_ones_may_fit() -> None:
    tools = [VerifiedQuestion(f"Q{size}?", "SELECT 1", tool=f"t{size}") for size in (6, 5, 4)]
    contexts = {"main": DatabaseContext(verified=tuple(tools))}

    offer = choose_tools(contexts, max_tools=9, max_tokens=10, count_tokens=lambda tool: int(tool.name[1:]))

    assert [tool.name for tool in offer.tools] == ["t6", "t4"]
    (problem,) = offer.problems
    assert problem.text.startswith("tool t5 is not offered: it takes about 5 tokens, and all tools")


def test_a_listener_is_called_when_a_valid_version_was_read(path: Path) -> None:
    path.write_text("databases:\n  main:\n")
    file, calls = ContextFile(path), []
    file.subscribe(lambda: calls.append(file.get("main")))

    path.write_text("not valid")
    file.get_all()
    path.write_text(TOOLS)
    file.get_all()
    file.get_all()

    assert [len(context.verified) for context in calls] == [2]
