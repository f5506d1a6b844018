"""Merges entries into the context file: keeps what a person wrote, and updates what was imported.

Each imported entry ends in a mark such as `# from dbt 1a2b3c4d`, with a digest of its contents. An entry
without a mark, or with contents that its digest does not fit, was written or changed by a person and is kept.
"""

import difflib
import hashlib
import json
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pgmcp.generation.context_edit import end_line, insert_below
from pgmcp.generation.context_file import DatabaseContext, load_context
from pgmcp.generation.verified import VerifiedQuestion, normalise
from pgmcp.knowledge.entries import Entry, LeftOut, Origin, Section
from pgmcp.validation.lexer import words_of

if TYPE_CHECKING:
    import yaml

_MARK: Final = re.compile(r"#\s*from (dbt|ossie|cube|comments|draft) ([0-9a-f]{8})\s*$")
_PLAIN_KEY: Final = re.compile(r"[A-Za-z_][\w.]*(?: [\w.]+)*")
_NOT_TEXT: Final = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
_REMARK: Final = " -- "
_CONTEXT_LINES: Final = 2


@dataclass(frozen=True, slots=True)
class Changes:
    """The context file before and after.

    Attributes:
        wanted: the contexts that the new text must parse to.
        kept: entries that were not imported, because the file has its own entry or a question with the
            same wording.
        vanished: first lines of entries that an earlier import added and this one does not contain, although
            it reads the same kind of source.
    """

    path: Path
    before: str
    after: str
    wanted: dict[str, DatabaseContext]
    kept: tuple[LeftOut, ...]
    vanished: tuple[str, ...] = ()

    @property
    def difference(self) -> str:
        """The change as a unified diff; "" without one."""
        lines = difflib.unified_diff(
            self.before.splitlines(),
            self.after.splitlines(),
            self.path.name,
            self.path.name,
            "before",
            "after",
            n=_CONTEXT_LINES,
            lineterm="",
        )
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class _EntryLines:
    """The place of an entry in the file.

    Attributes:
        start: index of its first line.
        end: index after its last line.
        column: its indent.
        origin: the kind of source that it was imported from; "" if a person wrote or changed it.
    """

    start: int
    end: int
    column: int
    origin: str


def plan_changes(path: Path, database: str, entries: Sequence[Entry], *, prune: bool = False) -> Changes:
    """Return the changes of the context file that import entries.

    Args:
        prune: also remove the entries in `Changes.vanished`.

    Raises:
        SettingsError: the file cannot be read, or its layout allows no insertion.
    """
    contexts = load_context(path)
    context = contexts.get(database, DatabaseContext())
    before = path.read_text(encoding="utf-8-sig")
    merge = _Merge(before.splitlines(), context, database, path)
    for entry in entries:
        merge.add(entry)
    vanished = merge.vanished({entry.origin for entry in entries} - {Origin.DRAFT})
    if prune:
        merge.remove(vanished)
    lines = merge.finish()
    after = "\n".join(lines) + "\n" if merge.has_changed else before
    wanted = {**contexts, database: merge.context} if merge.has_changed else contexts
    names = tuple(f"{key[0]}: {merge.line_of(key)}" for key in vanished)
    return Changes(path, before, after, wanted, tuple(merge.kept), names)


