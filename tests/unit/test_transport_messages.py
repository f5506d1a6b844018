from typing import Any

import pytest

from pgmcp.transport.messages import BadMessageError, Request, decode, decode_plain, read_message

PARSE_ERROR = -32700
INVALID_REQUEST = -32600


@pytest.mark.parametrize(
    ("line", "value", "was_repaired"),
    [
        (b'{"a": 1}\r', {"a": 1}, False),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}, False),
        (b'"\\ud83d\\ude00"', "\U0001f600", False),
        (b"\"select '\\ud83d'\"", "select '\ufffd'", True),
        (b'"\\ude00\\ud83d"', "\ufffd\ufffd", True),
        (b'"caf\xe9"', "caf\ufffd", True),
        (
            b"[NaN, Infinity, -Infinity, 1e400, -1.5e999, 1.5, 2]",
            [None, None, None, None, None, 1.5, 2],
            True,
        ),
    ],
)
def test_a_line_with_invalid_unicode_is_decoded(line: bytes, value: Any, was_repaired: bool) -> None:
    assert decode(line) == (value, was_repaired)


@pytest.mark.parametrize("line", [b"this is not json", b"{", b"\xff\xfe", b"[" * 1_000_000, b"nan", b"{} {}"])
def test_a_line_that_is_not_json_is_refused(line: bytes) -> None:
    with pytest.raises(BadMessageError) as refused:
        decode(line)

    assert refused.value.code == PARSE_ERROR


@pytest.mark.parametrize(
    ("value", "request_id"),
    [
        (7, None),
        ({}, None),
        ({"jsonrpc": "2.0"}, None),
        ({"id": 1, "method": "ping"}, 1),
        ({"jsonrpc": "1.0", "id": "a", "method": "ping"}, "a"),
        ({"jsonrpc": "2.0", "id": 1, "method": 5}, 1),
        ({"jsonrpc": "2.0", "id": 1.5, "method": "ping"}, 1.5),
        ({"jsonrpc": "2.0", "id": None, "method": "ping"}, None),
        ({"jsonrpc": "2.0", "id": True, "method": "ping"}, None),
        ({"jsonrpc": "2.0", "id": {}, "method": "ping"}, None),
        ({"jsonrpc": "2.0", "id": 1, "method": "ping", "params": [1]}, 1),
    ],
)
def test_an_invalid_message_is_refused_with_its_id_if_it_has_one(value: Any, request_id: Any) -> None:
    with pytest.raises(BadMessageError) as refused:
        read_message(value)

    assert (refused.value.code, refused.value.id) == (INVALID_REQUEST, request_id)


@pytest.mark.parametrize(
    ("value", "request_"),
    [
        ({"jsonrpc": "2.0", "id": 0, "method": "ping"}, Request("ping", {}, 0)),
        ({"jsonrpc": "2.0", "id": "", "method": "ping", "params": None}, Request("ping", {}, "")),
        ({"jsonrpc": "2.0", "id": 1.0, "method": "ping"}, Request("ping", {}, 1.0)),
        ({"jsonrpc": "2.0", "method": "x", "params": {"_meta": 5}}, Request("x", {"_meta": 5})),
        ({"jsonrpc": "2.0", "id": 1, "result": {}}, None),
        ({"jsonrpc": "2.0", "id": 1, "error": {}}, None),
    ],
)
def test_a_valid_message_is_decoded(value: Any, request_: Request | None) -> None:
    assert read_message(value) == request_


@pytest.mark.parametrize(
    "line",
    [
        b'{"jsonrpc":"2.0","id":1,"method":"ping"}',
        b'{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"x","_meta":{"progressToken":1}}}\r',
        b'{"jsonrpc":"2.0","method":"notifications/initialized","params":null}',
        b'{"jsonrpc":"2.0","id":-3,"method":"ping","params":{},"more":[1]}',
    ],
)
def test_the_fast_decoder_reads_a_plain_line_as_the_complete_one_does(line: bytes) -> None:
    value, _ = decode(line)

    assert decode_plain(line) == read_message(value)


@pytest.mark.parametrize(
    "line",
    [
        b'{"jsonrpc":"2.0","id":null,"method":"ping"}',
        b'{"jsonrpc":"2.0","id":true,"method":"ping"}',
        b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}',
        b'{"jsonrpc":"2.0","id":1.0,"method":"ping"}',
        b'{"jsonrpc":"2.0","id":1,"result":{}}',
        b'{"jsonrpc":"1.0","id":1,"method":"ping"}',
        b'{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}',
        b'\xef\xbb\xbf{"jsonrpc":"2.0","id":1,"method":"ping"}',
        b'{"jsonrpc":"2.0","id":1,"method":"\xff"}',
        b'{"jsonrpc":"2.0","id":1,"method":"\\ud800"}',
        b"[]",
        b"",
    ],
)
def test_the_fast_decoder_leaves_any_other_line_to_the_complete_one(line: bytes) -> None:
    assert decode_plain(line) is None
