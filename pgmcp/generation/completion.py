"""Reads the reply of a model, and its token counts, from the bytes of a chat completion."""

import json
import math
import re
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from pgmcp.errors import ModelReplyError
from pgmcp.generation.reply import SqlReply, last_object, parse_reply

_MAX_LINE_CHARACTERS = 300
_TEXT_PARTS = frozenset({"text", "output_text"})
_CUT_OFF: Final = ("length", "max_tokens", "MAX_TOKENS", "model_length")
_EVENT: Final = re.compile(rb"\A\s*(?:data:|event:|id:|:)")
"""The beginning of a stream of server-sent events; a line that begins with a colon is a comment."""

_STREAM_END: Final = re.compile(rb"^data:\s*\[DONE\]", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Completion:
    """A usable reply and its token counts.

    Attributes:
        tokens_in: tokens of the prompt as counted by the endpoint; 0 if it does not report them.
        tokens_out: tokens of the reply as counted by the endpoint; 0 if it does not report them.
        tokens_cached: tokens of the prompt from the provider's cache; 0 if the endpoint does not report them.
        model: the model that answered, as the endpoint names it.
    """

    reply: SqlReply
    tokens_in: int
    tokens_out: int
    model: str
    tokens_cached: int = 0


class _Message(msgspec.Struct):
    """The model's message. Endpoints differ in the types of all fields, so none is checked here.

    Attributes:
        content: text, an object, or a list of parts from endpoints that can return images.
        reasoning_content: the chain of thought, as DeepSeek, vLLM and others name it. With an enforced reply
            format, some endpoints put the whole reply there and leave `content` empty.
        reasoning: the chain of thought, as other endpoints name it.
        tool_calls: gateways to models without structured output make the reply the arguments of a call.
        function_call: the older form of `tool_calls`.
    """

    content: Any = None
    refusal: Any = None
    reasoning_content: Any = None
    reasoning: Any = None
    tool_calls: Any = None
    function_call: Any = None

    @property
    def text(self) -> str:
        thought = _as_text(self.reasoning_content) or _as_text(self.reasoning)
        # Prose may contain discarded SQL, so only JSON in the chain of thought counts as the reply.
        is_reply = thought.startswith("{") and thought.endswith("}")
        return _text_of(self.content) or self._arguments or (thought if is_reply else "")

    @property
    def _arguments(self) -> str:
        calls = self.tool_calls if isinstance(self.tool_calls, list) else []
        functions = [each.get("function") for each in calls if isinstance(each, dict)] or [self.function_call]
        if len(functions) != 1 or not isinstance(functions[0], dict):
            return ""
        return _text_of(functions[0].get("arguments"))


def _text_of(content: Any) -> str:
    """Return the text of a message's content: of its text parts, or of an object as JSON."""
    if isinstance(content, dict):
        return json.dumps(content)
    if isinstance(content, list):
        return "".join(map(_text_of_part, content))
    return content if isinstance(content, str) else ""


def _text_of_part(part: Any) -> str:
    if isinstance(part, dict):
        part = part.get("text") if part.get("type", "text") in _TEXT_PARTS else ""
    return part if isinstance(part, str) else ""


def _as_text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


class _Choice(msgspec.Struct):
    message: _Message = msgspec.field(default_factory=_Message)
    delta: _Message | None = None
    finish_reason: Any = None
    error: Any = None


class _Envelope(msgspec.Struct):
    """The parts of a chat completion that are used.

    Attributes:
        error: an error in a response with status 200; OpenRouter sends it if generation fails midway.
        detail: the reason in errors of other software, as `message`.
    """

    choices: list[_Choice] | None = None
    error: Any = None
    usage: Any = None
    model: Any = None
    detail: Any = None
    message: Any = None

    def count_tokens(self, name: str) -> int:
        """Return a count of tokens; 0 if the endpoint does not report it as a number."""
        return _count(self.usage, name)


def _count(usage: Any, name: str) -> int:
    number = usage.get(name) if isinstance(usage, dict) else None
    # Not below 0, because a negative count would refill the token budget.
    return max(0, int(number)) if isinstance(number, int | float) and math.isfinite(number) else 0


@dataclass(frozen=True, slots=True)
class TextCompletion:
    """A reply as text, and its token counts as in `Completion`."""

    text: str
    tokens_in: int
    tokens_out: int
    model: str
    tokens_cached: int = 0


def read_completion(body: bytes, *, asked_model: str) -> Completion:
    """Return the first choice of the completion in `body`.

    Raises:
        ModelReplyError: the body is not a completion, or has no usable reply.
    """
    found = read_text(body, asked_model=asked_model)
    try:
        reply = parse_reply(found.text)
    except ModelReplyError as error:
        raise ModelReplyError(
            str(error), hint=error.hint, tokens_in=found.tokens_in, tokens_out=found.tokens_out
        ) from None
    return Completion(reply, found.tokens_in, found.tokens_out, found.model, found.tokens_cached)


def read_text(body: bytes, *, asked_model: str) -> TextCompletion:
    """Return the text of the first choice of the completion in `body`.

    Raises:
        ModelReplyError: the body is not a completion, or its reply is missing, cut off or refused.
    """
    envelope = _read_envelope(body)
    tokens_in, tokens_out = envelope.count_tokens("prompt_tokens"), envelope.count_tokens("completion_tokens")
    model = _as_text(envelope.model) or asked_model
    try:
        text = _content_of(envelope)
    except ModelReplyError as error:
        error.tokens_in, error.tokens_out, error.model = tokens_in, tokens_out, model
        raise
    details = envelope.usage.get("prompt_tokens_details") if isinstance(envelope.usage, dict) else None
    return TextCompletion(
        text, tokens_in, tokens_out, model, min(tokens_in, _count(details, "cached_tokens"))
    )


def read_object(body: bytes) -> dict[str, Any]:
    """Return the last JSON object in the first choice of the completion in `body`.

    Raises:
        ModelReplyError: the body is not a completion, or its reply has no object.
    """
    return last_object(_content_of(_read_envelope(body)))


def _read_envelope(body: bytes) -> _Envelope:
    envelope = _merge_events(body) if _EVENT.search(body) else _decode(body)
    if envelope.choices is None and not envelope.error:
        detail = describe_failure(envelope.detail or envelope.message)
        raise ModelReplyError(
            "the model endpoint's answer is not a chat completion" + (f": {detail}" if detail else ""),
            hint="check PG_MCP_OPENAI_BASE_URL, which usually ends in /v1",
            tokens_in=0,
            tokens_out=0,
        )
    return envelope


def _decode(body: bytes) -> _Envelope:
    try:
        # The standard library also accepts NaN and halves of surrogate pairs, which some endpoints write.
        return msgspec.convert(json.loads(body.decode("utf-8-sig"), strict=False), _Envelope)
    except (ValueError, RecursionError):
        return _Envelope()


def _merge_events(body: bytes) -> _Envelope:
    """Return one completion for the events of an endpoint that streams its reply without being asked to."""
    merged = _Envelope()
    texts: dict[str, str] = {}
    choice = _Choice()
    for line in body.splitlines():
        event = _decode(line.removeprefix(b"data:")) if line.startswith(b"data:") else _Envelope()
        merged.error, merged.usage = merged.error or event.error, event.usage or merged.usage
        merged.model = merged.model or event.model
        for part in (event.choices or ())[:1]:
            merged.choices = [choice]
            choice.finish_reason = part.finish_reason or choice.finish_reason
            choice.error = choice.error or part.error
            for name in ("content", "refusal", "reasoning_content", "reasoning"):
                added = _text_of(getattr(part.delta or part.message, name))
                texts[name] = texts.get(name, "") + added
    choice.message = _Message(**texts)
    if not choice.finish_reason and not _STREAM_END.search(body):
        choice.error = choice.error or "its stream ended early"
    return merged


def _content_of(envelope: _Envelope) -> str:
    choices = envelope.choices or ()
    failure = next((each for each in (envelope.error, *(choice.error for choice in choices)) if each), None)
    if failure is not None or any(choice.finish_reason == "error" for choice in choices):
        detail = describe_failure(failure)
        raise ModelReplyError(
            "the model endpoint could not finish the reply" + (f": {detail}" if detail else ""),
            hint="try again, or set PG_MCP_OPENAI_MODEL to another model",
        )
    if not choices:
        raise ModelReplyError("the model endpoint's answer contains no reply", hint="ask again")
    choice = choices[0]
    if refusal := _as_text(choice.message.refusal):
        raise ModelReplyError(
            f"the model refused to answer: {in_one_line(refusal)}",
            hint="rephrase the question",
        )
    if choice.finish_reason in _CUT_OFF:
        raise ModelReplyError(
            "the model's reply was cut off at its length limit",
            hint="ask for less, or set PG_MCP_OPENAI_MODEL to a model with longer replies",
        )
    if choice.finish_reason == "content_filter":
        raise ModelReplyError("the endpoint's content filter blocked the reply", hint="rephrase the question")
    return choice.message.text


def describe_failure(error: Any) -> str:
    """Return an endpoint's own description of an error, in any of the usual forms, on one line; or ""."""
    if isinstance(error, list):
        error = error[0] if error else None
    if isinstance(error, dict):
        parts = (error.get(name) for name in ("message", "detail", "error", "msg"))
        return next((found for part in parts if (found := describe_failure(part))), "")
    return in_one_line(error) if isinstance(error, str) else ""


def in_one_line(text: str) -> str:
    """Return untrusted text on one line, shortened, without unprintable characters."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= _MAX_LINE_CHARACTERS else line[: _MAX_LINE_CHARACTERS - 1] + "…"