class _Merge:
    """Collects entries, then writes them."""

    def __init__(self, lines: list[str], context: DatabaseContext, database: str, path: Path) -> None:
        self.context = context
        self.kept: list[LeftOut] = []
        self._lines = lines
        self._database = database
        self._path = path
        self._entry_lines = dict(_find_entries(lines, context, database))
        self._replaced: dict[_EntryLines, list[str]] = {}
        self._added: dict[Section, list[str]] = {}
        self._taken: set[tuple[str, str]] = set()
        self._wordings = {
            normalise(wording): (verified.question, bool(verified.parameters))
            for verified in context.verified
            for wording in verified.wordings
        }

    @property
    def has_changed(self) -> bool:
        """Whether an entry was added, updated or removed."""
        return bool(self._replaced or self._added)

    def add(self, entry: Entry) -> None:
        """Add or update an entry, or keep the file's own."""
        stripped = replace(entry, name=entry.name.strip(), text=entry.text.strip())
        self._taken.add(_key(stripped.section, stripped.name))
        fitting = self._without_known_wordings(stripped)
        if fitting is None:
            return
        key = _key(fitting.section, fitting.name)
        place = self._entry_lines.get(key)
        if place is None and key in self._known_keys():
            self._keep(fitting, "the context file has an entry of its own")
            return
        if place is not None and not place.origin:
            if not self._is_same(fitting):
                self._keep(fitting, "the context file has an entry of its own")
            return
        if place is not None and self._is_same(fitting):
            return
        if place is not None:
            self._replaced[place] = [f"{' ' * place.column}{line}".rstrip() for line in _lines_of(fitting)]
        else:
            self._added.setdefault(fitting.section, []).extend(_lines_of(fitting))
        self.context = _with_entry(self.context, fitting)

    def vanished(self, origins: Collection[str]) -> list[tuple[str, str]]:
        """Return the keys of imported, unchanged entries of these origins that were not taken again."""
        places = self._entry_lines.items()
        return [key for key, place in places if place.origin in origins and key not in self._taken]

    def line_of(self, key: tuple[str, str]) -> str:
        """Return an entry's first line, without its mark."""
        return _MARK.sub("", self._lines[self._entry_lines[key].start]).strip().removeprefix("- ")

    def remove(self, keys: Sequence[tuple[str, str]]) -> None:
        """Remove entries; the heading of a section stays."""
        for key in keys:
            self._replaced[self._entry_lines[key]] = []
            self.context = _without(self.context, key)

    def finish(self) -> list[str]:
        """Return the lines of the file with all changes."""
        lines = list(self._lines)
        for place, new in sorted(self._replaced.items(), key=lambda item: item[0].start, reverse=True):
            lines[place.start : place.end] = new
        for section, new in self._added.items():
            lines = insert_below(lines, (self._database, section), new, self._path)
        return lines

    def _keep(self, entry: Entry, why: str) -> None:
        self.kept.append(LeftOut(f"{entry.section}: {entry.name}", why))

    def _known_keys(self) -> set[tuple[str, str]]:
        return set(_keys_of(self.context))

    def _is_same(self, entry: Entry) -> bool:
        return _digest_of(entry) == _digest_in(self.context, entry.section, entry.name)

    def _without_known_wordings(self, entry: Entry) -> Entry | None:
        """Remove wordings that other questions have; return None if the question itself is such a wording."""
        if entry.section is not Section.VERIFIED:
            return entry
        free: list[str] = []
        for wording in (entry.name, *entry.also):
            owner = self._wordings.setdefault(normalise(wording), (entry.name, False))
            if owner == (entry.name, False) and normalise(wording) not in map(normalise, free):
                free.append(wording)
        if entry.name not in free:
            self._keep(entry, "another question of the file has this wording")
            return None
        return replace(entry, also=tuple(free[1:]))


def _find_entries(
    lines: list[str], context: DatabaseContext, database: str
) -> Iterator[tuple[tuple[str, str], _EntryLines]]:
    """Yield key and place of each entry of a database; entries in YAML's flow style are left out."""
    import yaml

    node: yaml.Node | None = yaml.compose("\n".join(lines), Loader=yaml.SafeLoader)
    for key in ("databases", database):
        node = _value_of(node, key)
    for section in Section:
        part = _value_of(node, section)
        for name, first, last in _items(section, part):
            start, end = first.start_mark.line, end_line(last, lines)
            column = first.start_mark.column - (2 if section in (Section.JOINS, Section.VERIFIED) else 0)
            mark = _MARK.search(lines[start])
            is_imported = mark is not None and mark[2] == _digest_in(context, section, name)
            origin = mark[1] if mark is not None and is_imported else ""
            yield _key(section, name), _EntryLines(start, end, column, origin)


def _value_of(node: "yaml.Node | None", key: str) -> "yaml.Node | None":
    pairs = getattr(node, "value", None)
    if not isinstance(pairs, list) or getattr(node, "flow_style", False):
        return None
    found = (pair[1] for pair in pairs if isinstance(pair, tuple) and pair[0].value == key)
    return next(found, None)


def _items(section: Section, part: "yaml.Node | None") -> "Iterator[tuple[str, yaml.Node, yaml.Node]]":
    """Yield the name of each entry with its first and last node."""
    if part is None or not isinstance(part.value, list) or getattr(part, "flow_style", False):
        return
    for item in part.value:
        if isinstance(item, tuple):
            yield str(item[0].value).strip(), item[0], item[1]
        elif section is Section.JOINS:
            yield str(item.value).strip(), item, item
        elif question := _value_of(item, "question"):
            yield str(question.value).strip(), item, item


def _key(section: Section, name: str) -> tuple[str, str]:
    if section is Section.JOINS:
        sides = " ".join(words_of(name.partition(_REMARK)[0])).split(" = ")
        return section, " = ".join(sorted(sides))
    if section is Section.VERIFIED:
        return section, normalise(name)
    return section, name.replace('"', "").lower() if section is not Section.TERMS else name.lower()


