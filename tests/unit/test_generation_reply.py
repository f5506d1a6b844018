import json
import socket
import ssl

import pytest

from pgmcp.errors import ModelReplyError
from pgmcp.generation.model_errors import explain_unreachable
from pgmcp.generation.reply import REPLY_SCHEMA, Reading, SqlReply, parse_reply

REPLY = json.dumps({"answerable": True, "sql": "SELECT 1", "assumptions": ["a"], "reason": ""})
PARSED = SqlReply(sql="SELECT 1", assumptions=("a",), answerable=True, reason="")


@pytest.mark.parametrize(
    "text",
    [
        REPLY,
        f"\n  {REPLY}\n",
        f"```json\n{REPLY}\n```",
        f"```\n{REPLY}\n```",
        f"Sure! Here is the query:\n\n{REPLY}\n\nLet me know if you need more.",
        f'<think>Perhaps {{\'sql\': ...}} or {{"sql": "SELECT 2"}}?</think>\n{REPLY}',
        f'So {{"sql": "SELECT 2"}} will not do.</think>\n{REPLY}',
        f'First I thought of {{"sql": "SELECT 2"}}, but better is {REPLY}',
        f"{{{{ a template }}}} {REPLY}",
        f'{{"note": "not the reply"}} {REPLY}',
    ],
    ids=[
        "bare",
        "spaces",
        "json fence",
        "fence",
        "prose",
        "think",
        "end of think",
        "two",
        "braces",
        "other object",
    ],
)
def test_the_reply_is_found_whatever_surrounds_it(text: str) -> None:
    assert parse_reply(text) == PARSED


def test_a_reasoning_block_without_an_end_is_not_a_reply() -> None:
    with pytest.raises(ModelReplyError, match="empty"):
        parse_reply(f"<think>I could answer {REPLY} but")


def test_one_sql_block_without_json_is_taken_as_the_statement() -> None:
    assert parse_reply("Here you are:\n```sql\nSELECT 1\n```").sql == "SELECT 1"


def test_two_sql_blocks_without_json_are_refused() -> None:
    with pytest.raises(ModelReplyError):
        parse_reply("```sql\nSELECT 1\n```\nor\n```sql\nSELECT 2\n```")


def test_a_fence_inside_the_sql_field_is_removed() -> None:
    assert parse_reply(json.dumps({"sql": "```sql\nSELECT 1\n```"})).sql == "SELECT 1"


def test_unescaped_line_breaks_in_a_string_are_accepted() -> None:
    assert parse_reply('{"sql": "SELECT 1\nFROM t"}').sql == "SELECT 1\nFROM t"


def test_missing_fields_and_text_instead_of_lists_are_accepted() -> None:
    reply = parse_reply('{"sql": "SELECT 1", "tables": "orders", "assumptions": "orders are sales"}')

    assert reply == SqlReply(sql="SELECT 1", assumptions=("orders are sales",))


def test_an_unanswerable_reply_keeps_its_reason_and_drops_its_sql() -> None:
    reply = parse_reply('{"answerable": false, "sql": "SELECT 1", "reason": "no such data"}')

    assert reply == SqlReply(sql="", answerable=False, reason="no such data")


def test_an_unanswerable_reply_without_a_reason_gets_one() -> None:
    assert parse_reply('{"answerable": false}').reason == "the model gave no reason"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  \n",
        "null",
        "[]",
        "42",
        "{}",
        '{"sql": 42}',
        '{"sql": null}',
        '{"answerable": true}',
        "{" * 50_000,
    ],
)
def test_a_text_without_a_reply_is_refused(text: str) -> None:
    with pytest.raises(ModelReplyError) as caught:
        parse_reply(text)

    assert caught.value.hint


def test_a_deeply_nested_reply_is_refused() -> None:
    with pytest.raises(ModelReplyError):
        parse_reply('{"a":' * 100_000)


def test_the_reply_schema_is_valid_in_strict_mode() -> None:
    assert REPLY_SCHEMA["additionalProperties"] is False
    assert set(REPLY_SCHEMA["required"]) == set(REPLY_SCHEMA["properties"])
    # Assumptions are lines before the SQL.
    assert set(REPLY_SCHEMA["properties"]) == {"answerable", "sql", "readings", "reason", "follow_up"}


