import pytest

from pgmcp.errors import SettingsError
from pgmcp.generation.parameters import Parameter, ParameterKind
from pgmcp.generation.verified import VerifiedQuestion

SINCE = VerifiedQuestion(
    "How many orders did {customer} place since {start}?",
    "SELECT count(*) FROM orders JOIN customers USING (c) WHERE name = {customer} AND placed_at >= {start}",
    also_asked_as=("Orders of {customer} from {start} on",),
    parameters={
        "customer": Parameter(ParameterKind.VALUE, "customers.name"),
        "start": Parameter(ParameterKind.DATE),
    },
)
TOP = VerifiedQuestion(
    "Top {n} products above {price} by {word}",
    "SELECT * FROM p WHERE price > {price} AND w = {word} AND v > {price} LIMIT {n}",
    parameters={
        "n": Parameter(ParameterKind.NUMBER),
        "price": Parameter(ParameterKind.NUMBER),
        "word": Parameter(ParameterKind.TEXT),
    },
)


@pytest.mark.parametrize(
    ("question", "customer"),
    [
        ("How many orders did Ann Lee place since 2026-01-31?", "Ann Lee"),
        ("  how MANY orders did ann lee place, since 2026-01-31", "ann lee"),
        ("How many orders did 'Ann Lee' place since 2026-01-31 ?", "Ann Lee"),
        ("How many orders did O'Brien & Sons, Inc. place since 2026-01-31?", "O'Brien & Sons, Inc"),
        ("Orders of Ann Lee from 2026-01-31 on.", "Ann Lee"),
    ],
)
def test_arguments_are_found_at_the_places_of_the_parameters(question: str, customer: str) -> None:
    assert SINCE.arguments(question) == {"customer": customer, "start": "2026-01-31"}


@pytest.mark.parametrize(
    "question",
    [
        "How many orders did Ann place since last week?",
        "How many orders did Ann place since 2026-02-30?",
        "How many orders did Ann place since 2026-01-31 and 2026-02-01?",
        "How many orders did  place since 2026-01-31?",
        "How many open orders did Ann place",
        "",
    ],
)
def test_a_question_that_does_not_match_has_no_arguments(question: str) -> None:
    assert SINCE.arguments(question) is None


def test_numbers_and_quoted_texts_differ_from_other_words() -> None:
    assert TOP.arguments('top 5 products above -1.5 by "size, then price"') == {
        "n": "5",
        "price": "-1.5",
        "word": "size, then price",
    }
    assert TOP.arguments("top 5 products above 1,000 by 'size'") is None
    assert TOP.arguments("top five products above 1 by 'size'") is None
    assert TOP.arguments("top 5 products above 1 by size") is None


def test_arguments_are_bound_as_literals() -> None:
    sql = TOP.bind({"n": "5", "price": "-1.5", "word": "it's {n}'; drop table p; --"})

    assert sql == (
        "SELECT * FROM p WHERE price > (-1.5) AND w = 'it''s {n}''; drop table p; --' AND v > (-1.5) LIMIT 5"
    )
    assert SINCE.bind({"customer": "O'Brien", "start": "2026-01-31"}).endswith(
        "WHERE name = 'O''Brien' AND placed_at >= date '2026-01-31'"
    )


def test_valid_parameters_are_accepted() -> None:
    SINCE.check()
    TOP.check()
    VerifiedQuestion("How many {?", "SELECT '{}'::int[]").check()


@pytest.mark.parametrize(
    ("question", "sql", "problem"),
    [
        ("Orders since {start}", "SELECT '{start}'", "outside quotes"),
        ("Orders since {start}", 'SELECT "{start}"', "outside quotes"),
        ("Orders since {start}", "SELECT $x$ {start} $x$", "outside quotes"),
        ("Orders since {start}", "SELECT 1 -- {start}", "outside quotes"),
        ("Orders since {start}", "SELECT {start}, '{start}'", "outside quotes"),
        ("Orders since {start}", "SELECT E'\\'', {start}", "plain strings"),
        ("Orders since {start}", "SELECT 1", "outside quotes"),
        ("Orders since {end}", "SELECT {start}", "names {end}, its parameters are {start}"),
        ("Orders", "SELECT {start}", "names none"),
    ],
)
def test_parameters_that_cannot_be_found_or_bound_are_refused(question: str, sql: str, problem: str) -> None:
    verified = VerifiedQuestion(question, sql, parameters={"start": Parameter(ParameterKind.DATE)})

    with pytest.raises(SettingsError, match=problem):
        verified.check()


