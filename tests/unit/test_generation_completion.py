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
        {"content": REPLY, "reasoning": {"text": "SELECT 2?"}},
        {"content": REPLY, "reasoning_content": ["SELECT 2?"], "refusal": False},
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "SELECT 2?"}]}, REPLY]},
        {"content": {"answerable": True, "sql": "SELECT 1"}},
        {"content": None, "tool_calls": [{"type": "function", "function": {"arguments": REPLY}}]},
        {"content": None, "tool_calls": [{"function": {"arguments": {"sql": "SELECT 1"}}}]},
        {"content": None, "function_call": {"name": "sql_reply", "arguments": REPLY}},
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
        {"content": None, "tool_calls": [{"function": {"arguments": REPLY}}] * 2},
    ],
)
def test_a_message_without_a_reply_is_an_error(message: dict[str, Any]) -> None:
    with pytest.raises(ModelReplyError, match="empty"):
        read_completion(body(message), asked_model="m")


@pytest.mark.parametrize(
    ("more", "counts", "model"),
    [
        ({"usage": "n/a", "model": 7}, (0, 0), "m"),
        ({"usage": {"prompt_tokens": 5.0, "completion_tokens": None}, "model": "named"}, (5, 0), "named"),
        ({"usage": {"prompt_tokens": float("nan"), "prompt_tokens_details": 1}, "error": ""}, (0, 0), "m"),
    ],
)
def test_fields_of_other_types_do_not_prevent_an_answer(
    more: dict[str, Any], counts: tuple[int, int], model: str
) -> None:
    choice = {"message": {"content": REPLY}, "finish_reason": 0}
    text = json.dumps({"choices": [choice], **more})

    found = read_completion(b"\xef\xbb\xbf" + text.encode(), asked_model="m")

    assert (found.reply.sql, (found.tokens_in, found.tokens_out), found.model) == ("SELECT 1", counts, model)


def events(*deltas: str, finish_reason: str | None, end: str = "") -> bytes:
    choices: list[dict[str, Any]] = [{"delta": {"content": text}, "finish_reason": None} for text in deltas]
    choices.append({"delta": {}, "finish_reason": finish_reason})
    lines = (f"data: {json.dumps({'model': 'streamed', 'choices': [choice]})}\n\n" for choice in choices)
    usage = json.dumps({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 8}})
    return (": processing\n\n" + "".join(lines) + f"data: {usage}\n\n" + end).encode()


@pytest.mark.parametrize(("finish_reason", "end"), [("stop", ""), (None, "data: [DONE]\n\n")])
def test_a_reply_that_is_streamed_without_being_asked_to_is_read(finish_reason: str | None, end: str) -> None:
    body = events(REPLY[:10], REPLY[10:], finish_reason=finish_reason, end=end)

    found = read_completion(body, asked_model="m")

    assert (found.reply.sql, found.tokens_in, found.tokens_out, found.model) == ("SELECT 1", 7, 8, "streamed")


def test_a_stream_that_ends_early_fails() -> None:
    body = events("SELECT name FROM users", finish_reason=None)

    with pytest.raises(ModelReplyError, match="its stream ended early"):
        read_completion(body, asked_model="m")


@pytest.mark.parametrize("finish_reason", ["length", "max_tokens", "MAX_TOKENS", "model_length"])
def test_a_reply_that_was_cut_off_fails(finish_reason: str) -> None:
    choice = {"message": {"content": "SELECT name FROM users"}, "finish_reason": finish_reason}

    with pytest.raises(ModelReplyError, match="cut off"):
        read_completion(json.dumps({"choices": [choice]}).encode(), asked_model="m")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"error": "model not loaded"}, "could not finish the reply: model not loaded"),
        ({"error": {"error": {"message": "overloaded"}}}, "could not finish the reply: overloaded"),
        ({"choices": [{"error": "provider down"}]}, "could not finish the reply: provider down"),
        ({"detail": "Not Found"}, "not a chat completion: Not Found"),
        ({"message": "no credits", "status": 402}, "not a chat completion: no credits"),
    ],
)
def test_an_error_with_status_200_is_reported_with_its_reason(answer: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelReplyError, match=words):
        read_completion(json.dumps(answer).encode(), asked_model="m")
