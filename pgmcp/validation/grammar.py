"""Parses SQL with PostgreSQL's own grammar, through libpg_query.

The tree is the raw parse tree of the server, as nested dicts and lists. A node is `{"FuncCall": {...fields}}`
in its parent, or only its fields where the grammar allows one kind of node.

The library comes with the package `postgast`. This module does not import the package, but binds the library
with ctypes. The import would take 240 ms, because it builds a Python class for every node. Besides, the
package's protobuf decoder stops at 50 levels of nesting.
"""

import ctypes
import importlib.util
import json
import platform
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from pgmcp.errors import SqlRejectedError
from pgmcp.validation import bounds
from pgmcp.validation.lexer import TokenKind, tokenize
from pgmcp.validation.other_dialects import hint_for_syntax_error

Node = dict[str, Any]
"""The fields of a parse node; or a dict with one item, from the node's name to its fields."""


class Statement(NamedTuple):
    """One statement of a text.

    Attributes:
        kind: name of its node: SelectStmt, InsertStmt.
        start: 0-based character offset in the text.
    """

    kind: str
    fields: Node
    start: int


_LIBRARY_BY_SYSTEM = {"Linux": "libpg_query.so", "Darwin": "libpg_query.dylib", "Windows": "pg_query.dll"}


class _Error(ctypes.Structure):
    """`PgQueryError` of pg_query.h."""

    _fields_ = (
        ("message", ctypes.c_char_p),
        ("funcname", ctypes.c_char_p),
        ("filename", ctypes.c_char_p),
        ("lineno", ctypes.c_int),
        ("cursorpos", ctypes.c_int),  # 1-based, in characters; 0 when unknown
        ("context", ctypes.c_char_p),
    )


class _ParseResult(ctypes.Structure):
    """`PgQueryParseResult` of pg_query.h."""

    _fields_ = (
        ("parse_tree", ctypes.c_char_p),
        ("stderr_buffer", ctypes.c_char_p),
        ("error", ctypes.POINTER(_Error)),
    )


_MAX_QUICK_BRACKETS = 400
"""msgspec decodes a tree with at most this many brackets, in half the time of `json.loads`.

A tree with more brackets may be too deep: in msgspec, 900 levels of JSON overflow a stack of 256 KB.
"""

_decode_quickly = msgspec.json.Decoder(dict[str, Any]).decode


@cache
def _library() -> ctypes.CDLL:
    package = importlib.util.find_spec("postgast")
    if package is None or package.origin is None:
        raise ImportError("the package postgast, which contains PostgreSQL's grammar, is not installed")
    library = ctypes.CDLL(str(Path(package.origin).parent / _LIBRARY_BY_SYSTEM[platform.system()]))
    library.pg_query_parse.argtypes = (ctypes.c_char_p,)
    library.pg_query_parse.restype = _ParseResult
    library.pg_query_free_parse_result.argtypes = (_ParseResult,)
    library.pg_query_free_parse_result.restype = None
    return library


def parse(sql: str) -> list[Statement]:
    """Return the statements of a text that passed `pgmcp.validation.bounds`.

    Locations in the tree are 0-based byte offsets in the UTF-8 text.

    Raises:
        SqlRejectedError: the text is not valid PostgreSQL syntax, or is nested too deeply.
    """
    library = _library()
    result = library.pg_query_parse(sql.encode("utf-8"))
    try:
        if result.error:
            raise _syntax_error(sql, result.error.contents)
        tree = _decode(result.parse_tree)
    except RecursionError:
        raise SqlRejectedError(
            "the statement is nested too deeply", hint="split it into parts with WITH"
        ) from None
    finally:
        library.pg_query_free_parse_result(result)
    return [_statement(sql, raw) for raw in tree.get("stmts", ())]


def _decode(tree: bytes) -> Node:
    is_shallow = tree.count(b"{") + tree.count(b"[") <= _MAX_QUICK_BRACKETS
    return _decode_quickly(tree) if is_shallow else dict(json.loads(tree))


def _statement(sql: str, raw: Node) -> Statement:
    ((kind, fields),) = raw["stmt"].items()
    return Statement(kind, fields, character_offset(sql, raw.get("stmt_location", 0)))


def parse_with_parameters(sql: str) -> list[Statement]:
    """Return the statements of a text; a parameter such as `$1` is read as a column named "$1".

    Raises:
        SqlRejectedError: the text is not valid PostgreSQL syntax, or exceeds `pgmcp.validation.bounds`.
    """
    tokens = [token for token in tokenize(sql) if token.kind is TokenKind.PARAMETER]
    pieces, end = [], 0
    for token in tokens:
        pieces += [sql[end : token.start], f' "{token.text}" ']
        end = token.start + len(token.text)
    text, _ = bounds.trim_and_bound("".join((*pieces, sql[end:])))
    return parse(text)


def parse_body(sql: str) -> list[Node] | None:
    """Return the trees of a function's body, with NULL in place of parameters; None if it is not SQL."""
    try:
        text, _ = bounds.trim_and_bound(_without_parameters(sql))
        return [statement.fields for statement in parse(text)]
    except SqlRejectedError:
        return None


def _without_parameters(sql: str) -> str:
    """Return a function's body with NULL in place of its parameters."""
    tokens = [token for token in tokenize(sql) if token.kind is TokenKind.PARAMETER]
    starts = [0, *(token.start + len(token.text) for token in tokens)]
    ends = [*(token.start for token in tokens), len(sql)]
    return " NULL ".join(sql[start:end] for start, end in zip(starts, ends, strict=True))


def walk(root: Node) -> Iterator[tuple[str, Node]]:
    """Yield every node with its name, in the order of the tree."""
    pending: list[Any] = [root]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            yield from ((name, below) for name, below in value.items() if isinstance(below, dict))
            pending.extend(reversed(value.values()))
        elif isinstance(value, list):
            pending.extend(reversed(value))


def strings(names: list[Node]) -> list[str]:
    """Return the parts of a qualified name."""
    return [name["String"]["sval"] for name in names]


def name_of(step: Node) -> str:
    """Return the name of a step in a column reference or an indirection; "" for a star or a subscript."""
    return str(step.get("String", {}).get("sval", ""))


def is_star(output: Node) -> bool:
    """Return whether an output of a query, or an item of VALUES, stands for several columns."""
    value = output.get("ResTarget", {}).get("val", output)
    steps = value.get("ColumnRef", {}).get("fields") or value.get("A_Indirection", {}).get("indirection", [])
    return any("A_Star" in step for step in steps)


def constant_text(argument: Node) -> str:
    """Return a string constant in lower case, also from a cast or a named argument; "" for others."""
    ((kind, fields),) = argument.items()
    if kind in ("TypeCast", "NamedArgExpr"):
        return constant_text(fields["arg"])
    return str(fields.get("sval", {}).get("sval", "")).lower() if kind == "A_Const" else ""


def character_offset(sql: str, byte_offset: int) -> int:
    """Return the 0-based character offset of a byte offset in the UTF-8 text."""
    if sql.isascii():
        return byte_offset
    return len(sql.encode("utf-8")[:byte_offset].decode("utf-8", errors="ignore"))


def _syntax_error(sql: str, error: _Error) -> SqlRejectedError:
    position = error.cursorpos - 1 if error.cursorpos > 0 else None
    return SqlRejectedError(
        error.message.decode("utf-8", errors="replace"),
        hint=hint_for_syntax_error(sql, position),
        offending="" if position is None else _word_at(sql, position),
        position=position,
    )


def _word_at(sql: str, position: int) -> str:
    return next(iter(sql[position : position + 60].split()), "")
