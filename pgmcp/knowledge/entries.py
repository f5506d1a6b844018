"""Describes the entries for the context file that a reader finds, and the parts that it leaves out."""

# ruff: noqa: S608 - the statements made here pass the guards like any other

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from pgmcp.untrusted import drop_invisible, shorten

MAX_TEXT_CHARACTERS: Final = 600
MAX_NAME_CHARACTERS: Final = 120
MAX_SYNONYMS: Final = 8
MAX_ENTRIES: Final = 3000
"""Maximum of one import; a context file with more is slow to read and rarely helps."""


class Origin(StrEnum):
    """Where an entry comes from, as its mark in the context file names it."""

    DBT = "dbt"
    OSSIE = "ossie"
    CUBE = "cube"
    COMMENTS = "comments"
    DRAFT = "draft"


class Section(StrEnum):
    """The parts of the context file that entries are for."""

    TERMS = "terms"
    NOTES = "notes"
    FILTERS = "filters"
    JOINS = "joins"
    VERIFIED = "verified"


class NotImportableError(Exception):
    """A part of a file cannot be imported; the message says why."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry for the context file.

    Attributes:
        name: the term, table or column; for a join, its condition; for a verified question, the question.
        text: the text of a term or note; for a join, a remark; for a verified question, its SQL.
        also: other wordings of a question.
        check: SQL that PostgreSQL must be able to plan; "" if no check is needed.
        without_sql: the text that replaces a term's `text` if PostgreSQL cannot plan its SQL.
    """

    section: Section
    name: str
    text: str
    origin: Origin
    also: tuple[str, ...] = ()
    check: str = ""
    without_sql: str = ""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A part of a file that was not imported."""

    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric, which becomes a term and a question.

    Attributes:
        title: the name that people use; "" if it is the same as `name`.
        expression: SQL with aggregates; "" if the metric cannot be one expression.
        source: the text after FROM; "" if the expression has its own subqueries.
        time: the column with the time, as table.column.
        words: the definition of the metric in words, if there is no SQL for it.
        is_one_value: whether the metric without GROUP BY answers a question.
    """

    name: str
    title: str = ""
    description: str = ""
    synonyms: tuple[str, ...] = ()
    expression: str = ""
    source: str = ""
    time: str = ""
    words: str = ""
    is_one_value: bool = True

    @property
    def sql(self) -> str:
        """The statement that computes the metric; "" if there is none."""
        if not self.expression:
            return ""
        return f"SELECT {self.expression}" + (f" FROM {self.source}" if self.source else "")


@dataclass
class Knowledge:
    """Collects what one reader finds.

    Attributes:
        terms: texts by name.
        conditions: for a term, the SQL that PostgreSQL must be able to plan.
        notes: texts by the name of a table or column.
        joins: by condition, a remark and the SQL that PostgreSQL must be able to plan.
        metrics: by name.
        remarks: facts about the import that the operator should know.
    """

    origin: Origin
    terms: dict[str, str] = field(default_factory=dict)
    conditions: dict[str, str] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)
    joins: dict[str, tuple[str, str]] = field(default_factory=dict)
    metrics: dict[str, Metric] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def note(self, name: str, text: str) -> None:
        """Add a text to the note on a table or column."""
        line = one_line(text)
        if line and line not in self.notes.setdefault(name, []):
            self.notes[name].append(line)

    def leave_out(self, what: str, why: object) -> None:
        """Record a part that is not imported."""
        self.left_out.append(LeftOut(one_line(what), one_line(str(why))))

    def remark(self, text: str) -> None:
        """Record a fact about the import once."""
        if text not in self.remarks:
            self.remarks.append(text)

    def entries(self) -> list[Entry]:
        """Return the entries: terms, notes, joins, then questions."""
        found: list[Entry] = [*self._terms(), *self._notes(), *self._joins(), *self._questions()]
        if len(found) > MAX_ENTRIES:
            self.leave_out(f"{len(found) - MAX_ENTRIES} entries", f"there are more than {MAX_ENTRIES}")
        return found[:MAX_ENTRIES]

    def _terms(self) -> Iterator[Entry]:
        for name, text in self.terms.items():
            yield Entry(Section.TERMS, name, text, self.origin, check=self.conditions.get(name, ""))
        for name, metric in self.metrics.items():
            described = _describe(metric)
            text = _sentences(described, f"SQL: {metric.sql}", metric.time and f"Its time is {metric.time}")
            if not metric.sql:
                text = _sentences(described, metric.words)
            if text:
                yield Entry(
                    Section.TERMS, name, text, self.origin, check=metric.sql, without_sql=described or name
                )

    def _notes(self) -> Iterator[Entry]:
        for name, texts in self.notes.items():
            if texts:
                yield Entry(Section.NOTES, name, one_line("; ".join(texts)), self.origin)

    def _joins(self) -> Iterator[Entry]:
        for condition, (remark, check) in self.joins.items():
            yield Entry(Section.JOINS, condition, remark, self.origin, check=check)

    def _questions(self) -> Iterator[Entry]:
        asked: set[str] = set()
        for metric in self.metrics.values():
            if not metric.sql or not metric.is_one_value or metric.sql in asked:
                continue
            asked.add(metric.sql)
            names = [each for each in (metric.title, in_words(metric.name)) if each] + list(metric.synonyms)
            if not names:
                continue
            question, *also = _wordings(names)
            yield Entry(
                Section.VERIFIED, question, metric.sql, self.origin, also=tuple(also), check=metric.sql
            )


