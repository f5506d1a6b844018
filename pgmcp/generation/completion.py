"""From the bytes of a chat completion to a `SqlReply` with its price, or to one clear error."""

from dataclasses import dataclass

import msgspec

from pgmcp.errors import ModelReplyError
from pgmcp.generation.reply import SqlReply, parse_reply

_MAX_LINE_CHARACTERS = 300
_TEXT_PARTS = frozenset({"text", "output_text"})


@dataclass(frozen=True, slots=True)
class Completion:
    """A usable reply and its price.

    Attributes:
        tokens_in: tokens of the prompt as the endpoint counted them; 0 if it does not say.
        tokens_out: tokens of the reply, likewise.
        model: the model that answered, as the endpoint names it.
    """

    reply: SqlReply
    tokens_in: int
    tokens_out: int
    model: str


class _Part(msgspec.Struct):
    """A piece of a message; those of other types than "text" have no text."""

    type: str = "text"
    text: str | None = None


class _Message(msgspec.Struct):
    """What the model said.

    Attributes:
        content: text, or pieces of it: endpoints that can return pictures send a list.
        reasoning_content: the chain of thought as DeepSeek, vLLM and others name it; where the reply's form
            was enforced, some of them put the whole reply there and leave `content` empty.
        reasoning: the same, as others name it.
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
        # A thought in words may name SQL that was thrown away later; one that is JSON is the reply.
        is_reply = thought.startswith("{") and thought.endswith("}")
        return content or (thought if is_reply else "")


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Envelope(msgspec.Struct):
    """The part of a chat completion that we read."""

    choices: list[_Choice]
    usage: _Usage | None = None
    model: str | None = None


def read_completion(body: bytes, *, asked_model: str) -> Completion:
    """Return the first choice of the completion in `body`.

    Raises:
        ModelReplyError: it is no completion, or one without a usable reply.
    """
    try:
        envelope = msgspec.json.decode(body, type=_Envelope)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise ModelReplyError(
            "the model endpoint answered with something that is no chat completion",
            hint="check PG_MCP_OPENAI_BASE_URL, which usually ends in /v1",
            tokens_in=0,
            tokens_out=0,
        ) from None
    usage = envelope.usage or _Usage()
    # Never negative: a bill below nothing would refill the token budget.
    tokens_in, tokens_out = max(0, usage.prompt_tokens or 0), max(0, usage.completion_tokens or 0)
    try:
        reply = parse_reply(_content_of(envelope))
    except ModelReplyError as error:
        raise ModelReplyError(
            str(error), hint=error.hint, tokens_in=tokens_in, tokens_out=tokens_out
        ) from None
    return Completion(reply, tokens_in, tokens_out, envelope.model or asked_model)


def _content_of(envelope: _Envelope) -> str:
    if not envelope.choices:
        raise ModelReplyError("the model endpoint's answer holds no reply", hint="ask again")
    choice = envelope.choices[0]
    if choice.message.refusal:
        raise ModelReplyError(
            f"the model declined: {in_one_line(choice.message.refusal)}",
            hint="put the question in other words",
        )
    if choice.finish_reason == "length":
        raise ModelReplyError(
            "the model's reply was cut off at its length limit",
            hint="ask for less at once, or set PG_MCP_OPENAI_MODEL to a model with longer replies",
        )
    if choice.finish_reason == "content_filter":
        raise ModelReplyError(
            "the endpoint's content filter held the reply back", hint="put the question in other words"
        )
    return choice.message.text


def in_one_line(text: str) -> str:
    """Return others' words short enough for a message, without what is not printable."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= _MAX_LINE_CHARACTERS else line[: _MAX_LINE_CHARACTERS - 1] + "…"
