"""Adds or removes an entry in the text of a host's file; the rest of the text is preserved."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pgmcp.cli.install.jsonc import Member, Node, describe_place, parse

_USUAL_INDENT = "  "


@dataclass(frozen=True, slots=True)
class Slot:
    """The position of an entry in a host's file.

    Attributes:
        container: the key of the object that holds all entries.
    """

    container: str
    name: str
    takes_comments: bool


def find_entry(text: str, slot: Slot) -> dict[str, Any] | None:
    """Return the existing entry.

    Raises:
        ValueError: the text is not JSON, or has something else where an object belongs.
    """
    entry = _locate(text, slot)[-1]
    return None if entry is None else dict(entry.value.value)


def set_entry(text: str, slot: Slot, entry: Mapping[str, Any]) -> str:
    """Return the text with the entry; other keys of an existing entry are kept.

    Raises:
        ValueError: as `find_entry` does.
    """
    if not text.strip("\ufeff \t\r\n"):
        return _render({slot.container: {slot.name: dict(entry)}}, "", _USUAL_INDENT, "\n") + "\n"
    for key, value in entry.items():
        root, container, there = _locate(text, slot)
        if container is None:
            return _insert(text, root, root, slot.container, {slot.name: dict(entry)})
        if there is None:
            return _insert(text, root, container.value, slot.name, dict(entry))
        text = _set_member(text, root, there.value, key, value)
    return text


def remove_entry(text: str, slot: Slot) -> str:
    """Return the text without the entry.

    Raises:
        ValueError: as `find_entry` does.
    """
    while True:
        _, container, entry = _locate(text, slot)
        if container is None or entry is None:
            return text
        text = _remove(text, container.value, entry)


def _locate(text: str, slot: Slot) -> tuple[Node, Member | None, Member | None]:
    """Return the root, the container and the entry."""
    if not text.strip("\ufeff \t\r\n"):
        return Node(0, 0, {}, ()), None, None
    root = parse(text, takes_comments=slot.takes_comments)
    _require_object(text, root)
    container = root.member(slot.container)
    if container is None:
        return root, None, None
    _require_object(text, container.value)
    entry = container.value.member(slot.name)
    if entry is not None:
        _require_object(text, entry.value)
    return root, container, entry


def _require_object(text: str, node: Node) -> None:
    if node.members is None:
        raise ValueError(f"{describe_place(text, node.start)}: expected an object, {{…}}")


def _set_member(text: str, root: Node, parent: Node, key: str, value: object) -> str:
    member = parent.member(key)
    if member is None:
        return _insert(text, root, parent, key, value)
    if member.value.value == value:
        return text
    rendered = _render(value, _indent_at(text, member.start), _indent_unit(text, root), _newline(text))
    return text[: member.value.start] + rendered + text[member.value.end :]


def _insert(text: str, root: Node, parent: Node, key: str, value: object) -> str:
    """Append a member to an object, after its comments."""
    closing = parent.end - 1
    last = parent.members[-1] if parent.members else None
    content_start = parent.start + 1 if last is None else last.value.end
    content_end = content_start + len(text[content_start:closing].rstrip())
    if _is_spread(text, parent):
        unit, newline = _indent_unit(text, root), _newline(text)
        outer = _indent_at(text, parent.start)
        indent = outer + unit if last is None else _indent_at(text, last.start) or outer + unit
        added = f"{newline}{indent}{json.dumps(key)}: {_render(value, indent, unit, newline)}"
        tail = "" if "\n" in text[content_end:closing] else f"{newline}{outer}"
    else:
        added, tail = f"{' ' if last else ''}{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}", ""
    comma = "," if last is not None and last.comma is None else ""
    if last is not None and last.comma is not None:
        added += ","  # the style of this file: a comma after the last member
    return text[:content_start] + comma + text[content_start:content_end] + added + tail + text[content_end:]


def _remove(text: str, parent: Node, member: Member) -> str:
    members = parent.members or ()
    index = members.index(member)
    before = members[index - 1] if index else None
    gap_start = parent.start + 1
    if before is not None and before.comma is not None:
        gap_start = before.comma + 1
    end = member.value.end if member.comma is None else member.comma + 1
    if len(members) == 1 and not (text[gap_start : member.start] + text[end : parent.end - 1]).strip():
        return text[:gap_start] + text[parent.end - 1 :]
    start = _start_of_cut(text, gap_start, member.start, end)
    if before is not None and before.comma is not None and member.comma is None:
        return text[: before.comma] + text[gap_start:start] + text[end:]
    return text[:start] + text[end:]


def _start_of_cut(text: str, gap_start: int, key_start: int, end: int) -> int:
    """Return where to cut: before the whitespace in front of the key, or at the key if a comment is there."""
    gap = text[gap_start:key_start].rstrip()
    rest_of_line = text[end:].partition("\n")[0]
    return key_start if gap and rest_of_line.strip() else gap_start + len(gap)


def _is_spread(text: str, parent: Node) -> bool:
    """Return whether a new member gets its own line."""
    members = parent.members or ()
    if not members:
        return "\n" in text.strip() or not text.strip("\ufeff{} \t\r\n")
    starts = [member.start for member in members] + [parent.end]
    ends = [parent.start, *(member.value.end for member in members)]
    return any("\n" in text[end:start] for end, start in zip(ends, starts, strict=True))


def _render(value: object, indent: str, unit: str, newline: str) -> str:
    lines = json.dumps(value, indent=unit, ensure_ascii=False).split("\n")
    return f"{newline}{indent}".join(lines)


def _indent_at(text: str, offset: int) -> str:
    line = text[text.rfind("\n", 0, offset) + 1 :]
    return line[: len(line) - len(line.lstrip(" \t"))]


def _indent_unit(text: str, root: Node) -> str:
    first = root.members[0] if root.members else None
    return (_indent_at(text, first.start) if first else "") or _USUAL_INDENT


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"
