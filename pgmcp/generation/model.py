"""One question to an OpenAI-compatible endpoint, and its answer as a `SqlReply` or one clear error.

    complete ── build the client once (in a thread: importing openai takes most of a second)
       │
       ├── POST chat/completions, retried by the SDK ──▶ 400 or 422: ask for less, and remember it
       │      temperature 0 ─▶ the endpoint's own;  JSON schema ─▶ JSON object ─▶ nothing
       │
       └── envelope ─▶ refusal, cut off, empty … ─▶ parse_reply

The key is in the client and in the request's header, and in nothing that is logged, raised or printed.
"""

import asyncio
import logging
import re
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, cast
from urllib.parse import parse_qs, urlsplit, urlunsplit

from pgmcp.errors import ModelError, ModelNotConfiguredError
from pgmcp.generation.completion import Completion, read_completion
from pgmcp.generation.model_errors import ModelErrors, retry_after_s
from pgmcp.generation.prompt import Message
from pgmcp.generation.reply import REPLY_SCHEMA

if TYPE_CHECKING:
    import openai
    from openai.types.chat import ChatCompletionMessageParam

_OPENAI_HOST = "api.openai.com"
_OPENAI_URL = f"https://{_OPENAI_HOST}/v1"

# The SDK demands a key; endpoints that need none ignore it.
_NO_KEY = "no-key"

# A host that does not take the connection by then is down; the rest of the time is for the answer.
_CONNECT_TIMEOUT_S = 5.0

# At INFO and DEBUG these write URLs and response headers, and have written whole prompts.
_LOGGERS_TO_QUIET = ("openai", "httpx2", "httpcore2", "httpx", "httpcore")

ReplyFormat = Literal["json_schema", "json_object", "plain"]

_RESPONSE_FORMAT_BY_REPLY_FORMAT: dict[ReplyFormat, dict[str, Any]] = {
    "json_schema": {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "sql_reply", "strict": True, "schema": REPLY_SCHEMA},
        }
    },
    "json_object": {"response_format": {"type": "json_object"}},
    "plain": {},
}

_NEXT_REPLY_FORMAT: dict[ReplyFormat, ReplyFormat] = {"json_schema": "json_object", "json_object": "plain"}


@dataclass(frozen=True, slots=True)
class _Parameters:
    """What an endpoint takes; the best is assumed until it refuses.

    Attributes:
        temperature: whether it takes temperature 0, which makes the same question give the same SQL more
            often; reasoning models refuse any but their own.
        system_role: whether it takes a system message; some chat templates have no such role.
    """

    reply_format: ReplyFormat = "json_schema"
    temperature: bool = True
    system_role: bool = True

    def as_arguments(self) -> dict[str, Any]:
        response_format = _RESPONSE_FORMAT_BY_REPLY_FORMAT[self.reply_format]
        return {**response_format, "temperature": 0} if self.temperature else response_format

    def without_what_was_refused(self, refusal: str) -> "_Parameters | None":
        """Return the next lesser request, or None when nothing is left to leave out.

        Endpoints word a refused response_format in too many ways to recognise, so any refusal that does not
        name the temperature is taken for one; refused requests cost no tokens.
        """
        if self.temperature and "temperature" in refusal:
            return replace(self, temperature=False)
        if self.system_role and _REFUSED_ROLE.search(refusal):
            return replace(self, system_role=False)
        lesser = _NEXT_REPLY_FORMAT.get(self.reply_format)
        return None if lesser is None else replace(self, reply_format=lesser)


_REFUSED_ROLE = re.compile(
    r"system[^.]{0,40}\brole|\brole[^.]{0,40}system|roles must alternate", re.IGNORECASE
)


def _without_system_role(messages: Sequence[Message]) -> list[Message]:
    """Return the conversation with the system message at the start of the user's first one."""
    system, first, *others = messages
    if system["role"] != "system":
        return list(messages)
    return [{"role": "user", "content": f"{system['content']}\n\n{first['content']}"}, *others]


# When the request in this task must have ended, in the event loop's time.
_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)