def _keys_of(context: DatabaseContext) -> Iterator[tuple[str, str]]:
    yield from (_key(Section.TERMS, name) for name in context.terms)
    yield from (_key(Section.NOTES, name) for name in context.notes)
    yield from (_key(Section.FILTERS, name) for name in context.filters)
    yield from (_key(Section.JOINS, join) for join in context.joins)
    yield from (_key(Section.VERIFIED, verified.question) for verified in context.verified)


def _with_entry(context: DatabaseContext, entry: Entry) -> DatabaseContext:
    """Return the context with an entry added or replaced."""
    match entry.section:
        case Section.JOINS:
            key, text = _key(entry.section, entry.name), _join_text(entry)
            joins = [text if _key(entry.section, each) == key else each for each in context.joins]
            return replace(context, joins=tuple(joins if text in joins else [*joins, text]))
        case Section.VERIFIED:
            new = VerifiedQuestion(entry.name, entry.text, entry.also)
            known = [new if each.question == entry.name else each for each in context.verified]
            return replace(context, verified=tuple(known if new in known else [*known, new]))
        case _:
            texts: dict[str, str] = dict(getattr(context, entry.section))
            key = _key(entry.section, entry.name)
            name = next((each for each in texts if _key(entry.section, each) == key), entry.name)
            changed: dict[str, Any] = {entry.section.value: {**texts, name: entry.text}}
            return replace(context, **changed)


def _without(context: DatabaseContext, key: tuple[str, str]) -> DatabaseContext:
    """Return the context without an entry."""
    section = Section(key[0])
    match section:
        case Section.JOINS:
            return replace(context, joins=tuple(each for each in context.joins if _key(section, each) != key))
        case Section.VERIFIED:
            others = (each for each in context.verified if _key(section, each.question) != key)
            return replace(context, verified=tuple(others))
        case _:
            texts: dict[str, str] = dict(getattr(context, section))
            changed: dict[str, Any] = {
                section.value: {name: text for name, text in texts.items() if _key(section, name) != key}
            }
            return replace(context, **changed)


def _digest_of(entry: Entry) -> str:
    if entry.section is Section.VERIFIED:
        return _digest(entry.name, entry.text, *entry.also)
    return _digest(_join_text(entry) if entry.section is Section.JOINS else entry.text)


def _digest_in(context: DatabaseContext, section: Section, name: str) -> str:
    """Return the digest of an entry as the file has it; "" if it has none."""
    key = _key(section, name)
    match section:
        case Section.JOINS:
            return next((_digest(join) for join in context.joins if _key(section, join) == key), "")
        case Section.VERIFIED:
            for verified in context.verified:
                if _key(section, verified.question) == key:
                    # Imports never set these fields: a person who adds one, such as `tool`, owns the entry.
                    added = [verified.tool, verified.description, *verified.parameters]
                    return _digest(
                        verified.question, verified.sql, *verified.also_asked_as, *filter(None, added)
                    )
            return ""
        case _:
            texts: dict[str, str] = dict(getattr(context, section))
            return next((_digest(text) for each, text in texts.items() if _key(section, each) == key), "")


def _digest(*texts: str) -> str:
    return hashlib.sha256("\n".join(texts).encode("utf-8", "surrogatepass")).hexdigest()[:8]


def _join_text(entry: Entry) -> str:
    return f"{entry.name}{_REMARK}{entry.text}" if entry.text else entry.name


def _lines_of(entry: Entry) -> list[str]:
    """Return the lines of an entry, without their indent."""
    mark = f"  # from {entry.origin} {_digest_of(entry)}"
    match entry.section:
        case Section.JOINS:
            return [f"- {_quote(_join_text(entry))}{mark}"]
        case Section.VERIFIED:
            also = [f"  also_asked_as: [{', '.join(map(_quote, entry.also))}]"] if entry.also else []
            return [f"- question: {_quote(entry.name)}{mark}", *also, f"  sql: {_quote(entry.text)}"]
        case _:
            return [f"{_write_key(entry.name)}: {_quote(entry.text)}{mark}"]


def _write_key(name: str) -> str:
    is_plain = _PLAIN_KEY.fullmatch(name) and name.lower() not in _NOT_TEXT
    return name if is_plain else _quote(name)


def _quote(text: str) -> str:
    """Return text as a JSON string, which is also a YAML string."""
    escaped = json.dumps(text, ensure_ascii=False)
    return "".join(each if each.isprintable() else f"\\U{ord(each):08x}" for each in escaped)
