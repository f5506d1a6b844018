"""Decodes and encodes JSON-RPC messages, and reports invalid ones."""

import json
import math
import re
from typing import Any, Final, Literal

import msgspec

from pgmcp.surface.reply import INVALID_REQUEST, RequestError

PARSE_ERROR: Final = -32700

Id = str | int | float | None
"""The id of a request; None only in an error about a message whose id cannot be read."""

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_REPLACEMENT: Final = "\ufffd"


class Request(msgspec.Struct, frozen=True):
    """A request, or a notification if it has no id."""

    method: str
    params: dict[str, Any]
    id: Id = None

    @property
    def meta(self) -> dict[str, Any]:
        """`params._meta`; {} if there is none."""
        meta = self.params.get("_meta")
        return meta if isinstance(meta, dict) else {}

    @property
    def is_notification(self) -> bool:
        """Whether it is a notification, which gets no answer."""
        return self.id is None


class _PlainLine(msgspec.Struct):
    """A line that is a request or notification without anything to repair or refuse."""

    jsonrpc: Literal["2.0"]
    method: str
    id: int | str | msgspec.UnsetType = msgspec.UNSET
    params: dict[str, Any] | None = None


_plain_decoder = msgspec.json.Decoder(_PlainLine)


class BadMessageError(Exception):
    """The input, or a part of a batch, is not a message.

    Attributes:
        code: the JSON-RPC error code.
        id: the id of the intended request, if it can be read.
    """

    def __init__(self, message: str, *, code: int = INVALID_REQUEST, id: Id = None) -> None:
        super().__init__(message)
        self.code = code
        self.id = id


def decode_plain(line: bytes) -> Request | None:
    """Return the request or notification in a line; None if the line needs `decode`."""
    try:
        plain = _plain_decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return Request(plain.method, plain.params or {}, None if plain.id is msgspec.UNSET else plain.id)


def decode(encoded: bytes) -> tuple[Any, bool]:
    """Return the JSON value of a message, and whether its text had to be repaired.

    Invalid UTF-8 becomes U+FFFD. So do halves of surrogate pairs, which JavaScript writes if a text was cut
    inside an emoji. NaN and infinite numbers, which Python writes, become null, as in JavaScript.

    Raises:
        BadMessageError: the message is not JSON, or is nested too deeply.
    """
    text = encoded.removeprefix(_BYTE_ORDER_MARK)
    try:
        return msgspec.json.decode(text), False
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    except RecursionError:
        raise BadMessageError("the message is JSON nested too deeply", code=PARSE_ERROR) from None
    try:
        decoded = text.decode("utf-8", errors="replace")
        value = json.loads(decoded, parse_constant=lambda _: None, parse_float=_finite)
        repaired = _LONE_SURROGATE.sub(_REPLACEMENT, json.dumps(value, ensure_ascii=False))
        return msgspec.json.decode(repaired), True
    except (ValueError, RecursionError):
        raise BadMessageError("the message is not JSON", code=PARSE_ERROR) from None


def _finite(digits: str) -> float | None:
    number = float(digits)
    return number if math.isfinite(number) else None


def read_message(value: Any) -> Request | None:
    """Return the request or notification; None for a response.

    Raises:
        BadMessageError: the value is not a message.
    """
    if not isinstance(value, dict):
        raise BadMessageError("a JSON-RPC message is an object")
    method, request_id = value.get("method"), value.get("id")
    if method is None and ("result" in value or "error" in value):
        return None
    shown_id = _readable_id(request_id)
    if value.get("jsonrpc") != "2.0":
        raise BadMessageError('"jsonrpc" is not "2.0"', id=shown_id)
    if not isinstance(method, str):
        raise BadMessageError('"method" is not a string', id=shown_id)
    if "id" in value and (shown_id is None or (isinstance(shown_id, float) and not shown_id.is_integer())):
        raise BadMessageError('"id" is neither a string nor an integer', id=shown_id)
    params = value.get("params")
    if params is None:
        params = {}
    if not isinstance(params, dict):
        raise BadMessageError('"params" is not an object', id=shown_id)
    return Request(method, params, shown_id)


def is_response(value: Any) -> bool:
    """Return whether a JSON value answers a request."""
    return isinstance(value, dict) and "method" not in value and ("result" in value or "error" in value)


def _readable_id(value: Any) -> Id:
    return value if isinstance(value, str | int | float) and not isinstance(value, bool) else None


def result_of(request_id: Id, result: dict[str, Any]) -> dict[str, Any]:
    """Return the message that answers a request."""
    return {"jsonrpc": "2.0", "id": request_id, "result": result}


def error_of(request_id: Id, error: RequestError | BadMessageError) -> dict[str, Any]:
    """Return the error message for a request; without an id if none can be read."""
    described: dict[str, Any] = {"code": error.code, "message": str(error)}
    if isinstance(error, RequestError) and error.data is not None:
        described["data"] = error.data
    message: dict[str, Any] = {"jsonrpc": "2.0", "error": described}
    if request_id is not None:
        message["id"] = request_id
    return message


def notification(method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return a notification, which gets no answer."""
    return {"jsonrpc": "2.0", "method": method, **({"params": params} if params else {})}
