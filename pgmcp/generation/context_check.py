"""Finds names of tables and columns in a context file that the catalog lacks, and explains them.

Notes have the name of a table or column, and filters have the name of a table. The conditions of filters and
joins name columns, and a parameter of a verified question names the column of its values. Without this check,
nobody notices a wrong name: the model gets a text that does not help. Names match in upper or lower case,
with or without schema. Terms are free text, and are not checked.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from pgmcp.catalog.cache import CatalogChange, CatalogListener
from pgmcp.catalog.catalog import Catalog, Table
from pgmcp.catalog.hidden import HiddenRelation
from pgmcp.catalog.identifiers import parse_name
from pgmcp.generation.context_file import DatabaseContext
from pgmcp.generation.parameters import ParameterKind
from pgmcp.lookup.statement_hints import UNDEFINED_COLUMN, UNDEFINED_TABLE, hint_for_missing_name
from pgmcp.quoting import quote_always, quote_identifier
from pgmcp.untrusted import escape_untrusted
from pgmcp.validation.conditions import ConditionNames, is_condition, names_of_condition

FindHidden = Callable[[Sequence[str], Catalog], Awaitable[list[HiddenRelation]]]
"""Returns the relations of these names that exist but are not in the catalog."""

_SYSTEM_COLUMNS = frozenset({"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"})
"""Columns of every table (PostgreSQL manual, 5.6)."""

_SYSTEM_SCHEMAS = ("pg_catalog.", "information_schema.")

MAX_EXPLAINED: Final = 20
"""Maximum number of names in one message; if there are more, the message says how many."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class UnknownName:
    """A name in the context file that is not in the catalog.

    Attributes:
        place: the part of the file: "notes", "filters", "joins", "parameters".
        name: as the file spells it.
        table: the table that lacks `column`; None if the table is unknown, or if no table has the column.
        column: the unknown column; "" if the table is unknown.
        problem: what is wrong with the entry if its name is known; "" if the name is unknown.
    """

    place: str
    name: str
    table: Table | None = None
    column: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """The unknown names in one database's context, explained.

    Attributes:
        text: the unknown names with similar ones; "" if all names are known.
        all_exist: whether all names exist in the database, although the catalog lacks them.
    """

    text: str
    all_exist: bool


def find_unknown_names(context: DatabaseContext, catalog: Catalog) -> tuple[UnknownName, ...]:
    """Return the distinct names of the context that are not in the catalog, in the order of the file."""
    lookup = _Lookup(catalog)
    return tuple(dict.fromkeys(_find_all(context, lookup)))


async def explain_unknown_names(
    unknown: Sequence[UnknownName], catalog: Catalog, find_hidden: FindHidden
) -> Explanation:
    """Explain unknown names; query the database for relations that exist but are not in the catalog."""
    texts, all_exist = [], len(unknown) <= MAX_EXPLAINED
    for each in unknown[:MAX_EXPLAINED]:
        is_known = each.table or each.column or each.problem
        hidden = [] if is_known else await find_hidden(_possible_tables(each.name), catalog)
        if not hidden:
            all_exist = False
            texts.append(_describe_missing(each, catalog))
        elif not hidden[0].name.startswith(_SYSTEM_SCHEMAS):
            texts.append(_describe_hidden(each, hidden[0]))
    if len(unknown) > MAX_EXPLAINED:
        texts.append(f"and {len(unknown) - MAX_EXPLAINED} more")
    return Explanation("; ".join(map(escape_untrusted, texts)), all_exist)


def conditions_to_plan(context: DatabaseContext, catalog: Catalog) -> Iterator[tuple[str, str]]:
    """Yield the place in the file and a statement to plan, for filters and joins on known tables."""
    lookup = _Lookup(catalog)
    for name, condition in context.filters.items():
        if is_condition(condition) and (table := lookup.find(parse_name(name))) is not None:
            yield f"filters: {name}", _select([table], condition)
    for condition in context.joins:
        qualifiers = {parts[:-1] for parts in names_of_condition(condition).columns if len(parts) > 1}
        tables = [table for each in qualifiers if (table := lookup.find(each)) is not None]
        if tables and len(tables) == len(qualifiers):
            yield f"joins: {condition}", _select(tables, condition)


