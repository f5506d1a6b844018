"""Reads one verified question of a context file.

    question: What has {customer} spent since {start}?
    also_asked_as: [Spending of {customer} since {start}]
    tool: customer_spending                     # also offer it as a tool of this name
    description: Paid orders of one customer, in euro
    parameters:
      customer: customers.full_name             # a column
      start: date                               # date, integer, number or text
      most: {type: integer, min: 1, max: 100, default: 10, description: Orders at most}
    sql: SELECT …

For `pgmcp evaluate` an entry may also have `also_right` (other SQL), `rows` or `unanswerable: true` (instead
of SQL), `notes`, `ordered`, `category` and `examples` (arguments of its parameters).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pgmcp.errors import InvalidArgumentError, SettingsError
from pgmcp.generation.parameters import MAX_ARGUMENT_CHARACTERS, Parameter, ParameterKind
from pgmcp.generation.verified import VerifiedQuestion
from pgmcp.generation.yaml_nodes import NodeReader, is_nothing

if TYPE_CHECKING:
    import yaml

Row = tuple[str | None, ...]

FIELDS: Final = ("question", "also_asked_as", "tool", "description", "parameters", "sql")
EVALUATION_FIELDS: Final = (
    "also_right", "rows", "unanswerable", "notes", "ordered", "category", "examples",
)  # fmt: skip
_PARAMETER_FIELDS: Final = ("type", "description", "min", "max", "enum", "max_length", "default")
_PLAIN_KINDS: Final = (
    ParameterKind.DATE,
    ParameterKind.INTEGER,
    ParameterKind.NUMBER,
    ParameterKind.TEXT,
)
_COLUMN = re.compile(r"[^.\s]+\.[^.\s]+(?:\.[^.\s]+)?")


@dataclass(frozen=True)
class Expectation:
    """A question and its expected answer, for `pgmcp evaluate`; the server uses only the question.

    Attributes:
        verified: the question; its SQL is "" if no SQL is known.
        also_right: other SQL whose rows are right, too.
        rows: the expected rows, if they are given instead of SQL.
        is_unanswerable: whether the right answer is that the schema cannot answer the question.
        notes: background that the asker sends with the question.
        is_ordered: whether the order of the rows counts; None lets question and SQL decide.
        category: the group of the question in the report.
        examples: arguments for the question's parameters; each set of arguments gives one question to ask.
    """

    verified: VerifiedQuestion
    also_right: tuple[str, ...] = ()
    rows: tuple[Row, ...] | None = None
    is_unanswerable: bool = False
    notes: str = ""
    is_ordered: bool | None = None
    category: str = ""
    examples: tuple[Mapping[str, str], ...] = ()


def read_entry(reader: NodeReader, node: "yaml.Node", where: str) -> Expectation:
    """Return the question that a node describes, and its expected answer.

    Raises:
        SettingsError: the node is invalid; the message has the line, the place and the reason.
    """
    fields = reader.known_fields(node, where, (*FIELDS, *EVALUATION_FIELDS))
    can_lack_sql = "tool" not in fields and ("rows" in fields or "unanswerable" in fields)
    for name in ("question", "sql"):
        if name not in fields and not (name == "sql" and can_lack_sql):
            reader.fail(node, where, f"{name!r} is missing")
    verified = _read_verified(reader, node, where, fields)
    texts = {
        name: reader.text(fields[name], f"{where}.{name}") for name in ("notes", "category") if name in fields
    }
    is_unanswerable = reader.boolean(fields.get("unanswerable"), f"{where}.unanswerable") or False
    if is_unanswerable and ("sql" in fields or "rows" in fields):
        reader.fail(node, where, "an unanswerable question has neither sql nor rows")
    return Expectation(
        verified,
        also_right=reader.texts(fields.get("also_right"), f"{where}.also_right"),
        rows=_rows(reader, fields["rows"], f"{where}.rows") if "rows" in fields else None,
        is_unanswerable=is_unanswerable,
        is_ordered=reader.boolean(fields.get("ordered"), f"{where}.ordered"),
        examples=_examples(reader, fields.get("examples"), f"{where}.examples", verified),
        **texts,
    )


def _rows(reader: NodeReader, node: "yaml.Node", where: str) -> tuple[Row, ...]:
    """Return rows: a list of lists of cells; null is NULL, other cells are text as written."""
    return tuple(
        tuple(
            None if is_nothing(cell) else reader.text_or_nothing(cell, where)
            for cell in reader.items(row, where)
        )
        for row in reader.items(node, where)
    )


def _examples(
    reader: NodeReader, node: "yaml.Node | None", where: str, verified: VerifiedQuestion
) -> tuple[Mapping[str, str], ...]:
    examples = tuple(
        reader.texts_by_name(item, f"{where}[{index}]")
        for index, item in enumerate(reader.items(node, where))
    )
    for index, example in enumerate(examples):
        try:
            if unknown := set(example) - set(verified.parameters):
                reader.fail(node, f"{where}[{index}]", f"unknown parameter {min(unknown)!r}")
            verified.read(example)
        except InvalidArgumentError as error:
            reader.fail(node, f"{where}[{index}]", str(error))
    return examples


def _read_verified(
    reader: NodeReader, node: "yaml.Node", where: str, fields: Mapping[str, "yaml.Node"]
) -> VerifiedQuestion:
    texts = {
        name: reader.text(fields[name], f"{where}.{name}")
        for name in ("question", "sql", "tool", "description")
        if name in fields
    }
    verified = VerifiedQuestion(
        **{"sql": "", **texts},
        also_asked_as=reader.texts(fields.get("also_asked_as"), f"{where}.also_asked_as"),
        parameters={
            name: _parameter(reader, value, f"{where}.parameters.{name}")
            for name, value in reader.entries(fields.get("parameters"), f"{where}.parameters")
        },
    )
    if verified.parameters or verified.tool or "{" in verified.sql:
        try:
            verified.check()
        except SettingsError as error:
            reader.fail(node, where, str(error))
    return verified


def _parameter(reader: NodeReader, node: "yaml.Node", where: str) -> Parameter:
    """Return the parameter of a node, which is the name of a type, or a mapping with `type` and bounds."""
    import yaml

    if isinstance(node, yaml.ScalarNode):
        return Parameter(*_kind(reader, node, where))
    fields = reader.known_fields(node, where, _PARAMETER_FIELDS)
    if "type" not in fields:
        reader.fail(node, where, "'type' is missing")
    texts = {
        name: reader.text(fields[name], f"{where}.{name}")
        for name in ("description", "min", "max", "max_length", "default")
        if name in fields
    }
    length = texts.get("max_length", str(MAX_ARGUMENT_CHARACTERS))
    if not re.fullmatch("[0-9]{1,9}", length):
        reader.fail(node, where, f"max_length is {length!r}, expected an integer")
    kind, column = _kind(reader, fields["type"], f"{where}.type")
    return Parameter(
        kind,
        column,
        description=texts.get("description", ""),
        minimum=texts.get("min", ""),
        maximum=texts.get("max", ""),
        choices=reader.texts(fields.get("enum"), f"{where}.enum"),
        max_length=int(length),
        default=texts.get("default"),
    )


def _kind(reader: NodeReader, node: "yaml.Node", where: str) -> tuple[ParameterKind, str]:
    """Return the kind of a parameter, and its column."""
    text = reader.text(node, where)
    if text in _PLAIN_KINDS:
        return ParameterKind(text), ""
    if not _COLUMN.fullmatch(text):
        reader.fail(
            node,
            where,
            f"{text!r} is not a parameter; expected date, integer, number, text, or a column as table.column",
        )
    return ParameterKind.VALUE, text
