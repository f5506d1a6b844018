"""The operator's context file: the meaning of the data, and questions with verified SQL.

`PG_MCP_CONTEXT_FILE` names a YAML file of this form; every part is optional:

    databases:
      main:
        terms:
          active user: has signed in within the last 30 days
        notes:
          orders: one row per checkout; cancelled ones stay in the table
          orders.total: in euro, VAT included
        filters:
          customers: deleted_at IS NULL
        joins:
          - orders.buyer = customers.number
        verified:
          - question: How many active users are there?
            also_asked_as:
              - number of active users
            sql: |
              SELECT count(*) AS active_users
              FROM users
              WHERE last_login_at >= now() - interval '30 days'
          - question: What has {customer} spent since {start}?
            parameters:
              customer: customers.full_name
              start: date
            sql: |
              SELECT sum(o.total)
              FROM orders AS o JOIN customers AS c ON c.number = o.buyer
              WHERE c.full_name = {customer} AND o.placed_at >= {start}

A question that equals a verified one, except for case, spacing and punctuation, is answered with its SQL. The
SQL of similar verified questions is shown to the model as an example.
"""

import difflib
import logging
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from pgmcp.errors import SettingsError
from pgmcp.generation.verified import (
    Parameter,
    ParameterKind,
    VerifiedQuestion,
    normalise,
    overlap,
)

if TYPE_CHECKING:
    import yaml

logger = logging.getLogger(__name__)

_PLAIN_KINDS = (ParameterKind.DATE, ParameterKind.NUMBER, ParameterKind.TEXT)
_COLUMN = re.compile(r"[^.\s]+\.[^.\s]+(?:\.[^.\s]+)?")

_EXAMPLE_HINT = "the README shows the format of the file under PG_MCP_CONTEXT_FILE"


@dataclass(frozen=True, slots=True)
class VerifiedMatch:
    """A verified question and the arguments for its parameters."""

    verified: VerifiedQuestion
    arguments: Mapping[str, str]


@dataclass(frozen=True)
class DatabaseContext:
    """The operator's notes on one database.

    Attributes:
        terms: meanings by business term.
        notes: texts by table or table.column, spelled as in the file.
        filters: default conditions by table, which a question can override.
        joins: join conditions that the catalog lacks or has wrong.
        verified: in the order of the file.
    """

    terms: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    filters: Mapping[str, str] = field(default_factory=dict)
    joins: tuple[str, ...] = ()
    verified: tuple[VerifiedQuestion, ...] = ()

    def matches(self, question: str) -> Iterator[VerifiedMatch]:
        """Yield the verified questions that equal `question`, ignoring case, spacing and punctuation.

        A match without parameters is the only one. A match with a parameter of kind VALUE holds only if the
        column contains the argument; the caller checks that in the database.
        """
        if verified := self.match(question):
            yield VerifiedMatch(verified, {})
            return
        for verified in self.verified:
            if (arguments := verified.arguments(question)) is not None:
                yield VerifiedMatch(verified, arguments)

    def match(self, question: str) -> VerifiedQuestion | None:
        """Return the verified question without parameters that equals `question`, or None."""
        return self._verified_by_normal_form.get(normalise(question))

    def nearest(self, question: str, count: int) -> list[VerifiedQuestion]:
        """Return up to `count` verified questions that share words with `question`, most similar first."""
        scored = [
            (max(overlap(question, wording) for wording in verified.wordings), verified)
            for verified in self.verified
        ]
        scored.sort(key=lambda pair: pair[0], reverse=True)
        return [verified for score, verified in scored[:count] if score > 0]

    @cached_property
    def _verified_by_normal_form(self) -> dict[str, VerifiedQuestion]:
        plain = [verified for verified in self.verified if not verified.parameters]
        return {normalise(wording): verified for verified in plain for wording in verified.wordings}


class ContextFile:
    """The file, read again when it changes; if the new version is invalid, the old one stays in use.

    Raises:
        SettingsError: on construction, the file cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reading = threading.Lock()
        self._stamp = _stamp(path)
        self._contexts = load_context(path)

    def get(self, database: str) -> DatabaseContext:
        """Return the current context of a database. May read the file: do not call it on the event loop."""
        with self._reading:
            stamp = _stamp(self._path)
            if stamp != self._stamp:
                self._stamp = stamp  # also for an invalid version, so that it is reported once
                self._reload()
            return self._contexts.get(database, DatabaseContext())

    @property
    def databases(self) -> list[str]:
        """The databases that the file describes."""
        return list(self._contexts)

    def _reload(self) -> None:
        try:
            self._contexts = load_context(self._path)
        except SettingsError as error:
            logger.warning("the changed context file is invalid, the old version stays in use: %s", error)
        else:
            logger.info("the changed context file was read")


def describe_unknown_databases(contexts: Iterable[str], configured: Iterable[str]) -> str:
    """Return a text on databases of a context file that are not configured; "" if all are."""
    names = tuple(configured)
    unknown = [name for name in contexts if name not in names]
    if not unknown:
        return ""
    described = "; ".join(f"{name!r} ({_advise(name, names)})" for name in unknown)
    return f"the context file describes databases that are not configured: {described}"


def _stamp(path: Path) -> tuple[int, int, int]:
    """Return modification time, size and inode of a file; zeros if it is missing."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0, 0
    return status.st_mtime_ns, status.st_size, status.st_ino


