"""What `pgmcp doctor` finds of the model's endpoint: each way a first question fails, by cause and cure."""

import pytest

from pgmcp.cli.doctor.model import describe_endpoint, examine_model
from pgmcp.cli.doctor.report import Finding, Outcome
from pgmcp.settings import OpenAISettings
from tests.openai_endpoint import RecordedRequest, Reply, ScriptedEndpoint, content, failure, sql

pytestmark = pytest.mark.anyio

KEY = "sk-Quagga-0123456789"


def settings(endpoint: ScriptedEndpoint | None = None, **given: object) -> OpenAISettings:
    base_url = {"base_url": endpoint.base_url} if endpoint else {}
    return OpenAISettings.model_validate({"timeout": 5, **base_url, **given})


async def only_finding(of: OpenAISettings) -> Finding:
    (finding,) = await examine_model(of)
    return finding


async def test_no_key_is_a_warning_that_names_it() -> None:
    finding = await only_finding(settings())

    assert finding.outcome is Outcome.WARN
    assert finding.text.startswith("no key and no endpoint")
    assert "PG_MCP_OPENAI_API_KEY" in finding.cure


async def test_an_endpoint_that_answers_is_told_with_model_tokens_and_time() -> None:
    with ScriptedEndpoint(api_key=KEY) as endpoint:
        endpoint.reply(sql("SELECT 1"))

        answer, output = await examine_model(settings(endpoint, api_key=KEY))

    assert (answer.outcome, output.outcome) == (Outcome.OK, Outcome.OK)
    assert answer.text.startswith(f"scripted-model at {describe_endpoint(settings(endpoint))} wrote SQL in ")
    assert "150 tokens; PG_MCP_OPENAI_API_KEY is accepted" in answer.text
    assert len(endpoint.requests) == 1


async def test_a_wrong_key_is_named_and_not_shown() -> None:
    with ScriptedEndpoint(api_key="another") as endpoint:
        finding = await only_finding(settings(endpoint, api_key=KEY))

    assert finding.outcome is Outcome.FAIL
    assert finding.text.startswith("model_auth: ")
    assert "refused the key" in finding.text
    assert "PG_MCP_OPENAI_API_KEY" in finding.cure
    assert "Quagga" not in str(finding)


async def test_an_endpoint_that_wants_a_key_is_named() -> None:
    with ScriptedEndpoint(api_key=KEY) as endpoint:
        finding = await only_finding(settings(endpoint))

    assert "wants a key" in finding.text
    assert finding.cure == "set PG_MCP_OPENAI_API_KEY"


async def test_a_wrong_model_is_named() -> None:
    with ScriptedEndpoint() as endpoint:
        endpoint.reply(failure(404, "The model `gpt-99` does not exist", code="model_not_found"))

        finding = await only_finding(settings(endpoint, model="gpt-99"))

    assert finding.outcome is Outcome.FAIL
    assert "knows no model 'gpt-99'" in finding.text
    assert finding.cure.startswith("check PG_MCP_OPENAI_MODEL")


async def test_an_endpoint_that_is_not_there_is_named() -> None:
    with ScriptedEndpoint() as endpoint:
        gone = settings(endpoint)

    finding = await only_finding(gone)

    assert finding.text.startswith("model_unavailable: ")
    assert finding.text.endswith("no server listens there")
    assert "PG_MCP_OPENAI_BASE_URL" in finding.cure


async def test_a_failure_is_told_at_once_and_not_tried_again() -> None:
    with ScriptedEndpoint() as endpoint:
        endpoint.script(lambda request: failure(503))

        finding = await only_finding(settings(endpoint, max_retries=5))

    assert finding.outcome is Outcome.FAIL
    assert len(endpoint.requests) == 1


async def test_an_endpoint_without_structured_output_is_warned_of() -> None:
    with ScriptedEndpoint(refused_parameters=("response_format",)) as endpoint:
        endpoint.reply(sql("SELECT 1"))

        answer, output = await examine_model(settings(endpoint))

    assert answer.outcome is Outcome.OK
    assert output.outcome is Outcome.WARN
    assert output.check == "model: structured output"
    assert output.cure


async def test_an_endpoint_with_json_alone_is_told_apart() -> None:
    def take_no_schema(request: RecordedRequest) -> Reply:
        wants_schema = request.body.get("response_format", {}).get("type") == "json_schema"
        return failure(400, "json_schema is not supported") if wants_schema else sql("SELECT 1")

    with ScriptedEndpoint() as endpoint:
        endpoint.script(take_no_schema)

        _, output = await examine_model(settings(endpoint))

    assert "JSON without a schema" in output.text


async def test_a_reply_that_is_no_sql_is_warned_of() -> None:
    with ScriptedEndpoint() as endpoint:
        endpoint.reply(content("I would rather talk about the weather."))

        finding = await only_finding(settings(endpoint))

    assert finding.outcome is Outcome.WARN
    assert "answers, but not as it was asked to" in finding.text
    assert finding.cure
