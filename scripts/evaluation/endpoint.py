"""An endpoint with scripted replies and estimated tokens, which both contestants ask in place of a model.

The contestants are pgmcp and the plain prompt with which `pgmcp evaluate` compares it.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Final

from pgmcp.tokens import estimate_tokens
from testing.openai_endpoint import RecordedRequest, Reply, ScriptedEndpoint, content, reply_text

_GARBAGE: Final = (
    "I would rather talk about the weather.",
    "",
    '{"sql": "select 1',
    "```json\n{}\n```",
    '{"answerable": true, "sql": "", "assumptions": [], "reason": ""}',
    "{" * 500,
)


class Form(StrEnum):
    """The form of a contestant's replies: pgmcp's JSON object, or a code block with SQL."""

    CONTRACT = "contract"
    PLAIN = "plain"


class ScriptedReplies:
    """The endpoint's replies to one question of one contestant.

    Attributes:
        base_url: the endpoint's URL.
        first_prompt: the first prompt of the current question; "" if it was not asked yet.
    """

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self.first_prompt = ""
        self._replies: list[str] = []
        self._sent = 0

    def begin(self, replies: list[str]) -> None:
        """Replay these replies in turn, and then repeat the last one."""
        self.first_prompt = ""
        self._replies = replies
        self._sent = 0

    def replay(self, request: RecordedRequest) -> Reply:
        """Return the next reply; its token counts are estimates, and include the requested reply schema."""
        self.first_prompt = self.first_prompt or request.prompt
        text = self._replies[min(self._sent, len(self._replies) - 1)]
        self._sent += 1
        form = json.dumps(request.reply_schema, separators=(",", ":")) if request.reply_schema else ""
        return content(text, usage=(estimate_tokens(request.prompt + form), estimate_tokens(text)))


def replies_with(form: Form, statements: list[str]) -> list[str]:
    """Return replies with these statements in a contestant's form."""
    if form is Form.CONTRACT:
        return [reply_text(statement) for statement in statements]
    return [f"```sql\n{statement}\n```" for statement in statements]


def garbage(number: int) -> list[str]:
    """Return an unusable reply; its kind depends on the question's number."""
    return [_GARBAGE[number % len(_GARBAGE)]]


@contextmanager
def scripted_endpoint() -> Iterator[ScriptedReplies]:
    """Open an endpoint that replays the replies given to `ScriptedReplies.begin`."""
    with ScriptedEndpoint() as server:
        replies = ScriptedReplies(server.base_url)
        server.script(replies.replay)
        yield replies