def load_context(path: Path) -> dict[str, DatabaseContext]:
    """Return the context by database name.

    Raises:
        SettingsError: the file cannot be read or does not have the form above; the message names the line.
    """
    import yaml

    try:
        root = yaml.compose(path.read_text(encoding="utf-8-sig"), Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise SettingsError(
            f"PG_MCP_CONTEXT_FILE: cannot read {path}: {reason}", hint="name a readable YAML file"
        ) from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise SettingsError(f"{path}:{line}: not YAML: {error.problem}", hint=_EXAMPLE_HINT) from error
    except yaml.YAMLError as error:
        raise SettingsError(f"{path}: not YAML: {error}", hint=_EXAMPLE_HINT) from error
    return _Reader(path).read_file(root)


class _Reader:
    """Reads YAML nodes rather than values, because nodes have line numbers and show repeated keys."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read_file(self, root: "yaml.Node | None") -> dict[str, DatabaseContext]:
        if root is None:  # an empty file
            return {}
        fields = self._known_fields(root, "", ("databases",))
        return {
            name: self._read_database(node, f"databases.{name}")
            for name, node in self._entries(fields.get("databases"), "databases")
        }

    def _read_database(self, node: "yaml.Node", where: str) -> DatabaseContext:
        known = ("terms", "notes", "filters", "joins", "verified")
        fields = self._known_fields(node, where, known)
        return DatabaseContext(
            terms=self._texts_by_name(fields.get("terms"), f"{where}.terms"),
            notes=self._texts_by_name(fields.get("notes"), f"{where}.notes"),
            filters=self._texts_by_name(fields.get("filters"), f"{where}.filters"),
            joins=self._texts(fields.get("joins"), f"{where}.joins"),
            verified=self._read_all_verified(fields.get("verified"), f"{where}.verified"),
        )

    def _read_all_verified(self, node: "yaml.Node | None", where: str) -> tuple[VerifiedQuestion, ...]:
        line_by_normal_form: dict[str, int] = {}
        all_verified = []
        for index, item in enumerate(self._items(node, where)):
            verified = self._read_verified(item, f"{where}[{index}]")
            for form in {normalise(wording) for wording in verified.wordings}:
                if form in line_by_normal_form:
                    self._fail(
                        item, f"{where}[{index}]", f"asks the same as line {line_by_normal_form[form]}"
                    )
                line_by_normal_form[form] = item.start_mark.line + 1
            all_verified.append(verified)
        return tuple(all_verified)

    def _read_verified(self, node: "yaml.Node", where: str) -> VerifiedQuestion:
        fields = self._known_fields(node, where, ("question", "also_asked_as", "parameters", "sql"))
        for name in ("question", "sql"):
            if name not in fields:
                self._fail(node, where, f"{name!r} is missing")
        verified = VerifiedQuestion(
            question=self._text(fields["question"], f"{where}.question"),
            sql=self._text(fields["sql"], f"{where}.sql"),
            also_asked_as=self._texts(fields.get("also_asked_as"), f"{where}.also_asked_as"),
            parameters={
                name: self._parameter(value, f"{where}.parameters.{name}")
                for name, value in self._entries(fields.get("parameters"), f"{where}.parameters")
            },
        )
        if verified.parameters:
            try:
                verified.check()
            except SettingsError as error:
                self._fail(node, where, str(error))
        return verified

    def _parameter(self, node: "yaml.Node", where: str) -> Parameter:
        text = self._text(node, where)
        if text in _PLAIN_KINDS:
            return Parameter(ParameterKind(text))
        if not _COLUMN.fullmatch(text):
            self._fail(
                node,
                where,
                f"{text!r} is not a parameter; expected date, number, text, or a column as table.column",
            )
        return Parameter(ParameterKind.VALUE, text)

    def _texts(self, node: "yaml.Node | None", where: str) -> tuple[str, ...]:
        items = self._items(node, where)
        return tuple(self._text(item, f"{where}[{index}]") for index, item in enumerate(items))

    def _texts_by_name(self, node: "yaml.Node | None", where: str) -> dict[str, str]:
        return {name: self._text(value, f"{where}.{name}") for name, value in self._entries(node, where)}

    def _known_fields(
        self, node: "yaml.Node | None", where: str, known: tuple[str, ...]
    ) -> dict[str, "yaml.Node"]:
        return dict(self._entries(node, where, known))

    def _entries(
        self, node: "yaml.Node | None", where: str, known: tuple[str, ...] = ()
    ) -> Iterator[tuple[str, "yaml.Node"]]:
        """Yield names and values; only `known` names are allowed, if given."""
        import yaml

        if _is_nothing(node):
            return
        if not isinstance(node, yaml.MappingNode):
            self._fail(node, where, "expected a mapping (name: value)")
        seen = set()
        for key, value in node.value:
            name = self._text(key, where)
            if name in seen:
                self._fail(key, where, f"the key {name!r} is repeated")
            if known and name not in known:
                self._fail(key, where, f"unknown key {name!r}; {_advise(name, known)}")
            seen.add(name)
            yield name, value

    def _items(self, node: "yaml.Node | None", where: str) -> "list[yaml.Node]":
        import yaml

        if _is_nothing(node):
            return []
        if not isinstance(node, yaml.SequenceNode):
            self._fail(node, where, "expected a list (lines that begin with '- ')")
        items: list[yaml.Node] = node.value
        return items

    def _text(self, node: "yaml.Node", where: str) -> str:
        import yaml

        # The text as written, also if YAML would read it as a number, a date or a boolean.
        if not isinstance(node, yaml.ScalarNode) or not str(node.value).strip():
            self._fail(node, where, "expected text")
        return str(node.value).strip()

    def _fail(self, node: "yaml.Node | None", where: str, problem: str) -> NoReturn:
        line = 1 if node is None else node.start_mark.line + 1
        place = f"{self._path}:{line}: {where}: " if where else f"{self._path}:{line}: "
        raise SettingsError(place + problem, hint=_EXAMPLE_HINT)


def _advise(name: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"


def _is_nothing(node: "yaml.Node | None") -> bool:
    return node is None or node.tag == "tag:yaml.org,2002:null"