def _select(tables: Sequence[Table], condition: str) -> str:
    relations = sorted({_sql_name((table.schema, table.name)) for table in tables})
    return f"SELECT 1 FROM {', '.join(relations)} WHERE ({condition}\n)"  # noqa: S608 - validated as SQL


def _find_all(context: DatabaseContext, lookup: "_Lookup") -> Iterator[UnknownName]:
    for name in context.notes:
        yield from lookup.check("notes", name)
    for name, condition in context.filters.items():
        yield from lookup.check_filter(name, condition)
    for condition in context.joins:
        yield from lookup.check_join(condition)
    parameters = (each for verified in context.verified for each in verified.parameters.values())
    for parameter in parameters:
        if parameter.kind is ParameterKind.VALUE:
            yield from lookup.check("parameters", parameter.column)


class _Lookup:
    """Finds names of a context file in a catalog, ignoring case."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._names = {table.name.lower(): table for table in catalog.tables}

    def check(self, place: str, name: str) -> Iterator[UnknownName]:
        """Yield the name if it is neither a table nor a column of one."""
        parts = parse_name(name)
        table, rest = self.find(parts[:2]), parts[2:]
        if table is None:
            table, rest = self.find(parts[:1]), parts[1:]
        if table is None:
            yield UnknownName(place, name)
        elif rest and not _has_column(table, rest[0]):
            yield UnknownName(place, name, table, rest[0])

    def check_filter(self, name: str, condition: str) -> Iterator[UnknownName]:
        """Yield the table's name if it is unknown, otherwise the unknown columns of its condition."""
        table = self.find(parse_name(name))
        if table is None:
            yield UnknownName("filters", name)
            return
        if not is_condition(condition):
            yield UnknownName("filters", name, table, problem="its condition is not SQL that WHERE accepts")
        names = names_of_condition(condition)
        for parts in names.columns:
            if len(parts) > 1 and parts[0].lower() != table.name.lower():
                yield from self.check("filters", _sql_name(parts))
            elif not _has_column(table, parts[-1]):
                yield UnknownName("filters", _sql_name((table.name, parts[-1])), table, parts[-1])
        yield from self._check_subqueries("filters", names)

    def check_join(self, condition: str) -> Iterator[UnknownName]:
        """Yield the unknown columns; an unqualified one may belong to any table."""
        names = names_of_condition(condition)
        for parts in names.columns:
            if len(parts) > 1:
                yield from self.check("joins", _sql_name(parts))
            elif not self._is_column_somewhere(parts[0]):
                yield UnknownName("joins", quote_identifier(parts[0]), column=parts[0])
        yield from self._check_subqueries("joins", names)

    def _check_subqueries(self, place: str, names: ConditionNames) -> Iterator[UnknownName]:
        relations = dict(names.inner_relations)
        for relation in dict.fromkeys(relations.values()):
            yield from self.check(place, _sql_name(relation.split(".")))
        for parts in names.inner_columns:
            if parts[-1] in names.made_names or parts[-1] in relations:
                continue
            relation = relations.get(parts[-2], "") if len(parts) > 1 else ""
            table = self.find(relation.split(".")) if relation else None
            if table is not None and not _has_column(table, parts[-1]):
                yield UnknownName(place, _sql_name((table.name, parts[-1])), table, parts[-1])
            elif len(parts) == 1 and not self._is_column_somewhere(parts[0]):
                yield UnknownName(place, quote_identifier(parts[0]), column=parts[0])

    def _is_column_somewhere(self, name: str) -> bool:
        return any(_has_column(table, name) for table in self._catalog.tables)

    def find(self, parts: Sequence[str]) -> Table | None:
        """Return the table with this name; its schema may be omitted."""
        if not parts or len(parts) > 2:
            return None
        spelled = ".".join(map(quote_always, parts))
        found = self._catalog.find(spelled) or self._catalog.find(spelled.lower())
        # The prompt shows a table outside the search path with its schema. Here its bare name is enough.
        return found or (self._names.get(parts[0].lower()) if len(parts) == 1 else None)


def _has_column(table: Table, name: str) -> bool:
    wanted = name.lower()
    known = {column.name.lower() for column in table.columns}
    return wanted in known or wanted in _SYSTEM_COLUMNS or wanted == table.name.lower()


def _sql_name(parts: Sequence[str]) -> str:
    return ".".join(map(quote_identifier, parts))


