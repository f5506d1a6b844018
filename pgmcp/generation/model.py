"""Sends a conversation to an OpenAI-compatible endpoint; returns a `SqlReply` or raises one clear error.

    complete ── build the client once (in a thread: importing openai takes most of a second)
       │
       ├── POST chat/completions, retried by the SDK ──▶ 400 or 422: drop a parameter, remember that
       │      temperature 0 ─▶ its default;  JSON schema ─▶ JSON object ─▶ plain text
       │
       └── envelope ─▶ refusal, cut off, empty … ─▶ parse_reply

The API key is only in the client and in the request header; it is never logged, raised or printed.
"""

import asyncio
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, cast
from urllib.parse import parse_qs, urlsplit, urlunsplit

from pgmcp.errors import ModelError, ModelNotConfiguredError, ModelReplyError
from pgmcp.generation.completion import (
    Completion,
    TextCompletion,
    read_completion,
    read_object,
    read_text,
)
from pgmcp.generation.model_errors import ModelErrors, retry_after_s
from pgmcp.generation.prompt import Message
from pgmcp.generation.reply import REPLY_SCHEMA

if TYPE_CHECKING:
    import openai
    from openai.types.chat import ChatCompletionMessageParam

_OPENAI_HOST = "api.openai.com"
_OPENAI_URL = f"https://{_OPENAI_HOST}/v1"

# The SDK requires a key; endpoints that need none ignore it.
_NO_KEY = "no-key"

# A host that accepts no connection within this time is down. The rest of the timeout is for the answer.
_CONNECT_TIMEOUT_S = 5.0

# At INFO and DEBUG, these loggers write URLs and response headers; some versions wrote whole prompts.
_LOGGERS_TO_QUIET = ("openai", "httpx2", "httpcore2", "httpx", "httpcore")

ReplyFormat = Literal["json_schema", "json_object", "plain"]

_NEXT_REPLY_FORMAT: dict[ReplyFormat, ReplyFormat] = {"json_schema": "json_object", "json_object": "plain"}


