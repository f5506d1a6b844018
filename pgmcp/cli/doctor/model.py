"""Checks of the model's endpoint."""

import time
from typing import Final

from pgmcp.cli.doctor.report import CheckResult, Status, failed_check
from pgmcp.errors import ModelError, ModelReplyError
from pgmcp.generation.model import ModelClient
from pgmcp.generation.prompt import Message
from pgmcp.settings import OpenAISettings

CHECK: Final = "model"

_MESSAGES: Final[list[Message]] = [
    {
        "role": "system",
        "content": "Write PostgreSQL. Reply with one JSON object: "
        '{"answerable": true, "sql": "…", "readings": [], "reason": "", "follow_up": ""}',
    },
    {"role": "user", "content": "Select the number 1."},
]
"""A minimal question in the form of a real one; about a hundred tokens with the reply's schema."""


def describe_endpoint(settings: OpenAISettings) -> str:
    """Return host and port of the endpoint; "" if none is configured."""
    return _client(settings).endpoint if settings.is_configured else ""


async def examine_model(settings: OpenAISettings) -> list[CheckResult]:
    """Ask the endpoint one short question, which costs about a hundred tokens."""
    if not settings.is_configured:
        return [
            CheckResult(
                Status.WARN,
                CHECK,
                "no key and no endpoint are set: `query` answers only verified questions",
                "set PG_MCP_OPENAI_API_KEY, or PG_MCP_OPENAI_BASE_URL for an endpoint that needs no key; "
                "`execute_sql` needs neither",
            )
        ]
    client = _client(settings)
    try:
        return await _ask(client, settings)
    finally:
        await client.aclose()


def _client(settings: OpenAISettings) -> ModelClient:
    return ModelClient(
        api_key=settings.api_key.get_secret_value() if settings.api_key else None,
        base_url=settings.base_url,
        model=settings.model,
        max_retries=0,  # intermittent failures must be reported
        timeout_s=settings.timeout_s,
    )


async def _ask(client: ModelClient, settings: OpenAISettings) -> list[CheckResult]:
    await client.preload()
    started_s = time.monotonic()
    try:
        completion = await client.complete(_MESSAGES, timeout_s=settings.timeout_s)
    except ModelReplyError as error:
        return [
            CheckResult(
                Status.WARN,
                CHECK,
                f"{settings.model} at {client.endpoint} answers, but not in the requested form: {error}",
                error.hint,
            )
        ]
    except ModelError as error:
        return [failed_check(CHECK, error)]
    elapsed_ms = (time.monotonic() - started_s) * 1000
    tokens = completion.tokens_in + completion.tokens_out
    key = "PG_MCP_OPENAI_API_KEY is accepted" if settings.api_key else "no key is needed"
    text = f"{completion.model} at {client.endpoint} wrote SQL in {elapsed_ms:.0f} ms, {tokens} tokens; {key}"
    return [CheckResult(Status.OK, CHECK, text), _judge_reply_format(client)]


def _judge_reply_format(client: ModelClient) -> CheckResult:
    check = f"{CHECK}: structured output"
    if client.reply_format == "json_schema":
        return CheckResult(Status.OK, check, "replies follow a JSON schema")
    what = "JSON without a schema" if client.reply_format == "json_object" else "text"
    return CheckResult(
        Status.WARN,
        check,
        f"the endpoint does not support JSON schemas: replies are {what}, and more of them are unusable",
        "choose a model or an endpoint with structured output if answers often fail with model_reply",
    )
