"""Reads the reply of a model, and its token counts, from the bytes of a chat completion."""

from dataclasses import dataclass
from typing import Any

import msgspec

from pgmcp.errors import ModelReplyError
from pgmcp.generation.reply import SqlReply, last_object, parse_reply

_MAX_LINE_CHARACTERS = 300
_TEXT_PARTS = frozenset({"text", "output_text"})


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


class _Part(msgspec.Struct):
    """A part of a message; only the text of parts with a type in `_TEXT_PARTS` is used."""

    type: str = "text"
    text: str | None = None


class _Message(msgspec.Struct):
    """The model's message.

    Attributes:
        content: text, or a list of parts from endpoints that can return images.
        reasoning_content: the chain of thought, as DeepSeek, vLLM and others name it. With an enforced reply
            format, some endpoints put the whole reply there and leave `content` empty.
        reasoning: the chain of thought, as other endpoints name it.
    """

    content: str | list[_Part] | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None

    @property
    def text(self) -> str:
        content = self.content
        if isinstance(content, list):
            content = "".join(part.text or "" for part in content if part.type in _TEXT_PARTS)
        thought = (self.reasoning_content or self.reasoning or "").strip()
        # Prose may contain discarded SQL, so only JSON in the chain of thought counts as the reply.
        is_reply = thought.startswith("{") and thought.endswith("}")
        return content or (thought if is_reply else "")


class _Failure(msgspec.Struct):
    """An error inside a response with status 200; OpenRouter sends it if generation fails after the start."""

    message: str | None = None


class _Choice(msgspec.Struct):
    message: _Message = msgspec.field(default_factory=_Message)
    finish_reason: str | None = None
    error: _Failure | None = None


class _PromptDetails(msgspec.Struct):
    cached_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens: int | None = None


class _Envelope(msgspec.Struct):
    """The parts of a chat completion that are used."""

    choices: list[_Choice] | None = None
    error: _Failure | None = None
    usage: _Usage | None = None
    model: str | None = None


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
    usage = envelope.usage or _Usage()
    # Not below 0, because a negative count would refill the token budget.
    tokens_in, tokens_out = max(0, usage.prompt_tokens or 0), max(0, usage.completion_tokens or 0)
    try:
        text = _content_of(envelope)
    except ModelReplyError as error:
        error.tokens_in, error.tokens_out, error.model = tokens_in, tokens_out, envelope.model or asked_model
        raise
    details = usage.prompt_tokens_details
    tokens_cached = min(tokens_in, max(0, (details and details.cached_tokens) or 0))
    return TextCompletion(text, tokens_in, tokens_out, envelope.model or asked_model, tokens_cached)


def read_object(body: bytes) -> dict[str, Any]:
    """Return the last JSON object in the first choice of the completion in `body`.

    Raises:
        ModelReplyError: the body is not a completion, or its reply has no object.
    """
    return last_object(_content_of(_read_envelope(body)))


def _read_envelope(body: bytes) -> _Envelope:
    try:
        envelope = msgspec.json.decode(body, type=_Envelope)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        envelope = _Envelope()
    if envelope.choices is None and envelope.error is None:
        raise ModelReplyError(
            "the model endpoint's answer is not a chat completion",
            hint="check PG_MCP_OPENAI_BASE_URL, which usually ends in /v1",
            tokens_in=0,
            tokens_out=0,
        )
    return envelope


def _content_of(envelope: _Envelope) -> str:
    choices = envelope.choices or ()
    failure = next((each for each in (envelope.error, *(choice.error for choice in choices)) if each), None)
    if failure is not None or any(choice.finish_reason == "error" for choice in choices):
        detail = in_one_line(failure.message or "") if failure else ""
        raise ModelReplyError(
            "the model endpoint could not finish the reply" + (f": {detail}" if detail else ""),
            hint="try again, or set PG_MCP_OPENAI_MODEL to another model",
        )
    if not choices:
        raise ModelReplyError("the model endpoint's answer contains no reply", hint="ask again")
    choice = choices[0]
    if choice.message.refusal:
        raise ModelReplyError(
            f"the model refused to answer: {in_one_line(choice.message.refusal)}",
            hint="rephrase the question",
        )
    if choice.finish_reason == "length":
        raise ModelReplyError(
            "the model's reply was cut off at its length limit",
            hint="ask for less, or set PG_MCP_OPENAI_MODEL to a model with longer replies",
        )
    if choice.finish_reason == "content_filter":
        raise ModelReplyError("the endpoint's content filter blocked the reply", hint="rephrase the question")
    return choice.message.text


def in_one_line(text: str) -> str:
    """Return untrusted text on one line, shortened, without unprintable characters."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= _MAX_LINE_CHARACTERS else line[: _MAX_LINE_CHARACTERS - 1] + "…"