def test_an_unanswerable_reply_says_why_and_what_to_ask_instead() -> None:
    reply = parse_reply(
        json.dumps({"answerable": False, "sql": "", "reason": "no prices", "follow_up": "Which products?"})
    )

    assert reply == SqlReply("", answerable=False, reason="no prices", suggested_question="Which products?")


def test_an_answer_has_no_suggested_question() -> None:
    assert parse_reply('{"sql": "SELECT 1", "follow_up": "And then?"}').suggested_question == ""


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1;",
        "SQLQuery: SELECT 1;\nSQLResult: 1",
        "Question: what?\nSQLQuery: SELECT 1;",
        "```\nSELECT 1;\n```",
        "<thoughts>```sql\nSELECT 2\n```</thoughts>SELECT 1;",
        "<reason>SELECT 2;</reason>```\nSELECT 1;\n```",
        '<analysis>{"sql": "SELECT 2"}</analysis>{"sql": "SELECT 1;"}',
        "[THINK]SELECT 2[/THINK]SELECT 1;",
        "◁think▷SELECT 2◁/think▷SELECT 1;",
        "<seed:think>SELECT 2</seed:think>\nSELECT 1;",
        "<|channel|>analysis<|message|>SELECT 2<|end|><|start|>assistant<|channel|>final<|message|>SELECT 1;",
        '<|channel|>analysis<|message|>{"sql": "SELECT 2"}<|end|><|start|>assistant'
        '<|channel|>final <|constrain|>json<|message|>{"sql": "SELECT 1;"}<|return|>',
        "\ufeffSELECT 1;",
        "```sql SELECT 1; ```",
        "```sql\nSELECT 1;",
        "```\r\nSELECT 1;\r\n```",
        "~~~sql\nSELECT 1;\n~~~",
        "```psql\nSELECT 1;\n```",
        '```sql title="count"\nSELECT 1;\n```',
        "```sql\nSELECT 1;\n```\nAgain:\n```sql\nSELECT  1;\n```",
        "**SQL Query:** SELECT 1;",
        "Answer: SELECT 1;",
        "`SELECT 1;`",
        "<sql>SELECT 1;</sql>",
        "<answer>\nSELECT 1;\n</answer>",
        "[QUESTION]how many?[/QUESTION]\n[SQL]\nSELECT 1;\n[/SQL]",
        "<s> SELECT 1; </s>",
        "SELECT 1;<|eot_id|>",
        "SELECT 1;<|im_end|>",
        "<|begin_of_thought|>SELECT 2;<|end_of_thought|><|begin_of_solution|>SELECT 1;<|end_of_solution|>",
        "<unused94>thought\nSELECT 2;<unused95>SELECT 1;",
        "<inner_monologue>SELECT 2;</inner_monologue>\nSELECT 1;",
        '{"SQL": "SELECT 1;"}',
        '{"query": "SELECT 1;", "explanation": "one"}',
        '{"result": {"answerable": "true", "sql": "SELECT 1;"}}',
        '{"answerable": true, "sql": "SELECT 1;", "readings": [],}',
        '{"sql": "SELECT 1;", "readings": ["-- b\\nSELECT 1;", {"title": "b", "sql": "select 1;"},],}',
        '{"sql": "SELECT 1;", // counts "rows"\n "reason": ""}',
        '{/* no } here */ "answerable": true, "sql": "SELECT 1;" /* it\'s one */}',
        "{'answerable': True, 'sql': 'SELECT 1;', 'readings': [], 'reason': None}",
        "Here it is: {'sql': 'SELECT 1;'}. It's one row.",
        '{sql: "SELECT 1;", answerable: true}',
        "I count the rows.\n\nSQL:\nSELECT 1;\n\nThis counts them.",
        "SQL: SELECT 1;\nThis counts them.",
        "**SQL:**\n\nSELECT 1;\n\nIt's one.",
        "Sure! Here is the SQL query you asked for:\n\nSELECT 1;\n\nLet me know: is it right?",
        "SELECT 1;\n\nThis counts them.",
        "SELECT 1;\r\n\r\nIt's one.\n\n- no joins\n- no filters",
        "```text\nSELECT 1;\n```",
        "```plaintext\nSELECT 1;\n```",
        "<plan>\nSELECT 2;\n</plan>\nSELECT 1;",
        "<thought_process>SELECT 2;</thought_process>\n```sql\nSELECT 1;\n```",
        '<internal_monologue>{"sql": "SELECT 2"}</internal_monologue>\n{"sql": "SELECT 1;"}',
        "以下是查询\uff1a\nSELECT 1;",
        "次のSQLクエリを使います\uff1a\n\nSELECT 1;\n\n以上です。",
        "Voici la requête :\n\nSELECT 1;",
        "Hier ist die Abfrage:\nSELECT 1;\n\nSie zählt alle.",
        '<tool_call>{"name": "execute_sql", "arguments": {"sql": "SELECT 1;"}}</tool_call>',
    ],
)
def test_a_reply_of_sql_alone_is_an_answer_unless_it_has_drafts(text: str) -> None:
    assert parse_reply(text).sql == "SELECT 1;"


