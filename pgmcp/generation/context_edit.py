"""Adding a verified question to the operator's file as text, so that comments and layout stay as they are."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pgmcp.errors import SettingsError
from pgmcp.generation.context_file import DatabaseContext, load_context
from pgmcp.generation.verified import VerifiedQuestion

if TYPE_CHECKING:
    import yaml

_STEP: Final = "  "
_BY_HAND = "add it by hand, in the form that the README shows under PG_MCP_CONTEXT_FILE"


def add_verified(path: Path, database: str, verified: VerifiedQuestion) -> None:
    """Append a pair to the verified questions of a database.

    The new text is read back before it takes the place of the old.

    Raises:
        SettingsError: the file cannot be read or written, the question is there already, or the file's form
            leaves no place for a line; nothing is changed then.
    """
    before = load_context(path)
    context = before.get(database, DatabaseContext())
    if any(True for wording in verified.wordings for _ in context.matches(wording)):
        raise SettingsError(f"{path}: this question is verified already", hint="change its SQL in the file")
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    place, indent, missing_keys = _find_place(lines, database, path)
    added = [*_open_keys(missing_keys, indent), *_entry(verified, indent + _STEP * len(missing_keys))]
    wanted = before | {database: replace(context, verified=(*context.verified, verified))}
    _put(path, "\n".join([*lines[:place], *added, *lines[place:]]) + "\n", wanted)


def _find_place(lines: list[str], database: str, path: Path) -> tuple[int, str, list[str]]:
    """Return the line to insert at, the indent there, and the keys that are missing above the entry."""
    import yaml

    node = yaml.compose("\n".join(lines), Loader=yaml.SafeLoader)
    keys = ["databases", database, "verified"]
    if node is None:
        return len(lines), "", keys
    while keys:
        if not isinstance(node, yaml.MappingNode) or node.flow_style:
            raise SettingsError(f"{path}: there is no line to add below {keys[0]!r}", hint=_BY_HAND)
        below = next((value for key, value in node.value if key.value == keys[0]), None)
        if below is None:
            break
        node, keys = below, keys[1:]
    if not keys and (not isinstance(node, yaml.SequenceNode) or node.flow_style):
        raise SettingsError(f"{path}: `verified` is no list of lines that begin with '- '", hint=_BY_HAND)
    return _end_line(node, lines), " " * node.start_mark.column, keys


def _end_line(node: "yaml.Node", lines: list[str]) -> int:
    """Return the number of the line after the node's last one that is not empty."""
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
    # JSON's strings are YAML's as well.
    yield f"{indent}- question: {json.dumps(verified.question, ensure_ascii=False)}"
    yield f"{indent}{_STEP}sql: |"
    yield from (f"{indent}{_STEP * 2}{line}".rstrip() for line in verified.sql.splitlines())


def _put(path: Path, text: str, wanted: dict[str, DatabaseContext]) -> None:
    """Put the text in place of the file's, if it says what is wanted."""
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=path.parent, suffix=".yaml", delete=False
        ) as new:
            new.write(text)
        written = Path(new.name)
    except OSError as error:
        raise SettingsError(f"cannot write {path}: {error.strerror}", hint=_BY_HAND) from error
    try:
        if load_context(written) != wanted:
            raise SettingsError(f"{path}: the pair would change what else the file says", hint=_BY_HAND)
        shutil.copymode(path, written)
        written.replace(path.resolve())
    finally:
        written.unlink(missing_ok=True)
