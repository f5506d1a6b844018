"""An HTTP server on 127.0.0.1 with OpenAI's chat completions API and scripted replies.

    with ScriptedEndpoint() as endpoint:
        endpoint.reply(failure(429, retry_after_s=0), sql("SELECT 1"))
        ...                                  # point a client, or a server process, at endpoint.base_url
        assert "orders" in endpoint.requests[-1].prompt

Queued replies are sent first, in order. When the queue is empty, the function that was passed to `script`
answers. Without such a function, the endpoint answers with a 500 that tells clients not to retry.
"""

import json
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

TOKENS_IN = 120
TOKENS_OUT = 30


@dataclass(frozen=True)
class RecordedRequest:
    """A received request; header names are in lower case."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def messages(self) -> list[dict[str, str]]:
        messages: list[dict[str, str]] = self.body.get("messages", [])
        return messages

    @property
    def prompt(self) -> str:
        """All messages in one text."""
        return "\n\n".join(message["content"] for message in self.messages)

    @property
    def reply_schema(self) -> dict[str, Any]:
        """The JSON schema that the reply must follow; {} if there is none."""
        schema: dict[str, Any] = self.body.get("response_format", {}).get("json_schema", {}).get("schema", {})
        return schema


@dataclass(frozen=True)
class Reply:
    """A reply of the endpoint.

    Attributes:
        hold: the reply is sent once this is set, or when the endpoint is closed; None sends it at once.
        drop: close the connection without a reply.
    """

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    hold: threading.Event | None = None
    drop: bool = False


Script = Callable[[RecordedRequest], Reply]


def content(
    text: str | None,
    *,
    finish_reason: str = "stop",
    refusal: str | None = None,
    usage: tuple[int, int] | None = (TOKENS_IN, TOKENS_OUT),
    cached: int = 0,
) -> Reply:
    """A completion whose message is `text`.

    Args:
        usage: tokens of the prompt and of the reply; None reports none.
        cached: how many tokens of the prompt came from the cache.
    """
    message = {"role": "assistant", "content": text, "refusal": refusal}
    body: dict[str, Any] = {
        "id": "chatcmpl-scripted",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": "scripted-model",
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason, "logprobs": None}],
    }
    if usage is not None:
        tokens_in, tokens_out = usage
        body["usage"] = {
            "prompt_tokens": tokens_in,
            "completion_tokens": tokens_out,
            "total_tokens": tokens_in + tokens_out,
        }
        if cached:
            body["usage"]["prompt_tokens_details"] = {"cached_tokens": cached, "audio_tokens": 0}
    return raw(json.dumps(body).encode())


def reply_text(
    sql: str,
    *,
    assumptions: tuple[str, ...] = (),
    answerable: bool = True,
    reason: str = "",
) -> str:
    """The JSON text of a valid reply."""
    return json.dumps(
        {
            "sql": sql,
            "assumptions": list(assumptions),
            "answerable": answerable,
            "reason": reason,
        }
    )


def sql(statement: str, *, assumptions: tuple[str, ...] = ()) -> Reply:
    """A completion that answers with `statement`."""
    return content(reply_text(statement, assumptions=assumptions))


def readings(*titled: tuple[str, str]) -> Reply:
    """A completion with several readings, each as (title, SQL); the first is the usual one."""
    usual, *others = (f"-- {title}\n{statement}" for title, statement in titled)
    return content(json.dumps({"answerable": True, "sql": usual, "readings": others, "reason": ""}))


def unanswerable(reason: str) -> Reply:
    """A completion that says why the schema cannot answer."""
    return content(reply_text("", answerable=False, reason=reason))


def refusal(text: str) -> Reply:
    """A completion in which the model refuses to answer."""
    return content(None, refusal=text)


def failure(
    status: int,
    message: str = "scripted failure",
    *,
    code: str | None = None,
    param: str | None = None,
    retry_after_s: float | None = None,
) -> Reply:
    """An HTTP error in OpenAI's form."""
    error = {"message": message, "type": "scripted_error", "param": param, "code": code}
    headers = {} if retry_after_s is None else {"Retry-After": f"{retry_after_s:g}"}
    return raw(json.dumps({"error": error}).encode(), status=status, headers=headers)


def azure_content_filter() -> Reply:
    """Azure's answer to a prompt that its content filter blocks."""
    message = "The response was filtered due to the prompt triggering the content management policy"
    error = {
        "message": message,
        "param": "prompt",
        "code": "content_filter",
        "status": 400,
        "innererror": {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {}},
    }
    return raw(json.dumps({"error": error}).encode(), status=400)


def azure_content(text: str) -> Reply:
    """A completion with the results of Azure's content filter around it."""
    body = json.loads(content(text).body)
    results = {"hate": {"filtered": False, "severity": "safe"}}
    body["prompt_filter_results"] = [{"prompt_index": 0, "content_filter_results": results}]
    body["choices"][0]["content_filter_results"] = results
    return raw(json.dumps(body).encode())


def openrouter_error(code: int, message: str, *, status: int = 200, **metadata: Any) -> Reply:
    """OpenRouter's error; it has status 200 if the model failed after the answer had begun."""
    error = {"code": code, "message": message, "metadata": metadata}
    return raw(json.dumps({"error": error, "user_id": "user_1"}).encode(), status=status)