def test_a_long_question_is_matched_in_linear_time() -> None:
    assert SINCE.arguments("how many orders did " + "a " * 4_000) is None


@pytest.mark.parametrize(
    "condition",
    [
        "x = e{name}",
        "x = E{name}",
        "x = U&{name}",
        "x = 'a' {name}",
        "x = 'a'\n{name}",
        "x = 'a' -- b\n {name}",
        "x = {name}'a'",
        "x = {name} 'a'",
        "x = {name}{name}",
        "x = {name}\n{name}",
        "x = {name}1",
        'x = "a"{name}',
        "x = ${name}$",
        "x = {name} /* a /* b */ c */",
    ],
)
def test_a_parameter_that_touches_another_token_is_refused(condition: str) -> None:
    verified = VerifiedQuestion(
        "{name}?",
        f"SELECT 1 FROM t WHERE {condition}",
        parameters={"name": Parameter(ParameterKind.TEXT)},
    )

    with pytest.raises(SettingsError, match=r"in the SQL|comment"):
        verified.check()


@pytest.mark.parametrize(
    "condition",
    [
        "x={name}",
        "x = lower({name}) || 'a'",
        "x = 'a' || {name}",
        "x = ANY(ARRAY[{name}, 'a']::text[])",
        "x LIKE {name}::text",
        "x > now() - interval {name}",
        "x = '/* {' AND y = {name} -- it's\n",
    ],
)
def test_a_parameter_that_is_a_separate_token_is_accepted(condition: str) -> None:
    VerifiedQuestion(
        "{name}?",
        f"SELECT 1 FROM t WHERE {condition}",
        parameters={"name": Parameter(ParameterKind.TEXT)},
    ).check()


def test_an_unknown_parameter_in_the_sql_is_refused() -> None:
    verified = VerifiedQuestion(
        "Top {n}", "SELECT {n}, {m}", parameters={"n": Parameter(ParameterKind.NUMBER)}
    )

    with pytest.raises(SettingsError, match=r"the SQL names \{m\}, its parameters are \{n\}"):
        verified.check()


def test_defaults_replace_parameters_that_a_question_does_not_name() -> None:
    verified = VerifiedQuestion(
        "Largest orders",
        "SELECT 1 LIMIT {n}",
        also_asked_as=("The {n} largest orders",),
        parameters={"n": Parameter(ParameterKind.INTEGER, maximum="50", default="10")},
    )
    verified.check()

    assert verified.arguments("largest orders?") == {"n": "10"}
    assert verified.arguments("The 5 largest orders") == {"n": "5"}
    assert verified.arguments("The 51 largest orders") is None  # out of bounds
    assert verified.read({}) == {"n": "10"}


@pytest.mark.parametrize(
    ("tool", "words"),
    [
        ("a b", "may have letters"),
        ("x" * 65, "at most 64"),
        ("query", "query is a tool of pgmcp"),
        ("é", "letters"),
    ],
)
def test_a_tool_needs_a_valid_name_of_its_own(tool: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        VerifiedQuestion("Q?", "SELECT 1", tool=tool).check()


def test_the_question_of_a_tool_need_not_name_its_parameters() -> None:
    verified = VerifiedQuestion(
        "Orders of a status",
        "SELECT {status}",
        parameters={"status": Parameter(ParameterKind.TEXT)},
        tool="orders_by_status",
    )
    verified.check()

    assert verified.arguments("Orders of a status") is None
    assert verified.bind(verified.read({"status": "it's"})) == "SELECT 'it''s'"


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT {n:integer}", r"has \{n:integer\}, .* write \{n\} .* add parameters: \{n: integer\}"),
        ("SELECT { Day : date }", r"write \{day\} .* add parameters: \{day: date\}"),
        ("SELECT {n}", r"has \{n\}, .* add parameters: \{n: integer\}"),
        ("SELECT {}", r"has \{\}, .* write \{name\}"),
    ],
)
def test_braces_without_a_declared_parameter_say_how_to_declare_it(sql: str, expected: str) -> None:
    with pytest.raises(SettingsError, match=expected):
        VerifiedQuestion("Top {n}?" if "n}" in sql else "Top?", sql).check()


@pytest.mark.parametrize(
    "sql", ["SELECT '{1,2}'::int[]", 'SELECT 1 AS "{n}"', "SELECT $${n}$$ -- {n}", r"SELECT E'\'{n}'"]
)
def test_braces_in_strings_names_and_comments_are_not_parameters(sql: str) -> None:
    VerifiedQuestion("Top?", sql).check()