def _possible_tables(name: str) -> list[str]:
    """Return the tables that a name may refer to, as written and in lower case."""
    parts = parse_name(name)
    spelled = [_sql_name(parts[:count]) for count in (2, 1) if count <= min(len(parts), 2)]
    spelled = spelled[:1] if len(parts) > 2 else spelled
    return list(dict.fromkeys(each for text in spelled for each in (text, text.lower().replace('"', ""))))


def _describe_hidden(unknown: UnknownName, hidden: HiddenRelation) -> str:
    return f"{unknown.place}: {unknown.name} exists, but {hidden.name} {hidden.reason}"


def _describe_missing(unknown: UnknownName, catalog: Catalog) -> str:
    if unknown.problem:
        return f"{unknown.place}: {unknown.name}: {unknown.problem}"
    if unknown.table is None and unknown.column:
        return f"{unknown.place}: no table has a column {unknown.name}"
    if unknown.table is not None:
        relation = catalog.display_name(unknown.table)
        hint = hint_for_missing_name(UNDEFINED_COLUMN, (unknown.column,), [relation], catalog)
        problem = f"{unknown.place}: {unknown.name}: {relation} has no column {unknown.column}"
    else:
        hint = _hint_for_table(unknown, catalog)
        problem = f"{unknown.place}: there is no table {unknown.name}"
    return f"{problem} ({hint})" if hint else problem


def _hint_for_table(unknown: UnknownName, catalog: Catalog) -> str:
    """Return tables similar to the table part of `table`, `table.column` or `schema.table`."""
    parts = parse_name(unknown.name)
    names_schema = len(parts) > 1 and any(
        table.schema.lower() == parts[0].lower() for table in catalog.tables
    )
    # The name may have a wrong schema or begin with a database, so parts that exist come first.
    known = {table.name.lower() for table in catalog.tables}
    candidates = parts[1:2] if names_schema else sorted(parts[:3], key=lambda name: name.lower() not in known)
    hints = (hint_for_missing_name(UNDEFINED_TABLE, (name,), [], catalog) for name in candidates)
    return next(filter(None, hints), "")


class CatalogReads(Protocol):
    """The part of `SchemaCache` that notifies of each read of the catalog."""

    def subscribe(self, listener: CatalogListener) -> None:
        """Call `listener` after every later read."""
        ...


class ContextCheck:
    """Logs a warning about unknown names, each time the catalog was read or the context file has changed.

    The same warning is not repeated. Create the object on the event loop.

    Args:
        database: the database's name in the settings.
        context: returns the current context; may read the file.
        schema: the cached catalog.
        find_hidden: finds relations that the catalog leaves out.
    """

    def __init__(
        self,
        database: str,
        context: Callable[[], DatabaseContext],
        schema: CatalogReads,
        find_hidden: FindHidden,
    ) -> None:
        self._database = database
        self._read_context = context
        self._find_hidden = find_hidden
        self._loop = asyncio.get_running_loop()
        self._catalog: Catalog | None = None
        self._checked: tuple[DatabaseContext, Catalog] | None = None
        self._last_text = ""
        self._task: asyncio.Task[None] | None = None
        schema.subscribe(self._on_read)

    def context(self) -> DatabaseContext:
        """Return the context; start a check if it has changed. May read the file: call it in a thread."""
        context = self._read_context()
        if self._checked is not None and self._checked[0] != context:
            self._loop.call_soon_threadsafe(self._start)
        return context

    async def close(self) -> None:
        """Cancel a check that is running."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def _on_read(self, _old: Catalog | None, new: Catalog, _change: CatalogChange) -> None:
        self._catalog = new
        self._start()

    def _start(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._check_all())

    async def _check_all(self) -> None:
        """Repeat the check until neither context nor catalog has changed during it."""
        while self._catalog is not None:
            now = (await asyncio.to_thread(self._read_context), self._catalog)
            if self._checked is not None and now == self._checked:
                return
            self._checked = now
            await self._check(*now)

    async def _check(self, context: DatabaseContext, catalog: Catalog) -> None:
        unknown = await asyncio.to_thread(find_unknown_names, context, catalog)
        text = (await explain_unknown_names(unknown, catalog, self._find_hidden)).text if unknown else ""
        if text and text != self._last_text:
            logger.warning(
                "the context file names tables or columns that database %s does not have: %s",
                self._database,
                text,
            )
        self._last_text = text
