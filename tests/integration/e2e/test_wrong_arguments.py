"""A call with invalid arguments fails, and the error says what is wrong and what is allowed."""

from typing import Any

import pytest

from testing.raw_jsonrpc import RawServer

SELECT = {"sql": "select 1"}
QUESTION = "How many active users do we have?"
MEGABYTE = 1_000_000


@pytest.mark.parametrize(
    ("tool", "arguments", "expected"),
    [
        ("execute_sql", SELECT | {"limits": 5}, ["unknown argument 'limits'", "did you mean limit?"]),
        ("execute_sql", SELECT | {"data_base": "shop"}, ["did you mean database?", "sql, database, limit"]),
        ("execute_sql", {}, ["sql: field required"]),
        ("execute_sql", {"sql": 5}, ["sql: ", "string"]),
        ("execute_sql", SELECT | {"limit": 0}, ["limit is 0", "from 1 to 1000"]),
        ("execute_sql", SELECT | {"limit": -1}, ["limit is -1", "from 1 to 1000"]),
        ("execute_sql", SELECT | {"limit": 1001}, ["limit is 1001", "from 1 to 1000"]),
        ("execute_sql", SELECT | {"limit": "many"}, ["limit: ", "integer"]),
        ("execute_sql", SELECT | {"limit": 1.5}, ["limit: ", "integer", "from 1 to 1000"]),
        ("execute_sql", SELECT | {"limit": "100000"}, ["limit is 100000", "from 1 to 1000"]),
        ("execute_sql", SELECT | {"limit": "9" * 50}, ["limit: expected an integer", "from 1 to 1000"]),
        ("execute_sql", SELECT | {"limit": 10**30}, ["limit: expected an integer", "from 1 to 1000"]),
        ("query", {"question": "How many?", "limit": "ten"}, ["limit: expected an", "from 1 to 1000"]),
        ("query", {"question": ""}, ["the question is empty"]),
        ("query", {"question": " \n\t"}, ["the question is empty"]),
        ("query", {"question": "x" * MEGABYTE}, ["1000000 characters", "up to 8000 characters"]),
        ("query", {"question": "How many?", "limit": 0}, ["limit is 0", "from 1 to 1000"]),
        ("query", {"question": "How many?", "return_type": "csv"}, ["return_type", '"sql" or "both"']),
        ("search_schema", {"detail": "all"}, ["detail: ", '"names", "columns" or "full"']),
        ("search_schema", {"tables": 7}, ["tables: ", "list"]),
        ("search_schema", {"tables": {"name": "orders"}}, ["tables: ", "list"]),
        ("search_schema", {"tables": ["custmers"]}, ["no table is called 'custmers'", "near: customers"]),
        ("search_schema", {"tables": ["secret.plans"]}, ["no table is called 'secret.plans'"]),
        ("search_schema", {"text": "x" * MEGABYTE}, ["text has 1000000 characters", "up to 8000"]),
        ("search_schema", {"tables": ["x" * MEGABYTE]}, ["has 1000000 characters", "up to 300"]),
        ("search_schema", {"tables": ["orders"] * 201}, ["tables has 201 names", "up to 200"]),
        ("refresh_schema", {"Database ": "shop"}, ["unknown argument", "this tool takes database"]),
    ],
)  # fmt: skip
def test_the_error_for_a_wrong_argument_names_what_is_allowed(
    tool: str, arguments: dict[str, Any], expected: list[str], shop_server: RawServer
) -> None:
    answer = shop_server.call(tool, **arguments)

    assert answer.code == "invalid_argument"
    for words in expected:
        assert words in answer.text
    assert len(answer.text) < 500


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("execute_sql", SELECT),
        ("query", {"question": "How many active users are there?"}),
        ("search_schema", {}),
        ("refresh_schema", {}),
    ],
)
def test_an_unknown_database_is_answered_with_the_known_ones(
    tool: str, arguments: dict[str, Any], shop_server: RawServer
) -> None:
    answer = shop_server.call(tool, **arguments, database="warehouse")

    assert answer.text == "unknown_database: no database is called 'warehouse'\nhint: databases: shop"


@pytest.mark.parametrize("sql", ["", "   ", "-- only a comment", ";"])
def test_an_empty_statement_is_refused(sql: str, shop_server: RawServer) -> None:
    answer = shop_server.call("execute_sql", sql=sql)

    assert answer.code == "rejected"
    assert "empty" in answer.text


def test_a_megabyte_of_sql_is_refused_and_the_limit_is_named(shop_server: RawServer) -> None:
    answer = shop_server.call("execute_sql", sql=f"select '{'x' * MEGABYTE}'")

    assert answer.code == "rejected"
    assert "more than 65536" in answer.text


def test_an_unknown_table_in_sql_is_shown_with_its_position(shop_server: RawServer) -> None:
    answer = shop_server.call("execute_sql", sql="select *\nfrom custmers")

    assert answer.text.splitlines()[:3] == [
        'statement_failed: relation "custmers" does not exist (SQLSTATE 42P01)',
        "line 2: from custmers",
        "             ^",
    ]


def test_the_argument_limit_is_applied_and_reported(shop_server: RawServer) -> None:
    answer = shop_server.call("execute_sql", sql="select id from customers order by id", limit=3)

    assert answer.rows == [[1], [2], [3]]
    assert answer.structured["truncated"]["reason"] == "rows"
    assert "limit" in answer.text


