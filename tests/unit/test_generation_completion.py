import json
from typing import Any

import pytest

from pgmcp.errors import ModelReplyError
from pgmcp.generation.completion import read_completion

REPLY = '{"answerable": true, "sql": "SELECT 1"}'


def body(message: dict[str, Any]) -> bytes:
    return json.dumps({"choices": [{"message": {"role": "assistant", **message}}]}).encode()


@pytest.mark.parametrize(
    "message",
    [
        {"content": REPLY},
        {"content": [{"type": "text", "text": REPLY[:10]}, {"type": "text", "text": REPLY[10:]}]},
        {"content": [{"type": "reasoning", "text": "SELECT 2?"}, {"type": "output_text", "text": REPLY}]},
        {"content": [{"type": "image_url", "image_url": {"url": "x"}}, {"type": "text", "text": REPLY}]},
        {"content": REPLY, "reasoning_content": '{"sql": "SELECT 2"}'},
        {"content": None, "reasoning_content": f"\n{REPLY}\n"},
        {"content": "", "reasoning": REPLY},
    ],
)
def test_the_reply_is_read_from_every_form_of_response(message: dict[str, Any]) -> None:
    assert read_completion(body(message), asked_model="m").reply.sql == "SELECT 1"


@pytest.mark.parametrize(
    "message",
    [
        {"content": None},
        {"content": []},
        {"content": [{"type": "text"}]},
        {"content": None, "reasoning_content": f"I first thought of {REPLY} but no"},
    ],
)
def test_a_message_without_a_reply_is_an_error(message: dict[str, Any]) -> None:
    with pytest.raises(ModelReplyError, match="empty"):
        read_completion(body(message), asked_model="m")
