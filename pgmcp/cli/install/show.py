"""A change of a file as a unified diff without secrets.

Only values of pgmcp's own entry are shown: these files contain keys of other servers, and Claude Code's file
contains prompts.
"""

import difflib
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pgmcp.cli.install.edit import Slot, find_entry
from pgmcp.cli.install.entry import is_secret, mask
from pgmcp.cli.install.jsonc import Node, parse

_CONTEXT_LINES: Final = 2
_OMITTED: Final = "…"
_REPLACED: Final = " (different)"


def render_change(before: str, after: str, slot: Slot, file_name: str) -> str:
    """Return the difference; "" if there is none."""
    lines = difflib.unified_diff(
        _hide(before, slot, _environment(after, slot)).splitlines(),
        _hide(after, slot, {}).splitlines(),
        file_name,
        file_name,
        "before",
        "after",
        n=_CONTEXT_LINES,
        lineterm="",
    )
    return "\n".join(lines)


def _hide(text: str, slot: Slot, replaced_by: Mapping[str, Any]) -> str:
    """Return the text without values of other entries and without secrets.

    Args:
        replaced_by: the entry's variables after the change; a secret that differs there is marked.
    """
    if not text.strip("\ufeff \t\r\n"):
        return text
    root = parse(text, takes_comments=slot.takes_comments)
    container = root.member(slot.container)
    entry = container.value.member(slot.name) if container else None
    pieces, end = [], 0
    for key, node in _texts(root):
        is_own = entry is not None and entry.start < node.start < entry.value.end
        shown = _show(key, node.value, replaced_by) if is_own else _OMITTED
        pieces += [text[end : node.start], json.dumps(shown, ensure_ascii=False)]
        end = node.end
    return "".join([*pieces, text[end:]])


def _texts(node: Node, key: str = "") -> Iterator[tuple[str, Node]]:
    """Yield the texts below a node in order, each with its nearest key."""
    if isinstance(node.value, str):
        yield key, node
    for member in node.members or ():
        yield from _texts(member.value, member.key)
    for item in node.items:
        yield from _texts(item, key)


def _show(variable: str, value: str, replaced_by: Mapping[str, Any]) -> str:
    is_replaced = is_secret(variable, value) and replaced_by.get(variable, value) != value
    return mask(variable, value) + (_REPLACED if is_replaced else "")


def _environment(text: str, slot: Slot) -> Mapping[str, Any]:
    environment = (find_entry(text, slot) or {}).get("env")
    return environment if isinstance(environment, dict) else {}
