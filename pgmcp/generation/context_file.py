"""Reads the operator's context file: the meaning of the data, and questions with verified SQL.

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

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pgmcp.errors import SettingsError
from pgmcp.generation.verified import VerifiedQuestion, normalise, word_similarity
from pgmcp.generation.verified_reader import Expectation, read_entry
from pgmcp.generation.yaml_nodes import EXAMPLE_HINT, NodeReader, describe_yaml_error, hint_for_name

if TYPE_CHECKING:
    import yaml

logger = logging.getLogger(__name__)


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
        filters: default conditions by table; a question can override them.
        joins: join conditions that the catalog's foreign keys do not give.
        verified: in the order of the file.
        problems: mistakes in verified questions with `tool`; these questions are left out.
        expectations: questions for `pgmcp evaluate`: the verified ones, and those without SQL.
    """

    terms: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    filters: Mapping[str, str] = field(default_factory=dict)
    joins: tuple[str, ...] = ()
    verified: tuple[VerifiedQuestion, ...] = ()
    problems: tuple[str, ...] = ()
    expectations: tuple[Expectation, ...] = field(default=(), compare=False)

    def matches(self, question: str) -> Iterator[VerifiedMatch]:
        """Yield the verified questions that equal `question`, ignoring case, spacing and punctuation.

        If a question without parameters matches, it is the only one. If a match has a parameter of kind
        VALUE, the caller must check in the database whether the column contains the argument.
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
            (max(word_similarity(question, wording) for wording in verified.wordings), verified)
            for verified in self.verified
        ]
        scored.sort(key=lambda pair: pair[0], reverse=True)
        return [verified for score, verified in scored[:count] if score > 0]

    @property
    def is_empty(self) -> bool:
        """Whether the file says nothing about the database."""
        return self == DatabaseContext() and not self.expectations

    @cached_property
    def _verified_by_normal_form(self) -> dict[str, VerifiedQuestion]:
        plain = [verified for verified in self.verified if not verified.parameters]
        return {normalise(wording): verified for verified in plain for wording in verified.wordings}


class ContextFile:
    """A context file, which is read again when it changes. The last valid version stays in use.

    Raises:
        SettingsError: raised by the constructor if the file cannot be read or is invalid.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reading = threading.Lock()
        self._listeners: list[Callable[[], None]] = []
        self._file_version = _file_version(path)
        self._contexts = load_context(path)
        self._warn_of_problems()

    def get(self, database: str) -> DatabaseContext:
        """Return the current context of a database. May read the file: do not call it on the event loop."""
        return self.get_all().get(database, DatabaseContext())

    def get_all(self) -> Mapping[str, DatabaseContext]:
        """Return the current contexts by database; the same object until the file changes.

        May read the file: do not call it on the event loop.
        """
        with self._reading:
            stamp = _file_version(self._path)
            is_changed = stamp != self._file_version
            if is_changed:
                self._file_version = stamp  # also for an invalid version, so that it is reported once
                is_changed = self._reload()
            contexts = self._contexts
        if is_changed:
            for listener in self._listeners:
                listener()
        return contexts

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Call `listener` after each change of the file, in the thread that reads the changed file."""
        self._listeners.append(listener)

    @property
    def databases(self) -> list[str]:
        """The databases that the file describes."""
        return list(self._contexts)

    def _reload(self) -> bool:
        """Read the file again, and return whether its new version can be used."""
        try:
            self._contexts = load_context(self._path)
        except SettingsError as error:
            logger.warning("the changed context file is invalid, the old version stays in use: %s", error)
            return False
        logger.info("the changed context file was read")
        self._warn_of_problems()
        return True

    def _warn_of_problems(self) -> None:
        if missing := describe_missing_entries(self._contexts):
            logger.warning("%s", missing)
        for context in self._contexts.values():
            for problem in context.problems:
                logger.warning("a tool of the context file is left out: %s", problem)


def describe_unknown_databases(contexts: Iterable[str], configured: Iterable[str]) -> str:
    """Return a text about databases in a context file that are not configured; "" if all are configured."""
    names = tuple(configured)
    unknown = [name for name in contexts if name not in names]
    if not unknown:
        return ""
    described = "; ".join(f"{name!r} ({hint_for_name(name, names)})" for name in unknown)
    return f"the context file describes databases that are not configured: {described}"


def describe_missing_entries(contexts: Mapping[str, DatabaseContext]) -> str:
    """Return a text about an empty file, or about databases that it names without any entry; otherwise "".

    Databases that the file does not name are not mentioned, because they may need no context.
    """
    empty = [repr(name) for name, context in contexts.items() if context.is_empty]
    if contexts and not empty:
        return ""
    return f"the context file has no entries for {', '.join(empty) or 'any database'}"


def _file_version(path: Path) -> tuple[int, int, int]:
    """Return modification time, size and inode of a file; zeros if it is missing."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0, 0
    return status.st_mtime_ns, status.st_size, status.st_ino


