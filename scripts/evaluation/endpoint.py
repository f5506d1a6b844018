"""The endpoint of both contestants: forwards to a real model or replays a script, and counts tokens.

All requests use one HTTP server on the loopback interface, so that calls and tokens are counted in the same
way for both contestants, including failed calls. One question is asked at a time.
"""

import http.client
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final
from urllib.parse import urlsplit

from pgmcp.tokens import estimate_tokens
from testing.openai_endpoint import RecordedRequest, Reply, Script, ScriptedEndpoint, content, raw, reply_text

OPENAI_URL: Final = "https://api.openai.com/v1"
UPSTREAM_TIMEOUT_S: Final = 120.0

_GARBAGE: Final = (
    "I would rather talk about the weather.",
    "",
    '{"sql": "select 1',
    "```json\n{}\n```",
    '{"answerable": true, "sql": "", "assumptions": [], "reason": ""}',
    "{" * 500,
)


class Form(StrEnum):
    """The form of replies that a contestant expects."""

    CONTRACT = "contract"
    PLAIN = "plain"


@dataclass(slots=True)
class Bill:
    """The cost of the calls for one question, as the endpoint counts."""

    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0


class MeteredEndpoint:
    """The endpoint of the contestants.

    Attributes:
        base_url: the endpoint's URL.
        form: form of scripted replies, set for the current contestant.
        first_prompt: of the current question.
    """

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self.form = Form.CONTRACT
        self.first_prompt = ""
        self._bill = Bill()
        self._replies: list[str] = []

    def begin(self, form: Form, replies: list[str] | None = None) -> None:
        """Reset the counts; a script replays these replies in turn, and then repeats the last one."""
        self.form = form
        self.first_prompt = ""
        self._bill = Bill()
        self._replies = replies or []

    @property
    def bill(self) -> Bill:
        """The cost since `begin`."""
        return self._bill

    def answer_from(self, source: Script) -> Script:
        """Return a script that takes replies from `source` and counts their tokens."""

        def answer(request: RecordedRequest) -> Reply:
            self._bill.calls += 1
            self.first_prompt = self.first_prompt or request.prompt
            reply = source(request)
            usage = _usage(reply)
            self._bill.tokens_in += usage.get("prompt_tokens", 0)
            self._bill.tokens_out += usage.get("completion_tokens", 0)
            return reply

        return answer

    def replay(self, request: RecordedRequest) -> Reply:
        """Answer with the next scripted reply; tokens are estimated."""
        place = min(self._bill.calls, len(self._replies)) - 1
        text = self._replies[place]
        return content(text, usage=(estimate_tokens(request.prompt), estimate_tokens(text)))


def replies_with(form: Form, statements: list[str]) -> list[str]:
    """Return replies with these statements in a contestant's form."""
    if form is Form.CONTRACT:
        return [reply_text(statement) for statement in statements]
    return [f"```sql\n{statement}\n```" for statement in statements]


def garbage(number: int) -> list[str]:
    """Return unusable replies, of a different kind for each question."""
    return [_GARBAGE[number % len(_GARBAGE)]]


@contextmanager
def scripted_endpoint() -> Iterator[MeteredEndpoint]:
    """Open an endpoint that replays the replies given to `MeteredEndpoint.begin`."""
    with ScriptedEndpoint() as server:
        metered = MeteredEndpoint(server.base_url)
        server.script(metered.answer_from(metered.replay))
        yield metered


@contextmanager
def passing_endpoint(upstream_url: str) -> Iterator[MeteredEndpoint]:
    """Open an endpoint that forwards requests, with their key, to `upstream_url`."""
    with ScriptedEndpoint() as server:
        metered = MeteredEndpoint(server.base_url)
        server.script(metered.answer_from(_pass_on(upstream_url)))
        yield metered


def _pass_on(upstream_url: str) -> Callable[[RecordedRequest], Reply]:
    upstream = urlsplit(upstream_url)
    connect = http.client.HTTPSConnection if upstream.scheme == "https" else http.client.HTTPConnection

    def ask(request: RecordedRequest) -> Reply:
        headers = {"Content-Type": "application/json"}
        if "authorization" in request.headers:
            headers["Authorization"] = request.headers["authorization"]
        connection = connect(upstream.hostname or "", upstream.port, timeout=UPSTREAM_TIMEOUT_S)
        try:
            path = upstream.path.rstrip("/") + request.path.removeprefix("/v1")
            connection.request("POST", path, json.dumps(request.body), headers)
            response = connection.getresponse()
            content_type = response.headers.get("Content-Type", "application/json")
            kept = {name: text for name, text in response.headers.items() if name.lower() == "retry-after"}
            return raw(response.read(), status=response.status, content_type=content_type, headers=kept)
        except OSError as error:
            return raw(str(error).encode(), status=502, content_type="text/plain")
        finally:
            connection.close()

    return ask


def _usage(reply: Reply) -> dict[str, Any]:
    try:
        usage: dict[str, Any] = json.loads(reply.body).get("usage") or {}
    except (ValueError, AttributeError):
        return {}
    return usage