@dataclass(frozen=True, slots=True)
class _Parameters:
    """Parameters that an endpoint accepts; all are assumed to be accepted until it rejects one.

    Attributes:
        reply_format: the strictest reply format that the endpoint accepts.
        temperature: whether the endpoint accepts temperature 0, which makes SQL more reproducible; reasoning
            models accept only their default.
        system_role: whether the endpoint accepts a system message; some chat templates have no such role.
    """

    reply_format: ReplyFormat = "json_schema"
    temperature: bool = True
    system_role: bool = True

    def as_arguments(self, name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments of a request whose reply has to follow a schema."""
        match self.reply_format:
            case "json_schema":
                json_schema = {"name": name, "strict": True, "schema": schema}
                arguments: dict[str, Any] = {
                    "response_format": {"type": "json_schema", "json_schema": json_schema}
                }
            case "json_object":
                arguments = {"response_format": {"type": "json_object"}}
            case "plain":
                arguments = {}
        return {**arguments, "temperature": 0} if self.temperature else arguments

    def without_rejected(self, refusal: str) -> "_Parameters | None":
        """Return parameters without the rejected one, or None if nothing is left to drop.

        If a rejection mentions neither the temperature nor the role, response_format counts as rejected,
        because endpoints word that rejection in too many ways to recognise. Rejected requests cost no tokens.
        """
        if self.temperature and "temperature" in refusal:
            return replace(self, temperature=False)
        if self.system_role and _REJECTED_ROLE.search(refusal):
            return replace(self, system_role=False)
        simpler = _NEXT_REPLY_FORMAT.get(self.reply_format)
        return None if simpler is None else replace(self, reply_format=simpler)


_REJECTED_ROLE = re.compile(
    r"system[^.]{0,40}\brole|\brole[^.]{0,40}system|roles must alternate"
    r"|system (?:messages?|prompts?)\b|developer instruction|'system' is not supported|value: 'system'"
    r"|only user and assistant|unexpected (?:message )?role|first message must|valid role"
    r"|['\"]?user['\"]?,? (?:or|and) ['\"]?(?:assistant|model)\b"
    r"|\brole\b.{0,40}\buser\W+(?:assistant|model)\b"
    r"|start with a user|first message to have role|system\W+is not one of",
    re.IGNORECASE,
)


# OpenRouter's message if no provider of the model supports all parameters of a request.
_NO_SUCH_PROVIDER = re.compile(r"no (?:allowed )?(?:endpoints?|providers?)\b.{0,60}parameter", re.IGNORECASE)
_NOT_ABOUT_PARAMETERS = frozenset({"content_filter", "context_length_exceeded", "model_not_found"})


def _is_rejection(status: int, code: object, refusal: str) -> bool:
    """Return whether the endpoint refused a parameter or a role; llama.cpp does so with status 500."""
    if status in (400, 422):
        return code not in _NOT_ABOUT_PARAMETERS
    if status == 404:
        return bool(_NO_SUCH_PROVIDER.search(refusal))
    return status >= 500 and bool(_REJECTED_ROLE.search(refusal))


def _without_system_role(messages: Sequence[Message]) -> list[Message]:
    """Return the conversation with the system message merged into the first user message."""
    system, first, *others = messages
    if system["role"] != "system":
        return list(messages)
    return [{"role": "user", "content": f"{system['content']}\n\n{first['content']}"}, *others]


def _encodable(messages: Sequence[Message]) -> list[Message]:
    """Return the conversation with U+FFFD for halves of surrogate pairs, which rejected SQL may contain."""
    return [
        {"role": each["role"], "content": _LONE_SURROGATE.sub("\ufffd", each["content"])} for each in messages
    ]


_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")

_Read = TypeVar("_Read")

# Deadline of the request in this task, in event-loop time.
_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)


class ModelClient:
    """A client of one model at one endpoint; concurrent requests are allowed.

    It reads only proxy variables (HTTPS_PROXY, NO_PROXY …) from the environment, because OPENAI_API_KEY and
    similar variables may belong to another account. The creator must call `aclose`.

    Args:
        api_key: None for endpoints that need no key.
        base_url: the endpoint's address, which usually ends in "/v1"; None for OpenAI itself.
        model: the model's name at the endpoint.
        max_retries: number of further attempts after 408, 409, 429, 5xx and connection failures.
        timeout_s: timeout of one attempt.
    """

    def __init__(
        self, *, api_key: str | None, base_url: str | None, model: str, max_retries: int, timeout_s: float
    ) -> None:
        self._api_key = api_key or None
        self._base_url = base_url or None
        self._model = model
        self._max_retries = max_retries
        self._timeout_s = timeout_s
        self._client: openai.AsyncOpenAI | None = None
        self._building = asyncio.Lock()
        self._accepted = _Parameters()
        self._errors = ModelErrors(
            endpoint=self.endpoint, model=model, api_key=self._api_key, timeout_s=timeout_s
        )

    async def complete(self, messages: Sequence[Message], *, timeout_s: float) -> Completion:
        """Return the model's reply to `messages`.

        Args:
            messages: the conversation, system message first.
            timeout_s: timeout of all attempts together, with the waits between them.

        Raises:
            ModelNotConfiguredError: neither key nor endpoint is configured.
            ModelAuthError: the endpoint rejected the key.
            ModelReplyError: the answer contains no usable reply.
            ModelError: the endpoint gave no answer, because it is not reachable, overloaded or too slow, or
                does not know the model.
        """
        try:
            body = await self._request(messages, "sql_reply", REPLY_SCHEMA, timeout_s)
            return self._read(lambda: read_completion(body, asked_model=self._model))
        except ModelNotConfiguredError:
            raise
        except ModelError as error:
            error.model = error.model or self._model
            raise

    async def complete_object(
        self, messages: Sequence[Message], *, name: str, schema: Mapping[str, Any], timeout_s: float
    ) -> dict[str, Any]:
        """Return the model's reply to `messages` as a JSON object, which may violate the schema.

        Args:
            name: the schema's name.
            timeout_s: as for `complete`.

        Raises:
            ModelError: as `complete`.
        """
        body = await self._request(messages, name, schema, timeout_s)
        return self._read(lambda: read_object(body))

    async def complete_text(self, messages: Sequence[Message], *, timeout_s: float) -> TextCompletion:
        """Return the model's reply to `messages` as text, in any form.

        Raises:
            ModelError: as `complete`.
        """
        body = await self._request(messages, "", None, timeout_s)
        return self._read(lambda: read_text(body, asked_model=self._model))

    def _read(self, read: Callable[[], _Read]) -> _Read:
        """Read an answer; an error text of the endpoint in it is shown without the key."""
        try:
            return read()
        except ModelReplyError as error:
            error.args = (self._errors.without_key(str(error)),)
            raise

    @property
    def reply_format(self) -> ReplyFormat:
        """The reply format that the endpoint accepted last; before the first request, the preferred one."""
        return self._accepted.reply_format

    @property
    def endpoint(self) -> str:
        """Host and port, without credentials that the URL may contain."""
        if self._base_url is None:
            return _OPENAI_HOST
        return (urlsplit(self._base_url).netloc or self._base_url).rpartition("@")[2]

    async def preload(self) -> None:
        """Import the SDK in advance: this takes most of a second, which would delay the first question."""
        await self._connect()

    async def aclose(self) -> None:
        """Close the connections; running requests fail."""
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def _request(
        self, messages: Sequence[Message], name: str, schema: Mapping[str, Any] | None, timeout_s: float
    ) -> bytes:
        if self._api_key is None and self._base_url is None:
            raise ModelNotConfiguredError(
                "no model is configured to write SQL",
                hint="set PG_MCP_OPENAI_API_KEY, or PG_MCP_OPENAI_BASE_URL for an endpoint that needs no key",
            )
        try:
            async with asyncio.timeout(timeout_s) as timeout:
                _deadline.set(timeout.when())
                return await self._post(_encodable(messages), name, schema)
        except TimeoutError:
            raise self._errors.too_slow(timeout_s) from None

    async def _post(self, messages: Sequence[Message], name: str, schema: Mapping[str, Any] | None) -> bytes:
        client = await self._connect()
        import openai

        try:
            return await self._post_with_accepted_parameters(client, messages, name, schema)
        except openai.OpenAIError as error:
            raise self._errors.explain(error) from None
        except ValueError:  # a header or address cannot be encoded; the text may contain the key
            raise ModelError(
                f"the request to the model endpoint {self.endpoint} could not be encoded",
                hint="check PG_MCP_OPENAI_API_KEY and PG_MCP_OPENAI_BASE_URL for stray characters",
            ) from None

    async def _post_with_accepted_parameters(
        self,
        client: "openai.AsyncOpenAI",
        messages: Sequence[Message],
        name: str,
        schema: Mapping[str, Any] | None,
    ) -> bytes:
        import openai

        # Without a schema, the reply may have any form.
        parameters = self._accepted if schema is not None else replace(self._accepted, reply_format="plain")
        key_header = own_key_header(self._base_url or _OPENAI_URL, self._api_key)
        # The SDK accepts a request without Authorization only if the request itself omits it.
        own_headers: dict[str, str | openai.Omit] = {**key_header}
        if key_header:
            own_headers["Authorization"] = openai.Omit()
        while True:
            try:
                # The raw response: the SDK's model would accept any JSON, or a web page, as a completion.
                response = await client.chat.completions.with_raw_response.create(
                    model=self._model,
                    messages=cast(
                        "list[ChatCompletionMessageParam]",
                        list(messages) if parameters.system_role else _without_system_role(messages),
                    ),
                    extra_headers=own_headers,
                    **parameters.as_arguments(name, schema or {}),
                )
            except openai.APIStatusError as rejection:
                refusal = str(rejection)
                is_rejection = _is_rejection(rejection.status_code, rejection.code, refusal)
                weaker = parameters.without_rejected(refusal) if is_rejection else None
                if weaker is None:
                    raise
                parameters = weaker
            else:
                kept_format = (parameters if schema is not None else self._accepted).reply_format
                self._accepted = replace(parameters, reply_format=kept_format)
                body: bytes = response.content
                return body

    async def _connect(self) -> "openai.AsyncOpenAI":
        async with self._building:
            if self._client is None:
                self._client = await asyncio.to_thread(self._build_client)
            return self._client

    def _build_client(self) -> "openai.AsyncOpenAI":
        import openai

        for name in _LOGGERS_TO_QUIET:
            logging.getLogger(name).setLevel(logging.WARNING)
        base_url, query = split_base_url(self._base_url or _OPENAI_URL)
        client = openai.AsyncOpenAI(
            api_key=self._api_key or _NO_KEY,
            base_url=base_url,
            default_query=query,
            max_retries=self._max_retries,
            timeout=openai.Timeout(self._timeout_s, connect=min(_CONNECT_TIMEOUT_S, self._timeout_s)),
            http_client=openai.DefaultAsyncHttpxClient(
                event_hooks={"response": [_forbid_retry_beyond_deadline]},
                follow_redirects=False,  # another host would get the prompt, and the key of Azure's header
            ),
        )
        # The SDK has read these from OPENAI_ORG_ID, _PROJECT_ID, _ADMIN_KEY and _CUSTOM_HEADERS.
        client.organization = client.project = client.admin_api_key = None
        client._custom_headers = {}
        _ = client.chat.completions  # the first access imports a module: here, not on the event loop
        return client


async def _forbid_retry_beyond_deadline(response: Any) -> None:
    """Stop the SDK from retrying if the wait would exceed the request's deadline."""
    deadline = _deadline.get()
    if deadline is None or response.status_code < 400:
        return
    if asyncio.get_running_loop().time() + retry_after_s(response.headers) >= deadline:
        response.headers["x-should-retry"] = "false"  # the SDK obeys this header


_API_PATH: Final = re.compile(
    r"/(?:chat(?:/completions)?|completions|responses|models|embeddings|messages)\Z", re.IGNORECASE
)
"""Paths that may follow the base URL if an operator copied a whole address."""

_AZURE_HOST: Final = re.compile(
    r"\.(?:openai\.azure|cognitiveservices\.azure|services\.ai\.azure)\.(?:com|us|cn)\Z|\.azure-api\.net\Z",
    re.IGNORECASE,
)
_AZURE_PATH: Final = re.compile(r"/openai/deployments/", re.IGNORECASE)
_ENTRA_TOKEN: Final = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*")
"""A JSON Web Token, which Azure accepts in the Authorization header instead of a key."""


def split_base_url(url: str) -> tuple[str, dict[str, object]]:
    """Return the base URL, to which "/chat/completions" is appended, and the query of every request."""
    parts = urlsplit(url)
    path = _API_PATH.sub("", parts.path.rstrip("/"))
    query: dict[str, object] = {
        name: texts[0] if len(texts) == 1 else texts
        for name, texts in parse_qs(parts.query, keep_blank_values=True).items()
    }
    return urlunsplit((parts.scheme, parts.netloc, path, "", "")), query


def own_key_header(url: str, api_key: str | None) -> Mapping[str, str]:
    """Return the header that carries the key instead of Authorization; empty if Authorization carries it.

    The URLs of Azure's deployments do not accept a key in the Authorization header.
    """
    parts = urlsplit(url)
    is_azure = _AZURE_HOST.search(parts.hostname or "") or _AZURE_PATH.search(parts.path)
    if not api_key or not is_azure or _ENTRA_TOKEN.fullmatch(api_key):
        return {}
    return {"api-key": api_key}
