"""What `pgmcp doctor` reports about the model's endpoint: for each failure of a first question, a hint."""

import pytest
from pydantic import TypeAdapter

from pgmcp.cli.doctor.model import describe_endpoint, examine_model
from pgmcp.cli.doctor.report import CheckResult, Status
from pgmcp.settings import OpenAISettings
from testing.openai_endpoint import RecordedRequest, Reply, ScriptedEndpoint, content, failure, sql

pytestmark = pytest.mark.anyio

KEY = "sk-Quagga-0123456789"


def settings(endpoint: ScriptedEndpoint | None = None, **given: object) -> OpenAISettings:
    base_url = {"base_url": endpoint.base_url} if endpoint else {}
    return TypeAdapter(OpenAISettings).validate_python({"timeout": 5, **base_url, **given})


async def only_result(of: OpenAISettings) -> CheckResult:
    (result,) = await examine_model(of)
    return result


async def test_a_missing_key_is_a_warning_that_names_the_setting() -> None:
    result = await only_result(settings())

    assert result.status is Status.WARN
    assert result.text.startswith("no key and no endpoint are set")
    assert "PG_MCP_OPENAI_API_KEY" in result.hint


async def test_an_endpoint_that_answers_is_reported_with_model_tokens_and_time() -> None:
    with ScriptedEndpoint(api_key=KEY) as endpoint:
        endpoint.reply(sql("SELECT 1"))

        answer, output = await examine_model(settings(endpoint, api_key=KEY))

    assert (answer.status, output.status) == (Status.OK, Status.OK)
    assert answer.text.startswith(f"scripted-model at {describe_endpoint(settings(endpoint))} wrote SQL in ")
    assert "150 tokens; PG_MCP_OPENAI_API_KEY is accepted" in answer.text
    assert len(endpoint.requests) == 1


async def test_a_wrong_key_is_named_and_not_shown() -> None:
    with ScriptedEndpoint(api_key="another") as endpoint:
        result = await only_result(settings(endpoint, api_key=KEY))

    assert result.status is Status.FAIL
    assert result.text.startswith("model_auth: ")
    assert "refused the key" in result.text
    assert "PG_MCP_OPENAI_API_KEY" in result.hint
    assert "Quagga" not in str(result)


async def test_an_endpoint_that_requires_a_key_is_named() -> None:
    with ScriptedEndpoint(api_key=KEY) as endpoint:
        result = await only_result(settings(endpoint))

    assert "requires a key" in result.text
    assert result.hint == "set PG_MCP_OPENAI_API_KEY"


async def test_a_wrong_model_is_named() -> None:
    with ScriptedEndpoint() as endpoint:
        endpoint.reply(failure(404, "The model `gpt-99` does not exist", code="model_not_found"))

        result = await only_result(settings(endpoint, model="gpt-99"))

    assert result.status is Status.FAIL
    assert "knows no model 'gpt-99'" in result.text
    assert result.hint.startswith("check PG_MCP_OPENAI_MODEL")


async def test_an_unreachable_endpoint_is_named() -> None:
    with ScriptedEndpoint() as endpoint:
        gone = settings(endpoint)

    result = await only_result(gone)

    assert result.text.startswith("model_unavailable: ")
    assert result.text.endswith("no server listens on that host and port")
    assert "PG_MCP_OPENAI_BASE_URL" in result.hint


async def test_a_failure_is_reported_at_once_without_a_retry() -> None:
    with ScriptedEndpoint() as endpoint:
        endpoint.script(lambda request: failure(503))

        result = await only_result(settings(endpoint, max_retries=5))

    assert result.status is Status.FAIL
    assert len(endpoint.requests) == 1


async def test_an_endpoint_without_structured_output_is_warned_of() -> None:
    with ScriptedEndpoint(refused_parameters=("response_format",)) as endpoint:
        endpoint.reply(sql("SELECT 1"))

        answer, output = await examine_model(settings(endpoint))

    assert answer.status is Status.OK
    assert output.status is Status.WARN
    assert output.check == "model: structured output"
    assert output.hint


async def test_an_endpoint_that_supports_only_json_objects_is_distinguished() -> None:
    def take_no_schema(request: RecordedRequest) -> Reply:
        wants_schema = request.body.get("response_format", {}).get("type") == "json_schema"
        return failure(400, "json_schema is not supported") if wants_schema else sql("SELECT 1")

    with ScriptedEndpoint() as endpoint:
        endpoint.script(take_no_schema)

        _, output = await examine_model(settings(endpoint))

    assert "JSON without a schema" in output.text


async def test_a_reply_without_sql_is_a_warning() -> None:
    with ScriptedEndpoint() as endpoint:
        endpoint.reply(content("I would rather talk about the weather."))

        result = await only_result(settings(endpoint))

    assert result.status is Status.WARN
    assert "answers, but not in the requested form" in result.text
    assert result.hint
