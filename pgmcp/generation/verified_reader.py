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
"""

import re
from typing import TYPE_CHECKING, Final

from pgmcp.errors import SettingsError
from pgmcp.generation.parameters import MAX_ARGUMENT_CHARACTERS, Parameter, ParameterKind
from pgmcp.generation.verified import VerifiedQuestion
from pgmcp.generation.yaml_nodes import NodeReader

if TYPE_CHECKING:
    import yaml

FIELDS: Final = ("question", "also_asked_as", "tool", "description", "parameters", "sql")
_PARAMETER_FIELDS: Final = ("type", "description", "min", "max", "enum", "max_length", "default")
_PLAIN_KINDS: Final = (
    ParameterKind.DATE,
    ParameterKind.INTEGER,
    ParameterKind.NUMBER,
    ParameterKind.TEXT,
)
_COLUMN = re.compile(r"[^.\s]+\.[^.\s]+(?:\.[^.\s]+)?")


def read_verified(reader: NodeReader, node: "yaml.Node", where: str) -> VerifiedQuestion:
    """Return the question that a node describes.

    Raises:
        SettingsError: it is invalid; the message has the line, the place and the reason.
    """
    fields = reader.known_fields(node, where, FIELDS)
    for name in ("question", "sql"):
        if name not in fields:
            reader.fail(node, where, f"{name!r} is missing")
    texts = {
        name: reader.text(fields[name], f"{where}.{name}")
        for name in ("question", "sql", "tool", "description")
        if name in fields
    }
    verified = VerifiedQuestion(
        **texts,
        also_asked_as=reader.texts(fields.get("also_asked_as"), f"{where}.also_asked_as"),
        parameters={
            name: _parameter(reader, value, f"{where}.parameters.{name}")
            for name, value in reader.entries(fields.get("parameters"), f"{where}.parameters")
        },
    )
    if verified.parameters or verified.tool:
        try:
            verified.check()
        except SettingsError as error:
            reader.fail(node, where, str(error))
    return verified


def _parameter(reader: NodeReader, node: "yaml.Node", where: str) -> Parameter:
    """Return a parameter: the name of its type, or a mapping with `type` and bounds."""
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