def _describe(metric: Metric) -> str:
    title = metric.title if in_words(metric.title).lower() != in_words(metric.name).lower() else ""
    synonyms = f"also called {', '.join(metric.synonyms)}" if metric.synonyms else ""
    return _sentences(title, metric.description, synonyms)


def _sentences(*parts: str) -> str:
    return ". ".join(text.rstrip(". ") for part in parts if (text := " ".join(part.split())))


def _wordings(names: Iterable[str]) -> list[str]:
    """Return the ways to ask for something by its names."""
    wordings = [f"What is {name}?" for name in names]
    wordings += [f"What is the {name}?" for name in names] + list(names)
    by_folded = {wording.casefold(): wording for wording in reversed(wordings)}
    return [wording for wording in wordings if by_folded.pop(wording.casefold(), None)]


def in_words(name: str) -> str:
    """Return a name as people say it: `order_total` as "order total"."""
    return " ".join(name.replace("_", " ").split())


def text_of(value: Any) -> str:
    """Return a scalar of a file as text; "" for anything else."""
    match value:
        case bool():
            return "true" if value else "false"
        case str() | int() | float():
            return str(value).strip()
        case _:
            return ""


def one_line(text: str, max_characters: int = MAX_TEXT_CHARACTERS) -> str:
    """Return untrusted text on one line, without invisible characters, shortened."""
    return shorten(" ".join(drop_invisible(text).split()), max_characters)


def described(value: Any) -> str:
    """Return a description in a file, on one line."""
    return one_line(text_of(value))


def name_of(item: Mapping[str, Any], key: str = "name") -> str:
    """Return the name of an item of a file, on one line."""
    return one_line(text_of(item.get(key)), MAX_NAME_CHARACTERS)


def items_of(value: Any) -> list[dict[str, Any]]:
    """Return the mappings in a list; a mapping of names to mappings counts as a list, too."""
    if isinstance(value, dict):
        return [{"name": key, **item} for key, item in value.items() if isinstance(item, dict)]
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def texts_of(value: Any) -> list[str]:
    """Return the texts of a list; one text counts as a list of one."""
    values = value if isinstance(value, list) else [value]
    return [text for each in values if (text := one_line(text_of(each), MAX_NAME_CHARACTERS))]


def list_of(value: Any) -> list[Any]:
    """Return a list of a file; an empty list for anything else."""
    return value if isinstance(value, list) else []


def mapping_of(value: Any) -> dict[str, Any]:
    """Return a mapping of a file; an empty one for anything else."""
    return value if isinstance(value, dict) else {}


_SYNONYM_LIST: Final = re.compile(r"[^.:;!?\n]{1,60}(?:,[^.:;!?\n]{1,60}){1,15}")


def synonyms_of(value: Any) -> tuple[str, ...]:
    """Return the synonyms in an `ai_context` or `meta`: its list `synonyms`, or a text split at commas."""
    if isinstance(value, str):
        texts = value.split(",") if _SYNONYM_LIST.fullmatch(value.strip()) else []
    else:
        texts = texts_of(mapping_of(value).get("synonyms"))
    found = dict.fromkeys(one_line(text, MAX_NAME_CHARACTERS) for text in texts)
    return tuple(text for text in found if text)[:MAX_SYNONYMS]