def load_context(path: Path, *, named_by: str = "PG_MCP_CONTEXT_FILE: ") -> dict[str, DatabaseContext]:
    """Return the context by database name.

    Args:
        named_by: the beginning of the error message, which says where the path comes from.

    Raises:
        SettingsError: the file cannot be read or does not have the form above; the message names the line.
    """
    import yaml

    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise SettingsError(
            f"{named_by}cannot read {path}: {reason}", hint="name a readable YAML file"
        ) from error
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise SettingsError(describe_yaml_error(path, error, text), hint=EXAMPLE_HINT) from error
    return _Reader(path).read_file(root)


class _Reader(NodeReader):
    """Reads the nodes of a context file."""

    def read_file(self, root: "yaml.Node | None") -> dict[str, DatabaseContext]:
        if root is None:  # an empty file
            return {}
        fields = self.known_fields(root, "", ("databases",))
        return {
            name: self._read_database(node, f"databases.{name}")
            for name, node in self.entries(fields.get("databases"), "databases")
        }

    def _read_database(self, node: "yaml.Node", where: str) -> DatabaseContext:
        known = ("terms", "notes", "filters", "joins", "verified")
        fields = self.known_fields(node, where, known)
        expectations, problems = self._read_all_verified(fields.get("verified"), f"{where}.verified")
        return DatabaseContext(
            terms=self.texts_by_name(fields.get("terms"), f"{where}.terms"),
            notes=self.texts_by_name(fields.get("notes"), f"{where}.notes"),
            filters=self.texts_by_name(fields.get("filters"), f"{where}.filters"),
            joins=self.texts(fields.get("joins"), f"{where}.joins"),
            verified=tuple(each.verified for each in expectations if each.verified.sql),
            problems=problems,
            expectations=expectations,
        )

    def _read_all_verified(
        self, node: "yaml.Node | None", where: str
    ) -> tuple[tuple[Expectation, ...], tuple[str, ...]]:
        """Return the verified questions, and the mistakes in entries with `tool`, which are left out."""
        line_by_normal_form: dict[str, int] = {}
        entries, problems = [], []
        for index, item in enumerate(self.items(node, where)):
            try:
                entry = read_entry(self, item, f"{where}[{index}]")
                self._check_is_new(entry.verified, item, f"{where}[{index}]", line_by_normal_form)
            except SettingsError as error:
                if not self.has_key(item, "tool"):
                    raise
                problems.append(str(error))
            else:
                entries.append(entry)
        return tuple(entries), tuple(problems)

    def _check_is_new(
        self, verified: VerifiedQuestion, item: "yaml.Node", where: str, line_by_normal_form: dict[str, int]
    ) -> None:
        forms = {normalise(wording) for wording in verified.wordings}
        for form in forms:
            if form in line_by_normal_form:
                self.fail(item, where, f"asks the same as line {line_by_normal_form[form]}")
        line_by_normal_form.update(dict.fromkeys(forms, item.start_mark.line + 1))
