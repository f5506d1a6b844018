"""Inserts text into the context file without changing its comments and layout."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pgmcp.errors import SettingsError
from pgmcp.generation.context_file import DatabaseContext, load_context
from pgmcp.generation.verified import VerifiedQuestion

if TYPE_CHECKING:
    import yaml

_STEP: Final = "  "
_LISTS: Final = ("joins", "verified")
_BY_HAND = "add it by hand; the README shows the format under PG_MCP_CONTEXT_FILE"


def add_verified(path: Path, database: str, verified: VerifiedQuestion) -> None:
    """Append a question and its SQL to the verified questions of a database.

    The new text replaces the file only if it parses to the expected contexts.

    Raises:
        SettingsError: the file cannot be read or written, the question is already verified, or the file's
            layout allows no insertion. The file is then unchanged.
    """
    before = load_context(path)
    context = before.get(database, DatabaseContext())
    _require_new(path, context, verified.wordings)
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    added = insert_below(lines, (database, "verified"), list(_entry(verified, "")), path)
    wanted = before | {database: replace(context, verified=(*context.verified, verified))}
    replace_context(path, "\n".join(added) + "\n", wanted)


def require_new_question(path: Path, database: str, question: str) -> None:
    """Check that a question can be added to the verified questions of a database.

    Raises:
        SettingsError: the file cannot be read, or the question is already verified.
    """
    _require_new(path, load_context(path).get(database, DatabaseContext()), [question.strip()])


def _require_new(path: Path, context: DatabaseContext, wordings: Iterable[str]) -> None:
    if any(True for wording in wordings for _ in context.matches(wording)):
        raise SettingsError(f"{path}: this question is already verified", hint="change its SQL in the file")


def insert_below(lines: list[str], keys: Sequence[str], added: Sequence[str], path: Path) -> list[str]:
    """Return the file's lines, with new lines at the end of one part of a database.

    Args:
        keys: the database and its part, such as "verified"; both are created if they are missing.
        added: the lines to add, without indent.
        path: the file, for messages.

    Raises:
        SettingsError: the file's layout allows no insertion.
    """
    place, indent, missing_keys = _find_place(lines, keys, path)
    indent_below = indent + _STEP * len(missing_keys)
    new = [f"{indent_below}{line}".rstrip() for line in added]
    return [*lines[:place], *_open_keys(missing_keys, indent), *new, *lines[place:]]


def _find_place(lines: list[str], below: Sequence[str], path: Path) -> tuple[int, str, list[str]]:
    """Return the line to insert at, its indent, and the parent keys that are missing."""
    import yaml

    node = yaml.compose("\n".join(lines), Loader=yaml.SafeLoader)
    keys = ["databases", *below]
    part = keys[-1]
    expected = yaml.SequenceNode if part in _LISTS else yaml.MappingNode
    if node is None:
        return len(lines), "", keys
    while keys:
        if not isinstance(node, yaml.MappingNode) or node.flow_style:
            raise SettingsError(f"{path}: nothing can be added below {keys[0]!r}", hint=_BY_HAND)
        value = next((value for key, value in node.value if key.value == keys[0]), None)
        if value is None:
            break
        node, keys = value, keys[1:]
    if not keys and (not isinstance(node, expected) or node.flow_style):
        form = "a list of lines that begin with '- '" if part in _LISTS else "lines of the form `name: text`"
        raise SettingsError(f"{path}: `{part}` is not {form}", hint=_BY_HAND)
    return end_line(node, lines), " " * node.start_mark.column, keys


def end_line(node: "yaml.Node", lines: list[str]) -> int:
    """Return the number of the line after the node's last non-empty line."""
    while isinstance(node.value, list) and node.value:
        last = node.value[-1]
        node = last[1] if isinstance(last, tuple) else last
    end = node.end_mark.line + (1 if node.end_mark.column else 0)
    while end > 0 and not lines[end - 1].strip():
        end -= 1
    return end


def _open_keys(keys: list[str], indent: str) -> Iterator[str]:
    for depth, key in enumerate(keys):
        yield f"{indent}{_STEP * depth}{key}:"


def _entry(verified: VerifiedQuestion, indent: str) -> Iterator[str]:
    # A JSON string is also a YAML string.
    yield f"{indent}- question: {json.dumps(verified.question, ensure_ascii=False)}"
    yield f"{indent}{_STEP}sql: |"
    yield from (f"{indent}{_STEP * 2}{line}".rstrip() for line in verified.sql.splitlines())


def _write_beside(path: Path, text: str) -> Path:
    """Write a new file in the same folder; a failed write leaves no file."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, suffix=".yaml")
    written = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
    except BaseException:
        written.unlink(missing_ok=True)
        raise
    return written


def replace_context(path: Path, text: str, wanted: dict[str, DatabaseContext]) -> None:
    """Replace the file by the text, if it parses to the wanted contexts.

    Raises:
        SettingsError: the text has other contexts, or the file cannot be written. The file is unchanged then.
    """
    try:
        written = _write_beside(path, text)
    except OSError as error:
        raise SettingsError(f"cannot write {path}: {error.strerror}", hint=_BY_HAND) from error
    try:
        if load_context(written) != wanted:
            raise SettingsError(f"{path}: the addition would change other parts of the file", hint=_BY_HAND)
        shutil.copymode(path, written)
        written.replace(path.resolve())
    finally:
        written.unlink(missing_ok=True)
