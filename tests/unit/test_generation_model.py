import asyncio
import json
import logging
import re
import threading
import time
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from email.utils import formatdate

import anyio
import pytest

from pgmcp.errors import ModelAuthError, ModelError, ModelNotConfiguredError, ModelReplyError
from pgmcp.generation.completion import Completion
from pgmcp.generation.model import ModelClient, own_key_header, split_base_url
from pgmcp.generation.prompt import Message
from testing.openai_endpoint import (
    TOKENS_IN,
    TOKENS_OUT,
    RecordedRequest,
    Reply,
    ScriptedEndpoint,
    azure_content,
    azure_content_filter,
    content,
    dropped_connection,
    failure,
    held,
    openrouter_content,
    openrouter_error,
    raw,
    refusal,
    reply_text,
    sql,
    unanswerable,
)

pytestmark = pytest.mark.anyio

KEY = "sk-secret-0123456789abcdef"
MESSAGES: list[Message] = [
    {"role": "system", "content": "Write SQL."},
    {"role": "user", "content": "How many orders?"},
]


@pytest.fixture
def endpoint() -> Iterator[ScriptedEndpoint]:
    with ScriptedEndpoint() as endpoint:
        yield endpoint


Connect = Callable[..., ModelClient]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Return a function that makes a client, which is closed at the end."""
    clients: list[ModelClient] = []

    def make(
        base_url: str | None,
        *,
        api_key: str | None = KEY,
        model: str = "gpt-4o-mini",
        max_retries: int = 0,
        timeout_s: float = 20.0,
    ) -> ModelClient:
        client = ModelClient(
            api_key=api_key, base_url=base_url, model=model, max_retries=max_retries, timeout_s=timeout_s
        )
        clients.append(client)
        return client

    yield make
    for client in clients:
        await client.aclose()


async def complete(client: ModelClient, timeout_s: float = 20.0) -> Completion:
    return await client.complete(MESSAGES, timeout_s=timeout_s)


async def failure_of(client: ModelClient, timeout_s: float = 20.0) -> ModelError:
    with pytest.raises(ModelError) as caught:
        await complete(client, timeout_s)
    return caught.value


async def test_a_structured_reply_becomes_sql_with_its_token_counts(
    endpoint: ScriptedEndpoint, connect: Connect
) -> None:
    endpoint.reply(sql("SELECT count(*) FROM orders", assumptions=("all orders",)))

    completion = await complete(connect(endpoint.base_url))

    assert completion.reply.sql == "SELECT count(*) FROM orders"
    assert completion.reply.assumptions == ("all orders",)
    assert (completion.tokens_in, completion.tokens_out) == (TOKENS_IN, TOKENS_OUT)
    assert completion.model == "scripted-model"


async def test_the_request_asks_for_the_strict_schema_and_temperature_0(
    endpoint: ScriptedEndpoint, connect: Connect
) -> None:
    endpoint.reply(sql("SELECT 1"))

    await complete(connect(endpoint.base_url))
    (request,) = endpoint.requests

    assert request.body["model"] == "gpt-4o-mini"
    assert request.body["messages"] == MESSAGES
    assert request.body["temperature"] == 0
    assert request.body["response_format"]["json_schema"]["strict"] is True


async def test_a_question_the_schema_cannot_answer_comes_back_with_its_reason(
    endpoint: ScriptedEndpoint, connect: Connect
) -> None:
    endpoint.reply(unanswerable("there is no table of employees"))

    completion = await complete(connect(endpoint.base_url))

    assert not completion.reply.answerable
    assert completion.reply.reason == "there is no table of employees"


@pytest.mark.parametrize("usage", [None, (-5, -1)])
async def test_usage_that_is_missing_or_negative_counts_as_0(
    usage: tuple[int, int] | None, endpoint: ScriptedEndpoint, connect: Connect
) -> None:
    endpoint.reply(content(reply_text("SELECT 1"), usage=usage))

    completion = await complete(connect(endpoint.base_url))

    assert (completion.tokens_in, completion.tokens_out) == (0, 0)


@pytest.mark.parametrize(("cached", "counted"), [(100, 100), (TOKENS_IN + 1, TOKENS_IN), (-1, 0)])
async def test_cached_tokens_are_a_part_of_the_prompt(
    cached: int, counted: int, endpoint: ScriptedEndpoint, connect: Connect
) -> None:
    endpoint.reply(content(reply_text("SELECT 1"), cached=cached))

    completion = await complete(connect(endpoint.base_url))

    assert (completion.tokens_in, completion.tokens_cached) == (TOKENS_IN, counted)


async def test_an_endpoint_without_structured_output_is_asked_without_it_from_then_on(
    connect: Connect,
) -> None:
    with ScriptedEndpoint(refused_parameters=("response_format",)) as endpoint:
        endpoint.script(lambda request: sql("SELECT 1"))
        client = connect(endpoint.base_url)

        await complete(client)
        requests_of_the_first = len(endpoint.requests)
        await complete(client)

    assert requests_of_the_first == 3
    assert len(endpoint.requests) == 4
    assert "response_format" not in endpoint.requests[-1].body


async def test_an_endpoint_that_knows_json_but_no_schema_is_asked_for_json(
    endpoint: ScriptedEndpoint, connect: Connect
) -> None:
    def only_json_object(request: RecordedRequest) -> Reply:
        if request.body["response_format"]["type"] == "json_schema":
            return failure(422, "response_format.type: unexpected value")
        return sql("SELECT 1")

    endpoint.script(only_json_object)

    await complete(connect(endpoint.base_url))

    assert endpoint.requests[-1].body["response_format"] == {"type": "json_object"}


async def test_a_reasoning_model_keeps_its_own_temperature_and_the_schema(connect: Connect) -> None:
    with ScriptedEndpoint(refused_parameters=("temperature",)) as endpoint:
        endpoint.reply(sql("SELECT 1"))

        await complete(connect(endpoint.base_url))

    assert "temperature" not in endpoint.requests[-1].body
    assert endpoint.requests[-1].body["response_format"]["type"] == "json_schema"


async def test_an_endpoint_may_refuse_both_schema_and_temperature(connect: Connect) -> None:
    with ScriptedEndpoint(refused_parameters=("temperature", "response_format")) as endpoint:
        endpoint.reply(content(f"Here it is:\n```json\n{reply_text('SELECT 1')}\n```"))

        completion = await complete(connect(endpoint.base_url))

    assert completion.reply.sql == "SELECT 1"


async def test_a_request_refused_for_another_reason_keeps_its_parameters(
    endpoint: ScriptedEndpoint, connect: Connect
) -> None:
    refused = failure(400, "maximum context length is 128 tokens")
    endpoint.reply(refused, refused, refused, sql("SELECT 1"))
    client = connect(endpoint.base_url)

    error = await failure_of(client)
    await complete(client)

    assert "maximum context length is 128 tokens" in str(error)
    assert "PG_MCP_OPENAI_MODEL" in error.hint
    assert "response_format" in endpoint.requests[-1].body


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_key_names_the_setting_and_not_the_key(
    status: int, endpoint: ScriptedEndpoint, connect: Connect
) -> None:
    endpoint.reply(failure(status, f"Incorrect API key provided: {KEY[:6]}***{KEY[-4:]}"))

    error = await failure_of(connect(endpoint.base_url))

    assert isinstance(error, ModelAuthError)
    assert "PG_MCP_OPENAI_API_KEY" in error.hint
    assert KEY[:6] not in str(error)


async def test_an_endpoint_that_requires_a_key_gives_an_error_that_names_the_setting(
    connect: Connect,
) -> None:
    with ScriptedEndpoint(api_key=KEY) as endpoint:
        error = await failure_of(connect(endpoint.base_url, api_key=None))

    assert isinstance(error, ModelAuthError)
    assert "requires a key" in str(error)
    assert error.hint == "set PG_MCP_OPENAI_API_KEY"


async def test_an_endpoint_without_keys_works_without_one(
    endpoint: ScriptedEndpoint, connect: Connect
) -> None:
    endpoint.reply(sql("SELECT 1"))

    completion = await complete(connect(endpoint.base_url, api_key=None))

    assert completion.reply.sql == "SELECT 1"


async def test_the_key_goes_to_the_endpoint(connect: Connect) -> None:
    with ScriptedEndpoint(api_key=KEY) as endpoint:
        endpoint.reply(sql("SELECT 1"))

        completion = await complete(connect(endpoint.base_url))

    assert completion.reply.sql == "SELECT 1"


async def test_without_key_and_endpoint_the_error_names_the_settings(connect: Connect) -> None:
    error = await failure_of(connect(None, api_key=None))

    assert isinstance(error, ModelNotConfiguredError)
    assert "PG_MCP_OPENAI_API_KEY" in error.hint
    assert "PG_MCP_OPENAI_BASE_URL" in error.hint


async def test_an_unknown_model_names_it_and_its_setting(
    endpoint: ScriptedEndpoint, connect: Connect
) -> None:
    endpoint.reply(failure(404, "The model `gpt-99` does not exist", code="model_not_found"))

    error = await failure_of(connect(endpoint.base_url, model="gpt-99"))

    assert "knows no model 'gpt-99'" in str(error)
    assert "PG_MCP_OPENAI_MODEL" in error.hint


async def test_a_missing_path_gives_an_error_about_the_base_url(
    endpoint: ScriptedEndpoint, connect: Connect
) -> None:
    endpoint.reply(failure(404, "Not Found"))

    error = await failure_of(connect(endpoint.base_url))

    assert "no chat completions at this address" in str(error)
    assert "PG_MCP_OPENAI_BASE_URL" in error.hint


async def test_the_requested_form_of_replies_is_reported(
    endpoint: ScriptedEndpoint, connect: Connect
) -> None:
    client = connect(endpoint.base_url)
    before = client.reply_format
    endpoint.refused_parameters = ("response_format",)
    endpoint.reply(sql("SELECT 1"))

    await client.preload()
    await complete(client)

    assert (before, client.reply_format) == ("json_schema", "plain")


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_temporary_failure_is_retried(
    status: int, endpoint: ScriptedEndpoint, connect: Connect
) -> None:
    endpoint.reply(failure(status, retry_after_s=0.001), sql("SELECT 1"))

    completion = await complete(connect(endpoint.base_url, max_retries=1))

    assert completion.reply.sql == "SELECT 1"
    assert len(endpoint.requests) == 2


async def test_a_rate_limit_gives_the_time_to_retry_after(
    endpoint: ScriptedEndpoint, connect: Connect
) -> None:
    endpoint.reply(failure(429, "Rate limit reached for requests", retry_after_s=20))

    error = await failure_of(connect(endpoint.base_url))

    assert "HTTP 429" in str(error)
    assert "Rate limit reached for requests" in str(error)
    assert error.hint.startswith("try again in 20 s")


async def test_a_wait_longer_than_the_time_left_is_an_error_at_once(
    endpoint: ScriptedEndpoint, connect: Connect
) -> None:
    endpoint.reply(failure(429, retry_after_s=60))

    with anyio.fail_after(10):
        error = await failure_of(connect(endpoint.base_url, max_retries=3), timeout_s=30)

    assert len(endpoint.requests) == 1
    assert error.hint.startswith("try again in 60 s")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Retry-After", lambda: formatdate(time.time() + 3600, usegmt=True)),
        ("retry-after-ms", lambda: "3600000"),
    ],
    ids=["date", "milliseconds"],
)
async def test_a_wait_in_another_form_is_an_error_at_once_too(
    name: str, value: Callable[[], str], endpoint: ScriptedEndpoint, connect: Connect
) -> None:
    endpoint.reply(raw(b"{}", status=429, headers={name: value()}))

    error = await failure_of(connect(endpoint.base_url, max_retries=3))

    assert len(endpoint.requests) == 1
    assert re.match(r"try again in 3\d\d\d s", error.hint)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_no_redirect_carries_the_key_and_the_prompt_to_another_host(
    status: int, endpoint: ScriptedEndpoint, connect: Connect
) -> None:
    with ScriptedEndpoint() as other:
        new = other.base_url.replace("127.0.0.1", "localhost")
        location = f"{new.replace('//', '//user:pass@')}/chat/completions?token=t"
        endpoint.reply(raw(b"", status=status, headers={"Location": location}))

        error = await failure_of(connect(endpoint.base_url.replace("/v1", "/openai/deployments/gpt")))

        assert not other.requests
    assert f"redirects to {new}/chat/completions (HTTP {status})" in str(error)
    assert "PG_MCP_OPENAI_BASE_URL" in error.hint


@pytest.mark.parametrize("retry_after", ["Wed, 21 Oct 2015 07:28:00 GMT", "soon", "-1", "nan", "inf"])
async def test_a_strange_retry_after_is_not_passed_on(
    retry_after: str, endpoint: ScriptedEndpoint, connect: Connect
) -> None:
    endpoint.reply(raw(b"{}", status=429, headers={"Retry-After": retry_after}))

    error = await failure_of(connect(endpoint.base_url))

    assert error.hint.startswith("check the account's limits")


@pytest.mark.parametrize("status", [500, 502, 503])
async def test_a_failing_endpoint_is_named_with_its_status(
    status: int, endpoint: ScriptedEndpoint, connect: Connect
) -> None:
    endpoint.reply(raw(b"<html>upstream error</html>", status=status, content_type="text/html"))

    error = await failure_of(connect(endpoint.base_url))

    assert f"failed (HTTP {status})" in str(error)
    assert "127.0.0.1" in str(error)
    assert "html" not in str(error)


async def test_a_request_to_an_endpoint_that_hangs_ends_at_the_total_timeout(
    endpoint: ScriptedEndpoint, connect: Connect
) -> None:
    endpoint.script(lambda request: held(sql("SELECT 1"), threading.Event()))

    with anyio.fail_after(10):
        error = await failure_of(connect(endpoint.base_url, max_retries=3), timeout_s=0.5)

    assert "no answer within 0.5 s" in str(error)
    assert "PG_MCP_OPENAI_TIMEOUT" in error.hint


async def test_an_attempt_that_hangs_ends_at_its_own_timeout(
    endpoint: ScriptedEndpoint, connect: Connect
) -> None:
    endpoint.reply(held(sql("SELECT 1"), threading.Event()), sql("SELECT 2"))

    with anyio.fail_after(10):
        completion = await complete(connect(endpoint.base_url, max_retries=1, timeout_s=1))

    assert completion.reply.sql == "SELECT 2"


async def test_a_delayed_reply_does_not_delay_the_next_question(
    endpoint: ScriptedEndpoint, connect: Connect
) -> None:
    arrived, release = threading.Event(), threading.Event()

    def hold_the_first(request: RecordedRequest) -> Reply:
        if arrived.is_set():
            return sql("SELECT 'quick'")
        arrived.set()
        return held(sql("SELECT 'slow'"), release)

    endpoint.script(hold_the_first)
    client = connect(endpoint.base_url)

    with anyio.fail_after(10):
        slow = asyncio.create_task(complete(client))
        await asyncio.to_thread(arrived.wait, 5)
        quick = await complete(client)
        release.set()

    assert quick.reply.sql == "SELECT 'quick'"
    assert (await slow).reply.sql == "SELECT 'slow'"


async def test_a_dropped_connection_gives_an_error_with_what_to_check(
    endpoint: ScriptedEndpoint, connect: Connect
) -> None:
    endpoint.reply(dropped_connection())

    error = await failure_of(connect(endpoint.base_url))

    assert "cannot be reached" in str(error)
    assert "PG_MCP_OPENAI_BASE_URL" in error.hint


async def test_an_unreachable_endpoint_gives_an_error_with_what_to_check(connect: Connect) -> None:
    with ScriptedEndpoint() as endpoint:
        base_url = endpoint.base_url

    error = await failure_of(connect(base_url))

    assert str(error).endswith("cannot be reached: no server listens on that host and port")
    assert "PG_MCP_OPENAI_BASE_URL" in error.hint


@pytest.mark.parametrize("before_host", ["http://user:hunter2@", "user:hunter2@"])
async def test_credentials_in_the_base_url_are_not_shown(before_host: str, connect: Connect) -> None:
    with ScriptedEndpoint() as endpoint:
        base_url = endpoint.base_url.replace("http://", before_host)

    error = await failure_of(connect(base_url))

    assert "hunter2" not in str(error)


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (content(""), "empty"),
        (content(None), "empty"),
        (content("I would rather talk about the weather."), "no JSON object"),
        (content('{"sql": ""'), "no JSON object"),
        (content('{"sql": "", "answerable": true}'), "contains no SQL"),
        (content('{"sql": "SELECT', finish_reason="length"), "cut off"),
        (content("", finish_reason="content_filter"), "content filter"),
        (refusal("I cannot help with that."), "refused to answer: I cannot help with that."),
    ],
    ids=["empty", "null", "prose", "broken JSON", "no SQL", "length", "content filter", "refusal"],
)
async def test_an_unusable_reply_gives_an_error_with_its_token_counts(
    reply: Reply, words: str, endpoint: ScriptedEndpoint, connect: Connect
) -> None:
    endpoint.reply(reply)

    error = await failure_of(connect(endpoint.base_url))

    assert isinstance(error, ModelReplyError)
    assert words in str(error)
    assert error.hint
    assert (error.tokens_in, error.tokens_out) == (TOKENS_IN, TOKENS_OUT)


@pytest.mark.parametrize(
    "reply",
    [
        raw(b"<html>hello</html>", content_type="text/html"),
        raw(b"{"),
        raw(b"[]"),
        raw(b'{"choices": 1}'),
        raw(b'{"choices": [{"message": "text"}]}'),
        raw(b'{"error": "not today"}'),
        raw(b'{"choices": []}'),
        raw(b"\xff\xfe"),
        raw(b""),
    ],
    ids=lambda reply: reply.body.decode("latin-1") or "nothing",
)
async def test_a_body_that_is_not_a_completion_is_one_clear_error(
    reply: Reply, endpoint: ScriptedEndpoint, connect: Connect
) -> None:
    endpoint.reply(reply)

    error = await failure_of(connect(endpoint.base_url))

    assert isinstance(error, ModelReplyError)
    assert error.hint


async def test_a_question_after_an_unreadable_reply_succeeds(
    endpoint: ScriptedEndpoint, connect: Connect
) -> None:
    endpoint.reply(raw(b"{"), sql("SELECT 1"))
    client = connect(endpoint.base_url)

    await failure_of(client)
    completion = await complete(client)

    assert completion.reply.sql == "SELECT 1"


async def test_a_key_with_invalid_characters_is_not_shown(
    endpoint: ScriptedEndpoint, connect: Connect
) -> None:
    error = await failure_of(connect(endpoint.base_url, api_key="sk-sëcret"))

    assert "sk-s" not in "".join(traceback.format_exception(error))
    assert "PG_MCP_OPENAI_API_KEY" in error.hint


async def test_variables_meant_for_other_programs_are_not_used(
    endpoint: ScriptedEndpoint, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("API_KEY", "ADMIN_KEY", "ORG_ID", "PROJECT_ID"):
        monkeypatch.setenv(f"OPENAI_{name}", "of-another-program")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/of-another-program")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Gateway: of-another-program")
    endpoint.reply(sql("SELECT 1"))

    await complete(connect(endpoint.base_url))
    not_configured = await failure_of(connect(None, api_key=None))

    assert "of-another-program" not in json.dumps(endpoint.requests[0].headers)
    assert isinstance(not_configured, ModelNotConfiguredError)


async def test_neither_key_nor_prompt_is_logged_at_debug(
    endpoint: ScriptedEndpoint, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    endpoint.reply(failure(500, f"echo {KEY}", retry_after_s=0.001), failure(401, f"echo {KEY}"))
    client = connect(endpoint.base_url, max_retries=1)

    with caplog.at_level(logging.DEBUG):
        error = await failure_of(client)

    shown = caplog.text + "".join(traceback.format_exception(error)) + repr(client) + repr(error)
    assert KEY not in shown
    assert "How many orders?" not in shown
    assert "Authorization" not in shown


async def test_a_key_that_the_endpoint_repeats_is_removed(
    endpoint: ScriptedEndpoint, connect: Connect
) -> None:
    endpoint.reply(failure(429, f"too many requests of {KEY}"))

    error = await failure_of(connect(endpoint.base_url))

    assert "too many requests of ***" in str(error)


async def test_a_key_in_an_error_with_status_200_is_removed(
    endpoint: ScriptedEndpoint, connect: Connect
) -> None:
    endpoint.reply(raw(json.dumps({"error": f"no such key: {KEY}"}).encode()))

    error = await failure_of(connect(endpoint.base_url))

    assert "no such key: ***" in str(error)


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (404, b'{"error": "model \'m\' not found, try pulling it first"}', "knows no model"),
        (405, b"", "has no chat completions at this address (HTTP 405)"),
        (404, b"<html>nginx</html>", "has no chat completions at this address (HTTP 404)"),
        (503, b"upstream is down", "failed (HTTP 503): upstream is down"),
        (
            400,
            b'[{"error": {"message": "API key not valid. Please pass a valid API key."}}]',
            "refused the key",
        ),
        (451, b'{"detail": [{"msg": "not in your country"}]}', "(HTTP 451): not in your country"),
    ],
)
async def test_an_error_in_another_form_is_reported_with_its_reason(
    status: int, body: bytes, words: str, endpoint: ScriptedEndpoint, connect: Connect
) -> None:
    endpoint.script(lambda request: raw(body, status=status))

    error = await failure_of(connect(endpoint.base_url))

    assert words in str(error)


async def test_half_a_character_in_the_conversation_is_replaced(
    endpoint: ScriptedEndpoint, connect: Connect
) -> None:
    endpoint.reply(sql("SELECT 1"))
    rejected = Message(role="assistant", content="SELECT '\ud83d'")

    await connect(endpoint.base_url).complete([*MESSAGES, rejected], timeout_s=30)

    assert endpoint.requests[0].messages[-1]["content"] == "SELECT '\ufffd'"


async def test_a_closed_client_can_be_closed_again(endpoint: ScriptedEndpoint, connect: Connect) -> None:
    endpoint.reply(sql("SELECT 1"))
    client = connect(endpoint.base_url)
    await complete(client)

    await client.aclose()
    await client.aclose()


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ("/deployments/g?api-version=1", "/deployments/g/chat/completions?api-version=1"),
        ("/v1/chat/completions", "/v1/chat/completions"),
        ("/v1/chat/completions?key=a", "/v1/chat/completions?key=a"),
        ("/v1/", "/v1/chat/completions"),
        ("/v1/Chat/Completions/", "/v1/chat/completions"),
        ("/v1/completions", "/v1/chat/completions"),
        ("/v1/responses", "/v1/chat/completions"),
        ("/v1/models", "/v1/chat/completions"),
        ("/v1/chat", "/v1/chat/completions"),
        ("/v1/messages", "/v1/chat/completions"),
    ],
)  # fmt: skip
def test_base_url_and_query_are_split_from_the_configured_address(written: str, path: str) -> None:
    base_url, query = split_base_url(f"http://127.0.0.1:1{written}")

    text = "&".join(f"{name}={value}" for name, value in query.items())
    assert f"{base_url}/chat/completions{'?' if text else ''}{text}" == f"http://127.0.0.1:1{path}"


async def test_the_query_of_the_base_url_is_sent_with_each_request(
    endpoint: ScriptedEndpoint, connect: Connect
) -> None:
    endpoint.reply(sql("SELECT 1"))

    await complete(connect(f"{endpoint.base_url}/deployments/g?api-version=2024-10-21"))

    assert endpoint.requests[-1].path == "/v1/deployments/g/chat/completions?api-version=2024-10-21"


async def test_a_template_without_a_system_role_gets_the_rules_from_the_user(connect: Connect) -> None:
    with ScriptedEndpoint(refuses_system_role=True) as endpoint:
        endpoint.reply(sql("SELECT 1"), sql("SELECT 2"))
        client = connect(endpoint.base_url)

        await complete(client)
        await complete(client)

    roles = [[message["role"] for message in request.messages] for request in endpoint.requests]
    assert roles[0][0] == "system"
    assert all("system" not in each for each in roles[1:])
    assert len(endpoint.requests) == 3
    assert "response_format" in endpoint.requests[-1].body


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "Only user and assistant roles are supported!"),
        (400, "Developer instruction is not enabled for this model"),
        (422, "This model does not support system messages"),
        (400, "Invalid value: 'system'. Supported values are: 'user' and 'assistant'"),
        (500, "Jinja Exception: System role not supported"),
        (422, "messages.0.role: Input should be 'user' or 'assistant'"),
        (400, "Please use a valid role: user, model."),
        (400, "messages[0].role must be one of: user, assistant"),
        (400, "'system' is not one of ['user', 'assistant'] - 'messages.0.role'"),
        (400, "Conversation must start with a user prompt"),
        (400, "This model does not support roles other than user and assistant"),
    ],
)
async def test_a_refusal_of_the_system_role_is_recognised_in_other_words(
    status: int, words: str, connect: Connect
) -> None:
    with ScriptedEndpoint(refuses_system_role=(status, words)) as endpoint:
        endpoint.reply(sql("SELECT 1"))

        assert (await complete(connect(endpoint.base_url))).reply.sql == "SELECT 1"


async def test_a_template_that_requires_alternating_roles_gets_them_with_attempts(connect: Connect) -> None:
    conversation: list[Message] = [
        *MESSAGES,
        {"role": "assistant", "content": "SELECT totl"},
        {"role": "user", "content": "That query failed."},
    ]
    with ScriptedEndpoint(demands_alternating_roles=True) as endpoint:
        endpoint.reply(sql("SELECT 1"))

        completion = await connect(endpoint.base_url).complete(conversation, timeout_s=20)

    first, *_ = accepted = endpoint.requests[-1].messages
    assert completion.reply.sql == "SELECT 1"
    assert [message["role"] for message in accepted] == ["user", "assistant", "user"]
    assert first["content"] == "Write SQL.\n\nHow many orders?"


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1;",
        "SQLQuery: SELECT 1;",
        "```\nSELECT 1;\n```",
        "<thoughts>SELECT 2;</thoughts>\nSELECT 1;",
        "<reason>SELECT 2;</reason>\n```sql\nSELECT 1;\n```",
        '<analysis>{"sql": "SELECT 2;"}</analysis>\n{"sql": "SELECT 1;"}',
        "{'answerable': True, 'sql': 'SELECT 1;', 'readings': [],}",
        "I count them.\n\nSQL:\nSELECT 1;\n\nThat is all.",
        "<|channel|>analysis<|message|>SELECT 2;<|end|>"
        "<|start|>assistant<|channel|>final<|message|>SELECT 1;<|return|>",
    ],
)
async def test_a_reply_without_structured_output_is_understood(
    text: str, endpoint: ScriptedEndpoint, connect: Connect
) -> None:
    endpoint.reply(content(text))

    assert (await complete(connect(endpoint.base_url))).reply.sql == "SELECT 1;"


@pytest.mark.parametrize("text", ["Select the rows you want", "Show me", "SELECT 1; SELECT 2;"])
async def test_prose_that_begins_like_sql_is_a_model_reply_that_cannot_be_used(
    text: str, endpoint: ScriptedEndpoint, connect: Connect
) -> None:
    endpoint.reply(content(text))

    error = await failure_of(connect(endpoint.base_url))

    assert isinstance(error, ModelReplyError)


async def test_azure_gets_the_key_in_its_own_header(connect: Connect) -> None:
    with ScriptedEndpoint(api_key=KEY, takes_azure_keys=True) as endpoint:
        endpoint.reply(azure_content(reply_text("SELECT 1")))
        address = endpoint.base_url.removesuffix("/v1") + "/openai/deployments/g?api-version=2024-10-21"

        assert (await complete(connect(address))).reply.sql == "SELECT 1"

    assert "authorization" not in endpoint.requests[-1].headers


@pytest.mark.parametrize(
    ("url", "key", "is_own"),
    [
        ("https://shop.openai.azure.com/openai/v1", "k", True),
        ("https://shop.cognitiveservices.azure.com/openai/deployments/g", "k", True),
        ("https://shop.azure-api.net/llm", "k", True),
        ("https://proxy.example.com/openai/deployments/g", "k", True),
        ("https://shop.openai.azure.com/openai/v1", "eyJhbGciOi.eyJhdWQi.c2ln", False),
        ("https://openrouter.ai/api/v1", "k", False),
        ("https://openai.azure.com.example.org/v1", "k", False),
        ("https://shop.openai.azure.com/openai/v1", None, False),
    ],
)
def test_only_keys_of_azure_have_a_header_of_their_own(url: str, key: str | None, is_own: bool) -> None:
    assert own_key_header(url, key) == ({"api-key": key} if is_own else {})


async def test_a_blocked_prompt_is_an_error_without_another_attempt(
    endpoint: ScriptedEndpoint, connect: Connect
) -> None:
    endpoint.reply(
        azure_content_filter(),
        openrouter_error(403, "Input was flagged", status=403, reasons=["x"], flagged_input="y"),
        sql("SELECT 1"),
    )
    client = connect(endpoint.base_url)

    for _ in range(2):
        assert "content filter" in str(await failure_of(client))
    await complete(client)

    assert len(endpoint.requests) == 3
    assert client.reply_format == "json_schema"


async def test_a_prompt_that_is_too_long_is_sent_once(endpoint: ScriptedEndpoint, connect: Connect) -> None:
    endpoint.reply(failure(400, "maximum context length is 8192 tokens", code="context_length_exceeded"))

    assert "maximum context length" in str(await failure_of(connect(endpoint.base_url)))

    assert len(endpoint.requests) == 1


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (
            openrouter_error(502, "Provider returned error"),
            "finish the reply: Provider returned error",
        ),
        (openrouter_content(None, error="Upstream idle"), "could not finish the reply: Upstream idle"),
        (openrouter_error(402, "Insufficient credits", status=402), "has no credit left"),
        (openrouter_error(404, "No endpoints found for x/y.", status=404), "HTTP 404"),
    ],
)
async def test_errors_of_openrouter_are_reported_with_their_cause(
    reply: Reply, expected: str, endpoint: ScriptedEndpoint, connect: Connect
) -> None:
    endpoint.reply(reply)

    assert expected in str(await failure_of(connect(endpoint.base_url)))


async def test_openrouter_is_asked_without_parameters_that_no_provider_accepts(
    endpoint: ScriptedEndpoint, connect: Connect
) -> None:
    words = "No endpoints found that can handle the requested parameters"
    endpoint.reply(openrouter_error(404, words, status=404), openrouter_content(reply_text("SELECT 1")))

    completion = await complete(connect(endpoint.base_url))

    assert completion.reply.sql == "SELECT 1"
    assert completion.model == "vendor/model"
    assert endpoint.requests[-1].body["response_format"] == {"type": "json_object"}