def test_a_failed_call_is_marked_as_an_error_and_has_no_rows(shop_server: RawServer) -> None:
    answer = shop_server.call("execute_sql", sql="select 1 / 0")

    assert answer.is_error
    assert answer.structured == {}
    assert answer.text == "statement_failed: division by zero (SQLSTATE 22012)"


def test_a_long_name_is_shortened_in_the_error(shop_server: RawServer) -> None:
    unknown_tool = shop_server.request("tools/call", name="x" * MEGABYTE, arguments={})
    unknown_prompt = shop_server.request("prompts/get", name="x" * MEGABYTE)
    unknown_database = shop_server.call("search_schema", database="x" * MEGABYTE)

    assert "Unknown tool: xxx" in unknown_tool["error"]["message"]
    assert "Unknown prompt: xxx" in unknown_prompt["error"]["message"]
    assert len(str(unknown_tool)) + len(str(unknown_prompt)) + len(unknown_database.text) < 1500


def test_a_value_of_a_megabyte_has_no_completions(shop_server: RawServer) -> None:
    reference = {"type": "ref/resource", "uri": "schema://{database}/{table}"}
    argument = {"name": "database", "value": "x" * MEGABYTE}

    completed = shop_server.request("completion/complete", ref=reference, argument=argument)

    assert completed["result"]["completion"]["values"] == []


def test_the_schema_of_a_limit_has_its_bounds(shop_server: RawServer) -> None:
    tools = shop_server.request("tools/list")["result"]["tools"]

    limits = [
        tool["inputSchema"]["properties"]["limit"]
        for tool in tools
        if "limit" in tool["inputSchema"]["properties"]
    ]

    assert [(limit["type"], limit["minimum"], limit["maximum"]) for limit in limits] == [
        ("integer", 1, 1000)
    ] * len(limits)
    assert limits


def test_the_schemas_of_texts_have_their_bounds(shop_server: RawServer) -> None:
    tools = shop_server.request("tools/list")["result"]["tools"]
    arguments = {tool["name"]: tool["inputSchema"]["properties"] for tool in tools}

    assert arguments["query"]["question"]["maxLength"] == 8000
    assert arguments["search_schema"]["text"]["maxLength"] == 8000
    tables = arguments["search_schema"]["tables"]
    assert (tables["type"], tables["maxItems"], tables["items"]["maxLength"]) == ("array", 200, 300)


@pytest.mark.parametrize("nothing", ["", None])
@pytest.mark.parametrize(
    ("tool", "required", "optional"),
    [
        ("query", {"question": QUESTION}, ["database", "return_type", "limit", "chart", "export"]),
        ("execute_sql", SELECT, ["database", "limit", "chart", "export"]),
        ("search_schema", {}, ["text", "database", "tables", "detail"]),
        ("refresh_schema", {}, ["database"]),
    ],
)
def test_empty_and_null_optional_arguments_count_as_left_out(
    nothing: str | None, tool: str, required: dict[str, Any], optional: list[str], shop_server: RawServer
) -> None:
    answer = shop_server.call(tool, **required, **dict.fromkeys(optional, nothing))

    assert not answer.is_error, answer.text


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("execute_sql", SELECT | {"limit": "5"}),
        ("execute_sql", SELECT | {"limit": 5.0}),
        ("execute_sql", SELECT | {"limit": "5.0"}),
        ("execute_sql", SELECT | {"chart": "false"}),
        ("execute_sql", SELECT | {"chart": 0}),
        ("query", {"question": QUESTION, "return_type": "BOTH"}),
        ("search_schema", {"tables": "orders"}),
        ("search_schema", {"tables": "orders, customers"}),
        ("search_schema", {"tables": '["orders", "customers"]'}),
        ("search_schema", {"tables": [""]}),
        ("search_schema", {"tables": ["orders", " "]}),
        ("search_schema", {"tables": '"orders"'}),
    ],
)
def test_numbers_booleans_and_lists_written_as_text_are_accepted(
    tool: str, arguments: dict[str, Any], shop_server: RawServer
) -> None:
    answer = shop_server.call(tool, **arguments)

    assert not answer.is_error, answer.text


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("execute_sql", SELECT),
        ("query", {"question": QUESTION}),
        ("search_schema", {"tables": ["orders"]}),
        ("refresh_schema", {}),
    ],
)
def test_an_unknown_argument_of_a_host_is_ignored_with_a_note(
    tool: str, arguments: dict[str, Any], shop_server: RawServer
) -> None:
    answer = shop_server.call(tool, **arguments, wait_for_previous=True)

    assert not answer.is_error
    assert "ignored the unknown argument 'wait_for_previous': this tool takes " in answer.text


def test_a_note_on_ignored_arguments_is_short_however_many_there_are(shop_server: RawServer) -> None:
    strange = {f"{'x' * 1000}{number}": 1 for number in range(1000)}

    answer = shop_server.call("execute_sql", **SELECT, **strange)

    assert answer.rows == [[1]]
    assert len(answer.text) < 1_000


def test_the_schemas_name_the_configured_databases(shop_server: RawServer) -> None:
    tools = shop_server.request("tools/list")["result"]["tools"]

    assert [tool["inputSchema"]["properties"]["database"]["enum"] for tool in tools] == [["shop"]] * 4