def openrouter_content(text: str | None, *, error: str = "") -> Reply:
    """OpenRouter's completion: white space comes first, and a choice can contain an error of the provider."""
    body = json.loads(content(text).body)
    body |= {"provider": "Some Provider", "model": "vendor/model"}
    choice = body["choices"][0]
    choice["native_finish_reason"] = "stop"
    choice["message"] |= {"reasoning": "first thoughts", "reasoning_details": [{"type": "reasoning.text"}]}
    if error:
        choice |= {"finish_reason": "error", "error": {"code": 502, "message": error}}
    return raw(b"\n         \n" + json.dumps(body).encode())


def raw(
    body: bytes,
    *,
    status: int = 200,
    content_type: str = "application/json",
    headers: dict[str, str] | None = None,
) -> Reply:
    """A reply of arbitrary bytes, as other software at that address might send."""
    return Reply(status, body, {"Content-Type": content_type, **(headers or {})})


def dropped_connection() -> Reply:
    """A reply that closes the connection before its first byte."""
    return Reply(0, b"", drop=True)


def held(reply: Reply, until: threading.Event) -> Reply:
    """Return a reply that is sent only once `until` is set."""
    return replace(reply, hold=until)


class ScriptedEndpoint:
    """The endpoint, as a context manager: it serves until the context ends.

    Attributes:
        requests: all requests so far, including refused ones.
        refused_parameters: a request that has one of these gets a 400 that names it, as from an endpoint
            without structured output ("response_format") or a reasoning model ("temperature").
        refuses_system_role: if true, a system message gets a 400, as from a chat template without that role.
            A status and a message can be given instead.
        demands_alternating_roles: a conversation that is not user, assistant, user … gets a 400, as from
            chat templates that accept only this order.
        api_key: when set, any other key gets a 401.
        takes_azure_keys: the key must be in the header "api-key"; an Authorization header gets a 401, as from
            Azure's deployment URLs.
    """

    def __init__(
        self,
        *,
        refused_parameters: tuple[str, ...] = (),
        api_key: str | None = None,
        refuses_system_role: bool | tuple[int, str] = False,
        demands_alternating_roles: bool = False,
        takes_azure_keys: bool = False,
    ) -> None:
        self.requests: list[RecordedRequest] = []
        self.refused_parameters = refused_parameters
        self.api_key = api_key
        self.refuses_system_role = refuses_system_role
        self.demands_alternating_roles = demands_alternating_roles
        self.takes_azure_keys = takes_azure_keys
        self._queue: deque[Reply] = deque()
        self._script: Script | None = None
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._server = _Server(("127.0.0.1", 0), self._answer, self._closed)

    @property
    def base_url(self) -> str:
        """The base URL for clients."""
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def reply(self, *replies: Reply) -> None:
        """Queue replies for the next requests, one each."""
        with self._lock:
            self._queue.extend(replies)

    def script(self, script: Script) -> None:
        """Answer requests with `script(request)` when the queue is empty."""
        with self._lock:
            self._script = script

    def forget(self) -> None:
        """Remove the recorded requests, the queue and the script."""
        with self._lock:
            self.requests.clear()
            self._queue.clear()
            self._script = None

    def __enter__(self) -> Self:
        # A short poll, because shutdown() waits for it in every test.
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closed.set()
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, request: RecordedRequest) -> Reply:
        with self._lock:
            self.requests.append(request)
            refused = self._refusal_of(request)
            if refused is not None:
                return refused
            if self._queue:
                return self._queue.popleft()
            script = self._script
        if script is None:
            reply = failure(500, "nothing is scripted for this request")
            return replace(reply, headers={**reply.headers, "x-should-retry": "false"})
        return script(request)

    def _has_key(self, request: RecordedRequest) -> bool:
        if self.takes_azure_keys:
            return request.headers.get("api-key") == self.api_key and "authorization" not in request.headers
        return self.api_key is None or request.headers.get("authorization") == f"Bearer {self.api_key}"

    def _refusal_of(self, request: RecordedRequest) -> Reply | None:
        if not request.path.partition("?")[0].endswith("/chat/completions"):
            return failure(404, f"no such path: {request.path}")
        if not self._has_key(request):
            return failure(401, "Incorrect API key provided", code="invalid_api_key")
        if self.refuses_system_role and request.messages[0]["role"] == "system":
            given = self.refuses_system_role
            return failure(*(given if isinstance(given, tuple) else (400, "System role not supported")))
        if self.demands_alternating_roles and not _roles_alternate(request):
            return failure(400, "Conversation roles must alternate user/assistant/user/assistant/...")
        for name in self.refused_parameters:
            if name in request.body:
                return failure(
                    400, f"Unsupported parameter: '{name}'", code="unsupported_parameter", param=name
                )
        return None


def _roles_alternate(request: RecordedRequest) -> bool:
    roles = [message["role"] for message in request.messages]
    return all(role == ("assistant" if number % 2 else "user") for number, role in enumerate(roles))


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], answer: Script, closed: threading.Event) -> None:
        super().__init__(address, _ChatCompletions)
        self.answer = answer
        self.closed = closed

    def handle_error(self, request: object, client_address: object) -> None:
        """Log nothing, because clients disconnect in many tests."""


class _ChatCompletions(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        length_bytes = int(self.headers.get("Content-Length", 0))
        body = json.loads(self.rfile.read(length_bytes))
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = self.server.answer(RecordedRequest(self.path, headers, body))
        if reply.hold is not None:
            self._wait_for(reply.hold)
        if not reply.drop:
            self._send(reply)

    def _wait_for(self, event: threading.Event) -> None:
        while not event.wait(0.01) and not self.server.closed.is_set():
            pass

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

    def log_message(self, format: str, *args: object) -> None:
        """Write no access log."""
