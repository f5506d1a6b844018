"""The tables of `core.txt` and the questions of `questions.txt`."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

_FOLDER: Final = Path(__file__).parent
_SCHEMA_LINE = re.compile(r"\[(\w+)\] (\w+)")
_COLUMN = re.compile(
    r"(?P<name>\w+)(?::(?P<type>[\w(),]+))?"
    r"(?: (?P<arrow>->|~>) (?P<target>[\w.]+))?"
    r"(?: \{(?P<values>[^}]*)\})?"
    r'(?: "(?P<comment>[^"]*)")?'
)
# Types by the end of a column's name; the first match applies.
_TYPE_BY_ENDING: Final = (
    (re.compile(r"(_id|Id)$"), "bigint"),
    (re.compile(r"(_at|_ts|At)$"), "timestamptz"),
    (re.compile(r"(_date|_dt|_on|Date|valid_(from|to)|_until|_since|quarter_start|beg|end)$"), "date"),
    (re.compile(r"(amount|Amount|amt|price|cost|total|limit|fee|rating_avg)$"), "numeric(14,2)"),
    (re.compile(r"(quantity|qty|count|cnt|line_no|level_no|lvl|mths)$"), "integer"),
    (re.compile(r"^(is|has|was)_"), "boolean"),
    (re.compile(r"hrs$"), "numeric(6,2)"),
)


@dataclass(frozen=True, slots=True)
class ColumnSpec:
    """A column to create.

    Attributes:
        target: the (schema, table) that the column refers to.
        is_declared: whether the reference is a foreign key; otherwise the database does not know it.
        values: the values of the column; the rows repeat them in turn.
    """

    name: str
    type: str
    comment: str = ""
    target: tuple[str, str] | None = None
    is_declared: bool = False
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TableSpec:
    """A table to create; its first column is the primary key.

    Attributes:
        has_key: whether the table has a primary key; copies often have none.
        partitions: number of monthly partitions, by the second column; 0 if the table is not partitioned.
    """

    schema: str
    name: str
    columns: tuple[ColumnSpec, ...]
    comment: str = ""
    has_key: bool = True
    partitions: int = 0


@dataclass(frozen=True, slots=True)
class KnownQuestion:
    """A question and the tables that every right answer needs, each as "schema.table".

    Attributes:
        subjects: the tables that the question mentions.
        joining: the tables that only join other tables.
    """

    text: str
    subjects: tuple[str, ...]
    joining: tuple[str, ...]

    @property
    def needed(self) -> tuple[str, ...]:
        """All tables that every right answer needs."""
        return self.subjects + self.joining


@dataclass(frozen=True, slots=True)
class Company:
    """The schema before generated tables are added.

    Attributes:
        naming_by_schema: the naming style of new tables in each schema.
    """

    tables: tuple[TableSpec, ...]
    naming_by_schema: dict[str, str]


@cache
def read_company() -> Company:
    """Return the schema in `core.txt`."""
    tables: list[TableSpec] = []
    naming: dict[str, str] = {}
    heading = ""
    for line in _lines("core.txt"):
        if schema := _SCHEMA_LINE.fullmatch(line):
            naming[schema[1]] = schema[2]
        elif line.startswith(" "):
            name, _, comment = heading.partition(": ")
            schema_name = list(naming)[-1]
            tables.append(TableSpec(schema_name, name, tuple(_columns(line, schema_name)), comment))
        else:
            heading = line
    return Company(tuple(tables), naming)


@cache
def read_known_questions() -> tuple[KnownQuestion, ...]:
    """Return the questions in `questions.txt`."""
    lines = list(_lines("questions.txt"))
    questions = []
    for text, tables in zip(lines[::2], lines[1::2], strict=True):
        subjects, _, joining = tables.partition("+")
        questions.append(KnownQuestion(text, _names(subjects), _names(joining)))
    return tuple(questions)


def _lines(file: str) -> Iterator[str]:
    for line in (_FOLDER / file).read_text("utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            yield line


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _columns(line: str, schema: str) -> Iterator[ColumnSpec]:
    for text in line.strip().split("; "):
        column = _COLUMN.fullmatch(text)
        if column is None:
            raise ValueError(f"core.txt: not a column: {text}")
        yield ColumnSpec(
            name=column["name"],
            type=column["type"] or type_of(column["name"]),
            comment=column["comment"] or "",
            target=_target(column["target"], schema),
            is_declared=column["arrow"] == "->",
            values=tuple((column["values"] or "").split("|")) if column["values"] else (),
        )


def _target(name: str | None, schema: str) -> tuple[str, str] | None:
    if not name:
        return None
    left, dot, right = name.partition(".")
    return (left, right) if dot else (schema, left)


def type_of(name: str) -> str:
    """Return the type that a column of that name is likely to have."""
    return next((type_ for ending, type_ in _TYPE_BY_ENDING if ending.search(name)), "text")