@pytest.mark.parametrize(
    "text",
    [
        "With pleasure.",
        "I would select rows.",
        "<thoughts>SELECT 2",
        "Select the rows you want",
        "Select rows",
        "Show me",
        "Begin",
        "Values of what?",
        "SELECT 1; SELECT 2;",
        "SELECT 1;\nThis counts nothing.",
        "```\nSelect the rows you want\n```",
        "<|channel|>analysis<|message|>SELECT 2<|end|>",
        '{"query": "how many orders are there?"}',
        "```sql\nSELECT 1\n```\nor\n```sql\nSELECT 2",
        "Answer: many.",
        "{'sql': 'SELECT ''x'''}",
        "{'sql': 'SELECT 'x''}",
        "{'sql': 'SELECT 1', 'sql': 'SELECT 2'}",
        '{"sql": "SELECT 1" "SELECT 2"}',
        '{"sql": "SELECT 1",, "reason": ""}',
        "{'sql': 'SELECT 1'",
        "SQL:\nSELECT 1;\n\nSELECT 2;",
        "SQL:\nSELECT 1;\n\nor\n\nSELECT 2",
        "SQL:\nSELECT 1\n\nSQL:\nSELECT 2",
        "SQL:\nSELECT 1\n\nFROM t\n\nThis counts them.",
        "SELECT 2\n\nSQL:\nSELECT 1;\n\nThis counts them.",
        "SELECT 1;\n\nor\n\nSELECT 2;",
        "SELECT 1\n\nFROM t\n\nThis counts them.",
        "SELECT 1;\n\nOr, with dates: SELECT 2;",
        "Select rows\n\nThen count them.",
        "SQL:\nSelect the rows you want.\n\nThen count them.",
    ],
)
def test_prose_is_not_taken_for_sql(text: str) -> None:
    with pytest.raises(ModelReplyError):
        parse_reply(text)


@pytest.mark.parametrize("sql", ["SELECT id FROM a WHERE x LIKE '%<reason>%'", "SELECT '</analysis>'"])
def test_a_tag_in_a_value_is_not_taken_for_reasoning(sql: str) -> None:
    assert parse_reply(json.dumps({"sql": sql})).sql == sql
    assert parse_reply(sql).sql == sql


@pytest.mark.parametrize(
    "part",
    [
        "<|channel|>final",
        "<|channel|>",
        "\n",
        "```\n",
        "<reason>",
        "<think>",
        "SQL:",
        "the query ",
        "{'",
        "{a:",
        "{\\'\\",
    ],
)
def test_a_long_reply_of_repeated_marks_is_refused_quickly(part: str) -> None:
    with pytest.raises(ModelReplyError):
        parse_reply("x" + part * 30_000)


def test_other_readings_have_a_title_and_their_own_sql() -> None:
    reply = parse_reply(
        json.dumps(
            {
                "sql": "-- by date of order\nSELECT 1",
                "readings": [
                    "```sql\n-- by date of payment\nSELECT 2\n```",
                    {"title": "by date\u202e of delivery", "sql": "SELECT 3;"},
                    "-- the same in other letters\nselect  1",
                    "-- BY date of payment\nSELECT 5",
                    "SELECT 6",
                    "-- no query\nperhaps",
                    7,
                ],
            }
        )
    )

    assert reply.sql == "SELECT 1"
    assert reply.assumptions == ("by date of order",)
    assert reply.readings == (
        Reading("by date of order", "SELECT 1"),
        Reading("by date of payment", "SELECT 2"),
        Reading("by date of delivery", "SELECT 3;"),
    )