class ModelClient:
    """A client of one model at one endpoint; many questions may be in flight at once.

    Reads nothing from the environment but the proxy variables (HTTPS_PROXY, NO_PROXY …): OPENAI_API_KEY and
    its like may belong to another account. Whoever makes it calls `aclose`.

    Args:
        api_key: None for endpoints that need none.
        base_url: up to and with "/v1"; None for OpenAI itself.
        model: as the endpoint names it.
        max_retries: further attempts after 408, 409, 429, 5xx and connection failures.
        timeout_s: for one attempt.
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
            timeout_s: for everything, retries and the waits between them included.

        Raises:
            ModelNotConfiguredError: there is neither key nor endpoint.
            ModelAuthError: the endpoint refused the key.
            ModelReplyError: it answered, but with nothing that can be used.
            ModelError: it did not answer: unreachable, overloaded, out of time, unknown model.
        """
        if self._api_key is None and self._base_url is None:
            raise ModelNotConfiguredError(
                "no model is configured to write SQL",
                hint="set PG_MCP_OPENAI_API_KEY, or PG_MCP_OPENAI_BASE_URL for an endpoint that needs no key",
            )
        try:
            async with asyncio.timeout(timeout_s) as timeout:
                _deadline.set(timeout.when())
                body = await self._post(messages)
        except TimeoutError:
            raise self._errors.too_slow(timeout_s) from None
        return read_completion(body, asked_model=self._model)

    @property
    def reply_format(self) -> ReplyFormat:
        """How replies are asked for: what the endpoint took last, or the best, before it was asked."""
        return self._accepted.reply_format

    @property
    def endpoint(self) -> str:
        """Host and port, without the credentials a URL may carry."""
        if self._base_url is None:
            return _OPENAI_HOST
        return (urlsplit(self._base_url).netloc or self._base_url).rpartition("@")[2]

    async def preload(self) -> None:
        """Load the SDK, which takes most of a second; else the first question does."""
        await self._connect()

    async def aclose(self) -> None:
        """Close the connections; requests in flight fail."""
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def _post(self, messages: Sequence[Message]) -> bytes:
        client = await self._connect()
        import openai

        try:
            return await self._post_what_is_accepted(client, messages)
        except openai.OpenAIError as error:
            raise self._errors.explain(error) from None
        except ValueError:  # a header or address that cannot be encoded; its text may hold the key
            raise ModelError(
                f"no request to the model endpoint {self.endpoint} could be made",
                hint="look for stray characters in PG_MCP_OPENAI_API_KEY and PG_MCP_OPENAI_BASE_URL",
            ) from None

    async def _post_what_is_accepted(
        self, client: "openai.AsyncOpenAI", messages: Sequence[Message]
    ) -> bytes:
        import openai

        parameters = self._accepted
        while True:
            try:
                # The raw response: the SDK's own model of it takes any JSON, or a web page, for a completion.
                response = await client.chat.completions.with_raw_response.create(
                    model=self._model,
                    messages=cast(
                        "list[ChatCompletionMessageParam]",
                        list(messages) if parameters.system_role else _without_system_role(messages),
                    ),
                    **parameters.as_arguments(),
                )
            except (openai.BadRequestError, openai.UnprocessableEntityError) as refusal:
                weaker = parameters.without_what_was_refused(str(refusal))
                if weaker is None:
                    raise
                parameters = weaker
            else:
                self._accepted = parameters
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
                event_hooks={"response": [_forbid_retry_beyond_deadline]}
            ),
        )
        # The SDK takes these from OPENAI_ORG_ID, _PROJECT_ID, _ADMIN_KEY and _CUSTOM_HEADERS.
        client.organization = client.project = client.admin_api_key = None
        client._custom_headers = {}
        _ = client.chat.completions  # imported on first access: here rather than on the event loop
        return client


def split_base_url(url: str) -> tuple[str, dict[str, object]]:
    """Return the address that "/chat/completions" is added to, and the query that every request carries."""
    parts = urlsplit(url)
    path = parts.path.rstrip("/").removesuffix("/chat/completions")
    query: dict[str, object] = {
        name: texts[0] if len(texts) == 1 else texts
        for name, texts in parse_qs(parts.query, keep_blank_values=True).items()
    }
    return urlunsplit((parts.scheme, parts.netloc, path, "", "")), query


async def _forbid_retry_beyond_deadline(response: Any) -> None:
    """Have the SDK report a failure now rather than wait longer than the request has left."""
    deadline = _deadline.get()
    if deadline is None or response.status_code < 400:
        return
    if asyncio.get_running_loop().time() + retry_after_s(response.headers) >= deadline:
        response.headers["x-should-retry"] = "false"  # the SDK obeys an endpoint that says so
