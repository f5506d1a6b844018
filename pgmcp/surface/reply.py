"""Replies of tools, and errors of other requests."""

from typing import Any, Final

from msgspec import Struct

INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL_ERROR: Final = -32603


class RequestError(Exception):
    """A request that is answered with a JSON-RPC error; `str()` is its message.

    Attributes:
        code: error code of JSON-RPC 2.0, section 5.1, or of the Model Context Protocol.
        data: further content of the error, or None.
    """

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.data = data


class ToolReply(Struct, frozen=True):
    """The result of a tool call.

    Attributes:
        content: content blocks of the protocol, text first.
        structured: the same as JSON values; None for an error.
        meta: the result's `_meta`, which hosts do not show to their model, or None.
        input_required: fields of the result that makes the host ask a person and call again (2026-07-28). The
            other attributes are then unused. None for every other result.
    """

    content: tuple[dict[str, Any], ...]
    structured: dict[str, Any] | None = None
    is_error: bool = False
    meta: dict[str, Any] | None = None
    input_required: dict[str, Any] | None = None

    @classmethod
    def from_text(
        cls, text: str, structured: dict[str, Any] | None = None, *, is_error: bool = False
    ) -> "ToolReply":
        """Return a reply of one block of text."""
        return cls((text_block(text),), structured, is_error)

    def as_result(self) -> dict[str, Any]:
        """Return the reply as the protocol's `CallToolResult`; its rows are JSON already (`msgspec.Raw`)."""
        if self.input_required is not None:
            return {"resultType": "input_required", **self.input_required}
        result: dict[str, Any] = {"content": self.content, "isError": self.is_error}
        if self.structured is not None:
            result["structuredContent"] = self.structured
        if self.meta is not None:
            result["_meta"] = self.meta
        return result


def text_block(text: str) -> dict[str, Any]:
    """Return a content block of text."""
    return {"type": "text", "text": text}