@pytest.mark.parametrize("others", [None, [], "SELECT 2", ["-- a\nSELECT 1"], {"title": "b"}])
def test_without_different_sql_there_are_no_readings(others: object) -> None:
    assert parse_reply(json.dumps({"sql": "SELECT 1", "readings": others})).readings == ()


def test_at_most_four_readings_of_bounded_length_are_offered() -> None:
    others = [f"-- {'t' * 100}{n}\nSELECT {n}" for n in range(9)] + [f"-- {n}\nSELECT {n}" for n in range(9)]

    found = parse_reply(json.dumps({"sql": "SELECT 99", "readings": others})).readings

    assert len(found) == 4
    assert all(len(reading.title) <= 80 for reading in found)


def test_lines_before_the_sql_are_assumptions() -> None:
    reply = parse_reply(
        json.dumps({"sql": "-- in euro\n-- this year\nSELECT 1 -- one", "assumptions": ["in euro"]})
    )

    assert reply.sql == "SELECT 1 -- one"
    assert reply.assumptions == ("in euro", "this year")


def test_strings_of_almost_json_keep_their_quotes_and_escapes() -> None:
    text = r"""{'sql': 'SELECT "a" FROM t WHERE b = \'x // y\' AND c = \'/* z */\'\n',}"""

    assert parse_reply(text).sql == """SELECT "a" FROM t WHERE b = 'x // y' AND c = '/* z */'"""


def test_a_trailing_comma_never_turns_another_reading_into_the_answer() -> None:
    reply = parse_reply('{"sql": "SELECT 1", "readings": [{"title": "b", "sql": "SELECT 2"}],}')

    assert [each.sql for each in reply.readings] == ["SELECT 1", "SELECT 2"]


_BEGUN = '{"answerable": true, "sql": "SELECT 1", "readings": '
_INNER = '{"title": "by payment", "sql": "SELECT 2"}'


@pytest.mark.parametrize(
    "text",
    [
        f"{_BEGUN}[{_INNER}",
        f"{_BEGUN}[{_INNER}, {{",
        f'{_BEGUN}[{{"sql": "SELECT 2", "title": "by payment"}}], "reason": "',
        f'{_BEGUN}[{_INNER}], "reason": "a "quoted" word"}}',
        f"I thought of {REPLY}, but better is {_BEGUN}[{_INNER}",
        f"```json\n{_BEGUN}[{_INNER}\n```",
        f'{{"readings": [{_INNER}, {_INNER}], "answerable": tru',
    ],
)
def test_a_reading_inside_a_reply_that_is_cut_off_or_broken_is_not_the_answer(text: str) -> None:
    with pytest.raises(ModelReplyError):
        parse_reply(text)


def test_the_end_of_a_reply_is_searched_for_in_linear_time() -> None:
    cut_off = '{"sql": "' + r"\"" * 200_000

    with pytest.raises(ModelReplyError, match="no JSON object that ends"):
        parse_reply(cut_off)


def test_a_broken_object_before_the_answer_is_skipped() -> None:
    broken = f'{_BEGUN}[{_INNER}], "reason": "a "quoted" word"}}'

    assert parse_reply(f"{broken}\nThat was no JSON. Again:\n{REPLY}") == PARSED


def raised_from(cause: Exception) -> BaseException:
    """Return an error as the SDK raises it: its cause is in a group, with the causes of other addresses."""
    outer, middle = RuntimeError("Connection error."), OSError("All connection attempts failed")
    outer.__cause__ = middle
    middle.__cause__ = ExceptionGroup("attempts", [OSError("another address"), cause])
    return outer


@pytest.mark.parametrize(
    ("cause", "reason", "hint_part"),
    [
        (ConnectionRefusedError(), "no server listens on that host and port", "that the endpoint runs"),
        (socket.gaierror(-2, "Name or service not known"), "the host name could not be resolved", "the DNS"),
        (ssl.SSLCertVerificationError(), "its certificate is not trusted on this machine", "SSL_CERT_FILE"),
        (ssl.SSLError(), "it does not speak TLS", "http://"),
        (OSError(), "", "proxy variables"),
    ],
)
def test_the_cause_of_the_sdks_error_is_found(cause: OSError, reason: str, hint_part: str) -> None:
    found, hint = explain_unreachable(raised_from(cause))

    assert found.startswith(reason)
    assert hint_part in hint
